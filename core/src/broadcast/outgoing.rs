//! What waits to be sent, by receiver, and how fast it may go.
//!
//! A parcel waits until its receiver's time has come: at once, after `batch`, or, of an announcement, when the tree
//! has had its time. Whatever is sent to that receiver before takes it along. A bucket of bytes bounds the rate, so
//! that a flood of broadcasts leaves the wire to the others; receivers then take turns.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::cache::Cache;
use crate::config::BroadcastConfig;
use crate::context::Ctx;
use crate::id::{MessageId, NodeId};
use crate::limits::{FRAGMENT_BYTES, QUEUE_MAX};
use crate::time::{Time, nanos};
use crate::wire::{self, Gone, IHave, Lack, Message, Part, Prune, PushAck, Run, Runs, fragments};

/// A broadcast on its way to one receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Publish {
    pub(super) id: MessageId,
    pub(super) flags: u8,
    /// Of a long one: the pieces that are still to be sent, a bit each.
    pub(super) parts: u128,
}

/// What waits for one receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Parcels {
    due: Time,
    publishes: VecDeque<Publish>,
    have: Vec<MessageId>,
    acks: Vec<MessageId>,
    gone: Vec<Run>,
    lack: Vec<Run>,
    prune: bool,
}

impl Parcels {
    fn is_empty(&self) -> bool {
        self.publishes.is_empty() && self.is_small()
    }

    /// Nothing but publishes waits.
    const fn is_small(&self) -> bool {
        self.have.is_empty()
            && self.acks.is_empty()
            && self.gone.is_empty()
            && self.lack.is_empty()
            && !self.prune
    }
}

/// Everything that waits.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Outgoing {
    parcels: BTreeMap<NodeId, Parcels>,
    publishes: usize,
    /// Bytes that may be sent at once, and when that was reckoned.
    tokens: u64,
    reckoned: Time,
    /// Who comes first when not all can be served.
    turn: NodeId,
    /// Reused while ids are written as runs.
    #[serde(skip)]
    bytes: Vec<u8>,
}

/// Announcements, acks and refusals kept for one receiver; further ones are dropped, the repair finds the rest.
const SMALL_MAX: usize = 256;

/// This part of a second's bytes may go at once.
const BURST: u64 = 8;

/// How long to wait for bytes when there are none.
const REFILL: Duration = Duration::from_millis(5);

impl Outgoing {
    pub(super) fn new(settings: &BroadcastConfig) -> Self {
        Self { tokens: u64::from(settings.rate_bytes_max) / BURST, ..Self::empty() }
    }

    pub(super) const fn empty() -> Self {
        Self {
            parcels: BTreeMap::new(),
            publishes: 0,
            tokens: 0,
            reckoned: Time::ZERO,
            turn: NodeId::NOBODY,
            bytes: Vec::new(),
        }
    }

    /// Publishes that wait.
    pub(super) const fn publishes(&self) -> usize {
        self.publishes
    }

    /// Whether so many more publishes may wait.
    pub(super) const fn has_room(&self, more: usize) -> bool {
        self.publishes + more <= QUEUE_MAX
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parcels.is_empty()
    }

    pub(super) fn has_for(&self, receiver: NodeId) -> bool {
        self.parcels.contains_key(&receiver)
    }

    fn parcels(&mut self, to: NodeId, due: Time) -> &mut Parcels {
        let parcels = self.parcels.entry(to).or_insert_with(|| Parcels { due, ..Parcels::default() });
        parcels.due = parcels.due.min(due);
        parcels
    }

    /// Queues a broadcast; false if it is queued for that receiver already, or the queue is full.
    pub(super) fn publish(&mut self, to: NodeId, publish: Publish, due: Time) -> bool {
        if !self.has_room(1) {
            return false;
        }
        let parcels = self.parcels(to, due);
        if let Some(queued) =
            parcels.publishes.iter_mut().rev().take(64).find(|queued| queued.id == publish.id)
        {
            queued.parts |= publish.parts;
            queued.flags |= publish.flags;
            return false;
        }
        parcels.publishes.push_back(publish);
        self.publishes += 1;
        true
    }

