//! Runs the real binary as several processes on loopback. The tests wait for lines that the agents print.
#![cfg(unix)]
#![expect(clippy::std_instead_of_core, reason = "a test is built on std")]

mod broadcast;
mod commands;
mod support;
