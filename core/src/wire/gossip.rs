//! The messages of the broadcast, and the item that a broadcast is.
//!
//! Ids travel as runs (origin, epoch, first, last), since they come in runs. An item is kept, relayed and served as
//! the bytes received, with whatever a newer version has put behind the known fields (rule G5).

use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::codec::{Body, Put, Reader};
use super::fragment::{Fragment, ItemId};
use super::sizes::{CONTENT_BYTES_MIN, DIGEST_GAPS_MAX};
use crate::error::DecodeError;
use crate::id::{MessageId, NodeId};
use crate::limits::TOPIC_BYTES_MAX;

/// A flag of a [`Publish`] or [`Part`]: the sender sends it along an eager edge of its tree (Plumtree).
pub(crate) const EAGER: u8 = 1;
/// A flag of a [`Publish`] or [`Part`]: the sender wants a [`PushAck`] if it was the first to bring it.
pub(crate) const PUSHED: u8 = 2;
/// A flag of a [`Publish`] or [`Part`]: its origin sends it to all members, so the receiver need not pass it on.
pub(crate) const MULTICAST: u8 = 4;
/// The flag of a [`Request`]: the sender wants further messages without asking (Plumtree's graft).
pub(crate) const GRAFT: u8 = 1;
/// The flag of a [`Digest`]: the receiver sends what the digest lacks, rather than ask for what it lacks itself.
pub(crate) const PULL: u8 = 1;
/// The flag of an [`Item`]: its origin wants receipts.
pub(crate) const REPORT: u8 = 1;

/// The range of all origins, both ends included.
pub(crate) const EVERYONE: (NodeId, NodeId) = (NodeId(0), NodeId(u64::MAX));

/// The receiver delivers the broadcast if it is new, and passes it on as the flags say.
///
/// One that the receiver has already is answered with a [`Prune`] if it came along an eager edge. An item longer than
/// [`FRAGMENT_BYTES`](crate::limits::FRAGMENT_BYTES) travels in [`Part`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// The id of the broadcast.
    pub id: MessageId,
    /// The number of nodes that have sent the broadcast on its way, the sender included.
    pub hops: u8,
    /// Bit 0: it came along an eager edge. Bit 1: the sender wants a [`PushAck`] if it was the first to bring it. Bit 2:
    /// its origin sends it to all members, so it is not passed on.
    pub flags: u8,
    /// The content of the broadcast.
    pub item: Item<'a>,
}

/// The receiver keeps the piece, and treats the last missing one of an item like a [`Publish`] of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// The number of nodes that have sent the piece on its way, the sender included.
    pub hops: u8,
    /// The flags, as in a [`Publish`].
    pub flags: u8,
    /// The piece.
    pub part: Fragment<'a>,
}

/// The receiver sends these broadcasts, or says that it cannot with a [`Gone`] or [`Lack`].
///
/// The bytes that one member gets in this way are bounded; what exceeds the bound is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// The round of the digest that the request answers, or 0. A request for an old round is ignored (pbcast).
    pub round: u32,
    /// Bit 0: the receiver also makes the edge to the sender eager (Plumtree's graft).
    pub flags: u8,
    /// The broadcasts that the sender asks for.
    pub runs: Runs<'a>,
}

/// The receiver sends the missing pieces of a broadcast, within the bound of a [`Request`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestParts {
    /// The id of the broadcast.
    pub id: MessageId,
    /// One bit for each piece that the sender lacks.
    pub missing: u128,
}

/// The receiver makes its edge to the sender lazy: it announces broadcasts with an [`IHave`] instead of sending them
/// (Plumtree).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prune;

/// The receiver learns how far an origin has got, and asks for the broadcasts that it lacks. An item of a
/// reconciliation of marks, behind a [`Delta`](super::Delta) (rule C3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The member whose broadcasts are counted.
    pub origin: NodeId,
    /// The epoch in which the origin has sent them.
    pub epoch: u64,
    /// The lowest number that the sender still holds, or 0 if it holds none.
    pub low: u64,
    /// The highest number that the sender knows of, at least 1.
    pub top: u64,
}

macro_rules! run_lists {
    ($($(#[doc = $doc:literal])+ $name:ident;)+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name<'a>(
            /// The broadcasts that the message names.
            pub Runs<'a>,
        );

        impl<'a> Body<'a> for $name<'a> {
            fn decode(body: Reader<'a>) -> Result<Self, DecodeError> {
                Runs::read(body).map(Self)
            }

            fn encode(&self, out: &mut Vec<u8>) {
                out.put(self.0.bytes);
            }

            fn print(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.print(name, f)
            }
        }
    )+};
}

