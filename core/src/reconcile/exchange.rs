//! The exchanges of one table: when one starts, what its messages carry, and how much a partner gets (rule B9).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Step, Tree};
use crate::context::Ctx;
use crate::id::NodeId;
use crate::limits::CREDIT_MAX;
use crate::outbox::Letter;
use crate::time::Time;
use crate::wire::{self, Compare, Delta, Items, KeyRange, Message, Want};

/// A member to exchange with, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Partner {
    pub(crate) id: NodeId,
    pub(crate) addr: SocketAddr,
}

/// What became of an item that was to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It is in the datagram, whole.
    Whole,
    /// There is nothing to say of it.
    Nothing,
    /// It did not fit; what has been added of it is taken back.
    TooLong,
}

/// The pace of one table's reconciliation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Exchange {
    table: u8,
    /// Since when every root that we saw was another one than ours.
    differs_since: Option<Time>,
    /// No exchange of ours starts earlier.
    not_before: Time,
    /// Until then everything is news to us, and a difference is taken for a large one.
    young_until: Time,
    /// Something was found since the last exchange of ours began.
    found: bool,
    /// When the present interval began, and whom we have sent how many bytes in it (rule F6).
    served_since: Time,
    served: BTreeMap<NodeId, usize>,
    /// Reused while messages are built.
    #[serde(skip)]
    bytes: Vec<u8>,
    #[serde(skip)]
    steps: Vec<Step>,
}

/// How long a node that has started compares tables at the first sign of a difference.
const YOUTH_PERIODS: u32 = 10;

/// Partners served in one interval; further ones wait for the next.
const SERVED_MAX: usize = 4_096;

/// What we may send a partner, in bytes of payload: what it grants, within what one partner gets in an interval
/// whatever it asks for, so that a forged request cannot turn us on somebody (rule F6).
#[derive(Debug)]
struct Credit {
    left: usize,
    start: usize,
}

impl Credit {
    fn spend(&mut self, bytes: usize) -> bool {
        let rest = self.left.checked_sub(bytes);
        self.left = rest.unwrap_or(self.left);
        rest.is_some()
    }
}

impl Exchange {
    pub(crate) const fn new(table: u8) -> Self {
        Self {
            table,
            differs_since: None,
            not_before: Time::ZERO,
            young_until: Time::ZERO,
            found: false,
            served_since: Time::ZERO,
            served: BTreeMap::new(),
            bytes: Vec::new(),
            steps: Vec::new(),
        }
    }

    /// The node has just started.
    pub(crate) fn start(&mut self, cx: &Ctx<'_>) {
        self.young_until = cx.now + cx.config.membership.probe_interval * YOUTH_PERIODS;
    }

    /// Takes note of a root that was seen; whether an exchange is due. Gossip makes roots differ for a moment all the
    /// time; only what outlives one `spread` starts an exchange, and whatever a young node meets.
    pub(crate) fn is_due(&mut self, theirs: u64, ours: u64, spread: Duration, cx: &Ctx<'_>) -> bool {
        if theirs == ours {
            self.differs_since = None;
            return false;
        }
        let since = *self.differs_since.get_or_insert(cx.now);
        cx.now < self.young_until || cx.now.since(since) > spread
    }

    /// Whether the last root that was seen was another one than ours.
    pub(crate) const fn differs(&self) -> bool {
        self.differs_since.is_some()
    }

    /// Something was found since our last exchange began.
    pub(crate) const fn has_found(&self) -> bool {
        self.found
    }

    /// An exchange, ours or another's, has found something; when the next one may follow.
    pub(crate) fn find(&mut self, cx: &Ctx<'_>) -> Time {
        self.found = true;
        self.not_before.max(cx.now + cx.config.membership.reconcile_interval)
    }

    /// The next exchange starts whatever the last one's time was.
    pub(crate) const fn hurry(&mut self, cx: &Ctx<'_>) {
        self.not_before = cx.now;
    }

