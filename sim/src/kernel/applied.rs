//! How often each kind of fault had an effect (check CS9). A run in which a fault had none proves nothing about it.

use serde::{Deserialize, Serialize};

use crate::network::{CutId, DropReason, Network};

/// The number of effects of each kind of fault.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field counts what its name says")]
#[non_exhaustive]
pub struct Applied {
    pub crashes: u64,
    pub restarts_with_disk: u64,
    pub restarts_with_stale_disk: u64,
    pub restarts_without_memory: u64,
    pub pauses: u64,
    pub moves: u64,
    pub clones: u64,
    pub clock_changes: u64,
    pub late_ticks: u64,
    pub lost: u64,
    pub duplicated: u64,
    pub reordered: u64,
    pub damaged: u64,
    pub over_mtu: u64,
    pub inbox_full: u64,
    pub held: u64,
    /// Each cut with the number of datagrams that it has blocked or delayed.
    pub cuts: Vec<(CutId, u64)>,
}

impl Applied {
    pub(crate) fn with_network(&self, network: &Network) -> Self {
        let counters = network.counters();
        Self {
            lost: counters.dropped(DropReason::Loss),
            duplicated: counters.duplicated,
            reordered: counters.reordered,
            damaged: counters.damaged,
            over_mtu: counters.dropped(DropReason::Mtu),
            inbox_full: counters.dropped(DropReason::InboxFull),
            held: counters.held,
            cuts: network.cut_hits().collect(),
            ..self.clone()
        }
    }
}
