//! A node for [Maelstrom](https://github.com/jepsen-io/maelstrom), and a compatible bench that needs neither Maelstrom
//! nor real time.
//!
//! [`Host`] is a node with Maelstrom's interface: it takes lines of JSON and returns lines of JSON, around the
//! [`Node`](bruit_core::Node) that other drivers run too. It does no I/O itself. [`stdio`] runs it on pipes, and
//! [`mod@bench`] runs many hosts in virtual time, with Maelstrom's clients, network, partitions and checker.
//!
//! ```text
//! message.rs base64.rs    parsing and writing of lines
//! directory.rs            names to addresses and back
//! host.rs member.rs       the protocol; the node once `init` has named it
//! settings.rs output.rs   the host's input and output
//! stdio.rs                the loop on stdin and stdout
//! preset.rs overrides.rs  settings for slow links on which each message counts; overrides of single settings
//! bench.rs bench/         the bench
//! ```
#![forbid(unsafe_code)]
#![expect(clippy::std_instead_of_core, reason = "a driver is built on std, and one spelling reads better")]

mod base64;
pub mod bench;
mod directory;
mod host;
mod member;
mod message;
mod output;
pub mod overrides;
mod preset;
mod settings;
pub mod stdio;

pub use host::Host;
pub use output::Output;
pub use preset::Preset;
pub use settings::Settings;
