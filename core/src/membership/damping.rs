//! Flap damping: a member that comes and goes is judged more slowly each time (as routes are in BGP, RFC 2439).
//!
//! A link that fails and recovers at the pace of the detector makes its member Down and Alive in turn, and each turn is
//! news for the whole group. So a member that has returned gets a longer suspicion time, and is merely suspected while
//! its link is down for a short time. A member that has really crashed is found at the latest after the greatest
//! suspicion time, which is what every bound assumes.

use core::time::Duration;

use alloc::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::NodeId;
use crate::time::{Time, nanos};

/// The most returns that are counted. The suspicion time then reaches its greatest value with any setting.
const RETURNS_MAX: u8 = 8;

/// The members that have returned after they were Down, and how often.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Returns {
    counts: BTreeMap<NodeId, Returned>,
}

/// The returns of one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Returned {
    /// The number of returns at the time `at`. It is halved in each half-life since.
    count: u8,
    at: Time,
}

impl Returns {
    /// The number of returns of a member that still count. A `half_life` of zero counts none.
    pub(super) fn of(&self, id: NodeId, half_life: Duration, now: Time) -> u8 {
        let Some(Returned { count, at }) = self.counts.get(&id).copied() else { return 0 };
        let halvings = nanos(now.since(at)).checked_div(nanos(half_life)).unwrap_or(u64::MAX);
        u32::try_from(halvings).ok().and_then(|halvings| count.checked_shr(halvings)).unwrap_or(0)
    }

    /// Notes that a member has returned.
    pub(super) fn note(&mut self, id: NodeId, half_life: Duration, now: Time) {
        if !half_life.is_zero() {
            let count = (self.of(id, half_life, now) + 1).min(RETURNS_MAX);
            self.counts.insert(id, Returned { count, at: now });
        }
    }

    pub(super) fn forget(&mut self, id: NodeId) {
        self.counts.remove(&id);
    }

    /// The members that are remembered.
    pub(super) fn ids(&self) -> impl Iterator<Item = NodeId> {
        self.counts.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_add_up_to_a_limit_and_are_halved_in_each_half_life() {
        let (id, half_life) = (NodeId(3), Duration::from_secs(120));
        let mut returns = Returns::default();
        let at = |returns: &Returns, secs| returns.of(id, half_life, Time::from_secs(secs));
        assert_eq!(at(&returns, 0), 0);
        (0..5).for_each(|turn| returns.note(id, half_life, Time::from_secs(turn)));
        assert_eq!([at(&returns, 4), at(&returns, 123), at(&returns, 124), at(&returns, 244)], [5, 5, 2, 1]);
        assert_eq!([at(&returns, 364), at(&returns, 1 << 30)], [0, 0]);
        (0..50).for_each(|_| returns.note(id, half_life, Time::from_secs(200)));
        assert_eq!(at(&returns, 200), RETURNS_MAX);
        returns.note(NodeId(4), Duration::ZERO, Time::from_secs(1));
        assert_eq!(returns.ids().collect::<std::vec::Vec<_>>(), [id], "damping is off for the other");
    }
}
