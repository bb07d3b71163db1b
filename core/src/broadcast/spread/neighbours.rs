//! The tree's neighbours (Plumtree, Leitão et al., SRDS 2007, §3): messages are sent over eager edges, and only their
//! announcements over lazy ones. Edges start eager. A message that is received twice makes the later edge lazy; a
//! message that must be requested makes the edge to the member that is asked eager. The eager edges that are left form
//! a tree, and the lazy ones repair it.
//!
//! A node picks `fanout` neighbours at random. It learns which members have picked it when they send to it.

use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::NodeId;
use crate::time::Time;

/// An edge of the tree to one neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Edge {
    id: NodeId,
    eager: bool,
    /// Whether this node picked the neighbour, rather than the other way round.
    picked: bool,
}

/// All neighbours, in the order in which they were added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Neighbours {
    edges: Vec<Edge>,
    /// The origin whose duplicates make edges lazy, and the time at which it was last heard of.
    shaper: Option<(NodeId, Time)>,
}

impl Neighbours {
    /// Notes that an origin has sent something, and decides whether its messages shape the tree.
    ///
    /// If messages of several origins are under way at once, each may cut a ring at another edge, and the tree would
    /// fall apart. So one origin shapes the tree for all: the one with the smallest id of those heard within `window`.
    pub(crate) fn hear(&mut self, origin: NodeId, window: Duration, now: Time) {
        let stays = self.shaper.is_some_and(|(shaper, heard)| shaper < origin && now.since(heard) < window);
        if !stays {
            self.shaper = Some((origin, now));
        }
    }

    /// Whether this origin's messages shape the tree.
    pub(crate) fn is_shaped_by(&self, origin: NodeId) -> bool {
        self.shaper.is_some_and(|(shaper, _)| shaper == origin)
    }

    pub(crate) fn len(&self) -> usize {
        self.edges.len()
    }

    pub(crate) fn has(&self, id: NodeId) -> bool {
        self.edges.iter().any(|edge| edge.id == id)
    }

    /// The number of neighbours that this node picked.
    pub(crate) fn picked(&self) -> usize {
        self.edges.iter().filter(|edge| edge.picked).count()
    }

    pub(crate) fn pick(&mut self, id: NodeId) {
        self.edges.push(Edge { id, eager: true, picked: true });
    }

    /// Makes the edge to a member eager. Returns false if that would be a new edge above the limit `most`.
    pub(crate) fn make_eager(&mut self, id: NodeId, most: usize) -> bool {
        self.turn(id, true, most)
    }

    /// Makes the edge to a member lazy. Returns false if that would be a new edge above the limit `most`.
    pub(crate) fn make_lazy(&mut self, id: NodeId, most: usize) -> bool {
        self.turn(id, false, most)
    }

    fn turn(&mut self, id: NodeId, eager: bool, most: usize) -> bool {
        if let Some(edge) = self.edges.iter_mut().find(|edge| edge.id == id) {
            edge.eager = eager;
            return true;
        }
        let room = self.edges.len() < most;
        if room {
            self.edges.push(Edge { id, eager, picked: false });
        }
        room
    }

    pub(crate) fn remove(&mut self, id: NodeId) {
        self.edges.retain(|edge| edge.id != id);
    }

    pub(crate) fn eager(&self) -> impl Iterator<Item = NodeId> {
        self.edges.iter().filter(|edge| edge.eager).map(|edge| edge.id)
    }

    pub(crate) fn lazy(&self) -> impl Iterator<Item = NodeId> {
        self.edges.iter().filter(|edge| !edge.eager).map(|edge| edge.id)
    }

    /// The neighbour at this position in the list.
    pub(crate) fn nth(&self, place: usize) -> Option<NodeId> {
        self.edges.get(place).map(|edge| edge.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_origin_heard_of_late_shapes_the_tree() {
        let (mut neighbours, window) = (Neighbours::default(), Duration::from_secs(10));
        let mut hear = |origin, secs| neighbours.hear(NodeId(origin), window, Time::from_secs(secs));
        hear(5, 0);
        hear(3, 1);
        hear(7, 2);
        assert!(neighbours.is_shaped_by(NodeId(3)));
        neighbours.hear(NodeId(7), window, Time::from_secs(12));
        assert!(neighbours.is_shaped_by(NodeId(7)) && !neighbours.is_shaped_by(NodeId(3)));
    }

    #[test]
    fn edges_turn_lazy_and_eager_again_and_are_bounded() {
        let mut neighbours = Neighbours::default();
        neighbours.pick(NodeId(1));
        assert!(neighbours.make_eager(NodeId(2), 2));
        assert!(!neighbours.make_eager(NodeId(3), 2), "no more than two");
        neighbours.make_lazy(NodeId(1), 2);
        assert_eq!(neighbours.eager().collect::<Vec<_>>(), [NodeId(2)]);
        assert_eq!(neighbours.lazy().collect::<Vec<_>>(), [NodeId(1)]);
        assert!(neighbours.make_eager(NodeId(1), 2), "a neighbour may always turn eager");
        assert_eq!((neighbours.picked(), neighbours.len()), (1, 2));
        neighbours.remove(NodeId(1));
        assert!(!neighbours.has(NodeId(1)));
    }
}
