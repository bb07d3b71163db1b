//! When the exchanges of one table start, and what follows from one that found something (rule B9).

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::exchange::Exchange;
use super::{Partner, Table};
use crate::context::Ctx;
use crate::time::Time;
use crate::wire::Reconcile;

/// For so many probe intervals after its start a node compares tables at the first sign of a difference.
const YOUTH_PERIODS: u32 = 10;

/// The reconciliation of one table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sync {
    exchange: Exchange,
    /// The time of the first root that was unlike ours since the last equal one.
    mismatch_since: Option<Time>,
    /// No exchange of ours starts before this time.
    not_before: Time,
    /// Until this time every difference is taken for a large one: the node has just started.
    young_until: Time,
    /// Something was found since the last exchange of ours began.
    found: bool,
    /// The time of the next exchange while exchanges find something.
    due: Option<Time>,
}

impl Sync {
    /// The reconciliation of the table with this number.
    pub(crate) const fn new(table: u8) -> Self {
        Self {
            exchange: Exchange::new(table),
            mismatch_since: None,
            not_before: Time::ZERO,
            young_until: Time::ZERO,
            found: false,
            due: None,
        }
    }

    /// The node has started.
    pub(crate) fn start(&mut self, cx: &Ctx<'_>) {
        self.young_until = cx.now + cx.config.membership.probe_interval * YOUTH_PERIODS;
    }

    /// The node has stopped: no exchange follows.
    pub(crate) const fn stop(&mut self) {
        self.due = None;
    }

    pub(crate) const fn next_wake(&self) -> Option<Time> {
        self.due
    }

    /// Whether the last root that was seen was unlike ours.
    pub(crate) const fn differs(&self) -> bool {
        self.mismatch_since.is_some()
    }

    /// Takes note of a root that was seen, and starts an exchange with its sender if one is due.
    ///
    /// Gossip makes roots differ for a moment all the time. Only a difference that outlasts the `spread_time` of an
    /// update starts an exchange, or any difference that a node meets soon after its start. Without a `partner` the root
    /// is noted and no more.
    pub(crate) fn on_root(
        &mut self,
        table: &impl Table,
        root: u64,
        partner: impl FnOnce() -> Option<Partner>,
        spread_time: impl FnOnce() -> Duration,
        cx: &mut Ctx<'_>,
    ) {
        if root == table.tree().root() {
            self.mismatch_since = None;
            return;
        }
        let since = *self.mismatch_since.get_or_insert(cx.now);
        let due = cx.now < self.young_until || cx.now.since(since) > spread_time();
        if due && let Some(partner) = partner() {
            self.compare_with(table, partner, cx);
        }
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

    /// A message of an exchange, ours or another's.
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
            // What follows it in the datagram is for the machine that owns the table.
            Reconcile::Delta(_) => {}
        }
    }

    /// An exchange, ours or another's, has found something: the next one follows at once.
    pub(crate) fn find(&mut self, cx: &Ctx<'_>) {
        self.found = true;
        if self.due.is_none() {
            self.due = Some(self.not_before.max(cx.now + cx.config.membership.reconcile_interval));
        }
    }

    /// Takes the deadline that is due at `due`; whether an exchange with a random member is to follow.
    pub(crate) fn pop_due(&mut self, due: Time) -> bool {
        self.due = self.due.filter(|at| *at > due);
        self.due.is_none() && self.found
    }

    /// Goes on with this partner, and looks again after the interval.
    pub(crate) fn go_on(&mut self, table: &impl Table, with: Partner, cx: &mut Ctx<'_>) {
        self.not_before = cx.now;
        self.compare_with(table, with, cx);
        self.due = Some(cx.now + cx.config.membership.reconcile_interval);
    }
}
