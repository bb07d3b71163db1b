//! The messages of a datagram, back to back: a tag, a length, a body.

use alloc::vec::Vec;
use core::net::SocketAddr;

use super::codec::{Put, Reader};
use super::gossip::Gossip;
use super::record::Record;
use crate::action::MemberState;
use crate::error::DecodeError;
use crate::id::{Incarnation, NodeId};
use crate::limits::CLUSTER_BYTES_MAX;
use crate::reconcile::{Range, TABLES, WAYS};

/// Tag and length before each body.
pub(crate) const MESSAGE_BYTES: usize = 1 + 2;
/// What a Join needs beside its record.
pub(crate) const JOIN_BYTES_MAX: usize = MESSAGE_BYTES + 8 + 1 + CLUSTER_BYTES_MAX;
/// The fixed part of Compare, Items and Want, with tag and length.
pub(crate) const RECONCILE_BYTES: usize = MESSAGE_BYTES + 1 + 4;
/// One range of a Compare.
pub(crate) const COMPARE_RANGE_BYTES: usize = RANGE_BYTES + 4 + 8 * WAYS;
/// One item of an Items.
pub(crate) const ITEM_BYTES: usize = 16;
const RANGE_BYTES: usize = 5;

/// The tags. 1–31 membership, 32–47 reconciliation, 64–79 broadcast; 80 and above are for the parts to come.
pub(crate) mod tag {
    pub(crate) const PING: u8 = 1;
    pub(crate) const ACK: u8 = 2;
    pub(crate) const PING_REQ: u8 = 3;
    pub(crate) const NACK: u8 = 4;
    pub(crate) const RELAYED_ACK: u8 = 5;
    pub(crate) const ALIVE: u8 = 6;
    pub(crate) const VERDICT: u8 = 7;
    pub(crate) const ACCUSED: u8 = 8;
    pub(crate) const JOIN: u8 = 9;
    pub(crate) const JOIN_ECHO: u8 = 10;
    pub(crate) const JOIN_ANSWER: u8 = 11;
    pub(crate) const COMPARE: u8 = 32;
    pub(crate) const ITEMS: u8 = 33;
    pub(crate) const WANT: u8 = 34;
    pub(crate) const DELTA: u8 = 35;
    pub(crate) const GOSSIP: core::ops::RangeInclusive<u8> = 64..=79;
}

