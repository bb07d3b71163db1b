//! **bruit**: membership, gossip, a shared store and leader election for a group of processes, as one pure
//! state machine.
//!
//! A [`Node`] does no I/O, reads no clock and starts no thread. Whoever drives it tells it what happened and
//! when, and does what it asks for:
//!
//! ```
//! use bruit_core::{Action, Boot, Command, Config, Event, Node, NodeId, Time};
//!
//! let boot = Boot::new(NodeId::from_name("web-1"), "web-1", "127.0.0.1:7000".parse()?, 1, [7; 32]);
//! let mut node = Node::new(boot, Config::lan("docs"), Time::ZERO)?;
//! let seeds = vec!["127.0.0.1:7001".parse()?];
//! let actions = node.handle(Event::Command(Command::Join { seeds }), Time::ZERO);
//! assert!(actions.iter().any(|action| matches!(action, Action::Send { .. })));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The same boot, configuration and sequence of `(event, now)` give the same actions, byte for byte, on any
//! machine: that is what makes clusters of it replayable, and what the simulator (`bruit-sim`) is built on.
//!
//! Features: `std` (default) uses the processor's CRC instruction; without it the crate is `no_std + alloc` and
//! does exactly the same. No clock, thread, file or socket is touched either way.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::float_arithmetic))]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
#[cfg_attr(test, macro_use)]
extern crate std;

mod action;
mod boot;
pub mod broadcast;
mod collections;
mod command;
mod config;
mod context;
mod deadlines;
mod error;
mod estimate;
mod event;
mod id;
#[cfg(test)]
mod lan;
pub mod limits;
mod link;
mod logarithm;
mod machines;
mod membership;
mod node;
mod reconcile;
mod rng;
mod stats;
mod time;
pub mod wire;

pub use action::{Action, Member, MemberChange, Notice};
pub use boot::{Boot, Phase};
pub use command::{Admission, Answer, Broadcast, Command};
pub use config::{AdmissionPolicy, BroadcastConfig, Config, MembershipConfig};
pub use error::{ConfigError, DecodeError, Field, Misbehavior, Rejected};
pub use estimate::Estimate;
pub use event::{Event, Slot};
pub use id::{Incarnation, MemberState, MessageId, NodeId, PingId, virtual_addr};
pub use link::Outbox;
pub use membership::Obituary;
pub use node::Node;
pub use stats::Stats;
pub use time::Time;
