//! Suspicions under way, with Lifeguard's dynamic timeout (LHA-Suspicion, Lifeguard §IV-B).
//!
//! ```text
//! Alive ──own probe failed, or heard──► Waiting ──deadline − probe_timeout──► LastWord ──deadline──► Down
//!   ▲                                      │                                     │
//!   └────────── a higher incarnation ──────┴─────────────────────────────────────┘
//! ```
//!
//! The timeout starts at the greatest and shrinks with each *independent* confirmation to the least. Before it passes a
//! verdict of its own, the observer asks for the *last word*: it pings the suspect itself several times more, so that one lost
//! refutation does not lead to a false Down.

use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::rules::{Claim, Timeout};
use super::table::Entry;
use super::updates::Update;
use super::{Membership, Timer};
use crate::config::Config;
use crate::context::Ctx;
use crate::estimate::suspicion_min;
use crate::id::{Incarnation, MemberState, NodeId};
use crate::limits::{OBITUARIES_MAX, SUSPICION_AUTHORS_MAX};
use crate::logarithm::log2_milli;
use crate::time::{Time, nanos};

/// The number of pings that an observer sends to the suspect within the last `probe_timeout` before its own verdict. At 25 %
/// loss each is answered with probability 0.56: 2 pings led to 15 false Downs in 1 000 hours of a member, 4 to 2, and 6 to
/// none (128 members).
const LAST_WORD_PINGS: u8 = 6;

/// The number of pings with which a member asks a suspect of which it has heard, before it confirms the suspicion.
const HEARER_PINGS: u8 = 2;

/// The average number of members that ping a suspect themselves when they hear of a suspicion, in a group of any
/// greater size.
const HEARERS_ASKING: usize = 32;

/// The reason why this node holds a member Down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obituary {
    /// The incarnation of the member that was judged.
    pub incarnation: Incarnation,
    /// The member that passed the verdict: this node, the author named by a verdict that was heard, or else its sender.
    pub author: NodeId,
    /// The time at which the verdict was passed, as far as this node can tell.
    pub declared: Time,
    /// The time at which this node began to suspect the member, if it did.
    pub suspected: Option<Time>,
    /// The members that suspected it, in the order in which this node heard of them.
    pub suspected_by: Vec<NodeId>,
    /// The time at which this node had last heard the member, if ever.
    pub last_heard: Option<Time>,
}

/// One suspected member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Suspicion {
    pub(super) incarnation: Incarnation,
    /// The time at which this node began to suspect the member.
    began: Time,
    /// The time from which the timeout counts: `began`, and the delays since with which this node was called (rule B7).
    started: Time,
    /// The verdict is not due before this time, whoever confirms the suspicion (rule B6).
    not_before: Time,
    /// The members that suspect it, in the order in which they were heard. The newest is named when the suspicion is
    /// spread.
    pub(super) authors: SmallVec<[NodeId; SUSPICION_AUTHORS_MAX]>,
    /// The number of pings that were sent because others suspect the member.
    asked: u8,
    /// The number of pings that were sent in the last word; `None` before the last word has begun.
    last_word: Option<u8>,
    /// The number of confirmations that bring the timeout down to the least.
    confirmations: u8,
    min: Duration,
    max: Duration,
}

impl Suspicion {
    /// Begins a suspicion in a group of `members` members, this node included. Each of the latest `returns` of the member
    /// doubles the least timeout, up to the greatest.
    fn new(
        incarnation: Incarnation,
        author: NodeId,
        config: &Config,
        members: u32,
        returns: u8,
        now: Time,
    ) -> Self {
        let settings = &config.membership;
        let undamped = suspicion_min(config, members);
        let max = undamped * settings.suspicion_max_mult.into();
        let min = undamped.saturating_mul(1 << returns.min(16)).min(max);
        // In a smaller group there are too few members for the confirmations.
        let reachable = members.saturating_sub(2) >= settings.suspicion_confirmations.into();
        let confirmations = if reachable { settings.suspicion_confirmations } else { 0 };
        let mut authors = SmallVec::new();
        authors.push(author);
        let (began, started, not_before) = (now, now, Time::ZERO);
        let (asked, last_word) = (0, None);
        Self { incarnation, began, started, not_before, authors, asked, last_word, confirmations, min, max }
    }

