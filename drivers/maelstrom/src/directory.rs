//! Who is who: Maelstrom's names to ids and addresses, and back.
//!
//! Both come from the name alone and not from its place in `node_ids`, so nothing depends on every node getting the
//! list in the same order.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bruit_core::{NodeId, virtual_addr};

/// The address that stands for a name.
pub(crate) fn address(name: &str) -> SocketAddr {
    virtual_addr(NodeId::from_name(name).0)
}

/// The nodes that `init` named.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    names: BTreeMap<SocketAddr, String>,
    /// The addresses of the others, in the order of `node_ids` from the own one on, so that not everybody turns to
    /// the same ones first.
    others: Vec<SocketAddr>,
}

impl Directory {
    pub(crate) fn new(own: &str, nodes: &[String]) -> Self {
        let names: BTreeMap<_, _> = nodes.iter().map(|name| (address(name), name.clone())).collect();
        let start = nodes.iter().position(|name| name == own).map_or(0, |place| place + 1);
        let mut others = Vec::new();
        for name in nodes.iter().cycle().skip(start).take(nodes.len()) {
            let addr = address(name);
            if name != own && !others.contains(&addr) {
                others.push(addr);
            }
        }
        Self { names, others }
    }

    /// The name behind an address, if it is a node's.
    pub(crate) fn name(&self, addr: SocketAddr) -> Option<&str> {
        self.names.get(&addr).map(String::as_str)
    }

    /// Whether this is a node.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.contains_key(&address(name))
    }

    /// The addresses of the others, the own successor first.
    pub(crate) fn others(&self) -> &[SocketAddr] {
        &self.others
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_go_both_ways_and_begin_behind_oneself() {
        let nodes = ["n0", "n1", "n2", "n1"].map(str::to_owned);
        let directory = Directory::new("n1", &nodes);
        let others: Vec<_> = directory.others().iter().filter_map(|addr| directory.name(*addr)).collect();
        assert_eq!(others, ["n2", "n0"]);
        assert!(directory.has("n1") && !directory.has("c1"));
        assert_eq!(directory.name(address("c1")), None);
    }

    #[test]
    fn one_who_is_not_listed_still_knows_the_others() {
        let directory = Directory::new("n9", &["n0".to_owned()]);
        assert_eq!(directory.others(), [address("n0")]);
        assert!(Directory::new("n0", &["n0".to_owned()]).others().is_empty());
    }
}
