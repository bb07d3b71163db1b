//! The roots: a few members, the same for all nodes, from which the tree is flooded.
//!
//! A tree that each origin floods from its own place is twice as deep as one that is flooded from its centre, and each
//! origin shapes it in another way. So an origin gives its message to the roots, the few members with the smallest
//! hashes, and each root floods the tree around it. Every member knows the whole group, so all agree about the roots.
//! Since the roots are always the same, duplicates shape one shallow tree for each root, and no edge between two trees
//! carries a message twice.
//!
//! The origin is an ordinary member of some root's tree: its own message comes back to it, and it sends the message on
//! to the members behind it. A root that has failed unnoticed delays the members around it by the time of an
//! announcement, as any relay does. In a small group, and if zones are preferred, messages go out from their origin.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::id::{NodeId, hash64};
use crate::membership::Peers;

/// The number of members for each root. In a smaller group the path from the origin itself is as short.
const MEMBERS_PER_ROOT: usize = 128;
/// The greatest number of roots: each of them costs the origin a transmission.
const ROOTS_MAX: usize = 16;

/// The roots of the tree, as computed from one state of the member table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Roots {
    /// The root of the member table's fingerprints for which `ids` was computed.
    members: Option<u64>,
    ids: Vec<NodeId>,
}

/// The number of roots of a group. A single root could fail, so there are none rather than one.
pub(crate) const fn count(members: usize) -> usize {
    let count = members / MEMBERS_PER_ROOT;
    if count < 2 {
        0
    } else if count > ROOTS_MAX {
        ROOTS_MAX
    } else {
        count
    }
}

impl Roots {
    /// The roots to which this node gives its messages; empty if messages go out from their origin.
    pub(super) fn all(&mut self, me: NodeId, peers: Peers<'_>) -> &[NodeId] {
        if self.members != Some(peers.root()) {
            let mut ids: Vec<(u64, NodeId)> =
                peers.receivers().chain([me]).map(|id| (hash64(&id.0.to_le_bytes()), id)).collect();
            let count = count(ids.len());
            if count > 0 {
                ids.select_nth_unstable(count);
            }
            ids.truncate(count);
            ids.sort_unstable();
            self.ids = ids.into_iter().map(|(_, id)| id).collect();
            self.members = Some(peers.root());
        }
        &self.ids
    }
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn a_small_group_has_no_roots_and_a_large_one_a_few() {
        let counts = [1, 255, 256, 1_000, 10_000].map(count);
        assert_eq!(counts, [0, 0, 2, 7, 16]);
    }
}
