//! The digest of the broadcast's rounds and pulls: what a node has, origin by origin (pbcast).

use alloc::vec::Vec;
use core::fmt;

use super::codec::{Body, Put, Reader};
use super::error::DecodeError;
use super::run::{Run, put_run};
use super::sizes::DIGEST_GAPS_MAX;
use crate::id::NodeId;

/// The flag of a [`Digest`] that is a pull: the receiver sends the broadcasts that the digest does not list.
pub(crate) const PULL: u8 = 1;
/// The range of all origins, both ends included.
pub(crate) const EVERYONE: (NodeId, NodeId) = (NodeId(0), NodeId(u64::MAX));

/// Lists the broadcasts that the sender has. The receiver asks for those that it lacks. If the digest is a pull, the
/// receiver instead sends those that it holds and the digest does not list.
///
/// A digest that does not fit one datagram is sent as several, each for a range of origins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest<'a> {
    /// Bit 0: the digest is a pull.
    pub flags: u8,
    /// The number that the sender gives to this round of its own (pbcast).
    pub round: u32,
    /// The first and the last origin that a pull is about: the sender has nothing of those between them that are not listed.
    pub origins: (NodeId, NodeId),
    bytes: &'a [u8],
}

/// One entry of a [`Digest`]: the sender has all broadcasts of one origin and epoch from `low` to `high` but the gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DigestEntry<'a> {
    /// The member that has sent the broadcasts.
    pub origin: NodeId,
    /// The epoch in which the origin has sent them.
    pub epoch: u64,
    /// The lowest number that the sender holds; 1 in a pull, which lists what the sender has seen.
    pub low: u64,
    /// The highest number that the sender holds or has seen.
    pub high: u64,
    gaps: &'a [u8],
}

impl<'a> DigestEntry<'a> {
    /// The gaps in ascending order, each as its first and last number.
    pub fn gaps(self) -> impl Iterator<Item = (u64, u64)> + 'a {
        self.gaps.chunks_exact(16).map(|chunk| {
            let mut reader = Reader::new(chunk);
            (reader.u64().unwrap_or(0), reader.u64().unwrap_or(0))
        })
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let Run { origin, epoch, first: low, last: high } = Run::read(reader)?;
        let count = usize::from(reader.u8()?);
        if count > DIGEST_GAPS_MAX {
            return Err(DecodeError::Invalid("digest"));
        }
        let entry = Self { origin, epoch, low, high, gaps: reader.bytes(count * 16)? };
        let mut after = low;
        for (first, last) in entry.gaps() {
            if first < after || last < first || last > high {
                return Err(DecodeError::Invalid("digest"));
            }
            after = last + 1;
        }
        Ok(entry)
    }
}

impl<'a> Digest<'a> {
    /// The entries that [`put_digest_entry`] has written to `bytes`.
    pub(crate) const fn of(flags: u8, round: u32, origins: (NodeId, NodeId), bytes: &'a [u8]) -> Self {
        Self { flags, round, origins, bytes }
    }

    /// Whether the digest is a pull: the receiver then sends the broadcasts that the digest does not list.
    #[must_use]
    pub const fn is_pull(self) -> bool {
        self.flags & PULL != 0
    }

    /// The entries, one for each origin and epoch.
    pub fn entries(self) -> impl Iterator<Item = DigestEntry<'a>> {
        let mut reader = Reader::new(self.bytes);
        core::iter::from_fn(move || DigestEntry::read(&mut reader).ok())
    }
}

/// Appends one entry with at most [`DIGEST_GAPS_MAX`] gaps.
pub(crate) fn put_digest_entry(out: &mut Vec<u8>, run: Run, gaps: &[(u64, u64)]) {
    put_run(out, run);
    out.put_u8(u8::try_from(gaps.len()).expect("the gaps of an entry are bounded"));
    for (first, last) in gaps {
        out.put_u64(*first);
        out.put_u64(*last);
    }
}

impl<'a> Body<'a> for Digest<'a> {
    fn decode(mut body: Reader<'a>) -> Result<Self, DecodeError> {
        let (flags, round) = (body.u8()?, body.u32()?);
        let origins = if flags & PULL == 0 { EVERYONE } else { (body.id()?, body.id()?) };
        let mut check = body;
        while check.remaining() > 0 {
            DigestEntry::read(&mut check)?;
        }
        Ok(Self { flags, round, origins, bytes: body.rest() })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(self.flags);
        out.put_u32(self.round);
        if self.is_pull() {
            out.put_id(self.origins.0);
            out.put_id(self.origins.1);
        }
        out.put(self.bytes);
    }

    fn print(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_pull() { " (pull)" } else { "" };
        write!(f, "{name} {} origins{kind}", self.entries().count())
    }
}
