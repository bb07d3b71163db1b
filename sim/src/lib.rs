//! A seeded simulator for bruit clusters and for applications built on them, in one process.
//!
//! A [`Sim`] holds processes, one clock, one event queue and a [`network`] with faults. The same seed and the same calls give
//! the same [trace hash](Sim::trace_hash) on every machine. A bare [`Node`](bruit_core::Node) is a [`Process`], and so is an
//! application that holds one:
//!
//! ```
//! use std::time::Duration;
//! use bruit_core::{Config, Node, Time};
//! use bruit_sim::{Cluster, Cut, Index, Sim};
//!
//! let config = Config::lan("example");
//! let mut sim = Sim::new(7, move |boot| Node::new(boot, config.clone(), Time::ZERO).expect("a preset is valid"));
//! sim.spawn_many(4)?;
//! let joined = sim.run_until(Duration::from_secs(10), Cluster::all_know_all)?;
//! assert!(joined.is_some());
//!
//! let cut = sim.cut(&Cut::Isolate { nodes: vec![Index(3)] })?;
//! let noticed = sim.run_until(Duration::from_secs(60), |cluster| {
//!     cluster.node(Index(0)).is_some_and(|node| node.member_count() == 3)
//! })?;
//! assert!(noticed.is_some());
//! sim.heal(cut)?;
//! assert!(sim.run_until(Duration::from_secs(60), Cluster::agree)?.is_some());
//! # Ok::<(), bruit_sim::Violation>(())
//! ```
//!
//! A [`Check`] observes everything that happens and may object. [`checks`] has those of this crate: of membership, of the
//! broadcast, and of the simulator itself. [`faults`] draws fault plans from seeds and runs them, [`scenario`] runs what
//! people describe in files, and [`bytes`] has the bodies of the fuzz targets.
//!
//! # As a dependency
//!
//! The default feature `cli` is for the command `bruit-sim` alone. To simulate your own application, switch it off:
//!
//! ```toml
//! [dev-dependencies]
//! bruit-sim = { git = "https://github.com/bruit-rs/bruit", default-features = false }
//! ```
//!
//! The feature `toml` adds [`scenario::Scenario`] files and the built-in scenarios.
//!
//! # Modules
//!
//! Each module may use those above it in this list:
//!
//! | module | contents |
//! |---|---|
//! | `base` | indices of processes, randomness, hashes, durations as text |
//! | [`network`] | addresses, links, cuts, filters, forged datagrams |
//! | `process` | [`Process`] and its host: clock, disk, inbox; [`Io`], the access of a process to the world |
//! | `kernel` | [`Sim`], [`Cluster`], happenings, operations, the trait [`Check`] |
//! | [`checks`] | all checks, their bounds, costs and timelines |
//! | [`faults`] | fault plans and trials |
//! | [`scenario`], [`bytes`] | runs that people or fuzzers describe |

mod base;
pub mod bytes;
pub mod checks;
pub mod faults;
mod kernel;
pub mod network;
mod process;
pub mod scenario;

pub use base::{Index, MILLION, Random, TraceHash, span};
pub use checks::{Bounds, BroadcastBounds};
pub use faults::{BroadcastPreset, Preset};
pub use kernel::payload::payload;
pub use kernel::{Answers, Applied, Check, Cluster, Happening, Memory, Op, Release, Sim, Violation};
pub use network::{
    BRUIT_PORT, Counters, Cut, CutId, Delay, DropReason, Fate, Filter, Flap, Gray, InFlight, Link, Loss,
    NetworkConfig, PairLink, Passing, Port, Reorder, ZoneLink, forge,
};
pub use process::{Epochs, Input, Io, Join, Process, Spawn, Status, WallClock};