    pub(super) fn have(&mut self, to: NodeId, id: MessageId, due: Time) {
        let have = &mut self.parcels(to, due).have;
        if have.len() < SMALL_MAX && !have.contains(&id) {
            have.push(id);
        }
    }

    /// An announcement to this receiver is not needed any more: it has the message.
    pub(super) fn forget_have(&mut self, to: NodeId, id: MessageId) {
        if let Some(parcels) = self.parcels.get_mut(&to) {
            parcels.have.retain(|waiting| *waiting != id);
            if parcels.is_empty() {
                self.parcels.remove(&to);
            }
        }
    }

    pub(super) fn ack(&mut self, to: NodeId, id: MessageId, due: Time) {
        let acks = &mut self.parcels(to, due).acks;
        if acks.len() < SMALL_MAX {
            acks.push(id);
        }
    }

    pub(super) fn gone(&mut self, to: NodeId, run: Run, due: Time) {
        let gone = &mut self.parcels(to, due).gone;
        if gone.len() < SMALL_MAX && !gone.contains(&run) {
            gone.push(run);
        }
    }

    pub(super) fn lack(&mut self, to: NodeId, run: Run, due: Time) {
        let lack = &mut self.parcels(to, due).lack;
        if lack.len() < SMALL_MAX && !lack.contains(&run) {
            lack.push(run);
        }
    }

    pub(super) fn prune(&mut self, to: NodeId, due: Time) {
        self.parcels(to, due).prune = true;
    }

    /// Forgets what waits for somebody; the ids of the broadcasts among it.
    pub(super) fn drop_receiver(&mut self, id: NodeId) -> VecDeque<Publish> {
        let publishes = self.parcels.remove(&id).map(|parcels| parcels.publishes).unwrap_or_default();
        self.publishes -= publishes.len();
        publishes
    }

    /// Forgets everything that waits; the ids of the broadcasts among it.
    pub(super) fn clear(&mut self) -> Vec<MessageId> {
        self.publishes = 0;
        let parcels = core::mem::take(&mut self.parcels);
        parcels.into_values().flat_map(|parcels| parcels.publishes).map(|publish| publish.id).collect()
    }

    /// When the next parcel is due and may be sent.
    pub(super) fn next(&self) -> Option<Time> {
        if self.parcels.is_empty() {
            return None;
        }
        let due = self.parcels.values().map(|parcels| parcels.due).min()?;
        Some(if self.tokens == 0 { due.max(self.reckoned + REFILL) } else { due })
    }

    /// Everything is due.
    pub(super) fn hurry(&mut self) {
        self.parcels.values_mut().for_each(|parcels| parcels.due = Time::ZERO);
    }

    fn refill(&mut self, cx: &Ctx<'_>) {
        let rate = u128::from(cx.config.broadcast.rate_bytes_max);
        let passed = u128::from(nanos(cx.now.since(self.reckoned)));
        let gained = u64::try_from(rate * passed / 1_000_000_000).unwrap_or(u64::MAX);
        if gained > 0 || self.tokens == 0 {
            self.reckoned = cx.now;
            self.tokens =
                self.tokens.saturating_add(gained).min(u64::from(cx.config.broadcast.rate_bytes_max) / BURST);
        }
    }

    /// Sends what is due, as far as the bytes go. `sent` is told each broadcast that has left the queue.
    pub(super) fn flush(
        &mut self,
        cache: &Cache,
        address: impl Fn(NodeId) -> Option<SocketAddr>,
        cx: &mut Ctx<'_>,
        sent: &mut impl FnMut(MessageId),
    ) {
        self.refill(cx);
        let due = |(id, parcels): (&NodeId, &Parcels)| (parcels.due <= cx.now).then_some(*id);
        let mut receivers: Vec<NodeId> = self.parcels.range(self.turn..).filter_map(due).collect();
        receivers.extend(self.parcels.range(..self.turn).filter_map(due));
        for to in receivers {
            let Some(addr) = address(to) else {
                self.drop_receiver(to).iter().for_each(|publish| sent(publish.id));
                continue;
            };
            while self.has_for(to) {
                if self.tokens == 0 {
                    self.turn = to;
                    return;
                }
                let mut letter = cx.letter(addr, to);
                self.pack(to, cache, |message| letter.push(message), sent);
                if letter.is_empty() {
                    break;
                }
                self.tokens = self.tokens.saturating_sub(letter.len() as u64);
                letter.send();
            }
        }
    }

