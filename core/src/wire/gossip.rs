//! The messages of the broadcast, and the item that a broadcast is.
//!
//! Ids travel as runs (origin, epoch, first, last), since they come in runs. An item is kept, relayed and served as
//! the bytes received, with whatever a newer version has put behind the known fields (rule G5).

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::codec::{Put, Reader};
use super::fragment::Fragment;
use super::message::MESSAGE_BYTES;
use crate::error::DecodeError;
use crate::id::{MessageId, NodeId};
use crate::limits::TOPIC_BYTES_MAX;

mod tag {
    pub(super) const PUBLISH: u8 = 64;
    pub(super) const PART: u8 = 65;
    pub(super) const I_HAVE: u8 = 66;
    pub(super) const REQUEST: u8 = 67;
    pub(super) const REQUEST_PARTS: u8 = 68;
    pub(super) const DIGEST: u8 = 69;
    pub(super) const GONE: u8 = 70;
    pub(super) const PUSH_ACK: u8 = 71;
    pub(super) const PRUNE: u8 = 72;
    pub(super) const RECEIPT: u8 = 73;
    pub(super) const RECEIPT_REQUEST: u8 = 74;
    pub(super) const MARK: u8 = 75;
    pub(super) const LACK: u8 = 76;
}

/// Of a `Publish`: it came along an edge that the sender holds for eager (Plumtree).
pub(crate) const EAGER: u8 = 1;
/// Of a `Publish`: the sender wants to know whether it was the first to bring it.
pub(crate) const PUSHED: u8 = 2;
/// Of a `Publish`: its origin sends it to all, so it need not be passed on.
pub(crate) const MULTICAST: u8 = 4;
/// Of a `Request`: and keep sending to me (Plumtree's graft).
pub(crate) const GRAFT: u8 = 1;
/// Of a `Digest`: send me what it lacks, rather than ask for what you lack.
pub(crate) const PULL: u8 = 1;
/// Of an item: its origin wants receipts.
pub(crate) const REPORT: u8 = 1;

/// An item with an empty topic and payload.
const ITEM_BYTES_MIN: usize = 1 + 1 + 4;
/// One run of ids.
pub(crate) const RUN_BYTES: usize = 32;
/// What stands before the runs of a message that has some, at the most.
pub(crate) const RUNS_BYTES: usize = MESSAGE_BYTES + 5;
/// All origins.
pub(crate) const EVERYONE: (NodeId, NodeId) = (NodeId(0), NodeId(u64::MAX));
/// What stands before the entries of a digest, at the most.
pub(crate) const DIGEST_BYTES: usize = MESSAGE_BYTES + 1 + 4 + 8 + 8;
/// Gaps of one digest entry; an entry with more ends before the next one.
pub(crate) const DIGEST_GAPS_MAX: usize = 16;

