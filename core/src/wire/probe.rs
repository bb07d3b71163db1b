//! The messages of the failure detector (SWIM §3.1 and §4): direct and indirect probes.
//!
//! A ping and an ack with roots are nearly all that a settled group sends, so each is written and read in one piece.

use alloc::vec::Vec;
use core::fmt;

use super::codec::{Body, Put, Reader};
use super::error::DecodeError;
use super::sizes::{MESSAGE_BYTES, PROBE_BYTES, SHORT_ACK_BYTES, TABLES};
use crate::id::{Incarnation, NodeId};

/// Asks whether the receiver answers. The receiver sends an [`Ack`], and compares its tables with the sender's where the
/// roots differ (rule B9).
///
/// Every sender gets its ack, but roots are compared only with a validated member, and an unvalidated sender gets no
/// answer longer than its ping (rule F6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ping {
    /// The number that the ack repeats.
    pub seq: u32,
    /// The roots of the sender's fingerprint trees: members, store, marks of the broadcast.
    pub roots: [u64; TABLES],
}

/// Answers a [`Ping`]. The receiver ends the probe with this number, because its target has answered. Roots are compared as
/// those of a [`Ping`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The number of the ping.
    pub seq: u32,
    /// The roots of the sender's fingerprint trees. `None` says that the sender does not hold the receiver alive; the
    /// receiver introduces itself with its record.
    pub roots: Option<[u64; TABLES]>,
}

/// Asks for an indirect probe. The receiver pings the target for the sender, and answers with a [`RelayedAck`] or a
/// [`Nack`] (SWIM §3.1).
///
/// The target is pinged at the address in the receiver's own table, so that no request can name a victim (rule F6). A
/// receiver that does not know the target sends the [`Nack`]. At most [`RELAYS_MAX`](crate::limits::RELAYS_MAX) relayed pings are open at a time; a further one is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PingReq {
    /// The number that the answer repeats.
    pub seq: u32,
    /// The id of the member to ping.
    pub target: NodeId,
}

/// Tells that the target of an indirect probe has not answered yet. The receiver sees that its helper is reachable. A
/// missing nack lowers the receiver's trust in its own network (Lifeguard).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nack {
    /// The number of the [`PingReq`].
    pub seq: u32,
}

/// Tells that the target of an indirect probe has answered. A helper sends it, and the receiver ends its probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayedAck {
    /// The number of the [`PingReq`].
    pub seq: u32,
    /// The member that has answered (rule A5).
    pub author: NodeId,
    /// The incarnation of that member, from the header of its ack.
    pub incarnation: Incarnation,
}

impl Body<'_> for Ping {
    #[inline]
    fn decode(mut body: Reader<'_>) -> Result<Self, DecodeError> {
        let (seq, roots) = read(body.rest())?;
        Ok(Self { seq, roots })
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        out.put(&written(self.seq, self.roots));
    }

    fn print(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{name} {}", self.seq)
    }
}

impl Body<'_> for Ack {
    #[inline]
    fn decode(mut body: Reader<'_>) -> Result<Self, DecodeError> {
        if body.remaining() == SHORT_ACK_BYTES {
            return Ok(Self { seq: body.u32()?, roots: None });
        }
        let (seq, roots) = read(body.rest())?;
        Ok(Self { seq, roots: Some(roots) })
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        match self.roots {
            Some(roots) => out.put(&written(self.seq, roots)),
            None => out.put_u32(self.seq),
        }
    }

    fn print(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{name} {}", self.seq)
    }
}

const PROBE_BODY_BYTES: usize = PROBE_BYTES - MESSAGE_BYTES;

/// Reads the body of a ping, or of an ack with roots, in one piece.
#[inline]
fn read(body: &[u8]) -> Result<(u32, [u64; TABLES]), DecodeError> {
    let body: &[u8; PROBE_BODY_BYTES] = body.first_chunk().ok_or(DecodeError::Truncated)?;
    let (seq, roots) = body.split_first_chunk().ok_or(DecodeError::Truncated)?;
    let (roots, _) = roots.as_chunks();
    Ok((u32::from_le_bytes(*seq), core::array::from_fn(|table| u64::from_le_bytes(roots[table]))))
}

/// The body of a ping, or of an ack with roots.
#[inline]
fn written(seq: u32, roots: [u64; TABLES]) -> [u8; PROBE_BODY_BYTES] {
    let mut body = [0; PROBE_BODY_BYTES];
    body[..4].copy_from_slice(&seq.to_le_bytes());
    body[4..12].copy_from_slice(&roots[0].to_le_bytes());
    body[12..20].copy_from_slice(&roots[1].to_le_bytes());
    body[20..].copy_from_slice(&roots[2].to_le_bytes());
    body
}

impl Body<'_> for PingReq {
    fn decode(mut body: Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { seq: body.u32()?, target: body.id()? })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u32(self.seq);
        out.put_id(self.target);
    }

    fn print(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{name} {} for {}", self.seq, self.target)
    }
}

impl Body<'_> for Nack {
    fn decode(mut body: Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { seq: body.u32()? })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u32(self.seq);
    }

    fn print(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{name} {}", self.seq)
    }
}

impl Body<'_> for RelayedAck {
    fn decode(mut body: Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { seq: body.u32()?, author: body.id()?, incarnation: body.incarnation()? })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u32(self.seq);
        out.put_id(self.author);
        out.put_incarnation(self.incarnation);
    }

    fn print(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{name} {} of {}@{}", self.seq, self.author, self.incarnation)
    }
}
