//! The mapping between Maelstrom's names and the core's ids and addresses.
//!
//! Ids and addresses are made from the name alone and not from its place in `node_ids`, so that the list may have
//! another order on each node.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Bound::{Excluded, Unbounded};

use bruit_core::{NodeId, virtual_addr};

/// The address that stands for a name.
pub(crate) fn address(name: &str) -> SocketAddr {
    virtual_addr(NodeId::from_name(name).0)
}

/// The nodes that `init` has named, and the node itself.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    own: SocketAddr,
    names: BTreeMap<SocketAddr, String>,
}

impl Directory {
    pub(crate) fn new(own: &str, nodes: &[String]) -> Self {
        let names = nodes.iter().map(String::as_str).chain([own]);
        let names = names.map(|name| (address(name), name.to_owned())).collect();
        Self { own: address(own), names }
    }

    /// The number of nodes.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// The name of the node with this address.
    pub(crate) fn name(&self, addr: SocketAddr) -> Option<&str> {
        self.names.get(&addr).map(String::as_str)
    }

    /// True if this is the name of a node.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.contains_key(&address(name))
    }

    /// The nodes to join through: the half that follows this node in the ring of addresses. The other half joins through
    /// this node, so that any two nodes meet, and mostly only once. It matters because Maelstrom counts messages and a
    /// join takes four.
    pub(crate) fn seeds(&self) -> Vec<SocketAddr> {
        let behind = self.names.range((Excluded(self.own), Unbounded));
        let ring = behind.chain(self.names.range(..self.own)).map(|(addr, _)| *addr);
        ring.take(self.names.len() / 2).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(own: &str, count: usize) -> Directory {
        let nodes: Vec<String> = (0..count).map(|node| format!("n{node}")).collect();
        Directory::new(own, &nodes)
    }

    #[test]
    fn names_map_to_addresses_and_back() {
        let one = directory("n1", 3);
        assert_eq!(one.name(address("n2")), Some("n2"));
        assert_eq!(one.name(address("c1")), None);
        assert!(one.has("n1") && !one.has("c1"));
        assert_eq!(directory("n9", 3).len(), 4, "a node that is not in the list is added");
    }

    #[test]
    fn any_two_nodes_meet_and_none_joins_through_itself() {
        for count in [1, 2, 3, 5, 24, 25] {
            let all: Vec<Directory> = (0..count).map(|node| directory(&format!("n{node}"), count)).collect();
            let contacts = |one: &Directory, other: &Directory| one.seeds().contains(&other.own);
            for one in &all {
                assert!(!contacts(one, one));
                for other in all.iter().filter(|other| other.own != one.own) {
                    assert!(contacts(one, other) || contacts(other, one), "{count}");
                }
            }
            let sum: usize = all.iter().map(|one| one.seeds().len()).sum();
            assert!(sum <= count * count / 2, "{count}");
        }
    }
}
