//! The host of a process: everything that the kernel keeps for one process, whatever its type: status, clock, address,
//! disk and inbox.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use bruit_core::{NodeId, Slot, Time};

use super::clock::Clock;
use super::spawn::Join;
use super::wall::WallClock;
use crate::base::Random;
use crate::kernel::Answers;
use crate::network::{AddressNumber, DatagramId};

/// The status of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// The process runs.
    Running,
    /// The process is paused: it handles nothing until it is resumed, while its clock runs on and its inbox fills.
    Paused,
    /// The process has crashed; it may be restarted.
    Crashed,
}

/// The machine that a process runs on.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    pub(crate) status: Status,
    /// The true time of the queue entry that will wake the process.
    pub(crate) scheduled: Time,
    /// The true time at which the process wants to be woken. It is earlier than `scheduled` if ticks are late.
    pub(crate) wanted: Time,
    pub(crate) clock: Clock,
    pub(crate) late_max: Duration,
    pub(crate) address: AddressNumber,
    /// The number of entries that this process has added to the queue.
    pub(crate) pushed: u64,
    /// How often the process was started; 1 in its first boot.
    pub(crate) boots: u32,
    /// The true time of the latest start.
    pub(crate) started: Time,
    pub(crate) id: NodeId,
    pub(crate) name: String,
    pub(crate) zone: String,
    pub(crate) meta: Vec<u8>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) join: Join,
    pub(crate) disk: Disk,
    /// The writes that became durable while the process was paused. It learns of them when it is resumed.
    pub(crate) confirmed: Vec<(Slot, u64)>,
    pub(crate) inbox: Inbox,
    /// The randomness of the operating system, for new seeds while the process runs.
    pub(crate) entropy: Random,
    pub(crate) wall: WallClock,
    /// The operator's answers to questions of admission, and the time until each; `None` if nobody answers.
    pub(crate) answers: Option<(Answers, Duration)>,
    pub(crate) saved: Option<Saved>,
}

/// A process and its disk, as a snapshot of a virtual machine contains them.
#[derive(Clone, Debug)]
pub(crate) struct Saved {
    pub(crate) process: Vec<u8>,
    pub(crate) disk: Disk,
    /// The writes that were under way.
    pub(crate) writes: Vec<(Slot, u64, Vec<u8>)>,
}

impl Host {
    /// Disregards the wake-up that is in the queue; the entry itself stays there and does nothing when it is due.
    pub(crate) const fn unschedule(&mut self) {
        self.scheduled = Time::MAX;
        self.wanted = Time::MAX;
    }
}

/// The disk of a process: for each slot the latest durable content, and the content before the latest write.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    slots: Vec<(Slot, Vec<u8>, Option<Vec<u8>>)>,
    fails: bool,
    /// The latest write of each slot that the disk has refused while it failed, with its serial.
    refused: Vec<(Slot, u64, Vec<u8>)>,
}

impl Disk {
    /// Whether the disk refuses all writes.
    pub(crate) const fn fails(&self) -> bool {
        self.fails
    }

    /// Lets the disk refuse all writes, or accept them again. Returns the writes that the driver now tries again.
    pub(crate) fn set_fails(&mut self, fails: bool) -> Vec<(Slot, u64, Vec<u8>)> {
        self.fails = fails;
        if fails { Vec::new() } else { core::mem::take(&mut self.refused) }
    }

    /// Keeps a write that the disk has refused. As in the drivers, a newer write of the same slot replaces it.
    pub(crate) fn refuse(&mut self, slot: Slot, serial: u64, bytes: Vec<u8>) {
        self.refused.retain(|(refused, ..)| *refused != slot);
        self.refused.push((slot, serial, bytes));
    }

    /// Forgets the writes that are to be tried again, because the process that asked for them has crashed.
    pub(crate) fn forget_refused(&mut self) {
        self.refused.clear();
    }

    pub(crate) fn write(&mut self, slot: Slot, bytes: Vec<u8>) {
        match self.slots.iter_mut().find(|(name, ..)| *name == slot) {
            Some((_, latest, earlier)) => *earlier = Some(core::mem::replace(latest, bytes)),
            None => self.slots.push((slot, bytes, None)),
        }
    }

    pub(crate) fn latest(&self) -> Vec<(Slot, Vec<u8>)> {
        self.slots.iter().map(|(slot, latest, _)| (*slot, latest.clone())).collect()
    }

    /// The content of each slot before its latest write. Slots that were written only once are missing.
    pub(crate) fn stale(&self) -> Vec<(Slot, Vec<u8>)> {
        self.slots.iter().filter_map(|(slot, _, earlier)| Some((*slot, earlier.clone()?))).collect()
    }

    pub(crate) fn wipe(&mut self) {
        self.slots.clear();
    }
}

/// The datagrams that arrive while a process is paused. Like a socket buffer it is bounded; what does not fit is lost.
#[derive(Clone, Debug)]
pub(crate) struct Inbox {
    datagrams: VecDeque<DatagramId>,
    bytes: usize,
    capacity: usize,
}

/// The default capacity of an inbox: that of a socket buffer on Linux.
pub(crate) const INBOX_BYTES: u32 = 212_992;

impl Default for Inbox {
    fn default() -> Self {
        Self { datagrams: VecDeque::new(), bytes: 0, capacity: INBOX_BYTES as usize }
    }
}

impl Inbox {
    pub(crate) const fn set_capacity(&mut self, bytes: usize) {
        self.capacity = bytes;
    }

    /// Adds a datagram of `len` bytes. Returns false if it does not fit.
    pub(crate) fn push(&mut self, datagram: DatagramId, len: usize) -> bool {
        if self.bytes + len > self.capacity {
            return false;
        }
        self.bytes += len;
        self.datagrams.push_back(datagram);
        true
    }

    pub(crate) fn drain(&mut self) -> Vec<DatagramId> {
        self.bytes = 0;
        self.datagrams.drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_inbox_loses_what_comes_last() {
        let mut inbox = Inbox::default();
        inbox.set_capacity(100);
        assert!(inbox.push(DatagramId(0), 60));
        assert!(!inbox.push(DatagramId(1), 41));
        assert!(inbox.push(DatagramId(2), 40));
        assert_eq!(inbox.drain(), [DatagramId(0), DatagramId(2)]);
        assert!(inbox.push(DatagramId(3), 100));
    }

    #[test]
    fn a_disk_that_works_again_returns_the_latest_refused_write_of_each_slot() {
        let mut disk = Disk::default();
        assert!(disk.set_fails(true).is_empty());
        disk.refuse(Slot::Epoch, 1, vec![1]);
        disk.refuse(Slot::SeenSet, 1, vec![7]);
        disk.refuse(Slot::Epoch, 2, vec![2]);
        assert_eq!(disk.set_fails(false), [(Slot::SeenSet, 1, vec![7]), (Slot::Epoch, 2, vec![2])]);
        assert!(disk.set_fails(false).is_empty());
    }

    #[test]
    fn a_stale_disk_holds_the_content_before_the_latest_write() {
        let mut disk = Disk::default();
        disk.write(Slot::Epoch, vec![1]);
        assert!(disk.stale().is_empty());
        disk.write(Slot::Epoch, vec![2]);
        assert_eq!(disk.stale(), [(Slot::Epoch, vec![1])]);
        assert_eq!(disk.latest(), [(Slot::Epoch, vec![2])]);
    }
}