/// One message, its variable parts borrowed from the datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message<'a> {
    /// Are you there? With the roots of the fingerprint trees: members, store, broadcasts (rule B9).
    Ping {
        /// Echoed by the ack.
        seq: u32,
        /// The sender's roots.
        roots: [u64; 3],
    },
    /// Yes.
    Ack {
        /// From the ping.
        seq: u32,
        /// The sender's roots; absent if it does not hold the asker alive.
        roots: Option<[u64; 3]>,
    },
    /// Probe somebody in my place.
    PingReq {
        /// Echoed by the relayed ack or the nack.
        seq: u32,
        /// Whom.
        target: NodeId,
        /// Where.
        addr: SocketAddr,
    },
    /// I have asked, and nobody answered yet: the fault is not between you and me.
    Nack {
        /// From the ping-req.
        seq: u32,
    },
    /// The target of your ping-req has answered me.
    RelayedAck {
        /// From the ping-req.
        seq: u32,
        /// The target.
        author: NodeId,
        /// In its header's words.
        incarnation: Incarnation,
    },
    /// A member's record, and that it is alive at the record's incarnation.
    Alive(Record<'a>),
    /// What somebody holds of a member.
    Verdict(Verdict),
    /// To a member: this is what I hold of you (rule A4).
    Accused(Accused),
    /// Let me in.
    Join(Join<'a>),
    /// To a stranger who wants to join: say this number from there (rule B10).
    JoinEcho {
        /// To be echoed.
        cookie: u64,
        /// The address that the join came from.
        seen: SocketAddr,
    },
    /// You are in.
    JoinAnswer(JoinAnswer),
    /// Fingerprints of sub-ranges.
    Compare(Compare<'a>),
    /// Fingerprints of single items.
    Items(Items<'a>),
    /// Send me these.
    Want(Want<'a>),
    /// The updates after this one in the datagram answer a reconciliation.
    Delta {
        /// Which table.
        table: u8,
    },
    /// Of the broadcast.
    Gossip(Gossip<'a>),
    /// A kind that this version does not know; skipped (rule G5).
    Unknown {
        /// Its tag.
        tag: u8,
    },
}

/// What somebody holds of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The subject.
    pub id: NodeId,
    /// At which incarnation of it.
    pub incarnation: Incarnation,
    /// What; never `Alive` on the wire.
    pub state: MemberState,
    /// Of a `Left`: an operator's word (rule A7).
    pub removed: bool,
    /// How long ago it was passed, in milliseconds; 0 for a suspicion (rule B3).
    pub age: u32,
    /// Who passed it.
    pub author: NodeId,
}

/// What the sender holds of the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accused {
    /// At which incarnation.
    pub incarnation: Incarnation,
    /// What.
    pub state: MemberState,
    /// Of a `Left`: an operator's word.
    pub removed: bool,
    /// The process that the held record stems from; 0 if there is none (rule A2).
    pub boot: u64,
}

/// A request to join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Join<'a> {
    /// The number from the last join echo, or 0.
    pub cookie: u64,
    /// The cluster's whole name (rule B13).
    pub cluster: &'a str,
    /// The joiner's record.
    pub record: Record<'a>,
}

/// The answer to a join that came with the right number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinAnswer {
    /// The joiner's address as seen.
    pub seen: SocketAddr,
    /// The digest of the answerer's shared settings (rule G4).
    pub shared: u64,
    /// How many members the answerer knows.
    pub members: u32,
}

macro_rules! list {
    ($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $field_doc:literal])+ $field:ident : $kind:ty,)* }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name<'a> {
            /// Which table: 0 members, 2 marks of the broadcast.
            pub table: u8,
            /// Bytes of records that the sender is ready to receive for it.
            pub credit: u32,
            bytes: &'a [u8],
            $($(#[doc = $field_doc])+ pub $field: $kind,)*
        }
    };
}

list! {
    /// Ranges with the fingerprints of their sub-ranges.
    Compare {}
}

list! {
    /// Ranges with all their items.
    Items {}
}

list! {
    /// Ids of items wanted.
    Want {}
}

impl<'a> Compare<'a> {
    /// Each range, how many items the sender has in it, and the fingerprints of its sub-ranges.
    pub fn ranges(self) -> impl Iterator<Item = (Range, u32, [u64; 16])> + 'a {
        self.bytes.chunks_exact(COMPARE_RANGE_BYTES).map(|chunk| {
            let mut reader = Reader::new(chunk);
            let range = read_range(&mut reader).expect(CHECKED);
            let count = reader.u32().expect(CHECKED);
            (range, count, core::array::from_fn(|_| reader.u64().expect(CHECKED)))
        })
    }
}

/// One range of an [`Items`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeItems<'a> {
    /// Which ids.
    pub range: Range,
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
}

impl<'a> Items<'a> {
    /// Each range with its items.
    pub fn ranges(self) -> impl Iterator<Item = RangeItems<'a>> {
        let mut reader = Reader::new(self.bytes);
        core::iter::from_fn(move || if reader.remaining() == 0 { None } else { read_items(&mut reader).ok() })
    }
}

impl<'a> Want<'a> {
    /// The ids.
    pub fn ids(self) -> impl Iterator<Item = NodeId> + 'a {
        self.bytes.chunks_exact(8).map(|chunk| Reader::new(chunk).id().expect(CHECKED))
    }
}

const CHECKED: &str = "the length was checked when the message was decoded";

fn read_range(reader: &mut Reader<'_>) -> Result<Range, DecodeError> {
    let prefix = reader.u32()?;
    Range::new(prefix, reader.u8()?).ok_or(DecodeError::Invalid("range"))
}

fn read_items<'a>(reader: &mut Reader<'a>) -> Result<RangeItems<'a>, DecodeError> {
    let range = read_range(reader)?;
    let count = usize::from(reader.u8()?);
    Ok(RangeItems { range, bytes: reader.bytes(count * ITEM_BYTES)? })
}

