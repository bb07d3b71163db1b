//! The labels of members in lines for people.

use bruit_udp::core::{Node, NodeId};

/// The label of a member: its name and its id, as in `web-1 (n42)`, or the id alone if it has no name.
pub(crate) fn label(name: &str, id: &str) -> String {
    if name.is_empty() { id.to_owned() } else { format!("{name} ({id})") }
}

/// The label of a member, with the name that `node` knows.
pub(crate) fn node_label(node: &Node, id: NodeId) -> String {
    let name = node.member(id).map(|member| member.name.into_owned()).unwrap_or_default();
    label(&name, &id.to_string())
}
