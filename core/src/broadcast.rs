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
//! as anything behind it is. Files: [`seen`] (numbers, gaps, and who is asked for them), [`cache`] (payloads kept),
//! [`outgoing`] (what waits to be sent, and how fast), [`deliver`] (taking, ordering, giving up), [`first`] and
//! [`neighbours`] (the first phase), [`repair`] (rounds, pulls, digests), [`request`] (asking and serving), [`marks`]
//! (the comparison that finds the last message of a silent origin), [`reports`] (delivery status), [`persist`] (the
//! seen set), [`zones`] (whom to prefer).

mod cache;
mod deliver;
mod first;
mod marks;
mod neighbours;
mod outgoing;
mod persist;
mod repair;
mod reports;
mod request;
mod roots;
mod seen;
mod submit;
mod view;
mod zones;

#[cfg(test)]
mod tests;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::boot::Boot;
use crate::config::Config;
use crate::context::Ctx;
use crate::deadlines::{Deadlines, soonest};
use crate::error::ConfigError;
use crate::id::{MessageId, NodeId};
use crate::membership::Peers;
use crate::reconcile::{MARKS, Partner, Sync, Tree};
use crate::rng::{Rng, Stream};
use crate::time::Time;
use crate::wire::{self, Gossip, Message, Reassembly};

use cache::Cache;
use deliver::Stranger;
use first::Pushes;
use marks::Quiet;
use neighbours::Neighbours;
use outgoing::Outgoing;
use persist::SeenSet;
use repair::RoundState;
use reports::Reports;
use roots::Roots;
use seen::{Refusal, Seen};
use zones::Zones;

pub use view::{Mark, Pending, Report, Usage};

pub use crate::action::Reached;
pub use crate::config::{FirstPhase, History, Order, PersistSeen, Ratio, Repair, Rounds};

/// What is due at a deadline. Due together, they fire in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Timer {
    /// Acknowledgements of a push are late.
    Push,
    /// A gap is due to be asked for, or given up.
    Request,
    /// The next round of the repair, or the next pull.
    Round,
    /// An origin has been silent for long enough to compare its mark.
    Quiet,
    /// Tell an origin what has come.
    Receipt,
    /// A report has run out, or is to be asked about.
    Report,
    /// Write the seen set down.
    Persist,
    /// Neighbours of the tree are missing.
    Neighbours,
}

/// The broadcast of one node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Broadcast {
    me: NodeId,
    epoch: u64,
    /// The number of the last own message in this epoch.
    seq: u64,
    origins: BTreeMap<NodeId, Origin>,
    /// Those that have gaps.
    gappy: BTreeSet<NodeId>,
    cache: Cache,
    reassembly: Reassembly,
    outgoing: Outgoing,
    neighbours: Neighbours,
    pushes: Pushes,
    rounds: RoundState,
    reports: Reports,
    /// Messages that wait for the record of their origin.
    strangers: VecDeque<Stranger>,
    /// When a record was asked for last.
    record_asked: Option<Time>,
    /// To whom receipts are due.
    receipts: BTreeMap<NodeId, Time>,
    quiet: Quiet,
    marks: Tree,
    sync: Sync,
    seen_set: SeenSet,
    pending: Pending,
    /// The node does not run.
    stopped: bool,
    deadlines: Deadlines<Timer>,
    rng: Rng,
    /// Reused by whoever chooses members.
    chosen: Vec<NodeId>,
    zones: Zones,
    roots: Roots,
}

/// What is known of one origin: its last two epochs (rule C1).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Origin {
    /// Ascending.
    epochs: SmallVec<[Epoch; 2]>,
}

/// One epoch of an origin.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Epoch {
    epoch: u64,
    seen: Seen,
    /// Everything up to here has been handed to the application, where its origin's order matters.
    delivered: u64,
}

