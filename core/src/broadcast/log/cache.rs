//! The payloads that are kept to serve others, bounded in bytes (rule C5). When bytes are needed, the origin that holds
//! the most loses its oldest messages, so a flood costs only its own origin.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::broadcast::read::Pending;
use crate::id::{MessageId, NodeId};
use crate::time::Time;
use crate::wire::Item;

/// The approximate number of bytes that an entry costs beside its item. They are counted, so that a flood of empty
/// messages is bounded too.
pub(crate) const ENTRY_BYTES: usize = 128;

/// A broadcast that is kept in the cache.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cached {
    item: Box<[u8]>,
    /// The position in the order of delivery; 0 as long as the message is not delivered.
    delivered: u64,
    /// Whether the message must not be dropped, because it waits for its origin's order or for the disk.
    pinned: bool,
    /// Whether the application does not see the origin (rule B5).
    pub(crate) hidden: bool,
    /// The time at which the message was received.
    pub(crate) received: Time,
    /// The round of the repair in which the message was received.
    pub(crate) round: u32,
    /// The number of nodes that have sent the message on its way here.
    pub(crate) hops: u8,
    /// The number of transmissions of the message that wait in the queue.
    queued: u32,
    /// Whether it is an own message whose first phase has not ended.
    pending: bool,
    /// The number of times that the message was requested.
    requests: u8,
}

impl Cached {
    pub(crate) fn new(item: &[u8], received: Time, round: u32, hops: u8) -> Self {
        Self { item: item.into(), received, round, hops, ..Self::default() }
    }

    /// Whether transmissions of the message wait in the queue.
    pub(crate) const fn is_queued(&self) -> bool {
        self.queued > 0
    }

    pub(crate) fn item(&self) -> Item<'_> {
        Item::read(&self.item).expect("an item was read when it was taken")
    }

    /// The length of topic and payload in bytes, as they are sent.
    pub(crate) const fn len(&self) -> usize {
        self.item.len()
    }

    /// Counts a request for the message. Returns the number of requests so far.
    pub(crate) const fn count_request(&mut self) -> u8 {
        self.requests = self.requests.saturating_add(1);
        self.requests
    }

    fn cost(&self) -> usize {
        self.item.len() + ENTRY_BYTES
    }
}

/// The payloads of all origins.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Cache {
    items: BTreeMap<MessageId, Cached>,
    bytes: usize,
    by_origin: BTreeMap<NodeId, usize>,
    by_bytes: BTreeSet<(usize, NodeId)>,
    /// The messages in the order of delivery.
    deliveries: BTreeMap<u64, MessageId>,
    serial: u64,
    pinned: usize,
    pinned_bytes: usize,
    pending: Pending,
}

