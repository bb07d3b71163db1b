//! A hook for those who want to see the datagrams: filtered by kind of message, called outside the node's mutex.

use std::fmt;
use std::net::SocketAddr;

use bruit_core::Time;
use bruit_core::wire::{Described, Kind, describe};

/// Which way a datagram went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It arrived.
    In,
    /// It was sent.
    Out,
}

/// A datagram that passed, with at least one message of a kind that was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Traced<'a> {
    /// When, on the node's clock.
    pub at: Time,
    /// Which way.
    pub direction: Direction,
    /// The other end.
    pub peer: SocketAddr,
    /// Its bytes as they were on the wire.
    pub bytes: &'a [u8],
    /// What it says.
    pub described: Described<'a>,
}

impl fmt::Display for Traced<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrow = match self.direction {
            Direction::In => "<-",
            Direction::Out => "->",
        };
        write!(f, "{arrow} {} {}", self.peer, self.described)
    }
}

type Hook = Box<dyn Fn(&Traced<'_>) + Send + Sync>;

/// A hook and the kinds of message it wants to see.
pub(crate) struct Tracer {
    kinds: Vec<Kind>,
    hook: Hook,
}

impl Tracer {
    pub(crate) fn new(kinds: Vec<Kind>, hook: Hook) -> Self {
        Self { kinds, hook }
    }

    pub(crate) fn see(&self, at: Time, direction: Direction, peer: SocketAddr, bytes: &[u8]) {
        let Ok(described) = describe(bytes) else { return };
        if described.kinds().any(|kind| self.kinds.contains(&kind)) {
            (self.hook)(&Traced { at, direction, peer, bytes, described });
        }
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer").field("kinds", &self.kinds).finish_non_exhaustive()
    }
}
