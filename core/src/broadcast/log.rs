//! The log: everything that is known of the broadcasts of all origins (rules C1, C4 and C5).
//!
//! ```text
//! origin ─► at most two open epochs ─► Seen: a highest number, and the gaps below it
//!        └► the payloads that are kept, and the pieces of incomplete ones
//! ```
//!
//! The log sends nothing and draws no random numbers. It takes messages, opens epochs and gives gaps up. The
//! consequences for others are left as [`Event`]s, which its owner pops in the order in which they arose. Files:
//! [`seen`] (the numbers of one epoch), [`cache`] (payloads), [`reassembly`] (items that came in pieces), [`disk`] (the
//! seen set that survives a restart).

pub(super) mod cache;
mod disk;
mod reassembly;
pub(super) mod seen;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::read::Mark;
use crate::config::{History, Order, PersistSeen};
use crate::context::Ctx;
use crate::id::{Incarnation, MessageId, NodeId, hash64};
use crate::time::Time;
use crate::wire::{self, Run};
use cache::{Cache, Cached};
use disk::SeenSet;
use reassembly::Reassembly;
use seen::{Gap, GivenUp, Offer, Refusal, Seen};

/// Everything that this node knows of the broadcasts of all origins.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Log {
    me: NodeId,
    /// The epoch in which this process sends.
    epoch: u64,
    /// The number of the last own message in that epoch.
    seq: u64,
    origins: BTreeMap<NodeId, Origin>,
    pub(super) cache: Cache,
    pub(super) reassembly: Reassembly,
    pub(super) disk: SeenSet,
    events: VecDeque<Event>,
}

/// The last two epochs of one origin (rule C1).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Origin {
    /// The epochs, in ascending order.
    epochs: SmallVec<[Epoch; 2]>,
}

/// One epoch of one origin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Epoch {
    pub(super) epoch: u64,
    pub(super) seen: Seen,
    /// With [`Order::Origin`], everything up to this number has become ready to be delivered.
    released: u64,
}

/// The result of taking a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// The message is new, and kept from now on.
    New,
    /// The message has been seen before, or was given up.
    Known,
    /// The message cannot be taken now. If it is missing, it stays a gap.
    Refused,
}

/// A consequence of a change of the log, which the owner of the log carries out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Event {
    /// An epoch of this origin was opened.
    Opened(NodeId),
    /// Something was received of an epoch that has ended.
    Stale,
    /// Other members know messages of this node in this epoch that this process has not sent: another process used the
    /// epoch (rule A1).
    EpochUsed(u64),
    /// These messages will never be delivered, and the application must be told.
    Lost(Run),
    /// This message is the next one to be handed to the application.
    Ready(MessageId),
    /// These bytes must be written to disk as the seen set with this serial.
    Store { serial: u64, bytes: Vec<u8> },
}

/// The number up to which messages of an epoch are not wanted, if `seq` is the first number that is heard of the epoch
/// (rule C4). With [`History::Cached`] it is 0, because it is not known yet where the cached history begins.
const fn base(seq: u64, history: History) -> u64 {
    match history {
        History::None => seq - 1,
        History::Cached => 0,
    }
}

/// The number of members that must have refused a gap before it can be given up.
pub(super) fn refusals_needed(cx: &Ctx<'_>) -> usize {
    usize::from(cx.config.broadcast.lost_peers).min(cx.others)
}

impl Log {
    /// Makes an empty log for a process that sends in `epoch`.
    pub(super) fn new(me: NodeId, epoch: u64) -> Self {
        Self {
            me,
            epoch,
            seq: 0,
            origins: BTreeMap::new(),
            cache: Cache::default(),
            reassembly: Reassembly::new(),
            disk: SeenSet::default(),
            events: VecDeque::new(),
        }
    }

    /// The id of this node.
    pub(super) const fn me(&self) -> NodeId {
        self.me
    }

    /// Issues the id of the next own message.
    pub(super) const fn next_id(&mut self) -> MessageId {
        self.seq += 1;
        MessageId { origin: self.me, epoch: self.epoch, seq: self.seq }
    }