const REMOVED: u8 = 0x80;

const fn state_code(state: MemberState) -> u8 {
    match state {
        MemberState::Alive => 0,
        MemberState::Suspect => 1,
        MemberState::Down => 2,
        MemberState::Left => 3,
    }
}

const fn read_state(code: u8) -> Result<MemberState, DecodeError> {
    match code & 0x0f {
        0 => Ok(MemberState::Alive),
        1 => Ok(MemberState::Suspect),
        2 => Ok(MemberState::Down),
        3 => Ok(MemberState::Left),
        _ => Err(DecodeError::Invalid("state")),
    }
}

/// The body of a ping or an ack, in one piece.
fn read_probe(body: &[u8]) -> Result<(u32, [u64; TABLES]), DecodeError> {
    let body: &[u8; PROBE_BYTES - MESSAGE_BYTES] = body.first_chunk().ok_or(DecodeError::Truncated)?;
    let (seq, roots) = body.split_first_chunk().ok_or(DecodeError::Truncated)?;
    let (roots, _) = roots.as_chunks();
    Ok((u32::from_le_bytes(*seq), core::array::from_fn(|table| u64::from_le_bytes(roots[table]))))
}

impl<'a> Message<'a> {
    /// The roots that ride on a ping or an ack.
    pub(crate) const fn roots(&self) -> Option<[u64; TABLES]> {
        if let Self::Ping { roots, .. } | Self::Ack { roots: Some(roots), .. } = self {
            Some(*roots)
        } else {
            None
        }
    }

    /// The table that a message of a reconciliation is about.
    pub(crate) const fn table(&self) -> Option<u8> {
        if let Self::Compare(Compare { table, .. })
        | Self::Items(Items { table, .. })
        | Self::Want(Want { table, .. })
        | Self::Delta { table } = self
        {
            Some(*table)
        } else {
            None
        }
    }

    /// Reads a body. Bytes behind the known fields are ignored: a newer version put them there.
    pub(crate) fn decode(tag: u8, body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        Ok(match tag {
            tag::PING => {
                let (seq, roots) = read_probe(body)?;
                Self::Ping { seq, roots }
            }
            tag::ACK if body.len() == 4 => Self::Ack { seq: reader.u32()?, roots: None },
            tag::ACK => {
                let (seq, roots) = read_probe(body)?;
                Self::Ack { seq, roots: Some(roots) }
            }
            tag::PING_REQ => Self::PingReq { seq: reader.u32()?, target: reader.id()?, addr: reader.addr()? },
            tag::NACK => Self::Nack { seq: reader.u32()? },
            tag::RELAYED_ACK => Self::RelayedAck {
                seq: reader.u32()?,
                author: reader.id()?,
                incarnation: reader.incarnation()?,
            },
            tag::ALIVE => Self::Alive(Record::read(body)?),
            tag::VERDICT => Self::Verdict(Verdict::decode(&mut reader)?),
            tag::ACCUSED => {
                let incarnation = reader.incarnation()?;
                let code = reader.u8()?;
                Self::Accused(Accused {
                    incarnation,
                    state: read_state(code)?,
                    removed: code & REMOVED != 0,
                    boot: reader.u64()?,
                })
            }
            tag::JOIN => {
                let cookie = reader.u64()?;
                let len = usize::from(reader.u8()?);
                let cluster = core::str::from_utf8(reader.bytes(len)?);
                let cluster = cluster.map_err(|_| DecodeError::Invalid("cluster id"))?;
                Self::Join(Join { cookie, cluster, record: Record::read(reader.rest())? })
            }
            tag::JOIN_ECHO => Self::JoinEcho { cookie: reader.u64()?, seen: reader.addr()? },
            tag::JOIN_ANSWER => Self::JoinAnswer(JoinAnswer {
                seen: reader.addr()?,
                shared: reader.u64()?,
                members: reader.u32()?,
            }),
            tag::COMPARE => {
                let (table, credit, bytes) = (reader.u8()?, reader.u32()?, reader.rest());
                let mut check = Reader::new(bytes);
                while check.remaining() > 0 {
                    read_range(&mut check)?;
                    check.bytes(COMPARE_RANGE_BYTES - RANGE_BYTES)?;
                }
                Self::Compare(Compare { table, credit, bytes })
            }
            tag::ITEMS => {
                let (table, credit, bytes) = (reader.u8()?, reader.u32()?, reader.rest());
                let mut check = Reader::new(bytes);
                while check.remaining() > 0 {
                    read_items(&mut check)?;
                }
                Self::Items(Items { table, credit, bytes })
            }
            tag::WANT => {
                let (table, credit, bytes) = (reader.u8()?, reader.u32()?, reader.rest());
                if !bytes.len().is_multiple_of(8) {
                    return Err(DecodeError::Truncated);
                }
                Self::Want(Want { table, credit, bytes })
            }
            tag::DELTA => Self::Delta { table: reader.u8()? },
            tag if tag::GOSSIP.contains(&tag) => match Gossip::decode(tag, &mut reader)? {
                Some(gossip) => Self::Gossip(gossip),
                None => Self::Unknown { tag },
            },
            tag => Self::Unknown { tag },
        })
    }

