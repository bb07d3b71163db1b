//! The numbers that have been seen of one origin in one epoch (rule C1): a highest number, and the gaps below it.
//!
//! Everything up to the highest number that lies in no gap has been seen, lies below the base, or is given up. A gap is
//! also an entry of the table of wanted ids (rule C7): it holds the members that offered it, the one that was asked,
//! those that could not serve it, and the time at which the next one is asked. So one id has one timer, however many
//! members offer it.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::id::NodeId;
use crate::limits::{GAPS_MAX, SOURCES_MAX};
use crate::time::Time;

/// The numbers that have been seen of one epoch of one origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    top: u64,
    /// True once a message of this epoch was received, or a base is known. Gaps found afterwards are reported as `Lost`
    /// when they are given up; earlier ones may predate this node and are dropped silently (rule C4).
    begun: bool,
    /// The first number that this node may have held.
    start: u64,
    /// The latest ranges above `start` that were given up; this node has never held them either.
    lost: SmallVec<[(u64, u64); 4]>,
    /// The gaps, first to last; none is empty.
    gaps: Vec<Gap>,
}

/// The number of ranges in `Seen::lost`.
const LOST_MAX: usize = 8;

/// Consecutive numbers that exist, or may exist, and have not been received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Gap {
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// The time at which the gap became known.
    pub(crate) since: Time,
    /// Whether the gap is reported as `Lost` when it is given up. It is not if the gap may lie below the base (rule
    /// C4).
    pub(crate) firm: bool,
    /// The time at which the next member is asked for the gap.
    pub(crate) due: Time,
    /// The member that was asked last, unless it has refused.
    pub(crate) asked: Option<NodeId>,
    /// The first number that this member was asked for.
    pub(crate) asked_from: u64,
    /// The members that have offered the gap and were not asked since; the latest is the last.
    pub(crate) sources: SmallVec<[Offer; SOURCES_MAX]>,
    /// The members that could not serve the gap.
    pub(crate) refused: SmallVec<[NodeId; SOURCES_MAX]>,
    /// The number of members in `refused` that say that they no longer hold the gap.
    gone: u8,
}

/// The reason for which a member cannot serve a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The member no longer holds it.
    Gone,
    /// The member does not hold it, and does not say that it ever did.
    Lack,
}

/// A member's statement that it holds messages that are missing here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Offer {
    /// The member that offers.
    pub(crate) from: NodeId,
    /// The round of the digest that makes the offer, or 0.
    pub(crate) round: u32,
    /// Whether asking that member makes the edge to it eager (Plumtree).
    pub(crate) graft: bool,
}

/// A range that was given up, and will never be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GivenUp {
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// Whether the loss is reported to the application.
    pub(crate) told: bool,
}

impl Gap {
    fn new(first: u64, last: u64, firm: bool, now: Time, due: Time) -> Self {
        let (sources, refused) = (SmallVec::new(), SmallVec::new());
        Self { first, last, since: now, firm, due, asked: None, asked_from: 0, sources, refused, gone: 0 }
    }

    /// Notes an offer. It ends an earlier refusal by the same member.
    pub(crate) fn add(&mut self, offer: Offer) {
        if self.refused.contains(&offer.from) {
            self.refused.retain(|id| *id != offer.from);
            self.gone = 0;
        }
        self.sources.retain(|known| known.from != offer.from);
        if self.sources.len() == SOURCES_MAX {
            self.sources.remove(0);
        }
        self.sources.push(offer);
    }

    /// Notes that a member cannot serve the gap.
    pub(crate) fn refuse(&mut self, by: NodeId, why: Refusal) {
        self.sources.retain(|offer| offer.from != by);
        if self.asked == Some(by) {
            self.asked = None;
        }
        if !self.refused.contains(&by) && self.refused.len() < crate::limits::REFUSALS_MAX {
            self.refused.push(by);
            self.gone += u8::from(why == Refusal::Gone);
        }
    }

    /// Whether no member will serve the gap: `needed` members could not, and none offers it.
    pub(crate) fn is_refused(&self, needed: usize) -> bool {
        self.sources.is_empty() && self.refused.len() >= needed
    }

