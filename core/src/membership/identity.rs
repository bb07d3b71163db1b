//! Which of several processes with one id goes on: rules A1, A2b, A2c and A3, without wire, table or clock.
//!
//! News of the own id is *signed* if it names the process that was at that incarnation (a header, a record, an Accused with
//! a boot), and else *unsigned*. A process never stops because of news. It stops only when another process of its id, of a
//! smaller rank, has just answered its own question ([`Identity::on_claim`]).
//!
//! ```text
//!            news of another process          a copy is found
//! certain ───────────────────────► in doubt ◄──────────────── quiet (for NAME_ASK)
//!    ▲                              │  │  │
//!    │  it is this process itself   │  │  └── a claim of a smaller rank ──► stops
//!    ├──────────────────────────────┘  │
//!    └── no claim in time: jumps above ┘
//! ```
//!
//! `model` explores all orders in which these functions can be called.

use core::net::SocketAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::boot::EPOCH_BITS;
use crate::id::{Incarnation, MemberState, Rank};
use crate::reconcile::Partner;
use crate::time::Time;

#[cfg(test)]
mod model;

/// How long a question to another process of the own id stays open.
pub(super) const NAME_ASK: Duration = Duration::from_secs(1);
/// The least time between two questions of a process for itself that nothing but time has caused.
const SELF_ASK_PAUSE: Duration = Duration::from_secs(5);
/// How often a question is sent while it is open.
const ASKS: u8 = 3;
/// The most times that a question is asked anew before this process moves above a rival that never answers: a minute.
const WINDOWS_MAX: u16 = 60;
/// Stands for the boot of a process that news does not name.
const UNNAMED: u64 = 0;
/// The number of other processes of the own id for which the moves above them are counted.
const RIVALS_MAX: usize = 4;
/// Every epoch up to here is credible whatever the own clock says: the year 2043 in nanoseconds since 1970.
const CREDIBLE: u64 = 1 << 61;
/// How far beyond the own first epoch an epoch is credible: ten years in nanoseconds.
const TEN_YEARS: u64 = 320_000_000_000_000_000;
/// How far above the epoch that is held of a member a further epoch is always credible.
const STEP: u64 = 1 << 32;

/// Where another process of the own id may be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Route {
    /// The address of that process.
    pub(super) addr: Option<SocketAddr>,
    /// The member that has told of it, and can pass the question on.
    pub(super) via: Option<Partner>,
}

/// News of the own id that names its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Signed {
    pub(super) boot: u64,
    pub(super) incarnation: Incarnation,
    /// The rank of the process, if the news is its record.
    pub(super) rank: Option<Rank>,
    /// The state in which the process is held by whom the news comes from.
    pub(super) state: MemberState,
    /// Whether the news is a record that differs from the present one of this process.
    pub(super) differs: bool,
    pub(super) route: Route,
}

/// What follows from news of the own id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reaction {
    /// Nothing follows.
    Nothing,
    /// The process refutes: it publishes its record with the next incarnation.
    Refute,
    /// The process moves to an epoch above this incarnation.
    Jump(Incarnation),
    /// Another process runs, and will give way. If its incarnation is named, this process moves above it.
    Outrank { rival: u64, above: Option<Incarnation> },
    /// A copy of this process runs or has run, or this process is not at its own address any more: it takes a new boot
    /// number, and a rank below the named one.
    Redraw { heard: Incarnation, below: Option<Rank>, route: Route },
    /// Another process runs and has the smaller rank: this process stops.
    Stop { rival: u64 },
}

/// What follows from a question for the own id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Answer {
    /// The process claims the id.
    Claim,
    /// The question is this process's own one, and has come back.
    Own(Reaction),
}

/// What a process in doubt does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// It waits until this time.
    Sleep(Time),
    /// It asks.
    Ask { nonce: u64, route: Route },
    /// Nobody has answered: it moves above this incarnation.
    Jump(Incarnation),
    /// It is certain again.
    Done,
}

/// A question to another process of the own id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Doubt {
    /// The boot of the other process.
    rival: u64,
    /// The highest incarnation of another process that was heard meanwhile.
    heard: Incarnation,
    route: Route,
    /// The number of the question; 0 while none is open.
    nonce: u64,
    /// How often it was sent.
    sent: u8,
    /// How often it is asked anew, if nobody answers.
    windows: u16,
    due: Time,
}

/// A question to the address at which the others reach the own id, which shows whether this process is there (rule A2c).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct SelfAsk {
    nonce: u64,
    until: Time,
}

