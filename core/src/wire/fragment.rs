//! Cuts items that are longer than a datagram into fragments (rule C8).
//!
//! The size of a fragment is a constant of the protocol, so that any relay can serve any fragment whatever its own mtu.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::codec::{Put, Reader};
use super::error::DecodeError;
use crate::id::{MessageId, NodeId};
use crate::limits::{FRAGMENT_BYTES, FRAGMENTS_MAX};

/// Names the item that a fragment belongs to: a broadcast of an origin, or a version of an owner in the store to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ItemId {
    /// The origin of the broadcast, or the owner of the version.
    pub owner: NodeId,
    /// The epoch of the owner in which the item was made.
    pub epoch: u64,
    /// The number of the broadcast in its epoch, or the version.
    pub seq: u64,
}

impl From<MessageId> for ItemId {
    fn from(id: MessageId) -> Self {
        Self { owner: id.origin, epoch: id.epoch, seq: id.seq }
    }
}

/// One fragment of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// The item that was cut.
    pub item: ItemId,
    /// The place of the fragment in the item, from 0.
    pub index: u8,
    /// The number of fragments that the item has, at most [`FRAGMENTS_MAX`].
    pub count: u8,
    /// The bytes of the fragment: [`FRAGMENT_BYTES`], or 1 to as many in the last one.
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

/// Cuts an item into fragments. `None` if the item is empty or would need more than [`FRAGMENTS_MAX`].
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
