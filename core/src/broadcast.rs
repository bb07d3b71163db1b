//! Broadcast: every message reaches every member, in two phases (bimodal multicast, Birman et al., TOCS 17(2), 1999;
//! Plumtree, Leitão et al., SRDS 2007; gogossip; and part C of `core/RULES.md`).
//!
//! ```text
//! submit ─► first phase ─► taken ─► delivered           first phase: multicast, push, tree, or none
//!              │             │                            decides who is told soon
//!              │             └─► relayed by how it came
//!              └─ lost ─► gap ─► asked for ─► taken      repair: rounds, pull, announcements, marks
//!                                    └─► Lost             decide who offers; the gap decides who is asked
//! ```
//!
//! A message is named by its origin, the origin's epoch and a number without gaps, so what is missing is known as soon
//! as anything behind it is. The broadcast owns a few machines and routes between them; each depends only on those
//! before it in this list:
//!
//! - [`log`]: what has been seen of every origin, and the payloads that are kept. It sends nothing.
//! - [`spread`]: the first phase, and the queue of all that waits to be sent.
//! - [`repair`]: rounds, pulls, requests and the comparison of marks.
//! - [`reports`]: the delivery status of own messages, and the receipts owed to others.
//! - [`unattributed`]: messages whose origin is not known yet.
//!
//! The files [`delivery`] (taking a message and handing it to the application), [`submit`] (the command) and [`read`]
//! (what a node shows of its broadcasts) say how the machines work together.

mod delivery;
mod log;
mod read;
mod repair;
mod reports;
mod spread;
mod submit;
mod unattributed;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::boot::Boot;
use crate::config::Config;
use crate::context::Ctx;
use crate::deadlines::{Deadlines, soonest};
use crate::error::ConfigError;
use crate::event::Slot;
use crate::id::{MessageId, NodeId};
use crate::membership::Peers;
use crate::reconcile::Partner;
use crate::rng::{Rng, Stream};
use crate::time::Time;
use crate::wire::{Gone, Gossip, IHave, Item, Lack, Message, Publish, PushAck, Receipt, Reconcile, Runs};
use log::Log;
use log::seen::Refusal;
use repair::Repairs;
use reports::Reports;
use spread::Spread;
use unattributed::Unattributed;

pub use read::{Mark, Pending, Report, Usage};

pub use crate::action::Reached;
pub use crate::config::{FirstPhase, History, Order, PersistSeen, Ratio, Repair, Rounds};

/// The deadlines of the broadcast. Those that are due together fire in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Timer {
    /// The acknowledgements of a push are late.
    Push,
    /// A gap is to be asked for, or given up.
    Request,
    /// The next round of the repair, or the next pull, begins.
    Round,
    /// An origin has been silent for long enough to compare its mark.
    Quiet,
    /// A receipt is to be sent to an origin.
    Receipt,
    /// A report has run out, or receipts for it are to be asked for.
    Report,
    /// The seen set is to be written to disk.
    Persist,
    /// The tree lacks neighbours.
    Neighbours,
}

/// The broadcast of one node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Broadcast {
    log: Log,
    spread: Spread,
    repair: Repairs,
    reports: Reports,
    unattributed: Unattributed,
    shared: Shared,
}

/// What the machines of the broadcast share.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Shared {
    deadlines: Deadlines<Timer>,
    rng: Rng,
    /// The node does not run.
    stopped: bool,
}

/// A message that has arrived.
#[derive(Clone, Copy, Debug)]
struct Received<'a> {
    /// The member that sent it.
    from: Partner,
    id: MessageId,
    /// The number of nodes that have sent the message on its way here.
    hops: u8,
    /// The flags of a [`Publish`](crate::wire::Publish).
    flags: u8,
    item: Item<'a>,
}

impl Broadcast {
    pub(crate) fn new(boot: &Boot, epoch: u64, config: &Config, now: Time) -> Result<Self, ConfigError> {
        let mut log = Log::new(boot.id, epoch);
        if let Some((slot, bytes)) = boot.restored.iter().find(|(slot, _)| *slot == Slot::SeenSet) {
            log.decode_seen(bytes, now).ok_or(ConfigError::Restored { slot: *slot })?;
        }
        let rng = Rng::new(boot.seed, Stream::Broadcast);
        Ok(Self {
            spread: Spread::new(boot.id, config),
            repair: Repairs::new(&log),
            reports: Reports::default(),
            unattributed: Unattributed::default(),
            shared: Shared { deadlines: Deadlines::new(), rng, stopped: true },
            log,
        })
    }

