//! A seeded, in-process simulator for bruit clusters, and for applications built on them.
//!
//! A [`Sim`] holds processes, one clock, one queue and a [`network`] with faults. The same seed and the same
//! calls give the same [trace hash](Sim::trace_hash) on any machine. A bare [`Node`](bruit_core::Node) is a
//! [`Process`], and so is whatever holds one:
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
//! A [`Check`] sees everything that happens and may object; [`conduct`] has those of the simulator itself,
//! [`checks`] those of membership. [`faults`] draws fault plans from seeds and [`trial`] runs them; [`scenario`]
//! reads what people write; [`bytes`] has the bodies of the fuzz targets.

pub mod applied;
pub mod bench;
mod bounds;
pub mod bytes;
mod check;
pub mod checks;
mod clock;
mod cluster;
pub mod conduct;
pub mod costs;
pub mod faults;
pub mod forge;
mod happening;
mod hash;
mod kernel;
mod lookup;
pub mod names;
pub mod network;
mod op;
pub mod papers;
mod preset;
mod process;
mod random;
pub mod scenario;
pub mod span;
mod spawn;
mod station;
mod svg;
pub mod timeline;
pub mod trial;
pub mod workload;

pub use applied::Applied;
pub use bounds::{Bounds, BroadcastBounds};
pub use check::{Check, Violation};
pub use cluster::{Cluster, Index, Status};
pub use happening::{Fate, Happening, Memory};
pub use hash::TraceHash;
pub use kernel::Sim;
pub use network::{
    Counters, Cut, CutId, Delay, DropReason, Filter, Flap, Gray, InFlight, Link, Loss, NetworkConfig,
    PairLink, Passing, Reorder, ZoneLink,
};
pub use op::{Op, Release};
pub use preset::{BroadcastPreset, Preset};
pub use process::{BRUIT_PORT, Input, Io, Port, Process};
pub use random::{MILLION, Random};
pub use spawn::{Join, Spawn};
