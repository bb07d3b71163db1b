//! This node's own record and incarnation, which no other node may change (rules A1–A3, A6, B12).

use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::rules::Claim;
use super::{Membership, Source, send};
use crate::action::Notice;
use crate::boot::{Boot, Phase};
use crate::config::Config;
use crate::context::{Ctx, Signal};
use crate::error::Misbehavior;
use crate::id::{Incarnation, NodeId};
use crate::id::{MemberState, Slot};
use crate::wire::{Accused, Alive, Record, RecordFields, Standing};

/// The number of other processes with the own id that are remembered, to tell an ended process from a running twin.
const RIVALS_MAX: usize = 4;

/// The content of the own record, and the other processes that have used the own id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Own {
    pub(super) id: NodeId,
    incarnation: Incarnation,
    pub(super) boot: u64,
    pub(super) addr: SocketAddr,
    pub(super) meta: Vec<u8>,
    name: String,
    zone: String,
    shared: u64,
    protocol: (u8, u8),
    epoch_serial: u64,
    /// The other processes with the own id that this one has moved above; the oldest is the first.
    rivals: SmallVec<[Rival; RIVALS_MAX]>,
}

/// Another process with the own id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Rival {
    boot: u64,
    /// The own incarnation at the time when this node last moved above the rival.
    above: Incarnation,
    /// The number of times that the rival was heard above this node again.
    returns: u8,
}

/// The number of returns that do not prove a running process: news may arrive in any order, so an ended process may be
/// heard at a higher incarnation than the first time. A rival that returns more often is running.
const RETURNS_BY_OLD_NEWS: u8 = 1;

/// The reaction to news about the own id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reaction {
    /// Nothing follows, because the news is old.
    Nothing,
    /// The node refutes: it publishes its record with the next incarnation.
    Refute,
    /// The node moves to an epoch above one that it has not issued itself.
    Jump,
    /// A twin is running and has to give way to this node.
    Outlive { rival: u64 },
    /// A twin is running, and this node gives way to it.
    Yield { rival: u64 },
}

impl Own {
    pub(super) fn new(boot: Boot, epoch: u64, number: u64, config: &Config) -> Self {
        Self {
            id: boot.id,
            incarnation: Incarnation::first(epoch),
            boot: number,
            addr: boot.addr,
            meta: boot.meta,
            name: boot.name,
            zone: boot.zone,
            shared: config.shared_digest(),
            protocol: config.membership.protocol,
            epoch_serial: 0,
            rivals: SmallVec::new(),
        }
    }

    /// Takes the next incarnation of the same epoch.
    pub(super) fn advance(&mut self) {
        self.incarnation = self.incarnation.next();
    }

    pub(super) const fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    pub(super) const fn shared(&self) -> u64 {
        self.shared
    }

    /// The bytes of the own record.
    pub(super) fn record(&self) -> Vec<u8> {
        let fields = RecordFields {
            id: self.id,
            incarnation: self.incarnation,
            boot: self.boot,
            shared: self.shared,
            roster: 0,
            priority: 0,
            protocol: self.protocol,
            eligible: true,
            addr: self.addr,
            name: &self.name,
            zone: &self.zone,
            meta: &self.meta,
        };
        fields.encode()
    }

    /// Decides on the news that this node is at the incarnation `heard`. `accuses` says whether the news states another
    /// state than Alive. `boot` is the process that published the record behind the news, if the news names it.
    pub(super) fn react(&mut self, heard: Incarnation, boot: Option<u64>, accuses: bool) -> Reaction {
        let foreign = boot.is_some_and(|boot| boot != self.boot);
        if !foreign && heard <= self.incarnation {
            let refutes = accuses && heard == self.incarnation;
            return if refutes { Reaction::Refute } else { Reaction::Nothing };
        }
        let above = heard.epoch >= self.incarnation.epoch;
        // News that names no process is attributed to the rival that was met last.
        let unsaid = || self.rivals.last().map(|known| known.boot);
        let Some(rival) = boot.filter(|boot| *boot != self.boot).or_else(unsaid) else {
            return if above { Reaction::Jump } else { Reaction::Nothing };
        };
        let known = self.rivals.iter().find(|known| known.boot == rival).copied();
        match known {
            // An ended process does not react to our jumps, so one that keeps moving above them is running (rule A2).
            Some(known) if heard > known.above && known.returns >= RETURNS_BY_OLD_NEWS => {
                if self.boot > rival { Reaction::Outlive { rival } } else { Reaction::Yield { rival } }
            }
            Some(known) if heard > known.above => Reaction::Jump,
            // Both processes jumped to one incarnation at once, or an ended process had jumped there before. Tables
            // keep the record with the greater boot, so the process with the smaller boot must move.
            Some(_) if heard == self.incarnation && self.boot < rival => Reaction::Jump,
            Some(_) => Reaction::Nothing,
            None if above => Reaction::Jump,
            // Our epoch is above the rival's, so the rival has ended, unless it is heard above ours later.
            None => {
                self.remember(rival, 0);
                Reaction::Nothing
            }
        }
    }