    /// Uses the least timeout from this time on, because a member has passed a Down already (rule B1). Returns whether
    /// the timeout could have been longer before.
    fn use_least_timeout(&mut self) -> bool {
        core::mem::take(&mut self.confirmations) > 0
    }

    /// Whether this suspicion supports a Down that was passed `age` nanoseconds ago: it had lasted for half the least
    /// time when the verdict was passed. Otherwise the Down counts as a suspicion only, because the member had no time
    /// to refute it to this node (rule B1). This is so if the Down comes with its suspicion, or from the other side of
    /// a healed partition.
    pub(super) fn bears_out(&self, age: u64, now: Time) -> bool {
        let fair = self.started + self.min / 2;
        now >= fair && age <= nanos(now.since(fair))
    }

    /// Adds an author. Returns whether the author is a new one that shortens the timeout.
    fn confirm(&mut self, author: NodeId) -> bool {
        if self.is_confirmed() || self.authors.contains(&author) {
            return false;
        }
        self.authors.push(author);
        true
    }

    /// Whether further authors do not shorten the timeout.
    fn is_confirmed(&self) -> bool {
        self.authors.len() > usize::from(self.confirmations)
    }

    /// The time until which this node's own verdict waits because it heard the suspect itself at `heard`, after the
    /// suspicion had begun. It is the least timeout after `heard`, but at most the greatest timeout after the start: a
    /// member that sends but does not receive must be declared Down in the end.
    fn waits_until(&self, heard: Time) -> Option<Time> {
        (heard > self.began).then(|| (heard + self.min).min(self.started + self.max))
    }

    /// Gives the suspect back the time in which this node stood still (rule B7). If it was heard since the suspicion
    /// began, at `heard`, its time since then is given back as well.
    fn postpone(&mut self, late: Duration, heard: Option<Time>) {
        let waits = heard.and_then(|heard| self.waits_until(heard)).unwrap_or(Time::ZERO);
        if waits.max(self.not_before) > Time::ZERO {
            self.not_before = waits.max(self.not_before) + late;
        }
        self.started = self.started + late;
    }

    /// The time of the verdict:
    /// max(min, max − (max − min) · log(C + 1) / log(K + 1)) after the start, but not before `not_before`.
    fn deadline(&self) -> Time {
        self.timeout_ends().max(self.not_before)
    }

    fn timeout_ends(&self) -> Time {
        let confirmed = u32::try_from(self.authors.len()).expect("a handful") - 1;
        let most = u32::from(self.confirmations);
        if confirmed >= most {
            return self.started + self.min;
        }
        let shrunk = (self.max - self.min) * log2_milli(confirmed + 1) / log2_milli(most + 1);
        self.started + (self.max - shrunk).max(self.min)
    }
}

impl Membership {
    /// Suspects a member at `incarnation` because `author` does, or adds the author to the suspicion under way.
    pub(super) fn suspect(
        &mut self,
        id: NodeId,
        incarnation: Incarnation,
        author: NodeId,
        timeout: Timeout,
        cx: &mut Ctx<'_>,
    ) {
        let least = timeout == Timeout::Least;
        if let Some(suspicion) = self.suspicions.get_mut(&id).filter(|s| s.incarnation == incarnation) {
            let is_news = suspicion.confirm(author) || (least && suspicion.use_least_timeout());
            let is_confirmed = suspicion.is_confirmed();
            if is_news && suspicion.last_word.is_none() {
                self.arm_suspicion(id, cx);
                // Who has all confirmations passes them on no more: others hear of them from those that lack some.
                if is_confirmed {
                    self.updates.cancel_verdict(id)
                } else {
                    self.enqueue_update(id, Update::Verdict, cx)
                }
            }
            return;
        }
        if !self.may_be_live(id, cx) {
            return;
        }
        let Some(heard) = self.table.get(id).map(Entry::last_heard) else { return };
        let returns = self.returns.of(id, cx.config.membership.flap_half_life, cx.now);
        let mut suspicion =
            Suspicion::new(incarnation, author, cx.config, self.group_size(), returns, cx.now);
        if least {
            suspicion.use_least_timeout();
        }
        cx.stats.suspicions += 1;
        self.suspicions.insert(id, suspicion);
        self.set_verdict(id, Claim::new(incarnation, MemberState::Suspect), heard.as_nanos(), cx);
        self.enqueue_update(id, Update::Verdict, cx);
        self.arm_suspicion(id, cx);
        if least {
            self.ping_suspect(id, cx);
        } else if self.is_asking_hearer(author, cx) {
            self.ask_as_hearer(id, cx);
        }
    }

