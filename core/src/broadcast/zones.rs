//! Whom to prefer where zones count: the own zone, and bridges to the others.
//!
//! Of each zone the two members with the least hashes are its bridges: they choose among the bridges of the other
//! zones as well. All who agree about the members agree about the bridges; while they do not, there are a few more.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::Broadcast;
use crate::id::{NodeId, hash64};
use crate::membership::Peers;

/// Bridges of each zone.
const BRIDGES: usize = 2;

/// What is known of the zones, for one state of the member table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Zones {
    /// The table's root when this was worked out.
    root: Option<u64>,
    /// The others in our zone.
    near: Vec<NodeId>,
    /// The bridges of other zones, if we are one of ours; else nobody.
    far: Vec<NodeId>,
}

impl Zones {
    fn of(me: NodeId, root: u64, peers: Peers<'_>) -> Self {
        let own = peers.zone(me);
        let mut zones: BTreeMap<String, Vec<NodeId>> = BTreeMap::new();
        for id in peers.receivers().chain([me]) {
            zones.entry(String::from(peers.zone(id))).or_default().push(id);
        }
        for ids in zones.values_mut() {
            ids.sort_unstable_by_key(|id| hash64(&id.0.to_le_bytes()));
        }
        let bridges = |ids: &[NodeId]| ids[..ids.len().min(BRIDGES)].to_vec();
        let mut near = zones.remove(own).unwrap_or_default();
        let far = if bridges(&near).contains(&me) {
            zones.values().flat_map(|ids| bridges(ids)).collect()
        } else {
            Vec::new()
        };
        near.retain(|id| *id != me);
        Self { root: Some(root), near, far }
    }
}

impl Broadcast {
    /// Up to `count` distinct receivers of the own zone at random; a bridge adds one of another zone's bridges for
    /// each `count` asked for.
    pub(super) fn choose_by_zone(
        &mut self,
        count: usize,
        peers: Peers<'_>,
        chosen: &mut Vec<NodeId>,
        welcome: impl Fn(NodeId) -> bool,
    ) {
        if self.zones.root != Some(peers.root()) {
            self.zones = Zones::of(self.me, peers.root(), peers);
        }
        let is_welcome = |id: &&NodeId| peers.receiver(**id).is_some() && welcome(**id);
        let mut near: Vec<NodeId> = self.zones.near.iter().filter(is_welcome).copied().collect();
        self.rng.shuffle(&mut near);
        chosen.extend(near.into_iter().take(count));
        let mut far: Vec<NodeId> = self.zones.far.iter().filter(is_welcome).copied().collect();
        self.rng.shuffle(&mut far);
        chosen.extend(far.into_iter().take(count));
    }
}
