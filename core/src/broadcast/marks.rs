//! The marks, origin → highest numbers, as a table of the reconciliation (rule C3): its root rides on every ping, so
//! that even the last message of an origin that has fallen silent is found missing.
//!
//! While an origin speaks, marks differ all the time and mean nothing; it takes part once it has been silent for
//! `quiet_after`, and until then with the mark of its last silence.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::cache::Cache;
use super::seen::{Offer, Refusal};
use super::{Broadcast, Epoch, Origin, Timer};
use crate::context::{Ctx, Signal};
use crate::id::{Incarnation, NodeId, hash64};
use crate::link::DatagramWriter;
use crate::membership::Peers;
use crate::reconcile::{ItemFate, Partner, Sync, Table, Tree};
use crate::time::Time;
use crate::wire::{Mark, Reconcile, Run};

/// Origins that have spoken since their mark was last compared.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Quiet {
    /// By when they were noticed.
    queue: VecDeque<(Time, NodeId)>,
    /// When each was last heard of.
    heard: BTreeMap<NodeId, Time>,
}

impl Quiet {
    fn touch(&mut self, origin: NodeId, now: Time) {
        if self.heard.insert(origin, now).is_none() {
            self.queue.push_back((now, origin));
        }
    }

    /// An origin that has been silent since `before`, or `None` and when to look again.
    fn pop(&mut self, before: Time) -> Result<NodeId, Option<Time>> {
        while let Some((noticed, origin)) = self.queue.front().copied() {
            if noticed > before {
                return Err(Some(noticed));
            }
            self.queue.pop_front();
            match self.heard.get(&origin) {
                Some(heard) if *heard > before => self.queue.push_back((*heard, origin)),
                Some(_) => {
                    self.heard.remove(&origin);
                    return Ok(origin);
                }
                None => {}
            }
        }
        Err(None)
    }
}

impl Broadcast {
    /// Something new is known of an origin.
    pub(super) fn touch(&mut self, origin: NodeId, cx: &Ctx<'_>) {
        self.quiet.touch(origin, cx.now);
        self.arm_quiet(cx);
    }

    pub(super) fn arm_quiet(&mut self, cx: &Ctx<'_>) {
        if let Some((noticed, _)) = self.quiet.queue.front().copied()
            && self.deadlines.at(Timer::Quiet).is_none()
            && !self.stopped
        {
            self.arm(Timer::Quiet, noticed + cx.config.broadcast.quiet_after, cx);
        }
    }

    pub(super) fn on_quiet_due(&mut self, cx: &Ctx<'_>) {
        let after = cx.config.broadcast.quiet_after;
        let before = Time::from_nanos(cx.now.as_nanos().saturating_sub(crate::time::nanos(after)));
        while let Ok(origin) = self.quiet.pop(before) {
            self.hash(origin);
        }
        self.arm_quiet(cx);
    }

    /// Lets an origin take part in the comparison with what is known of it.
    pub(super) fn hash(&mut self, origin: NodeId) {
        let fingerprint = self.origins.get(&origin).and_then(|known| fingerprint(origin, known));
        self.marks.set(origin, fingerprint);
    }

    /// What must hold between the tables.
    pub(super) fn check_marks(&self) {
        for (id, origin) in &self.origins {
            let silent = !self.quiet.heard.contains_key(id);
            assert!(
                !silent || self.marks.get(*id) == fingerprint(*id, origin),
                "the mark of {id} is current"
            );
        }
        assert_eq!(self.quiet.queue.len(), self.quiet.heard.len(), "who has spoken waits for silence once");
    }

    pub(crate) const fn root(&self) -> u64 {
        self.marks.root()
    }

    /// Whether this is about the own messages of this epoch. If there are more of them than this process has sent, a
    /// former life used the epoch, and it is left (rule A1).
    pub(super) fn is_current(&self, origin: NodeId, epoch: u64, top: u64, cx: &mut Ctx<'_>) -> bool {
        if origin != self.me || epoch < self.epoch || epoch >= Incarnation::EPOCH_END {
            return false;
        }
        if epoch > self.epoch || top > self.seq {
            cx.signals.push(Signal::EpochUsed(epoch));
        }
        true
    }

    fn reconciliation(&mut self) -> (&mut Sync, Marks<'_>) {
        let Self { sync, marks, origins, cache, .. } = self;
        (sync, Marks { tree: marks, origins, cache })
    }

    /// A member's root, from its ping or ack.
    pub(crate) fn compare_root(&mut self, from: Partner, root: u64, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        let config = cx.config;
        let partner = || peers.receiver(from.id).map(|_| from);
        let (sync, marks) = self.reconciliation();
        sync.on_root(&marks, root, partner, || peers.spread_time(config), cx);
    }

