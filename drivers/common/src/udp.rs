//! The parts of a UDP driver that do not depend on how it waits: sockets, multicast, tracing and the methods of the
//! handle.
//!
//! A driver has three floors above the node. The application holds the **handle** (`Bruit`), whose methods call the
//! **shared** state ([`Shared`]), which guards the **driver** ([`Driver`](crate::Driver)) by a mutex:
//!
//! ```text
//!  Builder ── Setup::open ──► Opened ── run(wake-up) ──► handle   the methods for the application, by handle_methods!
//!             (sockets bound,                              │
//!              epoch durable)          driver's loop ──► Shared   mutex, sending socket, wake-up, names, tracing
//!                                       by Turn            │
//!                                                        Driver   journal, notices, durable slots
//!                                                          │
//!                                                        Node     the pure state machine
//! ```
//!
//! An implementation adds a [`WakeUp`], a loop that sleeps until a datagram arrives, [`Turn::sleep`] is over or
//! [`WakeUp::wake_loop`] is called, and the few methods of the handle that wait.

mod handle;
mod multicast;
mod setup;
mod shared;
mod socket;
mod stats;
mod trace;
mod turn;

pub use handle::{LEAVE_SLACK, PING_TIMEOUT};
pub use multicast::{Interface, Multicast};
pub use setup::{Opened, Setup};
pub use shared::{Shared, WakeUp};
pub use stats::{DriverStats, Status};
pub use trace::{Direction, Traced};
pub use turn::{Sockets, Turn};

/// The names that every UDP driver re-exports at its root, so that an application needs no other dependency.
pub mod exports {
    pub use bruit_core as core;
    pub use bruit_core::{
        Admission, AdmissionPolicy, Answer, Broadcast, BroadcastConfig, Command, Config, ConfigError,
        Hearsay, Incarnation, Member, MemberChange, MemberState, MembershipConfig, MessageId, Node, NodeId,
        Notice, Phase, Rejected, Stats, Tags, Time,
    };

    pub use crate::clock::Clock;
    pub use crate::error::{JoinError, StartError, Trouble};
    pub use crate::journal::JournalSettings;
    pub use crate::notices::{DriverNotice, RecvError};
    pub use crate::sources::Source;
    pub use crate::udp::{Direction, DriverStats, Interface, Status, Traced};
    pub use crate::view::View;
}
