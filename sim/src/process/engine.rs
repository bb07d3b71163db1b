//! The parts of the kernel that do not depend on the type of the process: the queue, the trace hash, the writes under
//! way, and the outputs of the present input.

use core::net::SocketAddr;
use core::ops::Range;
use core::time::Duration;

use bruit_core::{Answer, NodeId, Notice, Outbox, Rejected, Slot, Time};

use super::host::Host;
use super::queue::{Due, Queue};
use crate::base::{Index, TraceHash, mix};
use crate::network::{Fate, Filter, Port};

/// The queue, the trace hash and everything else that one input may touch beside its own host and the network.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    pub(crate) queue: Queue,
    pub(crate) hash: TraceHash,
    pub(crate) tie_key: u64,
    /// Events that nodes have handled so far.
    pub(crate) events: u64,
    pub(crate) writes: Writes,
    /// The time that a write takes until it is durable.
    pub(crate) disk_delay: Duration,
    pub(crate) outputs: Outputs,
    /// One in so many events of nodes is handled twice, by the node and by a clone; 0 switches this off.
    pub(crate) purity_every: u64,
    /// True once a clone of a node did something else than the node (check CS6).
    pub(crate) impure: bool,
    pub(crate) filter: Option<Filter>,
    /// Whether the node has accepted the command of the present input.
    pub(crate) accepted: bool,
    /// The members about whose admission the node has asked in the present input.
    pub(crate) asked: Vec<NodeId>,
    pub(super) outbox: Outbox,
    pub(super) twin_outbox: Outbox,
}

/// The writes that are not durable yet, by number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Writes {
    slots: Vec<Option<Write>>,
    free: Vec<u32>,
}

/// A write that a node asked for.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) node: Index,
    /// The number of the boot that asked for it. A crash loses the writes that are not durable.
    pub(crate) boot: u32,
    pub(crate) slot: Slot,
    pub(crate) serial: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Writes {
    pub(crate) fn insert(&mut self, write: Write) -> u32 {
        if let Some(number) = self.free.pop() {
            self.slots[number as usize] = Some(write);
            return number;
        }
        self.slots.push(Some(write));
        u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 writes under way")
    }

    /// The writes of one boot of a process that are under way.
    pub(crate) fn of(&self, node: Index, boot: u32) -> impl Iterator<Item = &Write> {
        self.slots.iter().flatten().filter(move |write| write.node == node && write.boot == boot)
    }

    pub(crate) fn take(&mut self, number: u32) -> Write {
        self.free.push(number);
        self.slots[number as usize].take().expect("a write is confirmed once")
    }
}

/// The outputs of a process for the present input, which the kernel then reports to the checks. Nothing is recorded
/// while there are no checks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outputs {
    pub(crate) on: bool,
    pub(crate) entries: Vec<Output>,
    /// The bytes of all datagrams in `entries`.
    pub(crate) bytes: Vec<u8>,
}

/// One output of a process.
#[derive(Clone, Debug)]
pub(crate) enum Output {
    Sent { to: SocketAddr, port: Port, bytes: Range<usize>, fate: Fate },
    Storing { slot: Slot, serial: u64 },
    Answered(Result<Answer, Rejected>),
    Notice(Notice<'static>),
}

impl Outputs {
    pub(super) fn record(&mut self, output: impl FnOnce() -> Output) {
        if self.on {
            self.entries.push(output());
        }
    }

    pub(super) fn record_datagram(&mut self, to: SocketAddr, port: Port, bytes: &[u8], fate: Fate) {
        if self.on {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(bytes);
            self.entries.push(Output::Sent { to, port, bytes: start..self.bytes.len(), fate });
        }
    }
}

impl Engine {
    pub(crate) fn new(seed: u64, tie_key: u64) -> Self {
        Self {
            queue: Queue::default(),
            hash: TraceHash::new(seed),
            tie_key,
            events: 0,
            writes: Writes::default(),
            disk_delay: Duration::from_millis(1),
            outputs: Outputs::default(),
            purity_every: 0,
            impure: false,
            filter: None,
            accepted: false,
            asked: Vec::new(),
            outbox: Outbox::new(),
            twin_outbox: Outbox::new(),
        }
    }

    /// Adds an entry of `node` to the queue. Its tie is drawn from the number of entries that this node has added, so
    /// that other nodes do not change it.
    pub(crate) fn push(&mut self, time: Time, node: Index, host: &mut Host, due: Due) {
        host.pushed += 1;
        let tie = mix(self.tie_key ^ u64::from(node.0), host.pushed);
        self.queue.push(time, tie, due);
    }
}
