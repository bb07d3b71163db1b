//! The messages of the broadcast.

use alloc::vec::Vec;
use core::fmt;

use super::codec::{Body, Put, Reader};
use super::error::DecodeError;
use super::fragment::{Fragment, ItemId};
use super::item::Item;
use super::run::{Runs, SEQ_END, check_seq, put_message_id, read_message_id};
use crate::id::{MessageId, NodeId};

/// A flag of a [`Publish`] or [`Part`]: the sender sends it along an eager edge of its tree (Plumtree).
pub(crate) const EAGER: u8 = 1;
/// A flag of a [`Publish`] or [`Part`]: the sender wants a [`PushAck`] if it was the first to bring it.
pub(crate) const PUSHED: u8 = 2;
/// A flag of a [`Publish`] or [`Part`]: its origin sends it to all members, so the receiver need not pass it on.
pub(crate) const MULTICAST: u8 = 4;
/// The flag of a [`Request`]: the sender wants further messages without asking (Plumtree's graft).
pub(crate) const GRAFT: u8 = 1;

/// Carries a whole broadcast. The receiver delivers it and passes it on, if it is new. If the receiver has it already and
/// it came along an eager edge, the receiver may answer with a [`Prune`].
///
/// An item longer than [`FRAGMENT_BYTES`](crate::limits::FRAGMENT_BYTES) travels in [`Part`]s.
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

/// Carries one fragment of a broadcast. The receiver keeps it, and once it has all fragments of the item, it handles the
/// item like a [`Publish`].
///
/// A node keeps at most [`REASSEMBLIES_MAX`](crate::limits::REASSEMBLIES_MAX) unfinished items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// The number of nodes that have sent the fragment on its way, the sender included.
    pub hops: u8,
    /// The flags, as in a [`Publish`].
    pub flags: u8,
    /// The fragment.
    pub part: Fragment<'a>,
}

/// Asks for broadcasts. The receiver sends them, the latest first, and a [`Gone`] or [`Lack`] for those that it cannot
/// send.
///
/// The number of broadcasts that one request gets, and the bytes that one member gets in an interval, are bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// The round of the digest that the request answers, or 0. A request for an old round is ignored (pbcast).
    pub round: u32,
    /// Bit 0: the receiver also makes the edge to the sender eager (Plumtree's graft).
    pub flags: u8,
    /// The broadcasts that the sender asks for.
    pub runs: Runs<'a>,
}

/// Asks for the fragments of a broadcast that the sender lacks. The receiver sends them, within the bounds of a
/// [`Request`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestParts {
    /// The id of the broadcast.
    pub id: MessageId,
    /// One bit for each fragment that the sender lacks, the lowest for the first one.
    pub missing: u128,
}

/// Asks the receiver to send no broadcasts unasked. The receiver makes its edge to the sender lazy: it announces broadcasts
/// with an [`IHave`] instead of sending them (Plumtree).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prune;

/// Tells which numbers of one origin's broadcasts exist in an epoch. The receiver asks the sender for those that it lacks
/// (rule C3).
///
/// A mark is an item of a reconciliation, and stands behind a [`Delta`](super::Delta).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The member whose broadcasts are counted.
    pub origin: NodeId,
    /// The epoch in which the origin has sent them.
    pub epoch: u64,
    /// The lowest number that the sender still holds, or 0 if it holds none.
    pub low: u64,
    /// The highest number that the sender knows to exist, at least 1.
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
    /// Announces broadcasts. The receiver notes that the sender has them. It requests those that it lacks: in a tree after
    /// `request_delay`, in which they may come along an eager edge, otherwise at once.
    IHave;
    /// Tells that the sender does not hold these broadcasts any more. The receiver looks for them at other members. Once
    /// enough members have answered with [`Gone`] or [`Lack`], a broadcast that nobody offers is given up (rules C1 and
    /// C4).
    Gone;
    /// Tells that these broadcasts have not reached the sender either. The receiver looks for them at other members.
    Lack;
    /// Acknowledges pushed broadcasts that were new to the sender. The receiver, which pushed them, counts the sender. If
    /// too few answer, it announces them with an [`IHave`].
    PushAck;
    /// Tells the origin of these broadcasts that the sender has delivered them. The origin counts the sender in its
    /// reports.
    Receipt;
    /// Asks for a receipt. The receiver answers with a [`Receipt`] for all broadcasts that it has of the sender's latest
    /// epoch. The runs name those that the sender still reports on.
    ReceiptRequest;
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
        out.put(self.item.bytes());
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