    /// Whether the gap predates this node: `needed` members no longer hold it, and no message was received that was
    /// sent before it.
    fn is_before(&self, needed: usize) -> bool {
        !self.firm && self.sources.is_empty() && usize::from(self.gone) >= needed.max(1)
    }
}

impl Seen {
    /// Begins an epoch of which the numbers up to `base` are not wanted. If `base` is 0, it is not known yet which
    /// numbers predate this node.
    pub(crate) fn new(base: u64) -> Self {
        Self { top: base, begun: base > 0, start: base + 1, lost: SmallVec::new(), gaps: Vec::new() }
    }

    /// Makes an epoch that ended at `top` before this node heard of it.
    pub(crate) fn over(top: u64) -> Self {
        Self { top, begun: false, start: top + 1, lost: SmallVec::new(), gaps: Vec::new() }
    }

    /// Restores an epoch as it was written to disk: a highest number and the gaps below it.
    pub(crate) fn restore(top: u64, gaps: &[(u64, u64)], now: Time) -> Self {
        let gaps = gaps.iter().map(|(first, last)| Gap::new(*first, *last, true, now, now)).collect();
        Self { top, begun: true, start: 1, lost: SmallVec::new(), gaps }
    }

    /// The highest number that is known to exist.
    pub(crate) const fn top(&self) -> u64 {
        self.top
    }

    /// The ranges that this node has never held, as far as it remembers, in ascending order.
    pub(crate) fn never_had(&self) -> Vec<(u64, u64)> {
        let gaps = self.gaps.iter().map(|gap| (gap.first, gap.last));
        let mut all: Vec<_> =
            gaps.chain(self.lost.iter().copied()).chain([(self.top + 1, u64::MAX)]).collect();
        if self.start > 1 {
            all.push((1, self.start - 1));
        }
        all.sort_unstable();
        all
    }

    /// The highest number up to which everything has been seen or given up.
    pub(crate) fn contiguous(&self) -> u64 {
        self.gaps.first().map_or(self.top, |gap| gap.first - 1)
    }

    pub(crate) fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    pub(crate) fn gaps_mut(&mut self) -> &mut [Gap] {
        &mut self.gaps
    }

    /// The index of the gap in which `seq` lies (`Ok`), or of the first gap behind it (`Err`).
    fn find(&self, seq: u64) -> Result<usize, usize> {
        let place = self.gaps.partition_point(|gap| gap.last < seq);
        if self.gaps.get(place).is_some_and(|gap| gap.first <= seq) { Ok(place) } else { Err(place) }
    }

    pub(crate) fn has(&self, seq: u64) -> bool {
        seq <= self.top && self.find(seq).is_err()
    }

    /// Learns that the numbers up to `top` exist. Returns whether this is news. The new numbers become a gap, which is
    /// requested from `due` on.
    pub(crate) fn learn(&mut self, top: u64, now: Time, due: Time) -> bool {
        let firm = self.begun;
        if top <= self.top {
            return false;
        }
        let first = core::mem::replace(&mut self.top, top) + 1;
        match self.gaps.last_mut() {
            // The last gap still waits for its first phase, as the new numbers do, so both become one gap.
            Some(gap)
                if gap.last + 1 == first && gap.asked.is_none() && gap.due > now && gap.firm == firm =>
            {
                gap.last = top;
            }
            _ => self.gaps.push(Gap::new(first, top, firm, now, due)),
        }
        true
    }

    /// Takes the message `seq`. Returns whether it is new. The unseen numbers before it become a gap, which is
    /// requested from `due` on.
    pub(crate) fn take(&mut self, seq: u64, now: Time, due: Time) -> bool {
        if seq > self.top {
            self.learn(seq - 1, now, due);
            self.top = seq;
            self.begun = true;
            return true;
        }
        let Ok(place) = self.find(seq) else { return false };
        self.begun = true;
        // Gaps behind a message that was received do not predate this node.
        self.gaps[place + 1..].iter_mut().for_each(|gap| gap.firm = true);
        let gap = &mut self.gaps[place];
        match (gap.first == seq, gap.last == seq) {
            (true, true) => {
                self.gaps.remove(place);
            }
            (true, false) => {
                gap.first += 1;
                gap.firm = true;
            }
            (false, true) => gap.last -= 1,
            (false, false) => {
                let mut behind = gap.clone();
                behind.first = seq + 1;
                behind.firm = true;
                gap.last = seq - 1;
                self.gaps.insert(place + 1, behind);
            }
        }
        true
    }

