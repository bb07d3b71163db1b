//! The roots: a few members, the same for all nodes, from which the tree is flooded.
//!
//! A tree that any member floods from its own place is twice as deep as one flooded from its middle, and each origin
//! draws it another way. Every member knows the whole group, so the origin of a message gives it to the roots, the few
//! members with the least hashes, and each root floods the tree around it. Since they are always the same, what the
//! messages teach is one shallow tree for each root, and no edge between two trees carries anything twice.
//!
//! The origin takes its place in some root's tree as everybody does: its own message comes back to it, and it passes
//! that on to those behind it. A root that is gone and not yet noticed costs those around it the time of an
//! announcement, as any relay does. In a small group, and where zones count, messages go out from their origin.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::id::{NodeId, hash64};
use crate::membership::Peers;

/// The number of members for each root. With fewer, the way from the origin itself is as short.
const MEMBERS_PER_ROOT: usize = 128;
/// The number of roots at the most: each costs the origin a transmission.
const ROOTS_MAX: usize = 16;

/// The roots of the tree as they follow from one state of the member table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Roots {
    /// The root of the member table's fingerprints when this was worked out.
    members: Option<u64>,
    ids: Vec<NodeId>,
}

/// The number of roots that a group has: none rather than a single one, which may fail.
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
    /// The roots that this node would give a message to; none where it goes out from its origin.
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
