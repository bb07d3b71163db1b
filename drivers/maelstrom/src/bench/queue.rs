//! The queue of events, ordered by time. The seed decides the order of events at one time.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use bruit_core::Time;
use bruit_sim::Random;

#[derive(Debug)]
struct Entry<T> {
    key: (Time, u64, u64),
    item: T,
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    /// Orders the earliest entry as the greatest, because `BinaryHeap` returns the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        other.key.cmp(&self.key)
    }
}

#[derive(Debug)]
pub(super) struct Queue<T> {
    entries: BinaryHeap<Entry<T>>,
    ties: Random,
    pushed: u64,
}

impl<T> Queue<T> {
    pub(super) const fn new(ties: Random) -> Self {
        Self { entries: BinaryHeap::new(), ties, pushed: 0 }
    }

    pub(super) fn push(&mut self, time: Time, item: T) {
        self.pushed += 1;
        self.entries.push(Entry { key: (time, self.ties.next_u64(), self.pushed), item });
    }

    /// Removes the next item that is due at `until` or before.
    pub(super) fn pop(&mut self, until: Time) -> Option<(Time, T)> {
        if self.entries.peek()?.key.0 > until {
            return None;
        }
        self.entries.pop().map(|entry| (entry.key.0, entry.item))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_comes_first_and_ties_are_drawn() {
        let orders: Vec<Vec<u64>> = (0..8)
            .map(|seed| {
                let mut queue = Queue::new(Random::new(seed, 0, 0));
                for item in 0..6 {
                    queue.push(Time::from_secs(item / 3), item);
                }
                assert!(queue.pop(Time::from_secs(0)).is_some_and(|(_, item)| item < 3));
                std::iter::from_fn(|| queue.pop(Time::MAX)).map(|(_, item)| item).collect()
            })
            .collect();
        assert!(orders.iter().all(|order| order[..2].iter().all(|item| *item < 3) && order.len() == 5));
        assert!(orders.iter().any(|order| *order != orders[0]), "the seed decides the order");
    }
}
