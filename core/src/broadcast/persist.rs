//! The seen set on disk (rule C2): across restarts nothing is delivered again that the last set contains.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::seen::Seen;
use super::{Broadcast, Epoch};
use crate::boot::Boot;
use crate::config::PersistSeen;
use crate::context::Ctx;
use crate::error::ConfigError;
use crate::id::Slot;
use crate::id::{MessageId, NodeId};
use crate::limits::GAPS_MAX;
use crate::time::Time;
use crate::wire::{Put as _, Reader};

const VERSION: u8 = 1;

/// How the set in memory stands to the one on disk.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct SeenSet {
    serial: u64,
    /// Not confirmed yet.
    under_way: Option<u64>,
    changed: bool,
    /// Messages that are delivered once the set that contains them is durable, with its serial.
    waiting: VecDeque<(u64, MessageId)>,
}

impl SeenSet {
    pub(super) const fn change(&mut self) {
        self.changed = true;
    }

    pub(super) const fn is_clean(&self) -> bool {
        !self.changed
    }

    /// The message is in the next set that is written.
    pub(super) fn wait(&mut self, id: MessageId) {
        self.changed = true;
        self.waiting.push_back((self.serial + 1, id));
    }

    fn pop_stored(&mut self, serial: u64) -> Option<MessageId> {
        let (needed, id) = *self.waiting.front()?;
        if needed > serial {
            return None;
        }
        self.waiting.pop_front();
        Some(id)
    }
}

impl Broadcast {
    /// Writes the set down, unless a writing is under way: then after it.
    pub(super) fn persist(&mut self, cx: &mut Ctx<'_>) {
        let wanted = cx.config.broadcast.persist_seen != PersistSeen::Never;
        if !wanted || self.seen_set.under_way.is_some() || !core::mem::take(&mut self.seen_set.changed) {
            return;
        }
        self.seen_set.serial += 1;
        // At an interval nothing waits for the disk, and a set that was lost is followed by the next one.
        if cx.config.broadcast.persist_seen == PersistSeen::BeforeDelivery {
            self.seen_set.under_way = Some(self.seen_set.serial);
        }
        let bytes = self.encode_seen();
        cx.out.store(Slot::SeenSet, self.seen_set.serial, &bytes);
    }

    /// A set is durable: what is in it is delivered.
    pub(crate) fn on_stored(&mut self, serial: u64, cx: &mut Ctx<'_>) {
        if self.seen_set.under_way.is_some_and(|under_way| under_way <= serial) {
            self.seen_set.under_way = None;
        }
        while let Some(id) = self.seen_set.pop_stored(serial) {
            self.deliver(id, cx);
        }
        self.persist(cx);
        self.bound(cx);
    }

    fn encode_seen(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.put_u8(VERSION);
        for (origin, known) in &self.origins {
            for epoch in known.epochs.iter().filter(|epoch| epoch.seen.top() > 0) {
                bytes.put_id(*origin);
                bytes.put_u64(epoch.epoch);
                bytes.put_u64(epoch.seen.top());
                bytes.put_u8(u8::try_from(epoch.seen.gaps().len()).expect("gaps are bounded"));
                for gap in epoch.seen.gaps() {
                    bytes.put_u64(gap.first);
                    bytes.put_u64(gap.last);
                }
            }
        }
        bytes
    }

    /// Takes the set that an earlier boot has written.
    pub(super) fn restore(&mut self, boot: &Boot, now: Time) -> Result<(), ConfigError> {
        let stored = boot.restored.iter().find(|(slot, _)| *slot == Slot::SeenSet);
        let Some((slot, bytes)) = stored else { return Ok(()) };
        self.decode_seen(bytes, now).ok_or(ConfigError::Restored { slot: *slot })
    }

    fn decode_seen(&mut self, bytes: &[u8], now: Time) -> Option<()> {
        let mut reader = Reader::new(bytes);
        if reader.u8().ok()? != VERSION {
            return None;
        }
        while reader.remaining() > 0 {
            let (origin, epoch, top) = (reader.id().ok()?, reader.u64().ok()?, reader.u64().ok()?);
            let count = usize::from(reader.u8().ok()?);
            let (mut gaps, mut after) = (Vec::new(), 1);
            for _ in 0..count {
                let (first, last) = (reader.u64().ok()?, reader.u64().ok()?);
                if first < after || last < first || last > top {
                    return None;
                }
                after = last + 1;
                gaps.push((first, last));
            }
            let known = &mut self.origins.entry(origin).or_default().epochs;
            let ascending = known.last().is_none_or(|older| older.epoch < epoch);
            if origin == NodeId::NOBODY || top == 0 || count > GAPS_MAX || known.len() == 2 || !ascending {
                return None;
            }
            let seen = Seen::restore(top, &gaps, now);
            let delivered = seen.contiguous();
            known.push(Epoch { epoch, seen, delivered });
            if count > 0 {
                self.gappy.insert(origin);
            }
            self.hash(origin);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Action, Broadcast as Message, Command, Config, Event, Node};
    use core::time::Duration;

    const NOBODY: Command = Command::Join { seeds: Vec::new() };

    fn node(persist_seen: PersistSeen, restored: Vec<(Slot, Vec<u8>)>) -> Node {
        let addr = "127.0.0.1:7000".parse().expect("an address");
        let boot = Boot { restored, ..Boot::new(NodeId(1), "one", addr, 7, [7; 32]) };
        let mut config = Config::local("test");
        config.broadcast.persist_seen = persist_seen;
        Node::new(boot, config, Time::ZERO).expect("valid")
    }

    fn stored(node: &mut Node, command: Command) -> Option<Vec<u8>> {
        let now = node.now();
        let actions = node.handle(Event::Command(command), now);
        actions.into_iter().find_map(|action| match action {
            Action::Store { slot: Slot::SeenSet, bytes, .. } => Some(bytes.into_owned()),
            Action::Store { .. }
            | Action::Send { .. }
            | Action::Answer(_)
            | Action::Notify(_)
            | Action::WakeAt(_) => None,
        })
    }

    #[test]
    fn a_leave_does_not_wait_for_the_interval() {
        let mut node = node(PersistSeen::Every(Duration::from_secs(3_600)), Vec::new());
        assert_eq!(stored(&mut node, NOBODY), None);
        assert_eq!(stored(&mut node, Command::Broadcast(Message::new("t", b"x"))), None);
        let bytes = stored(&mut node, Command::Leave { within: Duration::ZERO }).expect("it is written");
        let again = self::node(PersistSeen::Never, vec![(Slot::SeenSet, bytes)]);
        assert_eq!(again.marks().map(|mark| (mark.epoch, mark.contiguous)).collect::<Vec<_>>(), [(7, 1)]);
    }

    #[test]
    fn what_was_never_written_is_not_written_by_a_leave() {
        let mut node = node(PersistSeen::Never, Vec::new());
        assert_eq!(stored(&mut node, NOBODY), None);
        assert_eq!(stored(&mut node, Command::Broadcast(Message::new("t", b"x"))), None);
        assert_eq!(stored(&mut node, Command::Leave { within: Duration::ZERO }), None);
    }
}
