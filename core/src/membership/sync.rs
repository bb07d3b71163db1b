//! Member records as a table of the reconciliation (rules B4 and B9).

use alloc::collections::BTreeMap;
use core::net::SocketAddr;

use super::table::Table;
use super::updates::{Update, refutation_of, update_of};
use super::{Arrival, Membership, Source, Suspicion};
use crate::context::Ctx;
use crate::id::NodeId;
use crate::link::DatagramWriter;
use crate::reconcile::{self, ItemFate, MEMBERS, Partner, Sync, TABLES, Tree};
use crate::time::Time;
use crate::wire::{Alive, Reconcile, Standing};

/// The member table, as the reconciliation sees it.
struct Members<'a> {
    table: &'a Table,
    suspicions: &'a BTreeMap<NodeId, Suspicion>,
    now: Time,
}

impl reconcile::Table for Members<'_> {
    fn tree(&self) -> &Tree {
        self.table.tree()
    }

    /// The verdict on a member that is gone is placed before its record: a receiver that learns both must not hold the subject
    /// Alive in between. What a living member has refuted is placed behind its record, which may be new to the receiver.
    fn push_item(&self, id: NodeId, datagram: &mut DatagramWriter<'_>) -> ItemFate {
        let entry = self.table.get(id).filter(|entry| !entry.flags.held_back);
        let Some(entry) = entry else { return ItemFate::Empty };
        let verdict = if entry.is_live() {
            refutation_of(entry)
        } else {
            update_of(entry, Update::Verdict, self.suspicions, self.now)
        };
        let record = entry.record().map(|record| Alive(record).into());
        let parts = if entry.is_live() { [record, verdict] } else { [verdict, record] };
        if parts.iter().flatten().all(|message| datagram.push(message)) {
            ItemFate::Packed
        } else {
            ItemFate::TooLong
        }
    }
}

impl Membership {
    fn reconciliation(&mut self, now: Time) -> (&mut Sync, Members<'_>) {
        let Self { sync, table, suspicions, .. } = self;
        (sync, Members { table, suspicions, now })
    }

    /// Compares the own table with the sender's by the root that its ping or ack has brought.
    pub(super) fn compare_root(&mut self, source: &Source, roots: [u64; TABLES], cx: &mut Ctx<'_>) {
        let (config, members) = (cx.config, self.group_size());
        let partner = || (source.standing == Standing::Validated).then(|| source.partner());
        let (sync, table) = self.reconciliation(cx.now);
        let spread_time = || super::peers::spread_time(config, members);
        sync.on_root(&table, source.sender, roots[usize::from(MEMBERS)], partner, spread_time, cx);
    }

    /// Starts an exchange with a member that has returned, if tables differ: after a partition the two sides differ in
    /// many items.
    pub(super) fn sync_with_returned(&mut self, id: NodeId, from: SocketAddr, cx: &mut Ctx<'_>) {
        if self.sync.differs() {
            self.compare_with(id, from, cx);
        }
    }

    /// Starts an exchange, unless the last one is too recent.
    pub(super) fn compare_with(&mut self, id: NodeId, addr: SocketAddr, cx: &mut Ctx<'_>) {
        let (sync, table) = self.reconciliation(cx.now);
        sync.compare_with(&table, Partner { id, addr }, cx);
    }

    /// Starts an exchange with a random member, after one that has found something.
    pub(super) fn go_on_reconciling(&mut self, cx: &mut Ctx<'_>) {
        let chosen = self.choose(1, self.own.id);
        if let Some((id, addr)) = chosen.first().and_then(|id| Some((*id, self.table.get(*id)?.addr()?))) {
            let (sync, table) = self.reconciliation(cx.now);
            sync.go_on(&table, Partner { id, addr }, cx);
        }
        self.chosen = chosen;
    }

    /// Handles a message of an exchange about members.
    pub(crate) fn on_reconcile(&mut self, arrival: &mut Arrival, message: &Reconcile<'_>, cx: &mut Ctx<'_>) {
        // The records and verdicts behind a Delta answer a reconciliation.
        arrival.source.delta |= matches!(message, Reconcile::Delta(_));
        let from = arrival.partner();
        let (sync, table) = self.reconciliation(cx.now);
        sync.on_message(&table, from, message, cx);
    }
}
