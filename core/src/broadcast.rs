//! Broadcast: every message reaches every member, in two phases (bimodal multicast, Birman et al., TOCS 17(2), 1999;
//! Plumtree, Leitão et al., SRDS 2007; gogossip; and part C of `core/RULES.md`).
//!
//! ```text
//! submit ─► first phase ─► taken ─► delivered           first phase: multicast, push, tree, or none
//!              │             │                            decides who gets it soon
//!              │             └─► relayed by how it came
//!              └─ lost ─► gap ─► asked for ─► taken      repair: rounds, pull, announcements, marks
//!                                    └─► Lost             decide who offers; the gap decides who is asked
//! ```
//!
//! A message is named by its origin, the origin's epoch and a number. The numbers have no gaps, so a missing message is
//! known as soon as a later one is. The broadcast owns five machines and passes calls on to them; each depends only on
//! those that the following list names before it.
//!
//! Files: the machines are `log` (what has been seen of every origin, and the payloads that are kept; it sends nothing),
//! `spread` (the first phase, and the queue of all that waits to be sent), `repair` (rounds, pulls, requests and the
//! comparison of marks), `reports` (the delivery status of own messages, and the receipts owed to others) and
//! `unattributed` (messages whose origin is not known yet). How they work together is in `delivery` (taking a message and
//! handing it to the application), `submit` (the command) and `read` (what a node shows of its broadcasts).

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
use crate::config::{BroadcastConfig, Config};
use crate::context::Ctx;
use crate::deadlines::{Deadlines, soonest};
use crate::error::ConfigError;
use crate::id::{MessageId, NodeId, Slot};
use crate::membership::Peers;
use crate::reconcile::Partner;
use crate::rng::{Rng, Stream};
use crate::time::Time;
use crate::wire::{
    self, Digest, Gone, Gossip, IHave, Item, Lack, Message, Publish, PushAck, Receipt, Reconcile,
};
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
    /// A gap must be requested, or given up.
    Request,
    /// The next round of the repair, or the next pull, begins.
    Round,
    /// An origin has been silent for long enough that its mark is compared.
    Quiet,
    /// A receipt must be sent to an origin.
    Receipt,
    /// A report ends, or missing receipts for it must be requested.
    Report,
    /// The seen set must be written to disk.
    Persist,
    /// The node has too few neighbours in the tree.
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
    deadlines: Deadlines<Timer>,
    rng: Rng,
    /// Whether the node is not running.
    stopped: bool,
}

/// The context of one call of a machine of the broadcast: all that the machine is given beside its own state.
#[derive(Debug)]
struct Tools<'a, 'c> {
    log: &'a mut Log,
    deadlines: &'a mut Deadlines<Timer>,
    rng: &'a mut Rng,
    /// Whether the node is not running.
    stopped: bool,
    peers: Peers<'a>,
    cx: &'a mut Ctx<'c>,
}

impl<'c> Tools<'_, 'c> {
    const fn settings(&self) -> &'c BroadcastConfig {
        &self.cx.config.broadcast
    }

    /// Sends a message to a member; does nothing if the member is not live, or is hidden.
    fn send(&mut self, to: NodeId, message: &Message<'_>) {
        let Some(addr) = self.peers.receiver(to) else { return };
        let mut datagram = self.cx.datagram(addr, to);
        datagram.push(message);
        datagram.send();
    }

    /// Makes `timer` due at `at`, as [`Deadlines::arm`] does.
    fn arm(&mut self, timer: Timer, at: Time) {
        self.deadlines.arm(timer, at, self.cx.now);
    }

    /// Makes `timer` due at `at`, unless it is due earlier.
    fn arm_by(&mut self, timer: Timer, at: Time) {
        self.deadlines.arm_by(timer, at, self.cx.now);
    }
}

/// A message that has arrived.
#[derive(Clone, Copy, Debug)]
struct Received<'a> {
    /// The member that sent it to this node.
    from: Partner,
    id: MessageId,
    /// The number of nodes that have sent the message on its way here.
    hops: u8,
    /// The flags of a [`Publish`](crate::wire::Publish).
    flags: u8,
    item: Item<'a>,
}

impl Broadcast {
    /// Draws from a new seed from here on.
    pub(crate) fn on_seed(&mut self, seed: [u8; 32]) {
        self.rng = Rng::new(seed, Stream::Broadcast);
    }