/// Another process, and how often this one has moved above it without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Rival {
    boot: u64,
    jumps: u8,
}

/// The incarnation and rank of this process, and its doubt whether others run under the same id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Identity {
    incarnation: Incarnation,
    rank: Rank,
    /// The epoch at the start of the process. It does not move with jumps, so that forged epochs do not add up (rule A3).
    first_epoch: u64,
    doubt: Option<Doubt>,
    self_ask: Option<SelfAsk>,
    /// The oldest is the first.
    rivals: SmallVec<[Rival; RIVALS_MAX]>,
}

impl Identity {
    /// A process that starts in this epoch and has not taken its id yet.
    pub(super) fn new(epoch: u64, boot: u64) -> Self {
        Self {
            incarnation: Incarnation::first(epoch),
            rank: Rank { seniority: epoch, draws: 0, boot },
            first_epoch: epoch,
            doubt: None,
            self_ask: None,
            rivals: SmallVec::new(),
        }
    }

    pub(super) const fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    pub(super) const fn rank(&self) -> Rank {
        self.rank
    }

    /// Whether a correct member can have this epoch if it was held at `held` before, or at 0 if it is new (rule A3).
    pub(super) fn is_credible(&self, epoch: u64, held: u64) -> bool {
        epoch <= held.saturating_add(STEP)
            || epoch <= self.first_epoch.max(CREDIBLE).saturating_add(TEN_YEARS)
    }

    /// Fixes the seniority when the id is taken: one less than the least that was heard of the id, or the first epoch.
    pub(super) fn take(&mut self, least: Option<u64>) {
        self.rank.seniority = least.map_or(self.incarnation.epoch, |least| least.saturating_sub(1));
    }

    /// Becomes a new process, for a rejoin after another process had the id.
    pub(super) fn renew(&mut self, boot: u64) {
        self.rank = Rank { seniority: self.incarnation.epoch, draws: 0, boot };
        self.end_questions();
    }

    /// Ends all open questions, because this process stops.
    pub(super) fn end_questions(&mut self) {
        (self.doubt, self.self_ask) = (None, None);
    }

    /// Takes the next incarnation, with a changed record.
    pub(super) fn advance(&mut self) {
        self.incarnation = self.incarnation.next();
    }

    /// Takes the next incarnation, with the same record.
    pub(super) fn refute(&mut self) {
        self.incarnation = self.incarnation.refuted();
    }

    /// Moves to an epoch above `heard`, with random low bits. Returns false if there is no such epoch.
    pub(super) fn jump(&mut self, heard: Incarnation, random: u64) -> bool {
        let random = random & ((1 << EPOCH_BITS) - 1);
        let next = Incarnation::first(heard.epoch.max(self.incarnation.epoch) + 1 + random);
        if next.is_sane() {
            self.incarnation = next;
        }
        next.is_sane()
    }

    /// Decides on news that names no process. `met` says whether this process has been in contact with a member: before
    /// that it has published nothing that could be accused, so the news is about a former process. Afterwards, news that
    /// somebody lives above it may be of a process that runs, so it asks first.
    pub(super) fn on_unsigned(
        &mut self,
        heard: Incarnation,
        accuses: bool,
        met: bool,
        now: Time,
    ) -> Reaction {
        if heard > self.incarnation && met && !accuses {
            self.suspect(UNNAMED, heard, Route::default(), now);
            Reaction::Nothing
        } else if heard > self.incarnation {
            Reaction::Jump(heard)
        } else if !accuses || heard < self.incarnation {
            Reaction::Nothing
        } else if met {
            Reaction::Refute
        } else {
            Reaction::Jump(heard)
        }
    }

    /// Decides on news that names its process. `addr` is the address of this process.
    pub(super) fn on_signed(&mut self, news: Signed, addr: SocketAddr, now: Time) -> Reaction {
        let Signed { boot, incarnation, rank, state, differs, route } = news;
        if boot == self.rank.boot {
            // No process publishes two records with one number.
            let is_other = differs && incarnation.published() == self.incarnation.published();
            return if incarnation > self.incarnation || is_other {
                Reaction::Redraw { heard: incarnation, below: None, route }
            } else if state != MemberState::Alive && incarnation == self.incarnation {
                Reaction::Refute
            } else {
                Reaction::Nothing
            };
        }
        if incarnation.epoch < self.incarnation.epoch {
            return Reaction::Nothing;
        }
        // Whoever is held as gone is not asked first. Should it run after all, it asks this process.
        if !state.is_live() {
            return Reaction::Jump(incarnation);
        }
        // A process of a greater rank gives way. One that names the own address has ended, or this process is a copy that is
        // not at its address any more: it asks itself first.
        if route.addr != Some(addr) && rank.is_some_and(|rank| self.rank < rank) {
            return Reaction::Jump(incarnation);
        }
        self.suspect(boot, incarnation, route, now);
        Reaction::Nothing
    }