    /// Offers a datagram to `to` what waits for it; `push` says whether one has fitted.
    pub(super) fn pack(
        &mut self,
        to: NodeId,
        cache: &Cache,
        mut push: impl FnMut(&Message<'_>) -> bool,
        sent: &mut impl FnMut(MessageId),
    ) {
        let Some(parcels) = self.parcels.get_mut(&to) else { return };
        if parcels.prune && push(&Prune.into()) {
            parcels.prune = false;
        }
        let bytes = &mut self.bytes;
        pack_runs(&mut parcels.acks, bytes, |id| Run::one(*id), &mut push, Kind::PushAck);
        pack_runs(&mut parcels.have, bytes, |id| Run::one(*id), &mut push, Kind::IHave);
        pack_runs(&mut parcels.gone, bytes, |run| *run, &mut push, Kind::Gone);
        pack_runs(&mut parcels.lack, bytes, |run| *run, &mut push, Kind::Lack);
        while let Some(publish) = parcels.publishes.front_mut() {
            let whole = match cache.get(publish.id) {
                Some(cached) => {
                    push_publish(publish, cached.item(), cached.hops.saturating_add(1), &mut push)
                }
                None => true,
            };
            if !whole {
                break;
            }
            sent(publish.id);
            parcels.publishes.pop_front();
            self.publishes -= 1;
        }
        if parcels.is_empty() {
            self.parcels.remove(&to);
        }
    }
}

/// What is said of some ids.
#[derive(Clone, Copy, Debug)]
enum Kind {
    PushAck,
    IHave,
    Gone,
    Lack,
}

/// Writes ids as runs, as many as fit; the rest stays.
fn pack_runs<T: Ord>(
    ids: &mut Vec<T>,
    bytes: &mut Vec<u8>,
    run: impl Fn(&T) -> Run,
    push: &mut impl FnMut(&Message<'_>) -> bool,
    kind: Kind,
) {
    if ids.is_empty() {
        return;
    }
    ids.sort_unstable();
    let mut count = ids.len();
    while count > 0 {
        bytes.clear();
        put_merged(bytes, ids[..count].iter().map(&run));
        let runs = Runs::of(bytes);
        let message = match kind {
            Kind::PushAck => PushAck(runs).into(),
            Kind::IHave => IHave(runs).into(),
            Kind::Gone => Gone(runs).into(),
            Kind::Lack => Lack(runs).into(),
        };
        if push(&message) {
            ids.drain(..count);
            return;
        }
        count /= 2;
    }
}

/// Writes runs in order, neighbours as one.
pub(super) fn put_merged(bytes: &mut Vec<u8>, runs: impl Iterator<Item = Run>) {
    let mut open: Option<Run> = None;
    for run in runs {
        match &mut open {
            Some(before)
                if (before.origin, before.epoch) == (run.origin, run.epoch)
                    && before.last + 1 == run.first =>
            {
                before.last = run.last;
            }
            _ => {
                if let Some(before) = open.replace(run) {
                    wire::put_run(bytes, before);
                }
            }
        }
    }
    if let Some(before) = open {
        wire::put_run(bytes, before);
    }
}

/// Puts a broadcast into a datagram, or the next pieces of a long one; whether all of it has been sent now.
fn push_publish(
    publish: &mut Publish,
    item: wire::Item<'_>,
    hops: u8,
    push: &mut impl FnMut(&Message<'_>) -> bool,
) -> bool {
    let Publish { id, flags, .. } = *publish;
    if item.bytes().len() <= FRAGMENT_BYTES {
        return push(&wire::Publish { id, hops, flags, item }.into());
    }
    let Some(parts) = fragments(id.into(), item.bytes()) else { return true };
    for part in parts {
        let bit = 1 << part.index;
        if publish.parts & bit == 0 {
            continue;
        }
        if !push(&Part { hops, flags, part }.into()) {
            return false;
        }
        publish.parts &= !bit;
    }
    true
}
