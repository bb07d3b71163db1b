//! The settings of a new process.

use core::net::SocketAddr;
use std::collections::BTreeMap;

use bruit_core::NodeId;

use crate::base::Index;

/// The settings of a process to be spawned. Everything has a default: the id is the index plus one, the name is `n` and
/// the id, and the process joins through the first process of the run.
#[derive(Clone, Debug, Default)]
pub struct Spawn {
    pub(crate) id: Option<NodeId>,
    pub(crate) name: Option<String>,
    pub(crate) zone: String,
    pub(crate) meta: Vec<u8>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) join: Join,
    pub(crate) clock_ppm: i32,
}

/// The seeds that the kernel gives to a process with the command to join, after each start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Join {
    /// The first processes of the run, as many as this says, at the addresses that they have at that time. The first
    /// process of all gets itself as its seed, and so starts as a cluster of one.
    First(usize),
    /// The process with this index, at the address that it has at that time. A process that joins through itself is a
    /// cluster of one.
    Through(Index),
    /// These addresses. Without any, the process is a cluster of one.
    Seeds(Vec<SocketAddr>),
    /// No command: the process is never told to join.
    Never,
}

impl Default for Join {
    fn default() -> Self {
        Self::First(1)
    }
}

impl Spawn {
    /// A process with all defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the id, which is the index plus one by default.
    #[must_use]
    pub fn id(self, id: NodeId) -> Self {
        Self { id: Some(id), ..self }
    }

    /// Sets the name, which is `n` and the id by default.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// Sets the zone; there is none by default.
    #[must_use]
    pub fn zone(self, zone: impl Into<String>) -> Self {
        Self { zone: zone.into(), ..self }
    }

    /// Sets the metadata; there is none by default.
    #[must_use]
    pub fn meta(self, meta: impl Into<Vec<u8>>) -> Self {
        Self { meta: meta.into(), ..self }
    }

    /// Adds a tag; there is none by default.
    #[must_use]
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.insert(key.into(), value.into());
        self
    }

    /// Sets how the process joins.
    #[must_use]
    pub fn join(self, join: Join) -> Self {
        Self { join, ..self }
    }

    /// Sets the rate of the local clock: parts per million that it runs fast, or slow if negative.
    #[must_use]
    pub fn clock_ppm(self, clock_ppm: i32) -> Self {
        Self { clock_ppm, ..self }
    }
}
