//! Reconciliation of member records: when it starts, and what an item is (rules B4 and B9). What is compared, and
//! how, is [`crate::reconcile`].

use alloc::collections::BTreeMap;
use core::net::SocketAddr;
use core::time::Duration;

use super::table::Table;
use super::{Membership, Source, Standing, Suspicion, Timer, update_of};
use crate::context::Ctx;
use crate::id::NodeId;
use crate::outbox::Letter;
use crate::reconcile::{Partner, Pushed, TABLES};
use crate::time::Time;
use crate::wire::Message;

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
        let spread = if roots[0] == ours { Duration::ZERO } else { self.peers().spread_time(cx) };
        if self.sync.is_due(roots[0], ours, spread, cx) && source.standing == Standing::Validated {
            self.sync.compare_with(self.table.tree(), source.partner(), cx);
        }
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

    pub(crate) fn on_reconcile(&mut self, from: Partner, message: &Message<'_>, cx: &mut Ctx<'_>) {
        let Self { sync, table, suspicions, .. } = self;
        let now = cx.now;
        let item = |id, letter: &mut Letter<'_>| push_item(table, suspicions, id, letter, now);
        if let Message::Compare(compare) = message {
            sync.on_compare(table.tree(), from, compare, cx, item);
        } else if let Message::Items(items) = message {
            sync.on_items(table.tree(), from, items, cx, item);
        } else if let Message::Want(want) = message {
            sync.on_want(from, want, cx, item);
        }
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
    let parts = [verdict, entry.record().map(Message::Alive)];
    if parts.iter().flatten().all(|message| letter.push(message)) { Pushed::Whole } else { Pushed::TooLong }
}
