//! What every handler is given beside its own state.

use alloc::collections::VecDeque;
use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::id::{Incarnation, NodeId};
use crate::outbox::{Letter, Outbox};
use crate::reconcile::TABLES;
use crate::stats::Stats;
use crate::time::Time;
use crate::wire::Letterhead;

/// The surroundings of one call.
#[derive(Debug)]
pub(crate) struct Ctx<'a> {
    /// The time of this call: the clock is read once for each event.
    pub(crate) now: Time,
    pub(crate) config: &'a Config,
    /// The roots of all tables of the reconciliation when the call began.
    pub(crate) roots: [u64; TABLES],
    /// The number of other members that were alive or suspected when the call began.
    pub(crate) others: usize,
    pub(crate) out: &'a mut Outbox,
    pub(crate) stats: &'a mut Stats,
    pub(crate) post: &'a mut Post,
    pub(crate) signals: &'a mut Signals,
}

impl Ctx<'_> {
    /// Opens a datagram to `to`, for the member `receiver`.
    pub(crate) fn letter(&mut self, to: SocketAddr, receiver: NodeId) -> Letter<'_> {
        self.post.sequence += 1;
        self.out.letter(to, receiver, &self.post.head, self.post.sequence, self.config.mtu)
    }
}

/// What every datagram of this process begins with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Post {
    cluster: u64,
    id: NodeId,
    boot: u64,
    head: Letterhead,
    sequence: u64,
}

impl Post {
    pub(crate) fn new(cluster: u64, id: NodeId, incarnation: Incarnation, boot: u64) -> Self {
        let head = Letterhead::new(cluster, id, incarnation, boot);
        Self { cluster, id, boot, head, sequence: 0 }
    }

    /// The tag of our cluster.
    pub(crate) const fn cluster(&self) -> u64 {
        self.cluster
    }

    /// The own incarnation from now on.
    pub(crate) fn speak_as(&mut self, incarnation: Incarnation) {
        self.head = Letterhead::new(self.cluster, self.id, incarnation, self.boot);
    }
}

/// A fact of one sub-machine that concerns another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Signal {
    /// The node has started.
    Started,
    /// The record of a member has come for the first time.
    MemberKnown(NodeId),
    /// A member has failed, left, or been removed or hidden.
    MemberGone(NodeId),
    /// Nothing is shared about a member any more: its verdict has outlived half of `forget_after` (rule B3).
    MemberFaded(NodeId),
    /// Others know broadcasts of ours in this epoch that this process has not sent: a former life used it (rule A1).
    EpochUsed(u64),
    /// The own incarnation has a new epoch (rule A1).
    NewEpoch(u64),
    /// The node has stopped.
    Stopped,
}

/// Facts on their way to siblings, first in, first out. Drained after each message and each deadline, so what one
/// of these can cause bounds it (rule G3).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Signals {
    queue: VecDeque<Signal>,
}

impl Signals {
    pub(crate) fn push(&mut self, signal: Signal) {
        self.queue.push_back(signal);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(crate) fn pop(&mut self) -> Option<Signal> {
        self.queue.pop_front()
    }
}
