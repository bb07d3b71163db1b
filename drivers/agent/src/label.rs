//! Names and other texts of members in lines for people.

use bruit_udp::core::{Node, NodeId};

/// The label of a member: its name, or its id if it has no name.
pub(crate) fn label(name: &str, id: &str) -> String {
    if name.is_empty() { id.to_owned() } else { harmless(name) }
}

/// The label of a member, with the name that `node` knows.
pub(crate) fn node_label(node: &Node, id: NodeId) -> String {
    let name = node.member(id).map(|member| member.name.into_owned()).unwrap_or_default();
    label(&name, &id.to_string())
}

/// A text of another member with everything escaped that is not printed as itself, so that it neither controls the terminal
/// nor looks like another line.
pub(crate) fn harmless(text: &str) -> String {
    let mut harmless = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\'' | '\\' => harmless.push(c),
            _ => harmless.extend(c.escape_debug()),
        }
    }
    harmless
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_control_a_terminal_nor_forge_a_line() {
        assert_eq!(label("web-1 \u{fc}\"'\\", "n1"), "web-1 \u{fc}\"'\\");
        assert_eq!(label("", "n1"), "n1");
        assert_eq!(label("e\u{1b}[31mvil\nup two", "n1"), "e\\u{1b}[31mvil\\nup two");
        assert_eq!(label("a\u{202e}b", "n1"), "a\\u{202e}b", "no direction is reversed");
    }
}
