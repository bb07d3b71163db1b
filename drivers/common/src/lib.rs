//! The parts that every driver of [`bruit_core`] shares, whatever it sends datagrams with.
//!
//! A driver owns a [`Driver`]: the node, and everything that must happen around each of its events except sending.
//! These are the parts:
//!
//! | Part | Purpose |
//! |---|---|
//! | [`Clock`] | measures time, also while the machine is suspended (rule E8) |
//! | [`StateDir`] | keeps the epoch and the durable slots, one file each, for one process at a time |
//! | [`Notices`] | tells the application what happened; a slow reader never blocks the node |
//! | [`View`] | all members at one moment, for readers that need no history |
//! | [`Sources`] | looks up host names and reads a peers file, again and again while the node runs |
//! | [`Journal`] | records every event and a running hash of the actions; [`replay`](journal::replay) checks it |
//! | `udp` (feature `udp`) | sockets, multicast and the handle's methods: a UDP driver except its way to wait |
//!
//! Nothing here decides anything about the protocol. Without the feature `udp`, nothing here opens a socket.
#![forbid(unsafe_code)]
#![expect(clippy::std_instead_of_core, reason = "drivers are built on std, and one spelling reads better")]

pub mod clock;
mod driver;
mod entropy;
mod error;
pub mod journal;
mod lock;
mod names;
mod notices;
mod peers;
mod sources;
pub mod state;
mod store;
#[cfg(feature = "udp")]
pub mod udp;
mod view;

pub use bruit_core as core;

pub use clock::Clock;
pub use driver::{Driver, LastWrites, Settings, Started};
pub use error::{BadLine, JoinError, StartError, Trouble};
pub use journal::{Journal, JournalError, JournalSettings};
pub use names::{BadSeed, RESOLVE_INTERVAL, Seed};
pub use notices::{DriverNotice, NOTICES_BYTES_MAX, NOTICES_MAX, NoticeSender, Notices, RecvError, notices};
pub use sources::{Feed, Source, Sources};
pub use state::{StateDir, StateError};
pub use view::View;