    /// Is in doubt whether the process `rival` runs.
    fn suspect(&mut self, rival: u64, heard: Incarnation, route: Route, now: Time) {
        if let Some(doubt) = &mut self.doubt {
            doubt.heard = doubt.heard.max(heard);
            doubt.route.addr = route.addr.or(doubt.route.addr);
            doubt.route.via = route.via.or(doubt.route.via);
            return;
        }
        let jumps = self.rivals.iter().find(|known| known.boot == rival).map_or(0, |known| known.jumps);
        let windows = 1_u16.checked_shl(jumps.into()).map_or(WINDOWS_MAX, |all| all.min(WINDOWS_MAX)) - 1;
        self.doubt = Some(Doubt { rival, heard, route, nonce: 0, sent: 0, windows, due: now });
    }

    /// The number of the open question to another process.
    pub(super) fn question(&self) -> Option<u64> {
        self.doubt.map(|doubt| doubt.nonce).filter(|nonce| *nonce != 0)
    }

    /// What this process does next about its doubt. `nonce` is a number that was drawn for this call.
    pub(super) fn step(&mut self, now: Time, nonce: u64) -> Step {
        let Some(doubt) = &mut self.doubt else { return Step::Done };
        if now < doubt.due {
            return Step::Sleep(doubt.due);
        }
        if doubt.sent == ASKS && doubt.windows > 0 {
            (doubt.sent, doubt.windows) = (0, doubt.windows - 1);
        }
        if doubt.sent < ASKS {
            if doubt.sent == 0 {
                doubt.nonce = nonce.max(1);
            }
            doubt.sent += 1;
            doubt.due = now + NAME_ASK / ASKS.into();
            return Step::Ask { nonce: doubt.nonce, route: doubt.route };
        }
        let Doubt { rival, heard, .. } = *doubt;
        self.doubt = None;
        if heard.epoch < self.incarnation.epoch {
            return Step::Done;
        }
        self.count_jump(rival);
        Step::Jump(heard)
    }

    fn count_jump(&mut self, boot: u64) {
        let jumps = self.rivals.iter().find(|known| known.boot == boot).map_or(0, |known| known.jumps);
        self.rivals.retain(|known| known.boot != boot);
        if self.rivals.len() == RIVALS_MAX {
            self.rivals.remove(0);
        }
        self.rivals.push(Rival { boot, jumps: jumps.saturating_add(1) });
    }

    /// Opens a question to the address at which the others reach the own id; `None` while another question is open.
    pub(super) fn ask_self(&mut self, now: Time, nonce: u64) -> Option<u64> {
        if self.doubt.is_some() {
            return None;
        }
        let nonce = nonce.max(1);
        self.self_ask = Some(SelfAsk { nonce, until: now + NAME_ASK });
        Some(nonce)
    }

    /// Whether this process has asked for itself within [`SELF_ASK_PAUSE`].
    pub(super) fn has_asked_self(&self, now: Time) -> bool {
        self.self_ask.is_some_and(|ask| now + NAME_ASK < ask.until + SELF_ASK_PAUSE)
    }

    fn is_self_ask(&self, nonce: u64, now: Time) -> bool {
        self.self_ask.is_some_and(|ask| ask.nonce == nonce && now < ask.until)
    }

    /// Decides on a question for the own id.
    pub(super) fn on_ask(&mut self, nonce: u64, now: Time) -> Answer {
        if self.is_self_ask(nonce, now) {
            return Answer::Own(Reaction::Nothing);
        }
        match self.doubt {
            Some(doubt) if doubt.nonce != 0 && doubt.nonce == nonce => {
                // The other process was last at the address of this one, so it has ended.
                self.doubt = None;
                let above = doubt.heard.epoch >= self.incarnation.epoch;
                Answer::Own(if above { Reaction::Jump(doubt.heard) } else { Reaction::Nothing })
            }
            _ => Answer::Claim,
        }
    }

