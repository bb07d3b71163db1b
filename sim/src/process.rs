//! Processes: the trait [`Process`] of everything that is simulated, the host of a process, and the [`Io`] through which it
//! reaches the world.
//!
//! A bare [`Node`] is a process. An application that holds a node can be one as well: it passes on what is for its
//! node with [`Io::drive`], and sends its own datagrams on ports of its own.

pub(crate) mod clock;
pub(crate) mod digest;
pub(crate) mod engine;
pub(crate) mod host;
mod io;
pub(crate) mod queue;
mod spawn;
mod transmit;
mod wall;

use core::net::SocketAddr;

use bruit_core::{Command, Event, Node, Slot, Time};

use crate::network::{BRUIT_PORT, Port};

pub use host::Status;
pub use io::Io;
#[cfg(test)]
pub(crate) use io::is_same;
pub use spawn::{Join, Spawn};
pub(crate) use wall::NO_DISTANCE;
pub use wall::{Epochs, WallClock};

/// An input of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// The process has been started, for the first time or again. If it is to join, the command to join follows.
    Start,
    /// A datagram arrived. It may come from anywhere and contain any bytes.
    Datagram {
        /// The source address, as a socket would report it.
        from: SocketAddr,
        /// The port on which the datagram arrived.
        port: Port,
        /// The payload.
        bytes: &'a [u8],
    },
    /// The time of [`Process::next_wake`] has come. A tick may also be late, or come although nothing is due.
    Tick,
    /// The scenario gives the node a command.
    Command(Command),
    /// A write that the node asked for is durable.
    Stored {
        /// The slot that was written.
        slot: Slot,
        /// The number of the write.
        serial: u64,
    },
}

impl<'a> Input<'a> {
    /// The event for the node that corresponds to this input. `None` for the start and for datagrams on the
    /// application's own ports.
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

/// A simulated process: a deterministic state machine, driven by its inputs and its local time alone.
pub trait Process {
    /// Handles one input. `now` is the local clock of the process, which may run fast or slow.
    fn handle(&mut self, input: Input<'_>, now: Time, io: &mut Io<'_>);

    /// The local time at which the process wants a tick, or `None`. The kernel asks after each input. Right after a
    /// tick the time must lie in the future.
    fn next_wake(&self) -> Option<Time>;

    /// The node inside the process, if it has one, so that checks can look at it.
    fn node(&self) -> Option<&Node> {
        None
    }

    /// The whole state of the process as bytes, like a snapshot of a virtual machine. `None`, the default, if the process
    /// cannot be saved; operations that need a saved process then do nothing.
    fn save(&self) -> Option<Vec<u8>> {
        None
    }

    /// Makes a process from the bytes of [`save`](Self::save). `None` if that is not possible.
    fn resume(bytes: &[u8]) -> Option<Self>
    where
        Self: Sized,
    {
        let _ = bytes;
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

    fn save(&self) -> Option<Vec<u8>> {
        postcard::to_allocvec(self).ok()
    }

    fn resume(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok()
    }
}
