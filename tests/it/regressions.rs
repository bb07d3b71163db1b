//! Seeds that failed once.
