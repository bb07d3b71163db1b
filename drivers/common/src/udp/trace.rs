//! Tracing: a function of the application is shown the datagrams that carry certain kinds of message. It is called
//! outside the node's mutex.

use std::fmt;
use std::net::SocketAddr;

use bruit_core::Time;
use bruit_core::wire::{Described, Kind, describe};

/// The direction of a traced datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The node received it.
    In,
    /// The node sent it.
    Out,
}

/// A datagram, sent or received, with at least one message of a kind that was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Traced<'a> {
    /// The time on the node's clock.
    pub at: Time,
    /// The direction.
    pub direction: Direction,
    /// The address that it was sent to, or that it came from.
    pub peer: SocketAddr,
    /// The bytes of the datagram.
    pub bytes: &'a [u8],
    /// The decoded messages.
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

type Show = Box<dyn Fn(&Traced<'_>) + Send + Sync>;

/// The application's function, and the kinds of message that it is shown.
pub(crate) struct Tracer {
    kinds: Vec<Kind>,
    show: Show,
}

impl Tracer {
    pub(crate) fn new(kinds: Vec<Kind>, show: Show) -> Self {
        Self { kinds, show }
    }

    pub(crate) fn see(&self, at: Time, direction: Direction, peer: SocketAddr, bytes: &[u8]) {
        let Ok(described) = describe(bytes) else { return };
        if described.kinds().any(|kind| self.kinds.contains(&kind)) {
            (self.show)(&Traced { at, direction, peer, bytes, described });
        }
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer").field("kinds", &self.kinds).finish_non_exhaustive()
    }
}