    /// Pings a suspect of which this node has heard from another member. If none of the pings is answered in time, this
    /// node suspects it as well, which confirms the suspicion: one watcher alone would have to wait for a chance probe of
    /// others.
    pub(super) fn ask_as_hearer(&mut self, id: NodeId, cx: &mut Ctx<'_>) {
        let Some(suspicion) = self.suspicions.get_mut(&id) else { return };
        let (incarnation, began) = (suspicion.incarnation, suspicion.began);
        if suspicion.asked < HEARER_PINGS {
            suspicion.asked += 1;
            let pause = cx.config.membership.probe_timeout / HEARER_PINGS.into();
            self.deadlines.arm(Timer::Hearer(id), cx.now + pause, cx.now);
            self.ping_suspect(id, cx);
        } else if self.table.get(id).is_some_and(|entry| entry.last_heard() <= began) {
            self.suspect(id, incarnation, self.own.id, Timeout::Shrinking, cx);
        }
    }

    /// Whether this node pings a suspect of which it has heard from another member. The suspect then learns of the
    /// suspicion at once, and its refutation does not depend on gossip. Only a few members do so, chosen at random.
    fn is_asking_hearer(&mut self, author: NodeId, cx: &Ctx<'_>) -> bool {
        cx.config.membership.last_word
            && author != self.own.id
            && self.rng.below(self.table.live()) < HEARERS_ASKING
    }

    /// Sets the deadline of a suspicion: the verdict, or the last word before it.
    pub(super) fn arm_suspicion(&mut self, id: NodeId, cx: &Ctx<'_>) {
        let Some(suspicion) = self.suspicions.get(&id) else { return };
        let settings = &cx.config.membership;
        let lead = if settings.last_word { settings.probe_timeout } else { Duration::ZERO };
        self.deadlines.arm(Timer::Suspicion(id), suspicion.deadline() - lead, cx.now);
    }

    /// Passes the verdict on a suspect or begins its last word, unless this node has a reason to wait.
    pub(super) fn on_suspicion_due(&mut self, id: NodeId, cx: &mut Ctx<'_>) {
        if let Some(until) = self.health.frozen_until(cx.config, self.group_size(), cx.now) {
            cx.stats.verdicts_postponed += 1;
            return self.deadlines.arm(Timer::Suspicion(id), until, cx.now);
        }
        let settings = &cx.config.membership;
        let Some(suspicion) = self.suspicions.get_mut(&id) else { return };
        let heard = self.table.get(id).map_or(Time::ZERO, Entry::last_heard);
        let wait = suspicion.waits_until(heard).filter(|until| settings.last_word && *until > cx.now);
        if let Some(until) = wait {
            suspicion.last_word = None;
            return self.deadlines.arm(Timer::Suspicion(id), until, cx.now);
        }
        let asked = suspicion.last_word.unwrap_or(0);
        if settings.last_word && asked < LAST_WORD_PINGS {
            suspicion.last_word = Some(asked + 1);
            let pause = settings.probe_timeout / LAST_WORD_PINGS.into();
            self.deadlines.arm(Timer::Suspicion(id), cx.now + pause, cx.now);
            self.ping_suspect(id, cx);
        } else {
            self.declare_down(id, cx);
        }
    }

    /// Pings a suspect at once, whatever member is probed in this period.
    fn ping_suspect(&mut self, id: NodeId, cx: &mut Ctx<'_>) {
        let seq = self.prober.next_seq();
        self.ping_member(id, seq, cx);
    }

    /// Records why a member is about to be held Down at `incarnation`, by a verdict that `author` passed at `stamp`. If
    /// there are too many obituaries, the one with the earliest verdict is removed.
    pub(super) fn record_obituary(
        &mut self,
        id: NodeId,
        incarnation: Incarnation,
        author: NodeId,
        stamp: u64,
        cx: &Ctx<'_>,
    ) {
        let suspicion = self.suspicions.get(&id);
        let obituary = Obituary {
            incarnation,
            author,
            declared: Time::from_nanos(stamp).min(cx.now),
            suspected: suspicion.map(|suspicion| suspicion.began),
            suspected_by: suspicion.map(|suspicion| suspicion.authors.to_vec()).unwrap_or_default(),
            last_heard: self.table.get(id).map(Entry::last_heard),
        };
        if self.obituaries.len() >= OBITUARIES_MAX {
            let oldest = self.obituaries.iter().min_by_key(|(_, obituary)| obituary.declared);
            if let Some(id) = oldest.map(|(id, _)| *id) {
                self.obituaries.remove(&id);
            }
        }
        self.obituaries.insert(id, obituary);
    }

