//! The payloads that are kept to serve others, bounded in bytes (rule C5): when the bytes are needed, the origin that
//! holds most gives up its oldest, so one flood costs only itself.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::id::{MessageId, NodeId};
use crate::time::Time;
use crate::wire::Item;

/// What an entry costs beside its bytes, roughly; counted, so that a flood of empty messages is bounded too.
pub(super) const ENTRY_BYTES: usize = 128;

/// A broadcast that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cached {
    item: Box<[u8]>,
    /// Place in the order of delivery; 0 while it is not delivered.
    delivered: u64,
    /// Not to be dropped: it waits for its origin's order, or for the disk.
    pinned: bool,
    /// The application does not see its origin (rule B5).
    pub(super) hidden: bool,
    pub(super) received: Time,
    /// The repair's round in which it came.
    pub(super) round: u32,
    pub(super) hops: u8,
    /// Transmissions that wait in the queue.
    pub(super) queued: u32,
    /// An own message whose first phase has not ended.
    pub(super) pending: bool,
    /// How often it has been asked for.
    pub(super) requests: u8,
    /// Some of those that have it too.
    pub(super) holders: SmallVec<[NodeId; 4]>,
}

impl Cached {
    pub(super) fn new(item: &[u8], received: Time, round: u32, hops: u8) -> Self {
        Self {
            item: item.into(),
            delivered: 0,
            pinned: false,
            hidden: false,
            received,
            round,
            hops,
            queued: 0,
            pending: false,
            requests: 0,
            holders: SmallVec::new(),
        }
    }

    pub(super) fn item(&self) -> Item<'_> {
        Item::read(&self.item).expect("an item was read when it was taken")
    }

    /// Bytes of the item.
    pub(super) const fn len(&self) -> usize {
        self.item.len()
    }

    /// Notes that somebody has it.
    pub(super) fn held_by(&mut self, id: NodeId) {
        if self.holders.len() < 4 && !self.holders.contains(&id) {
            self.holders.push(id);
        }
    }

    fn cost(&self) -> usize {
        self.item.len() + ENTRY_BYTES
    }
}

/// The payloads of all origins.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Cache {
    items: BTreeMap<MessageId, Cached>,
    bytes: usize,
    by_origin: BTreeMap<NodeId, usize>,
    by_bytes: BTreeSet<(usize, NodeId)>,
    /// In the order of delivery.
    deliveries: BTreeMap<u64, MessageId>,
    serial: u64,
    pinned: usize,
    pinned_bytes: usize,
}

impl Cache {
    pub(super) fn get(&self, id: MessageId) -> Option<&Cached> {
        self.items.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: MessageId) -> Option<&mut Cached> {
        self.items.get_mut(&id)
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Bytes that count against the limit.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many are pinned.
    pub(super) const fn pinned(&self) -> usize {
        self.pinned
    }

    /// Bytes of those.
    pub(super) const fn pinned_bytes(&self) -> usize {
        self.pinned_bytes
    }

    /// The origins, those that hold most first.
    pub(super) fn by_bytes(&self) -> impl Iterator<Item = NodeId> {
        self.by_bytes.iter().rev().map(|(_, origin)| *origin)
    }

    pub(super) fn insert(&mut self, id: MessageId, cached: Cached) {
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

    pub(super) fn remove(&mut self, id: MessageId) -> Option<Cached> {
        self.pin(id, false);
        let cached = self.items.remove(&id)?;
        self.deliveries.remove(&cached.delivered);
        self.charge(id.origin, 0, cached.cost());
        Some(cached)
    }

    /// Keeps a message from being dropped, or lets it go.
    pub(super) fn pin(&mut self, id: MessageId, pinned: bool) {
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

    /// Gives a message its place in the order of delivery.
    pub(super) fn deliver(&mut self, id: MessageId) {
        if let Some(cached) = self.items.get_mut(&id) {
            self.serial += 1;
            cached.delivered = self.serial;
            self.deliveries.insert(self.serial, id);
        }
    }

    /// Drops until no more than `limit` bytes are held; what is pinned or `keep` says stays.
    pub(super) fn shrink(&mut self, limit: usize, keep: impl Fn(MessageId, &Cached) -> bool) {
        while self.bytes > limit {
            let droppable = |origin: NodeId| {
                let all = self.items.range(origin_range(origin));
                all.filter(|(id, cached)| !cached.pinned && !keep(**id, cached)).map(|(id, _)| *id).next()
            };
            let Some(id) = self.by_bytes.iter().rev().find_map(|(_, origin)| droppable(*origin)) else {
                return;
            };
            self.remove(id);
        }
    }

    /// Those of one origin and epoch, first to last.
    pub(super) fn of(&self, origin: NodeId, epoch: u64) -> impl DoubleEndedIterator<Item = (u64, &Cached)> {
        let id = |seq| MessageId { origin, epoch, seq };
        self.items.range(id(0)..=id(u64::MAX)).map(|(id, cached)| (id.seq, cached))
    }

    /// The last one of one origin and epoch before a number.
    pub(super) fn before(&self, origin: NodeId, epoch: u64, seq: u64) -> Option<u64> {
        let id = |seq| MessageId { origin, epoch, seq };
        self.items.range(id(0)..id(seq)).next_back().map(|(id, _)| id.seq)
    }

    /// Those of one origin and epoch within two numbers, the last one first.
    pub(super) fn within(
        &self,
        origin: NodeId,
        epoch: u64,
        first: u64,
        last: u64,
    ) -> impl Iterator<Item = u64> {
        let id = |seq| MessageId { origin, epoch, seq };
        self.items.range(id(first)..=id(last)).rev().map(|(id, _)| id.seq)
    }

    /// All, by id.
    pub(super) fn iter(&self) -> impl Iterator<Item = (MessageId, &Cached)> {
        self.items.iter().map(|(id, cached)| (*id, cached))
    }

    /// Those that have been delivered, the latest first.
    pub(super) fn latest(&self) -> impl Iterator<Item = (MessageId, &Cached)> {
        self.deliveries.values().rev().filter_map(|id| Some((*id, self.items.get(id)?)))
    }

    /// The one that was delivered first.
    pub(super) fn oldest(&self) -> Option<(MessageId, &Cached)> {
        let id = self.deliveries.values().next()?;
        Some((*id, self.items.get(id)?))
    }

    pub(super) fn check(&self) {
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
    use alloc::vec::Vec;

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
        cache.shrink(3 * 200, |_, _| false);
        assert_eq!(held(&cache), [(1, 1), (2, 3), (3, 1)]);
        cache.check();
    }

    #[test]
    fn what_is_pinned_or_kept_stays() {
        let mut cache = cache(&[(1, 1), (1, 2), (1, 3)]);
        cache.pin(id(1, 1), true);
        cache.shrink(0, |id, _| id.seq == 2);
        assert_eq!(held(&cache), [(1, 1), (1, 2)]);
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
