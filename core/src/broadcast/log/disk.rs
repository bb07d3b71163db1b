//! The seen set on disk (rule C2): after a restart no message is delivered again that the last written set contains.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::seen::Seen;
use super::{Epoch, Log};
use crate::config::PersistSeen;
use crate::id::{Incarnation, MessageId, NodeId};
use crate::limits::GAPS_MAX;
use crate::time::Time;
use crate::wire::{Put as _, Reader};

const VERSION: u8 = 1;

/// The state of the seen set in memory, compared with the one on disk.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct SeenSet {
    /// The serial of the last set that was written.
    serial: u64,
    /// The serial of a set that is being written and not yet durable.
    under_way: Option<u64>,
    /// Whether the set in memory differs from the last one that was written.
    changed: bool,
    /// The messages that are delivered once the set that contains them is durable, each with the serial of that set.
    waiting: VecDeque<(u64, MessageId)>,
}

impl SeenSet {
    pub(crate) const fn change(&mut self) {
        self.changed = true;
    }

    pub(crate) const fn is_clean(&self) -> bool {
        !self.changed
    }

    /// Makes a message wait for the next set that is written, which will contain it.
    pub(crate) fn wait(&mut self, id: MessageId) {
        self.changed = true;
        self.waiting.push_back((self.serial + 1, id));
    }

    /// Returns the serial of the set that must be written now; `None` if nothing has changed, or if another write is
    /// under way, which the next one will follow.
    pub(crate) fn begin_write(&mut self, when: PersistSeen) -> Option<u64> {
        if when == PersistSeen::Never || self.under_way.is_some() || !core::mem::take(&mut self.changed) {
            return None;
        }
        self.serial += 1;
        // If the set is written at an interval, no delivery waits for the disk, and the next set replaces one that was
        // lost.
        if when == PersistSeen::BeforeDelivery {
            self.under_way = Some(self.serial);
        }
        Some(self.serial)
    }

    /// Notes that the set with this serial is durable.
    pub(crate) fn end_write(&mut self, serial: u64) {
        if self.under_way.is_some_and(|under_way| under_way <= serial) {
            self.under_way = None;
        }
    }

    /// Removes and returns the oldest message that waits for the set with this serial or an earlier one.
    pub(crate) fn pop_waiting(&mut self, serial: u64) -> Option<MessageId> {
        let (needed, id) = *self.waiting.front()?;
        if needed > serial {
            return None;
        }
        self.waiting.pop_front();
        Some(id)
    }
}

impl Log {
    /// Encodes the seen set.
    pub(crate) fn encode_seen(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.put_u8(VERSION);
        for (origin, epoch) in self.all().filter(|(_, epoch)| epoch.seen.top() > 0) {
            bytes.put_id(origin);
            bytes.put_u64(epoch.epoch);
            bytes.put_u64(epoch.seen.top());
            bytes.put_u8(u8::try_from(epoch.seen.gaps().len()).expect("gaps are bounded"));
            for gap in epoch.seen.gaps() {
                bytes.put_u64(gap.first);
                bytes.put_u64(gap.last);
            }
        }
        bytes
    }

    /// Restores the seen set that an earlier boot has written. Returns `None` if the bytes are damaged.
    pub(crate) fn decode_seen(&mut self, bytes: &[u8], now: Time) -> Option<()> {
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
            let sane = origin != NodeId::NOBODY && epoch < Incarnation::EPOCH_END && top > 0;
            if !sane || count > GAPS_MAX || known.len() == 2 || !ascending {
                return None;
            }
            let seen = Seen::restore(top, &gaps, now);
            let released = seen.contiguous();
            known.push(Epoch { epoch, seen, released });
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::Boot;
    use crate::id::Slot;
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
            | Action::Reseed
            | Action::WakeAt(_) => None,
        })
    }

    #[test]
    fn a_leave_does_not_wait_for_the_interval() {
        let mut node = node(PersistSeen::Every(Duration::from_secs(3_600)), Vec::new());
        let epoch = node.incarnation().epoch;
        assert_eq!(stored(&mut node, NOBODY), None);
        assert_eq!(stored(&mut node, Command::Broadcast(Message::new("t", b"x"))), None);
        let bytes = stored(&mut node, Command::Leave { within: Duration::ZERO }).expect("it is written");
        let again = self::node(PersistSeen::Never, vec![(Slot::SeenSet, bytes)]);
        assert_eq!(again.marks().map(|mark| (mark.epoch, mark.contiguous)).collect::<Vec<_>>(), [(epoch, 1)]);
    }

    #[test]
    fn a_leave_does_not_write_a_set_that_is_never_written() {
        let mut node = node(PersistSeen::Never, Vec::new());
        assert_eq!(stored(&mut node, NOBODY), None);
        assert_eq!(stored(&mut node, Command::Broadcast(Message::new("t", b"x"))), None);
        assert_eq!(stored(&mut node, Command::Leave { within: Duration::ZERO }), None);
    }
}