impl Cache {
    pub(crate) fn get(&self, id: MessageId) -> Option<&Cached> {
        self.items.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: MessageId) -> Option<&mut Cached> {
        self.items.get_mut(&id)
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// The bytes that count against the limit.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number and the bytes of own messages whose first phase has not ended.
    pub(crate) const fn pending(&self) -> Pending {
        self.pending
    }

    /// The number of messages that are pinned.
    pub(crate) const fn pinned(&self) -> usize {
        self.pinned
    }

    /// The bytes of the pinned messages.
    pub(crate) const fn pinned_bytes(&self) -> usize {
        self.pinned_bytes
    }

    /// The origins, beginning with the one that holds the most bytes.
    pub(crate) fn by_bytes(&self) -> impl Iterator<Item = NodeId> {
        self.by_bytes.iter().rev().map(|(_, origin)| *origin)
    }

    pub(crate) fn insert(&mut self, id: MessageId, cached: Cached) {
        self.charge(id.origin, cached.cost(), 0);
        let before = self.items.insert(id, cached);
        assert!(before.is_none(), "a message is taken once");
    }

    fn charge(&mut self, origin: NodeId, more: usize, less: usize) {
        let held = self.by_origin.entry(origin).or_insert(0);
        self.by_bytes.remove(&(*held, origin));
        *held = *held + more - less;
        self.bytes = self.bytes + more - less;
        if *held == 0 {
            self.by_origin.remove(&origin);
        } else {
            self.by_bytes.insert((*held, origin));
        }
    }

    pub(crate) fn remove(&mut self, id: MessageId) -> Option<Cached> {
        self.pin(id, false);
        let cached = self.items.remove(&id)?;
        self.deliveries.remove(&cached.delivered);
        self.charge(id.origin, 0, cached.cost());
        Some(cached)
    }

    /// Protects a message from being dropped, or ends the protection.
    pub(crate) fn pin(&mut self, id: MessageId, pinned: bool) {
        let Some(cached) = self.items.get_mut(&id).filter(|cached| cached.pinned != pinned) else { return };
        cached.pinned = pinned;
        if pinned {
            self.pinned += 1;
            self.pinned_bytes += cached.cost();
        } else {
            self.pinned -= 1;
            self.pinned_bytes -= cached.cost();
        }
    }

    /// Puts a message at the end of the order of delivery.
    pub(crate) fn deliver(&mut self, id: MessageId) {
        if let Some(cached) = self.items.get_mut(&id) {
            self.serial += 1;
            cached.delivered = self.serial;
            self.deliveries.insert(self.serial, id);
        }
    }

    /// Counts a transmission of a message that waits in the queue.
    pub(crate) fn add_queued(&mut self, id: MessageId) {
        if let Some(cached) = self.items.get_mut(&id) {
            cached.queued += 1;
        }
    }

    /// Counts a transmission that has left the queue, sent or not. After the last one the message is no longer pending.
    pub(crate) fn remove_queued(&mut self, id: MessageId) {
        let Some(cached) = self.items.get_mut(&id) else { return };
        cached.queued = cached.queued.saturating_sub(1);
        if cached.queued == 0 && core::mem::take(&mut cached.pending) {
            self.pending.messages -= 1;
            self.pending.bytes -= cached.len();
        }
    }

    /// Counts an own message as pending until all of its first phase has left the queue.
    pub(crate) fn hold_pending(&mut self, id: MessageId) {
        if let Some(cached) = self.items.get_mut(&id).filter(|cached| cached.is_queued()) {
            cached.pending = true;
            self.pending.messages += 1;
            self.pending.bytes += cached.len();
        }
    }

    /// Drops messages until no more than `limit` bytes are held; pinned and pending ones stay.
    pub(crate) fn shrink(&mut self, limit: usize) {
        while self.bytes > limit {
            let droppable = |origin: NodeId| {
                let mut all = self.items.range(origin_range(origin));
                all.find(|(_, cached)| !cached.pinned && !cached.pending).map(|(id, _)| *id)
            };
            let Some(id) = self.by_bytes().find_map(droppable) else {
                return;
            };
            self.remove(id);
        }
    }

    /// Drops all messages of an origin.
    pub(crate) fn remove_all(&mut self, origin: NodeId) {
        let all: Vec<MessageId> = self.items.range(origin_range(origin)).map(|(id, _)| *id).collect();
        all.into_iter().for_each(|id| _ = self.remove(id));
    }

    /// The messages of one origin and epoch, first to last.
    pub(crate) fn of(&self, origin: NodeId, epoch: u64) -> impl DoubleEndedIterator<Item = (u64, &Cached)> {
        let id = |seq| MessageId { origin, epoch, seq };
        self.items.range(id(0)..=id(u64::MAX)).map(|(id, cached)| (id.seq, cached))
    }

    /// The number of the last message of one origin and epoch before `seq`.
    pub(crate) fn before(&self, origin: NodeId, epoch: u64, seq: u64) -> Option<u64> {
        let id = |seq| MessageId { origin, epoch, seq };
        self.items.range(id(0)..id(seq)).next_back().map(|(id, _)| id.seq)
    }

    /// The numbers of the messages of one origin and epoch from `first` to `last`, the last one first.
    pub(crate) fn within(
        &self,
        origin: NodeId,
        epoch: u64,
        first: u64,
        last: u64,
    ) -> impl Iterator<Item = u64> {
        let id = |seq| MessageId { origin, epoch, seq };
        self.items.range(id(first)..=id(last)).rev().map(|(id, _)| id.seq)
    }

    /// All messages, by id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (MessageId, &Cached)> {
        self.items.iter().map(|(id, cached)| (*id, cached))
    }

