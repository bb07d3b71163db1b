//! What drivers on UDP sockets share: all but the loop around the sockets, and how a caller waits.
//!
//! ```text
//!  Setup ── open ──► Opened ── run(hooks) ──► Running   what the application calls
//!  (a builder's      (sockets bound,             │
//!   settings)         epoch durable)          Shared    the node under its mutex, and the sending socket
//!                                                │
//!                    the driver's loop ────────► Turn    read a bounded batch, tick
//! ```
//!
//! A driver brings its [`Hooks`] and a loop that sleeps until a datagram, [`Turn::sleep`] or [`Hooks::wake`].

use std::time::Duration;

mod multicast;
mod running;
mod setup;
mod shared;
mod socket;
mod stats;
mod trace;
mod turn;

pub use multicast::{Interface, Multicast};
pub use running::Running;
pub use setup::{Opened, Setup};
pub use shared::{Hooks, Shared, State};
pub use stats::{DriverStats, Status};
pub use trace::{Direction, Traced};
pub use turn::{Sockets, Turn};

/// Beyond its own `within`, how long a leave waits for the node to say so.
pub const LEAVE_SLACK: Duration = Duration::from_secs(1);
/// A ping has three tries 100 ms apart; it has ended long before this.
pub const PING_TIMEOUT: Duration = Duration::from_secs(5);
