//! The kernel: it holds the processes, one clock and one event queue, and runs them.
//!
//! The seed decides everything. Events happen in the order (time, tie, sequence), where ties are drawn from the seed; each
//! random choice has its own stream; and nothing is read from the machine that runs the simulation.

mod applied;
mod apply;
mod check;
mod cluster;
mod happening;
mod identity;
mod lifecycle;
mod op;
mod operator;
pub(crate) mod payload;
mod sim;
mod step;
#[cfg(test)]
mod tests;

pub use applied::Applied;
pub use check::{Check, Violation};
pub use cluster::Cluster;
pub(crate) use cluster::held_alive;
pub use happening::{Happening, Memory};
pub use op::{Answers, Op, Release};
pub use sim::Sim;