    /// Makes this process send in another epoch, beginning with number 1.
    pub(super) const fn use_epoch(&mut self, epoch: u64) {
        self.epoch = epoch;
        self.seq = 0;
    }

    /// Removes and returns the oldest event.
    pub(super) fn pop_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The open epochs of an origin, in ascending order.
    pub(super) fn epochs(&self, origin: NodeId) -> &[Epoch] {
        self.origins.get(&origin).map_or(&[], |known| &known.epochs)
    }

    /// One open epoch of an origin; `None` if it is not open.
    pub(super) fn get(&self, origin: NodeId, epoch: u64) -> Option<&Epoch> {
        self.epochs(origin).iter().find(|known| known.epoch == epoch)
    }

    /// Like [`Log::get`], but the epoch can be changed.
    pub(super) fn get_mut(&mut self, origin: NodeId, epoch: u64) -> Option<&mut Epoch> {
        self.origins.get_mut(&origin)?.epochs.iter_mut().find(|known| known.epoch == epoch)
    }

    /// All origins from `start` on with their open epochs, in the order of ids.
    pub(super) fn origins_from(&self, start: NodeId) -> impl Iterator<Item = (NodeId, &[Epoch])> {
        self.origins.range(start..).map(|(origin, known)| (*origin, known.epochs.as_slice()))
    }

    /// All open epochs of all origins, in the order of ids and epochs.
    pub(super) fn all(&self) -> impl Iterator<Item = (NodeId, &Epoch)> {
        let origins = self.origins_from(NodeId(0));
        origins.flat_map(|(origin, epochs)| epochs.iter().map(move |epoch| (origin, epoch)))
    }

    /// All gaps of an origin.
    pub(super) fn gaps(&self, origin: NodeId) -> impl Iterator<Item = &Gap> {
        self.epochs(origin).iter().flat_map(|epoch| epoch.seen.gaps())
    }

    /// Whether a message belongs to the epoch in which this process sends, so that no other process may send it.
    pub(super) fn is_own(&self, id: MessageId) -> bool {
        id.origin == self.me && id.epoch == self.epoch
    }

    /// Whether news of `origin` is about this node's present epoch or a later one, which others cannot know better. If
    /// `top` is a number that this process has not sent, an event says that another process has used the epoch.
    pub(super) fn is_current(&mut self, origin: NodeId, epoch: u64, top: u64) -> bool {
        if origin != self.me || epoch < self.epoch || epoch >= Incarnation::EPOCH_END {
            return false;
        }
        if epoch > self.epoch || top > self.seq {
            self.events.push_back(Event::EpochUsed(epoch));
        }
        true
    }

    /// Whether a message has been seen, or was given up.
    pub(super) fn has(&self, id: MessageId) -> bool {
        if self.is_own(id) {
            return true;
        }
        match self.get(id.origin, id.epoch) {
            Some(epoch) => epoch.seen.has(id.seq),
            None => self.is_closed(id.origin, id.epoch),
        }
    }

    /// Whether a message is not wanted from others, because it is an own one, or has been seen or given up.
    pub(super) fn is_known(&mut self, id: MessageId) -> bool {
        self.is_current(id.origin, id.epoch, id.seq) || self.has(id)
    }

    /// Whether an epoch can no longer be opened, because it is older than the two that are open, or never, because it is at
    /// the end of the range (rule A3).
    fn is_closed(&self, origin: NodeId, epoch: u64) -> bool {
        epoch >= Incarnation::EPOCH_END || matches!(self.epochs(origin), [oldest, _] if epoch < oldest.epoch)
    }

    /// Whether a later epoch has ended this one, which it does only with [`Order::Origin`].
    fn is_ended(&self, origin: NodeId, epoch: u64, cx: &Ctx<'_>) -> bool {
        let latest = self.epochs(origin).last();
        cx.config.broadcast.order == Order::Origin && latest.is_some_and(|latest| epoch < latest.epoch)
    }

