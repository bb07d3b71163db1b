//! Reconciliation: two nodes find out what differs between their tables at a cost in proportion to the differences
//! (rules B4 and B9; range-based set reconciliation, Meyer, SRDS 2023).
//!
//! ```text
//! every ping and ack: the roots ── they differ for longer than gossip takes ─► Compare: 16 fingerprints of the root
//!     equal: nothing                                                              │
//!                    Compare of finer ranges ◄── many items differ ───────────────┤
//!                    Items: the fingerprints of single items ◄── few items ───────┤
//!                    Delta and the items themselves ◄── the other has none ───────┘
//!                    Want: the ids that the other lacks
//! ```
//!
//! Every item has an id and a fingerprint of its version and content. Ids are spread over a 64-bit line by a fixed
//! permutation. A [`KeyRange`](crate::wire::KeyRange) is a prefix of that line, and the fingerprint of a range is the
//! sum of the fingerprints of its items. No message needs memory of an earlier one, so a lost message costs a
//! repetition and nothing else.
//!
//! This code does not know what an item is: members and the marks of the broadcast, and later the frontiers of the
//! store, are tables of one mechanism. A machine that has a table implements [`Table`] and holds a [`Sync`], which
//! decides when exchanges start and handles their messages. Files: [`tree`] (fingerprints), [`exchange`] (what the
//! messages carry, and how much a partner gets), [`sync`] (when an exchange starts).

mod exchange;
mod sync;
mod tree;

pub(crate) use sync::Sync;
pub(crate) use tree::Tree;

use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::id::NodeId;
use crate::link::DatagramWriter;

pub(crate) use crate::wire::TABLES;

/// The number of the table of member records.
pub(crate) const MEMBERS: u8 = 0;
/// The number of the table of the broadcast's marks: origin → highest numbers (rule C3).
pub(crate) const MARKS: u8 = 2;

/// A table that can be reconciled. The machine that owns the table implements it.
pub(crate) trait Table {
    /// The fingerprints of all items.
    fn tree(&self) -> &Tree;

    /// Appends the messages that carry one item.
    fn push_item(&self, id: NodeId, datagram: &mut DatagramWriter<'_>) -> ItemFate;
}

/// The result of adding an item to a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ItemFate {
    /// The whole item is in the datagram.
    Packed,
    /// There is nothing to send of the item.
    Empty,
    /// The item did not fit. The caller removes the part of it that was added.
    TooLong,
}

/// A member to exchange with, and its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Partner {
    pub(crate) id: NodeId,
    pub(crate) addr: SocketAddr,
}

#[cfg(test)]
mod tests;
