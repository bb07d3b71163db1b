//! The messages of an exchange: what each of them carries, and how many bytes a partner gets (rules B9 and F6).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::tree::Step;
use super::{ItemFate, Partner, Table};
use crate::context::Ctx;
use crate::id::NodeId;
use crate::limits::CREDIT_MAX;
use crate::time::Time;
use crate::wire::{self, Compare, Delta, Items, KeyRange, Message, Want};

/// The number of partners that are served in one interval; further partners wait for the next one.
const SERVED_MAX: usize = 4_096;
/// The number of items in one entry of a list. A range has more only if it cannot be divided; its list has several entries.
const LISTED_MAX: usize = 32;
/// The bytes of fingerprints that a partner is sent in an interval while ranges of depth 1 are divided; for each depth more
/// as many again, and for lists those of depth 8. So the first ranges are followed down to their items within the interval,
/// however much differs, and at least half of [`CREDIT_MAX`] is left for items.
const FINGERPRINT_BYTES: usize = CREDIT_MAX / 16;

/// The exchanges of one table. They remember nothing but the number of bytes that each partner was sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Exchange {
    table: u8,
    /// The start of the present interval; `served` holds the bytes that each partner was sent in it.
    served_since: Time,
    served: BTreeMap<NodeId, usize>,
    /// A buffer that is reused while messages are built.
    #[serde(skip)]
    bytes: Vec<u8>,
    #[serde(skip)]
    steps: Vec<Step>,
}

/// The bytes of payload that a partner may still be sent. The partner grants a number, and this node limits the bytes
/// for each partner and interval, whatever it is granted, so that a forged request cannot make it flood another node
/// (rule F6).
#[derive(Debug)]
struct Credit {
    left: usize,
    start: usize,
    /// The bytes that the partner was sent in this interval before.
    served: usize,
}

impl Credit {
    fn spend(&mut self, bytes: usize) -> bool {
        let rest = self.left.checked_sub(bytes);
        self.left = rest.unwrap_or(self.left);
        rest.is_some()
    }

    /// Spends bytes on the fingerprints of ranges at this depth, or of a list, whose depth counts as the greatest.
    fn spend_on_fingerprints(&mut self, bytes: usize, depth: u8) -> bool {
        let used = self.served + self.start - self.left;
        used + bytes <= FINGERPRINT_BYTES * usize::from(depth) && self.spend(bytes)
    }
}

impl Exchange {
    pub(super) const fn new(table: u8) -> Self {
        Self {
            table,
            served_since: Time::ZERO,
            served: BTreeMap::new(),
            bytes: Vec::new(),
            steps: Vec::new(),
        }
    }

    /// Starts an exchange: sends the fingerprints of the parts of the whole table.
    pub(super) fn begin(&mut self, table: &impl Table, with: Partner, cx: &mut Ctx<'_>) {
        cx.stats.reconciliations += 1;
        self.bytes.clear();
        let parts = table.tree().parts(KeyRange::ROOT).map(|part| part.0);
        wire::put_compare_range(&mut self.bytes, KeyRange::ROOT, &parts);
        self.send(with, &self.bytes, DIVISIONS, cx);
    }

    /// Answers the fingerprints of a range with those of smaller ranges, with lists of items, or with the items
    /// themselves.
    pub(super) fn on_compare(
        &mut self,
        table: &impl Table,
        from: Partner,
        compare: &Compare<'_>,
        cx: &mut Ctx<'_>,
    ) {
        let tree = table.tree();
        let mut credit = self.open_credit(from.id, compare.credit, cx);
        let mut steps = core::mem::take(&mut self.steps);
        steps.clear();
        for (range, parts) in compare.ranges() {
            tree.compare(range, &parts, &mut steps);
        }
        let lists = steps.iter().filter_map(Step::listed).flat_map(|range| {
            let entries = tree.items(range).count().div_ceil(LISTED_MAX).max(1);
            (0..entries).map(move |entry| (range, entry))
        });
        let lists = lists.map(|list| (KeyRange::DEPTH_MAX, list));
        self.send_ranges(from, lists, LISTS, &mut credit, cx, |bytes, (range, entry)| {
            let items = tree.items(range).skip(entry * LISTED_MAX).take(LISTED_MAX);
            wire::put_items_range(bytes, range, &items.collect::<Vec<_>>());
        });
        let divisions = steps.iter().filter_map(Step::divided).map(|range| (range.depth(), range));
        self.send_ranges(from, divisions, DIVISIONS, &mut credit, cx, |bytes, range| {
            wire::put_compare_range(bytes, range, &tree.parts(range).map(|part| part.0));
        });
        let handed = steps.iter().filter_map(Step::handed_over);
        let handed: Vec<NodeId> = handed.flat_map(|range| tree.items(range).map(|(id, _)| id)).collect();
        self.send_items(table, from, &handed, &mut credit, cx);
        self.close_credit(from.id, &credit);
        self.steps = steps;
    }

