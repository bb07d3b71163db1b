//! The messages of a reconciliation of two tables, and the key range that they speak of (rule B9).

use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::codec::{Body, Put, Reader};
use super::error::DecodeError;
use super::sizes::{COMPARE_RANGE_BYTES, ITEM_BYTES, RANGE_BYTES, WAYS};
use crate::id::NodeId;

/// A part of the line of keys: all positions that begin with the first `4 · depth` bits of `prefix`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyRange {
    prefix: u32,
    depth: u8,
}

impl KeyRange {
    /// The whole line.
    pub const ROOT: Self = Self { prefix: 0, depth: 0 };

    /// The greatest depth: a range of it is not divided any more.
    pub(crate) const DEPTH_MAX: u8 = 8;

    /// A range from its parts; `None` if it is too deep or has bits beyond its depth.
    #[must_use]
    pub const fn new(prefix: u32, depth: u8) -> Option<Self> {
        if depth > Self::DEPTH_MAX || (depth < Self::DEPTH_MAX && prefix << (4 * depth) != 0) {
            return None;
        }
        Some(Self { prefix, depth })
    }

    pub(crate) const fn depth(self) -> u8 {
        self.depth
    }

    /// One of the sixteen parts of a range that is not of the greatest depth.
    pub(crate) fn child(self, way: u32) -> Self {
        Self { prefix: self.prefix | way << (28 - 4 * self.depth), depth: self.depth + 1 }
    }

    /// The first position of the range.
    pub(crate) const fn first(self) -> u64 {
        (self.prefix as u64) << 32
    }

    /// The last position of the range.
    pub(crate) const fn last(self) -> u64 {
        self.first() | if self.depth == 0 { u64::MAX } else { u64::MAX >> (4 * self.depth) }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let prefix = reader.u32()?;
        Self::new(prefix, reader.u8()?).ok_or(DecodeError::Invalid("range"))
    }

    fn put(self, out: &mut Vec<u8>) {
        out.put_u32(self.prefix);
        out.put_u8(self.depth);
    }
}

/// Carries the fingerprints of ranges. The receiver compares the parts of each range with its own. It answers a part that
/// differs with its items behind a [`Delta`] if the sender has none, with [`Items`] if the receiver has few, otherwise with
/// a finer [`Compare`].
///
/// The answer never exceeds the credit, and [`CREDIT_MAX`](crate::limits::CREDIT_MAX) in an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compare<'a> {
    /// The table that the ranges are of: 0 members, 2 marks of the broadcast.
    pub table: u8,
    /// The bytes of items that the sender is ready to receive for this message.
    pub credit: u32,
    bytes: &'a [u8],
}

/// Lists the sender's items in some ranges. The receiver compares each list with its own items. It sends those that the
/// sender lacks or has in another version behind a [`Delta`], and asks for those that it lacks itself with a [`Want`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Items<'a> {
    /// The table that the items are of: 0 members, 2 marks of the broadcast.
    pub table: u8,
    /// The bytes of items that the sender is ready to receive for this message.
    pub credit: u32,
    bytes: &'a [u8],
}

/// Asks for items by their ids. The receiver sends them behind a [`Delta`], as far as the credit goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want<'a> {
    /// The table that the items are of: 0 members, 2 marks of the broadcast.
    pub table: u8,
    /// The bytes of items that the sender is ready to receive for this message.
    pub credit: u32,
    bytes: &'a [u8],
}

/// Marks the items behind it in the datagram as the answer to a reconciliation. The receiver takes them and does not gossip
/// them on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delta {
    /// The table that the items are of: 0 members, 2 marks of the broadcast.
    pub table: u8,
}

impl<'a> Compare<'a> {
    /// A comparison of the ranges that [`put_compare_range`] has written to `bytes`.
    pub(crate) const fn of(table: u8, credit: u32, bytes: &'a [u8]) -> Self {
        Self { table, credit, bytes }
    }

    /// Each range with the fingerprints of its parts.
    pub fn ranges(self) -> impl Iterator<Item = (KeyRange, [u64; WAYS])> + 'a {
        self.bytes.chunks_exact(COMPARE_RANGE_BYTES).map(|chunk| {
            let mut reader = Reader::new(chunk);
            let range = KeyRange::read(&mut reader).expect(CHECKED);
            (range, core::array::from_fn(|_| reader.u64().expect(CHECKED)))
        })
    }
}

/// One range of an [`Items`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeItems<'a> {
    /// The range that holds the items.
    pub range: KeyRange,
    bytes: &'a [u8],
}

