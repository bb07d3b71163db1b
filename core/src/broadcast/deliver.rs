//! Taking a message, delivering it in order, and giving up on what nobody can serve (rules C1 and C4).

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::cache::Cached;
use super::seen::{GivenUp, Offer, Seen};
use super::{Broadcast, Epoch, Timer, first};
use crate::action::Notice;
use crate::config::{History, Order, PersistSeen};
use crate::context::Ctx;
use crate::error::Misbehavior;
use crate::id::{Incarnation, MessageId, NodeId};
use crate::membership::Peers;
use crate::reconcile::{MEMBERS, Partner};
use crate::wire::{EAGER, Fragment, Item, PUSHED, Want};

/// Messages that wait for the record of their origin; the oldest gives way.
const STRANGERS_MAX: usize = 64;

/// The origin that shapes the tree is another one's after so many `quiet_after` of silence.
const SHAPER_WINDOW: u32 = 8;

/// A message that came before the record of its origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stranger {
    from: Partner,
    pub(super) id: MessageId,
    hops: u8,
    flags: u8,
    item: Box<[u8]>,
}

/// What became of a message that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    New,
    Known,
    Refused,
}

/// The base of an epoch that is first heard of by `seq` (rule C4). Of the history that is cached somewhere, nobody knows
/// yet where it begins.
const fn base(seq: u64, history: History) -> u64 {
    match history {
        History::None => seq - 1,
        History::Cached => 0,
    }
}

impl Broadcast {
    /// An own message, new.
    pub(super) fn take_own(&mut self, id: MessageId, item: Item<'_>, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        if let Some(epoch) = self.open(id.origin, id.epoch, id.seq, cx) {
            epoch.seen.take(id.seq, cx.now, cx.now);
        }
        self.keep(id, item, 0, peers, cx);
        self.bound(cx);
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one message, and where it came from")]
    pub(super) fn on_publish(
        &mut self,
        from: Partner,
        id: MessageId,
        hops: u8,
        flags: u8,
        item: Item<'_>,
        peers: Peers<'_>,
        cx: &mut Ctx<'_>,
    ) {
        cx.stats.broadcasts_received += 1;
        if self.is_own(id) && flags & EAGER != 0 {
            cx.stats.broadcasts_duplicate += 1;
            return self.on_own_back(id, from.id, hops, peers, cx);
        }
        match self.take(from, id, hops, flags, item, peers, cx) {
            Taken::New => {
                self.neighbours.hear(id.origin, cx.config.broadcast.quiet_after * SHAPER_WINDOW, cx.now);
                if flags & PUSHED != 0 {
                    self.outgoing.ack(from.id, id, cx.now);
                }
                if flags & EAGER != 0
                    && !self.neighbours.make_eager(from.id, first::neighbours_max(cx.config))
                {
                    self.outgoing.prune(from.id, cx.now);
                }
                self.relay(id, from.id, flags, peers, cx);
                self.after_serving(id, from.id, cx);
                self.bound(cx);
            }
            Taken::Known => self.on_duplicate(from.id, id, flags, cx),
            Taken::Refused => {}
        }
    }

    /// A message that we have: the edge it came over is one too many for a tree.
    fn on_duplicate(&mut self, from: NodeId, id: MessageId, flags: u8, cx: &mut Ctx<'_>) {
        cx.stats.broadcasts_duplicate += 1;
        self.outgoing.forget_have(from, id);
        if flags & EAGER != 0 && self.neighbours.is_shaped_by(id.origin) {
            self.neighbours.make_lazy(from, first::neighbours_max(cx.config));
            self.outgoing.prune(from, cx.now);
        }
        if let Some(cached) = self.cache.get_mut(id) {
            cached.held_by(from);
        }
    }

    pub(super) fn on_part(
        &mut self,
        from: Partner,
        hops: u8,
        flags: u8,
        part: &Fragment<'_>,
        peers: Peers<'_>,
        cx: &mut Ctx<'_>,
    ) {
        let id = MessageId { origin: part.item.owner, epoch: part.item.epoch, seq: part.item.seq };
        if self.is_own(id) && flags & EAGER != 0 {
            return self.on_own_back(id, from.id, hops, peers, cx);
        }
        if self.is_current(id.origin, id.epoch, id.seq, cx) || self.has(id) {
            return self.on_duplicate(from.id, id, flags, cx);
        }
        if let Some(whole) = self.reassembly.add(part) {
            return match Item::read(&whole) {
                Ok(item) => self.on_publish(from, id, hops, flags, item, peers, cx),
                Err(error) => cx.stats.count_undecodable(error),
            };
        }
        // The rest is on its way; if it does not come, it is asked for.
        let due = cx.now + cx.config.broadcast.request_delay;
        if !peers.is_origin(id.origin) {
            return;
        }
        let offer = Offer { from: from.id, round: 0, graft: flags & EAGER != 0 };
        let Some(epoch) = self.open(id.origin, id.epoch, id.seq, cx) else { return };
        let news = epoch.seen.learn(id.seq, cx.now, due);
        for gap in epoch.seen.within(id.seq, id.seq) {
            gap.add(offer);
            gap.due = due;
        }
        if news {
            self.touch(id.origin, cx);
        }
        self.after_learning(id.origin, id.epoch, cx);
    }

