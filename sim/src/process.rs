//! What is simulated: a [`Process`], and the [`Io`] through which it acts.
//!
//! A bare [`Node`] is the first implementor. An application that holds a node is the next: it forwards what is
//! for the node by [`Io::drive`], and uses ports of its own for its own datagrams.

use core::net::SocketAddr;

use bruit_core::{Action, Command, Event, Node, Notice, Outbox, Slot, Time};

use crate::cluster::Index;
use crate::kernel::Desk;

/// Tells the kinds of datagrams of a process apart, as a UDP port would.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(pub u16);

/// The port of the node. The application's own are any others.
pub const BRUIT_PORT: Port = Port(0);

/// Something that happens to a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// It has been started, with or without memory. The command to join follows, if it is to join.
    Start,
    /// A datagram arrived. Any bytes from anybody are possible.
    Datagram {
        /// The source as a socket would report it.
        from: SocketAddr,
        /// On which port.
        port: Port,
        /// The payload.
        bytes: &'a [u8],
    },
    /// The time it asked for has come, or passed, or it was woken for nothing.
    Tick,
    /// The scenario wants something of its node.
    Command(Command),
    /// A write that its node asked for is durable.
    Stored {
        /// Which slot.
        slot: Slot,
        /// Which write.
        serial: u64,
    },
}

impl<'a> Input<'a> {
    /// The event that a node should be given for it; `None` for the start and for the application's datagrams.
    #[must_use]
    pub fn into_event(self) -> Option<Event<'a>> {
        match self {
            Self::Datagram { from, port: BRUIT_PORT, bytes } => Some(Event::Datagram { from, bytes }),
            Self::Start | Self::Datagram { .. } => None,
            Self::Tick => Some(Event::Tick),
            Self::Command(command) => Some(Event::Command(command)),
            Self::Stored { slot, serial } => Some(Event::Stored { slot, serial }),
        }
    }
}

/// A simulated process: a deterministic machine that is driven by inputs and its own local time.
pub trait Process {
    /// Takes one input. `now` is the local clock, which may run fast or slow.
    fn handle(&mut self, input: Input<'_>, now: Time, io: &mut Io<'_>);

    /// When it wants a tick, in local time; asked for after each input. Right after a tick it must lie in the
    /// future.
    fn next_wake(&self) -> Option<Time>;

    /// The node inside, so that checks can look at it.
    fn node(&self) -> Option<&Node> {
        None
    }
}

impl Process for Node {
    fn handle(&mut self, input: Input<'_>, now: Time, io: &mut Io<'_>) {
        if let Some(event) = input.into_event() {
            io.drive(self, event, now);
        }
    }

    fn next_wake(&self) -> Option<Time> {
        Self::next_wake(self)
    }

    fn node(&self) -> Option<&Node> {
        Some(self)
    }
}

/// The world as one process reaches it, for the length of one input.
#[derive(Debug)]
pub struct Io<'a> {
    desk: Desk<'a>,
}

impl<'a> Io<'a> {
    pub(crate) const fn new(desk: Desk<'a>) -> Self {
        Self { desk }
    }

    /// Gives the node an event and does what it asks for.
    pub fn drive(&mut self, node: &mut Node, event: Event<'_>, now: Time) {
        let mut out = self.desk.take_outbox();
        self.desk.handle(node, event, now, &mut out);
        self.act(BRUIT_PORT, &out);
        self.desk.give_outbox(out);
    }

    /// Does what a node asks for: sends, writes to the simulated disk (confirmed later by [`Input::Stored`]),
    /// and tells the checks its answers and notices. Returns the notices, for the application.
    pub fn perform<'o>(&mut self, port: Port, out: &'o Outbox) -> impl Iterator<Item = Notice<'o>> + use<'o> {
        self.act(port, out);
        out.iter().filter_map(notice)
    }

    fn act(&mut self, port: Port, out: &Outbox) {
        for action in out.iter() {
            match action {
                Action::Send { to, bytes } => self.desk.send(port, to, &bytes),
                Action::Answer(answer) => self.desk.answered(&answer),
                Action::Notify(notice) => self.desk.notified(&notice),
                Action::Store { slot, serial, bytes } => self.desk.store(slot, serial, &bytes),
                Action::WakeAt(_) => {}
            }
        }
    }

    /// Sends a datagram of the application.
    pub fn send(&mut self, port: Port, to: SocketAddr, bytes: &[u8]) {
        self.desk.send(port, to, bytes);
    }

    /// Which process this is.
    #[must_use]
    pub const fn me(&self) -> Index {
        self.desk.me()
    }

    /// Its present address.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.desk.addr()
    }
}

fn notice(action: Action<'_>) -> Option<Notice<'_>> {
    match action {
        Action::Notify(notice) => Some(notice),
        Action::Send { .. } | Action::Answer(_) | Action::Store { .. } | Action::WakeAt(_) => None,
    }
}
