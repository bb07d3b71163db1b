//! The fingerprint tree of one table, and the answer to a range that differs.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::id::NodeId;
use crate::wire::{KeyRange, WAYS};

/// A part that has at most this many of our items is listed rather than divided.
pub(super) const LIST_MAX: usize = 8;

/// The fingerprint tree of one table.
///
/// Only the items, in the order of the line, and the root are stored; the root changes with each item. The fingerprint
/// of a range is summed when it is needed: that costs time in proportion to the range, and only while tables differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tree {
    items: BTreeMap<u64, u64>,
    root: u64,
}

/// The answer to a range that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Send the fingerprints of the range's parts.
    Divide(KeyRange),
    /// Send the fingerprints of the range's items.
    List(KeyRange),
    /// Send the range's items.
    HandOver(KeyRange),
}

impl Step {
    pub(super) fn divided(&self) -> Option<KeyRange> {
        if let Self::Divide(range) = self { Some(*range) } else { None }
    }

    pub(super) fn listed(&self) -> Option<KeyRange> {
        if let Self::List(range) = self { Some(*range) } else { None }
    }

    pub(super) fn handed_over(&self) -> Option<KeyRange> {
        if let Self::HandOver(range) = self { Some(*range) } else { None }
    }
}

impl Tree {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) const fn root(&self) -> u64 {
        self.root
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// Sets the fingerprint of an item, or removes the item if there is none.
    pub(crate) fn set(&mut self, id: NodeId, fingerprint: Option<u64>) {
        let position = scatter(id.0);
        let before = match fingerprint {
            Some(fingerprint) => self.items.insert(position, fingerprint),
            None => self.items.remove(&position),
        };
        self.root = self.root.wrapping_sub(before.unwrap_or(0)).wrapping_add(fingerprint.unwrap_or(0));
    }

    pub(crate) fn get(&self, id: NodeId) -> Option<u64> {
        self.items.get(&scatter(id.0)).copied()
    }

    /// The items of a range, in the order of the line.
    pub(crate) fn items(&self, range: KeyRange) -> impl Iterator<Item = (NodeId, u64)> {
        let items = self.items.range(range.first()..=range.last());
        items.map(|(position, fingerprint)| (NodeId(gather(*position)), *fingerprint))
    }

    /// The fingerprint of each part of a range, and the number of items in it.
    pub(crate) fn parts(&self, range: KeyRange) -> [(u64, usize); WAYS] {
        let mut parts = [(0_u64, 0); WAYS];
        let shift = 60_u32.saturating_sub(4 * u32::from(range.depth()));
        for (position, fingerprint) in self.items.range(range.first()..=range.last()) {
            let way = usize::try_from(position >> shift & 0xf).expect("four bits");
            let part = &mut parts[way];
            *part = (part.0.wrapping_add(*fingerprint), part.1 + 1);
        }
        parts
    }

    /// Appends to `steps` the answers to a node whose range has the fingerprints `theirs` in its parts.
    ///
    /// The items of a part are handed over unasked only if the other node has none there. Otherwise it may hold a newer
    /// version of one of them, and this node would never learn of it: a list is answered in both directions.
    pub(crate) fn compare(&self, range: KeyRange, theirs: &[u64; WAYS], steps: &mut Vec<Step>) {
        if range.depth() == KeyRange::DEPTH_MAX {
            steps.push(Step::List(range));
            return;
        }
        let mine = self.parts(range);
        for (way, (theirs, (fingerprint, count))) in (0..).zip(theirs.iter().zip(mine)) {
            let part = range.child(way);
            if *theirs == fingerprint {
                continue;
            }
            steps.push(if *theirs == 0 {
                Step::HandOver(part)
            } else if count <= LIST_MAX || part.depth() == KeyRange::DEPTH_MAX {
                Step::List(part)
            } else {
                Step::Divide(part)
            });
        }
    }

    /// Compares the items of a range with the other node's items `theirs`. Appends to `give` the items that the other
    /// node lacks or has differently, and to `want` those that this node lacks or has differently.
    pub(crate) fn differences(
        &self,
        range: KeyRange,
        theirs: impl Iterator<Item = (NodeId, u64)>,
        give: &mut Vec<NodeId>,
        want: &mut Vec<NodeId>,
    ) {
        let theirs: BTreeMap<NodeId, u64> = theirs.collect();
        give.extend(self.items(range).filter(|(id, fp)| theirs.get(id) != Some(fp)).map(|(id, _)| id));
        want.extend(theirs.iter().filter(|(id, fp)| self.get(**id) != Some(**fp)).map(|(id, _)| *id));
    }
}

/// The position of an id on the line: a fixed permutation (the finaliser of splitmix64), so that neighbouring ids lie
/// far apart and ranges of one length hold about the same number of items.
pub(super) const fn scatter(id: u64) -> u64 {
    let id = (id ^ id >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let id = (id ^ id >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    id ^ id >> 31
}

/// The inverse of `scatter`.
pub(super) const fn gather(position: u64) -> u64 {
    let id = (position ^ position >> 31 ^ position >> 62).wrapping_mul(0x3196_42b2_d24d_8ec3);
    let id = (id ^ id >> 27 ^ id >> 54).wrapping_mul(0x96de_1b17_3f11_9089);
    id ^ id >> 30 ^ id >> 60
}