    /// Decides on the answer of a process of the own id.
    ///
    /// `route` is the way that the answer has come, and `addr` the address of this process.
    pub(super) fn on_claim(
        &mut self,
        nonce: u64,
        rank: Rank,
        route: Route,
        addr: SocketAddr,
        now: Time,
    ) -> Reaction {
        let asked = self.doubt.filter(|doubt| doubt.nonce != 0 && doubt.nonce == nonce);
        if asked.is_none() && !self.is_self_ask(nonce, now) {
            return Reaction::Nothing;
        }
        if rank.boot != self.rank.boot && rank < self.rank {
            return Reaction::Stop { rival: rank.boot };
        }
        if rank.boot == self.rank.boot || route.addr == Some(addr) {
            let heard = asked.map_or(self.incarnation, |doubt| doubt.heard.max(self.incarnation));
            return Reaction::Redraw { heard, below: Some(rank), route };
        }
        self.doubt = self.doubt.filter(|_| asked.is_none());
        let above = asked.map(|doubt| doubt.heard).filter(|heard| heard.epoch >= self.incarnation.epoch);
        Reaction::Outrank { rival: rank.boot, above }
    }

    /// Takes a new boot number, and a rank below its own and below `below`. For [`NAME_ASK`] it asks nobody, so that no
    /// answer that it gave under the old rank is still on the way; then it asks for the process with the old number.
    pub(super) fn redraw(&mut self, boot: u64, below: Option<Rank>, route: Route, now: Time) {
        let rival = self.rank.boot;
        let Rank { seniority, draws, .. } = below.unwrap_or(self.rank);
        self.rank.boot = boot;
        self.rank.seniority = self.rank.seniority.max(seniority);
        self.rank.draws = self.rank.draws.max(draws).saturating_add(1);
        self.self_ask = None;
        let (heard, due) = (Incarnation::default(), now + NAME_ASK);
        self.doubt = Some(Doubt { rival, heard, route, nonce: 0, sent: 0, windows: 0, due });
    }

    /// Makes all open questions void, because answers to them may have waited with this process: it asks anew.
    pub(super) fn void(&mut self) {
        self.self_ask = None;
        if let Some(doubt) = &mut self.doubt {
            (doubt.nonce, doubt.sent) = (0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    const NOW: Time = Time::from_secs(100);

    fn addr(number: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, number], 7))
    }

    fn own(epoch: u64, boot: u64) -> Identity {
        let mut own = Identity::new(epoch, boot);
        own.take(None);
        own
    }

    /// A record of another process, from the address 2.
    fn record(rank: Rank, incarnation: Incarnation) -> Signed {
        let route = Route { addr: Some(addr(2)), via: None };
        Signed {
            boot: rank.boot,
            incarnation,
            rank: Some(rank),
            state: MemberState::Alive,
            differs: true,
            route,
        }
    }

    fn junior(epoch: u64) -> Signed {
        record(Rank { seniority: 90, draws: 0, boot: 8 }, Incarnation::first(epoch))
    }

    fn senior(epoch: u64) -> Signed {
        record(Rank { seniority: 1, draws: 0, boot: 8 }, Incarnation::first(epoch))
    }

    /// Lets an identity ask, and returns the number of its question.
    fn ask(own: &mut Identity, now: Time, nonce: u64) -> u64 {
        let step = own.step(now, nonce);
        let Step::Ask { nonce, .. } = step else { panic!("{step:?}") };
        nonce
    }

    #[test]
    fn unsigned_news_is_refuted_and_what_is_above_is_left() {
        let check = |epoch, counter, accuses, met, expected| {
            let heard = Incarnation { epoch, counter };
            let reaction = own(5, 1).on_unsigned(heard, accuses, met, NOW);
            assert_eq!(reaction, expected, "{heard} {accuses} {met}");
        };
        check(5, 0, true, true, Reaction::Refute);
        check(5, 0, false, true, Reaction::Nothing);
        check(4, 9, true, true, Reaction::Nothing);
        check(5, 1, true, true, Reaction::Jump(Incarnation { epoch: 5, counter: 1 }));
        check(6, 0, true, true, Reaction::Jump(Incarnation::first(6)));
        check(6, 0, false, false, Reaction::Jump(Incarnation::first(6)));
        // Before the first contact nothing of this process can be accused (rule A1).
        check(5, 0, true, false, Reaction::Jump(Incarnation::first(5)));
    }