    /// Remembers another process with the own id, which this one is above.
    fn remember(&mut self, boot: u64, returns: u8) {
        self.rivals.retain(|known| known.boot != boot);
        if self.rivals.len() == RIVALS_MAX {
            self.rivals.remove(0);
        }
        self.rivals.push(Rival { boot, above: self.incarnation, returns });
    }

    /// Moves to an epoch above `heard`, the incarnation of another process. Returns false if there is no such epoch.
    pub(super) fn jump(&mut self, heard: Incarnation, rival: Option<u64>) -> bool {
        let next = Incarnation::first(heard.epoch.max(self.incarnation.epoch) + 1);
        if !next.is_sane() {
            return false;
        }
        self.incarnation = next;
        let rival = rival.filter(|boot| *boot != self.boot).or(self.rivals.last().map(|known| known.boot));
        if let Some(rival) = rival {
            let known = self.rivals.iter().find(|known| known.boot == rival);
            let returns =
                known.map_or(0, |known| known.returns.saturating_add(u8::from(heard > known.above)));
            self.remember(rival, returns);
        }
        true
    }
}

impl Membership {
    /// Handles the state in which the sender holds this node (rule A4). If the sender is wrong, it is sent the own
    /// record at once.
    pub(super) fn on_accused(&mut self, source: &Source, accused: &Accused, cx: &mut Ctx<'_>) {
        let Accused { incarnation, state, removed, boot } = *accused;
        if !incarnation.is_sane() {
            return cx.stats.count_misbehavior(Misbehavior::Incarnation);
        }
        let before = self.own.incarnation();
        if removed && incarnation == before {
            return self.on_removed(cx);
        }
        self.on_self(Claim::new(incarnation, state), (boot != 0).then_some(boot), cx);
        let moved = self.own.incarnation() > before;
        let believed = matches!(source.standing, Standing::Member | Standing::Validated);
        let corrects = moved || (believed && incarnation < self.own.incarnation());
        if corrects && self.phase == Phase::Running {
            let record = self.own.record();
            send(source.from, source.sender, &[Alive(Record::trusted(&record)).into()], cx);
        }
    }

    /// Handles news about this node itself. `boot` is the process that published the record behind the news, if the
    /// news names it.
    pub(super) fn on_self(&mut self, heard: Claim, boot: Option<u64>, cx: &mut Ctx<'_>) {
        // A leaving node that refuted would undo its own leave (rule B12).
        if self.phase != Phase::Running {
            return;
        }
        match self.own.react(heard.incarnation, boot, heard.state != MemberState::Alive) {
            Reaction::Nothing => {}
            Reaction::Refute => {
                cx.stats.refutations += 1;
                self.health.worsen(1, cx.config);
                self.bump_incarnation(cx);
            }
            Reaction::Jump => self.jump(heard.incarnation, boot, cx),
            Reaction::Outlive { rival } => {
                cx.out.notify(Notice::IdentityConflict { other: rival, stopped: false });
                self.jump(heard.incarnation, Some(rival), cx);
            }
            Reaction::Yield { rival } => {
                cx.out.notify(Notice::IdentityConflict { other: rival, stopped: true });
                self.stop(Phase::Ended, cx);
            }
        }
    }

    /// Moves above an epoch of the own id that an earlier process has used for its data (rule A1).
    pub(crate) fn leave_epoch(&mut self, epoch: u64, cx: &mut Ctx<'_>) {
        if self.is_running() && epoch >= self.own.incarnation().epoch {
            self.jump(Incarnation::first(epoch), None, cx);
        }
    }

    fn jump(&mut self, heard: Incarnation, rival: Option<u64>, cx: &mut Ctx<'_>) {
        if self.own.jump(heard, rival) {
            self.enter_epoch(cx);
            self.install_own_record(cx);
        }
    }

    /// Publishes the own record again, one incarnation higher.
    pub(super) fn bump_incarnation(&mut self, cx: &mut Ctx<'_>) {
        let epoch = self.own.incarnation().epoch;
        self.own.advance();
        if self.own.incarnation().epoch != epoch {
            self.enter_epoch(cx);
        }
        self.install_own_record(cx);
    }

