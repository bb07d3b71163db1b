//! Reassembly of items that were cut into fragments (rule C8).

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::limits::{FRAGMENT_BYTES, FRAGMENTS_MAX, REASSEMBLIES_MAX};
use crate::wire::{Fragment, ItemId};

/// The unfinished items of one receiver.
///
/// It keeps at most [`REASSEMBLIES_MAX`]; the fragment of a further item makes it give up the oldest one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::broadcast) struct Reassembly {
    oldest_first: VecDeque<Unfinished>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Unfinished {
    item: ItemId,
    /// The number of fragments that the item has.
    count: u8,
    /// One bit for each fragment that was received.
    have: u128,
    bytes: Vec<u8>,
    /// The length of the last fragment, once it was received.
    last_len: usize,
}

impl Reassembly {
    /// Makes a reassembly without unfinished items.
    #[must_use]
    pub(in crate::broadcast) fn new() -> Self {
        Self::default()
    }

    /// Adds a fragment, and returns the whole item once none of its fragments is missing.
    ///
    /// A repeated fragment changes nothing, and neither does one that contradicts the count of those before.
    pub(in crate::broadcast) fn add(&mut self, fragment: &Fragment<'_>) -> Option<Vec<u8>> {
        let place = match self.oldest_first.iter().position(|unfinished| unfinished.item == fragment.item) {
            Some(place) => place,
            None => self.begin(fragment),
        };
        let unfinished = &mut self.oldest_first[place];
        if unfinished.count != fragment.count {
            return None;
        }
        let start = usize::from(fragment.index) * FRAGMENT_BYTES;
        unfinished.bytes[start..start + fragment.bytes.len()].copy_from_slice(fragment.bytes);
        unfinished.have |= 1 << fragment.index;
        if fragment.index + 1 == fragment.count {
            unfinished.last_len = fragment.bytes.len();
        }
        if unfinished.missing() != 0 {
            return None;
        }
        let mut whole = self.oldest_first.remove(place)?;
        whole.bytes.truncate((usize::from(whole.count) - 1) * FRAGMENT_BYTES + whole.last_len);
        Some(whole.bytes)
    }

    /// One bit for each missing fragment of an unfinished item; `None` if no fragment of the item was received.
    #[must_use]
    pub(in crate::broadcast) fn missing(&self, item: ItemId) -> Option<u128> {
        let unfinished = self.oldest_first.iter().find(|unfinished| unfinished.item == item)?;
        Some(unfinished.missing())
    }

    /// Drops an unfinished item.
    pub(in crate::broadcast) fn remove(&mut self, item: ItemId) {
        self.oldest_first.retain(|unfinished| unfinished.item != item);
    }

    /// The number of unfinished items.
    #[must_use]
    pub(in crate::broadcast) fn len(&self) -> usize {
        self.oldest_first.len()
    }

    fn begin(&mut self, fragment: &Fragment<'_>) -> usize {
        if self.oldest_first.len() == REASSEMBLIES_MAX {
            self.oldest_first.pop_front();
        }
        let bytes = alloc::vec![0; usize::from(fragment.count) * FRAGMENT_BYTES];
        let unfinished =
            Unfinished { item: fragment.item, count: fragment.count, have: 0, bytes, last_len: 0 };
        self.oldest_first.push_back(unfinished);
        self.oldest_first.len() - 1
    }
}

impl Unfinished {
    const fn missing(&self) -> u128 {
        !self.have & (u128::MAX >> (u128::BITS - self.count as u32))
    }
}

const _: () = assert!(FRAGMENTS_MAX <= u128::BITS as usize);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::NodeId;
    use crate::wire::fragments;

    #[test]
    fn an_item_is_cut_and_put_together_in_any_order() {
        let item = ItemId { owner: NodeId(1), epoch: 2, seq: 3 };
        let bytes: Vec<u8> = (0..5_000_u32).map(|i| i.to_le_bytes()[0]).collect();
        let mut pieces: Vec<_> = fragments(item, &bytes).expect("short enough").collect();
        assert_eq!(pieces.len(), 5);
        pieces.reverse();
        let mut reassembly = Reassembly::new();
        for piece in &pieces[..4] {
            assert_eq!(reassembly.add(piece), None);
            assert_eq!(reassembly.add(piece), None, "a repeated piece changes nothing");
        }
        assert_eq!(reassembly.missing(item), Some(1));
        assert_eq!(reassembly.add(&pieces[4]), Some(bytes));
        assert_eq!(reassembly, Reassembly::new());
        assert!(fragments(item, &[]).is_none());
        assert!(fragments(item, &[0; 73 * 1_024]).is_none());
    }

    #[test]
    fn the_oldest_unfinished_item_gives_way() {
        let mut reassembly = Reassembly::new();
        let piece = |seq| Fragment {
            item: ItemId { owner: NodeId(1), epoch: 1, seq },
            index: 0,
            count: 2,
            bytes: &[7; 1_024],
        };
        (0..=16).for_each(|seq| assert_eq!(reassembly.add(&piece(seq)), None));
        assert_eq!(reassembly.missing(piece(0).item), None, "forgotten");
        assert_eq!(reassembly.missing(piece(1).item), Some(2));
    }
}