    /// The root of the fingerprint tree of the marks.
    pub(crate) const fn marks_root(&self) -> u64 {
        self.repair.marks_root()
    }

    pub(crate) fn next_wake(&self) -> Option<Time> {
        soonest(soonest(self.shared.deadlines.next(), self.repair.next_wake()), self.spread.queue.next())
    }

    pub(crate) fn on_tick(&mut self, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        while let Some(timer) = self.shared.deadlines.pop_due(cx.now) {
            let Self { log, spread, repair, reports, shared, .. } = self;
            match timer {
                Timer::Push => spread.on_push_due(log.me(), shared, peers, cx),
                Timer::Request => self.on_request_due(peers, cx),
                Timer::Round => repair.on_round(log, spread, shared, peers, cx),
                Timer::Quiet => repair.on_quiet_due(log, shared, cx),
                Timer::Receipt => reports.on_receipt_due(log, shared, peers, cx),
                Timer::Report => reports.on_report_due(shared, peers, cx),
                Timer::Persist => self.persist(cx),
                Timer::Neighbours => spread.on_neighbours_due(shared, peers, cx),
            }
        }
        let Self { log, spread, repair, shared, .. } = self;
        repair.go_on_reconciling(log, spread, shared, peers, cx);
    }

    fn on_request_due(&mut self, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        let asks = self.repair.collect_asks(&mut self.log, &mut self.shared, peers, cx);
        // The application hears of what was given up before others are asked for the rest.
        self.settle(cx);
        repair::send_requests(&asks, &mut self.spread, peers, cx);
        self.repair.arm_requests(&self.log, &mut self.shared, cx);
        self.bound(cx);
    }

    pub(crate) fn on_message(
        &mut self,
        from: Partner,
        message: &Gossip<'_>,
        peers: Peers<'_>,
        cx: &mut Ctx<'_>,
    ) {
        if !peers.is_in_group() {
            cx.stats.dropped_stopped += 1;
            return;
        }
        let Self { log, spread, repair, reports, .. } = self;
        match message {
            Gossip::Publish(message) => {
                let Publish { id, hops, flags, item } = *message;
                self.on_received(&Received { from, id, hops, flags, item }, peers, cx);
            }
            Gossip::Part(message) => self.on_part(from, message, peers, cx),
            Gossip::IHave(IHave(runs)) => self.on_announced(*runs, from.id, peers, cx),
            Gossip::Gone(Gone(runs)) => self.on_refusal(from.id, *runs, Refusal::Gone, cx),
            Gossip::Lack(Lack(runs)) => self.on_refusal(from.id, *runs, Refusal::Lack, cx),
            Gossip::PushAck(PushAck(runs)) => spread.on_push_ack(from.id, *runs, log.me(), cx),
            Gossip::Receipt(Receipt(runs)) => reports.on_receipt(from.id, *runs, log.me(), cx),
            Gossip::Prune(_) => spread.on_prune(from.id, cx),
            Gossip::Request(request) => repair.on_request(from.id, request, log, spread, cx),
            Gossip::RequestParts(request) => repair.on_request_parts(from.id, *request, log, spread, cx),
            Gossip::Digest(digest) if digest.is_pull() => repair.on_pull(from.id, digest, log, spread, cx),
            Gossip::Digest(digest) => {
                for entry in digest.entries() {
                    if self.has_record(entry.origin, from, peers, cx) {
                        let Self { log, repair, shared, .. } = self;
                        repair.on_digest_entry(&entry, digest.round, from.id, log, shared, cx);
                        self.settle(cx);
                    }
                }
            }
            Gossip::ReceiptRequest(_) => reports::send_receipt(from.id, log, peers, cx),
            Gossip::Mark(mark) => {
                if self.has_record(mark.origin, from, peers, cx) {
                    let Self { log, repair, shared, .. } = self;
                    repair.on_mark(from.id, mark, log, shared, cx);
                }
            }
        }
        self.settle(cx);
    }

