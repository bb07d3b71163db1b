//! What the unit tests of membership share.

use super::*;
use crate::id::Incarnation;
use crate::lan::Lan;
use crate::wire::{self, Header, Verdict};

/// The members that node `id` holds alive or suspected, and those that it holds Down, in its table.
pub(super) fn held(lan: &Lan, id: u64) -> (Vec<u64>, Vec<u64>) {
    let (live, gone): (Vec<_>, Vec<_>) = table(lan, id).iter().partition(|entry| entry.is_live());
    let ids = |entries: Vec<&table::Entry>| entries.iter().map(|entry| entry.id.0).collect();
    (ids(live), ids(gone))
}

pub(super) fn table(lan: &Lan, id: u64) -> &Table {
    &lan.nodes[&id].machines().membership.table
}

/// A datagram with these messages from the running member `sender` to `receiver`.
pub(super) fn datagram(lan: &Lan, sender: u64, receiver: u64, messages: &[Message<'_>]) -> Vec<u8> {
    let node = &lan.nodes[&sender];
    letter(sender, node.incarnation(), node.boot(), receiver, messages)
}

/// A datagram with these messages under a header of any sender.
pub(super) fn letter(
    sender: u64,
    incarnation: Incarnation,
    boot: u64,
    receiver: u64,
    messages: &[Message<'_>],
) -> Vec<u8> {
    let header = Header {
        cluster: wire::cluster_tag("test"),
        sender: NodeId(sender),
        incarnation,
        boot,
        receiver: NodeId(receiver),
        sequence: 1 << 40,
    };
    let mut body = Vec::new();
    messages.iter().for_each(|message| message.encode(&mut body));
    wire::compose(&header, &body)
}

/// What a member says of the state of another one at its first incarnation.
pub(super) fn verdict(id: u64, state: MemberState) -> Verdict {
    let (incarnation, author) = (Incarnation::first(1), NodeId::NOBODY);
    Verdict { id: NodeId(id), incarnation, state, removed: false, age: 0, author }
}
