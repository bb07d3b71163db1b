//! The messages between processes that use one id (rules A2b and A2c).

use alloc::vec::Vec;
use core::fmt;

use super::codec::{Body, Put, Reader};
use super::error::DecodeError;
use crate::id::{NodeId, Rank};

/// Asks whether another process runs under an id. A running process of this id answers with a [`Claim`] of the same size.
///
/// Any other member passes the question on to the address that it holds for the id, and the answer back: two processes of
/// one id may hear of each other through members alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The id that is asked for.
    pub id: NodeId,
    /// A number that the asker has just drawn.
    pub nonce: u64,
    /// The rank of the asker.
    pub rank: Rank,
}

/// Answers an [`Ask`]: the sender runs under the id. Of two running processes the one with the greater rank stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The id that was asked for.
    pub id: NodeId,
    /// The number of the question.
    pub nonce: u64,
    /// The rank of the process that answers.
    pub rank: Rank,
}

fn read(mut body: Reader<'_>) -> Result<(NodeId, u64, Rank), DecodeError> {
    Ok((body.id()?, body.u64()?, body.rank()?))
}

fn write(id: NodeId, nonce: u64, rank: Rank, out: &mut Vec<u8>) {
    out.put_id(id);
    out.put_u64(nonce);
    out.put_rank(rank);
}

impl Body<'_> for Ask {
    fn decode(body: Reader<'_>) -> Result<Self, DecodeError> {
        let (id, nonce, rank) = read(body)?;
        Ok(Self { id, nonce, rank })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        write(self.id, self.nonce, self.rank, out);
    }

    fn print(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{name} {} by boot {:x}", self.id, self.rank.boot)
    }
}

impl Body<'_> for Claim {
    fn decode(body: Reader<'_>) -> Result<Self, DecodeError> {
        let (id, nonce, rank) = read(body)?;
        Ok(Self { id, nonce, rank })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        write(self.id, self.nonce, self.rank, out);
    }

    fn print(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{name} {} by boot {:x}", self.id, self.rank.boot)
    }
}
