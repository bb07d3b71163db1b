//! bruit under [Maelstrom](https://github.com/jepsen-io/maelstrom), and a compatible bench that needs neither it nor
//! real time.
//!
//! [`Host`] is a node as Maelstrom wants one: lines of JSON in, lines of JSON out, around the same
//! [`Node`](bruit_core::Node) that other drivers run. It is pure, so [`stdio`] runs it on pipes, and [`mod@bench`] runs
//! many of them through their JSON in virtual time, with Maelstrom's clients, network, partitions and checker.
//!
//! ```text
//! message.rs base64.rs   a line taken apart and put together
//! directory.rs           names to addresses and back
//! host.rs member.rs      the protocol; the node behind `init`
//! stdio.rs               the loop around it
//! preset.rs overrides.rs settings for slow, reliable, counted links; single ones instead
//! bench.rs bench/        the bench
//! ```
#![forbid(unsafe_code)]
#![expect(clippy::std_instead_of_core, reason = "a driver stands on std; one spelling reads better")]

mod base64;
pub mod bench;
mod directory;
mod host;
mod member;
mod message;
pub mod overrides;
mod preset;
pub mod stdio;

pub use host::{Host, Output, Settings};
pub use preset::Preset;
