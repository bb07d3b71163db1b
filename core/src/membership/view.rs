//! Read access to membership, and the check of its invariants.

use core::net::SocketAddr;
use core::time::Duration;

use super::table::Entry;
use super::{Membership, Obituary, Timer};
use crate::action::Member;
use crate::boot::Phase;
use crate::config::Config;
use crate::context::Ctx;
use crate::id::{Incarnation, MemberState, NodeId};
use crate::reconcile::{MEMBERS, TABLES};
use crate::time::Time;

impl Membership {
    pub(crate) const fn id(&self) -> NodeId {
        self.own.id
    }

    pub(crate) const fn incarnation(&self) -> Incarnation {
        self.own.incarnation()
    }

    pub(crate) const fn boot(&self) -> u64 {
        self.own.boot()
    }

    pub(crate) const fn addr(&self) -> SocketAddr {
        self.own.addr
    }

    pub(crate) const fn phase(&self) -> Phase {
        self.phase
    }

    pub(crate) const fn is_joined(&self) -> bool {
        self.contacts.joined
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = Member<'_>> {
        self.table.iter().filter(|entry| entry.is_shown()).filter_map(view)
    }

    pub(crate) fn member(&self, id: NodeId) -> Option<Member<'_>> {
        self.table.get(id).filter(|entry| entry.is_shown()).and_then(view)
    }

    /// The number of members in the local view that are alive or suspected, this node included once it has its id.
    pub(crate) const fn member_count(&self) -> usize {
        self.table.shown()
    }

    pub(crate) fn last_heard(&self, id: NodeId) -> Option<Time> {
        let entry = self.table.get(id).filter(|entry| entry.is_live());
        entry.map(Entry::last_heard).or_else(|| self.obituaries.get(&id)?.last_heard)
    }

    pub(crate) fn gone_for(&self, id: NodeId, now: Time) -> Option<Duration> {
        let entry = self.table.get(id).filter(|entry| entry.is_shown() && !entry.is_live())?;
        Some(Duration::from_nanos(entry.age(now)))
    }

    /// The time at which the probation of a member ends, unless it is suspected before.
    pub(crate) fn probation(&self, id: NodeId) -> Option<Time> {
        self.deadlines.at(Timer::Probation(id))
    }

    pub(crate) fn why_down(&self, id: NodeId) -> Option<&Obituary> {
        self.obituaries.get(&id)
    }

    /// The roots that pings and acks carry: the current root of the members, and the roots that the other tables had
    /// when the call began.
    pub(super) const fn roots(&self, cx: &Ctx<'_>) -> [u64; TABLES] {
        let mut roots = cx.roots;
        roots[MEMBERS as usize] = self.root();
        roots
    }

    pub(crate) const fn root(&self) -> u64 {
        self.table.tree().root()
    }

    pub(crate) const fn health(&self) -> u8 {
        self.health.multiplier()
    }

    pub(crate) fn check(&self, now: Time, config: &Config) {
        self.table.check();
        let suspects = self.table.iter().filter(|entry| entry.state() == MemberState::Suspect);
        assert!(
            suspects.map(|entry| entry.id).eq(self.suspicions.keys().copied()),
            "every suspect has its suspicion, and no other member has one"
        );
        // A leaving node passes no verdicts; a rejoin resumes its suspicions.
        if self.phase == Phase::Running {
            for id in self.suspicions.keys() {
                assert!(self.deadlines.at(Timer::Suspicion(*id)).is_some(), "the suspicion of {id} ends");
            }
        }
        if self.phase == Phase::Running {
            let quiet = |entry: &Entry| self.deadlines.at(Timer::Probation(entry.id)).is_some();
            let on_probation = |entry: &&Entry| entry.is_on_probation();
            assert!(self.table.iter().filter(on_probation).all(quiet), "every probation ends");
        }
        if self.is_running() {
            let mine = self.table.get(self.own.id).expect("this node is in the table");
            assert_eq!(mine.incarnation(), self.own.incarnation(), "the own entry is current");
        } else if self.phase != Phase::Waiting {
            assert_eq!(self.next_wake(), None, "a stopped node sleeps");
        }
        assert!(self.returns.ids().all(|id| self.table.get(id).is_some()), "only members are remembered");
        self.health.check(config, now);
        let settings = &config.membership;
        assert!(self.table.members() <= settings.members_max as usize, "members are bounded");
        assert!(self.table.guards() <= settings.tombstones_max as usize, "guards are bounded");
    }
}

fn view(entry: &Entry) -> Option<Member<'_>> {
    entry.record().map(|record| Member::new(record, entry.incarnation(), entry.shown_state()))
}
