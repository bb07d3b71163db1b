//! Oneself: the only author of one's record and incarnation (rules A1–A3, A6, B12).

use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::boot::Boot;
use crate::config::Config;
use crate::id::{Incarnation, NodeId};
use crate::wire::RecordFields;

/// Lives of other processes under our id that are remembered, to tell a dead one from a living twin.
const RIVALS_MAX: usize = 4;

/// What this process says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Me {
    pub(super) id: NodeId,
    incarnation: Incarnation,
    pub(super) boot: u64,
    pub(super) addr: SocketAddr,
    pub(super) meta: Vec<u8>,
    name: String,
    zone: String,
    shared: u64,
    protocol: (u8, u8),
    pub(super) epoch_serial: u64,
    /// Other processes that we stand above, with our incarnation since then; the oldest first.
    rivals: SmallVec<[Rival; RIVALS_MAX]>,
}

/// Another process under our id, as far as we have met it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Rival {
    boot: u64,
    /// Our incarnation since we stand above it.
    above: Incarnation,
    /// How often it has come back above us.
    returns: u8,
}

/// A life that is over may turn up at a higher incarnation than it was first heard at, since old news come in any
/// order. One that comes back above us so often lives.
const RETURNS_OF_THE_DEAD: u8 = 1;

/// What to do about news of oneself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reaction {
    /// Old news.
    Nothing,
    /// Say again that we live, one counter higher.
    Refute,
    /// Move above a life that is not ours.
    Jump,
    /// Another process lives, and gives way to us.
    Outlive { rival: u64 },
    /// Another process lives, and we give way to it.
    Yield { rival: u64 },
}

impl Me {
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

    /// The next announcement of the same life.
    pub(super) fn advance(&mut self) {
        self.incarnation = self.incarnation.next();
    }

    pub(super) const fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    pub(super) const fn shared(&self) -> u64 {
        self.shared
    }

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

    /// Somebody holds us at `heard`, in a state that `accuses` us or not; `boot` is the process that the news stems
    /// from, if it says so.
    pub(super) fn react(&mut self, heard: Incarnation, boot: Option<u64>, accuses: bool) -> Reaction {
        let foreign = boot.is_some_and(|boot| boot != self.boot);
        if !foreign && heard <= self.incarnation {
            let refutes = accuses && heard == self.incarnation;
            return if refutes { Reaction::Refute } else { Reaction::Nothing };
        }
        let above = heard.epoch >= self.incarnation.epoch;
        // News that do not say whose life they mean are put down to the rival that we met last.
        let unsaid = || self.rivals.last().map(|known| known.boot);
        let Some(rival) = boot.filter(|boot| *boot != self.boot).or_else(unsaid) else {
            return if above { Reaction::Jump } else { Reaction::Nothing };
        };
        let known = self.rivals.iter().find(|known| known.boot == rival).copied();
        match known {
            // A dead life cannot know of our jumps, so one that keeps going above them lives (rule A2).
            Some(known) if heard > known.above && known.returns >= RETURNS_OF_THE_DEAD => {
                if self.boot > rival { Reaction::Outlive { rival } } else { Reaction::Yield { rival } }
            }
            Some(known) if heard > known.above => Reaction::Jump,
            // Both jumped to one incarnation at once, or a life that is over had jumped there before us. Tables keep
            // the greater one's record, so it is the smaller that hears of it and has to move.
            Some(_) if heard == self.incarnation && self.boot < rival => Reaction::Jump,
            Some(_) => Reaction::Nothing,
            None if above => Reaction::Jump,
            // It is over, our own epoch already stands above it; unless it comes back above ours.
            None => {
                self.remember(rival, 0);
                Reaction::Nothing
            }
        }
    }

    /// Notes another process under our id, which we now stand above.
    fn remember(&mut self, boot: u64, returns: u8) {
        self.rivals.retain(|known| known.boot != boot);
        if self.rivals.len() == RIVALS_MAX {
            self.rivals.remove(0);
        }
        self.rivals.push(Rival { boot, above: self.incarnation, returns });
    }

    /// Moves above `heard`, the incarnation of another process; false at the end of all epochs.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::Boot;

    fn me(epoch: u64, boot: u64) -> Me {
        let addr = "10.0.0.1:1".parse().expect("an address");
        Me::new(Boot::new(NodeId(1), "one", addr, epoch, [0; 32]), epoch, boot, &Config::lan("test"))
    }

    #[test]
    fn own_news_are_refuted_once_and_old_news_ignored() {
        let mut me = me(5, 1);
        let mut check = |epoch, counter, accuses, expected| {
            let heard = Incarnation { epoch, counter };
            assert_eq!(me.react(heard, None, accuses), expected, "{heard} {accuses}");
        };
        check(5, 0, true, Reaction::Refute);
        check(5, 0, false, Reaction::Nothing);
        check(4, 9, true, Reaction::Nothing);
        check(5, 1, false, Reaction::Jump);
        check(6, 0, true, Reaction::Jump);
    }

    #[test]
    fn a_reused_epoch_is_left_at_once() {
        let mut me = me(5, 1);
        assert_eq!(me.react(me.incarnation, Some(1), false), Reaction::Nothing);
        assert_eq!(me.react(me.incarnation, Some(9), false), Reaction::Jump);
    }

    /// Lets each hear of the other in turn, until one yields; the epochs that it took.
    fn fight(one: &mut Me, two: &mut Me) -> u64 {
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
            let (mut one, mut two) = (me(5, first), me(if jumped { 5 } else { 6 }, second));
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
        let mut me = me(1, 5);
        assert_eq!(me.react(Incarnation::first(1), Some(9), false), Reaction::Jump);
        assert!(me.jump(Incarnation::first(1), Some(9)));
        let later = Incarnation { epoch: 2, counter: 1 };
        assert_eq!(me.react(later, Some(9), true), Reaction::Jump);
        assert!(me.jump(later, Some(9)));
        assert_eq!(me.react(later, Some(9), true), Reaction::Nothing);
    }

    #[test]
    fn a_dead_life_is_jumped_over_once() {
        let mut me = me(5, 1);
        let old = Incarnation { epoch: 100, counter: 3 };
        assert!(me.jump(old, Some(9)));
        assert_eq!(me.incarnation, Incarnation::first(101));
        assert_eq!(me.react(old, Some(9), true), Reaction::Nothing);
        assert!(!me.jump(Incarnation::first(Incarnation::EPOCH_END - 1), None));
    }
}
