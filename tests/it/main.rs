//! The scenario tests of bruit.

mod allocations;
mod broadcast;
mod checkpoints;
mod cluster;
mod costs;
mod determinism;
mod hash_ring;
mod hostile;
mod identity;
mod maps;
mod membership;
mod own_app;
mod partitions;
mod readme;
mod regressions;
mod support;
mod sweep;
