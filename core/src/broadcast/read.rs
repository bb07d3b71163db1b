//! Read access to the broadcast, and the check of its invariants.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::Broadcast;
use crate::config::Config;
use crate::id::{MessageId, NodeId};
use crate::limits::REASSEMBLIES_MAX;

/// The own broadcasts whose first phase has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The number of messages.
    pub messages: usize,
    /// The bytes of their topics and payloads.
    pub bytes: usize,
}

/// The progress of an own broadcast for which a report was requested (rule C6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The id of the broadcast.
    pub id: MessageId,
    /// The number of members alive when it was submitted, this node included.
    pub of: usize,
    /// The number of them that have it.
    pub have: usize,
    /// The members that have not acknowledged it yet, in the order of ids.
    pub missing: Vec<NodeId>,
}

/// The state in which this node knows the broadcasts of one origin in one epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The member that sent the broadcasts.
    pub origin: NodeId,
    /// The epoch in which it sent them.
    pub epoch: u64,
    /// The number up to which every message has been received or given up. Messages below the base of a late joiner
    /// (rule C4) count as given up.
    pub contiguous: u64,
    /// The highest number that is known to exist.
    pub highest: u64,
    /// The ranges below `highest` that are missing and not given up, in ascending order.
    pub gaps: Vec<(u64, u64)>,
}

/// The memory that the broadcast uses at present, to compare with its limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// The number of payloads kept.
    pub cached: usize,
    /// The bytes that count against the cache; at most `broadcast.cache_bytes_max`.
    pub cached_bytes: usize,
    /// The number of messages that are held back for the order of their origin, or for the disk.
    pub held_back: usize,
    /// The number of gaps that were requested from a member, or that a member offers.
    pub wanted: usize,
    /// The number of gaps of all origins.
    pub gaps: usize,
    /// The number of transmissions that wait for their turn.
    pub queued: usize,
    /// The number of messages of which some pieces were received, but not all.
    pub reassemblies: usize,
}

impl Broadcast {
    pub(crate) fn recent(&self, topic: &str) -> impl Iterator<Item = (MessageId, &[u8])> {
        let all = self.recent_all();
        all.filter(move |(_, of, _)| *of == topic).map(|(id, _, payload)| (id, payload))
    }

    pub(crate) fn recent_all(&self) -> impl Iterator<Item = (MessageId, &str, &[u8])> {
        let visible = self.log.cache.latest().filter(|(_, cached)| !cached.hidden);
        visible.map(|(id, cached)| (id, cached.item())).map(|(id, item)| (id, item.topic(), item.payload()))
    }

    pub(crate) const fn pending(&self) -> Pending {
        self.log.cache.pending()
    }

    pub(crate) fn report(&self, id: MessageId) -> Option<Report> {
        self.reports.get(id)
    }

    pub(crate) fn cached(&self, id: MessageId) -> Option<&[u8]> {
        self.log.cache.get(id).map(|cached| cached.item().payload())
    }

    pub(crate) fn marks(&self) -> impl Iterator<Item = Mark> {
        self.log.all().map(|(origin, epoch)| epoch.mark(origin))
    }

    pub(crate) fn usage(&self) -> Usage {
        let gaps = || self.log.all().flat_map(|(_, epoch)| epoch.seen.gaps());
        Usage {
            cached: self.log.cache.len(),
            cached_bytes: self.log.cache.bytes(),
            held_back: self.log.cache.pinned(),
            wanted: gaps().filter(|gap| gap.asked.is_some() || !gap.sources.is_empty()).count(),
            gaps: gaps().count(),
            queued: self.spread.queue.len(),
            reassemblies: self.log.reassembly.len(),
        }
    }

    pub(crate) fn check(&self, config: &Config) {
        self.log.check();
        self.repair.check(&self.log);
        assert!(self.log.reassembly.len() <= REASSEMBLIES_MAX, "reassemblies are bounded");
        let pending = config.broadcast.pending_bytes_max as usize;
        assert!(self.pending().bytes <= pending, "what waits is bounded");
        let most = config.broadcast.cache_bytes_max as usize;
        assert!(self.log.cache.bytes() <= most, "the cache is bounded");
    }
}
