//! **bruit** keeps a group of processes informed about each other: membership with failure detection (SWIM with
//! Lifeguard), and reliable broadcasts to all members, as one pure state machine.
//!
//! A [`Node`] does no I/O, reads no clock and starts no thread. Its driver tells it what happened and when (an
//! [`Event`] and a [`Time`]), and does what it asks for (each [`Action`]):
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
//! machine. The simulator (`bruit-sim`) and the journals of the drivers rest on that.
//!
//! Most programs do not use this crate alone: `bruit-udp` (one thread) and `bruit-tokio` (one task) drive a node on
//! UDP sockets. "Rule B1" and the like in these pages refer to `core/RULES.md` of the repository, which gives for
//! each rule the failure that it prevents; the words epoch, incarnation, boot, mark, gap and others are explained
//! in the glossary of its `CONTRIBUTING.md`.
//!
//! Features: `std` (default) uses the processor's CRC instruction. Without it the crate is `no_std + alloc` and
//! does exactly the same. Neither touches a clock, a thread, a file or a socket.
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
mod tags;
mod time;
pub mod wire;

pub use action::{Action, Member, MemberChange, Notice};
pub use boot::{Boot, Phase};
pub use command::{Admission, Answer, Broadcast, Command};
pub use config::{AdmissionPolicy, BroadcastConfig, Config, Hearsay, MembershipConfig};
pub use error::{ConfigError, DecodeError, Field, Misbehavior, Rejected};
pub use estimate::Estimate;
pub use event::Event;
pub use id::{Incarnation, MemberState, MessageId, NodeId, PingId, Rank, Slot, virtual_addr};
pub use link::Outbox;
pub use membership::Obituary;
pub use node::Node;
pub use stats::Stats;
pub use tags::Tags;
pub use time::Time;