    /// The gaps within a range. A gap that crosses an end of the range is split there, if there is room for one more
    /// gap.
    pub(crate) fn within(&mut self, first: u64, last: u64) -> &mut [Gap] {
        self.cut_at(first);
        self.cut_at(last.saturating_add(1));
        let start = self.gaps.partition_point(|gap| gap.last < first);
        let end = self.gaps.partition_point(|gap| gap.first <= last);
        &mut self.gaps[start..end.max(start)]
    }

    /// Splits the gap that contains `seq`, so that a gap begins at `seq`.
    fn cut_at(&mut self, seq: u64) {
        let Ok(place) = self.find(seq) else { return };
        if self.gaps[place].first == seq || self.gaps.len() >= GAPS_MAX {
            return;
        }
        let mut behind = self.gaps[place].clone();
        behind.first = seq;
        self.gaps[place].last = seq - 1;
        self.gaps.insert(place + 1, behind);
    }

    /// Gives up the oldest gaps if there are too many (rule C1).
    pub(crate) fn bound(&mut self, given_up: &mut Vec<GivenUp>) {
        let excess = self.gaps.len().saturating_sub(GAPS_MAX);
        for gap in self.gaps.drain(..excess) {
            given_up.push(GivenUp { first: gap.first, last: gap.last, told: true });
        }
        self.begin_after(given_up);
    }

    /// Gives up the gaps that predate this node, silently, and those that are `hopeless`, which are reported.
    pub(crate) fn give_up(
        &mut self,
        needed: usize,
        mut hopeless: impl FnMut(&Gap) -> bool,
        given_up: &mut Vec<GivenUp>,
    ) {
        // If one gap predates this node, so do those below it.
        let before = self.gaps.iter().rposition(|gap| gap.is_before(needed)).map_or(0, |last| last + 1);
        for gap in self.gaps.drain(..before) {
            self.start = gap.last + 1;
            given_up.push(GivenUp { first: gap.first, last: gap.last, told: false });
        }
        self.gaps.retain(|gap| {
            let hopeless = hopeless(gap);
            if hopeless {
                given_up.push(GivenUp { first: gap.first, last: gap.last, told: true });
            }
            !hopeless
        });
        self.begin_after(given_up);
    }

    /// Remembers the ranges that were given up. Gaps behind a range that is reported as lost do not predate this node.
    fn begin_after(&mut self, given_up: &[GivenUp]) {
        for gap in given_up.iter().filter(|gap| gap.told) {
            if self.lost.len() == LOST_MAX {
                self.lost.remove(0);
            }
            self.lost.push((gap.first, gap.last));
        }
        let Some(told) = given_up.iter().find(|gap| gap.told).map(|gap| gap.last) else { return };
        self.begun = true;
        self.gaps.iter_mut().filter(|gap| gap.first > told).for_each(|gap| gap.firm = true);
    }

