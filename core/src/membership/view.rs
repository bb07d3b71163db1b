//! Reading: what a node shows of its membership, and what must hold in it.

use core::net::SocketAddr;

use super::table::Entry;
use super::{Membership, Obituary, Timer};
use crate::action::{Member, MemberState};
use crate::boot::Phase;
use crate::config::Config;
use crate::context::Ctx;
use crate::id::{Incarnation, NodeId};
use crate::reconcile::{MEMBERS, TABLES};
use crate::time::Time;

impl Membership {
    pub(crate) const fn id(&self) -> NodeId {
        self.me.id
    }

    pub(crate) const fn incarnation(&self) -> Incarnation {
        self.me.incarnation()
    }

    pub(crate) const fn boot(&self) -> u64 {
        self.me.boot
    }

    pub(crate) const fn addr(&self) -> SocketAddr {
        self.me.addr
    }

    pub(crate) const fn phase(&self) -> Phase {
        self.phase
    }

    pub(crate) const fn is_joined(&self) -> bool {
        self.joined
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = Member<'_>> {
        self.table.iter().filter(|entry| entry.is_shown()).filter_map(view)
    }

    pub(crate) fn member(&self, id: NodeId) -> Option<Member<'_>> {
        self.table.get(id).filter(|entry| entry.is_shown()).and_then(view)
    }

    pub(crate) fn member_count(&self) -> usize {
        self.table.iter().filter(|entry| entry.is_live() && entry.is_shown()).count()
    }

    pub(crate) fn last_heard(&self, id: NodeId) -> Option<Time> {
        let entry = self.table.get(id).filter(|entry| entry.is_live());
        entry.map(Entry::last_heard).or_else(|| self.obituaries.get(&id)?.last_heard)
    }

    pub(crate) fn why_down(&self, id: NodeId) -> Option<&Obituary> {
        self.obituaries.get(&id)
    }

    /// The roots that ride on pings and acks: the present one of the members, and those of the other tables when the
    /// call began.
    pub(super) const fn roots(&self, cx: &Ctx<'_>) -> [u64; TABLES] {
        let mut roots = cx.roots;
        roots[MEMBERS as usize] = self.root();
        roots
    }

    pub(crate) const fn root(&self) -> u64 {
        self.table.tree().root()
    }

    pub(crate) const fn health(&self) -> u8 {
        self.health.score + 1
    }

    pub(crate) fn check(&self, now: Time, config: &Config) {
        self.table.check();
        let suspects = self.table.iter().filter(|entry| entry.state() == MemberState::Suspect);
        assert!(
            suspects.map(|entry| entry.id).eq(self.suspicions.keys().copied()),
            "every suspect has its suspicion, and nobody else"
        );
        // A leaver judges nobody; a rejoin takes its suspicions up again.
        if self.phase == Phase::Running {
            for id in self.suspicions.keys() {
                assert!(self.deadlines.at(Timer::Suspicion(*id)).is_some(), "the suspicion of {id} ends");
            }
        }
        if self.is_running() {
            let mine = self.table.get(self.me.id).expect("oneself is in the table");
            assert_eq!(mine.incarnation(), self.me.incarnation(), "the own entry is current");
        } else {
            assert_eq!(self.next_wake(), None, "a stopped node sleeps");
        }
        assert!(self.health.score < config.membership.health_max, "the health score is bounded");
        assert!(
            self.table.terminal() <= config.membership.tombstones_max as usize + 1,
            "tombstones are bounded"
        );
        assert!(self.health.event <= now, "time does not run backwards");
    }
}

fn view(entry: &Entry) -> Option<Member<'_>> {
    entry.record().map(|record| Member::new(record, entry.incarnation(), entry.state()))
}
