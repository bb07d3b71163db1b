//! What a new process is given.

use core::net::SocketAddr;

use bruit_core::NodeId;

use crate::cluster::Index;

/// A process to be spawned. Everything has a default: a name and an id from its index, and joining through
/// the first process.
#[derive(Clone, Debug, Default)]
pub struct Spawn {
    pub(crate) id: Option<NodeId>,
    pub(crate) name: Option<String>,
    pub(crate) zone: String,
    pub(crate) meta: Vec<u8>,
    pub(crate) join: Join,
    pub(crate) clock_ppm: i32,
}

/// What the kernel tells a process to join after each start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Join {
    /// The first so many processes of the run, at the addresses they have then. The first one of all joins
    /// itself, and so is a cluster of one at first.
    First(usize),
    /// This process, at the address it has then; itself for a cluster of one.
    Through(Index),
    /// These addresses; none for a cluster of one.
    Seeds(Vec<SocketAddr>),
    /// Nothing: it is never told to join.
    Never,
}

impl Default for Join {
    fn default() -> Self {
        Self::First(1)
    }
}

impl Spawn {
    /// All defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With this identity instead of its index plus one.
    #[must_use]
    pub fn id(self, id: NodeId) -> Self {
        Self { id: Some(id), ..self }
    }

    /// With this name instead of `n` and the id.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// In a zone.
    #[must_use]
    pub fn zone(self, zone: impl Into<String>) -> Self {
        Self { zone: zone.into(), ..self }
    }

    /// With metadata.
    #[must_use]
    pub fn meta(self, meta: impl Into<Vec<u8>>) -> Self {
        Self { meta: meta.into(), ..self }
    }

    /// Joining so.
    #[must_use]
    pub fn join(self, join: Join) -> Self {
        Self { join, ..self }
    }

    /// With a clock that runs so many parts per million fast, or slow if negative.
    #[must_use]
    pub fn clock_ppm(self, clock_ppm: i32) -> Self {
        Self { clock_ppm, ..self }
    }
}
