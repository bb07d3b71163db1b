//! Flap damping: a member that comes and goes is judged more slowly each time (as routes are in BGP, RFC 2439).
//!
//! A link that fails and recovers at the pace of the detector makes its member Down and Alive in turn, and each turn is
//! news for the whole group. So a member that has returned gets a longer suspicion time, and is merely suspected while
//! its link is down for a short time. A member that has really crashed is found at the latest after the greatest
//! suspicion time, which is what every bound assumes.
//!
//! A member that goes on returning is put on *probation*: it is a member like all others, but the local view shows it as Down
//! until nobody has suspected it for a while. So an application that moves work at each change is left alone.
//!
//! ```text
//! Down ── returns, too often ──► on probation, shown as Down ── quiet for long enough ──► shown as Up
//!  ▲                                │   ▲          │
//!  └───────── fails again ──────────┘   └ suspected: the time begins anew
//! ```

use core::time::Duration;

use alloc::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::rules::Visibility;
use super::table::Entry;
use super::{Membership, Timer};
use crate::config::Config;
use crate::context::Ctx;
use crate::estimate::suspicion_min;
use crate::id::{MemberState, NodeId};
use crate::limits::RETURNS_MAX;
use crate::time::{Time, nanos};

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

/// The longest time for which a member on probation must be quiet.
const QUIET_MAX: Duration = Duration::from_secs(600);

/// How long a member with this many returns must not have been suspected: one greatest suspicion time, doubled for each.
fn quiet(config: &Config, members: u32, returns: u8) -> Duration {
    let longest = suspicion_min(config, members) * u32::from(config.membership.suspicion_max_mult);
    longest.saturating_mul(1 << returns.min(RETURNS_MAX)).min(QUIET_MAX)
}

impl Membership {
    /// Whether the application is not told of a member's change from the state `before`, because the member is on probation
    /// or is put on it by this return.
    pub(super) fn is_kept_on_probation(&mut self, id: NodeId, before: MemberState, cx: &Ctx<'_>) -> bool {
        let settings = &cx.config.membership;
        let Some(entry) = self.table.get(id) else { return false };
        let (state, was_on) = (entry.state(), entry.is_on_probation());
        if was_on && !state.is_live() {
            // The application was told of a Down already, and is told of a leave.
            self.end_probation(id, Visibility::Announced);
            return state == MemberState::Down;
        }
        let returns = self.returns.of(id, settings.flap_half_life, cx.now);
        let returned = before == MemberState::Down && state.is_live();
        let is_known = entry.is_shown() && entry.flags.visibility == Visibility::Announced;
        let begins = returned && is_known && (1..=returns).contains(&settings.probation_returns);
        if begins {
            self.table.set_visibility(id, Visibility::Probation);
        }
        let is_armed = self.deadlines.at(Timer::Probation(id)).is_some();
        if begins || was_on && (state == MemberState::Suspect || !is_armed) {
            let until = cx.now + quiet(cx.config, self.group_size(), returns);
            self.deadlines.arm(Timer::Probation(id), until, cx.now);
        }
        begins || was_on
    }

    /// Shows a member as Up that was quiet for long enough.
    pub(super) fn on_probation_due(&mut self, id: NodeId, cx: &mut Ctx<'_>) {
        match self.table.get(id).filter(|entry| entry.is_on_probation()).map(Entry::state) {
            Some(MemberState::Alive) => self.accept(id, cx),
            Some(state) => _ = self.is_kept_on_probation(id, state, cx),
            None => {}
        }
    }

    /// Ends the probation of a member, if it is on one, and sets what the application knows of it.
    pub(super) fn end_probation(&mut self, id: NodeId, visibility: Visibility) {
        self.deadlines.cancel(Timer::Probation(id));
        self.table.set_visibility(id, visibility);
        if self.table.get(id).is_some_and(Entry::is_live) {
            self.obituaries.remove(&id);
        }
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
