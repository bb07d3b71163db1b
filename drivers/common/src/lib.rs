//! What every driver of [`bruit_core`] shares, whatever it sends datagrams with.
//!
//! A driver owns a [`Driven`]: the node, and all that must happen around each of its events except sending.
//! What is in reach of it:
//!
//! | Part | What it is for |
//! |---|---|
//! | [`Clock`] | time that goes on while the machine sleeps (rule E8) |
//! | [`StateDir`] | the epoch and the durable slots, one file each, one process at a time |
//! | [`Notices`] | what the application is told; a slow reader never blocks the node |
//! | [`Sources`] | host names and a peers file, resolved and read again while the node runs |
//! | [`Journal`] | every event and a running hash of the actions; [`replay`](journal::replay) checks it |
//! | `udp` (feature `udp`) | sockets, multicast and the handle: all of a UDP driver but its way to wait |
//!
//! Nothing here decides anything about the protocol, and without the feature `udp` nothing here opens a socket.
#![forbid(unsafe_code)]
#![expect(clippy::std_instead_of_core, reason = "drivers are what stands on std; one spelling reads better")]

pub mod clock;
mod driven;
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

pub use clock::Clock;
pub use driven::{Driven, Settings, Started, Stopped};
pub use error::{JoinError, StartError, Trouble};
pub use journal::{Journal, JournalError, JournalSettings};
pub use names::{BadSeed, RESOLVE_INTERVAL, Seed};
pub use notices::{NOTICES_BYTES_MAX, NOTICES_MAX, News, NoticeSender, Notices, RecvError, notices};
pub use peers::BadLine;
pub use sources::{Feed, Source, Sources};
pub use state::{StateDir, StateError};