    /// Starts an exchange, unless the last one is too recent.
    pub(crate) fn compare_with(&mut self, tree: &Tree, with: Partner, cx: &mut Ctx<'_>) {
        if cx.now < self.not_before {
            return;
        }
        self.not_before = cx.now + cx.config.membership.reconcile_interval;
        self.found = false;
        cx.stats.reconciliations += 1;
        self.bytes.clear();
        wire::put_compare_range(&mut self.bytes, KeyRange::ROOT, &tree.parts(KeyRange::ROOT));
        self.send_division(with, cx);
    }

    fn open_credit(&mut self, to: NodeId, granted: u32, cx: &Ctx<'_>) -> Credit {
        if cx.now.since(self.served_since) >= cx.config.membership.reconcile_interval {
            self.served_since = cx.now;
            self.served.clear();
        }
        let rest = match self.served.get(&to) {
            Some(served) => CREDIT_MAX.saturating_sub(*served),
            None if self.served.len() == SERVED_MAX => 0,
            None => CREDIT_MAX,
        };
        let left = (granted as usize).min(rest);
        Credit { left, start: left }
    }

    fn close_credit(&mut self, to: NodeId, credit: &Credit) {
        if credit.left < credit.start {
            *self.served.entry(to).or_insert(0) += credit.start - credit.left;
        }
    }

