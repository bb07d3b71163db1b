//! Taking messages that were received, and handing messages to the application: in order, and once they are durable
//! (rules C1 and C2).

use super::log::cache::Cached;
use super::log::seen::Offer;
use super::log::{Event, Taken};
use super::{Broadcast, Received, Timer};
use crate::action::Notice;
use crate::config::PersistSeen;
use crate::context::{Ctx, Signal};
use crate::error::Misbehavior;
use crate::id::{Incarnation, MessageId, NodeId, Slot};
use crate::membership::Peers;
use crate::reconcile::Partner;
use crate::wire::{EAGER, Item, Part, Run};

impl Broadcast {
    /// Handles a whole message that was received.
    pub(super) fn on_received(&mut self, received: &Received<'_>, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        cx.stats.broadcasts_received += 1;
        let Received { from, id, hops, flags, .. } = *received;
        if self.log.is_own(id) && flags & EAGER != 0 {
            cx.stats.broadcasts_duplicate += 1;
            let (spread, _, _, tools) = &mut self.parts(peers, cx);
            return spread.on_own_back(id, from.id, hops, tools);
        }
        match self.take(received, peers, cx) {
            Taken::New => {
                let (spread, repair, _, tools) = &mut self.parts(peers, cx);
                spread.on_new(received, tools);
                repair.arm_round(tools);
                repair.after_serving(id, from.id, tools);
                self.bound(peers, cx);
            }
            Taken::Known => {
                cx.stats.broadcasts_duplicate += 1;
                self.spread.on_duplicate(id, from.id, flags, cx);
            }
            Taken::Refused => {}
        }
    }

    /// Handles a piece of a message that was received.
    pub(super) fn on_part(&mut self, from: Partner, message: &Part<'_>, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        let Part { hops, flags, part } = *message;
        let id = MessageId { origin: part.item.owner, epoch: part.item.epoch, seq: part.item.seq };
        if self.log.is_own(id) && flags & EAGER != 0 {
            let (spread, _, _, tools) = &mut self.parts(peers, cx);
            return spread.on_own_back(id, from.id, hops, tools);
        }
        if self.log.is_known(id) {
            cx.stats.broadcasts_duplicate += 1;
            return self.spread.on_duplicate(id, from.id, flags, cx);
        }
        if let Some(whole) = self.log.reassembly.add(&part) {
            return match Item::read(&whole) {
                Ok(item) => self.on_received(&Received { from, id, hops, flags, item }, peers, cx),
                Err(error) => cx.stats.count_undecodable(error),
            };
        }
        if peers.is_origin(id.origin) {
            // The other pieces may be on their way; they are requested if they do not arrive in time.
            let offer = Offer { from: from.id, round: 0, graft: flags & EAGER != 0 };
            let (_, repair, _, tools) = &mut self.parts(peers, cx);
            repair.expect(id, offer, tools);
        }
    }

    fn take(&mut self, received: &Received<'_>, peers: Peers<'_>, cx: &mut Ctx<'_>) -> Taken {
        let Received { from, id, hops, item, .. } = *received;
        if id.epoch >= Incarnation::EPOCH_END {
            cx.stats.count_misbehavior(Misbehavior::Incarnation);
            return Taken::Refused;
        }
        if self.log.is_known(id) {
            return Taken::Known;
        }
        if item.payload().len() > cx.config.broadcast.payload_bytes_max as usize {
            cx.stats.count_misbehavior(Misbehavior::Oversized);
            return Taken::Refused;
        }
        if id.origin != self.log.me() && !peers.is_origin(id.origin) {
            self.unattributed.add(received, peers, cx);
            return Taken::Refused;
        }
        if self.waits_for_disk(item.bytes().len(), cx) {
            return Taken::Refused;
        }
        let mut cached = Cached::new(item.bytes(), cx.now, self.repair.round(), hops);
        cached.hidden = id.origin != self.log.me() && !peers.is_visible(id.origin);
        let taken = self.log.take(id, cached, from.id, cx);
        if taken == Taken::New {
            self.after_taking(id, peers, cx);
            let (_, repair, _, tools) = &mut self.parts(peers, cx);
            repair.after_learning(id.origin, id.epoch, tools);
        }
        self.settle(peers, cx);
        taken
    }