    /// The messages that have been delivered, the latest first.
    pub(crate) fn latest(&self) -> impl Iterator<Item = (MessageId, &Cached)> {
        self.deliveries.values().rev().filter_map(|id| Some((*id, self.items.get(id)?)))
    }

    /// The message that was delivered first.
    pub(crate) fn oldest(&self) -> Option<(MessageId, &Cached)> {
        let id = self.deliveries.values().next()?;
        Some((*id, self.items.get(id)?))
    }

    pub(crate) fn check(&self) {
        let bytes: usize = self.items.values().map(Cached::cost).sum();
        assert_eq!(bytes, self.bytes, "the bytes of the cache are counted");
        assert_eq!(self.by_origin.values().sum::<usize>(), bytes, "and those of each origin");
        assert_eq!(self.by_bytes.len(), self.by_origin.len(), "each origin has its place");
        let pinned = self.items.values().filter(|cached| cached.pinned).count();
        assert_eq!(pinned, self.pinned, "the pinned are counted");
    }
}

fn origin_range(origin: NodeId) -> core::ops::RangeInclusive<MessageId> {
    MessageId { origin, epoch: 0, seq: 0 }..=MessageId { origin, epoch: u64::MAX, seq: u64::MAX }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::encode_item;

    fn id(origin: u64, seq: u64) -> MessageId {
        MessageId { origin: NodeId(origin), epoch: 1, seq }
    }

    fn cache(ids: &[(u64, u64)]) -> Cache {
        let mut cache = Cache::default();
        for (origin, seq) in ids {
            let item = encode_item(0, "t", &[0; 65]);
            cache.insert(id(*origin, *seq), Cached::new(&item, Time::ZERO, 0, 0));
            cache.deliver(id(*origin, *seq));
        }
        cache
    }

    fn held(cache: &Cache) -> Vec<(u64, u64)> {
        cache.items.keys().map(|id| (id.origin.0, id.seq)).collect()
    }

    #[test]
    fn the_origin_that_holds_most_gives_up_its_oldest() {
        let mut cache = cache(&[(1, 1), (2, 1), (2, 2), (2, 3), (3, 1)]);
        cache.shrink(3 * 200);
        assert_eq!(held(&cache), [(1, 1), (2, 3), (3, 1)]);
        cache.check();
    }

    #[test]
    fn pinned_and_pending_messages_stay() {
        let mut cache = cache(&[(1, 1), (1, 2), (1, 3)]);
        cache.pin(id(1, 1), true);
        cache.add_queued(id(1, 2));
        cache.hold_pending(id(1, 2));
        cache.shrink(0);
        assert_eq!(held(&cache), [(1, 1), (1, 2)]);
        cache.remove_queued(id(1, 2));
        assert_eq!(cache.pending(), Pending::default());
        cache.shrink(0);
        assert_eq!(held(&cache), [(1, 1)]);
        cache.check();
    }

    #[test]
    fn the_latest_delivered_comes_first() {
        let mut cache = cache(&[(1, 1), (2, 1), (1, 2)]);
        let latest = |cache: &Cache| cache.latest().map(|(id, _)| (id.origin.0, id.seq)).collect::<Vec<_>>();
        assert_eq!(latest(&cache), [(1, 2), (2, 1), (1, 1)]);
        cache.remove(id(2, 1));
        assert_eq!(latest(&cache), [(1, 2), (1, 1)]);
        assert_eq!(cache.oldest().map(|(id, _)| id), Some(id(1, 1)));
    }
}