    /// Appends the message to `out`.
    ///
    /// # Panics
    /// On [`Message::Unknown`], which stands for bytes that are gone.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let tag = match self {
            Self::Ping { .. } => tag::PING,
            Self::Ack { .. } => tag::ACK,
            Self::PingReq { .. } => tag::PING_REQ,
            Self::Nack { .. } => tag::NACK,
            Self::RelayedAck { .. } => tag::RELAYED_ACK,
            Self::Alive(_) => tag::ALIVE,
            Self::Verdict(_) => tag::VERDICT,
            Self::Accused(_) => tag::ACCUSED,
            Self::Join(_) => tag::JOIN,
            Self::JoinEcho { .. } => tag::JOIN_ECHO,
            Self::JoinAnswer(_) => tag::JOIN_ANSWER,
            Self::Compare(_) => tag::COMPARE,
            Self::Items(_) => tag::ITEMS,
            Self::Want(_) => tag::WANT,
            Self::Delta { .. } => tag::DELTA,
            Self::Gossip(gossip) => gossip.tag(),
            Self::Unknown { .. } => panic!("an unknown message has no bytes any more"),
        };
        if let Self::Ping { seq, roots } | Self::Ack { seq, roots: Some(roots) } = *self {
            return encode_probe(tag, seq, roots, out);
        }
        let start = out.len();
        out.put(&[tag, 0, 0]);
        self.encode_body(out);
        let len = u16::try_from(out.len() - start - MESSAGE_BYTES).expect("a message fits a datagram");
        out[start + 1..start + 3].copy_from_slice(&len.to_le_bytes());
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Ack { seq, .. } | Self::Nack { seq } => out.put_u32(seq),
            Self::PingReq { seq, target, addr } => {
                out.put_u32(seq);
                out.put_id(target);
                out.put_addr(addr);
            }
            Self::RelayedAck { seq, author, incarnation } => {
                out.put_u32(seq);
                out.put_id(author);
                out.put_incarnation(incarnation);
            }
            Self::Alive(record) => out.put(record.bytes()),
            Self::Verdict(verdict) => verdict.encode(out),
            Self::Accused(Accused { incarnation, state, removed, boot }) => {
                out.put_incarnation(incarnation);
                out.put_u8(state_code(state) | if removed { REMOVED } else { 0 });
                out.put_u64(boot);
            }
            Self::Join(Join { cookie, cluster, record }) => {
                out.put_u64(cookie);
                out.put_u8(u8::try_from(cluster.len()).expect("the cluster id is bounded by validation"));
                out.put(cluster.as_bytes());
                out.put(record.bytes());
            }
            Self::JoinEcho { cookie, seen } => {
                out.put_u64(cookie);
                out.put_addr(seen);
            }
            Self::JoinAnswer(JoinAnswer { seen, shared, members }) => {
                out.put_addr(seen);
                out.put_u64(shared);
                out.put_u32(members);
            }
            Self::Compare(Compare { table, credit, bytes })
            | Self::Items(Items { table, credit, bytes })
            | Self::Want(Want { table, credit, bytes }) => {
                out.put_u8(table);
                out.put_u32(credit);
                out.put(bytes);
            }
            Self::Delta { table } => out.put_u8(table),
            Self::Gossip(gossip) => gossip.encode(out),
            Self::Ping { .. } | Self::Unknown { .. } => unreachable!("encode has dealt with it"),
        }
    }
}

