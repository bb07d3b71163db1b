//! The deadlines of one machine of a node.

use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Time;

/// A set of deadlines, at most one for each key, popped in the order of (time, key).
///
/// It is a sorted vector with the soonest deadline last: a node of a settled cluster has about ten, and setting one
/// again neither allocates nor frees. Many suspicions at once make it a thousand, and setting one is still one
/// short `memmove`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Deadlines<K> {
    latest_first: Vec<(Time, K)>,
}

/// The earlier of two optional times; `None` if there is neither.
pub(crate) fn soonest(one: Option<Time>, other: Option<Time>) -> Option<Time> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (only, None) | (None, only) => only,
    }
}

impl<K: Copy + Ord> Deadlines<K> {
    pub(crate) const fn new() -> Self {
        Self { latest_first: Vec::new() }
    }

    /// Makes `key` due at `at`, and replaces its earlier deadline.
    pub(crate) fn set(&mut self, key: K, at: Time) {
        self.cancel(key);
        let place = self.latest_first.partition_point(|entry| *entry > (at, key));
        self.latest_first.insert(place, (at, key));
    }

    /// Makes `key` due at `at`, but never in the call that sets it: a tick that armed a deadline for its own time would
    /// fire it at once, and never end (rule G3).
    pub(crate) fn arm(&mut self, key: K, at: Time, now: Time) {
        let at = at.max(now + Duration::from_nanos(1));
        // At the end of time every sum of times is that end: what is due then would be due at once, forever.
        if at == Time::MAX { self.cancel(key) } else { self.set(key, at) }
    }

    /// Makes `key` due at `at` as [`arm`](Self::arm) does, unless it is due earlier.
    pub(crate) fn arm_by(&mut self, key: K, at: Time, now: Time) {
        if self.at(key).is_none_or(|due| due > at) {
            self.arm(key, at, now);
        }
    }

    /// Removes the deadline of `key`, if it has one.
    pub(crate) fn cancel(&mut self, key: K) {
        if let Some(place) = self.latest_first.iter().rposition(|(_, k)| *k == key) {
            self.latest_first.remove(place);
        }
    }

    /// The deadline of `key`, if it has one.
    pub(crate) fn at(&self, key: K) -> Option<Time> {
        self.latest_first.iter().rev().find(|(_, k)| *k == key).map(|(at, _)| *at)
    }

    /// The soonest deadline of all.
    pub(crate) fn next(&self) -> Option<Time> {
        self.latest_first.last().map(|(at, _)| *at)
    }

    /// Removes the soonest deadline and returns its key, if it is due at `now`.
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<K> {
        let (at, _) = self.latest_first.last()?;
        if *at > now {
            return None;
        }
        self.latest_first.pop().map(|(_, key)| key)
    }

    /// Moves each deadline for whose key `postpones` is true by `late` (rule B7).
    pub(crate) fn postpone(&mut self, late: Duration, postpones: impl Fn(K) -> bool) {
        for (at, key) in &mut self.latest_first {
            if postpones(*key) {
                *at = *at + late;
            }
        }
        self.latest_first.sort_unstable_by(|a, b| b.cmp(a));
    }

    /// Makes no deadline for whose key `delays` is true due before `least`. It costs one pass and a sort, however many
    /// deadlines change.
    pub(crate) fn delay_until(&mut self, least: Time, delays: impl Fn(K) -> bool) {
        for (at, key) in &mut self.latest_first {
            if delays(*key) {
                *at = least.max(*at);
            }
        }
        self.latest_first.sort_unstable_by(|a, b| b.cmp(a));
    }

    /// The keys that have a deadline, the latest one first.
    pub(crate) fn keys(&self) -> impl Iterator<Item = K> {
        self.latest_first.iter().map(|(_, key)| *key)
    }

    pub(crate) fn clear(&mut self) {
        self.latest_first.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pops_in_order_of_time_then_key_and_never_early() {
        let mut deadlines = Deadlines::new();
        deadlines.set('b', Time::from_millis(5));
        deadlines.set('a', Time::from_millis(5));
        deadlines.set('c', Time::from_millis(9));
        deadlines.set('c', Time::from_millis(1));
        deadlines.cancel('x');
        assert_eq!(deadlines.next(), Some(Time::from_millis(1)));
        let due = |d: &mut Deadlines<char>, ms| d.pop_due(Time::from_millis(ms));
        assert_eq!(due(&mut deadlines, 0), None);
        assert_eq!(
            [due(&mut deadlines, 9), due(&mut deadlines, 9), due(&mut deadlines, 9)],
            [Some('c'), Some('a'), Some('b')]
        );
        assert_eq!(due(&mut deadlines, 9), None);
    }

    #[test]
    fn an_armed_deadline_is_never_due_in_the_call_that_arms_it() {
        let now = Time::from_secs(5);
        let mut deadlines = Deadlines::new();
        for at in [Time::ZERO, now] {
            deadlines.arm('a', at, now);
            assert_eq!(deadlines.pop_due(now), None, "armed for {at}");
            assert_eq!(deadlines.next(), Some(now + Duration::from_nanos(1)), "armed for {at}");
        }
        deadlines.arm('a', Time::from_secs(6), now);
        assert_eq!(deadlines.next(), Some(Time::from_secs(6)));
    }

    #[test]
    fn arming_by_a_time_never_makes_a_deadline_later() {
        let (mut deadlines, now) = (Deadlines::new(), Time::from_secs(5));
        deadlines.arm('a', Time::from_secs(9), now);
        deadlines.arm_by('a', Time::from_secs(10), now);
        assert_eq!(deadlines.at('a'), Some(Time::from_secs(9)));
        deadlines.arm_by('a', Time::from_secs(7), now);
        assert_eq!(deadlines.at('a'), Some(Time::from_secs(7)));
    }

    #[test]
    fn postponing_moves_only_what_it_names() {
        let mut deadlines = Deadlines::new();
        deadlines.set(1, Time::from_secs(1));
        deadlines.set(2, Time::from_secs(2));
        deadlines.postpone(Duration::from_secs(5), |key| key == 1);
        assert_eq!(deadlines.at(1), Some(Time::from_secs(6)));
        assert_eq!(deadlines.next(), Some(Time::from_secs(2)));
    }

    #[test]
    fn delaying_moves_only_the_deadlines_before_the_time() {
        let mut deadlines = Deadlines::new();
        (1..=4).for_each(|key| deadlines.set(key, Time::from_secs(key)));
        deadlines.delay_until(Time::from_secs(3), |key| key != 1);
        let due: Vec<_> = (0..4).filter_map(|_| deadlines.pop_due(Time::from_secs(3))).collect();
        assert_eq!((due, deadlines.at(4)), (vec![1, 2, 3], Some(Time::from_secs(4))));
    }
}
