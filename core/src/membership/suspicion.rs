//! Suspicions under way, with Lifeguard's dynamic timeout (LHA-Suspicion, Lifeguard §IV-B).
//!
//! ```text
//! Alive ──own probe failed, or heard──► Waiting ──deadline − probe_timeout──► LastWord ──deadline──► Down
//!   ▲                                      │                                     │
//!   └────────── a higher incarnation ──────┴─────────────────────────────────────┘
//! ```
//!
//! The timeout starts at the greatest and shrinks with each *independent* confirmation to the least. The last
//! word is ours: before its own verdict the observer asks the suspect once more itself, so that a lost
//! refutation costs nobody its membership.

use core::time::Duration;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::config::Config;
use crate::estimate::suspicion_min;
use crate::id::{Incarnation, NodeId};
use crate::limits::SUSPICION_AUTHORS_MAX;
use crate::logarithm::log2_milli;
use crate::time::Time;

/// One suspected member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Suspicion {
    pub(super) incarnation: Incarnation,
    pub(super) started: Time,
    /// Who suspects it, the first one first; the newest is gossiped on.
    pub(super) authors: SmallVec<[NodeId; SUSPICION_AUTHORS_MAX]>,
    /// Of the last word: how many pings it has sent. `None` while waiting.
    pub(super) last_word: Option<u8>,
    confirmations: u8,
    min: Duration,
    max: Duration,
}

impl Suspicion {
    /// A suspicion in a group of `members`, oneself included.
    pub(super) fn new(
        incarnation: Incarnation,
        author: NodeId,
        config: &Config,
        members: u32,
        now: Time,
    ) -> Self {
        let settings = &config.membership;
        let min = suspicion_min(config, members);
        // With fewer others than that, the confirmations can never come.
        let reachable = members.saturating_sub(2) >= settings.suspicion_confirmations.into();
        let confirmations = if reachable { settings.suspicion_confirmations } else { 0 };
        let mut authors = SmallVec::new();
        authors.push(author);
        let max = min * settings.suspicion_max_mult.into();
        Self { incarnation, started: now, authors, last_word: None, confirmations, min, max }
    }

    /// Uses the least timeout from now on: for a Down heard about a member that is not held so (rule B1). Whether
    /// that changes anything.
    pub(super) fn hurry(&mut self) -> bool {
        core::mem::take(&mut self.confirmations) > 0
    }

    /// The least time until the verdict.
    pub(super) const fn min(&self) -> Duration {
        self.min
    }

    /// Counts another author; whether it was a new one that still matters.
    pub(super) fn confirm(&mut self, author: NodeId) -> bool {
        let full = self.authors.len() > usize::from(self.confirmations);
        if full || self.authors.contains(&author) {
            return false;
        }
        self.authors.push(author);
        true
    }

    /// Until when an own verdict waits because the suspect itself was heard at `heard`, after the suspicion had
    /// begun: the least time from then, but no longer than the greatest from the start, for a member that is deaf
    /// must go in the end.
    pub(super) fn waits_until(&self, heard: Time) -> Option<Time> {
        (heard > self.started).then(|| (heard + self.min).min(self.started + self.max))
    }

    /// When the verdict falls:
    /// max(min, max − (max − min) · log(C + 1) / log(K + 1)) after the start.
    pub(super) fn deadline(&self) -> Time {
        let confirmed = u32::try_from(self.authors.len()).expect("a handful") - 1;
        let most = u32::from(self.confirmations);
        if confirmed >= most {
            return self.started + self.min;
        }
        let shrunk = (self.max - self.min) * log2_milli(confirmed + 1) / log2_milli(most + 1);
        self.started + (self.max - shrunk).max(self.min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confirmations_shrink_the_timeout_logarithmically_down_to_the_least() {
        let mut config = Config::memberlist_lan("test");
        config.membership.suspicion_confirmations = 3;
        let mut suspicion = Suspicion::new(Incarnation::first(1), NodeId(1), &config, 100, Time::ZERO);
        let mut deadlines = std::vec![suspicion.deadline().as_millis()];
        for author in [1, 2, 2, 3, 4, 5] {
            suspicion.confirm(NodeId(author));
            deadlines.push(suspicion.deadline().as_millis());
        }
        // Least 4 · log10(100) · 1 s, greatest six times that.
        assert_eq!(deadlines, [48_000, 48_000, 28_000, 28_000, 16_320, 8_000, 8_000]);
    }

    #[test]
    fn a_suspect_that_is_heard_gets_time_but_not_for_ever() {
        let config = Config::lan("test");
        let start = Time::from_secs(10);
        let suspicion = Suspicion::new(Incarnation::first(1), NodeId(1), &config, 10, start);
        let waits = |secs| suspicion.waits_until(Time::from_secs(secs)).map(Time::as_millis);
        assert_eq!([waits(9), waits(10), waits(12), waits(15)], [None, None, Some(13_800), Some(16_800)]);
    }

    #[test]
    fn in_a_pair_nobody_can_confirm_and_the_least_applies() {
        let config = Config::memberlist_lan("test");
        let suspicion = Suspicion::new(Incarnation::first(1), NodeId(1), &config, 2, Time::ZERO);
        assert_eq!(suspicion.deadline(), Time::from_secs(4));
    }
}