run_lists! {
    /// The receiver notes that the sender has these broadcasts, and requests those that do not come by themselves.
    IHave;
    /// The receiver does not ask the sender for these broadcasts again: the sender does not hold them any more.
    Gone;
    /// The receiver asks others first for these broadcasts: they have not reached the sender either.
    Lack;
    /// The receiver counts the sender as reached: it was the first to bring these broadcasts to the sender.
    PushAck;
    /// The receiver, the origin of these broadcasts, counts the sender among those that have delivered them.
    Receipt;
    /// The receiver answers with a [`Receipt`] for those of the sender's broadcasts that it has.
    ReceiptRequest;
}

/// A broadcast's content: flags, topic, payload, and what newer versions add.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    bytes: &'a [u8],
    topic: &'a str,
    payload: &'a [u8],
}

impl<'a> Item<'a> {
    /// Reads an item.
    ///
    /// # Errors
    /// It is cut short, or its topic is too long or no text.
    pub fn read(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        reader.u8()?;
        let len = usize::from(reader.u8()?);
        if len > TOPIC_BYTES_MAX {
            return Err(DecodeError::Invalid("topic"));
        }
        let topic = core::str::from_utf8(reader.bytes(len)?).map_err(|_| DecodeError::Invalid("topic"))?;
        let len = usize::try_from(reader.u32()?).map_err(|_| DecodeError::Truncated)?;
        let payload = reader.bytes(len)?;
        Ok(Self { bytes, topic, payload })
    }

    /// Whether its origin wants receipts.
    #[must_use]
    pub fn wants_receipt(self) -> bool {
        self.bytes.first().is_some_and(|flags| flags & REPORT != 0)
    }

    /// Its topic.
    #[must_use]
    pub const fn topic(self) -> &'a str {
        self.topic
    }

    /// Its payload.
    #[must_use]
    pub const fn payload(self) -> &'a [u8] {
        self.payload
    }

    /// The whole.
    #[must_use]
    pub const fn bytes(self) -> &'a [u8] {
        self.bytes
    }
}

/// An item from its parts, whose lengths the caller has checked.
pub(crate) fn encode_item(flags: u8, topic: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(CONTENT_BYTES_MIN + topic.len() + payload.len());
    bytes.put_u8(flags);
    bytes.put_u8(u8::try_from(topic.len()).expect("a topic is short"));
    bytes.put(topic.as_bytes());
    bytes.put_u32(u32::try_from(payload.len()).expect("a payload is bounded"));
    bytes.put(payload);
    bytes
}

/// Consecutive broadcasts of one origin and epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Run {
    /// Whose.
    pub origin: NodeId,
    /// In which epoch.
    pub epoch: u64,
    /// The first one, at least 1.
    pub first: u64,
    /// The last one.
    pub last: u64,
}

impl Run {
    /// One message.
    #[must_use]
    pub const fn one(id: MessageId) -> Self {
        Self { origin: id.origin, epoch: id.epoch, first: id.seq, last: id.seq }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let run =
            Self { origin: reader.id()?, epoch: reader.u64()?, first: reader.u64()?, last: reader.u64()? };
        let whole = run.first >= 1 && run.first <= run.last && run.last < SEQ_END;
        if whole { Ok(run) } else { Err(DecodeError::Invalid("run")) }
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.origin, self.epoch, self.first)?;
        if self.last > self.first { write!(f, "-{}", self.last) } else { Ok(()) }
    }
}

/// The first number that no broadcast has.
const SEQ_END: u64 = 1 << 63;

/// Runs of ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Runs<'a> {
    bytes: &'a [u8],
}

impl<'a> Runs<'a> {
    /// The runs that [`put_run`] has written to `bytes`.
    pub(crate) const fn of(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Each run.
    pub fn iter(self) -> impl Iterator<Item = Run> + 'a {
        let mut reader = Reader::new(self.bytes);
        core::iter::from_fn(move || Run::read(&mut reader).ok())
    }

    fn read(mut reader: Reader<'a>) -> Result<Self, DecodeError> {
        let mut check = reader;
        while check.remaining() > 0 {
            Run::read(&mut check)?;
        }
        Ok(Self { bytes: reader.rest() })
    }

    /// Prints `name` and the runs.
    fn print(self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name)?;
        self.iter().try_for_each(|run| write!(f, " {run}"))
    }
}

/// Appends one run.
pub(crate) fn put_run(out: &mut Vec<u8>, run: Run) {
    out.put_id(run.origin);
    out.put_u64(run.epoch);
    out.put_u64(run.first);
    out.put_u64(run.last);
}

/// What a node has, of a range of origins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest<'a> {
    /// Bit 0: a pull.
    pub flags: u8,
    /// The sender's round (pbcast: everyone numbers its own).
    pub round: u32,
    /// Of a pull: nothing is had of origins that are not listed and lie between these two, both included.
    pub origins: (NodeId, NodeId),
    bytes: &'a [u8],
}

/// What a node has of one origin and epoch: all of `low..=high` but the gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DigestEntry<'a> {
    /// Whose.
    pub origin: NodeId,
    /// In which epoch.
    pub epoch: u64,
    /// The lowest number held; of a pull, 1.
    pub low: u64,
    /// The highest number held.
    pub high: u64,
    gaps: &'a [u8],
}