    /// A member announces these: over a lazy edge of its tree, or because too few have acknowledged its push.
    fn on_announced(&mut self, runs: Runs<'_>, from: NodeId, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        for run in runs.iter() {
            self.spread.forget_announcement(from, run);
            if self.is_origin(run.origin, peers) {
                self.repair.on_announced(run, from, &mut self.log, &mut self.shared, cx);
                self.settle(cx);
            }
        }
    }

    /// A member cannot serve these.
    fn on_refusal(&mut self, from: NodeId, runs: Runs<'_>, why: Refusal, cx: &mut Ctx<'_>) {
        for run in runs.iter() {
            self.repair.refuse(run, from, why, &mut self.log, &mut self.shared, cx);
            self.settle(cx);
        }
    }

    /// Whether messages of this origin are taken: it is this node, or its record is known (rule C1).
    fn is_origin(&self, id: NodeId, peers: Peers<'_>) -> bool {
        id == self.log.me() || peers.is_origin(id)
    }

    /// Whether messages of this origin are taken; if not, its record is asked for from the member that speaks of it.
    fn has_record(&mut self, id: NodeId, from: Partner, peers: Peers<'_>, cx: &mut Ctx<'_>) -> bool {
        let known = self.is_origin(id, peers);
        if !known {
            self.unattributed.ask_record(id, from, peers, cx);
        }
        known
    }

    /// Compares the root that a member sent with its ping or ack.
    pub(crate) fn on_marks_root(&mut self, from: Partner, root: u64, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        self.repair.on_marks_root(from, root, &self.log, peers, cx);
    }

    /// A message of an exchange about marks.
    pub(crate) fn on_reconcile(&mut self, from: Partner, message: &Reconcile<'_>, cx: &mut Ctx<'_>) {
        self.repair.on_reconcile(from, message, &self.log, cx);
    }

    /// The node has started, or started again.
    pub(crate) fn on_started(&mut self, cx: &mut Ctx<'_>) {
        self.shared.stopped = false;
        self.repair.start(&self.log, &mut self.shared, cx);
        if !self.log.disk.is_clean() {
            self.persist(cx);
        }
        self.spread.arm_neighbours(&mut self.shared, cx);
    }

    /// The node has stopped: the seen set is written to disk, and nothing is sent any more.
    pub(crate) fn on_stopped(&mut self, cx: &mut Ctx<'_>) {
        self.shared.stopped = true;
        self.shared.deadlines.clear();
        self.repair.stop();
        self.persist(cx);
        self.reports = Reports::default();
        self.spread.stop(&mut self.log.cache);
    }

    pub(crate) fn on_member_gone(&mut self, id: NodeId, cx: &mut Ctx<'_>) {
        self.spread.on_member_gone(id, &mut self.log.cache, &mut self.shared, cx);
        self.reports.on_member_gone(id, cx);
    }

    /// Nothing is shared about this member any more, and so none of its messages.
    pub(crate) fn on_member_faded(&mut self, id: NodeId) {
        self.log.forget(id);
        self.repair.forget(id);
    }

    pub(crate) fn on_new_epoch(&mut self, epoch: u64) {
        self.log.use_epoch(epoch);
    }

    /// Makes every queued transmission due now, before a leave.
    pub(crate) fn flush_all(&mut self, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        self.spread.queue.hasten();
        self.flush(peers, cx);
    }

    /// Sends the transmissions that are due; called at the end of each event.
    pub(crate) fn flush(&mut self, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        self.spread.flush(&mut self.log.cache, peers, cx);
    }

    /// Whether something is queued.
    pub(crate) fn has_queued(&self) -> bool {
        !self.spread.queue.is_empty()
    }

    /// Whether something is queued for this receiver.
    pub(crate) fn has_queued_for(&self, receiver: NodeId) -> bool {
        self.spread.queue.has_for(receiver)
    }

    /// Offers a datagram to `receiver` what is queued for it; `push` says whether a message has fitted.
    pub(crate) fn pack(&mut self, receiver: NodeId, push: impl FnMut(&Message<'_>) -> bool) {
        self.spread.queue.pack(receiver, &mut self.log.cache, push);
    }
}