    pub(crate) fn new(boot: &Boot, epoch: u64, config: &Config, now: Time) -> Result<Self, ConfigError> {
        let mut log = Log::new(boot.id, epoch);
        if let Some((slot, bytes)) = boot.restored.iter().find(|(slot, _)| *slot == Slot::SeenSet) {
            log.decode_seen(bytes, now).ok_or(ConfigError::Restored { slot: *slot })?;
        }
        Ok(Self {
            spread: Spread::new(boot.id, config),
            repair: Repairs::new(&log),
            reports: Reports::default(),
            unattributed: Unattributed::default(),
            deadlines: Deadlines::new(),
            rng: Rng::new(boot.seed, Stream::Broadcast),
            stopped: true,
            log,
        })
    }

    /// Splits the broadcast into the machines beside the log, and the tools for one call of them.
    const fn parts<'a, 'c>(
        &'a mut self,
        peers: Peers<'a>,
        cx: &'a mut Ctx<'c>,
    ) -> (&'a mut Spread, &'a mut Repairs, &'a mut Reports, Tools<'a, 'c>) {
        let Self { log, spread, repair, reports, deadlines, rng, stopped, .. } = self;
        (spread, repair, reports, Tools { log, deadlines, rng, stopped: *stopped, peers, cx })
    }

    /// The root of the fingerprint tree of the marks.
    pub(crate) const fn marks_root(&self) -> u64 {
        self.repair.marks_root()
    }

    pub(crate) fn next_wake(&self) -> Option<Time> {
        soonest(self.next_deadline(), self.spread.queue.next())
    }

    fn next_deadline(&self) -> Option<Time> {
        soonest(self.deadlines.next(), self.repair.next_wake())
    }

    /// Fires the deadlines that are due, in the order of time.
    pub(crate) fn on_tick(&mut self, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        while let Some(due) = self.next_deadline().filter(|due| *due <= cx.now) {
            match self.deadlines.pop_due(due) {
                Some(timer) => self.on_timer(timer, peers, cx),
                None => {
                    let (spread, repair, _, tools) = &mut self.parts(peers, cx);
                    repair.go_on_reconciling(due, spread, tools);
                }
            }
        }
    }

    fn on_timer(&mut self, timer: Timer, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        let (spread, repair, reports, tools) = &mut self.parts(peers, cx);
        match timer {
            Timer::Push => spread.on_push_due(tools),
            Timer::Request => self.on_request_due(peers, cx),
            Timer::Round => repair.on_round(spread, tools),
            Timer::Quiet => repair.on_quiet_due(tools),
            Timer::Receipt => reports.on_receipt_due(tools),
            Timer::Report => reports.on_report_due(tools),
            Timer::Persist => self.log.write(cx),
            Timer::Neighbours => spread.on_neighbours_due(tools),
        }
        self.settle(peers, cx);
    }

    fn on_request_due(&mut self, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        let (_, repair, _, tools) = &mut self.parts(peers, cx);
        let asks = repair.collect_asks(tools);
        // The application is told which messages are lost before the others are requested.
        self.settle(peers, cx);
        let (spread, repair, _, tools) = &mut self.parts(peers, cx);
        repair::send_requests(&asks, spread, tools);
        repair.arm_requests(tools);
        self.bound(peers, cx);
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
        let (spread, repair, reports, tools) = &mut self.parts(peers, cx);
        match message {
            Gossip::Publish(message) => {
                let Publish { id, hops, flags, item } = *message;
                self.on_received(&Received { from, id, hops, flags, item }, peers, cx);
            }
            Gossip::Part(message) => self.on_part(from, message, peers, cx),
            Gossip::IHave(IHave(runs)) => repair.on_announced(from.id, *runs, spread, tools),
            Gossip::Gone(Gone(runs)) => repair::on_refusal(from.id, *runs, Refusal::Gone, tools),
            Gossip::Lack(Lack(runs)) => repair::on_refusal(from.id, *runs, Refusal::Lack, tools),
            Gossip::PushAck(PushAck(runs)) => spread.on_push_ack(from.id, *runs, tools),
            Gossip::Receipt(Receipt(runs)) => reports.on_receipt(from.id, *runs, tools),
            Gossip::Prune(_) => spread.on_prune(from.id, tools.cx),
            Gossip::Request(request) => repair.on_request(from.id, request, spread, tools),
            Gossip::RequestParts(request) => repair.on_request_parts(from.id, *request, spread, tools),
            Gossip::Digest(digest) if digest.is_pull() => repair.on_pull(from.id, digest, spread, tools),
            Gossip::Digest(digest) => self.on_digest(from, digest, peers, cx),
            Gossip::ReceiptRequest(_) => reports::send_receipt(from.id, tools),
            Gossip::Mark(mark) => self.on_mark(from, mark, peers, cx),
        }
        self.settle(peers, cx);
    }

