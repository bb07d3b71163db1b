//! The messages of a join: three steps, so that nobody joins under an address that it cannot be reached at (rule B10).

use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::codec::{Body, Put, Reader};
use super::error::DecodeError;
use super::member::{code, read_code};
use super::record::Record;
use crate::id::{Incarnation, MemberState};

/// Asks to become a member. The receiver takes the record and answers with a [`JoinAnswer`] if the cookie is right.
/// Otherwise it sends a [`JoinEcho`] to the address in the record and remembers nothing (rule B10).
///
/// A joiner that the receiver holds at a higher incarnation or as gone is answered with an [`Accused`](super::Accused) and
/// has to go above that first. A Join to another cluster is answered with a JoinEcho
/// without a cookie, of which the joiner uses only that it exists (rule B13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Join<'a> {
    /// The cookie of the last join echo, or 0.
    pub cookie: u64,
    /// The whole name of the cluster (rule B13).
    pub cluster: &'a str,
    /// The record of the joiner.
    pub record: Record<'a>,
}

/// Challenges a joiner, and tells it what the sender holds of its id. The receiver repeats its [`Join`] with this cookie,
/// which proves that it is reachable at its address, once its id is free (rule A2a).
///
/// A member whose address the receiver holds sends it when it does not know the receiver: so members introduce themselves.
/// Any other echo from an address that the receiver has not asked is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinEcho {
    /// The cookie to repeat.
    pub cookie: u64,
    /// The address that the join came from. A joiner without an address of its own takes it (rule A6).
    pub seen: SocketAddr,
    /// What the sender holds of the joiner's id.
    pub name: NameState,
}

/// What a node holds of an id that a joiner wants to take (rule A2a).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameState {
    /// Nothing, and the node itself has not joined yet.
    NotJoined,
    /// Nothing.
    Unknown,
    /// A process has the id, or had it.
    Held(Holder),
}

/// The process that has an id, or had it last, as a member knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Holder {
    /// The state in which the member holds the process.
    pub state: MemberState,
    /// The incarnation at which the member holds the process.
    pub incarnation: Incarnation,
    /// The boot of the process; 0 if its record is not known.
    pub boot: u64,
    /// The seniority of the process ([`Rank`](crate::id::Rank)); `u64::MAX` if its record is not known.
    pub seniority: u64,
    /// The address of the process; unspecified if it is not known.
    pub addr: SocketAddr,
}

impl Holder {
    /// The address of a holder whose address is not known.
    pub(crate) const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
}

/// Tells a joiner that it has joined. The receiver stops asking seeds, and compares its member table with the sender's. The
/// records behind this message in the datagram are new to the receiver alone, so it does not gossip them on.
///
/// An answer from an address that the receiver has not asked is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinAnswer {
    /// The address that the join came from.
    pub seen: SocketAddr,
    /// The digest of the settings that all members must share, as the sender has them (rule G4).
    pub shared: u64,
    /// The number of members that the sender knows.
    pub members: u32,
}

impl<'a> Body<'a> for Join<'a> {
    fn decode(mut body: Reader<'a>) -> Result<Self, DecodeError> {
        let cookie = body.u64()?;
        let len = usize::from(body.u8()?);
        let cluster = core::str::from_utf8(body.bytes(len)?);
        let cluster = cluster.map_err(|_| DecodeError::Invalid("cluster id"))?;
        Ok(Self { cookie, cluster, record: Record::read(body.rest())? })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64(self.cookie);
        out.put_u8(u8::try_from(self.cluster.len()).expect("the cluster id is bounded by validation"));
        out.put(self.cluster.as_bytes());
        out.put(self.record.bytes());
    }

    fn print(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{name} {}@{}", self.record.id(), self.record.incarnation())
    }
}

/// The codes of the states in which nobody is known to hold the name.
const NOT_JOINED: u8 = 0x41;
const UNKNOWN: u8 = 0x40;

impl Body<'_> for JoinEcho {
    fn decode(mut body: Reader<'_>) -> Result<Self, DecodeError> {
        let (cookie, seen) = (body.u64()?, body.addr()?);
        let name = match body.u8()? {
            NOT_JOINED => NameState::NotJoined,
            UNKNOWN => NameState::Unknown,
            code => NameState::Held(Holder {
                state: read_code(code)?.0,
                incarnation: body.incarnation()?,
                boot: body.u64()?,
                seniority: body.u64()?,
                addr: body.addr()?,
            }),
        };
        Ok(Self { cookie, seen, name })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64(self.cookie);
        out.put_addr(self.seen);
        match self.name {
            NameState::NotJoined => out.put_u8(NOT_JOINED),
            NameState::Unknown => out.put_u8(UNKNOWN),
            NameState::Held(holder) => {
                out.put_u8(code(holder.state, false));
                out.put_incarnation(holder.incarnation);
                out.put_u64(holder.boot);
                out.put_u64(holder.seniority);
                out.put_addr(holder.addr);
            }
        }
    }

    fn print(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{name} to {}: ", self.seen)?;
        match self.name {
            NameState::NotJoined => f.write_str("not joined"),
            NameState::Unknown => f.write_str("unknown"),
            NameState::Held(Holder { state, incarnation, .. }) => {
                write!(f, "{} at {incarnation}", state.name())
            }
        }
    }
}

impl Body<'_> for JoinAnswer {
    fn decode(mut body: Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { seen: body.addr()?, shared: body.u64()?, members: body.u32()? })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_addr(self.seen);
        out.put_u64(self.shared);
        out.put_u32(self.members);
    }

    fn print(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{name} ({} members)", self.members)
    }
}
