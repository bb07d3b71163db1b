//! Reading: what a node shows of its broadcasts, and what must hold in it.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::Broadcast;
use crate::config::Config;
use crate::id::{MessageId, NodeId};
use crate::limits::REASSEMBLIES_MAX;

/// Own broadcasts whose first phase has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// How many.
    pub messages: usize,
    /// Bytes of their topics and payloads.
    pub bytes: usize,
}

/// How far an own broadcast has spread that is reported on (rule C6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
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

impl Broadcast {
    pub(crate) fn recent(&self, topic: &str) -> impl Iterator<Item = (MessageId, &[u8])> {
        let all = self.recent_all();
        all.filter(move |(_, of, _)| *of == topic).map(|(id, _, payload)| (id, payload))
    }

    pub(crate) fn recent_all(&self) -> impl Iterator<Item = (MessageId, &str, &[u8])> {
        let visible = self.cache.latest().filter(|(_, cached)| !cached.hidden);
        visible.map(|(id, cached)| (id, cached.item())).map(|(id, item)| (id, item.topic(), item.payload()))
    }

    pub(crate) const fn pending(&self) -> Pending {
        self.pending
    }

    pub(crate) fn report(&self, id: MessageId) -> Option<Report> {
        self.reports.get(id)
    }

    pub(crate) fn cached(&self, id: MessageId) -> Option<&[u8]> {
        self.cache.get(id).map(|cached| cached.item().payload())
    }

    pub(crate) fn marks(&self) -> impl Iterator<Item = Mark> {
        self.origins.iter().flat_map(|(origin, known)| {
            known.epochs.iter().map(|epoch| Mark {
                origin: *origin,
                epoch: epoch.epoch,
                contiguous: epoch.seen.contiguous(),
                highest: epoch.seen.top(),
                gaps: epoch.seen.gaps().iter().map(|gap| (gap.first, gap.last)).collect(),
            })
        })
    }

    pub(crate) fn usage(&self) -> Usage {
        let epochs = || self.origins.values().flat_map(|known| &known.epochs);
        let gaps = || epochs().flat_map(|epoch| epoch.seen.gaps());
        Usage {
            cached: self.cache.len(),
            cached_bytes: self.cache.bytes(),
            held_back: self.cache.pinned(),
            wanted: gaps().filter(|gap| gap.asked.is_some() || !gap.sources.is_empty()).count(),
            gaps: gaps().count(),
            queued: self.outgoing.publishes(),
            reassemblies: self.reassembly.len(),
        }
    }

    pub(crate) fn check(&self, config: &Config) {
        self.cache.check();
        assert!(self.reassembly.len() <= REASSEMBLIES_MAX, "reassemblies are bounded");
        for (origin, known) in &self.origins {
            assert!(known.epochs.is_sorted_by_key(|epoch| epoch.epoch), "epochs ascend");
            assert!(known.epochs.len() <= 2, "two epochs are open");
            for epoch in &known.epochs {
                epoch.seen.check();
                let listed = epoch.seen.gaps().is_empty() || self.gappy.contains(origin);
                assert!(listed, "the gaps of {origin} are asked for");
            }
        }
        for (id, _) in self.cache.iter() {
            let known = self.origins.get(&id.origin);
            let epoch = known.and_then(|known| known.epochs.iter().find(|epoch| epoch.epoch == id.epoch));
            assert!(epoch.is_none_or(|epoch| epoch.seen.has(id.seq)), "what is cached has been seen");
        }
        self.check_marks();
        let pending = config.broadcast.pending_bytes_max as usize;
        assert!(self.pending.bytes <= pending, "what waits is bounded");
        let most = config.broadcast.cache_bytes_max as usize;
        assert!(self.cache.bytes() <= most, "the cache is bounded");
    }
}
