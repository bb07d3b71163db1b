//! Broadcast among a few nodes.
