//! One process's access to the world, and what the kernel notes down while a process acts.

use core::net::SocketAddr;
use core::ops::Range;
use core::time::Duration;

use bruit_core::{Answer, Event, Node, Notice, Outbox, Rejected, Slot, Time};

use super::queue::{Due, Queue};
use crate::check::Violation;
use crate::cluster::Index;
use crate::happening::Fate;
use crate::hash::{TraceHash, mix, of_bytes};
use crate::network::{AddressBook, Datagrams, Filter, Network};
use crate::process::Port;
use crate::station::Station;

/// The parts of the kernel that know nothing of processes.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    pub(crate) queue: Queue,
    pub(crate) hash: TraceHash,
    pub(crate) tie_key: u64,
    pub(crate) events: u64,
    pub(crate) writes: Writes,
    pub(crate) disk_delay: Duration,
    pub(crate) journal: Journal,
    /// Every so many events of a node are handled twice, on a clone; 0 for none.
    pub(crate) purity_every: u64,
    pub(crate) broken: Option<Violation>,
    pub(crate) filter: Option<Filter>,
    outbox: Outbox,
    twin_outbox: Outbox,
}

/// Writes on their way to a disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Writes {
    slots: Vec<Option<Write>>,
    free: Vec<u32>,
}

#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) node: Index,
    pub(crate) life: u32,
    pub(crate) slot: Slot,
    pub(crate) serial: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Writes {
    fn insert(&mut self, write: Write) -> u32 {
        if let Some(number) = self.free.pop() {
            self.slots[number as usize] = Some(write);
            return number;
        }
        self.slots.push(Some(write));
        u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 writes under way")
    }

    pub(crate) fn take(&mut self, number: u32) -> Write {
        self.free.push(number);
        self.slots[number as usize].take().expect("a write is confirmed once")
    }
}

/// What a process did in one input, for the checks; unused while there are none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal {
    pub(crate) on: bool,
    pub(crate) entries: Vec<Noted>,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(crate) enum Noted {
    Sent { to: SocketAddr, port: Port, bytes: Range<usize>, fate: Fate },
    Storing { slot: Slot, serial: u64 },
    Answered(Result<Answer, Rejected>),
    Notice(Notice<'static>),
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
            journal: Journal::default(),
            purity_every: 0,
            broken: None,
            filter: None,
            outbox: Outbox::new(),
            twin_outbox: Outbox::new(),
        }
    }

    /// Puts an entry of `node` into the queue. Its tie comes from the node's own count, so that other nodes
    /// do not shift it.
    pub(crate) fn push(&mut self, time: Time, node: Index, station: &mut Station, due: Due) {
        station.pushed += 1;
        let tie = mix(self.tie_key ^ u64::from(node.0), station.pushed);
        self.queue.push(time, tie, due);
    }
}

/// The world as one process reaches it, for the length of one input.
#[derive(Debug)]
pub(crate) struct Desk<'a> {
    pub(crate) me: Index,
    pub(crate) now: Time,
    pub(crate) station: &'a mut Station,
    pub(crate) engine: &'a mut Engine,
    pub(crate) network: &'a mut Network,
    pub(crate) addresses: &'a AddressBook,
    pub(crate) datagrams: &'a mut Datagrams,
    pub(crate) changes: &'a mut u64,
}

impl Desk<'_> {
    pub(crate) const fn me(&self) -> Index {
        self.me
    }

    pub(crate) const fn addr(&self) -> SocketAddr {
        self.station.address.addr()
    }

    pub(crate) fn take_outbox(&mut self) -> Outbox {
        core::mem::take(&mut self.engine.outbox)
    }

    pub(crate) fn give_outbox(&mut self, mut outbox: Outbox) {
        outbox.clear();
        self.engine.outbox = outbox;
    }

    /// Lets the node handle an event; now and then a clone of it as well, which must do the same (CS6).
    pub(crate) fn handle(&mut self, node: &mut Node, event: Event<'_>, now: Time, out: &mut Outbox) {
        self.engine.events += 1;
        let sampled =
            self.engine.purity_every > 0 && self.engine.events.is_multiple_of(self.engine.purity_every);
        let twin = sampled.then(|| (node.clone(), event.clone()));
        node.handle_into(event, now, out);
        if let Some((mut twin, event)) = twin {
            let mut twin_out = core::mem::take(&mut self.engine.twin_outbox);
            twin.handle_into(event, now, &mut twin_out);
            self.compare(node, &twin, out, &twin_out);
            twin_out.clear();
            self.engine.twin_outbox = twin_out;
        }
    }

    fn compare(&mut self, node: &Node, twin: &Node, out: &Outbox, twin_out: &Outbox) {
        let state = |node: &Node| postcard::to_allocvec(node).expect("a node can be written down");
        let same = out.iter().eq(twin_out.iter()) && state(node) == state(twin);
        if !same {
            let text = "a clone that was given the same event did something else";
            self.engine.broken = Some(Violation::new("CS6", self.now, text).at_node(self.me));
        }
    }

    pub(crate) fn answered(&mut self, answer: &Result<Answer, Rejected>) {
        *self.changes += 1;
        self.engine.hash.add(2 + u64::from(answer.is_ok()));
        if self.engine.journal.on {
            self.engine.journal.entries.push(Noted::Answered(answer.clone()));
        }
    }

    pub(crate) fn notified(&mut self, notice: &Notice<'_>) {
        *self.changes += 1;
        self.engine.hash.add(super::digest::notice(notice));
        if self.engine.journal.on {
            self.engine.journal.entries.push(Noted::Notice(notice.clone().into_owned()));
        }
    }

    pub(crate) fn store(&mut self, slot: Slot, serial: u64, bytes: &[u8]) {
        self.engine.hash.add(mix(of_bytes(bytes), serial));
        if self.engine.journal.on {
            self.engine.journal.entries.push(Noted::Storing { slot, serial });
        }
        let (node, life) = (self.me, self.station.life);
        let number = self.engine.writes.insert(Write { node, life, slot, serial, bytes: bytes.to_vec() });
        let due = self.now + self.engine.disk_delay;
        self.engine.push(due, self.me, self.station, Due::Durable(number));
    }
}
