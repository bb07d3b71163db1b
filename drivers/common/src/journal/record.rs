//! The records of a segment, and the running hash of all actions so far.

use core::fmt;
use core::hash::Hasher;
use std::borrow::Cow;
use std::net::SocketAddr;

use bruit_core::{Action, Boot, Command, Config, Event, Slot, Time};
use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher24;

/// The first frame of a segment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) crate_version: String,
    pub(super) boot: Boot,
    pub(super) config: Config,
    /// The `now` of `Node::new`.
    pub(super) started: Time,
    /// The running hash at the segment's start.
    pub(super) hash: u64,
}

/// An event in the form in which it is written. A datagram borrows its bytes, when written and when read.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum EventRecord<'a> {
    Datagram { from: SocketAddr, bytes: &'a [u8] },
    Tick,
    Command(Cow<'a, Command>),
    Stored { slot: Slot, serial: u64 },
    Seed([u8; 32]),
}

impl<'a> EventRecord<'a> {
    pub(super) const fn of(event: &'a Event<'a>) -> Self {
        match event {
            Event::Datagram { from, bytes } => Self::Datagram { from: *from, bytes },
            Event::Tick => Self::Tick,
            Event::Command(command) => Self::Command(Cow::Borrowed(command)),
            Event::Stored { slot, serial } => Self::Stored { slot: *slot, serial: *serial },
            Event::Seed(seed) => Self::Seed(*seed),
        }
    }

    pub(super) fn into_event(self) -> Event<'a> {
        match self {
            Self::Datagram { from, bytes } => Event::Datagram { from, bytes },
            Self::Tick => Event::Tick,
            Self::Command(command) => Event::Command(command.into_owned()),
            Self::Stored { slot, serial } => Event::Stored { slot, serial },
            Self::Seed(seed) => Event::Seed(seed),
        }
    }
}

/// SipHash-2-4 of all actions so far, chained: each step is keyed by the hash before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RunningHash(pub(super) u64);

impl RunningHash {
    /// Adds the actions of one event. `WakeAt` is left out, because it only repeats the node's state.
    pub(super) fn absorb<'a>(&mut self, actions: impl Iterator<Item = Action<'a>>) {
        let mut hasher = Text(SipHasher24::new_with_keys(self.0, 0));
        for action in actions {
            hasher.action(&action);
        }
        self.0 = hasher.0.finish();
    }
}

/// A hasher that can be printed into. Datagrams and slots are hashed as bytes, other actions as their `Debug` text,
/// which is equal on every machine for one version of this crate.
struct Text(SipHasher24);

impl Text {
    fn action(&mut self, action: &Action<'_>) {
        let printed = match action {
            Action::Send { to, bytes } => {
                self.bytes(bytes);
                fmt::Write::write_fmt(self, format_args!("send {to}"))
            }
            Action::Store { slot, serial, bytes } => {
                self.bytes(bytes);
                fmt::Write::write_fmt(self, format_args!("store {slot:?} {serial}"))
            }
            Action::Answer(answer) => fmt::Write::write_fmt(self, format_args!("answer {answer:?}")),
            Action::Notify(notice) => fmt::Write::write_fmt(self, format_args!("notify {notice:?}")),
            Action::Reseed => fmt::Write::write_str(self, "reseed"),
            Action::WakeAt(_) => return,
        };
        printed.expect("printing into a hash cannot fail: write_str below always succeeds");
        self.0.write_u8(0xff);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.write_u64(bytes.len() as u64);
        self.0.write(bytes);
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}