    /// Handles a digest, in which a member lists the messages that it holds.
    fn on_digest(&mut self, from: Partner, digest: &Digest<'_>, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        for entry in digest.entries() {
            if self.has_record(entry.origin, from, peers, cx) {
                let (_, repair, _, tools) = &mut self.parts(peers, cx);
                repair.on_digest_entry(&entry, digest.round, from.id, tools);
                self.settle(peers, cx);
            }
        }
    }

    /// Handles a mark, in which a member states the highest number that it knows of an origin.
    fn on_mark(&mut self, from: Partner, mark: &wire::Mark, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        if self.has_record(mark.origin, from, peers, cx) {
            let (_, repair, _, tools) = &mut self.parts(peers, cx);
            repair.on_mark(from.id, mark, tools);
        }
    }

    /// Whether messages of this origin are accepted. If they are not, the record of the origin is requested from the
    /// member that has mentioned it.
    fn has_record(&mut self, id: NodeId, from: Partner, peers: Peers<'_>, cx: &mut Ctx<'_>) -> bool {
        let known = id == self.log.me() || peers.is_origin(id);
        if !known {
            self.unattributed.ask_record(id, from, peers, cx);
        }
        known
    }

    /// Compares the root that a member sent with its ping or ack.
    pub(crate) fn on_marks_root(&mut self, from: Partner, root: u64, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        let (_, repair, _, tools) = &mut self.parts(peers, cx);
        repair.on_marks_root(from, root, tools);
    }

    /// Handles a message of an exchange about marks.
    pub(crate) fn on_reconcile(&mut self, from: Partner, message: &Reconcile<'_>, cx: &mut Ctx<'_>) {
        self.repair.on_reconcile(from, message, &self.log, cx);
    }

    /// Starts the broadcast when the node starts or rejoins.
    pub(crate) fn on_started(&mut self, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        self.stopped = false;
        let (spread, repair, _, tools) = &mut self.parts(peers, cx);
        repair.start(tools);
        spread.arm_neighbours(tools);
        self.log.write(cx);
        self.settle(peers, cx);
    }

    /// Stops the broadcast when the node stops: the seen set is written to disk, and nothing is sent afterwards.
    pub(crate) fn on_stopped(&mut self, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        self.stopped = true;
        self.deadlines.clear();
        self.repair.stop();
        self.log.write(cx);
        self.settle(peers, cx);
        self.reports = Reports::default();
        self.unattributed = Unattributed::default();
        self.spread.stop(&mut self.log.cache);
    }

    pub(crate) fn on_member_gone(&mut self, id: NodeId, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        let (spread, _, reports, tools) = &mut self.parts(peers, cx);
        spread.on_member_gone(id, tools);
        reports.on_member_gone(id, tools);
        self.repair.on_member_gone(id);
    }

    /// Forgets an origin, with its messages, because its member record is no longer shared.
    pub(crate) fn on_member_expired(&mut self, id: NodeId) {
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

    /// Whether any message is queued.
    pub(crate) fn has_queued(&self) -> bool {
        !self.spread.queue.is_empty()
    }

    /// Whether any message is queued for this receiver.
    pub(crate) fn has_queued_for(&self, receiver: NodeId) -> bool {
        self.spread.queue.has_for(receiver)
    }

    /// Offers the messages that are queued for `receiver` to a datagram; `push` returns whether a message fitted.
    pub(crate) fn pack(&mut self, receiver: NodeId, push: impl FnMut(&Message<'_>) -> bool) {
        self.spread.queue.pack(receiver, &mut self.log.cache, push);
    }
}
