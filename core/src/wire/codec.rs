//! Reading and writing the primitive fields, and the trait that a message implements with them.

use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::error::DecodeError;
use crate::id::{Incarnation, NodeId, Rank};

/// The codec of one message: reads and writes its body, and prints it in a trace. The message's tag and name stand in the
/// table of kinds.
pub(super) trait Body<'a>: Sized {
    /// Reads the body. Bytes behind the known fields are ignored: a newer version put them there (rule G5).
    fn decode(body: Reader<'a>) -> Result<Self, DecodeError>;

    /// Appends the body to `out`.
    fn encode(&self, out: &mut Vec<u8>);

    /// Prints the message for a trace, beginning with `name`, its name in the table.
    fn print(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

/// Takes fields from the front of a byte string. Each method fails if fewer bytes are left than its field needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The number of bytes that are left.
    pub(crate) const fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Takes all that is left.
    pub(crate) const fn rest(&mut self) -> &'a [u8] {
        let rest = self.rest;
        self.rest = &[];
        rest
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// Takes a message: returns its tag and its body.
    pub(crate) fn message(&mut self) -> Result<(u8, &'a [u8]), DecodeError> {
        let ([tag, low, high], rest) = self.rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
        let len = usize::from(u16::from_le_bytes([*low, *high]));
        let (body, rest) = rest.split_at_checked(len).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok((*tag, body))
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn id(&mut self) -> Result<NodeId, DecodeError> {
        self.u64().map(NodeId)
    }

    pub(crate) fn incarnation(&mut self) -> Result<Incarnation, DecodeError> {
        Ok(Incarnation { epoch: self.u64()?, counter: self.u32()? })
    }

    pub(crate) fn rank(&mut self) -> Result<Rank, DecodeError> {
        Ok(Rank { seniority: self.u64()?, draws: self.u16()?, boot: self.u64()? })
    }

    /// Takes an address: a family byte (4 or 6), the port, the IP address.
    pub(crate) fn addr(&mut self) -> Result<SocketAddr, DecodeError> {
        let family = self.u8()?;
        let port = self.u16()?;
        let ip = match family {
            4 => IpAddr::V4(Ipv4Addr::from(self.array::<4>()?)),
            6 => IpAddr::V6(Ipv6Addr::from(self.array::<16>()?)),
            _ => return Err(DecodeError::Invalid("address family")),
        };
        Ok(SocketAddr::new(ip, port))
    }
}

/// Appends fields to a buffer.
pub(crate) trait Put {
    fn put(&mut self, bytes: &[u8]);

    fn put_u8(&mut self, value: u8) {
        self.put(&[value]);
    }

    fn put_u16(&mut self, value: u16) {
        self.put(&value.to_le_bytes());
    }

    fn put_u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }

    fn put_u64(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }

    fn put_id(&mut self, id: NodeId) {
        self.put_u64(id.0);
    }

    fn put_incarnation(&mut self, incarnation: Incarnation) {
        self.put_u64(incarnation.epoch);
        self.put_u32(incarnation.counter);
    }

    fn put_rank(&mut self, rank: Rank) {
        self.put_u64(rank.seniority);
        self.put_u16(rank.draws);
        self.put_u64(rank.boot);
    }

    fn put_addr(&mut self, addr: SocketAddr) {
        self.put_u8(if addr.is_ipv4() { 4 } else { 6 });
        self.put_u16(addr.port());
        match addr.ip() {
            IpAddr::V4(ip) => self.put(&ip.octets()),
            IpAddr::V6(ip) => self.put(&ip.octets()),
        }
    }
}

impl Put for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// The encoded length of an address.
pub(crate) const fn addr_bytes(addr: SocketAddr) -> usize {
    if addr.is_ipv4() { 7 } else { 19 }
}
