//! What an application may ask of a node, and the answers. Plain data.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::FirstPhase;
use crate::id::{MessageId, NodeId, PingId};

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
    /// Tell every member. It is delivered here too, in this call (with `PersistSeen::BeforeDelivery` once it is
    /// stored). Answered by [`Answer::Sent`]; refused with [`Rejected::NotJoined`](crate::Rejected::NotJoined)
    /// before the first contact, and with [`Rejected::Busy`](crate::Rejected::Busy) while too much waits.
    Broadcast(Broadcast),
    /// The answer to [`Notice::AdmissionAsked`](crate::Notice::AdmissionAsked), or a later change of mind.
    Admit {
        /// The member in question.
        id: NodeId,
        /// Whether the local view shows it.
        admission: Admission,
    },
}

/// A message for every member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broadcast {
    /// What it is about, at most `limits::TOPIC_BYTES_MAX` bytes; may be empty. Names that begin with `bruit.` are
    /// reserved.
    pub topic: String,
    /// Opaque bytes, at most `broadcast.payload_bytes_max`.
    pub payload: Vec<u8>,
    /// Report how far it has spread, until all have it or this time has passed: see
    /// [`Notice::Report`](crate::Notice::Report). At most `limits::REPORTS_MAX` at a time.
    pub report: Option<Duration>,
    /// Go out in another way than `broadcast.first` says.
    pub first: Option<FirstPhase>,
}

impl Broadcast {
    /// A message that nobody reports on, in the configured way.
    #[must_use]
    pub fn new(topic: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Self { topic: topic.into(), payload: payload.into(), report: None, first: None }
    }

    /// The same, with reports until all have it or `within` has passed.
    #[must_use]
    pub const fn report(mut self, within: Duration) -> Self {
        self.report = Some(within);
        self
    }
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
    /// The message is under way, under this name.
    Sent(MessageId),
}
