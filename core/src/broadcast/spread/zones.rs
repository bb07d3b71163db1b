//! The members to prefer if zones are preferred: those of the own zone, and bridges to the others.
//!
//! The two members of a zone with the smallest hashes are its bridges: they choose among the bridges of the other zones
//! as well. Nodes that agree about the members agree about the bridges; while they do not, there are a few more
//! bridges.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::super::Tools;
use crate::id::{NodeId, hash64};
use crate::membership::Peers;

/// The number of bridges of each zone.
const BRIDGES: usize = 2;

/// The zones, as computed from one state of the member table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Zones {
    me: NodeId,
    /// The root of the member table for which the zones were computed.
    members: Option<u64>,
    /// The other members of this node's zone.
    near: Vec<NodeId>,
    /// The bridges of the other zones, if this node is a bridge of its own zone.
    far: Vec<NodeId>,
}

impl Zones {
    pub(super) const fn new(me: NodeId) -> Self {
        Self { me, members: None, near: Vec::new(), far: Vec::new() }
    }

    /// Draws up to `count` distinct receivers for which `welcome` is true. With `prefer_zone` they are of the own zone,
    /// and a bridge adds as many bridges of other zones.
    pub(super) fn choose(
        &mut self,
        count: usize,
        tools: &mut Tools<'_, '_>,
        welcome: impl Fn(NodeId) -> bool,
    ) -> Vec<NodeId> {
        let mut chosen = Vec::new();
        if !tools.settings().prefer_zone {
            tools.peers.choose(count, tools.rng, &mut chosen, welcome);
            return chosen;
        }
        if self.members != Some(tools.peers.root()) {
            self.work_out(tools.peers);
        }
        for all in [&self.near, &self.far] {
            let is_welcome = |id: &&NodeId| tools.peers.receiver(**id).is_some() && welcome(**id);
            let mut some: Vec<NodeId> = all.iter().filter(is_welcome).copied().collect();
            tools.rng.shuffle(&mut some);
            chosen.extend(some.into_iter().take(count));
        }
        chosen
    }

    fn work_out(&mut self, peers: Peers<'_>) {
        let mut zones: BTreeMap<String, Vec<NodeId>> = BTreeMap::new();
        for id in peers.receivers().chain([self.me]) {
            zones.entry(String::from(peers.zone(id))).or_default().push(id);
        }
        for ids in zones.values_mut() {
            ids.sort_unstable_by_key(|id| hash64(&id.0.to_le_bytes()));
        }
        let bridges = |ids: &[NodeId]| ids[..ids.len().min(BRIDGES)].to_vec();
        let mut near = zones.remove(peers.zone(self.me)).unwrap_or_default();
        let is_bridge = bridges(&near).contains(&self.me);
        self.far = if is_bridge { zones.values().flat_map(|ids| bridges(ids)).collect() } else { Vec::new() };
        near.retain(|id| *id != self.me);
        self.near = near;
        self.members = Some(peers.root());
    }
}
