//! How often each kind of fault had an effect (check CS9). A run in which a fault had none proves nothing about it.

use serde::{Deserialize, Serialize};

use crate::network::{CutId, DropReason, Network};

macro_rules! counters {
    ($($field:ident)*) => {
        /// The number of effects of each kind of fault.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[expect(missing_docs, reason = "each field counts what its name says")]
        #[serde(default)]
        #[non_exhaustive]
        pub struct Applied {
            $(pub $field: u64,)*
            /// Each cut with the number of datagrams that it has blocked or delayed.
            pub cuts: Vec<(CutId, u64)>,
        }

        impl Applied {
            /// Each counter with its name, in a fixed order. Cuts are one counter here: of the datagrams that they have affected.
            pub fn counters(&self) -> impl Iterator<Item = (&'static str, u64)> {
                let cuts = self.cuts.iter().map(|(_, hits)| hits).sum();
                [$((stringify!($field), self.$field),)* ("cut_hits", cuts)].into_iter()
            }
        }
    };
}

counters! {
    crashes
    restarts_with_disk
    restarts_with_stale_disk
    restarts_without_memory
    pauses
    moves
    clones
    copies
    snapshots
    addresses_taken
    replacements
    late_starts
    leaves
    rejoins
    peers_added
    peers_removed
    meta_changes
    admissions_asked
    admitted
    vetoed
    refused_writes
    wall_clock_changes
    clock_changes
    late_ticks
    lost
    duplicated
    reordered
    damaged
    over_mtu
    inbox_full
    held
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
