//! What an application may ask of a node, and the answers. Plain data.

use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{NodeId, PingId};

/// A request to the node. Owned, so that it can cross a thread or wait in a queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Command {
    /// Start, and contact these addresses until one answers, for ever; they stay seeds for healing. Without
    /// seeds the node is a cluster of one. Repeating it adds seeds. After a leave it is a rejoin.
    Join {
        /// Addresses of members; one's own among them is fine. At most `limits::SEEDS_MAX` in all.
        seeds: Vec<SocketAddr>,
    },
    /// Tell the group that this member goes, and stop. [`Notice::Departed`](crate::Notice::Departed) follows,
    /// at the latest after `within`.
    Leave {
        /// How long to wait for acknowledgements. Zero says it once and stops.
        within: Duration,
    },
    /// Replace the own metadata, visible in every member's view. At most `limits::META_BYTES_MAX` bytes.
    SetMeta(Vec<u8>),
    /// Announce another own address.
    SetAddr(SocketAddr),
    /// Measure the round trip to a node: 3 tries, 100 ms apart. [`Notice::Pong`](crate::Notice::Pong) or
    /// [`Notice::PingFailed`](crate::Notice::PingFailed) follows under the answered id.
    Ping {
        /// Whom the datagram is for; a node with another id at that address does not answer.
        id: NodeId,
        /// Where to send it.
        addr: SocketAddr,
    },
    /// One more address to send Join to, for ever: the answerer becomes known through membership (rule A7).
    AddPeer(SocketAddr),
    /// Replace all addresses that came from an external source (a file, a registry) by these.
    SetPeers(Vec<SocketAddr>),
    /// An operator's verdict: the member has left. It stops when it hears so, and may only come back under a
    /// higher incarnation (rule A7).
    RemovePeer(NodeId),
    /// The answer to [`Notice::AdmissionAsked`](crate::Notice::AdmissionAsked), or a later change of mind.
    Admit {
        /// The member in question.
        id: NodeId,
        /// Whether the local view shows it.
        admission: Admission,
    },
}

/// Whether the application lets a member into its local view (rule B5: the table below is not touched).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Admission {
    /// Show it.
    Accept,
    /// Do not show, count or use it.
    Veto,
}

/// The prompt result of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Answer {
    /// Taken; where more follows, a notice will say so.
    Done,
    /// The ping is under way; its notice carries this id.
    Pinging(PingId),
}