impl Broadcast {
    pub(crate) fn new(boot: &Boot, epoch: u64, config: &Config, now: Time) -> Result<Self, ConfigError> {
        let mut broadcast = Self {
            me: boot.id,
            epoch,
            seq: 0,
            origins: BTreeMap::new(),
            gappy: BTreeSet::new(),
            cache: Cache::default(),
            reassembly: Reassembly::new(),
            outgoing: Outgoing::new(&config.broadcast),
            neighbours: Neighbours::default(),
            pushes: Pushes::default(),
            rounds: RoundState::default(),
            reports: Reports::default(),
            strangers: VecDeque::new(),
            record_asked: None,
            receipts: BTreeMap::new(),
            quiet: Quiet::default(),
            marks: Tree::new(),
            sync: Sync::new(MARKS),
            seen_set: SeenSet::default(),
            pending: Pending::default(),
            stopped: true,
            deadlines: Deadlines::new(),
            rng: Rng::new(boot.seed, Stream::Broadcast),
            chosen: Vec::new(),
            zones: Zones::default(),
            roots: Roots::default(),
        };
        broadcast.restore(boot, now)?;
        Ok(broadcast)
    }

    /// Makes `timer` due at `at`, but never in the call that sets it (rule G3).
    fn arm(&mut self, timer: Timer, at: Time, cx: &Ctx<'_>) {
        self.deadlines.set(timer, at.max(cx.now + core::time::Duration::from_nanos(1)));
    }

    /// The same, unless it is due earlier.
    fn arm_by(&mut self, timer: Timer, at: Time, cx: &Ctx<'_>) {
        if self.deadlines.at(timer).is_none_or(|due| due > at) {
            self.arm(timer, at, cx);
        }
    }

    pub(crate) fn next_wake(&self) -> Option<Time> {
        soonest(self.next_deadline(), self.outgoing.next())
    }

    fn next_deadline(&self) -> Option<Time> {
        soonest(self.deadlines.next(), self.sync.next_wake())
    }

    /// Fires what is due, in the order of time.
    pub(crate) fn on_tick(&mut self, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        while let Some(due) = self.next_deadline().filter(|due| *due <= cx.now) {
            match self.deadlines.pop_due(due) {
                Some(timer) => self.on_timer(timer, peers, cx),
                None if self.sync.pop_due(due) => self.go_on_reconciling(peers, cx),
                None => {}
            }
        }
    }

    fn on_timer(&mut self, timer: Timer, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        match timer {
            Timer::Push => self.on_push_due(peers, cx),
            Timer::Request => self.on_request_due(peers, cx),
            Timer::Round => self.on_round(peers, cx),
            Timer::Quiet => self.on_quiet_due(cx),
            Timer::Receipt => self.on_receipt_due(peers, cx),
            Timer::Report => self.on_report_due(peers, cx),
            Timer::Persist => self.persist(cx),
            Timer::Neighbours => self.on_neighbours_due(peers, cx),
        }
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
        match *message {
            Gossip::Publish(wire::Publish { id, hops, flags, item }) => {
                self.on_publish(from, id, hops, flags, item, peers, cx);
            }
            Gossip::Part(wire::Part { hops, flags, part }) => {
                self.on_part(from, hops, flags, &part, peers, cx)
            }
            Gossip::IHave(wire::IHave(runs)) => self.on_i_have(from, runs, peers, cx),
            Gossip::Gone(wire::Gone(runs)) => self.on_refusal(from, runs, Refusal::Gone, cx),
            Gossip::Lack(wire::Lack(runs)) => self.on_refusal(from, runs, Refusal::Lack, cx),
            Gossip::PushAck(wire::PushAck(runs)) => self.on_push_ack(from.id, runs, cx),
            Gossip::Receipt(wire::Receipt(runs)) => self.on_receipt(from.id, runs, cx),
            Gossip::Prune(_) => _ = self.neighbours.make_lazy(from.id, first::neighbours_max(cx.config)),
            Gossip::Request(wire::Request { round, flags, runs }) => {
                self.on_request(from, round, flags, runs, cx)
            }
            Gossip::RequestParts(wire::RequestParts { id, missing }) => {
                self.on_request_parts(from, id, missing, cx)
            }
            Gossip::Digest(digest) if digest.is_pull() => self.on_pull(from, &digest, cx),
            Gossip::Digest(digest) => self.on_digest(from, &digest, peers, cx),
            Gossip::ReceiptRequest(_) => self.send_receipt(from.id, peers, cx),
            Gossip::Mark(wire::Mark { origin, epoch, low, top }) => {
                self.on_mark(from, origin, epoch, low, top, peers, cx);
            }
        }
    }

