//! The neighbours of each node, for the message `topology`.

use super::options::Topology;

/// The neighbours of node `node` among `count`.
pub(super) fn neighbours(topology: Topology, node: usize, count: usize) -> Vec<usize> {
    let tree = |children: usize| {
        let parent = node.checked_sub(1).map(|before| before / children);
        parent.into_iter().chain((1..=children).map(move |child| node * children + child)).collect::<Vec<_>>()
    };
    let mut neighbours = match topology {
        Topology::Line => [node.checked_sub(1), Some(node + 1)].into_iter().flatten().collect(),
        Topology::Tree2 => tree(2),
        Topology::Tree3 => tree(3),
        Topology::Tree4 => tree(4),
        Topology::Total => (0..count).filter(|other| *other != node).collect(),
        Topology::Grid => {
            let side = (1..).find(|side| side * side >= count).expect("a side is long enough");
            let (left, right) = (!node.is_multiple_of(side), !(node + 1).is_multiple_of(side));
            let row = [left.then(|| node - 1), right.then_some(node + 1)];
            row.into_iter().chain([node.checked_sub(side), Some(node + side)]).flatten().collect()
        }
    };
    neighbours.retain(|other| *other < count);
    neighbours
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_topology_has_its_shape() {
        assert_eq!(neighbours(Topology::Grid, 0, 25), [1, 5]);
        assert_eq!(neighbours(Topology::Grid, 12, 25), [11, 13, 7, 17]);
        assert_eq!(neighbours(Topology::Grid, 4, 6), [3, 5, 1]);
        assert_eq!(neighbours(Topology::Line, 0, 3), [1]);
        assert_eq!(neighbours(Topology::Line, 1, 3), [0, 2]);
        assert_eq!(neighbours(Topology::Tree3, 1, 25), [0, 4, 5, 6]);
        assert_eq!(neighbours(Topology::Tree4, 0, 3), [1, 2]);
        assert_eq!(neighbours(Topology::Total, 1, 3), [0, 2]);
    }

    #[test]
    fn neighbours_are_neighbours_of_each_other() {
        use Topology::{Grid, Line, Total, Tree2, Tree3, Tree4};
        for topology in [Grid, Line, Tree2, Tree3, Tree4, Total] {
            for count in [1, 2, 7, 25] {
                for node in 0..count {
                    for other in neighbours(topology, node, count) {
                        assert!(neighbours(topology, other, count).contains(&node), "{topology:?} {count}");
                    }
                }
            }
        }
    }
}
