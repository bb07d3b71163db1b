//! Maelstrom's test in one process, in virtual time: the same messages, clients, partitions and judgement, without a
//! JVM and without waiting. Equal options and seeds give equal reports, on any machine.
//!
//! What is compatible: the requests and their pace, the latency, the cuts and when they drop a message, the checker
//! `set-full`, the counts of messages. What is added: a seed, and rules that Maelstrom's checker cannot see
//! ([`Rule`]). What is absent: other workloads, other faults, and nodes in other languages.
//!
//! ```text
//! options.rs topology.rs   what is asked for
//! run.rs                   clients and nemesis, on one clock
//! world.rs queue.rs        nodes and the network between them
//! nemesis.rs               cuts
//! history.rs               what clients did and got
//! set_full.rs rules.rs     the judgement
//! report.rs table.rs       what is shown
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