impl<'a> RangeItems<'a> {
    /// The sender's items in the range: id and fingerprint.
    pub fn iter(self) -> impl Iterator<Item = (NodeId, u64)> + 'a {
        self.bytes.chunks_exact(ITEM_BYTES).map(|chunk| {
            let mut reader = Reader::new(chunk);
            (reader.id().expect(CHECKED), reader.u64().expect(CHECKED))
        })
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let range = KeyRange::read(reader)?;
        let count = usize::from(reader.u8()?);
        Ok(Self { range, bytes: reader.bytes(count * ITEM_BYTES)? })
    }
}

impl<'a> Items<'a> {
    /// The ranges that [`put_items_range`] has written to `bytes`.
    pub(crate) const fn of(table: u8, credit: u32, bytes: &'a [u8]) -> Self {
        Self { table, credit, bytes }
    }

    /// Each range with its items.
    pub fn ranges(self) -> impl Iterator<Item = RangeItems<'a>> {
        let mut reader = Reader::new(self.bytes);
        core::iter::from_fn(
            move || {
                if reader.remaining() == 0 { None } else { RangeItems::read(&mut reader).ok() }
            },
        )
    }
}

impl<'a> Want<'a> {
    /// The ids that stand in `bytes`, eight bytes each.
    pub(crate) const fn of(table: u8, credit: u32, bytes: &'a [u8]) -> Self {
        Self { table, credit, bytes }
    }

    /// The ids of the items that the sender asks for.
    pub fn ids(self) -> impl Iterator<Item = NodeId> + 'a {
        self.bytes.chunks_exact(8).map(|chunk| Reader::new(chunk).id().expect(CHECKED))
    }
}

const CHECKED: &str = "the length was checked when the message was decoded";

/// Appends one range of a comparison: the fingerprints of its parts.
pub(crate) fn put_compare_range(out: &mut Vec<u8>, range: KeyRange, parts: &[u64; WAYS]) {
    range.put(out);
    parts.iter().for_each(|part| out.put_u64(*part));
}

/// Appends one range of a listing; at most 255 items.
pub(crate) fn put_items_range(out: &mut Vec<u8>, range: KeyRange, items: &[(NodeId, u64)]) {
    range.put(out);
    out.put_u8(u8::try_from(items.len()).expect("a listed range is small"));
    for (id, fingerprint) in items {
        out.put_id(*id);
        out.put_u64(*fingerprint);
    }
}

fn put_list(out: &mut Vec<u8>, table: u8, credit: u32, bytes: &[u8]) {
    out.put_u8(table);
    out.put_u32(credit);
    out.put(bytes);
}

impl<'a> Body<'a> for Compare<'a> {
    fn decode(mut body: Reader<'a>) -> Result<Self, DecodeError> {
        let (table, credit) = (body.u8()?, body.u32()?);
        let mut check = body;
        while check.remaining() > 0 {
            KeyRange::read(&mut check)?;
            check.bytes(COMPARE_RANGE_BYTES - RANGE_BYTES)?;
        }
        Ok(Self { table, credit, bytes: body.rest() })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_list(out, self.table, self.credit, self.bytes);
    }

    fn print(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{name} {} ranges", self.ranges().count())
    }
}

impl<'a> Body<'a> for Items<'a> {
    fn decode(mut body: Reader<'a>) -> Result<Self, DecodeError> {
        let (table, credit) = (body.u8()?, body.u32()?);
        let mut check = body;
        while check.remaining() > 0 {
            RangeItems::read(&mut check)?;
        }
        Ok(Self { table, credit, bytes: body.rest() })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_list(out, self.table, self.credit, self.bytes);
    }

    fn print(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{name} {}", self.ranges().flat_map(RangeItems::iter).count())
    }
}

impl<'a> Body<'a> for Want<'a> {
    fn decode(mut body: Reader<'a>) -> Result<Self, DecodeError> {
        let (table, credit, bytes) = (body.u8()?, body.u32()?, body.rest());
        if bytes.len().is_multiple_of(8) {
            Ok(Self { table, credit, bytes })
        } else {
            Err(DecodeError::Truncated)
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_list(out, self.table, self.credit, self.bytes);
    }

    fn print(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{name} {}", self.ids().count())
    }
}

impl Body<'_> for Delta {
    fn decode(mut body: Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { table: body.u8()? })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(self.table);
    }

    fn print(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{name} {}", self.table)
    }
}
