//! The command that submits a broadcast, and the limit on the bytes that wait.

use super::Broadcast;
use super::log::cache::ENTRY_BYTES;
use super::read::Pending;
use crate::command::{self, Answer};
use crate::context::Ctx;
use crate::error::{Field, Rejected};
use crate::limits::{REPORTS_MAX, TOPIC_BYTES_MAX};
use crate::membership::Peers;
use crate::wire::{REPORT, encode_item};

/// The prefix of the topics that are reserved for the library.
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
        let id = self.log.next_id();
        if let Some(within) = message.report {
            let (_, _, reports, tools) = &mut self.parts(peers, cx);
            reports.open(id, within, tools);
        }
        cx.stats.broadcasts_submitted += 1;
        self.take_own(id, &bytes, peers, cx);
        let first = message.first.unwrap_or(cx.config.broadcast.first);
        let (spread, repair, _, tools) = &mut self.parts(peers, cx);
        spread.start(id, first, tools);
        repair.arm_round(tools);
        tools.log.cache.hold_pending(id);
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
        let Pending { messages, bytes } = self.log.cache.pending();
        let (pending, max) = (bytes + len, cx.config.broadcast.pending_bytes_max as usize);
        // Many small messages count for more than their bytes against the cache, and messages that wait for the disk or
        // for their order cannot be dropped either.
        let cost = pending + (messages + 1) * ENTRY_BYTES + self.log.cache.pinned_bytes();
        let half = cx.config.broadcast.cache_bytes_max as usize / 2;
        if pending > max || cost > half || !self.spread.queue.has_room(peers.others()) {
            return Err(Rejected::Busy { pending, max });
        }
        Ok(())
    }
}

const fn at_most(what: Field, len: usize, max: usize) -> Result<(), Rejected> {
    if len > max { Err(Rejected::Oversized { what, len, max }) } else { Ok(()) }
}
