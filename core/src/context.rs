//! The context that every handler is given beside its own state.

use alloc::collections::VecDeque;
use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::id::NodeId;
use crate::link::{DatagramWriter, Link, Outbox};
use crate::stats::Stats;
use crate::time::Time;
use crate::wire::TABLES;

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
    pub(crate) link: &'a mut Link,
    pub(crate) signals: &'a mut Signals,
}

impl Ctx<'_> {
    /// Begins a datagram to the address `to`, for the member `receiver`.
    pub(crate) fn datagram(&mut self, to: SocketAddr, receiver: NodeId) -> DatagramWriter<'_> {
        self.link.datagram(to, receiver, self.config.mtu, self.out)
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
    /// The tombstone of a member is older than half of `forget_after` and not shared any more, or it is forgotten
    /// (rule B3).
    MemberExpired(NodeId),
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