    pub(crate) fn check(&self) {
        let mut after = 1;
        for gap in &self.gaps {
            assert!(gap.first >= after && gap.first <= gap.last, "gaps are in order and not empty");
            after = gap.last + 1;
        }
        assert!(after <= self.top + 1, "gaps lie below the highest number");
        assert!(self.gaps.len() <= GAPS_MAX, "gaps are bounded");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::ZERO;

    fn gaps(seen: &Seen) -> Vec<(u64, u64)> {
        seen.gaps.iter().map(|gap| (gap.first, gap.last)).collect()
    }

    fn seen(base: u64, taken: &[u64]) -> Seen {
        let mut seen = Seen::new(base);
        for seq in taken {
            assert!(seen.take(*seq, NOW, NOW), "{seq} is news");
            assert!(!seen.take(*seq, NOW, NOW), "{seq} is no news twice");
            seen.check();
        }
        seen
    }

    #[test]
    fn numbers_in_any_order_end_in_one_mark() {
        #[track_caller]
        fn check(base: u64, taken: &[u64], contiguous: u64, expected: &[(u64, u64)]) {
            let seen = seen(base, taken);
            assert_eq!((seen.contiguous(), gaps(&seen).as_slice()), (contiguous, expected));
        }
        check(0, &[1, 2, 3], 3, &[]);
        check(0, &[3], 0, &[(1, 2)]);
        check(0, &[3, 1, 2], 3, &[]);
        check(0, &[5, 3], 0, &[(1, 2), (4, 4)]);
        check(0, &[9, 5, 1], 1, &[(2, 4), (6, 8)]);
        check(7, &[8, 10], 8, &[(9, 9)]);
    }

    #[test]
    fn numbers_below_the_base_are_no_news() {
        let mut seen = Seen::new(7);
        assert!(!seen.take(7, NOW, NOW));
        assert!(seen.has(1));
    }

    #[test]
    fn a_range_is_cut_out_of_a_longer_gap() {
        let mut seen = seen(0, &[10]);
        assert_eq!(seen.within(3, 5).len(), 1);
        assert_eq!(gaps(&seen), [(1, 2), (3, 5), (6, 9)]);
        assert_eq!(seen.within(1, 9).len(), 3);
        assert!(seen.within(10, 20).is_empty());
    }

    #[test]
    fn numbers_that_were_given_up_are_no_news() {
        let mut seen = seen(0, &[10]);
        let mut given_up = Vec::new();
        seen.give_up(3, |gap| gap.last == 9, &mut given_up);
        assert_eq!(given_up, [GivenUp { first: 1, last: 9, told: true }]);
        assert!(!seen.take(4, NOW, NOW));
    }

    #[test]
    fn only_gaps_before_all_received_messages_may_predate_this_node() {
        let firm = |seen: &Seen| seen.gaps.iter().map(|gap| gap.firm).collect::<Vec<_>>();
        let mut seen = seen(0, &[10]);
        seen.within(3, 5);
        assert_eq!(firm(&seen), [false, false, false]);
        assert!(seen.take(4, NOW, NOW));
        assert_eq!(
            (gaps(&seen), firm(&seen)),
            (vec![(1, 2), (3, 3), (5, 5), (6, 9)], vec![false, false, true, true])
        );
        seen.learn(12, NOW, NOW);
        assert_eq!(firm(&seen).last(), Some(&true));
    }

    #[test]
    fn a_gap_that_enough_members_no_longer_hold_predates_this_node_and_so_do_earlier_gaps() {
        let mut seen = seen(0, &[10]);
        for by in 1..=3 {
            seen.within(5, 6).iter_mut().for_each(|gap| gap.refuse(NodeId(by), Refusal::Gone));
            seen.within(7, 9).iter_mut().for_each(|gap| gap.refuse(NodeId(by), Refusal::Lack));
        }
        let mut given_up = Vec::new();
        seen.give_up(3, |_| false, &mut given_up);
        let silent = |first, last| GivenUp { first, last, told: false };
        assert_eq!((given_up, gaps(&seen)), (vec![silent(1, 4), silent(5, 6)], vec![(7, 9)]));
    }

    #[test]
    fn gaps_are_bounded() {
        let mut seen = Seen::new(0);
        for seq in (2..).step_by(2).take(GAPS_MAX + 1) {
            assert!(seen.take(seq, NOW, NOW));
        }
        let mut given_up = Vec::new();
        seen.bound(&mut given_up);
        assert_eq!(given_up, [GivenUp { first: 1, last: 1, told: true }]);
    }

    #[test]
    fn an_offer_is_kept_once_and_a_refusal_ends_it() {
        let mut gap = Gap::new(1, 1, true, NOW, NOW);
        let offer = |from, round| Offer { from: NodeId(from), round, graft: false };
        gap.add(offer(2, 1));
        gap.add(offer(2, 5));
        assert_eq!(gap.sources.as_slice(), [offer(2, 5)]);
        gap.refuse(NodeId(2), Refusal::Lack);
        assert!(gap.sources.is_empty() && gap.refused.as_slice() == [NodeId(2)]);
    }
}