impl<'a> DigestEntry<'a> {
    /// What is not had between the two, first to last.
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

    /// Whether the receiver is to send what is missing in it.
    #[must_use]
    pub const fn is_pull(self) -> bool {
        self.flags & PULL != 0
    }

    /// Each entry.
    pub fn entries(self) -> impl Iterator<Item = DigestEntry<'a>> {
        let mut reader = Reader::new(self.bytes);
        core::iter::from_fn(move || DigestEntry::read(&mut reader).ok())
    }
}

/// Appends one entry; at most [`DIGEST_GAPS_MAX`] gaps.
pub(crate) fn put_digest_entry(out: &mut Vec<u8>, run: Run, gaps: &[(u64, u64)]) {
    put_run(out, run);
    out.put_u8(u8::try_from(gaps.len()).expect("the gaps of an entry are bounded"));
    for (first, last) in gaps {
        out.put_u64(*first);
        out.put_u64(*last);
    }
}

fn read_message_id(reader: &mut Reader<'_>) -> Result<MessageId, DecodeError> {
    let id = MessageId { origin: reader.id()?, epoch: reader.u64()?, seq: reader.u64()? };
    check_seq(id.seq)?;
    Ok(id)
}

const fn check_seq(seq: u64) -> Result<(), DecodeError> {
    if seq == 0 || seq >= SEQ_END { Err(DecodeError::Invalid("message id")) } else { Ok(()) }
}

fn put_message_id(out: &mut Vec<u8>, id: MessageId) {
    out.put_id(id.origin);
    out.put_u64(id.epoch);
    out.put_u64(id.seq);
}

impl<'a> Body<'a> for Publish<'a> {
    fn decode(mut body: Reader<'a>) -> Result<Self, DecodeError> {
        let id = read_message_id(&mut body)?;
        let (hops, flags) = (body.u8()?, body.u8()?);
        Ok(Self { id, hops, flags, item: Item::read(body.rest())? })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_message_id(out, self.id);
        out.put(&[self.hops, self.flags]);
        out.put(self.item.bytes);
    }

    fn print(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{name} {} hop {}", self.id, self.hops)
    }
}

impl<'a> Body<'a> for Part<'a> {
    fn decode(mut body: Reader<'a>) -> Result<Self, DecodeError> {
        let (hops, flags) = (body.u8()?, body.u8()?);
        let part = Fragment::decode(&mut body)?;
        check_seq(part.item.seq)?;
        Ok(Self { hops, flags, part })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put(&[self.hops, self.flags]);
        self.part.encode(out);
    }

    fn print(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fragment { item: ItemId { owner, epoch, seq }, index, count, .. } = self.part;
        write!(f, "{name} {owner}:{epoch}:{seq} {}/{count}", index + 1)
    }
}

impl<'a> Body<'a> for Request<'a> {
    fn decode(mut body: Reader<'a>) -> Result<Self, DecodeError> {
        let (round, flags) = (body.u32()?, body.u8()?);
        Ok(Self { round, flags, runs: Runs::read(body)? })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u32(self.round);
        out.put_u8(self.flags);
        out.put(self.runs.bytes);
    }

    fn print(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.runs.print(name, f)
    }
}

impl Body<'_> for RequestParts {
    fn decode(mut body: Reader<'_>) -> Result<Self, DecodeError> {
        let id = read_message_id(&mut body)?;
        let (low, high) = (body.u64()?, body.u64()?);
        Ok(Self { id, missing: u128::from(low) | u128::from(high) << 64 })
    }

    #[expect(clippy::cast_possible_truncation, reason = "the two halves of the bitmap")]
    fn encode(&self, out: &mut Vec<u8>) {
        put_message_id(out, self.id);
        out.put_u64(self.missing as u64);
        out.put_u64((self.missing >> 64) as u64);
    }

    fn print(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{name} {} of {}", self.missing.count_ones(), self.id)
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

impl Body<'_> for Prune {
    fn decode(_body: Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self)
    }

    fn encode(&self, _out: &mut Vec<u8>) {}

    fn print(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name)
    }
}

impl Body<'_> for Mark {
    fn decode(mut body: Reader<'_>) -> Result<Self, DecodeError> {
        let (origin, epoch) = (body.id()?, body.u64()?);
        let (low, top) = (body.u64()?, body.u64()?);
        if low > top || top == 0 || top >= SEQ_END {
            return Err(DecodeError::Invalid("mark"));
        }
        Ok(Self { origin, epoch, low, top })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_id(self.origin);
        out.put_u64(self.epoch);
        out.put_u64(self.low);
        out.put_u64(self.top);
    }

    fn print(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{name} {}:{}:{}", self.origin, self.epoch, self.top)
    }
}
