//! What goes into a node. Plain data.

use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::command::Command;

/// Something that happened outside the node. Exhaustive: a driver handles every kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A datagram arrived. Any bytes from anybody are fine here.
    Datagram {
        /// The source that the socket reported.
        from: SocketAddr,
        /// The payload, whole.
        bytes: &'a [u8],
    },
    /// Time has passed. Only a tick fires deadlines; late or spare ticks are normal.
    Tick,
    /// The application wants something. Answered in the same call by exactly one
    /// [`Action::Answer`](crate::Action::Answer).
    Command(Command),
    /// A [`Action::Store`](crate::Action::Store) with this slot and serial is durable now.
    Stored {
        /// The slot that was written.
        slot: Slot,
        /// The serial that the action carried.
        serial: u64,
    },
}

/// A named piece of durable state. A driver keeps the latest bytes of each and brings them back in
/// [`Boot::restored`](crate::Boot::restored).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Slot {
    /// The highest epoch that this member has used: 8 bytes, little-endian.
    Epoch,
    /// Which broadcasts have been delivered.
    SeenSet,
    /// The adopted roster of voters.
    Roster,
    /// The promise ceiling of an acceptor.
    Ballot,
}
