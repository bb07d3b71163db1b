//! Maelstrom's test in one process and in virtual time, without a JVM and without waiting. Equal options and seeds give
//! equal reports on any machine.
//!
//! These parts are compatible with Maelstrom: the requests and their pace, the latency, the cuts and the time at which
//! they drop a message, the checker `set-full`, and the counts of messages. The bench adds a seed, and rules that
//! Maelstrom's checker does not check ([`Rule`]). It has no other workloads, no other faults, and no nodes in other
//! languages.
//!
//! ```text
//! options.rs topology.rs   the options of a run
//! run.rs                   clients and nemesis, on one clock
//! world.rs queue.rs        the nodes and the network between them
//! nemesis.rs               the cuts of the network
//! history.rs               the operations of the clients and their results
//! set_full.rs rules.rs     the checkers
//! report.rs table.rs       the output
//! ```

#[cfg(test)]
mod fixture;
mod history;
mod nemesis;
mod options;
mod queue;
mod report;
mod rules;
mod run;
mod set_full;
mod table;
#[cfg(test)]
mod tests;
mod topology;
mod world;

pub use options::{Availability, LatencyDist, Nemesis, Options, Topology, Workload};
pub use report::{Cut, Report, Verdict};
pub use rules::{Rule, Violation};
pub use run::run;
pub use set_full::{Quantiles, SetFull};
pub use table::Table;
pub use world::{Count, NetStats};
