//! The real binary, several times, on loopback. What an agent prints is what the tests wait for.
#![cfg(unix)]
#![expect(clippy::std_instead_of_core, reason = "a test stands on std")]

mod broadcast;
mod commands;
mod support;
