//! Errors of three kinds: mistakes of the caller ([`ConfigError`], [`Rejected`]) and of a peer ([`DecodeError`],
//! [`Misbehavior`]), and mistakes in this library, which are panics that say what was assumed.

use alloc::format;
use alloc::string::String;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{NodeId, Slot};
use crate::limits::TAG_BYTES_MAX;

pub use crate::wire::DecodeError;

/// A configuration or a boot that cannot work, returned by [`Node::new`](crate::Node::new). It names the setting,
/// its value and the limit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A number is outside its legal range.
    OutOfRange {
        /// The name of the setting, such as `membership.health_max`.
        field: &'static str,
        /// The value it was set to.
        value: u64,
        /// The least legal value.
        min: u64,
        /// The greatest legal value.
        max: u64,
    },
    /// A duration exceeds another one that limits it.
    Exceeds {
        /// The setting that is too long.
        field: &'static str,
        /// The value it was set to.
        value: Duration,
        /// The setting, or the constant in words, that limits it.
        limit_field: &'static str,
        /// The value of that limit.
        limit: Duration,
    },
    /// A byte string is too long, or empty where it must not be.
    Length {
        /// The name of the setting, such as `boot.name`.
        field: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The least legal length.
        min: usize,
        /// The greatest legal length.
        max: usize,
    },
    /// The key of a tag is empty or contains `=`, or the key or the value is longer than `limits::TAG_BYTES_MAX`.
    InvalidTag {
        /// The key of the tag.
        key: String,
    },
    /// The id of the boot is zero, which means "nobody" on the wire.
    NobodyId,
    /// The restored bytes of a slot are not what was stored there: the file is damaged or of another program. Start
    /// without them, or restore a copy.
    Restored {
        /// The slot whose bytes are not valid.
        slot: Slot,
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
            Self::InvalidTag { key } => write!(f, "{}", invalid_tag(key)),
            Self::NobodyId => write!(f, "the node id is 0, which stands for nobody; choose another"),
            Self::Restored { slot } => write!(f, "the restored bytes of slot {slot:?} are not valid"),
        }
    }
}

impl core::error::Error for ConfigError {}

/// Why a command was refused. A refused command has changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Rejected {
    /// The node has not started: give it [`Command::Join`](crate::Command::Join) first.
    NotStarted,
    /// The node is leaving.
    Leaving,
    /// The node has stopped: it left, was removed, or lost an identity conflict.
    Stopped,
    /// A byte string is longer than its limit.
    Oversized {
        /// The part of the command that is too long.
        what: Field,
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// The key of a tag is empty or contains `=`, or the key or the value is longer than `limits::TAG_BYTES_MAX`.
    InvalidTag {
        /// The key of the tag.
        key: String,
    },
    /// The node would have to keep more entries of one kind than their limit allows.
    TooMany {
        /// The kind of entry of which there would be too many.
        what: Field,
        /// How many there would be with this command.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// The node has seeds and has not reached any member yet, so its epoch might have been used before (rule A1).
    /// Try again after [`Notice::Joined`](crate::Notice::Joined). A node without seeds is a cluster of one and is
    /// not refused.
    NotJoined,
    /// Too many bytes wait to be sent. Try again when [`Node::pending`](crate::Node::pending) has fallen.
    Busy {
        /// The bytes of own broadcasts that would wait with this one.
        pending: usize,
        /// The limit, `broadcast.pending_bytes_max`.
        max: usize,
    },
    /// The topic begins with `bruit.`; such topics are reserved for the library.
    ReservedTopic,
    /// No member with this id is known.
    UnknownMember(NodeId),
    /// The command names this node itself, and must name another one.
    Oneself,
    /// Nothing can be sent to this address, because it is unspecified or its port is 0.
    Unreachable(SocketAddr),
}

/// The part of a command that a [`Rejected`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Field {
    /// The metadata of this member.
    Meta,
    /// The tags of this member.
    Tags,
    /// The addresses to join through.
    Seeds,
    /// The addresses from an external source, and added ones.
    Peers,
    /// The pings that wait for an answer.
    Pings,
    /// The topic of a broadcast.
    Topic,
    /// The payload of a broadcast.
    Payload,
    /// The broadcasts with reports.
    Reports,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Meta => "metadata",
            Self::Tags => "tags",
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
            Self::InvalidTag { key } => write!(f, "{}", invalid_tag(key)),
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

/// Why a tag with this key was refused.
fn invalid_tag(key: &str) -> String {
    format!(
        "the tag {key:?} needs a key without \"=\", and a key and a value of at most {TAG_BYTES_MAX} bytes"
    )
}

impl core::error::Error for Rejected {}

/// A readable message that no correct peer sends. The node counts it, drops it, and does not relay it. A typical
/// cause is a defect or an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Misbehavior {
    /// An incarnation at or above the end of its range (rule A3).
    Incarnation,
    /// A broadcast is longer than `broadcast.payload_bytes_max`. If the members differ in that setting, this is the
    /// cause.
    Oversized,
    /// Two records of one member have equal incarnations and boots and different contents (rule B4).
    TwoContents,
}
