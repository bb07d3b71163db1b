//! The times at which the exchanges of one table start, and the exchange that follows one that found a difference (rule
//! B9).

use alloc::collections::BTreeMap;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::exchange::Exchange;
use super::{Partner, Table};
use crate::context::Ctx;
use crate::id::NodeId;
use crate::time::Time;
use crate::wire::Reconcile;

/// The number of probe intervals after its start in which a node starts an exchange at the first difference that it
/// sees.
const YOUTH_PERIODS: u32 = 10;
/// The number of members whose last root differed that are remembered. Where more differ, nearly every root does, and
/// `mismatch_since` starts the exchange.
const DIFFERING_MAX: usize = 1_024;

/// The reconciliation of one table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sync {
    exchange: Exchange,
    /// The time since which all roots that were seen have differed from ours; `None` while the last one equals it.
    mismatch_since: Option<Time>,
    /// The members whose last root differed from ours, and the time since which all their roots have. The equal roots of
    /// other members do not end such a difference: all may agree but one.
    differing: BTreeMap<NodeId, Time>,
    /// This node starts no exchange before this time.
    not_before: Time,
    /// Until this time every difference starts an exchange, because the node has just started.
    young_until: Time,
    /// Whether something was found since this node last began an exchange.
    found: bool,
    /// The time of the next exchange, as long as exchanges find something.
    due: Option<Time>,
}

impl Sync {
    /// Makes the reconciliation of the table with this number.
    pub(crate) const fn new(table: u8) -> Self {
        Self {
            exchange: Exchange::new(table),
            mismatch_since: None,
            differing: BTreeMap::new(),
            not_before: Time::ZERO,
            young_until: Time::ZERO,
            found: false,
            due: None,
        }
    }

    /// Begins the time after a start in which every difference starts an exchange.
    pub(crate) fn start(&mut self, cx: &Ctx<'_>) {
        self.young_until = cx.now + cx.config.membership.probe_interval * YOUTH_PERIODS;
    }

    /// Cancels the next exchange, because the node has stopped.
    pub(crate) fn stop(&mut self) {
        self.due = None;
        self.mismatch_since = None;
        self.differing.clear();
    }

    pub(crate) const fn next_wake(&self) -> Option<Time> {
        self.due
    }

    /// Whether the last root that was seen differed from ours.
    pub(crate) const fn differs(&self) -> bool {
        self.mismatch_since.is_some()
    }

    /// Compares the root that was received from `sender`, and starts an exchange with it if one is due.
    ///
    /// Gossip makes roots differ for short times. So an exchange starts only if all roots, or all of this sender, have
    /// differed for longer than the `spread_time` of an update, or if the node has just started. If `partner` returns
    /// `None`, the root is only noted.
    pub(crate) fn on_root(
        &mut self,
        table: &impl Table,
        sender: NodeId,
        root: u64,
        partner: impl FnOnce() -> Option<Partner>,
        spread_time: impl FnOnce() -> Duration,
        cx: &mut Ctx<'_>,
    ) {
        if root == table.tree().root() {
            self.mismatch_since = None;
            self.differing.remove(&sender);
            return;
        }
        let all_since = *self.mismatch_since.get_or_insert(cx.now);
        let Some(partner) = partner() else { return };
        let since = self.note_difference(sender, cx.now).min(all_since);
        if cx.now < self.young_until || cx.now.since(since) > spread_time() {
            self.compare_with(table, partner, cx);
        }
    }

    /// Notes that the root of `sender` differs. Returns the time since which all its roots have differed.
    fn note_difference(&mut self, sender: NodeId, now: Time) -> Time {
        match self.differing.get(&sender) {
            Some(since) => *since,
            None => {
                if self.differing.len() < DIFFERING_MAX {
                    self.differing.insert(sender, now);
                }
                now
            }
        }
    }

    /// Forgets a member that is gone: the time since which its table has differed means nothing when it returns.
    pub(crate) fn forget(&mut self, id: NodeId) {
        self.differing.remove(&id);
    }

    /// Starts an exchange, unless the last one is too recent.
    pub(crate) fn compare_with(&mut self, table: &impl Table, with: Partner, cx: &mut Ctx<'_>) {
        if cx.now < self.not_before {
            return;
        }
        self.not_before = cx.now + cx.config.membership.reconcile_interval;
        self.found = false;
        self.exchange.begin(table, with, cx);
    }

    /// Handles a message of an exchange, whichever node has started the exchange.
    pub(crate) fn on_message(
        &mut self,
        table: &impl Table,
        from: Partner,
        message: &Reconcile<'_>,
        cx: &mut Ctx<'_>,
    ) {
        match message {
            Reconcile::Compare(compare) => self.exchange.on_compare(table, from, compare, cx),
            Reconcile::Items(items) => self.exchange.on_items(table, from, items, cx),
            Reconcile::Want(want) => self.exchange.on_want(table, from, want, cx),
            // The messages behind a Delta in its datagram are for the machine that owns the table.
            Reconcile::Delta(_) => {}
        }
    }

    /// Notes that an exchange, whichever node has started it, has found something: another one follows after
    /// `reconcile_interval`.
    pub(crate) fn find(&mut self, cx: &Ctx<'_>) {
        self.found = true;
        if self.due.is_none() {
            self.due = Some(self.not_before.max(cx.now + cx.config.membership.reconcile_interval));
        }
    }

    /// Removes the deadline that is due at `due`. Returns whether an exchange with a random member must follow.
    pub(crate) fn pop_due(&mut self, due: Time) -> bool {
        self.due = self.due.filter(|at| *at > due);
        self.due.is_none() && self.found
    }

    /// Starts an exchange with this partner at once, and sets the time of the next one.
    pub(crate) fn go_on(&mut self, table: &impl Table, with: Partner, cx: &mut Ctx<'_>) {
        self.not_before = cx.now;
        self.compare_with(table, with, cx);
        self.due = Some(cx.now + cx.config.membership.reconcile_interval);
    }
}
