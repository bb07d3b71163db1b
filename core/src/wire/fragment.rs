//! Items longer than a datagram, cut into pieces of one constant size (rule C8).
//!
//! The size is a constant of the protocol, so that any relay can serve any piece again, whatever its mtu.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::codec::{Put, Reader};
use crate::error::DecodeError;
use crate::id::{MessageId, NodeId};
use crate::limits::{FRAGMENT_BYTES, FRAGMENTS_MAX, REASSEMBLIES_MAX};

/// The whole that a fragment belongs to: a broadcast of an origin, or a version of an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ItemId {
    /// Origin or owner.
    pub owner: NodeId,
    /// In which life.
    pub epoch: u64,
    /// Its sequence number or version.
    pub seq: u64,
}

impl From<MessageId> for ItemId {
    fn from(id: MessageId) -> Self {
        Self { owner: id.origin, epoch: id.epoch, seq: id.seq }
    }
}

/// One piece of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// Of what.
    pub item: ItemId,
    /// Which piece, from 0.
    pub index: u8,
    /// Of how many.
    pub count: u8,
    /// Its bytes: [`FRAGMENT_BYTES`], or fewer in the last.
    pub bytes: &'a [u8],
}

impl<'a> Fragment<'a> {
    pub(crate) fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let item = ItemId { owner: reader.id()?, epoch: reader.u64()?, seq: reader.u64()? };
        let (index, count) = (reader.u8()?, reader.u8()?);
        let bytes = reader.rest();
        let last = index.checked_add(1) == Some(count);
        let whole = if last {
            !bytes.is_empty() && bytes.len() <= FRAGMENT_BYTES
        } else {
            bytes.len() == FRAGMENT_BYTES
        };
        if index >= count || usize::from(count) > FRAGMENTS_MAX || !whole {
            return Err(DecodeError::Invalid("fragment"));
        }
        Ok(Self { item, index, count, bytes })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_id(self.item.owner);
        out.put_u64(self.item.epoch);
        out.put_u64(self.item.seq);
        out.put(&[self.index, self.count]);
        out.put(self.bytes);
    }
}

/// Cuts an item into its fragments; `None` if it is empty or would need more than [`FRAGMENTS_MAX`].
pub fn fragments(item: ItemId, bytes: &[u8]) -> Option<impl Iterator<Item = Fragment<'_>>> {
    let count = u8::try_from(bytes.len().div_ceil(FRAGMENT_BYTES)).ok()?;
    if count == 0 || usize::from(count) > FRAGMENTS_MAX {
        return None;
    }
    Some((0..).zip(bytes.chunks(FRAGMENT_BYTES)).map(move |(index, bytes)| Fragment {
        item,
        index,
        count,
        bytes,
    }))
}

/// Puts items together again; at most [`REASSEMBLIES_MAX`] at a time, the oldest unfinished one gives way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reassembly {
    oldest_first: VecDeque<Unfinished>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Unfinished {
    item: ItemId,
    count: u8,
    have: u128,
    bytes: Vec<u8>,
    last_len: usize,
}

impl Reassembly {
    /// Nothing under way.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a piece; the whole item, once the last missing piece has come. Repeated pieces change nothing, and
    /// neither does one that contradicts the count of those before.
    pub fn add(&mut self, fragment: &Fragment<'_>) -> Option<Vec<u8>> {
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

    /// The pieces of an unfinished item that have not come, as a bit each; `None` if none has come.
    #[must_use]
    pub fn missing(&self, item: ItemId) -> Option<u128> {
        let unfinished = self.oldest_first.iter().find(|unfinished| unfinished.item == item)?;
        Some(unfinished.missing())
    }

    /// Gives an unfinished item up.
    pub fn remove(&mut self, item: ItemId) {
        self.oldest_first.retain(|unfinished| unfinished.item != item);
    }

    /// Unfinished items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.oldest_first.len()
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.oldest_first.is_empty()
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