    /// Returns an epoch, and opens it first if `seq` is the first news of it. Returns `None` if the epoch has ended
    /// (rule C1).
    pub(super) fn open(&mut self, origin: NodeId, epoch: u64, seq: u64, cx: &Ctx<'_>) -> Option<&mut Epoch> {
        if self.is_ended(origin, epoch, cx) || self.is_closed(origin, epoch) {
            self.events.push_back(Event::Stale);
            return None;
        }
        if self.get(origin, epoch).is_none() {
            self.begin(origin, epoch, base(seq, cx.config.broadcast.history), cx);
        }
        self.get_mut(origin, epoch)
    }

    /// Opens an epoch. With [`Order::Origin`] the gaps of all earlier epochs are given up, otherwise those of the third
    /// latest.
    fn begin(&mut self, origin: NodeId, epoch: u64, base: u64, cx: &Ctx<'_>) {
        let open = if cx.config.broadcast.order == Order::Origin { 1 } else { 2 };
        let epochs = &mut self.origins.entry(origin).or_default().epochs;
        let place = epochs.partition_point(|older| older.epoch < epoch);
        epochs.insert(place, Epoch { epoch, seen: Seen::new(base), released: base });
        let ended: Vec<u64> = epochs.iter().rev().skip(open).map(|older| older.epoch).collect();
        for ended in ended {
            self.end_gaps(origin, ended, |_| true, cx);
        }
        self.close_oldest(origin);
        self.events.push_back(Event::Opened(origin));
        self.write_ahead(cx);
    }

    fn close_oldest(&mut self, origin: NodeId) {
        if let Some(known) = self.origins.get_mut(&origin)
            && known.epochs.len() > 2
        {
            known.epochs.remove(0);
        }
    }

    /// Handles news of an epoch that a later one has ended: numbers up to `top` that were not known are lost at once.
    /// Returns false if no later epoch has ended it.
    pub(super) fn note_ended(&mut self, origin: NodeId, epoch: u64, top: u64, cx: &Ctx<'_>) -> bool {
        if !self.is_ended(origin, epoch, cx) {
            return false;
        }
        if let Some(older) = self.get_mut(origin, epoch) {
            older.seen.learn(top, cx.now, cx.now);
        } else if let Some(known) = self.origins.get_mut(&origin) {
            let place = known.epochs.partition_point(|older| older.epoch < epoch);
            known.epochs.insert(place, Epoch { epoch, seen: Seen::over(top), released: top });
            self.close_oldest(origin);
        }
        self.give_up(origin, epoch, |_| true, cx);
        true
    }

    /// Takes a message that `from` has sent here. The numbers that are missing before it become gaps; they are
    /// requested later, from `from` first.
    pub(super) fn take(&mut self, id: MessageId, cached: Cached, from: NodeId, cx: &Ctx<'_>) -> Taken {
        let due = cx.now + cx.config.broadcast.request_delay;
        let Some(epoch) = self.open(id.origin, id.epoch, id.seq, cx) else { return Taken::Refused };
        let first = epoch.seen.top() + 1;
        if !epoch.seen.take(id.seq, cx.now, due) {
            return Taken::Known;
        }
        if first < id.seq {
            let offer = Offer { from, round: 0, graft: false };
            epoch.seen.within(first, id.seq - 1).iter_mut().for_each(|gap| gap.add(offer));
        }
        self.reassembly.remove(id.into());
        self.keep(id, cached, cx);
        Taken::New
    }

    /// Takes a new message of this node.
    pub(super) fn take_own(&mut self, id: MessageId, cached: Cached, cx: &Ctx<'_>) {
        if let Some(epoch) = self.open(id.origin, id.epoch, id.seq, cx) {
            epoch.seen.take(id.seq, cx.now, cx.now);
        }
        self.keep(id, cached, cx);
    }

    fn keep(&mut self, id: MessageId, cached: Cached, cx: &Ctx<'_>) {
        self.cache.insert(id, cached);
        self.disk.change();
        match cx.config.broadcast.order {
            Order::Arrival => self.make_ready(id, cx),
            Order::Origin => {
                self.cache.pin(id, true);
                self.release(id.origin, id.epoch, cx);
            }
        }
        self.write_ahead(cx);
    }

