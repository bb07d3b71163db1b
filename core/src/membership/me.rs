//! Oneself: the only author of one's record and incarnation (rules A1–A3, A6, B12).

use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::boot::Boot;
use crate::config::Config;
use crate::id::{Incarnation, NodeId};
use crate::outbox::Envelope;
use crate::wire::{Letterhead, RecordFields, cluster_tag};

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
    tag: u64,
    head: Letterhead,
    sequence: u64,
    pub(super) epoch_serial: u64,
    /// Other processes that we stand above, with our incarnation since then; the oldest first.
    rivals: SmallVec<[(u64, Incarnation); RIVALS_MAX]>,
}

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
        let (tag, incarnation) = (cluster_tag(&config.cluster), Incarnation::first(epoch));
        Self {
            id: boot.id,
            incarnation,
            boot: number,
            addr: boot.addr,
            meta: boot.meta,
            name: boot.name,
            zone: boot.zone,
            shared: config.shared_digest(),
            protocol: config.membership.protocol,
            tag,
            head: Letterhead::new(tag, boot.id, incarnation, number),
            sequence: 0,
            epoch_serial: 0,
            rivals: SmallVec::new(),
        }
    }

    /// The envelope of the next datagram.
    pub(super) const fn envelope(&mut self, receiver: NodeId) -> Envelope<'_> {
        self.sequence += 1;
        Envelope { head: &self.head, receiver, sequence: self.sequence }
    }

    /// Takes a new incarnation.
    fn set_incarnation(&mut self, incarnation: Incarnation) {
        self.incarnation = incarnation;
        self.head = Letterhead::new(self.tag, self.id, incarnation, self.boot);
    }

    /// The next announcement of the same life.
    pub(super) fn advance(&mut self) {
        self.set_incarnation(self.incarnation.next());
    }

    pub(super) const fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    pub(super) const fn tag(&self) -> u64 {
        self.tag
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
        let Some(rival) = boot else {
            return if above { Reaction::Jump } else { Reaction::Nothing };
        };
        match self.rivals.iter().find(|(known, _)| *known == rival) {
            // A dead life cannot know of our jump, so one that went above it lives (rule A2).
            Some((_, jumped)) if heard > *jumped => {
                if self.boot > rival {
                    Reaction::Outlive { rival }
                } else {
                    Reaction::Yield { rival }
                }
            }
            // Both jumped to one incarnation at once, or a life that is over had jumped there before us. Tables keep
            // the greater one's record, so it is the smaller that hears of it and has to move.
            Some(_) if heard == self.incarnation && self.boot < rival => Reaction::Jump,
            Some(_) => Reaction::Nothing,
            None if above => Reaction::Jump,
            // It is over, our own epoch already stands above it; unless it comes back above ours.
            None => {
                self.remember(rival);
                Reaction::Nothing
            }
        }
    }

    /// Notes another process under our id, with our incarnation now.
    fn remember(&mut self, rival: u64) {
        self.rivals.retain(|(other, _)| *other != rival);
        if self.rivals.len() == RIVALS_MAX {
            self.rivals.remove(0);
        }
        self.rivals.push((rival, self.incarnation));
    }

    /// Moves above `heard`, the incarnation of another process; false at the end of all epochs.
    pub(super) fn jump(&mut self, heard: Incarnation, rival: Option<u64>) -> bool {
        let next = Incarnation::first(heard.epoch.max(self.incarnation.epoch) + 1);
        if !next.is_sane() {
            return false;
        }
        self.set_incarnation(next);
        if let Some(rival) = rival {
            self.remember(rival);
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

    #[test]
    fn of_two_twins_exactly_one_yields() {
        let (mut one, mut two) = (me(5, 11), me(6, 22));
        let news = |of: &Me| (of.incarnation, Some(of.boot));
        let react = |me: &mut Me, (heard, process)| me.react(heard, process, false);
        assert_eq!(react(&mut one, news(&two)), Reaction::Jump);
        assert!(one.jump(two.incarnation, Some(22)));
        assert_eq!(react(&mut two, news(&one)), Reaction::Jump);
        assert!(two.jump(one.incarnation, Some(11)));
        // One hears two above its own jump: it lives, and is the greater.
        assert_eq!(react(&mut one, news(&two)), Reaction::Yield { rival: 22 });
        assert!(one.jump(two.incarnation, Some(22)));
        assert_eq!(react(&mut two, news(&one)), Reaction::Outlive { rival: 11 });
    }

    #[test]
    fn of_twins_that_jump_at_once_the_smaller_moves_and_still_yields() {
        let (mut one, mut two) = (me(5, 11), me(5, 22));
        assert!(one.jump(two.incarnation, Some(22)) && two.jump(Incarnation::first(5), Some(11)));
        assert_eq!(one.incarnation, two.incarnation);
        assert_eq!(two.react(one.incarnation, Some(11), false), Reaction::Nothing);
        assert_eq!(one.react(two.incarnation, Some(22), false), Reaction::Jump);
        assert!(one.jump(two.incarnation, Some(22)));
        assert_eq!(two.react(one.incarnation, Some(11), false), Reaction::Outlive { rival: 11 });
        assert!(two.jump(one.incarnation, Some(11)));
        assert_eq!(one.react(two.incarnation, Some(22), false), Reaction::Yield { rival: 22 });
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
