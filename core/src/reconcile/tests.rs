//! Properties of the tree, and complete exchanges between two trees.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use proptest::prelude::*;

use super::tree::{LIST_MAX, Step, gather, scatter};
use super::*;
use crate::action::Action;
use crate::config::Config;
use crate::context::{Ctx, Signals};
use crate::id::{Incarnation, hash64};
use crate::link::{Link, Outbox};
use crate::stats::Stats;
use crate::time::Time;
use crate::wire::{self, Gossip, KeyRange, Mark, Message, WAYS};

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

/// Lets `one` start a comparison, and both answer each other until no answer is left. Of two versions of an item the one
/// with the greater fingerprint wins. Returns the numbers of items sent, of messages, and of fingerprints.
fn descend(one: &mut Tree, two: &mut Tree) -> (usize, usize, usize) {
    let (mut moved, mut hops, mut fingerprints) = (0, 0, 0);
    let mut asked = vec![KeyRange::ROOT];
    while !asked.is_empty() {
        hops += 1;
        let mut steps = Vec::new();
        for range in &asked {
            two.compare(*range, &one.parts(*range).map(|part| part.0), &mut steps);
            fingerprints += WAYS;
        }
        asked.clear();
        for step in steps {
            match step {
                Step::Divide(range) => asked.push(range),
                Step::HandOver(range) => {
                    let ids: Vec<_> = two.items(range).map(|(id, _)| id).collect();
                    moved += ids.len();
                    ids.into_iter().for_each(|id| take(one, two, id));
                }
                Step::List(range) => {
                    let (mut give, mut want) = (Vec::new(), Vec::new());
                    let listed: Vec<_> = two.items(range).collect();
                    fingerprints += listed.len();
                    one.differences(range, listed.into_iter(), &mut give, &mut want);
                    moved += give.len() + want.len();
                    give.iter().for_each(|id| take(two, one, *id));
                    want.iter().for_each(|id| take(one, two, *id));
                }
            }
        }
        core::mem::swap(one, two);
    }
    if hops % 2 == 1 {
        core::mem::swap(one, two);
    }
    (moved, hops, fingerprints)
}

/// Gives `taker` the item as `giver` has it; the greater version wins.
fn take(taker: &mut Tree, giver: &Tree, id: NodeId) {
    let newest = giver.get(id).max(taker.get(id));
    taker.set(id, newest);
}

/// An item of two tables: its id, its version, and whether only the first table has it (1), only the second (0), the second
/// in a later version (2), or both alike.
type Drawn = (u64, u64, u8);