    #[test]
    fn who_is_said_to_live_above_is_asked_before_this_process_goes_above() {
        let (mut own, heard) = (own(5, 1), Incarnation::first(6));
        assert_eq!(own.on_unsigned(heard, false, true, NOW), Reaction::Nothing);
        let nonce = ask(&mut own, NOW, 41);
        let smaller = Rank { seniority: 1, draws: 0, boot: 8 };
        let route = Route { addr: Some(addr(2)), via: None };
        let stop = own.clone().on_claim(nonce, smaller, route, addr(1), NOW);
        assert_eq!(stop, Reaction::Stop { rival: 8 });
        let mut now = NOW;
        let jump = loop {
            match own.step(now, 41) {
                Step::Sleep(until) => now = until,
                Step::Ask { .. } => {}
                last @ (Step::Jump(_) | Step::Done) => break last,
            }
        };
        assert_eq!((jump, now.since(NOW)), (Step::Jump(heard), NAME_ASK / ASKS.into() * ASKS.into()));
    }

    #[test]
    fn a_process_of_a_greater_rank_is_gone_above_at_once_and_once() {
        let mut own = own(5, 1);
        assert_eq!(own.on_signed(junior(6), addr(1), NOW), Reaction::Jump(Incarnation::first(6)));
        let rank = own.rank();
        assert!(own.jump(Incarnation::first(6), 0));
        assert_eq!(own.rank(), rank, "a rank is fixed");
        assert_eq!(own.on_signed(junior(6), addr(1), NOW), Reaction::Nothing);
        assert_eq!(own.step(NOW, 1), Step::Done, "it is not asked");
    }

    #[test]
    fn only_a_claim_of_a_smaller_rank_to_an_open_question_stops_a_process() {
        let smaller = Rank { seniority: 1, draws: 0, boot: 8 };
        let greater = Rank { seniority: 90, ..smaller };
        let claim = |own: &mut Identity, nonce, rank, now| {
            own.on_claim(nonce, rank, Route { addr: Some(addr(2)), via: None }, addr(1), now)
        };
        let mut own = own(5, 1);
        assert_eq!(claim(&mut own, 0, smaller, NOW), Reaction::Nothing, "nothing was asked");
        assert_eq!(own.on_signed(senior(7), addr(1), NOW), Reaction::Nothing);
        let nonce = ask(&mut own, NOW, 41);
        assert_eq!(claim(&mut own, nonce + 1, smaller, NOW), Reaction::Nothing, "another number");
        let stop = claim(&mut own.clone(), nonce, smaller, NOW);
        assert_eq!(stop, Reaction::Stop { rival: 8 });
        let outranked = Reaction::Outrank { rival: 8, above: Some(Incarnation::first(7)) };
        assert_eq!(claim(&mut own.clone(), nonce, greater, NOW), outranked);
        let mut late = own.clone();
        late.void();
        assert_eq!(claim(&mut late, nonce, smaller, NOW), Reaction::Nothing, "answers may have waited");
        let mut patient = own;
        for _ in 0..2 {
            let due = patient.doubt.expect("it is open").due;
            assert_eq!(ask(&mut patient, due, 99), nonce);
        }
        let end = patient.doubt.expect("open").due;
        assert_eq!(end, NOW + NAME_ASK / ASKS.into() * ASKS.into());
        assert_eq!(patient.step(end, 99), Step::Jump(Incarnation::first(7)), "nobody has answered");
        assert_eq!(claim(&mut patient, nonce, smaller, end), Reaction::Nothing, "the time is over");
    }

    #[test]
    fn dead_lives_of_the_own_id_are_gone_above_and_stop_nobody() {
        // Three lives, told in any order by members that each know another one: no rank, no answer.
        let mut own = own(1, 4);
        let mut now = NOW;
        for (boot, epoch) in [(9, 3), (8, 5), (9, 7), (2, 9)] {
            let news = Signed { boot, rank: None, state: MemberState::Suspect, ..senior(epoch) };
            assert_eq!(own.on_signed(news, addr(1), now), Reaction::Nothing);
            loop {
                match own.step(now, 77) {
                    Step::Sleep(until) => now = until,
                    Step::Ask { .. } => {}
                    Step::Jump(heard) => {
                        assert_eq!(heard.epoch, epoch);
                        assert!(own.jump(heard, 0));
                    }
                    Step::Done => break,
                }
            }
        }
        assert_eq!(own.incarnation(), Incarnation::first(10));
    }