    /// A message of an exchange about marks.
    pub(crate) fn on_reconcile(&mut self, from: Partner, message: &Reconcile<'_>, cx: &mut Ctx<'_>) {
        let (sync, marks) = self.reconciliation();
        sync.on_message(&marks, from, message, cx);
    }

    /// Follows an exchange that found something with one with a random member.
    pub(super) fn go_on_reconciling(&mut self, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        let mut chosen = Vec::new();
        self.choose(1, peers, cx, &mut chosen, |_| true);
        if let Some((id, addr)) = chosen.first().and_then(|id| Some((*id, peers.receiver(*id)?))) {
            let (sync, marks) = self.reconciliation();
            sync.go_on(&marks, Partner { id, addr }, cx);
        }
    }

    /// An item of an exchange: the origin has got so far, and the sender holds what it says from `low` on.
    #[expect(clippy::too_many_arguments, reason = "the fields of one message, and where it came from")]
    pub(super) fn on_mark(
        &mut self,
        from: Partner,
        origin: NodeId,
        epoch: u64,
        low: u64,
        top: u64,
        peers: Peers<'_>,
        cx: &mut Ctx<'_>,
    ) {
        let own = origin == self.me;
        if !(own || peers.is_origin(origin)) {
            return self.ask_record(origin, from, peers, cx);
        }
        if self.is_current(origin, epoch, top, cx) {
            return;
        }
        let known = |origins: &BTreeMap<NodeId, Origin>| {
            origins.get(&origin).and_then(|known| fingerprint(origin, known))
        };
        let before = known(&self.origins);
        if !self.note_ended(origin, epoch, top, cx) {
            self.take_mark(from, origin, epoch, low, top, peers, cx);
        }
        if known(&self.origins) != before {
            // It is old news to others: it takes part in the comparison at once, and the next exchange follows.
            self.hash(origin);
            self.sync.find(cx);
        }
    }
}

impl Broadcast {
    #[expect(clippy::too_many_arguments, reason = "the fields of one message, and where it came from")]
    fn take_mark(
        &mut self,
        from: Partner,
        origin: NodeId,
        epoch: u64,
        low: u64,
        top: u64,
        peers: Peers<'_>,
        cx: &mut Ctx<'_>,
    ) {
        let now = cx.now;
        let Some(state) = self.open(origin, epoch, top + 1, cx) else { return };
        state.seen.learn(top, now, now);
        self.after_learning(origin, epoch, cx);
        if low > 0 {
            let offer = Offer { from: from.id, round: 0, graft: false };
            self.on_offer(Run { origin, epoch, first: low, last: top }, offer, now, peers, cx);
        }
        let held_from = if low == 0 { top + 1 } else { low };
        if held_from > 1 {
            self.refuse(Run { origin, epoch, first: 1, last: held_from - 1 }, from.id, Refusal::Lack, cx);
        }
    }
}

/// The leaf of an origin: its open epochs with their highest numbers.
fn fingerprint(id: NodeId, origin: &Origin) -> Option<u64> {
    let mut bytes = [0; 40];
    bytes[32..].copy_from_slice(&id.0.to_le_bytes());
    let spoken = origin.epochs.iter().filter(|epoch| epoch.seen.top() > 0);
    let mut count = 0;
    for (epoch, chunk) in spoken.zip(bytes.chunks_exact_mut(16)) {
        chunk[..8].copy_from_slice(&epoch.epoch.to_le_bytes());
        chunk[8..].copy_from_slice(&epoch.seen.top().to_le_bytes());
        count += 16;
    }
    if count == 0 { None } else { Some(hash64(&bytes)) }
}

/// The marks, as the reconciliation sees them.
struct Marks<'a> {
    tree: &'a Tree,
    origins: &'a BTreeMap<NodeId, Origin>,
    cache: &'a Cache,
}

impl Table for Marks<'_> {
    fn tree(&self) -> &Tree {
        self.tree
    }

    fn push_item(&self, id: NodeId, letter: &mut DatagramWriter<'_>) -> ItemFate {
        let Some(origin) = self.origins.get(&id) else { return ItemFate::Empty };
        let mut fate = ItemFate::Empty;
        for Epoch { epoch, seen, .. } in origin.epochs.iter().filter(|epoch| epoch.seen.top() > 0) {
            let low = self.cache.of(id, *epoch).next().map_or(0, |(seq, _)| seq);
            let mark = Mark { origin: id, epoch: *epoch, low, top: seen.top() };
            if !letter.push(&mark.into()) {
                return ItemFate::TooLong;
            }
            fate = ItemFate::Packed;
        }
        fate
    }
}
