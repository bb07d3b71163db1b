//! The queue: the messages that wait to be sent to each receiver, and the limit of the rate at which they are sent.
//!
//! A queued message waits until it is due: at once, after `batch`, or, for an announcement, after the tree has had time
//! to bring the message. A datagram that is sent to the receiver earlier carries the message as well. A token bucket
//! limits the bytes per second, so that a flood of broadcasts leaves bandwidth to the other machines; when tokens are
//! short, the receivers take turns.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::Tools;
use super::super::log::cache::{Cache, Cached};
use crate::config::BroadcastConfig;
use crate::context::Ctx;
use crate::id::{MessageId, NodeId};
use crate::limits::{FRAGMENT_BYTES, QUEUE_MAX};
use crate::time::{Time, nanos};
use crate::wire::{self, Gone, IHave, Lack, Message, Part, Prune, Publish, PushAck, Run, Runs, fragments};

/// A message that waits to be sent to one receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Transmission {
    id: MessageId,
    flags: u8,
    /// The pieces of a long message that are still to be sent, one bit for each.
    parts: u128,
}

/// The queue of one receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct PeerQueue {
    due: Time,
    transmissions: VecDeque<Transmission>,
    announced: Vec<MessageId>,
    acknowledged: Vec<MessageId>,
    gone: Vec<Run>,
    lack: Vec<Run>,
    prune: bool,
}

impl PeerQueue {
    fn is_empty(&self) -> bool {
        self.transmissions.is_empty()
            && self.announced.is_empty()
            && self.acknowledged.is_empty()
            && self.gone.is_empty()
            && self.lack.is_empty()
            && !self.prune
    }
}

/// The queues of all receivers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Queue {
    peers: BTreeMap<NodeId, PeerQueue>,
    /// The number of transmissions that wait.
    transmissions: usize,
    /// The bytes that may be sent at once, as computed at `reckoned`.
    tokens: u64,
    reckoned: Time,
    /// The receiver that is served first when not all can be served.
    turn: NodeId,
    /// A buffer that is reused while ids are written as runs.
    #[serde(skip)]
    bytes: Vec<u8>,
}

/// The greatest numbers of announcements, of acknowledgements and of refusals that are kept for one receiver. Further
/// ones are dropped, and the repair finds the messages.
const SMALL_MAX: usize = 256;

/// The bucket holds at most the bytes of one second divided by this number.
const BURST: u64 = 8;

/// The time to wait for tokens when there are none.
const REFILL: Duration = Duration::from_millis(5);

/// The number of transmissions at the end of a queue that are searched for the same message.
const SEARCHED_MAX: usize = 64;

impl Queue {
    pub(crate) fn new(settings: &BroadcastConfig) -> Self {
        Self {
            peers: BTreeMap::new(),
            transmissions: 0,
            tokens: u64::from(settings.rate_bytes_max) / BURST,
            reckoned: Time::ZERO,
            turn: NodeId::NOBODY,
            bytes: Vec::new(),
        }
    }

    /// The number of transmissions that wait.
    pub(crate) const fn len(&self) -> usize {
        self.transmissions
    }