    fn is_own(&self, id: MessageId) -> bool {
        id.origin == self.me && id.epoch == self.epoch
    }

    /// Whether a message has been seen, or will not be delivered.
    pub(super) fn has(&self, id: MessageId) -> bool {
        if self.is_own(id) {
            return true;
        }
        let Some(origin) = self.origins.get(&id.origin) else { return false };
        match origin.epochs.iter().find(|epoch| epoch.epoch == id.epoch) {
            Some(epoch) => epoch.seen.has(id.seq),
            None => origin.epochs.len() == 2 && id.epoch < origin.epochs[0].epoch,
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one message, and where it came from")]
    fn take(
        &mut self,
        from: Partner,
        id: MessageId,
        hops: u8,
        flags: u8,
        item: Item<'_>,
        peers: Peers<'_>,
        cx: &mut Ctx<'_>,
    ) -> Taken {
        if id.epoch >= Incarnation::EPOCH_END {
            cx.stats.count_misbehavior(Misbehavior::Incarnation);
            return Taken::Refused;
        }
        if self.is_current(id.origin, id.epoch, id.seq, cx) || self.has(id) {
            return Taken::Known;
        }
        if item.payload().len() > cx.config.broadcast.payload_bytes_max as usize {
            cx.stats.count_misbehavior(Misbehavior::Oversized);
            return Taken::Refused;
        }
        if id.origin != self.me && !peers.is_origin(id.origin) {
            self.wait_for_record(from, id, hops, flags, item, peers, cx);
            return Taken::Refused;
        }
        if self.waits_for_disk(item.bytes().len(), cx) {
            return Taken::Refused;
        }
        let due = cx.now + cx.config.broadcast.request_delay;
        let Some(epoch) = self.open(id.origin, id.epoch, id.seq, cx) else {
            return Taken::Refused;
        };
        let before = epoch.seen.top() + 1;
        if !epoch.seen.take(id.seq, cx.now, due) {
            return Taken::Known;
        }
        if before < id.seq {
            // Who has this one is likely to have those before it.
            let offer = Offer { from: from.id, round: 0, graft: false };
            epoch.seen.within(before, id.seq - 1).iter_mut().for_each(|gap| gap.add(offer));
        }
        self.reassembly.remove(id.into());
        self.keep(id, item, hops, peers, cx);
        self.after_learning(id.origin, id.epoch, cx);
        Taken::New
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one message, and where it came from")]
    fn wait_for_record(
        &mut self,
        from: Partner,
        id: MessageId,
        hops: u8,
        flags: u8,
        item: Item<'_>,
        peers: Peers<'_>,
        cx: &mut Ctx<'_>,
    ) {
        if self.strangers.iter().any(|stranger| stranger.id == id) {
            return;
        }
        self.ask_record(id.origin, from, peers, cx);
        if self.strangers.len() == STRANGERS_MAX {
            self.strangers.pop_front();
        }
        self.strangers.push_back(Stranger { from, id, hops, flags, item: item.bytes().into() });
    }

    /// Asks for the record of an origin, once a call: an answer must not be longer than its question (rule F6).
    pub(super) fn ask_record(&mut self, id: NodeId, of: Partner, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        if self.record_asked.replace(cx.now) != Some(cx.now) {
            // The request goes to the address in the teller's record, wherever the datagram came from.
            let Some(addr) = peers.receiver(of.id) else { return };
            let (bytes, credit) = (id.0.to_le_bytes(), cx.config.membership.reconcile_credit);
            let mut letter = cx.letter(addr, of.id);
            letter.push(&Want::of(MEMBERS, credit, &bytes).into());
            letter.send_alone();
        }
    }

    /// The record of an origin has come: what waited for it is taken.
    pub(crate) fn on_member_known(&mut self, id: NodeId, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        if !self.strangers.iter().any(|stranger| stranger.id.origin == id) || !peers.is_origin(id) {
            return;
        }
        let strangers = core::mem::take(&mut self.strangers);
        let (known, waiting): (VecDeque<_>, _) =
            strangers.into_iter().partition(|stranger| stranger.id.origin == id);
        self.strangers = waiting;
        for Stranger { from, id, hops, flags, item } in known {
            let item = Item::read(&item).expect("an item was read when it came");
            self.on_publish(from, id, hops, flags, item, peers, cx);
        }
    }

    /// The state of an epoch, which begins if this `seq` is the first news of it; `None` if it is over (rule C1).
    pub(super) fn open(
        &mut self,
        origin: NodeId,
        epoch: u64,
        seq: u64,
        cx: &mut Ctx<'_>,
    ) -> Option<&mut Epoch> {
        let ended = self.is_ended(origin, epoch, cx);
        let epochs = &self.origins.entry(origin).or_default().epochs;
        if ended || (epochs.len() == 2 && epoch < epochs[0].epoch) {
            cx.stats.ignored_stale += 1;
            return None;
        }
        if !epochs.iter().any(|known| known.epoch == epoch) {
            self.begin_epoch(origin, epoch, base(seq, cx.config.broadcast.history), cx);
        }
        self.origins.get_mut(&origin)?.epochs.iter_mut().find(|known| known.epoch == epoch)
    }

    /// Takes note of the mark of an epoch that order has ended, if it has: what is new in it is lost at once.
    pub(super) fn note_ended(&mut self, origin: NodeId, epoch: u64, top: u64, cx: &mut Ctx<'_>) -> bool {
        if !self.is_ended(origin, epoch, cx) {
            return false;
        }
        let (now, Some(known)) = (cx.now, self.origins.get_mut(&origin)) else { return true };
        match known.epochs.iter_mut().find(|older| older.epoch == epoch) {
            Some(older) => _ = older.seen.learn(top, now, now),
            None => {
                known.epochs.insert(0, Epoch { epoch, seen: Seen::over(top), delivered: top });
                known.epochs.sort_unstable_by_key(|older| older.epoch);
                if known.epochs.len() > 2 {
                    known.epochs.remove(0);
                }
            }
        }
        self.give_up(origin, epoch, |_| true, cx);
        true
    }

    /// Whether a later epoch has ended this one, as it does where order counts.
    fn is_ended(&self, origin: NodeId, epoch: u64, cx: &Ctx<'_>) -> bool {
        let latest = self.origins.get(&origin).and_then(|known| known.epochs.last());
        cx.config.broadcast.order == Order::Origin && latest.is_some_and(|latest| epoch < latest.epoch)
    }

    fn begin_epoch(&mut self, origin: NodeId, epoch: u64, base: u64, cx: &mut Ctx<'_>) {
        let ordered = cx.config.broadcast.order == Order::Origin;
        let Some(known) = self.origins.get_mut(&origin) else { return };
        let place = known.epochs.iter().filter(|older| older.epoch < epoch).count();
        known.epochs.insert(place, Epoch { epoch, seen: Seen::new(base), delivered: base });
        // In order, a later epoch ends the earlier ones; else the last two are open.
        let ended: Vec<u64> =
            known.epochs.iter().rev().skip(if ordered { 1 } else { 2 }).map(|older| older.epoch).collect();
        for ended in ended {
            self.give_up(origin, ended, |_| true, cx);
        }
        self.touch(origin, cx);
        if let Some(known) = self.origins.get_mut(&origin)
            && known.epochs.len() > 2
        {
            known.epochs.remove(0);
        }
    }

    /// A message that has been taken is kept, and delivered when its turn has come.
    fn keep(&mut self, id: MessageId, item: Item<'_>, hops: u8, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        let mut cached = Cached::new(item.bytes(), cx.now, self.rounds.number(), hops);
        cached.hidden = id.origin != self.me && !peers.is_visible(id.origin);
        self.cache.insert(id, cached);
        self.rounds.add(id);
        self.seen_set.change();
        self.touch(id.origin, cx);
        match cx.config.broadcast.order {
            Order::Arrival => self.hand_over(id, cx),
            Order::Origin => {
                self.cache.pin(id, true);
                self.release(id.origin, id.epoch, cx);
            }
        }
        self.schedule_persist(cx);
    }

    /// Delivers what is held back of an epoch, as far as nothing is missing before it.
    pub(super) fn release(&mut self, origin: NodeId, epoch: u64, cx: &mut Ctx<'_>) {
        if cx.config.broadcast.order == Order::Arrival {
            return;
        }
        let Some(known) = self.origins.get_mut(&origin) else { return };
        let Some(known) = known.epochs.iter_mut().find(|known| known.epoch == epoch) else { return };
        let upto = known.seen.contiguous();
        let from = known.delivered + 1;
        known.delivered = known.delivered.max(upto);
        if from > upto {
            return;
        }
        let mut ready: Vec<u64> = self.cache.within(origin, epoch, from, upto).collect();
        ready.reverse();
        for seq in ready {
            let id = MessageId { origin, epoch, seq };
            self.cache.pin(id, false);
            self.hand_over(id, cx);
        }
    }

    /// To the application, at once or when the seen set that holds it is durable (rule C2).
    fn hand_over(&mut self, id: MessageId, cx: &mut Ctx<'_>) {
        if cx.config.broadcast.persist_seen == PersistSeen::BeforeDelivery {
            self.cache.pin(id, true);
            self.seen_set.wait(id);
        } else {
            self.deliver(id, cx);
        }
    }

    pub(super) fn deliver(&mut self, id: MessageId, cx: &mut Ctx<'_>) {
        self.cache.pin(id, false);
        self.cache.deliver(id);
        let Some(cached) = self.cache.get(id) else { return };
        let item = cached.item();
        if !cached.hidden {
            cx.stats.broadcasts_delivered += 1;
            cx.out.deliver(id, item.topic(), item.payload(), cached.hops);
        }
        if item.wants_receipt() && id.origin != self.me {
            self.owe_receipt(id.origin, cx);
        }
    }

    /// What follows from new gaps: they are bounded, and asked for when they are due.
    pub(super) fn after_learning(&mut self, origin: NodeId, epoch: u64, cx: &mut Ctx<'_>) {
        let mut given_up = Vec::new();
        let Some(known) = self.origins.get_mut(&origin) else { return };
        let Some(known) = known.epochs.iter_mut().find(|known| known.epoch == epoch) else { return };
        known.seen.bound(&mut given_up);
        let due = known.seen.gaps().iter().map(|gap| gap.due).min();
        if let Some(due) = due {
            self.gappy.insert(origin);
            self.arm_request(due, cx);
        }
        self.tell_lost(origin, epoch, &given_up, cx);
    }

    /// Gives up what is before our time, and the gaps for which that is said.
    pub(super) fn give_up(
        &mut self,
        origin: NodeId,
        epoch: u64,
        hopeless: impl FnMut(&super::seen::Gap) -> bool,
        cx: &mut Ctx<'_>,
    ) {
        let (mut given_up, needed) = (Vec::new(), self.refusals_needed(cx));
        let Some(known) = self.origins.get_mut(&origin) else { return };
        let Some(known) = known.epochs.iter_mut().find(|known| known.epoch == epoch) else { return };
        known.seen.give_up(needed, hopeless, &mut given_up);
        self.tell_lost(origin, epoch, &given_up, cx);
    }

    /// Says what is lost, then delivers what had waited for it (rule C1).
    fn tell_lost(&mut self, origin: NodeId, epoch: u64, given_up: &[GivenUp], cx: &mut Ctx<'_>) {
        if given_up.is_empty() {
            return;
        }
        for GivenUp { first, last, told } in given_up.iter().copied() {
            if told {
                cx.stats.broadcasts_lost += last - first + 1;
                cx.out.notify(Notice::Lost { origin, epoch, first, last });
            }
        }
        self.seen_set.change();
        self.release(origin, epoch, cx);
        self.schedule_persist(cx);
    }

    /// Keeps the cache within its bytes. What is held back may take a quarter of them; beyond that the gaps it waits for
    /// are given up, of the origin that holds most first.
    pub(super) fn bound(&mut self, cx: &mut Ctx<'_>) {
        let max = cx.config.broadcast.cache_bytes_max as usize;
        while self.cache.pinned_bytes() > max / 4 {
            let Some((origin, epoch, first)) = self.gap_to_give_up() else { break };
            self.give_up(origin, epoch, |gap| gap.first == first, cx);
        }
        self.cache.shrink(max, |_, cached| cached.pending);
    }

    /// The first gap of the origin whose messages take most of the cache, of those that have gaps.
    fn gap_to_give_up(&self) -> Option<(NodeId, u64, u64)> {
        self.cache.by_bytes().find_map(|origin| {
            let epochs = &self.origins.get(&origin)?.epochs;
            epochs.iter().find_map(|epoch| Some((origin, epoch.epoch, epoch.seen.gaps().first()?.first)))
        })
    }

    /// Whether so much waits for the disk that no more is taken: it stays missing, and is asked for again.
    fn waits_for_disk(&self, len: usize, cx: &Ctx<'_>) -> bool {
        let (pinned, most) = (self.cache.pinned_bytes(), cx.config.broadcast.cache_bytes_max as usize / 4);
        cx.config.broadcast.persist_seen == PersistSeen::BeforeDelivery && pinned > 0 && pinned + len > most
    }

    fn schedule_persist(&mut self, cx: &mut Ctx<'_>) {
        match cx.config.broadcast.persist_seen {
            PersistSeen::Never => {}
            PersistSeen::Every(interval) => self.arm_by(Timer::Persist, cx.now + interval, cx),
            PersistSeen::BeforeDelivery => self.persist(cx),
        }
    }
}
