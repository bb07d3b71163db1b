//! The application's side: submitting a broadcast, and the bound on what waits.

use super::cache::ENTRY_BYTES;
use super::first::flags_of;
use super::outgoing::Publish;
use super::{Broadcast, Timer};
use crate::command::{self, Answer};
use crate::context::Ctx;
use crate::error::{Field, Rejected};
use crate::id::{MessageId, NodeId};
use crate::limits::{FRAGMENT_BYTES, REPORTS_MAX, TOPIC_BYTES_MAX};
use crate::membership::Peers;
use crate::time::Time;
use crate::wire::{Item, REPORT, encode_item};

/// Topics of the library's own.
const RESERVED: &str = "bruit.";

impl Broadcast {
    pub(crate) fn submit(
        &mut self,
        message: &command::Broadcast,
        peers: Peers<'_>,
        cx: &mut Ctx<'_>,
    ) -> Result<Answer, Rejected> {
        self.must_be_acceptable(message, peers, cx)?;
        let flags = if message.report.is_some() { REPORT } else { 0 };
        let bytes = encode_item(flags, &message.topic, &message.payload);
        self.must_have_room(bytes.len(), peers, cx)?;
        self.seq += 1;
        let id = MessageId { origin: self.me, epoch: self.epoch, seq: self.seq };
        if let Some(within) = message.report {
            self.open_report(id, within, peers, cx);
        }
        let item = Item::read(&bytes).expect("just written");
        cx.stats.broadcasts_submitted += 1;
        self.take_own(id, item, peers, cx);
        self.spread_first(id, message.first.unwrap_or(cx.config.broadcast.first), None, peers, cx);
        self.hold_pending(id);
        Ok(Answer::Sent(id))
    }

    fn must_be_acceptable(
        &self,
        message: &command::Broadcast,
        peers: Peers<'_>,
        cx: &Ctx<'_>,
    ) -> Result<(), Rejected> {
        peers.may_publish()?;
        if message.topic.starts_with(RESERVED) {
            return Err(Rejected::ReservedTopic);
        }
        at_most(Field::Topic, message.topic.len(), TOPIC_BYTES_MAX)?;
        at_most(Field::Payload, message.payload.len(), cx.config.broadcast.payload_bytes_max as usize)?;
        let len = self.reports.len() + 1;
        if message.report.is_some() && len > REPORTS_MAX {
            return Err(Rejected::TooMany { what: Field::Reports, len, max: REPORTS_MAX });
        }
        Ok(())
    }

    fn must_have_room(&self, len: usize, peers: Peers<'_>, cx: &Ctx<'_>) -> Result<(), Rejected> {
        let (pending, max) = (self.pending.bytes + len, cx.config.broadcast.pending_bytes_max as usize);
        // What counts against the cache is more than the bytes, of many small ones.
        // What waits for the disk or for order cannot be dropped either.
        let cost = pending + (self.pending.messages + 1) * ENTRY_BYTES + self.cache.pinned_bytes();
        let half = cx.config.broadcast.cache_bytes_max as usize / 2;
        if pending > max || cost > half || !self.outgoing.has_room(peers.others()) {
            return Err(Rejected::Busy { pending, max });
        }
        Ok(())
    }

    /// An own message counts as pending until all of its first phase has left the queue.
    fn hold_pending(&mut self, id: MessageId) {
        if let Some(cached) = self.cache.get_mut(id).filter(|cached| cached.queued > 0) {
            cached.pending = true;
            self.pending.messages += 1;
            self.pending.bytes += cached.len();
        }
    }

    /// Queues a transmission.
    pub(super) fn queue(&mut self, to: NodeId, id: MessageId, flags: u8, due: Time, cx: &mut Ctx<'_>) {
        let Some(cached) = self.cache.get(id) else { return };
        let len = cached.len();
        let count = u32::try_from(len.div_ceil(FRAGMENT_BYTES).max(1)).expect("an item has few fragments");
        let publish = Publish { id, flags, parts: u128::MAX >> (u128::BITS - count) };
        self.enqueue(to, publish, due, cx);
    }

    fn enqueue(&mut self, to: NodeId, publish: Publish, due: Time, cx: &mut Ctx<'_>) {
        let Some(cached) = self.cache.get_mut(publish.id) else { return };
        if !self.outgoing.has_room(1) {
            cx.stats.broadcasts_unqueued += 1;
            return;
        }
        if self.outgoing.publish(to, publish, due) {
            cached.queued += 1;
        }
    }

    /// Queues some pieces of a long one.
    pub(super) fn queue_parts(&mut self, to: NodeId, id: MessageId, parts: u128, cx: &mut Ctx<'_>) {
        self.enqueue(to, Publish { id, flags: 0, parts }, cx.now, cx);
    }

    /// A transmission has left the queue, sent or not.
    pub(super) fn unqueue(&mut self, id: MessageId) {
        let Some(cached) = self.cache.get_mut(id) else { return };
        cached.queued = cached.queued.saturating_sub(1);
        if cached.queued == 0 && core::mem::take(&mut cached.pending) {
            self.pending.messages -= 1;
            self.pending.bytes -= cached.len();
        }
    }

    /// How a received message is passed on: as it came.
    pub(super) fn relay(
        &mut self,
        id: MessageId,
        from: NodeId,
        flags: u8,
        peers: Peers<'_>,
        cx: &mut Ctx<'_>,
    ) {
        if let Some(first) = flags_of(flags, cx.config.broadcast.first) {
            self.spread_first(id, first, Some(from), peers, cx);
        }
        self.arm_repair(cx);
    }

    /// Makes the request timer due by the soonest gap.
    pub(super) fn arm_request(&mut self, at: Time, cx: &Ctx<'_>) {
        self.arm_by(Timer::Request, at, cx);
    }
}

const fn at_most(what: Field, len: usize, max: usize) -> Result<(), Rejected> {
    if len > max { Err(Rejected::Oversized { what, len, max }) } else { Ok(()) }
}