/// One message of the broadcast, its variable parts borrowed from the datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gossip<'a> {
    /// A broadcast.
    Publish {
        /// Which.
        id: MessageId,
        /// How many nodes have sent it on its way here.
        hops: u8,
        /// Bit 0: along an eager edge; bit 1: say if you had it from me first; bit 2: sent to all, not to be passed on.
        flags: u8,
        /// What it is.
        item: Item<'a>,
    },
    /// A piece of a broadcast longer than one fragment.
    Part {
        /// As in `Publish`.
        hops: u8,
        /// As in `Publish`.
        flags: u8,
        /// The piece.
        part: Fragment<'a>,
    },
    /// I have these: an announcement over a lazy edge, or gogossip's PullSync.
    IHave(Runs<'a>),
    /// Send me these.
    Request {
        /// The round of the digest that this answers, or 0.
        round: u32,
        /// Bit 0: graft.
        flags: u8,
        /// Which.
        runs: Runs<'a>,
    },
    /// Send me the pieces of this one that I lack.
    RequestParts {
        /// Which.
        id: MessageId,
        /// A bit for each missing piece.
        missing: u128,
    },
    /// What I have.
    Digest(Digest<'a>),
    /// I cannot serve these any more.
    Gone(Runs<'a>),
    /// I cannot serve these: they have not come here.
    Lack(Runs<'a>),
    /// I had these from you first.
    PushAck(Runs<'a>),
    /// You sent me what I had: announce from now on (Plumtree).
    Prune,
    /// To an origin: I have these of yours.
    Receipt(Runs<'a>),
    /// From an origin: which of these have you?
    ReceiptRequest(Runs<'a>),
    /// An item of a reconciliation of marks: the origin has reached `top` in this epoch.
    Mark {
        /// Whose.
        origin: NodeId,
        /// In which epoch.
        epoch: u64,
        /// The lowest number that the sender still holds, or 0 if none.
        low: u64,
        /// The highest number that the sender knows of.
        top: u64,
    },
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
    let mut bytes = Vec::with_capacity(ITEM_BYTES_MIN + topic.len() + payload.len());
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

    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let bytes = reader.rest();
        let mut check = Reader::new(bytes);
        while check.remaining() > 0 {
            Run::read(&mut check)?;
        }
        Ok(Self { bytes })
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

    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let (flags, round) = (reader.u8()?, reader.u32()?);
        let origins = if flags & PULL == 0 { EVERYONE } else { (reader.id()?, reader.id()?) };
        let bytes = reader.rest();
        let mut check = Reader::new(bytes);
        while check.remaining() > 0 {
            DigestEntry::read(&mut check)?;
        }
        Ok(Self { flags, round, origins, bytes })
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
    if id.seq == 0 || id.seq >= SEQ_END { Err(DecodeError::Invalid("message id")) } else { Ok(id) }
}

fn put_message_id(out: &mut Vec<u8>, id: MessageId) {
    out.put_id(id.origin);
    out.put_u64(id.epoch);
    out.put_u64(id.seq);
}

impl<'a> Gossip<'a> {
    /// Reads a body; `None` if the tag is not known.
    pub(super) fn decode(tag: u8, reader: &mut Reader<'a>) -> Result<Option<Self>, DecodeError> {
        Ok(Some(match tag {
            tag::PUBLISH => {
                let id = read_message_id(reader)?;
                let (hops, flags) = (reader.u8()?, reader.u8()?);
                Self::Publish { id, hops, flags, item: Item::read(reader.rest())? }
            }
            tag::PART => {
                let (hops, flags) = (reader.u8()?, reader.u8()?);
                let part = Fragment::decode(reader)?;
                if part.item.seq == 0 || part.item.seq >= SEQ_END {
                    return Err(DecodeError::Invalid("message id"));
                }
                Self::Part { hops, flags, part }
            }
            tag::I_HAVE => Self::IHave(Runs::read(reader)?),
            tag::REQUEST => {
                let (round, flags) = (reader.u32()?, reader.u8()?);
                Self::Request { round, flags, runs: Runs::read(reader)? }
            }
            tag::REQUEST_PARTS => {
                let id = read_message_id(reader)?;
                let (low, high) = (reader.u64()?, reader.u64()?);
                Self::RequestParts { id, missing: u128::from(low) | u128::from(high) << 64 }
            }
            tag::DIGEST => Self::Digest(Digest::read(reader)?),
            tag::GONE => Self::Gone(Runs::read(reader)?),
            tag::LACK => Self::Lack(Runs::read(reader)?),
            tag::PUSH_ACK => Self::PushAck(Runs::read(reader)?),
            tag::PRUNE => Self::Prune,
            tag::RECEIPT => Self::Receipt(Runs::read(reader)?),
            tag::RECEIPT_REQUEST => Self::ReceiptRequest(Runs::read(reader)?),
            tag::MARK => {
                let (origin, epoch) = (reader.id()?, reader.u64()?);
                let (low, top) = (reader.u64()?, reader.u64()?);
                if low > top || top == 0 || top >= SEQ_END {
                    return Err(DecodeError::Invalid("mark"));
                }
                Self::Mark { origin, epoch, low, top }
            }
            _ => return Ok(None),
        }))
    }

    pub(super) const fn tag(&self) -> u8 {
        match self {
            Self::Publish { .. } => tag::PUBLISH,
            Self::Part { .. } => tag::PART,
            Self::IHave(_) => tag::I_HAVE,
            Self::Request { .. } => tag::REQUEST,
            Self::RequestParts { .. } => tag::REQUEST_PARTS,
            Self::Digest(_) => tag::DIGEST,
            Self::Gone(_) => tag::GONE,
            Self::Lack(_) => tag::LACK,
            Self::PushAck(_) => tag::PUSH_ACK,
            Self::Prune => tag::PRUNE,
            Self::Receipt(_) => tag::RECEIPT,
            Self::ReceiptRequest(_) => tag::RECEIPT_REQUEST,
            Self::Mark { .. } => tag::MARK,
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the two halves of the bitmap")]
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Publish { id, hops, flags, item } => {
                put_message_id(out, id);
                out.put(&[hops, flags]);
                out.put(item.bytes);
            }
            Self::Part { hops, flags, part } => {
                out.put(&[hops, flags]);
                part.encode(out);
            }
            Self::Request { round, flags, runs } => {
                out.put_u32(round);
                out.put_u8(flags);
                out.put(runs.bytes);
            }
            Self::RequestParts { id, missing } => {
                put_message_id(out, id);
                out.put_u64(missing as u64);
                out.put_u64((missing >> 64) as u64);
            }
            Self::Digest(Digest { flags, round, origins, bytes }) => {
                out.put_u8(flags);
                out.put_u32(round);
                if flags & PULL != 0 {
                    out.put_id(origins.0);
                    out.put_id(origins.1);
                }
                out.put(bytes);
            }
            Self::IHave(runs)
            | Self::Gone(runs)
            | Self::Lack(runs)
            | Self::PushAck(runs)
            | Self::Receipt(runs)
            | Self::ReceiptRequest(runs) => out.put(runs.bytes),
            Self::Prune => {}
            Self::Mark { origin, epoch, low, top } => {
                out.put_id(origin);
                out.put_u64(epoch);
                out.put_u64(low);
                out.put_u64(top);
            }
        }
    }
}
