//! Waiting for the own id to be free: rule A2a, without wire, table or clock.
//!
//! A process that starts publishes nothing under its id before it knows that nobody else uses it. It asks the addresses that
//! it was given; each answer ([`NameState`]) says what a member holds of the id.

use core::net::SocketAddr;

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
    /// Whether a member has answered that it knows nothing of the id.
    unknown: bool,
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
    /// The number of addresses that were given to join through.
    pub(super) contacts: usize,
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
            unknown: false,
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
    pub(super) fn on_answer(&mut self, from: SocketAddr, name: NameState) {
        match name {
            NameState::NotJoined if !self.fresh.contains(&from) => self.fresh.push(from),
            NameState::NotJoined => {}
            NameState::Unknown => self.unknown = true,
            NameState::Held(holder) => {
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

    /// What this process does next. `nonce` is a number that was drawn for this call.
    pub(super) fn step(&mut self, place: Place<'_>, now: Time, nonce: u64) -> Next {
        if self.is_free(place, now) {
            return Next::Take;
        }
        if now >= self.poll {
            let settings = place.settings;
            let answered = self.unknown || self.holder.is_some() || !self.fresh.is_empty();
            let pause = if answered { settings.probe_interval } else { settings.join_interval };
            self.poll = now + pause;
            self.question = self.question.filter(|question| !question.answered);
            return Next::Poll;
        }
        if let Some(holder) = self.holder {
            if let Some(next) = self.deal_with(holder, place.settings, now, nonce) {
                return next;
            }
        }
        Next::Sleep(self.next_due(place.settings))
    }

    /// Whether nobody uses the id.
    fn is_free(&self, place: Place<'_>, now: Time) -> bool {
        let Some(holder) = self.holder else {
            let alone = self.fresh.len() >= place.contacts;
            return self.unknown || alone || now >= self.since + place.settings.join_wait;
        };
        if place.own.contains(&holder.addr) {
            return true;
        }
        match holder.state {
            MemberState::Left => true,
            MemberState::Alive | MemberState::Suspect => false,
            MemberState::Down => {
                let silent =
                    |question: Question| !question.answered && question.sent == ASKS && now >= question.due;
                holder.addr.port() == 0 || self.question.is_some_and(silent)
            }
        }
    }

    /// The next step towards a holder that may run.
    fn deal_with(
        &mut self,
        holder: Holder,
        settings: &MembershipConfig,
        now: Time,
        nonce: u64,
    ) -> Option<Next> {
        let runs = match holder.state {
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
        if (runs || holder.state == MemberState::Suspect) && !core::mem::replace(&mut self.told, true) {
            return Some(Next::TellHeld(holder));
        }
        None
    }

    fn next_due(&self, settings: &MembershipConfig) -> Time {
        let mut due = self.poll;
        if self.holder.is_none() {
            due = due.min(self.since + settings.join_wait);
        }
        if let Some(question) = self.question.filter(|question| !question.answered) {
            due = due.min(question.due);
        }
        if matches!(self.holder, Some(Holder { state: MemberState::Alive, .. })) {
            due = due.min(self.since + settings.name_wait);
        }
        due
    }
}