    /// Answers fingerprints with finer ones, with lists, or with the items themselves.
    pub(crate) fn on_compare(
        &mut self,
        tree: &Tree,
        from: Partner,
        compare: &Compare<'_>,
        cx: &mut Ctx<'_>,
        item: impl FnMut(NodeId, &mut Letter<'_>) -> Pushed,
    ) {
        let mut credit = self.open_credit(from.id, compare.credit, cx);
        let mut steps = core::mem::take(&mut self.steps);
        steps.clear();
        for (range, count, parts) in compare.ranges() {
            tree.compare(range, count, &parts, &mut steps);
        }
        self.send_lists(tree, from, &steps, &mut credit, cx);
        self.send_divisions(tree, from, &steps, &mut credit, cx);
        let handed: Vec<NodeId> = steps
            .iter()
            .filter_map(|step| if let Step::HandOver(range) = step { Some(*range) } else { None })
            .flat_map(|range| tree.items(range).map(|(id, _)| id))
            .collect();
        self.send_items(from, &handed, &mut credit, cx, item);
        self.close_credit(from.id, &credit);
        self.steps = steps;
    }

    fn send_lists(
        &mut self,
        tree: &Tree,
        to: Partner,
        steps: &[Step],
        credit: &mut Credit,
        cx: &mut Ctx<'_>,
    ) {
        let room = cx.config.payload_max() - wire::RECONCILE_BYTES;
        self.bytes.clear();
        for step in steps {
            let Step::List(range) = step else { continue };
            let items: Vec<(NodeId, u64)> = tree.items(*range).take(32).collect();
            let len = wire::ITEMS_RANGE_BYTES + items.len() * wire::ITEM_BYTES;
            if !credit.spend(len) {
                break;
            }
            if self.bytes.len() + len > room {
                self.send_list(to, cx);
                self.bytes.clear();
            }
            wire::put_items_range(&mut self.bytes, *range, &items);
        }
        if !self.bytes.is_empty() {
            self.send_list(to, cx);
        }
    }

    fn send_list(&self, to: Partner, cx: &mut Ctx<'_>) {
        let items = Items::of(self.table, cx.config.membership.reconcile_credit, &self.bytes);
        send(to, &items.into(), cx);
    }

    fn send_divisions(
        &mut self,
        tree: &Tree,
        to: Partner,
        steps: &[Step],
        credit: &mut Credit,
        cx: &mut Ctx<'_>,
    ) {
        let room = cx.config.payload_max() - wire::RECONCILE_BYTES;
        self.bytes.clear();
        for step in steps {
            let Step::Divide(range) = step else { continue };
            if !credit.spend(wire::COMPARE_RANGE_BYTES) {
                break;
            }
            if self.bytes.len() + wire::COMPARE_RANGE_BYTES > room {
                self.send_division(to, cx);
                self.bytes.clear();
            }
            wire::put_compare_range(&mut self.bytes, *range, &tree.parts(*range));
        }
        if !self.bytes.is_empty() {
            self.send_division(to, cx);
        }
    }

    fn send_division(&self, to: Partner, cx: &mut Ctx<'_>) {
        let compare = Compare::of(self.table, cx.config.membership.reconcile_credit, &self.bytes);
        send(to, &compare.into(), cx);
    }

    /// Answers a list with what the lister lacks or has otherwise, and asks for what we do.
    pub(crate) fn on_items(
        &mut self,
        tree: &Tree,
        from: Partner,
        items: &Items<'_>,
        cx: &mut Ctx<'_>,
        item: impl FnMut(NodeId, &mut Letter<'_>) -> Pushed,
    ) {
        let (mut give, mut want) = (Vec::new(), Vec::new());
        for listed in items.ranges() {
            tree.differences(listed.range, listed.iter(), &mut give, &mut want);
        }
        if !want.is_empty() {
            let ids: Vec<u8> = want.iter().flat_map(|id| id.0.to_le_bytes()).collect();
            for part in ids.chunks((cx.config.payload_max() - wire::RECONCILE_BYTES) / 8 * 8) {
                let want = Want::of(self.table, cx.config.membership.reconcile_credit, part);
                send(from, &want.into(), cx);
            }
        }
        self.serve(from, &give, items.credit, cx, item);
    }

    pub(crate) fn on_want(
        &mut self,
        from: Partner,
        want: &Want<'_>,
        cx: &mut Ctx<'_>,
        item: impl FnMut(NodeId, &mut Letter<'_>) -> Pushed,
    ) {
        let wanted: Vec<NodeId> = want.ids().collect();
        self.serve(from, &wanted, want.credit, cx, item);
    }

    fn serve(
        &mut self,
        to: Partner,
        ids: &[NodeId],
        granted: u32,
        cx: &mut Ctx<'_>,
        item: impl FnMut(NodeId, &mut Letter<'_>) -> Pushed,
    ) {
        let mut credit = self.open_credit(to.id, granted, cx);
        self.send_items(to, ids, &mut credit, cx, item);
        self.close_credit(to.id, &credit);
    }

    /// Sends the items of these ids, as far as the credit goes.
    fn send_items(
        &self,
        to: Partner,
        ids: &[NodeId],
        credit: &mut Credit,
        cx: &mut Ctx<'_>,
        mut item: impl FnMut(NodeId, &mut Letter<'_>) -> Pushed,
    ) {
        let mut left = ids;
        while !left.is_empty() {
            let mut letter = cx.letter(to.addr, to.id);
            letter.push(&Delta { table: self.table }.into());
            let empty = letter.len();
            let (mut taken, mut sent) = (0, 0);
            for id in left {
                let before = letter.len();
                let pushed = item(*id, &mut letter);
                if pushed == Pushed::TooLong || !credit.spend(letter.len() - before) {
                    letter.truncate(before);
                    break;
                }
                taken += 1;
                sent += u64::from(pushed == Pushed::Whole);
            }
            if letter.len() == empty {
                return;
            }
            letter.send_alone();
            cx.stats.reconciled_sent += sent;
            left = &left[taken..];
        }
    }
}

fn send(to: Partner, message: &Message<'_>, cx: &mut Ctx<'_>) {
    let mut letter = cx.letter(to.addr, to.id);
    let fits = letter.push(message);
    debug_assert!(fits, "what a datagram is about fits the least mtu");
    letter.send();
}