    /// Makes the messages ready that were held back for their order, up to the first gap.
    fn release(&mut self, origin: NodeId, epoch: u64, cx: &Ctx<'_>) {
        if cx.config.broadcast.order == Order::Arrival {
            return;
        }
        let Some(known) = self.get_mut(origin, epoch) else { return };
        let (first, last) = (known.released + 1, known.seen.contiguous());
        known.released = known.released.max(last);
        if first > last {
            return;
        }
        let ready: Vec<u64> = self.cache.within(origin, epoch, first, last).collect();
        for seq in ready.into_iter().rev() {
            let id = MessageId { origin, epoch, seq };
            self.cache.pin(id, false);
            self.make_ready(id, cx);
        }
    }

    /// Makes a message ready for the application, at once or when the seen set that contains it is durable (rule C2).
    fn make_ready(&mut self, id: MessageId, cx: &Ctx<'_>) {
        if cx.config.broadcast.persist_seen == PersistSeen::BeforeDelivery {
            self.cache.pin(id, true);
            self.disk.wait(id);
        } else {
            self.events.push_back(Event::Ready(id));
        }
    }

    /// Writes the seen set if messages wait for it.
    fn write_ahead(&mut self, cx: &Ctx<'_>) {
        if cx.config.broadcast.persist_seen == PersistSeen::BeforeDelivery {
            self.write(cx);
        }
    }

    /// Writes the seen set to disk if it has changed. If a write is under way, the next one follows it.
    pub(super) fn write(&mut self, cx: &Ctx<'_>) {
        if let Some(serial) = self.disk.begin_write(cx.config.broadcast.persist_seen) {
            let bytes = self.encode_seen();
            self.events.push_back(Event::Store { serial, bytes });
        }
    }

    /// Makes the messages ready that have waited until the seen set with this serial was durable.
    pub(super) fn on_stored(&mut self, serial: u64, cx: &Ctx<'_>) {
        self.disk.end_write(serial);
        while let Some(id) = self.disk.pop_waiting(serial) {
            self.events.push_back(Event::Ready(id));
        }
        self.write(cx);
    }

    /// Notes that `by` cannot serve these messages. Returns when to ask the next member, if any of them are missing.
    /// Gaps that may predate this node are given up once enough members no longer hold them (rule C4).
    pub(super) fn refuse(&mut self, run: Run, by: NodeId, why: Refusal, cx: &Ctx<'_>) -> Option<Time> {
        let patience = cx.config.broadcast.request_timeout / 4;
        let known = self.get_mut(run.origin, run.epoch)?;
        let mut due = None;
        for gap in known.seen.within(run.first, run.last) {
            gap.refuse(by, why);
            let next = if gap.sources.is_empty() { cx.now + patience } else { cx.now };
            gap.due = gap.due.min(next);
            due = Some(due.map_or(gap.due, |due: Time| due.min(gap.due)));
        }
        self.give_up(run.origin, run.epoch, |_| false, cx);
        due
    }

    /// Gives up the gaps that predate this node, and those that are `hopeless`.
    pub(super) fn give_up(
        &mut self,
        origin: NodeId,
        epoch: u64,
        hopeless: impl FnMut(&Gap) -> bool,
        cx: &Ctx<'_>,
    ) {
        self.end_gaps(origin, epoch, hopeless, cx);
        self.write_ahead(cx);
    }

    fn end_gaps(&mut self, origin: NodeId, epoch: u64, hopeless: impl FnMut(&Gap) -> bool, cx: &Ctx<'_>) {
        let mut given_up = Vec::new();
        let Some(known) = self.get_mut(origin, epoch) else { return };
        known.seen.give_up(refusals_needed(cx), hopeless, &mut given_up);
        self.lose(origin, epoch, &given_up, cx);
    }

    /// Gives up the oldest gaps of an epoch that has too many (rule C1). Returns when the first of the others is due.
    pub(super) fn bound_gaps(&mut self, origin: NodeId, epoch: u64, cx: &Ctx<'_>) -> Option<Time> {
        let mut given_up = Vec::new();
        let known = self.get_mut(origin, epoch)?;
        known.seen.bound(&mut given_up);
        let due = known.seen.gaps().iter().map(|gap| gap.due).min();
        self.lose(origin, epoch, &given_up, cx);
        self.write_ahead(cx);
        due
    }

