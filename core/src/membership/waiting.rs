//! Waiting for the own id to be free: rule A2a, without wire, table or clock.
//!
//! A process that starts publishes nothing under its id before it knows that nobody else uses it. It asks the addresses that
//! it was given; each answer ([`NameState`]) says what a member holds of the id.

use core::net::SocketAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::rules::Claim;
use crate::config::MembershipConfig;
use crate::id::{Incarnation, MemberState};
use crate::time::Time;
use crate::wire::{Holder, NameState};

/// How often the address of a holder that is held Down is asked before the id counts as free.
const ASKS: u8 = 2;

/// A process that waits for its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Waiting {
    since: Time,
    /// The time at which the addresses are asked again.
    poll: Time,
    /// What the members that were asked know of the id: the newest.
    holder: Option<Holder>,
    /// The least seniority that was heard of the id; `u64::MAX` if none was.
    seniority: u64,
    /// The time of the last answer about the holder.
    heard: Time,
    /// The members that have answered that they know nothing of the id.
    unknown: SmallVec<[SocketAddr; 4]>,
    /// The addresses that have answered that they have not joined either.
    fresh: SmallVec<[SocketAddr; 4]>,
    /// Whether the application knows that the id is held.
    told: bool,
    question: Option<Question>,
}

/// The question to a holder that is held Down, whether it runs nevertheless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Question {
    nonce: u64,
    sent: u8,
    due: Time,
    answered: bool,
}

/// The surroundings of a waiting process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// The addresses of this process: the one it was started with, and the one that it was seen at.
    pub(super) own: &'a [SocketAddr],
    /// The addresses to join through that this process has now, without its own.
    pub(super) contacts: &'a [SocketAddr],
    /// The boot number of this process.
    pub(super) boot: u64,
    pub(super) settings: &'a MembershipConfig,
}

/// What a waiting process does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It waits until this time.
    Sleep(Time),
    /// It asks all addresses that it was given.
    Poll,
    /// It asks the address of the holder whether it runs.
    Ask { to: SocketAddr, nonce: u64 },
    /// It tells the application that the id is held.
    TellHeld(Holder),
    /// The id is free: it takes the id.
    Take,
    /// It has waited for long enough, and gives up.
    GiveUp(Holder),
}

impl Waiting {
    pub(super) fn new(now: Time) -> Self {
        Self {
            since: now,
            poll: now,
            holder: None,
            seniority: u64::MAX,
            heard: now,
            unknown: SmallVec::new(),
            fresh: SmallVec::new(),
            told: false,
            question: None,
        }
    }

    /// The process that has the id, or had it last.
    pub(super) const fn holder(&self) -> Option<Holder> {
        self.holder
    }

    /// The highest incarnation that was heard of the id.
    pub(super) fn heard(&self) -> Option<Incarnation> {
        self.holder.map(|holder| holder.incarnation)
    }

    /// The least seniority that was heard of the id.
    pub(super) const fn seniority(&self) -> Option<u64> {
        if self.seniority == u64::MAX { None } else { Some(self.seniority) }
    }

    /// Takes an answer from one of the addresses.
    pub(super) fn on_answer(&mut self, from: SocketAddr, name: NameState, now: Time) {
        match name {
            NameState::NotJoined if !self.fresh.contains(&from) => self.fresh.push(from),
            NameState::Unknown if !self.unknown.contains(&from) => self.unknown.push(from),
            NameState::NotJoined | NameState::Unknown => {}
            NameState::Held(holder) => {
                self.heard = now;
                self.seniority = self.seniority.min(holder.seniority);
                let claim = |holder: Holder| Claim::new(holder.incarnation, holder.state);
                let newest = self.holder.is_none_or(|held| claim(held) <= claim(holder));
                // A member that has only a verdict does not know the address that another one has told.
                let complete = self
                    .holder
                    .is_none_or(|held| claim(held) != claim(holder) || held.boot == 0 || holder.boot != 0);
                if newest && complete {
                    if self.holder.is_some_and(|held| claim(held) != claim(holder)) {
                        self.question = None;
                    }
                    self.holder = Some(holder);
                }
            }
        }
    }

    /// Takes an answer of the holder itself: it runs.
    pub(super) fn on_claim(&mut self, nonce: u64) {
        if let Some(question) = self.question.as_mut().filter(|question| question.nonce == nonce) {
            question.answered = true;
        }
    }

    /// Takes back the time that this process stood still: nobody could answer it meanwhile, or the answers wait unread.
    pub(super) fn postpone(&mut self, late: Duration) {
        self.since = self.since + late;
        self.heard = self.heard + late;
        self.question = None;
    }