    /// Puts the own record into the table and the own incarnation into every datagram, and spreads the record.
    fn install_own_record(&mut self, cx: &mut Ctx<'_>) {
        let (id, incarnation) = (self.own.id, self.own.incarnation());
        cx.link.set_incarnation(incarnation);
        self.table.set_verdict(id, Claim::new(incarnation, MemberState::Alive), cx.now.as_nanos());
        self.table.set_content(id, &self.own.record(), false);
        self.enqueue_update(id, cx);
        cx.out.notify(Notice::Reincarnated { incarnation });
    }

    fn enter_epoch(&mut self, cx: &mut Ctx<'_>) {
        self.store_epoch(cx);
        cx.signals.push(Signal::NewEpoch(self.own.incarnation().epoch));
    }

    /// Asks the driver to store the epoch, so that the next boot begins above it (rule A1).
    pub(super) fn store_epoch(&mut self, cx: &mut Ctx<'_>) {
        self.own.epoch_serial += 1;
        cx.out.store(Slot::Epoch, self.own.epoch_serial, &self.own.incarnation().epoch.to_le_bytes());
    }

    /// Stops, because an operator has removed this node (rule A7).
    pub(super) fn on_removed(&mut self, cx: &mut Ctx<'_>) {
        if self.phase == Phase::Running {
            cx.out.notify(Notice::Removed);
            self.stop(Phase::Ended, cx);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(epoch: u64, boot: u64) -> Own {
        let addr = "10.0.0.1:1".parse().expect("an address");
        Own::new(Boot::new(NodeId(1), "one", addr, epoch, [0; 32]), epoch, boot, &Config::lan("test"))
    }

    #[test]
    fn own_news_are_refuted_once_and_old_news_ignored() {
        let mut own = own(5, 1);
        let mut check = |epoch, counter, accuses, expected| {
            let heard = Incarnation { epoch, counter };
            assert_eq!(own.react(heard, None, accuses), expected, "{heard} {accuses}");
        };
        check(5, 0, true, Reaction::Refute);
        check(5, 0, false, Reaction::Nothing);
        check(4, 9, true, Reaction::Nothing);
        check(5, 1, false, Reaction::Jump);
        check(6, 0, true, Reaction::Jump);
    }

    #[test]
    fn a_reused_epoch_is_left_at_once() {
        let mut own = own(5, 1);
        assert_eq!(own.react(own.incarnation, Some(1), false), Reaction::Nothing);
        assert_eq!(own.react(own.incarnation, Some(9), false), Reaction::Jump);
    }

    /// Lets two processes hear of each other in turn until one yields. Returns the number of epochs that this took.
    fn fight(one: &mut Own, two: &mut Own) -> u64 {
        let start = one.incarnation.epoch.max(two.incarnation.epoch);
        for _ in 0..20 {
            let (heard, rival) = (two.incarnation, two.boot);
            match one.react(heard, Some(rival), false) {
                Reaction::Jump | Reaction::Outlive { .. } => assert!(one.jump(heard, Some(rival))),
                Reaction::Yield { .. } => return two.incarnation.epoch - start,
                Reaction::Nothing | Reaction::Refute => {}
            }
            core::mem::swap(one, two);
        }
        panic!("nobody yields");
    }

    #[test]
    fn of_two_twins_the_smaller_yields_within_a_few_epochs() {
        for (first, second, jumped) in [(11, 22, false), (22, 11, false), (11, 22, true), (22, 11, true)] {
            let (mut one, mut two) = (own(5, first), own(if jumped { 5 } else { 6 }, second));
            if jumped {
                assert!(
                    one.jump(two.incarnation, Some(second)) && two.jump(Incarnation::first(5), Some(first))
                );
            }
            let epochs = fight(&mut one, &mut two);
            assert_eq!(one.boot, 11, "the smaller has yielded");
            assert!(epochs <= 6, "{epochs} epochs");
        }
    }

    #[test]
    fn a_dead_life_that_turns_up_higher_than_before_is_not_a_twin() {
        let mut own = own(1, 5);
        assert_eq!(own.react(Incarnation::first(1), Some(9), false), Reaction::Jump);
        assert!(own.jump(Incarnation::first(1), Some(9)));
        let later = Incarnation { epoch: 2, counter: 1 };
        assert_eq!(own.react(later, Some(9), true), Reaction::Jump);
        assert!(own.jump(later, Some(9)));
        assert_eq!(own.react(later, Some(9), true), Reaction::Nothing);
    }

    #[test]
    fn a_dead_life_is_jumped_over_once() {
        let mut own = own(5, 1);
        let old = Incarnation { epoch: 100, counter: 3 };
        assert!(own.jump(old, Some(9)));
        assert_eq!(own.incarnation, Incarnation::first(101));
        assert_eq!(own.react(old, Some(9), true), Reaction::Nothing);
        assert!(!own.jump(Incarnation::first(Incarnation::EPOCH_END - 1), None));
    }
}