/// A ping or an ack, the two messages of a settled group, in one piece.
#[expect(clippy::cast_possible_truncation, reason = "a constant of 28")]
fn encode_probe(tag: u8, seq: u32, roots: [u64; TABLES], out: &mut Vec<u8>) {
    let mut bytes = [0; PROBE_BYTES];
    bytes[0] = tag;
    bytes[1] = (PROBE_BYTES - MESSAGE_BYTES) as u8;
    bytes[3..7].copy_from_slice(&seq.to_le_bytes());
    bytes[7..15].copy_from_slice(&roots[0].to_le_bytes());
    bytes[15..23].copy_from_slice(&roots[1].to_le_bytes());
    bytes[23..].copy_from_slice(&roots[2].to_le_bytes());
    out.put(&bytes);
}

/// A ping or an ack, with its tag and length.
pub(crate) const PROBE_BYTES: usize = MESSAGE_BYTES + 4 + 8 * TABLES;

// Who is held wrongly learns it in an answer that is no longer than its ping (rules A4 and F6).
const _: () = assert!(MESSAGE_BYTES + 4 + MESSAGE_BYTES + 12 + 1 + 8 <= PROBE_BYTES);

impl Verdict {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let id = reader.id()?;
        let incarnation = reader.incarnation()?;
        let code = reader.u8()?;
        let state = read_state(code)?;
        if id == NodeId::NOBODY || state == MemberState::Alive {
            return Err(DecodeError::Invalid("verdict"));
        }
        let removed = code & REMOVED != 0;
        Ok(Self { id, incarnation, state, removed, age: reader.u32()?, author: reader.id()? })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_id(self.id);
        out.put_incarnation(self.incarnation);
        out.put_u8(state_code(self.state) | if self.removed { REMOVED } else { 0 });
        out.put_u32(self.age);
        out.put_id(self.author);
    }
}

impl<'a> Compare<'a> {
    /// A comparison of the ranges that [`put_compare_range`] has written to `bytes`.
    pub(crate) const fn of(table: u8, credit: u32, bytes: &'a [u8]) -> Self {
        Self { table, credit, bytes }
    }
}

impl<'a> Items<'a> {
    /// The ranges that [`put_items_range`] has written to `bytes`.
    pub(crate) const fn of(table: u8, credit: u32, bytes: &'a [u8]) -> Self {
        Self { table, credit, bytes }
    }
}

impl<'a> Want<'a> {
    /// The ids that stand in `bytes`, eight bytes each.
    pub(crate) const fn of(table: u8, credit: u32, bytes: &'a [u8]) -> Self {
        Self { table, credit, bytes }
    }
}

fn put_range(out: &mut Vec<u8>, range: Range) {
    out.put_u32(range.prefix());
    out.put_u8(range.depth());
}

/// One range of a comparison: how many items the sender has in it, and the fingerprints of its parts.
pub(crate) fn put_compare_range(out: &mut Vec<u8>, range: Range, parts: &[(u64, usize); WAYS]) {
    put_range(out, range);
    let count: usize = parts.iter().map(|part| part.1).sum();
    out.put_u32(u32::try_from(count).unwrap_or(u32::MAX));
    parts.iter().for_each(|part| out.put_u64(part.0));
}

/// One range of a listing; at most 255 items.
pub(crate) fn put_items_range(out: &mut Vec<u8>, range: Range, items: &[(NodeId, u64)]) {
    put_range(out, range);
    out.put_u8(u8::try_from(items.len()).expect("a listed range is small"));
    for (id, fingerprint) in items {
        out.put_id(*id);
        out.put_u64(*fingerprint);
    }
}
