//! Three different things: the caller's mistake ([`ConfigError`], [`Rejected`]), a peer's mistake
//! ([`DecodeError`], [`Misbehavior`]), and ours, which is a panic with a sentence.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::NodeId;

pub use crate::wire::DecodeError;

/// A configuration or a boot that cannot work. Names what disagrees and the limit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A number is outside its legal range.
    OutOfRange {
        /// The setting.
        field: &'static str,
        /// What it was set to.
        value: u64,
        /// The least legal value.
        min: u64,
        /// The greatest legal value.
        max: u64,
    },
    /// One duration must not exceed another.
    Exceeds {
        /// The setting that is too long.
        field: &'static str,
        /// What it was set to.
        value: Duration,
        /// The setting it must not exceed.
        limit_field: &'static str,
        /// What that one was set to.
        limit: Duration,
    },
    /// A byte string is too long, or empty where it must not be.
    Length {
        /// The setting.
        field: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The least legal length.
        min: usize,
        /// The greatest legal length.
        max: usize,
    },
    /// The id is zero, which means "nobody" on the wire.
    NobodyId,
    /// The bytes brought back for a slot are not what was stored there.
    Restored {
        /// Which slot.
        slot: crate::Slot,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange { field, value, min, max } => {
                write!(f, "{field} is {value}, but must lie between {min} and {max}")
            }
            Self::Exceeds { field, value, limit_field, limit } => {
                write!(f, "{field} is {value:?}, but must not exceed {limit_field}, which is {limit:?}")
            }
            Self::Length { field, len, min, max } => {
                write!(f, "{field} has {len} bytes, but must have {min} to {max}")
            }
            Self::NobodyId => write!(f, "the node id is 0, which stands for nobody; choose another"),
            Self::Restored { slot } => write!(f, "the restored bytes of slot {slot:?} are not valid"),
        }
    }
}

impl core::error::Error for ConfigError {}

/// Why a command was refused. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Rejected {
    /// The node has not started: say [`Command::Join`](crate::Command::Join) first.
    NotStarted,
    /// The node is leaving.
    Leaving,
    /// The node has stopped: it left, was removed, or lost an identity conflict.
    Stopped,
    /// Bytes that no datagram can carry, or more than a member may have.
    Oversized {
        /// What is too long.
        what: Field,
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// More of something than is kept.
    TooMany {
        /// What.
        what: Field,
        /// How many there would be.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// No member has been contacted yet, so nobody knows this node's epoch (rule A1). A node without seeds is a
    /// cluster of one, and not refused.
    NotJoined,
    /// Too much is waiting to be sent; try again when [`Node::pending`](crate::Node::pending) has fallen.
    Busy {
        /// Bytes that would wait.
        pending: usize,
        /// The limit, `broadcast.pending_bytes_max`.
        max: usize,
    },
    /// Topics that begin with `bruit.` are for the library.
    ReservedTopic,
    /// No such member is known.
    UnknownMember(NodeId),
    /// The command is about oneself, and must be about another.
    Oneself,
    /// Nothing can be sent to this address (unspecified, or port 0).
    Unreachable(SocketAddr),
}

/// What a [`Rejected`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Field {
    /// The metadata of the own record.
    Meta,
    /// Addresses to join through.
    Seeds,
    /// Addresses from an external source.
    Peers,
    /// Pings under way.
    Pings,
    /// The topic of a broadcast.
    Topic,
    /// The payload of a broadcast.
    Payload,
    /// Broadcasts that are reported on.
    Reports,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Meta => "metadata",
            Self::Seeds => "seeds",
            Self::Peers => "peers",
            Self::Pings => "pings under way",
            Self::Topic => "topic",
            Self::Payload => "payload",
            Self::Reports => "broadcasts reported on",
        })
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted => write!(f, "the node has not started yet; join first"),
            Self::Leaving => write!(f, "the node is leaving"),
            Self::Stopped => write!(f, "the node has stopped"),
            Self::Oversized { what, len, max } => {
                write!(f, "{what}: {len} bytes, but at most {max} fit")
            }
            Self::TooMany { what, len, max } => write!(f, "{what}: {len}, but at most {max} are kept"),
            Self::NotJoined => write!(f, "no member has been contacted yet"),
            Self::Busy { pending, max } => {
                write!(f, "{pending} bytes would wait to be sent, but at most {max} may; try again later")
            }
            Self::ReservedTopic => write!(f, "topics that begin with \"bruit.\" are reserved"),
            Self::UnknownMember(id) => write!(f, "{id} is not a known member"),
            Self::Oneself => write!(f, "that is this node itself"),
            Self::Unreachable(addr) => write!(f, "{addr} is no address to send to"),
        }
    }
}

impl core::error::Error for Rejected {}

/// Something readable that no correct peer sends. Counted, dropped, and not relayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Misbehavior {
    /// An incarnation at or above the end of its range (rule A3).
    Incarnation,
    /// A broadcast longer than `broadcast.payload_bytes_max`.
    Oversized,
    /// Two contents of one incarnation and boot (rule B4).
    TwoContents,
}
