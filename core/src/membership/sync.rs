//! Reconciliation of member records: when it starts, and what an item is (rules B4 and B9). What is compared, and
//! how, is [`crate::reconcile`].

use alloc::collections::BTreeMap;
use core::net::SocketAddr;
use core::time::Duration;

use super::table::Table;
use super::{Membership, Source, Standing, Suspicion, Timer, update_of};
use crate::context::Ctx;
use crate::estimate::Estimate;
use crate::id::NodeId;
use crate::outbox::Letter;
use crate::reconcile::{MEMBERS, Partner, Pushed, TABLES};
use crate::time::Time;
use crate::wire::{Alive, Compare, Items, Want};

impl Source {
    pub(super) const fn partner(&self) -> Partner {
        Partner { id: self.sender, addr: self.from }
    }
}

impl Membership {
    /// The roots that ride on pings and acks.
    pub(super) fn compare_roots(&mut self, source: &Source, roots: [u64; TABLES], cx: &mut Ctx<'_>) {
        let ours = self.table.tree().root();
        // The estimate costs a logarithm: in sync it is not asked for.
        let spread = if roots[0] == ours { Duration::ZERO } else { self.spread_time(cx) };
        if self.sync.is_due(roots[0], ours, spread, cx) && source.standing == Standing::Validated {
            self.sync.compare_with(self.table.tree(), source.partner(), cx);
        }
    }

    /// How long a fresh update takes to reach everybody.
    pub(crate) fn spread_time(&self, cx: &Ctx<'_>) -> Duration {
        Estimate::new(cx.config, self.group()).spread + cx.config.membership.gossip_interval * 2
    }

    /// Somebody who was gone is back: the two sides of a healed cut have much to tell each other.
    pub(super) fn sync_with_returned(&mut self, id: NodeId, from: SocketAddr, cx: &mut Ctx<'_>) {
        if self.sync.differs() {
            self.compare_with(id, from, cx);
        }
    }

    /// Starts an exchange, unless the last one is too recent.
    pub(super) fn compare_with(&mut self, id: NodeId, to: SocketAddr, cx: &mut Ctx<'_>) {
        self.sync.compare_with(self.table.tree(), Partner { id, addr: to }, cx);
    }

    /// An exchange, ours or another's, has found something: the next one follows at once.
    pub(super) fn found_difference(&mut self, cx: &Ctx<'_>) {
        let next = self.sync.find(cx);
        if self.deadlines.at(Timer::Sync).is_none() {
            self.arm(Timer::Sync, next, cx);
        }
    }

    pub(super) fn on_sync_due(&mut self, cx: &mut Ctx<'_>) {
        if !self.sync.has_found() {
            return;
        }
        let mut chosen = core::mem::take(&mut self.chosen);
        chosen.clear();
        self.table.choose(1, self.me.id, &mut self.rng, &mut chosen);
        if let Some((id, to)) = chosen.first().and_then(|id| Some((*id, self.table.get(*id)?.addr()?))) {
            self.sync.hurry(cx);
            self.compare_with(id, to, cx);
            self.arm(Timer::Sync, cx.now + cx.config.membership.reconcile_interval, cx);
        }
        self.chosen = chosen;
    }

    pub(super) fn on_compare(&mut self, source: &Source, compare: &Compare<'_>, cx: &mut Ctx<'_>) {
        let Self { sync, table, suspicions, .. } = self;
        let now = cx.now;
        sync.on_compare(table.tree(), source.partner(), compare, cx, |id, letter| {
            push_item(table, suspicions, id, letter, now)
        });
    }

    pub(super) fn on_items(&mut self, source: &Source, items: &Items<'_>, cx: &mut Ctx<'_>) {
        let Self { sync, table, suspicions, .. } = self;
        let now = cx.now;
        sync.on_items(table.tree(), source.partner(), items, cx, |id, letter| {
            push_item(table, suspicions, id, letter, now)
        });
    }

    pub(super) fn on_want(&mut self, source: &Source, want: &Want<'_>, cx: &mut Ctx<'_>) {
        let Self { sync, table, suspicions, .. } = self;
        let now = cx.now;
        sync.on_want(source.partner(), want, cx, |id, letter| push_item(table, suspicions, id, letter, now));
    }

    /// Asks for the record of somebody that only others know.
    pub(crate) fn ask_record(&self, id: NodeId, of: Partner, cx: &mut Ctx<'_>) {
        // To where its record says that it is, wherever the question came from.
        let Some(addr) = self.receiver(of.id) else { return };
        let bytes = id.0.to_le_bytes();
        let want = Want::of(MEMBERS, cx.config.membership.reconcile_credit, &bytes);
        let mut letter = cx.letter(addr, of.id);
        letter.push(&want.into());
        letter.send_alone();
    }
}

/// What we hold of one member. The verdict goes before the record: who learns both must not take the subject for
/// alive in between.
fn push_item(
    table: &Table,
    suspicions: &BTreeMap<NodeId, Suspicion>,
    id: NodeId,
    letter: &mut Letter<'_>,
    now: Time,
) -> Pushed {
    let Some(entry) = table.get(id).filter(|entry| !entry.flags.faded) else { return Pushed::Nothing };
    let verdict = if entry.is_live() { None } else { update_of(entry, suspicions, now) };
    let parts = [verdict, entry.record().map(|record| Alive(record).into())];
    if parts.iter().flatten().all(|message| letter.push(message)) { Pushed::Whole } else { Pushed::TooLong }
}
