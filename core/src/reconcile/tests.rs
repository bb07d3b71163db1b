//! Properties of the tree, and complete exchanges between two trees.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::tree::{LIST_MAX, Step, gather, scatter};
use super::*;
use crate::wire::{KeyRange, WAYS};

proptest! {
    #[test]
    fn gather_is_the_inverse_of_scatter(id: u64) {
        prop_assert_eq!(gather(scatter(id)), id);
    }

    #[test]
    fn the_root_depends_on_the_items_alone(items in prop::collection::vec((0..50_u64, any::<u64>()), 0..200)) {
        let (mut walked, mut model) = (Tree::new(), BTreeMap::new());
        for (id, fingerprint) in items {
            let value = (fingerprint % 4 != 0).then_some(fingerprint);
            walked.set(NodeId(id), value);
            match value {
                Some(value) => model.insert(id, value),
                None => model.remove(&id),
            };
        }
        let mut straight = Tree::new();
        for (id, fingerprint) in &model {
            straight.set(NodeId(*id), Some(*fingerprint));
        }
        prop_assert_eq!(&walked, &straight);
        let parts = walked.parts(KeyRange::ROOT);
        prop_assert_eq!(parts.iter().fold(0_u64, |sum, part| sum.wrapping_add(part.0)), walked.root());
        prop_assert_eq!(parts.iter().map(|part| part.1).sum::<usize>(), model.len());
    }
}

#[test]
fn a_range_with_bits_beyond_its_depth_is_refused() {
    assert!(KeyRange::new(0x1000_0000, 1).is_some());
    assert!(KeyRange::new(0x0100_0000, 1).is_none());
    assert!(KeyRange::new(1, KeyRange::DEPTH_MAX).is_some());
    assert!(KeyRange::new(0, KeyRange::DEPTH_MAX + 1).is_none());
}

fn tree(ids: impl Iterator<Item = u64>) -> Tree {
    let mut tree = Tree::new();
    ids.for_each(|id| tree.set(NodeId(id), Some(scatter(id) ^ 7)));
    tree
}

/// Lets `one` start a comparison, and both answer each other until no answer is left. Returns the numbers of items
/// sent, of messages, and of fingerprints.
fn descend(one: &mut Tree, two: &mut Tree) -> (usize, usize, usize) {
    let (mut moved, mut hops, mut fingerprints) = (0, 0, 0);
    let mut asked = vec![KeyRange::ROOT];
    while !asked.is_empty() {
        hops += 1;
        let mut steps = Vec::new();
        for range in &asked {
            let parts = one.parts(*range);
            let count = u32::try_from(parts.iter().map(|part| part.1).sum::<usize>()).expect("small");
            two.compare(*range, count, &parts.map(|part| part.0), &mut steps);
            fingerprints += WAYS;
        }
        asked.clear();
        for step in steps {
            match step {
                Step::Divide(range) => asked.push(range),
                Step::HandOver(range) => {
                    for (id, fingerprint) in two.items(range).collect::<Vec<_>>() {
                        one.set(id, Some(fingerprint));
                        moved += 1;
                    }
                }
                Step::List(range) => {
                    let (mut give, mut want) = (Vec::new(), Vec::new());
                    let listed: Vec<_> = two.items(range).collect();
                    fingerprints += listed.len();
                    one.differences(range, listed.into_iter(), &mut give, &mut want);
                    moved += give.len() + want.len();
                    give.iter().for_each(|id| two.set(*id, one.get(*id)));
                    want.iter().for_each(|id| one.set(*id, two.get(*id)));
                }
            }
        }
        core::mem::swap(one, two);
    }
    (moved, hops, fingerprints)
}

#[test]
fn one_changed_item_among_ten_thousand_is_found_in_three_comparisons() {
    let (mut one, mut two) = (tree(0..10_000), tree(0..10_000));
    two.set(NodeId(4_711), Some(1));
    let (moved, hops, fingerprints) = descend(&mut one, &mut two);
    assert_eq!((moved, hops), (2, 3), "the item crosses both ways, and merging decides");
    assert!(fingerprints <= 3 * WAYS + LIST_MAX, "{fingerprints} fingerprints");
}

#[test]
fn an_empty_table_is_handed_everything_at_once() {
    let (mut none, mut all) = (Tree::new(), tree(0..1_000));
    assert_eq!(descend(&mut none, &mut all), (1_000, 1, WAYS));
    assert_eq!(none, all);
}

#[test]
fn any_two_tables_end_equal() {
    for (a, b) in [(0..500, 250..750), (0..3, 100..110), (0..0, 0..1), (7..2_000, 0..1_993)] {
        let (mut one, mut two) = (tree(a), tree(b));
        // A hand-over goes one way: items that only the other node has are found in the next exchange.
        for _ in 0..3 {
            descend(&mut one, &mut two);
        }
        assert_eq!(one.root(), two.root());
    }
}
