//! The laws of the log.
