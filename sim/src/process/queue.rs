//! The event queue of a simulation, ordered by (time, tie, sequence). The ties are drawn from the seed.

use core::cmp::Ordering;
use std::collections::BinaryHeap;

use bruit_core::Time;

use crate::base::Index;
use crate::network::DatagramId;

/// The reason of a queue entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// A process may need a tick.
    Wake(Index),
    /// A datagram arrives at its receiver.
    Deliver(DatagramId),
    /// A write becomes durable; the number is that of [`Writes`](super::engine::Writes).
    Durable(u32),
    /// An operation of the plan is carried out, by its number.
    Op(u32),
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    time: Time,
    /// 24 bits of the tie above 40 bits of the sequence.
    order: u64,
    due: Due,
}

const _: () = assert!(size_of::<Entry>() <= 32);

impl Entry {
    const fn key(&self) -> (Time, u64) {
        (self.time, self.order)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    /// The earliest entry compares as the greatest, because a `BinaryHeap` returns the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

const SEQUENCE_BITS: u32 = 40;

#[derive(Clone, Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Entry>,
    sequence: u64,
}

impl Queue {
    /// Adds an entry. Of entries with equal times the one with the smaller `tie` comes first.
    pub(crate) fn push(&mut self, time: Time, tie: u64, due: Due) {
        self.sequence += 1;
        debug_assert!(self.sequence < 1 << SEQUENCE_BITS, "2^40 entries take months to process");
        let order = tie >> (64 - 24) << SEQUENCE_BITS | self.sequence;
        self.heap.push(Entry { time, order, due });
    }

    /// Removes and returns the earliest entry, if it is due at `until` or before.
    pub(crate) fn pop(&mut self, until: Time) -> Option<(Time, Due)> {
        let first = self.heap.peek().filter(|entry| entry.time <= until)?;
        let taken = (first.time, first.due);
        self.heap.pop();
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_then_tie_then_sequence() {
        let mut queue = Queue::default();
        let entries = [(2, 0, 1), (1, u64::MAX, 2), (1, 0, 3), (1, 0, 4), (3, 0, 5)];
        for (time, tie, op) in entries {
            queue.push(Time::from_secs(time), tie, Due::Op(op));
        }
        let taken: Vec<_> =
            core::iter::from_fn(|| queue.pop(Time::from_secs(2))).map(|(_, due)| due).collect();
        assert_eq!(taken, [3, 4, 2, 1].map(Due::Op));
    }
}
