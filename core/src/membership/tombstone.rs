//! Tombstones: the entries of members that are Down or Left, and how they expire (rules B3 and B11).
//!
//! ```text
//! verdict ── forget_after / 2 ──► held back ── forget_after / 2 ──► forgotten
//!   hashed, spread, shown           only answers an Alive that it beats
//! ```
//!
//! Every verdict carries its age, so the tombstones of one member expire everywhere at about the same time.

use core::time::Duration;

use super::Membership;
use super::Timer;
use crate::action::MemberChange;
use crate::context::{Ctx, Signal};
use crate::id::NodeId;
use crate::time::nanos;

/// The stage of a tombstone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Spreading,
    HeldBack,
    Forgotten,
}

/// The stage of a tombstone that is `age` nanoseconds old.
fn stage(age: u64, forget_after: Duration) -> Stage {
    let end = nanos(forget_after);
    if age >= end {
        Stage::Forgotten
    } else if age >= end / 2 {
        Stage::HeldBack
    } else {
        Stage::Spreading
    }
}

/// The time until a tombstone that is `age` nanoseconds old reaches its next stage.
fn until_next_stage(age: u64, forget_after: Duration) -> Duration {
    let end = nanos(forget_after);
    let next = if stage(age, forget_after) == Stage::Spreading { end / 2 } else { end };
    Duration::from_nanos(next.saturating_sub(age))
}

impl Membership {
    /// Sets the time at which a tombstone that is `age` nanoseconds old reaches its next stage, and holds it back if it is
    /// so old that others do.
    pub(super) fn schedule_expiry(&mut self, id: NodeId, age: u64, cx: &mut Ctx<'_>) {
        let spreads = self.table.get(id).is_some_and(|entry| !entry.flags.held_back);
        if spreads && stage(age, cx.config.membership.forget_after) != Stage::Spreading {
            self.notify(id, MemberChange::Forgotten, cx);
            cx.signals.push(Signal::MemberExpired(id));
            self.table.hold_back(id);
            self.updates.cancel(id);
        }
        self.table.expire_at(id, cx.now + until_next_stage(age, cx.config.membership.forget_after));
        self.arm_expiry(cx);
    }

    pub(super) fn arm_expiry(&mut self, cx: &Ctx<'_>) {
        if let Some(at) = self.table.next_expiry() {
            self.deadlines.arm(Timer::Expiry, at, cx.now);
        }
    }

    /// Holds back, or forgets, the tombstones that have reached their next stage.
    pub(super) fn expire(&mut self, cx: &mut Ctx<'_>) {
        while let Some(id) = self.table.pop_expiry(cx.now) {
            let Some(entry) = self.table.get(id).filter(|_| id != self.own.id) else { continue };
            if entry.is_live() {
                self.expire_foreign(id, cx);
                continue;
            }
            let age = entry.age(cx.now);
            match stage(age, cx.config.membership.forget_after) {
                Stage::Forgotten => self.forget(id, cx),
                Stage::HeldBack | Stage::Spreading => self.schedule_expiry(id, age, cx),
            }
        }
        self.arm_expiry(cx);
    }

    /// Forgets a member of another protocol range that was not heard for `forget_after`: no node of this protocol range
    /// judges it, so nothing else would remove its entry (rule B5).
    fn expire_foreign(&mut self, id: NodeId, cx: &mut Ctx<'_>) {
        let Some(entry) = self.table.get(id).filter(|entry| entry.flags.foreign) else { return };
        let end = entry.last_heard() + cx.config.membership.forget_after;
        if end <= cx.now { self.forget(id, cx) } else { self.table.expire_at(id, end) }
    }

    /// Makes room for one more member, if there is none, by forgetting one whose tombstone is held back. Returns false,
    /// and counts it, if there is no room (rule B11).
    pub(super) fn has_room(&mut self, cx: &mut Ctx<'_>) -> bool {
        while self.table.members() >= cx.config.membership.members_max as usize {
            let Some(id) = self.table.first_to_spare() else {
                cx.stats.ignored_table_full += 1;
                return false;
            };
            self.forget(id, cx);
        }
        true
    }

    /// Whether a member may become live: it has been live here before, or there is room for one more.
    pub(super) fn may_be_live(&mut self, id: NodeId, cx: &mut Ctx<'_>) -> bool {
        self.table.get(id).is_some_and(|entry| !entry.is_guard()) || self.has_room(cx)
    }

    /// Removes all that is known of a member.
    fn forget(&mut self, id: NodeId, cx: &mut Ctx<'_>) {
        self.notify(id, MemberChange::Forgotten, cx);
        cx.signals.push(Signal::MemberExpired(id));
        self.table.remove(id);
        self.updates.cancel(id);
        self.obituaries.remove(&id);
        self.returns.forget(id);
        self.deadlines.cancel(Timer::Admit(id));
        self.deadlines.cancel(Timer::Probation(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tombstone_is_spread_then_held_back_then_forgotten() {
        let forget_after = Duration::from_secs(100);
        let check = |age, expected, next| {
            let age = nanos(Duration::from_secs(age));
            assert_eq!(stage(age, forget_after), expected);
            assert_eq!(until_next_stage(age, forget_after), Duration::from_secs(next));
        };
        check(0, Stage::Spreading, 50);
        check(49, Stage::Spreading, 1);
        check(50, Stage::HeldBack, 50);
        check(99, Stage::HeldBack, 1);
        check(100, Stage::Forgotten, 0);
        check(1_000, Stage::Forgotten, 0);
    }
}