    /// What this process does next. `nonce` is a number that was drawn for this call.
    pub(super) fn step(&mut self, place: Place<'_>, now: Time, nonce: u64) -> Next {
        if self.is_free(place, now) {
            return Next::Take;
        }
        // At the end of time the next poll would be due at once, forever.
        if now >= self.poll && now < Time::MAX {
            let settings = place.settings;
            let answered = !self.unknown.is_empty() || self.holder.is_some() || !self.fresh.is_empty();
            let pause = if answered { settings.probe_interval } else { settings.join_interval };
            self.poll = now + pause;
            self.question = self.question.filter(|question| !question.answered);
            return Next::Poll;
        }
        let next = self.holder.and_then(|holder| self.deal_with(holder, place.settings, now, nonce));
        next.unwrap_or_else(|| Next::Sleep(self.next_due(place.settings, now)))
    }

    /// Whether nobody uses the id.
    fn is_free(&self, place: Place<'_>, now: Time) -> bool {
        let Some(holder) = self.holder else {
            // What this process hears from itself, or heard from a former contact, says nothing of its contacts.
            let alone = place.contacts.iter().all(|contact| self.fresh.contains(contact));
            let answered = |contact| self.fresh.contains(contact) || self.unknown.contains(contact);
            let all_answered = place.contacts.iter().all(answered);
            // Another member may know more than the first that answers.
            let unknown = !self.unknown.is_empty()
                && (all_answered || now >= self.since + place.settings.probe_timeout);
            return unknown || alone || now >= self.since + place.settings.join_wait;
        };
        // A process that has left without being heard is still held under its own boot number.
        if place.own.contains(&holder.addr) || holder.boot == place.boot {
            return true;
        }
        match self.state_of(holder, place.settings, now) {
            MemberState::Left => true,
            MemberState::Alive | MemberState::Suspect => false,
            MemberState::Down => {
                let silent =
                    |question: Question| !question.answered && question.sent == ASKS && now >= question.due;
                holder.addr.port() == 0 || self.question.is_some_and(silent)
            }
        }
    }

    /// The state in which the holder is treated: as Down if it was alive and nobody has answered for long.
    fn state_of(&self, holder: Holder, settings: &MembershipConfig, now: Time) -> MemberState {
        let may_run = matches!(holder.state, MemberState::Alive | MemberState::Suspect);
        let is_silent = now >= self.heard + settings.join_wait;
        if may_run && is_silent { MemberState::Down } else { holder.state }
    }

    /// The next step towards a holder that may run.
    fn deal_with(
        &mut self,
        holder: Holder,
        settings: &MembershipConfig,
        now: Time,
        nonce: u64,
    ) -> Option<Next> {
        let state = self.state_of(holder, settings, now);
        let runs = match state {
            MemberState::Down => {
                let fresh = Question { nonce: nonce.max(1), sent: 0, due: now, answered: false };
                let question = self.question.get_or_insert(fresh);
                if !question.answered && question.sent < ASKS && now >= question.due {
                    question.sent += 1;
                    question.due = now + settings.probe_timeout / u32::from(ASKS);
                    return Some(Next::Ask { to: holder.addr, nonce: question.nonce });
                }
                question.answered
            }
            MemberState::Alive => true,
            MemberState::Suspect | MemberState::Left => false,
        };
        if runs && now.since(self.since) >= settings.name_wait {
            return Some(Next::GiveUp(holder));
        }
        if (runs || state == MemberState::Suspect) && !core::mem::replace(&mut self.told, true) {
            return Some(Next::TellHeld(holder));
        }
        None
    }

