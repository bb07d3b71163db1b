//! Reconciliation of member records: when it starts, and what its messages carry (rules B4 and B9). What is
//! compared, and how, is [`crate::reconcile`].

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::table::Entry;
use super::{Membership, Source, Standing, Timer, update_of};
use crate::context::Ctx;
use crate::estimate::Estimate;
use crate::id::NodeId;
use crate::limits::CREDIT_MAX;
use crate::reconcile::{MEMBERS, Range, Step, TABLES};
use crate::time::Time;
use crate::wire::{self, Compare, Items, Message, Want};

/// The pace of reconciliation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Sync {
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

impl Sync {
    pub(super) const fn new() -> Self {
        Self {
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
    pub(super) fn start(&mut self, cx: &Ctx<'_>) {
        self.young_until = cx.now + cx.config.membership.probe_interval * YOUTH_PERIODS;
    }
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

impl Membership {
    /// The roots that ride on pings and acks. Gossip makes them differ for a moment all the time; only what
    /// outlives one spread starts an exchange, and whatever a young node meets.
    pub(super) fn compare_roots(&mut self, source: &Source, roots: [u64; TABLES], cx: &mut Ctx<'_>) {
        if roots[0] == self.roots()[0] {
            self.sync.differs_since = None;
            return;
        }
        let since = *self.sync.differs_since.get_or_insert(cx.now);
        let lasting = cx.now < self.sync.young_until || cx.now.since(since) > self.spread_time(cx);
        if lasting && source.standing == Standing::Validated {
            self.compare_with(source.sender, source.from, cx);
        }
    }

    /// How long a fresh update takes to reach everybody.
    fn spread_time(&self, cx: &Ctx<'_>) -> Duration {
        Estimate::new(cx.config, self.group()).spread + cx.config.membership.gossip_interval * 2
    }

    /// Somebody who was gone is back: the two sides of a healed cut have much to tell each other.
    pub(super) fn sync_with_returned(&mut self, id: NodeId, from: SocketAddr, cx: &mut Ctx<'_>) {
        if self.sync.differs_since.is_some() {
            self.compare_with(id, from, cx);
        }
    }

    /// Starts an exchange, unless the last one is too recent.
    pub(super) fn compare_with(&mut self, id: NodeId, to: SocketAddr, cx: &mut Ctx<'_>) {
        if cx.now < self.sync.not_before {
            return;
        }
        self.sync.not_before = cx.now + cx.config.membership.reconcile_interval;
        self.sync.found = false;
        cx.stats.reconciliations += 1;
        let parts = self.table.tree().parts(Range::ROOT);
        self.sync.bytes.clear();
        wire::put_compare_range(&mut self.sync.bytes, Range::ROOT, &parts);
        let bytes = core::mem::take(&mut self.sync.bytes);
        let compare = Compare::of(MEMBERS, cx.config.membership.reconcile_credit, &bytes);
        self.send(to, id, &[Message::Compare(compare)], cx);
        self.sync.bytes = bytes;
    }

    /// An exchange, ours or another's, has found something: the next one follows at once.
    pub(super) fn found_difference(&mut self, cx: &Ctx<'_>) {
        self.sync.found = true;
        if self.deadlines.at(Timer::Sync).is_none() {
            self.arm(
                Timer::Sync,
                self.sync.not_before.max(cx.now + cx.config.membership.reconcile_interval),
                cx,
            );
        }
    }

    pub(super) fn on_sync_due(&mut self, cx: &mut Ctx<'_>) {
        if !self.sync.found {
            return;
        }
        let mut chosen = core::mem::take(&mut self.chosen);
        chosen.clear();
        self.table.choose(1, self.me.id, &mut self.rng, &mut chosen);
        if let Some((id, to)) = chosen.first().and_then(|id| Some((*id, self.table.get(*id)?.addr()?))) {
            self.sync.not_before = cx.now;
            self.compare_with(id, to, cx);
            self.arm(Timer::Sync, cx.now + cx.config.membership.reconcile_interval, cx);
        }
        self.chosen = chosen;
    }

    fn open_credit(&mut self, to: NodeId, granted: u32, cx: &Ctx<'_>) -> Credit {
        if cx.now.since(self.sync.served_since) >= cx.config.membership.reconcile_interval {
            self.sync.served_since = cx.now;
            self.sync.served.clear();
        }
        let rest = match self.sync.served.get(&to) {
            Some(served) => CREDIT_MAX.saturating_sub(*served),
            None if self.sync.served.len() == SERVED_MAX => 0,
            None => CREDIT_MAX,
        };
        let left = (granted as usize).min(rest);
        Credit { left, start: left }
    }

    fn close_credit(&mut self, to: NodeId, credit: &Credit) {
        if credit.left < credit.start {
            *self.sync.served.entry(to).or_insert(0) += credit.start - credit.left;
        }
    }

    /// Answers fingerprints with finer ones, with lists, or with the items themselves.
    pub(super) fn on_compare(&mut self, source: &Source, compare: &Compare<'_>, cx: &mut Ctx<'_>) {
        if compare.table != MEMBERS {
            cx.stats.ignored_unknown += 1;
            return;
        }
        let mut credit = self.open_credit(source.sender, compare.credit, cx);
        let mut steps = core::mem::take(&mut self.sync.steps);
        steps.clear();
        for (range, count, parts) in compare.ranges() {
            self.table.tree().compare(range, count, &parts, &mut steps);
        }
        self.send_lists(source, &steps, &mut credit, cx);
        self.send_divisions(source, &steps, &mut credit, cx);
        let handed: Vec<NodeId> = steps
            .iter()
            .filter_map(|step| if let Step::HandOver(range) = step { Some(*range) } else { None })
            .flat_map(|range| self.table.tree().items(range).map(|(id, _)| id))
            .collect();
        self.send_items(source, &handed, &mut credit, cx);
        self.close_credit(source.sender, &credit);
        self.sync.steps = steps;
    }

    fn send_lists(&mut self, source: &Source, steps: &[Step], credit: &mut Credit, cx: &mut Ctx<'_>) {
        let room = cx.config.payload_max() - wire::RECONCILE_BYTES;
        let mut bytes = core::mem::take(&mut self.sync.bytes);
        bytes.clear();
        for step in steps {
            let Step::List(range) = step else { continue };
            let items: Vec<(NodeId, u64)> = self.table.tree().items(*range).take(32).collect();
            let len = wire::ITEMS_RANGE_BYTES + items.len() * wire::ITEM_BYTES;
            if !credit.spend(len) {
                break;
            }
            if bytes.len() + len > room {
                self.send_list(source, &bytes, cx);
                bytes.clear();
            }
            wire::put_items_range(&mut bytes, *range, &items);
        }
        if !bytes.is_empty() {
            self.send_list(source, &bytes, cx);
        }
        self.sync.bytes = bytes;
    }

    fn send_list(&mut self, source: &Source, bytes: &[u8], cx: &mut Ctx<'_>) {
        let items = Items::of(MEMBERS, cx.config.membership.reconcile_credit, bytes);
        self.send(source.from, source.sender, &[Message::Items(items)], cx);
    }

    fn send_divisions(&mut self, source: &Source, steps: &[Step], credit: &mut Credit, cx: &mut Ctx<'_>) {
        let room = cx.config.payload_max() - wire::RECONCILE_BYTES;
        let mut bytes = core::mem::take(&mut self.sync.bytes);
        bytes.clear();
        for step in steps {
            let Step::Divide(range) = step else { continue };
            if !credit.spend(wire::COMPARE_RANGE_BYTES) {
                break;
            }
            if bytes.len() + wire::COMPARE_RANGE_BYTES > room {
                self.send_division(source, &bytes, cx);
                bytes.clear();
            }
            wire::put_compare_range(&mut bytes, *range, &self.table.tree().parts(*range));
        }
        if !bytes.is_empty() {
            self.send_division(source, &bytes, cx);
        }
        self.sync.bytes = bytes;
    }

    fn send_division(&mut self, source: &Source, bytes: &[u8], cx: &mut Ctx<'_>) {
        let compare = Compare::of(MEMBERS, cx.config.membership.reconcile_credit, bytes);
        self.send(source.from, source.sender, &[Message::Compare(compare)], cx);
    }

    /// Answers a list with what the lister lacks or has otherwise, and asks for what we do.
    pub(super) fn on_items(&mut self, source: &Source, items: &Items<'_>, cx: &mut Ctx<'_>) {
        if items.table != MEMBERS {
            cx.stats.ignored_unknown += 1;
            return;
        }
        let (mut give, mut want) = (Vec::new(), Vec::new());
        for listed in items.ranges() {
            self.table.tree().differences(listed.range, listed.iter(), &mut give, &mut want);
        }
        if !want.is_empty() {
            let ids: Vec<u8> = want.iter().flat_map(|id| id.0.to_le_bytes()).collect();
            for part in ids.chunks((cx.config.payload_max() - wire::RECONCILE_BYTES) / 8 * 8) {
                let message = Message::Want(Want::of(MEMBERS, cx.config.membership.reconcile_credit, part));
                self.send(source.from, source.sender, &[message], cx);
            }
        }
        self.serve(source, &give, items.credit, cx);
    }

    pub(super) fn on_want(&mut self, source: &Source, want: &Want<'_>, cx: &mut Ctx<'_>) {
        if want.table != MEMBERS {
            cx.stats.ignored_unknown += 1;
            return;
        }
        let wanted: Vec<NodeId> = want.ids().collect();
        self.serve(source, &wanted, want.credit, cx);
    }

    fn serve(&mut self, source: &Source, ids: &[NodeId], granted: u32, cx: &mut Ctx<'_>) {
        let mut credit = self.open_credit(source.sender, granted, cx);
        self.send_items(source, ids, &mut credit, cx);
        self.close_credit(source.sender, &credit);
    }

    /// Sends what we hold of these members, as far as the credit goes. The verdict goes before the record: who
    /// learns both must not take the subject for alive in between.
    fn send_items(&mut self, source: &Source, ids: &[NodeId], credit: &mut Credit, cx: &mut Ctx<'_>) {
        let mut left = ids;
        while !left.is_empty() {
            let envelope = self.me.envelope(source.sender);
            let mut letter = cx.out.letter(source.from, envelope, cx.config.mtu);
            letter.push(&Message::Delta { table: MEMBERS });
            let empty = letter.len();
            let mut taken = 0;
            for id in left {
                let Some(entry) = self.table.get(*id).filter(|entry| !entry.flags.faded) else {
                    taken += 1;
                    continue;
                };
                let record = entry.record().map_or(0, |record| record.bytes().len() + wire::MESSAGE_BYTES);
                let len = record + if entry.is_live() { 0 } else { wire::VERDICT_BYTES };
                if len > letter.room() || !credit.spend(len) {
                    break;
                }
                push_item(&mut letter, entry, &self.suspicions, cx.now);
                cx.stats.reconciled_sent += 1;
                taken += 1;
            }
            if letter.len() == empty {
                return;
            }
            letter.send();
            left = &left[taken..];
        }
    }
}

fn push_item(
    letter: &mut crate::outbox::Letter<'_>,
    entry: &Entry,
    suspicions: &BTreeMap<NodeId, super::Suspicion>,
    now: Time,
) {
    if !entry.is_live()
        && let Some(verdict) = update_of(entry, suspicions, now)
    {
        letter.push(&verdict);
    }
    if let Some(record) = entry.record() {
        letter.push(&Message::Alive(record));
    }
}