    /// The node has started, or started again.
    pub(crate) fn on_started(&mut self, cx: &mut Ctx<'_>) {
        self.stopped = false;
        self.sync.start(cx);
        self.arm_repair(cx);
        if !self.gappy.is_empty() {
            self.arm(Timer::Request, cx.now, cx);
        }
        if !self.seen_set.is_clean() {
            self.persist(cx);
        }
        self.arm_quiet(cx);
        self.arm_neighbours(cx);
    }

    /// The node has stopped: what has been delivered is written down.
    pub(crate) fn on_stopped(&mut self, cx: &mut Ctx<'_>) {
        self.stopped = true;
        self.deadlines.clear();
        self.sync.stop();
        self.persist(cx);
        self.receipts.clear();
        self.pushes = Pushes::default();
        self.reports = Reports::default();
        self.outgoing.clear().into_iter().for_each(|id| self.unqueue(id));
    }

    /// What waits is due.
    pub(crate) fn hurry(&mut self) {
        self.outgoing.hurry();
    }

    pub(crate) fn on_member_gone(&mut self, id: NodeId, cx: &mut Ctx<'_>) {
        for publish in self.outgoing.drop_receiver(id) {
            self.unqueue(publish.id);
        }
        self.neighbours.remove(id);
        self.arm_neighbours(cx);
        self.receipts.remove(&id);
        self.on_reader_gone(id, cx);
    }

    /// Nothing is shared about this member any more, and so nothing of what it said.
    pub(crate) fn on_member_faded(&mut self, id: NodeId) {
        self.marks.set(id, None);
        self.origins.remove(&id);
        self.gappy.remove(&id);
        let kept: Vec<MessageId> =
            self.cache.iter().map(|(id, _)| id).filter(|message| message.origin == id).collect();
        kept.into_iter().for_each(|id| _ = self.cache.remove(id));
    }

    pub(crate) fn on_new_epoch(&mut self, epoch: u64) {
        self.epoch = epoch;
        self.seq = 0;
    }

    /// Sends what is due; called at the end of each event.
    pub(crate) fn flush(&mut self, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        if self.outgoing.next().is_none_or(|due| due > cx.now) {
            return;
        }
        let mut outgoing = core::mem::replace(&mut self.outgoing, Outgoing::empty());
        let group = first::group(cx.config);
        let address = |id| if id == NodeId::NOBODY { group } else { peers.receiver(id) };
        let mut sent = core::mem::take(&mut self.rounds.sent);
        outgoing.flush(&self.cache, address, cx, &mut |id| sent.push(id));
        self.outgoing = outgoing;
        sent.drain(..).for_each(|id| self.unqueue(id));
        self.rounds.sent = sent;
    }

    /// Whether something waits to be sent.
    pub(crate) fn has_parcels(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether something waits for this receiver.
    pub(crate) fn has_parcels_for(&self, receiver: NodeId) -> bool {
        self.outgoing.has_for(receiver)
    }

    /// Offers a datagram to `receiver` what waits for it; `push` says whether one has fitted.
    pub(crate) fn pack(&mut self, receiver: NodeId, push: impl FnMut(&Message<'_>) -> bool) {
        if !self.outgoing.has_for(receiver) {
            return;
        }
        let mut sent = Vec::new();
        self.outgoing.pack(receiver, &self.cache, push, &mut |id| sent.push(id));
        sent.into_iter().for_each(|id| self.unqueue(id));
    }
}