    /// The next time at which something may change by itself.
    fn next_due(&self, settings: &MembershipConfig, now: Time) -> Time {
        let unheld = self.holder.is_none();
        let may_run = matches!(self.holder, Some(Holder { state: MemberState::Alive, .. }));
        let question = self.question.filter(|question| !question.answered);
        let dues = [
            unheld.then_some(self.since + settings.join_wait),
            (unheld && !self.unknown.is_empty()).then_some(self.since + settings.probe_timeout),
            (!unheld).then_some(self.heard + settings.join_wait),
            may_run.then_some(self.since + settings.name_wait),
            question.map(|question| question.due),
        ];
        dues.into_iter().flatten().filter(|due| *due > now).fold(self.poll, Time::min)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::config::Config;

    const START: Time = Time::from_secs(100);

    fn addr(number: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, number], 7))
    }

    fn held(state: MemberState, epoch: u64) -> Holder {
        Holder { state, incarnation: Incarnation::first(epoch), boot: 8, seniority: 4, addr: addr(9) }
    }

    /// Takes all steps that are due at `now`, and returns them without the last sleep.
    fn steps(waiting: &mut Waiting, now: Time) -> Vec<Next> {
        let config = Config::lan("test");
        let contacts = &[addr(2), addr(3)];
        let place = Place { own: &[addr(1)], contacts, boot: 5, settings: &config.membership };
        let mut steps = Vec::new();
        loop {
            let next = waiting.step(place, now, 41);
            if let Next::Sleep(until) = next {
                assert!(until > now);
                return steps;
            }
            steps.push(next);
            if let Some(Next::Take | Next::GiveUp(_)) = steps.last() {
                return steps;
            }
        }
    }

    fn waiting(answers: &[(u8, NameState)]) -> Waiting {
        let mut waiting = Waiting::new(START);
        assert_eq!(steps(&mut waiting, START), [Next::Poll]);
        answers.iter().for_each(|(from, name)| waiting.on_answer(addr(*from), *name, START));
        waiting
    }

    #[test]
    fn an_id_that_has_left_or_was_here_is_taken_at_the_first_answer() {
        let here = Holder { addr: addr(1), ..held(MemberState::Alive, 5) };
        let left = held(MemberState::Left, 5);
        for name in [NameState::Held(left), NameState::Held(here)] {
            assert_eq!(steps(&mut waiting(&[(2, name)]), START), [Next::Take], "{name:?}");
        }
    }

    #[test]
    fn an_unknown_id_is_taken_when_all_have_answered_or_had_the_time_to() {
        let mut some = waiting(&[(2, NameState::Unknown)]);
        assert_eq!(steps(&mut some, START), [], "another member may know more");
        let mut all = some.clone();
        all.on_answer(addr(3), NameState::NotJoined, START);
        assert_eq!(steps(&mut all, START), [Next::Take]);
        let mut told = some.clone();
        told.on_answer(addr(3), NameState::Held(held(MemberState::Alive, 5)), START);
        assert!(matches!(steps(&mut told, START)[..], [Next::TellHeld(_)]));
        let timeout = Config::lan("test").membership.probe_timeout;
        assert_eq!(steps(&mut some, START + timeout), [Next::Take]);
    }

    #[test]
    fn a_holder_of_which_nobody_answers_any_more_is_treated_as_down() {
        let mut waiting = waiting(&[(2, NameState::Held(held(MemberState::Alive, 5)))]);
        let settings = Config::lan("test").membership;
        let silent = START + settings.join_wait;
        assert!(!steps(&mut waiting, START).contains(&Next::Take));
        let asks = steps(&mut waiting, silent);
        assert!(asks.contains(&Next::Ask { to: addr(9), nonce: 41 }), "{asks:?}");
        steps(&mut waiting, silent + settings.probe_timeout / 2);
        assert_eq!(steps(&mut waiting, silent + settings.probe_timeout), [Next::Take]);
    }

    #[test]
    fn who_has_not_joined_says_nothing_until_all_say_the_same() {
        let mut waiting = waiting(&[(2, NameState::NotJoined), (2, NameState::NotJoined)]);
        assert_eq!(steps(&mut waiting, START), []);
        waiting.on_answer(addr(3), NameState::NotJoined, START);
        assert_eq!(steps(&mut waiting, START), [Next::Take]);
    }

    #[test]
    fn without_any_answer_the_id_is_taken_after_a_while() {
        let mut waiting = waiting(&[]);
        let wait = Config::lan("test").membership.join_wait;
        assert_eq!(steps(&mut waiting, START + wait / 2), [Next::Poll]);
        assert_eq!(steps(&mut waiting, START + wait), [Next::Take]);
    }

    #[test]
    fn an_id_in_use_is_waited_for_and_the_end_of_the_wait_is_told() {
        let alive = held(MemberState::Alive, 5);
        let mut waiting = waiting(&[(2, NameState::Held(alive))]);
        assert_eq!(steps(&mut waiting, START), [Next::TellHeld(alive)]);
        let second = START + Duration::from_secs(1);
        assert_eq!(steps(&mut waiting, second), [Next::Poll], "told once");
        let end = START + Config::lan("test").membership.name_wait;
        waiting.on_answer(addr(2), NameState::Held(alive), end);
        assert_eq!(steps(&mut waiting.clone(), end), [Next::Poll, Next::GiveUp(alive)]);
        // A suspect may have failed: its verdict is waited for.
        waiting.on_answer(addr(3), NameState::Held(held(MemberState::Suspect, 5)), end);
        assert_eq!(steps(&mut waiting, end), [Next::Poll]);
        waiting.on_answer(addr(2), NameState::Held(held(MemberState::Left, 5)), end);
        assert_eq!(steps(&mut waiting, end), [Next::Take], "the newest answer counts");
        assert_eq!((waiting.heard(), waiting.seniority()), (Some(Incarnation::first(5)), Some(4)));
    }

    #[test]
    fn a_holder_that_is_down_is_asked_twice_before_its_id_is_taken() {
        let down = held(MemberState::Down, 5);
        let mut silent = waiting(&[(2, NameState::Held(down))]);
        let ask = Next::Ask { to: addr(9), nonce: 41 };
        let timeout = Config::lan("test").membership.probe_timeout;
        assert_eq!(steps(&mut silent, START), [ask]);
        let mut alive = silent.clone();
        assert_eq!(steps(&mut silent, START + timeout / 2), [ask]);
        assert_eq!(steps(&mut silent, START + timeout), [Next::Take]);
        alive.on_claim(41);
        assert_eq!(steps(&mut alive, START + timeout), [Next::TellHeld(down)], "it has answered");
    }
}