    /// Passes this node's own verdict on a suspect: Down.
    fn declare_down(&mut self, id: NodeId, cx: &mut Ctx<'_>) {
        let Some(suspicion) = self.suspicions.get(&id) else { return };
        let (incarnation, stamp) = (suspicion.incarnation, cx.now.as_nanos());
        cx.stats.downs_declared += 1;
        self.record_obituary(id, incarnation, self.own.id, stamp, cx);
        self.set_verdict(id, Claim::new(incarnation, MemberState::Down), stamp, cx);
        self.enqueue_update(id, Update::Verdict, cx);
    }

    /// Gives every suspect the least suspicion time from now: this node has heard nobody for long, so the silence of
    /// its suspects proves nothing (rule B6). Confirmations do not take this time away again.
    pub(super) fn extend_suspicions(&mut self, cx: &Ctx<'_>) {
        let least = cx.now + suspicion_min(cx.config, self.group_size());
        for suspicion in self.suspicions.values_mut() {
            suspicion.last_word = None;
            suspicion.not_before = suspicion.not_before.max(least);
        }
        self.deadlines.delay_until(least, |timer| matches!(timer, Timer::Suspicion(_)));
    }

    /// Begins every suspicion anew, because the node has not run since.
    pub(super) fn restart_suspicions(&mut self, cx: &Ctx<'_>) {
        let members = self.group_size();
        for (id, suspicion) in &mut self.suspicions {
            let first = suspicion.authors.first().copied().unwrap_or(NodeId::NOBODY);
            let returns = self.returns.of(*id, cx.config.membership.flap_half_life, cx.now);
            *suspicion = Suspicion::new(suspicion.incarnation, first, cx.config, members, returns, cx.now);
        }
        let suspects: Vec<NodeId> = self.suspicions.keys().copied().collect();
        suspects.into_iter().for_each(|id| self.arm_suspicion(id, cx));
    }

    /// Gives every suspect back the time `late` in which this node stood still (rule B7). The deadlines themselves are
    /// postponed by the caller.
    pub(super) fn postpone_suspicions(&mut self, late: Duration, config: &Config) {
        for (id, suspicion) in &mut self.suspicions {
            let heard = self.table.get(*id).map(Entry::last_heard);
            suspicion.postpone(late, heard.filter(|_| config.membership.last_word));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confirmations_shrink_the_timeout_logarithmically_down_to_the_least() {
        let mut config = Config::memberlist_lan("test");
        config.membership.suspicion_confirmations = 3;
        let mut suspicion = Suspicion::new(Incarnation::first(1), NodeId(1), &config, 100, 0, Time::ZERO);
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
        let suspicion = Suspicion::new(Incarnation::first(1), NodeId(1), &config, 10, 0, start);
        let waits = |secs| suspicion.waits_until(Time::from_secs(secs)).map(Time::as_millis);
        assert_eq!([waits(9), waits(10), waits(12), waits(15)], [None, None, Some(13_700), Some(16_700)]);
    }

    #[test]
    fn in_a_pair_nobody_can_confirm_and_the_least_applies() {
        let config = Config::memberlist_lan("test");
        let suspicion = Suspicion::new(Incarnation::first(1), NodeId(1), &config, 2, 0, Time::ZERO);
        assert_eq!(suspicion.deadline(), Time::from_secs(4));
    }

    #[test]
    fn each_return_doubles_the_least_timeout_up_to_the_greatest() {
        let config = Config::memberlist_lan("test");
        let deadline = |returns| {
            Suspicion::new(Incarnation::first(1), NodeId(1), &config, 2, returns, Time::ZERO).deadline()
        };
        assert_eq!(
            [0, 1, 2, 3, 8].map(|returns| deadline(returns).as_millis()),
            [4_000, 8_000, 16_000, 24_000, 24_000]
        );
    }
}