    /// Whether `more` further transmissions may wait.
    pub(crate) const fn has_room(&self, more: usize) -> bool {
        self.transmissions + more <= QUEUE_MAX
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    pub(crate) fn has_for(&self, receiver: NodeId) -> bool {
        self.peers.contains_key(&receiver)
    }

    fn peer(&mut self, to: NodeId, due: Time) -> &mut PeerQueue {
        let peer = self.peers.entry(to).or_insert_with(|| PeerQueue { due, ..PeerQueue::default() });
        peer.due = peer.due.min(due);
        peer
    }

    /// Queues a message that is in the cache.
    pub(crate) fn send(
        &mut self,
        to: NodeId,
        id: MessageId,
        flags: u8,
        due: Time,
        tools: &mut Tools<'_, '_>,
    ) {
        let Some(cached) = tools.log.cache.get(id) else { return };
        let count =
            u32::try_from(cached.len().div_ceil(FRAGMENT_BYTES).max(1)).expect("an item has few fragments");
        let transmission = Transmission { id, flags, parts: u128::MAX >> (u128::BITS - count) };
        self.add(to, transmission, due, tools);
    }

    /// Queues some pieces of a long message that is in the cache.
    pub(crate) fn send_parts(&mut self, to: NodeId, id: MessageId, parts: u128, tools: &mut Tools<'_, '_>) {
        self.add(to, Transmission { id, flags: 0, parts }, tools.cx.now, tools);
    }

    /// Queues a transmission, unless the queue is full. If the same message waits for the same receiver already, the
    /// two are merged.
    fn add(&mut self, to: NodeId, transmission: Transmission, due: Time, tools: &mut Tools<'_, '_>) {
        if !self.has_room(1) {
            tools.cx.stats.broadcasts_unqueued += 1;
            return;
        }
        let waiting = &mut self.peer(to, due).transmissions;
        let same = |other: &&mut Transmission| other.id == transmission.id;
        if let Some(queued) = waiting.iter_mut().rev().take(SEARCHED_MAX).find(same) {
            queued.parts |= transmission.parts;
            queued.flags |= transmission.flags;
            return;
        }
        waiting.push_back(transmission);
        self.transmissions += 1;
        tools.log.cache.add_queued(transmission.id);
    }

    /// Queues an announcement of a message.
    pub(crate) fn announce(&mut self, to: NodeId, id: MessageId, due: Time) {
        let announced = &mut self.peer(to, due).announced;
        if announced.len() < SMALL_MAX && !announced.contains(&id) {
            announced.push(id);
        }
    }

    /// Drops the announcement of a message to a receiver that has it.
    pub(crate) fn forget_announcement(&mut self, to: NodeId, id: MessageId) {
        if let Some(peer) = self.peers.get_mut(&to) {
            peer.announced.retain(|waiting| *waiting != id);
            if peer.is_empty() {
                self.peers.remove(&to);
            }
        }
    }

    /// Queues an acknowledgement of a push.
    pub(crate) fn acknowledge(&mut self, to: NodeId, id: MessageId, due: Time) {
        let acknowledged = &mut self.peer(to, due).acknowledged;
        if acknowledged.len() < SMALL_MAX {
            acknowledged.push(id);
        }
    }

    /// Queues a refusal of messages that this node no longer holds.
    pub(crate) fn gone(&mut self, to: NodeId, run: Run, due: Time) {
        add_run(&mut self.peer(to, due).gone, run);
    }

    /// Queues a refusal of messages that this node has never held.
    pub(crate) fn lack(&mut self, to: NodeId, run: Run, due: Time) {
        add_run(&mut self.peer(to, due).lack, run);
    }

    /// Queues a prune of the edge from the member `to`.
    pub(crate) fn prune(&mut self, to: NodeId, due: Time) {
        self.peer(to, due).prune = true;
    }

    /// Drops everything that waits for a receiver.
    pub(crate) fn drop_receiver(&mut self, id: NodeId, cache: &mut Cache) {
        let Some(peer) = self.peers.remove(&id) else { return };
        self.transmissions -= peer.transmissions.len();
        peer.transmissions.iter().for_each(|transmission| cache.remove_queued(transmission.id));
    }

    /// Drops everything that waits.
    pub(crate) fn clear(&mut self, cache: &mut Cache) {
        while let Some(to) = self.peers.keys().next().copied() {
            self.drop_receiver(to, cache);
        }
    }

    /// The time at which the next message is due and may be sent.
    pub(crate) fn next(&self) -> Option<Time> {
        let due = self.peers.values().map(|peer| peer.due).min()?;
        Some(if self.tokens == 0 { due.max(self.reckoned + REFILL) } else { due })
    }

    /// Makes everything that waits due now.
    pub(crate) fn hasten(&mut self) {
        self.peers.values_mut().for_each(|peer| peer.due = Time::ZERO);
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

    /// Sends the messages that are due, as far as the tokens go.
    pub(crate) fn flush(
        &mut self,
        cache: &mut Cache,
        address: impl Fn(NodeId) -> Option<SocketAddr>,
        cx: &mut Ctx<'_>,
    ) {
        if self.next().is_none_or(|due| due > cx.now) {
            return;
        }
        self.refill(cx);
        let due = |(id, peer): (&NodeId, &PeerQueue)| (peer.due <= cx.now).then_some(*id);
        let mut receivers: Vec<NodeId> = self.peers.range(self.turn..).filter_map(due).collect();
        receivers.extend(self.peers.range(..self.turn).filter_map(due));
        for to in receivers {
            let Some(addr) = address(to) else {
                self.drop_receiver(to, cache);
                continue;
            };
            while self.has_for(to) {
                if self.tokens == 0 {
                    self.turn = to;
                    return;
                }
                let mut datagram = cx.datagram(addr, to);
                self.pack(to, cache, |message| datagram.push(message));
                if datagram.is_empty() {
                    break;
                }
                self.tokens = self.tokens.saturating_sub(datagram.len() as u64);
                datagram.send();
            }
        }
    }

    /// Offers the messages that wait for `to` to a datagram; `push` returns whether a message fitted.
    pub(crate) fn pack(&mut self, to: NodeId, cache: &mut Cache, mut push: impl FnMut(&Message<'_>) -> bool) {
        let Some(peer) = self.peers.get_mut(&to) else { return };
        if peer.prune && push(&Prune.into()) {
            peer.prune = false;
        }
        let bytes = &mut self.bytes;
        pack_runs(&mut peer.acknowledged, bytes, |id| Run::one(*id), |runs| PushAck(runs).into(), &mut push);
        pack_runs(&mut peer.announced, bytes, |id| Run::one(*id), |runs| IHave(runs).into(), &mut push);
        pack_runs(&mut peer.gone, bytes, |run| *run, |runs| Gone(runs).into(), &mut push);
        pack_runs(&mut peer.lack, bytes, |run| *run, |runs| Lack(runs).into(), &mut push);
        while let Some(transmission) = peer.transmissions.front_mut() {
            let cached = cache.get(transmission.id);
            if cached.is_some_and(|cached| !transmission.pack(cached, &mut push)) {
                break;
            }
            cache.remove_queued(transmission.id);
            peer.transmissions.pop_front();
            self.transmissions -= 1;
        }
        if peer.is_empty() {
            self.peers.remove(&to);
        }
    }
}

fn add_run(runs: &mut Vec<Run>, run: Run) {
    if runs.len() < SMALL_MAX && !runs.contains(&run) {
        runs.push(run);
    }
}

/// Sends as many ids as fit in one message of runs; the other ids stay.
fn pack_runs<T: Ord>(
    ids: &mut Vec<T>,
    bytes: &mut Vec<u8>,
    run: impl Fn(&T) -> Run,
    message: fn(Runs<'_>) -> Message<'_>,
    push: &mut impl FnMut(&Message<'_>) -> bool,
) {
    ids.sort_unstable();
    let mut count = ids.len();
    while count > 0 {
        bytes.clear();
        put_merged(bytes, ids[..count].iter().map(&run));
        if push(&message(Runs::of(bytes))) {
            ids.drain(..count);
            return;
        }
        count /= 2;
    }
}

/// Appends runs, which must be in order, and joins neighbouring ones.
pub(crate) fn put_merged(bytes: &mut Vec<u8>, runs: impl Iterator<Item = Run>) {
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

impl Transmission {
    /// Puts a message, or the next pieces of a long one, into a datagram. Returns whether all of the message has been
    /// sent.
    fn pack(&mut self, cached: &Cached, push: &mut impl FnMut(&Message<'_>) -> bool) -> bool {
        let (Self { id, flags, .. }, item) = (*self, cached.item());
        let hops = cached.hops.saturating_add(1);
        if item.bytes().len() <= FRAGMENT_BYTES {
            return push(&Publish { id, hops, flags, item }.into());
        }
        let Some(parts) = fragments(id.into(), item.bytes()) else { return true };
        for part in parts {
            let bit = 1 << part.index;
            if self.parts & bit == 0 {
                continue;
            }
            if !push(&Part { hops, flags, part }.into()) {
                return false;
            }
            self.parts &= !bit;
        }
        true
    }
}
