//! The commands of an application to its node, and their answers. Plain data.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::FirstPhase;
use crate::id::{MessageId, NodeId, PingId};

/// A request of the application to its node. It owns its data, so that it can cross a thread or wait in a queue.
///
/// Each command is answered in the same call, by an [`Answer`] or a [`Rejected`](crate::Rejected). A refused
/// command has changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Command {
    /// Start the node and join through any of these addresses. They are contacted until one answers, without end,
    /// and stay seeds for healing. Without seeds the node is a cluster of one. A second `Join` adds seeds. After a
    /// leave it joins again, under a higher incarnation.
    Join {
        /// Addresses of members, at most `limits::SEEDS_MAX` (64) in all. The own address among them is ignored, so
        /// all members can have one list.
        seeds: Vec<SocketAddr>,
    },
    /// Tell the group that this member leaves, then stop. [`Notice::Departed`](crate::Notice::Departed) follows, at
    /// the latest after `within`. A node that stops without it is detected as a failure.
    Leave {
        /// How long to wait for acknowledgements. With zero the node announces the leave once and stops.
        within: Duration,
    },
    /// Replace the own metadata, which every member sees in [`Member::meta`](crate::Member::meta). At most
    /// `limits::META_BYTES_MAX` (512) bytes.
    SetMeta(Vec<u8>),
    /// Replace all own tags, which every member sees in [`Member::tags`](crate::Member::tags); see
    /// [`Tags`](crate::Tags) for their limits.
    SetTags(BTreeMap<String, String>),
    /// Announce another own address, to which the others then send.
    SetAddr(SocketAddr),
    /// Measure the round trip to a node with up to 3 pings, 100 ms apart. [`Notice::Pong`](crate::Notice::Pong) or
    /// [`Notice::PingFailed`](crate::Notice::PingFailed) follows, with the id of [`Answer::Pinging`]. At most
    /// `limits::PINGS_MAX` (64) at a time.
    Ping {
        /// The node that is to answer. A node with another id at that address does not.
        id: NodeId,
        /// The address to send the pings to.
        addr: SocketAddr,
    },
    /// Add one address to the seeds of this node (rule A7). It is an address to contact, not a member: the member
    /// that answers there becomes known through the join.
    AddPeer(SocketAddr),
    /// Replace all seeds that came from an external source (a file, a registry) by these. Those of `Join` and
    /// `AddPeer` stay.
    SetPeers(Vec<SocketAddr>),
    /// Declare that a member has left: an operator's verdict, for a member that has failed for good. **A running
    /// member stops when this verdict reaches it**, and may come back only under a higher incarnation (rule A7). It
    /// is not the opposite of `AddPeer`.
    RemovePeer(NodeId),
    /// Send a message to every member. It is also delivered here, in this call (with `PersistSeen::BeforeDelivery`
    /// once it is stored), and answered by [`Answer::Sent`].
    ///
    /// It is refused with [`Rejected::NotJoined`](crate::Rejected::NotJoined) before the first contact, and with
    /// [`Rejected::Busy`](crate::Rejected::Busy) while too many bytes wait to be sent.
    Broadcast(Broadcast),
    /// Decide whether the local view shows a member: the answer to
    /// [`Notice::AdmissionAsked`](crate::Notice::AdmissionAsked), or a later change of it.
    Admit {
        /// The member in question.
        id: NodeId,
        /// Whether the local view shows it.
        admission: Admission,
    },
}

/// A message to every member, and how to send it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broadcast {
    /// The topic by which receivers filter, at most `limits::TOPIC_BYTES_MAX` (64) bytes; it may be empty. Topics
    /// that begin with `bruit.` are reserved.
    pub topic: String,
    /// Opaque bytes, at most `broadcast.payload_bytes_max` (64 KiB by default).
    pub payload: Vec<u8>,
    /// If set, [`Notice::Report`](crate::Notice::Report) tells how far the message has spread, until all members
    /// have it or this time has passed. At most `limits::REPORTS_MAX` (64) messages at a time.
    pub report: Option<Duration>,
    /// The first phase of this message, if it is to differ from `broadcast.first`.
    pub first: Option<FirstPhase>,
}

impl Broadcast {
    /// A message without reports, with the configured first phase.
    #[must_use]
    pub fn new(topic: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Self { topic: topic.into(), payload: payload.into(), report: None, first: None }
    }

    /// This message with reports, until all members have it or `within` has passed.
    #[must_use]
    pub const fn report(mut self, within: Duration) -> Self {
        self.report = Some(within);
        self
    }
}

/// Whether the application lets a member into its local view. The table of members stays the same (rule B5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Admission {
    /// The view shows the member.
    Accept,
    /// The view does not show the member, `member_count` does not count it, and its broadcasts are not delivered.
    Veto,
}

/// The immediate result of a command that was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Answer {
    /// The command was carried out, or it was started and a notice will tell its end.
    Done,
    /// The ping was sent; its notice carries this id.
    Pinging(PingId),
    /// The broadcast was accepted, under this id.
    Sent(MessageId),
}
