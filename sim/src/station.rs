//! What the kernel keeps of a process, whatever the process is: status, clock, disk, inbox.

use core::time::Duration;
use std::collections::VecDeque;

use bruit_core::{NodeId, Slot, Time};

use crate::clock::Clock;
use crate::cluster::Status;
use crate::network::{AddressNumber, Slip};
use crate::spawn::Join;

/// The kernel's side of a process.
#[derive(Clone, Debug)]
pub(crate) struct Station {
    pub(crate) status: Status,
    /// The true time of the queue entry that will wake it.
    pub(crate) scheduled: Time,
    /// The wake-up, in true time, that the entry stands for; earlier than it if ticks are late.
    pub(crate) wanted: Time,
    pub(crate) clock: Clock,
    pub(crate) late_max: Duration,
    pub(crate) address: AddressNumber,
    /// Entries this process has put into the queue.
    pub(crate) pushed: u64,
    pub(crate) life: u32,
    pub(crate) started: Time,
    pub(crate) id: NodeId,
    pub(crate) name: String,
    pub(crate) zone: String,
    pub(crate) meta: Vec<u8>,
    pub(crate) join: Join,
    pub(crate) disk: Disk,
    pub(crate) inbox: Inbox,
}

impl Station {
    /// Forgets the wake-up that is in the queue.
    pub(crate) const fn unschedule(&mut self) {
        self.scheduled = Time::MAX;
        self.wanted = Time::MAX;
    }
}

/// The durable slots of a process, and what each held before its latest write.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    slots: Vec<(Slot, Vec<u8>, Option<Vec<u8>>)>,
}

impl Disk {
    pub(crate) fn write(&mut self, slot: Slot, bytes: Vec<u8>) {
        match self.slots.iter_mut().find(|(name, ..)| *name == slot) {
            Some((_, latest, earlier)) => *earlier = Some(core::mem::replace(latest, bytes)),
            None => self.slots.push((slot, bytes, None)),
        }
    }

    pub(crate) fn latest(&self) -> Vec<(Slot, Vec<u8>)> {
        self.slots.iter().map(|(slot, latest, _)| (*slot, latest.clone())).collect()
    }

    /// Each slot before its latest write; those written once are missing.
    pub(crate) fn stale(&self) -> Vec<(Slot, Vec<u8>)> {
        self.slots.iter().filter_map(|(slot, _, earlier)| Some((*slot, earlier.clone()?))).collect()
    }

    pub(crate) fn wipe(&mut self) {
        self.slots.clear();
    }
}

/// What arrives while a process stands still, bounded as a socket buffer is; what does not fit is lost.
#[derive(Clone, Debug)]
pub(crate) struct Inbox {
    datagrams: VecDeque<Slip>,
    bytes: usize,
    capacity: usize,
}

/// A receive buffer as Linux sets it by default.
pub(crate) const INBOX_BYTES: usize = 212_992;

impl Default for Inbox {
    fn default() -> Self {
        Self { datagrams: VecDeque::new(), bytes: 0, capacity: INBOX_BYTES }
    }
}

impl Inbox {
    pub(crate) const fn set_capacity(&mut self, bytes: usize) {
        self.capacity = bytes;
    }

    /// Takes a datagram of `len` bytes; false if it does not fit.
    pub(crate) fn push(&mut self, slip: Slip, len: usize) -> bool {
        if self.bytes + len > self.capacity {
            return false;
        }
        self.bytes += len;
        self.datagrams.push_back(slip);
        true
    }

    pub(crate) fn drain(&mut self) -> Vec<Slip> {
        self.bytes = 0;
        self.datagrams.drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inbox_loses_its_tail() {
        let mut inbox = Inbox::default();
        inbox.set_capacity(100);
        assert!(inbox.push(Slip(0), 60));
        assert!(!inbox.push(Slip(1), 41));
        assert!(inbox.push(Slip(2), 40));
        assert_eq!(inbox.drain(), [Slip(0), Slip(2)]);
        assert!(inbox.push(Slip(3), 100));
    }

    #[test]
    fn a_stale_disk_is_one_write_behind() {
        let mut disk = Disk::default();
        disk.write(Slot::Epoch, vec![1]);
        assert!(disk.stale().is_empty());
        disk.write(Slot::Epoch, vec![2]);
        assert_eq!(disk.stale(), [(Slot::Epoch, vec![1])]);
        assert_eq!(disk.latest(), [(Slot::Epoch, vec![2])]);
    }
}