    #[test]
    fn each_move_above_a_process_that_never_answers_waits_twice_as_long() {
        let (mut own, mut now, mut waits) = (own(2, 4), NOW, Vec::new());
        for _ in 0..9 {
            let start = now;
            let above = senior(own.incarnation().epoch + 1);
            assert_eq!(own.on_signed(above, addr(1), now), Reaction::Nothing);
            let heard = loop {
                match own.step(now, 77) {
                    Step::Sleep(until) => now = until,
                    Step::Ask { .. } => {}
                    Step::Jump(heard) => break heard,
                    Step::Done => panic!("it is above"),
                }
            };
            waits.push(now.since(start).as_millis());
            assert!(own.jump(heard, 0));
        }
        let seconds: Vec<u128> = waits.iter().map(|wait| wait.div_ceil(1_000)).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn a_copy_draws_anew_and_asks_for_the_other_after_a_quiet_second() {
        let mut own = own(5, 1);
        let rank = own.rank();
        let above = Incarnation { epoch: 5, counter: 1 };
        let news = record(rank, above);
        let Reaction::Redraw { heard, below: None, route } = own.on_signed(news, addr(1), NOW) else {
            panic!("a copy has published it");
        };
        assert_eq!(heard, above);
        own.redraw(30, None, route, NOW);
        assert!(
            own.rank() > rank && own.rank() < Rank { seniority: 6, ..rank },
            "below all copies, above others"
        );
        // In the quiet second it asks nobody, and yields to nobody.
        assert_eq!(own.step(NOW, 41), Step::Sleep(NOW + NAME_ASK));
        assert_eq!(own.on_claim(41, rank, route, addr(1), NOW), Reaction::Nothing);
        assert_eq!(own.ask_self(NOW, 42), None);
        let nonce = ask(&mut own, NOW + NAME_ASK, 43);
        let claim = own.on_claim(nonce, rank, route, addr(1), NOW + NAME_ASK);
        assert_eq!(claim, Reaction::Stop { rival: 1 });
    }

    #[test]
    fn a_second_record_at_the_own_incarnation_shows_a_copy() {
        let mut own = own(5, 1);
        let other = record(own.rank(), own.incarnation());
        assert!(matches!(own.on_signed(other, addr(1), NOW), Reaction::Redraw { .. }));
        let same = Signed { differs: false, ..other };
        assert_eq!(own.on_signed(same, addr(1), NOW), Reaction::Nothing);
        own.advance();
        assert_eq!(own.on_signed(other, addr(1), NOW), Reaction::Nothing, "its own earlier record");
    }

    #[test]
    fn who_is_answered_by_another_process_at_its_own_address_draws_below_it() {
        let mut own = own(5, 1);
        let other = Rank { seniority: 9, draws: 3, boot: 8 };
        let here = Route { addr: Some(addr(1)), via: None };
        // News that names the own address is not taken for a dead process before the own address was asked.
        let news = Signed { route: here, ..record(other, Incarnation::first(6)) };
        assert_eq!(own.on_signed(news, addr(1), NOW), Reaction::Nothing);
        let nonce = ask(&mut own, NOW, 41);
        let mut alone = own.clone();
        assert_eq!(alone.on_ask(nonce, NOW), Answer::Own(Reaction::Jump(Incarnation::first(6))));
        let Reaction::Redraw { below, route, .. } = own.on_claim(nonce, other, here, addr(1), NOW) else {
            panic!("another process is at the own address");
        };
        own.redraw(30, below, route, NOW);
        assert!(own.rank() > other);
    }

    #[test]
    fn epochs_that_no_clock_can_show_are_not_credible_and_jumps_do_not_move_the_bound() {
        let clock = 1 << 62;
        let mut own = own(clock, 1);
        assert!(own.is_credible(clock + TEN_YEARS, 0) && !own.is_credible(clock + TEN_YEARS + 1, 0));
        assert!(own.is_credible(clock + TEN_YEARS + 1, clock + TEN_YEARS), "one step further");
        assert!(own.jump(Incarnation::first(clock + TEN_YEARS), 0));
        assert!(!own.is_credible(clock + TEN_YEARS + STEP, 0));
        // A member without a clock takes every clock of the next decades for right.
        let reset = Identity::new(1, 1);
        assert!(reset.is_credible(1 << 61, 0) && !reset.is_credible(1 << 62, 0));
        assert!(!own.jump(Incarnation::first(Incarnation::EPOCH_END - 1), 0));
    }
}