    /// Reports the lost messages, and makes the messages ready that have waited for them.
    fn lose(&mut self, origin: NodeId, epoch: u64, given_up: &[GivenUp], cx: &Ctx<'_>) {
        if given_up.is_empty() {
            return;
        }
        for GivenUp { first, last, .. } in given_up.iter().copied().filter(|gap| gap.told) {
            self.events.push_back(Event::Lost(Run { origin, epoch, first, last }));
        }
        self.disk.change();
        self.release(origin, epoch, cx);
    }

    /// The first gap of the origin whose messages take the most bytes in the cache, among the origins that have gaps.
    pub(super) fn costliest_gap(&self) -> Option<Run> {
        self.cache.by_bytes().find_map(|origin| {
            self.epochs(origin).iter().find_map(|Epoch { epoch, seen, .. }| {
                let Gap { first, last, .. } = *seen.gaps().first()?;
                Some(Run { origin, epoch: *epoch, first, last })
            })
        })
    }

    /// The ranges of an epoch that this node has never held, as far as it remembers, in ascending order.
    pub(super) fn never_had(&self, origin: NodeId, epoch: u64) -> Vec<(u64, u64)> {
        self.get(origin, epoch).map_or_else(|| vec![(1, u64::MAX)], |known| known.seen.never_had())
    }

    /// The fingerprint of an origin's marks, which are its open epochs with their highest numbers; `None` if it has no
    /// open epoch.
    pub(super) fn fingerprint(&self, origin: NodeId) -> Option<u64> {
        let mut bytes = [0; 40];
        bytes[32..].copy_from_slice(&origin.0.to_le_bytes());
        let mut chunks = bytes.chunks_exact_mut(16);
        let mut some = false;
        for epoch in self.epochs(origin).iter().filter(|epoch| epoch.seen.top() > 0) {
            let Some(chunk) = chunks.next() else { break };
            chunk[..8].copy_from_slice(&epoch.epoch.to_le_bytes());
            chunk[8..].copy_from_slice(&epoch.seen.top().to_le_bytes());
            some = true;
        }
        some.then(|| hash64(&bytes))
    }

    /// The marks of an origin in the form in which they are sent, one for each open epoch.
    pub(super) fn marks_of(&self, origin: NodeId) -> impl Iterator<Item = wire::Mark> {
        self.epochs(origin).iter().filter(|known| known.seen.top() > 0).map(move |known| {
            let low = self.cache.of(origin, known.epoch).next().map_or(0, |(seq, _)| seq);
            wire::Mark { origin, epoch: known.epoch, low, top: known.seen.top() }
        })
    }

    /// Forgets an origin, its payloads included.
    pub(super) fn forget(&mut self, origin: NodeId) {
        self.origins.remove(&origin);
        self.cache.remove_all(origin);
    }

    /// Checks the invariants between the numbers and the payloads.
    pub(super) fn check(&self) {
        self.cache.check();
        for (_, epochs) in self.origins_from(NodeId(0)) {
            assert!(epochs.is_sorted_by_key(|epoch| epoch.epoch), "epochs ascend");
            assert!(epochs.len() <= 2, "two epochs are open");
            epochs.iter().for_each(|epoch| epoch.seen.check());
        }
        for (id, _) in self.cache.iter() {
            let epoch = self.get(id.origin, id.epoch);
            assert!(epoch.is_none_or(|epoch| epoch.seen.has(id.seq)), "{id} is cached, so it has been seen");
        }
        assert!(self.events.is_empty(), "what follows from a change has been done");
    }
}

impl Epoch {
    /// The mark of this epoch as the application sees it.
    pub(super) fn mark(&self, origin: NodeId) -> Mark {
        Mark {
            origin,
            epoch: self.epoch,
            contiguous: self.seen.contiguous(),
            highest: self.seen.top(),
            gaps: self.seen.gaps().iter().map(|gap| (gap.first, gap.last)).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
