//! The tools of every other module: indices of processes, seeded randomness, the trace hash, and durations and groups of
//! processes as text.

mod hash;
mod lookup;
pub(crate) mod names;
mod random;
pub mod span;

pub use hash::TraceHash;
pub use names::Index;
pub use random::{MILLION, Random};

pub(crate) use hash::{mix, of_bytes};
pub(crate) use lookup::Lookup;
pub(crate) use random::{Purpose, Streams, scale};
