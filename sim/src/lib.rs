//! A seeded, in-process simulator for bruit clusters, and for applications built on them.

pub mod applied;
pub mod bench;
mod bounds;
pub mod bytes;
mod check;
pub mod checks;
mod clock;
mod cluster;
pub mod conduct;
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
pub mod timeline;
pub mod trial;

pub use applied::Applied;
pub use bounds::Bounds;
pub use check::{Check, Violation};
pub use cluster::{Cluster, Index, Status};
pub use happening::{Fate, Happening, Memory};
pub use hash::TraceHash;
pub use kernel::Sim;
pub use network::{
    Counters, Cut, CutId, Delay, DropReason, Flap, Gray, InFlight, Link, Loss, NetworkConfig, PairLink,
    Reorder, ZoneLink,
};
pub use op::{Op, Release};
pub use preset::Preset;
pub use process::{BRUIT_PORT, Input, Io, Port, Process};
pub use random::{MILLION, Random};
pub use spawn::{Join, Spawn};
