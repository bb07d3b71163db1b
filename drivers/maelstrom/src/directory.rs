//! Who is who: Maelstrom's names to ids and addresses, and back.
//!
//! Both come from the name alone and not from its place in `node_ids`, so nothing depends on every node getting the
//! list in the same order.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Bound::{Excluded, Unbounded};

use bruit_core::{NodeId, virtual_addr};

/// The address that stands for a name.
pub(crate) fn address(name: &str) -> SocketAddr {
    virtual_addr(NodeId::from_name(name).0)
}

/// The nodes that `init` named, and oneself.
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

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// The name behind an address, if it is a node's.
    pub(crate) fn name(&self, addr: SocketAddr) -> Option<&str> {
        self.names.get(&addr).map(String::as_str)
    }

    /// Whether this is a node.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.contains_key(&address(name))
    }

    /// Whom to join through: in the ring of addresses, the half that follows. The other half joins through oneself, so
    /// every two meet, and mostly only once: a join is four messages, and messages are counted here.
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
    fn names_and_addresses_go_both_ways() {
        let one = directory("n1", 3);
        assert_eq!(one.name(address("n2")), Some("n2"));
        assert_eq!(one.name(address("c1")), None);
        assert!(one.has("n1") && !one.has("c1"));
        assert_eq!(directory("n9", 3).len(), 4, "one who is not listed is there");
    }

    #[test]
    fn every_two_meet_and_nobody_joins_through_itself() {
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