    /// Takes a new message of this node.
    pub(super) fn take_own(&mut self, id: MessageId, item: &[u8], peers: Peers<'_>, cx: &mut Ctx<'_>) {
        let cached = Cached::new(item, cx.now, self.repair.round(), 0);
        self.log.take_own(id, cached, cx);
        self.after_taking(id, peers, cx);
        self.bound(peers, cx);
    }

    fn after_taking(&mut self, id: MessageId, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        let (_, repair, _, tools) = &mut self.parts(peers, cx);
        repair.add(id);
        repair.touch(id.origin, tools);
        self.settle(peers, cx);
    }

    /// Takes the messages that have waited for the record of their origin, which was received in this call.
    pub(crate) fn on_member_known(&mut self, id: NodeId, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        if !self.unattributed.has(id) || !peers.is_origin(id) {
            return;
        }
        for waiting in self.unattributed.take(id) {
            self.on_received(&waiting.received(), peers, cx);
        }
        self.settle(peers, cx);
    }

    /// Carries out the events of the log, in the order in which they arose.
    pub(super) fn settle(&mut self, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        while let Some(event) = self.log.pop_event() {
            match event {
                Event::Opened(origin) => {
                    let (_, repair, _, tools) = &mut self.parts(peers, cx);
                    repair.touch(origin, tools);
                }
                Event::Stale => cx.stats.ignored_stale += 1,
                Event::EpochUsed(epoch) => cx.signals.push(Signal::EpochUsed(epoch)),
                Event::Lost(Run { origin, epoch, first, last }) => {
                    cx.stats.broadcasts_lost += last - first + 1;
                    cx.out.notify(Notice::Lost { origin, epoch, first, last });
                }
                Event::Ready(id) => self.deliver(id, peers, cx),
                Event::Store { serial, bytes } => cx.out.store(Slot::SeenSet, serial, &bytes),
            }
        }
        if let PersistSeen::Every(interval) = cx.config.broadcast.persist_seen
            && !self.log.disk.is_clean()
        {
            self.deadlines.arm_by(Timer::Persist, cx.now + interval, cx.now);
        }
    }

    fn deliver(&mut self, id: MessageId, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        self.log.cache.pin(id, false);
        self.log.cache.deliver(id);
        let Some(cached) = self.log.cache.get(id) else { return };
        let item = cached.item();
        if !cached.hidden {
            cx.stats.broadcasts_delivered += 1;
            cx.out.deliver(id, item.topic(), item.payload(), cached.hops);
        }
        if item.wants_receipt() && id.origin != self.log.me() {
            let (_, _, reports, tools) = &mut self.parts(peers, cx);
            reports.owe_receipt(id.origin, tools);
        }
    }

    /// Keeps the cache within its limit of bytes. Messages that are held back may take a quarter of the limit; beyond
    /// that the gaps for which they wait are given up, beginning with the origin that holds the most bytes.
    pub(super) fn bound(&mut self, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        let max = cx.config.broadcast.cache_bytes_max as usize;
        while self.log.cache.pinned_bytes() > max / 4 {
            let Some(Run { origin, epoch, first, .. }) = self.log.costliest_gap() else { break };
            self.log.give_up(origin, epoch, |gap| gap.first == first, cx);
            self.settle(peers, cx);
        }
        self.log.cache.shrink(max);
    }

    /// Whether so many bytes wait for the disk that a message of `len` bytes is not taken. The message stays missing,
    /// and is requested again.
    fn waits_for_disk(&self, len: usize, cx: &Ctx<'_>) -> bool {
        let (pinned, most) =
            (self.log.cache.pinned_bytes(), cx.config.broadcast.cache_bytes_max as usize / 4);
        cx.config.broadcast.persist_seen == PersistSeen::BeforeDelivery && pinned > 0 && pinned + len > most
    }

    /// Delivers the messages that have waited until the seen set with this serial was durable.
    pub(crate) fn on_stored(&mut self, serial: u64, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        self.log.on_stored(serial, cx);
        self.settle(peers, cx);
        self.bound(peers, cx);
    }
}
