//! Broadcast (under construction).

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::id::{MessageId, NodeId};

/// Own broadcasts whose first phase has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// How many.
    pub messages: usize,
    /// Bytes of their topics and payloads.
    pub bytes: usize,
}

/// How far an own broadcast has spread that is reported on (rule C6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spread {
    /// Which.
    pub id: MessageId,
    /// The members alive when it was submitted, this node included.
    pub of: usize,
    /// How many of them have it.
    pub have: usize,
    /// Who has not said so yet, by id.
    pub missing: Vec<NodeId>,
}

/// What is known of the broadcasts of one origin in one epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Whose.
    pub origin: NodeId,
    /// In which epoch.
    pub epoch: u64,
    /// Everything up to here that will ever be delivered here has been; the base included (rule C4).
    pub contiguous: u64,
    /// The highest number that is known to exist.
    pub highest: u64,
    /// Ranges between the two that are missing and not given up, first to last.
    pub gaps: Vec<(u64, u64)>,
}

/// What the broadcast holds at present, against its limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Payloads kept.
    pub cached: usize,
    /// Bytes of them; at most `broadcast.cache_bytes_max`.
    pub cached_bytes: usize,
    /// Messages held back for the order of their origin.
    pub held_back: usize,
    /// Ids wanted from others.
    pub wanted: usize,
    /// Gap ranges over all origins.
    pub gaps: usize,
    /// Transmissions waiting for their turn.
    pub queued: usize,
    /// Unfinished reassemblies.
    pub reassemblies: usize,
}