    /// Answers a list of items with those items of ours that its sender lacks or has differently, and requests the
    /// items that this node lacks or has differently.
    pub(super) fn on_items(
        &mut self,
        table: &impl Table,
        from: Partner,
        items: &Items<'_>,
        cx: &mut Ctx<'_>,
    ) {
        let (mut give, mut want) = (Vec::new(), Vec::new());
        let mut entries = items.ranges().peekable();
        while let Some(first) = entries.next() {
            let mut listed: Vec<_> = first.iter().collect();
            while let Some(more) = entries.next_if(|next| next.range == first.range) {
                listed.extend(more.iter());
            }
            table.tree().differences(first.range, listed.into_iter(), &mut give, &mut want);
        }
        let ids: Vec<u8> = want.iter().flat_map(|id| id.0.to_le_bytes()).collect();
        for part in ids.chunks((cx.config.payload_max() - wire::RECONCILE_BYTES) / 8 * 8) {
            self.send(from, part, WANTS, cx);
        }
        self.serve(table, from, &give, items.credit, cx);
    }

    pub(super) fn on_want(&mut self, table: &impl Table, from: Partner, want: &Want<'_>, cx: &mut Ctx<'_>) {
        let wanted: Vec<NodeId> = want.ids().collect();
        self.serve(table, from, &wanted, want.credit, cx);
    }

    fn serve(&mut self, table: &impl Table, to: Partner, ids: &[NodeId], granted: u32, cx: &mut Ctx<'_>) {
        let mut credit = self.open_credit(to.id, granted, cx);
        self.send_items(table, to, ids, &mut credit, cx);
        self.close_credit(to.id, &credit);
    }

    fn open_credit(&mut self, to: NodeId, granted: u32, cx: &Ctx<'_>) -> Credit {
        if cx.now.since(self.served_since) >= cx.config.membership.reconcile_interval {
            self.served_since = cx.now;
            self.served.clear();
        }
        let full = self.served.len() == SERVED_MAX && !self.served.contains_key(&to);
        let served = if full { CREDIT_MAX } else { self.served.get(&to).copied().unwrap_or(0) };
        let left = (granted as usize).min(CREDIT_MAX.saturating_sub(served));
        Credit { left, start: left, served }
    }

    fn close_credit(&mut self, to: NodeId, credit: &Credit) {
        if credit.left < credit.start {
            *self.served.entry(to).or_insert(0) += credit.start - credit.left;
        }
    }

    /// Writes each range with `put`, and sends the ranges in as few messages as possible until the credit for their depth
    /// is spent.
    fn send_ranges<R>(
        &mut self,
        to: Partner,
        ranges: impl Iterator<Item = (u8, R)>,
        message: Build,
        credit: &mut Credit,
        cx: &mut Ctx<'_>,
        put: impl Fn(&mut Vec<u8>, R),
    ) {
        let room = cx.config.payload_max() - wire::RECONCILE_BYTES;
        let mut bytes = core::mem::take(&mut self.bytes);
        bytes.clear();
        for (depth, range) in ranges {
            let before = bytes.len();
            put(&mut bytes, range);
            if !credit.spend_on_fingerprints(bytes.len() - before, depth) {
                bytes.truncate(before);
                break;
            }
            if bytes.len() > room {
                self.send(to, &bytes[..before], message, cx);
                bytes.drain(..before);
            }
        }
        if !bytes.is_empty() {
            self.send(to, &bytes, message, cx);
        }
        self.bytes = bytes;
    }

    fn send(&self, to: Partner, bytes: &[u8], message: Build, cx: &mut Ctx<'_>) {
        let message = message(self.table, cx.config.membership.reconcile_credit, bytes);
        let mut datagram = cx.datagram(to.addr, to.id);
        let fits = datagram.push(&message);
        debug_assert!(fits, "what a datagram is about fits the least mtu");
        datagram.send();
    }

    /// Sends the items with these ids until the credit is spent.
    fn send_items(
        &self,
        table: &impl Table,
        to: Partner,
        ids: &[NodeId],
        credit: &mut Credit,
        cx: &mut Ctx<'_>,
    ) {
        let mut left = ids;
        while !left.is_empty() {
            let mut datagram = cx.datagram(to.addr, to.id);
            datagram.push(&Delta { table: self.table }.into());
            let empty = datagram.len();
            let (mut taken, mut sent) = (0, 0);
            for id in left {
                let before = datagram.len();
                let fate = table.push_item(*id, &mut datagram);
                if fate == ItemFate::TooLong || !credit.spend(datagram.len() - before) {
                    datagram.truncate(before);
                    break;
                }
                taken += 1;
                sent += u64::from(fate == ItemFate::Packed);
            }
            if datagram.len() == empty {
                return;
            }
            datagram.send_alone();
            cx.stats.reconciled_sent += sent;
            left = &left[taken..];
        }
    }
}

/// Builds a message from the number of the table, the credit granted for the answer, and the body.
type Build = for<'a> fn(u8, u32, &'a [u8]) -> Message<'a>;

const DIVISIONS: Build = |table, credit, bytes| Compare::of(table, credit, bytes).into();
const LISTS: Build = |table, credit, bytes| Items::of(table, credit, bytes).into();
const WANTS: Build = |table, credit, bytes| Want::of(table, credit, bytes).into();
