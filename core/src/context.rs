//! The context of a handler: everything that it is given beside its machine's own state.

use alloc::collections::VecDeque;
use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::id::NodeId;
use crate::link::{DatagramWriter, Link, Outbox};
use crate::stats::Stats;
use crate::time::Time;
use crate::wire::TABLES;

/// The context of one call: the time, the settings, and the places to which handlers write their results.
#[derive(Debug)]
pub(crate) struct Ctx<'a> {
    /// The time of this call: the clock is read once for each event.
    pub(crate) now: Time,
    pub(crate) config: &'a Config,
    /// The roots of all tables that are reconciled, as they were when the call began.
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

/// A fact that one machine passes to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Signal {
    /// The node has started.
    Started,
    /// The record of a member was received for the first time.
    MemberKnown(NodeId),
    /// A member has failed, left, or been removed or hidden.
    MemberGone(NodeId),
    /// The tombstone of a member was held back (it is older than half of `forget_after` and is no longer spread), or
    /// the member was forgotten (rule B3).
    MemberExpired(NodeId),
    /// Other members know broadcasts of this node in this epoch that this process has not sent, so an earlier process
    /// used the epoch (rule A1).
    EpochUsed(u64),
    /// This node has moved to a new epoch (rule A1).
    NewEpoch(u64),
    /// The node has stopped.
    Stopped,
}

/// The signals that wait for delivery, first in, first out. They are delivered after each message and each deadline, so
/// the queue never holds more than one message or deadline can cause (rule G3).
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
