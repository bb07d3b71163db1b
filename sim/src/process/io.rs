//! The access of one process to the world, for the length of one input.

use core::net::SocketAddr;

use bruit_core::{Action, Answer, Event, Node, Notice, Outbox, Rejected, Slot, Time};

use super::digest;
use super::engine::{Engine, Output, Write};
use super::host::Host;
use super::queue::Due;
use crate::base::{Index, mix, of_bytes};
use crate::network::{AddressBook, BRUIT_PORT, Datagrams, Network, Port};

/// The world as one process reaches it while it handles one input.
#[derive(Debug)]
pub struct Io<'a> {
    pub(crate) me: Index,
    pub(crate) now: Time,
    pub(crate) host: &'a mut Host,
    pub(crate) engine: &'a mut Engine,
    pub(crate) network: &'a mut Network,
    pub(crate) addresses: &'a AddressBook,
    pub(crate) datagrams: &'a mut Datagrams,
    /// Counts visible changes, for [`Sim::run_until`](crate::Sim::run_until).
    pub(crate) changes: &'a mut u64,
}

impl Io<'_> {
    /// Gives an event to the node and carries out its actions.
    pub fn drive(&mut self, node: &mut Node, event: Event<'_>, now: Time) {
        let mut out = core::mem::take(&mut self.engine.outbox);
        self.handle(node, event, now, &mut out);
        self.act(BRUIT_PORT, &out);
        let reseed = out.iter().any(|action| action == Action::Reseed);
        out.clear();
        self.engine.outbox = out;
        if reseed {
            let seed = self.seed();
            self.drive(node, Event::Seed(seed), now);
        }
    }

    /// Carries out the actions of a node: sends datagrams, writes to the simulated disk (a later
    /// [`Input::Stored`](crate::Input::Stored) confirms it), and reports answers and notices to the checks. Returns the
    /// notices, for the application.
    pub fn perform<'o>(&mut self, port: Port, out: &'o Outbox) -> impl Iterator<Item = Notice<'o>> + use<'o> {
        self.act(port, out);
        out.iter().filter_map(notice)
    }

    /// Sends a datagram of the application.
    pub fn send(&mut self, port: Port, to: SocketAddr, bytes: &[u8]) {
        self.transmit(port, to, bytes);
    }

    /// The index of this process.
    #[must_use]
    pub const fn me(&self) -> Index {
        self.me
    }

    /// The present address of this process.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.host.address.addr()
    }

    /// New randomness of the operating system, for [`Action::Reseed`].
    pub fn seed(&mut self) -> [u8; 32] {
        self.host.entropy.seed()
    }

    fn act(&mut self, port: Port, out: &Outbox) {
        for action in out.iter() {
            match action {
                Action::Send { to, bytes } => self.transmit(port, to, &bytes),
                Action::Answer(answer) => self.answered(&answer),
                Action::Notify(notice) => self.notified(&notice),
                Action::Store { slot, serial, bytes } => self.store(slot, serial, &bytes),
                Action::Reseed | Action::WakeAt(_) => {}
            }
        }
    }

    /// Lets the node handle an event. For a sample of the events a clone of the node handles it as well, and must do the
    /// same (check CS6).
    fn handle(&mut self, node: &mut Node, event: Event<'_>, now: Time, out: &mut Outbox) {
        self.engine.events += 1;
        let sampled =
            self.engine.purity_every > 0 && self.engine.events.is_multiple_of(self.engine.purity_every);
        let twin = sampled.then(|| (node.clone(), event.clone()));
        node.handle_into(event, now, out);
        if let Some((mut twin, event)) = twin {
            let mut twin_out = core::mem::take(&mut self.engine.twin_outbox);
            twin.handle_into(event, now, &mut twin_out);
            self.engine.impure |= !is_same((node, out), (&twin, &twin_out));
            twin_out.clear();
            self.engine.twin_outbox = twin_out;
        }
    }

    fn answered(&mut self, answer: &Result<Answer, Rejected>) {
        *self.changes += 1;
        self.engine.accepted = answer.is_ok();
        self.engine.hash.add(2 + u64::from(answer.is_ok()));
        self.engine.outputs.record(|| Output::Answered(answer.clone()));
    }

    fn notified(&mut self, notice: &Notice<'_>) {
        *self.changes += 1;
        self.engine.hash.add(digest::notice(notice));
        if let Notice::AdmissionAsked { id } = notice {
            self.engine.asked.push(*id);
        }
        self.engine.outputs.record(|| Output::Notice(notice.clone().into_owned()));
    }

    fn store(&mut self, slot: Slot, serial: u64, bytes: &[u8]) {
        self.engine.hash.add(mix(of_bytes(bytes), serial));
        self.engine.outputs.record(|| Output::Storing { slot, serial });
        let (node, boot) = (self.me, self.host.boots);
        let number = self.engine.writes.insert(Write { node, boot, slot, serial, bytes: bytes.to_vec() });
        let due = self.now + self.engine.disk_delay;
        self.engine.push(due, self.me, self.host, Due::Durable(number));
    }
}

/// Whether two nodes have done the same and are in the same state (check CS6).
pub(crate) fn is_same(one: (&Node, &Outbox), other: (&Node, &Outbox)) -> bool {
    let state = |node: &Node| postcard::to_allocvec(node).expect("a node can be serialized");
    one.1.iter().eq(other.1.iter()) && state(one.0) == state(other.0)
}

fn notice(action: Action<'_>) -> Option<Notice<'_>> {
    match action {
        Action::Notify(notice) => Some(notice),
        Action::Send { .. }
        | Action::Answer(_)
        | Action::Store { .. }
        | Action::Reseed
        | Action::WakeAt(_) => None,
    }
}