/// Items whose positions lie close together: ids of members that differ in a few bits of their position.
fn clustered() -> impl Strategy<Value = Vec<Drawn>> {
    let position = (0..4_u64, 0..64_u64, 0..4_u64)
        .prop_map(|(top, middle, low)| gather(top << 60 | middle << 40 | low << 31 | (middle * low)));
    prop::collection::vec((position, 1..9_u64, 0..8_u8), 0..120)
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

/// A table of numbers, of which the greater one wins, and its reconciliation.
struct Side {
    id: NodeId,
    numbers: Numbers,
    sync: Sync,
}

#[derive(Default)]
struct Numbers {
    tree: Tree,
    tops: BTreeMap<NodeId, u64>,
}

impl Table for Numbers {
    fn tree(&self) -> &Tree {
        &self.tree
    }

    fn push_item(&self, id: NodeId, datagram: &mut DatagramWriter<'_>) -> ItemFate {
        let Some(top) = self.tops.get(&id) else { return ItemFate::Empty };
        let mark = Mark { origin: id, epoch: 1, low: 0, top: *top };
        if datagram.push(&mark.into()) { ItemFate::Packed } else { ItemFate::TooLong }
    }
}

impl Numbers {
    fn take(&mut self, id: NodeId, top: u64) {
        let held = self.tops.entry(id).or_insert(0);
        *held = top.max(*held);
        self.tree.set(id, Some(hash64(&[id.0.to_le_bytes(), held.to_le_bytes()].concat())));
    }
}

impl Side {
    fn new(id: u64) -> Self {
        Self { id: NodeId(id), numbers: Numbers::default(), sync: Sync::new(MARKS) }
    }

    fn partner(&self) -> Partner {
        Partner { id: self.id, addr: crate::lan::addr(self.id.0) }
    }

    /// Lets the side do something, and returns the datagrams that it sends.
    fn with(&mut self, now: Time, call: impl FnOnce(&mut Self, &mut Ctx<'_>)) -> Vec<Vec<u8>> {
        let config = Config::lan("test");
        let (mut out, mut stats, mut signals) = (Outbox::new(), Stats::default(), Signals::default());
        let mut link = Link::new(0, self.id, Incarnation::first(1), 0);
        let mut cx = Ctx {
            now,
            config: &config,
            roots: [0; TABLES],
            others: 1,
            out: &mut out,
            stats: &mut stats,
            link: &mut link,
            signals: &mut signals,
        };
        call(self, &mut cx);
        out.finish();
        let bytes =
            |action| if let Action::Send { bytes, .. } = action { Some(bytes.into_owned()) } else { None };
        out.iter().map(Action::into_owned).filter_map(bytes).collect()
    }

    fn receive(&mut self, from: Partner, bytes: &[u8], now: Time) -> Vec<Vec<u8>> {
        self.with(now, |side, cx| {
            for message in wire::open(bytes, 0).expect("just written").messages {
                match message.expect("just written") {
                    Message::Reconcile(message) => side.sync.on_message(&side.numbers, from, &message, cx),
                    Message::Gossip(Gossip::Mark(mark)) => side.numbers.take(mark.origin, mark.top),
                    other @ (Message::Swim(_) | Message::Gossip(_) | Message::Unknown { .. }) => {
                        panic!("{other}")
                    }
                }
            }
        })
    }
}

/// One exchange that `one` starts at `now`, until nobody answers any more.
fn exchange(one: &mut Side, two: &mut Side, now: Time) {
    let (first, second) = (one.partner(), two.partner());
    let mut to_two = one.with(now, |side, cx| side.sync.compare_with(&side.numbers, second, cx));
    while !to_two.is_empty() {
        let answers: Vec<_> = to_two.iter().flat_map(|bytes| two.receive(first, bytes, now)).collect();
        to_two = answers.iter().flat_map(|bytes| one.receive(second, bytes, now)).collect();
    }
}

/// Runs exchanges that `one` starts, one in each interval. Returns the number of exchanges until both tables are equal.
fn exchanges(one: &mut Side, two: &mut Side) -> u32 {
    for count in 1..100 {
        exchange(one, two, Time::from_secs(10 * u64::from(count)));
        if one.numbers.tree == two.numbers.tree {
            return count;
        }
    }
    panic!("{} and {} items never agree", one.numbers.tree.len(), two.numbers.tree.len());
}

#[test]
fn tables_end_equal_however_much_of_them_differs() {
    for (ids, what) in [(0..6_000_u64, "spread"), (0..700, "in one range that cannot be divided")] {
        let id = |number| NodeId(if what == "spread" { number } else { gather(7 << 60 | number) });
        let (mut one, mut two) = (Side::new(1), Side::new(2));
        for number in ids.clone() {
            one.numbers.take(id(number), 1 + number % 2);
            two.numbers.take(id(number), 2 - number % 2);
        }
        let count = exchanges(&mut one, &mut two);
        // An exchange moves at most 64 KiB of items each way, 40 bytes each.
        assert!(count <= 10, "{count} exchanges of tables whose items are {what}");
    }
}

proptest! {
    #[test]
    fn any_two_tables_end_equal_after_one_exchange_whichever_node_starts(items in clustered()) {
        for one_starts in [true, false] {
            let (mut one, mut two) = (Side::new(1), Side::new(2));
            for (id, version, side) in &items {
                if *side != 0 {
                    one.numbers.take(NodeId(*id), *version);
                }
                if *side != 1 {
                    two.numbers.take(NodeId(*id), version + u64::from(*side == 2));
                }
            }
            let (first, second) = if one_starts { (&mut one, &mut two) } else { (&mut two, &mut one) };
            prop_assert_eq!(exchanges(first, second), 1);
        }
    }
}

#[test]
fn one_that_differs_is_noticed_among_many_that_agree() {
    let (mut one, spread_time) = (Side::new(1), Duration::from_secs(2));
    let mut starts = Vec::new();
    for second in 100..200 {
        // Member 9 is heard every twenty seconds, and a member that agrees in each second.
        let (id, root) = if second % 20 == 0 { (9, 1) } else { (2 + second % 7, 0) };
        let partner = Side::new(id).partner();
        let sent = one.with(Time::from_secs(second), |side, cx| {
            side.sync.on_root(&side.numbers, partner.id, root, || Some(partner), || spread_time, cx);
        });
        starts.extend(sent.iter().map(|_| second));
    }
    assert_eq!(starts, [120, 140, 160, 180], "from the second time on");
}
