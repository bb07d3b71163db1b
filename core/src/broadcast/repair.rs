//! The repair: pbcast's rounds (digest, solicit, retransmit) and the pull (rules C3 and C5).

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::cache::Cache;
use super::seen::{Offer, Refusal};
use super::{Broadcast, Timer};
use crate::config::{self, FirstPhase, Ratio, Repair};
use crate::context::Ctx;
use crate::id::{MessageId, NodeId};
use crate::membership::Peers;
use crate::reconcile::Partner;
use crate::time::Time;
use crate::wire::{self, DIGEST_BYTES, DIGEST_GAPS_MAX, Digest, DigestEntry, EVERYONE, PULL, RUN_BYTES, Run};

/// Datagrams of one digest.
const DIGEST_DATAGRAMS_MAX: usize = 4;
/// Messages of one origin that a digest looks through for gaps.
const DIGEST_DEPTH: usize = 1_024;
/// Bytes of one entry at the most.
const ENTRY_BYTES_MAX: usize = RUN_BYTES + 1 + 16 * DIGEST_GAPS_MAX;

/// Where the rounds stand. Everyone numbers its own (pbcast).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct RoundState {
    number: u32,
    /// Messages that are still told of, the oldest first.
    hot: VecDeque<MessageId>,
    /// Bytes served since then.
    served: u32,
    served_since: Time,
    /// Where the next pull begins: its digest may not hold all origins.
    cursor: u64,
    /// Reused: what a flush has sent.
    #[serde(skip)]
    pub(super) sent: Vec<MessageId>,
}

impl RoundState {
    pub(super) const fn number(&self) -> u32 {
        self.number
    }

    /// A message has come, and will be told of.
    pub(super) fn add(&mut self, id: MessageId) {
        self.hot.push_back(id);
    }

    /// What is still told of.
    pub(super) fn hot(&self) -> impl Iterator<Item = MessageId> {
        self.hot.iter().copied()
    }

    /// Whether so many bytes more may be served in this interval.
    pub(super) fn may_serve(&mut self, bytes: u32, every: Duration, most: u32, now: Time) -> bool {
        if now.since(self.served_since) >= every {
            self.served_since = now;
            self.served = 0;
        }
        let served = self.served.saturating_add(bytes);
        if served > most {
            return false;
        }
        self.served = served;
        true
    }
}

/// How many members a digest goes to: none without peers, messages or β, else ⌊β · peers⌋ + 1, and never more than
/// there are or may be.
pub(super) fn fanout(beta: Ratio, peers: usize, messages: usize, most: usize) -> usize {
    if peers == 0 || messages == 0 || beta.of == 0 {
        return 0;
    }
    let share = u128::from(beta.of) * (peers as u128) / u128::from(beta.out_of);
    usize::try_from(share).unwrap_or(usize::MAX).saturating_add(1).min(peers).min(most)
}

impl Broadcast {
    /// Makes the next round due, if there is something to do in it.
    pub(super) fn arm_repair(&mut self, cx: &Ctx<'_>) {
        let period = match cx.config.broadcast.repair {
            Repair::None => return self.rounds.hot.clear(),
            Repair::Rounds(_) if self.rounds.hot.is_empty() && !self.drops_by_rounds(cx) => return,
            Repair::Rounds(rounds) => rounds.period,
            Repair::Pull { period, .. } => period,
        };
        if self.deadlines.at(Timer::Round).is_none() && !self.stopped {
            // Within a tenth around it, so that a group does not go in step.
            let jitter = self.rng.jitter(period / 5);
            self.arm(Timer::Round, cx.now + period * 9 / 10 + jitter, cx);
        }
    }

    fn drops_by_rounds(&self, cx: &Ctx<'_>) -> bool {
        cx.config.broadcast.keep_rounds.is_some() && self.cache.len() > 0
    }

    pub(super) fn on_round(&mut self, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        self.rounds.number = self.rounds.number.wrapping_add(1).max(1);
        match cx.config.broadcast.repair {
            Repair::None => {}
            Repair::Rounds(rounds) => self.send_digests(rounds, peers, cx),
            Repair::Pull { fanout, .. } => self.send_pulls(fanout.into(), peers, cx),
        }
        self.drop_old(cx);
        self.arm_repair(cx);
    }

    /// Drops what has been kept for its rounds, whatever became of it (pbcast).
    fn drop_old(&mut self, cx: &Ctx<'_>) {
        let Some(keep) = cx.config.broadcast.keep_rounds else { return };
        let now = self.rounds.number;
        let old = |cache: &Cache| {
            let (id, cached) = cache.oldest()?;
            (now.wrapping_sub(cached.round) > keep && cached.queued == 0).then_some(id)
        };
        while let Some(id) = old(&self.cache) {
            self.cache.remove(id);
        }
    }

    fn send_digests(&mut self, rounds: config::Rounds, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        let (now, number) = (cx.now, self.rounds.number);
        let told = |cached: &super::cache::Cached| number.wrapping_sub(cached.round) > rounds.rounds.into();
        self.rounds.hot.retain(|id| self.cache.get(*id).is_some_and(|cached| !told(cached)));
        // What has just come may be on its way to the others as well.
        let patience = cx.config.broadcast.request_delay;
        let ripe: Vec<MessageId> = self
            .rounds
            .hot
            .iter()
            .rev()
            .filter(|id| self.cache.get(**id).is_some_and(|cached| now.since(cached.received) >= patience))
            .copied()
            .collect();
        let fanout = fanout(rounds.beta, peers.others(), ripe.len(), rounds.fanout_max.into());
        if fanout == 0 {
            return;
        }
        let digests = self.digests_of(&ripe, patience, cx);
        let mut chosen = core::mem::take(&mut self.chosen);
        chosen.clear();
        self.choose(fanout, peers, cx, &mut chosen, |_| true);
        for to in &chosen {
            let Some(addr) = peers.receiver(*to) else { continue };
            for bytes in &digests {
                let mut letter = cx.letter(addr, *to);
                letter.push(&Digest::of(0, number, EVERYONE, bytes).into());
                letter.send();
            }
        }
        self.chosen = chosen;
    }

    /// What we hold of the origins of these messages, the latest first, in as many digests as may be.
    fn digests_of(&self, ids: &[MessageId], patience: Duration, cx: &Ctx<'_>) -> Vec<Vec<u8>> {
        let mut listed: Vec<(NodeId, u64)> = Vec::new();
        let mut digests = Digests::new(cx.config.payload_max());
        for id in ids {
            if listed.contains(&(id.origin, id.epoch)) {
                continue;
            }
            if !digests.has_room() {
                break;
            }
            listed.push((id.origin, id.epoch));
            self.put_held(id.origin, id.epoch, cx.now, patience, &mut digests);
        }
        digests.all
    }

    /// One entry: what we hold of an epoch, the numbers between that we do not hold as gaps.
    fn put_held(&self, origin: NodeId, epoch: u64, now: Time, patience: Duration, digests: &mut Digests) {
        let ripe = |cached: &super::cache::Cached| now.since(cached.received) >= patience;
        let mut held = self.cache.of(origin, epoch).rev().skip_while(|(_, cached)| !ripe(cached));
        let Some((high, _)) = held.next() else { return };
        let (mut low, mut gaps) = (high, Vec::new());
        for (seq, _) in held.take(DIGEST_DEPTH) {
            if seq + 1 < low {
                if gaps.len() == DIGEST_GAPS_MAX {
                    break;
                }
                gaps.push((seq + 1, low - 1));
            }
            low = seq;
        }
        gaps.reverse();
        digests.put(Run { origin, epoch, first: low, last: high }, &gaps);
    }

    /// Somebody has these (pbcast's gossip): what we lack is asked for at once.
    pub(super) fn on_digest(
        &mut self,
        from: Partner,
        digest: &Digest<'_>,
        peers: Peers<'_>,
        cx: &mut Ctx<'_>,
    ) {
        let tree = matches!(cx.config.broadcast.first, FirstPhase::Tree { .. });
        let offer = Offer { from: from.id, round: digest.round, graft: tree };
        for entry in digest.entries() {
            let DigestEntry { origin, epoch, low, high, .. } = entry;
            if origin != self.me && !peers.is_origin(origin) {
                self.ask_record(origin, from, peers, cx);
                continue;
            }
            // Of the history, where none is wanted, nothing: what it lists has been sent before.
            if self.is_current(origin, epoch, high, cx) || self.open(origin, epoch, high + 1, cx).is_none() {
                continue;
            }
            let mut first = low;
            for (gap_first, gap_last) in entry.gaps() {
                if first < gap_first {
                    let run = Run { origin, epoch, first, last: gap_first - 1 };
                    self.on_offer(run, offer, cx.now, peers, cx);
                }
                first = gap_last + 1;
            }
            self.on_offer(Run { origin, epoch, first, last: high }, offer, cx.now, peers, cx);
            if low > 1 {
                self.refuse(Run { origin, epoch, first: 1, last: low - 1 }, from.id, Refusal::Lack, cx);
            }
        }
    }

    /// Says what we have seen to random members, who send what we lack.
    fn send_pulls(&mut self, fanout: usize, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        let mut digests = Digests::new(cx.config.payload_max());
        let start = NodeId(self.rounds.cursor);
        let mut end = NodeId(u64::MAX);
        for (origin, known) in self.origins.range(start..) {
            if !digests.has_room() {
                end = NodeId(origin.0 - 1);
                break;
            }
            digests.begin_origin();
            for epoch in known.epochs.iter().filter(|epoch| epoch.seen.top() > 0) {
                let gaps: Vec<(u64, u64)> =
                    epoch.seen.gaps().iter().map(|gap| (gap.first, gap.last)).collect();
                // With more gaps than an entry holds, it ends before the next one.
                let last = gaps.get(DIGEST_GAPS_MAX).map_or(epoch.seen.top(), |gap| gap.0 - 1);
                let run = Run { origin: *origin, epoch: epoch.epoch, first: 1, last };
                if last > 0 {
                    digests.put(run, &gaps[..gaps.len().min(DIGEST_GAPS_MAX)]);
                }
            }
        }
        self.rounds.cursor = end.0.wrapping_add(1);
        let mut chosen = core::mem::take(&mut self.chosen);
        chosen.clear();
        self.choose(fanout, peers, cx, &mut chosen, |_| true);
        digests.bounds(start, end);
        for to in &chosen {
            let Some(addr) = peers.receiver(*to) else { continue };
            for (bytes, origins) in digests.all.iter().zip(&digests.origins) {
                let mut letter = cx.letter(addr, *to);
                let digest = Digest::of(PULL, self.rounds.number, *origins, bytes);
                letter.push(&digest.into());
                letter.send();
            }
        }
        self.chosen = chosen;
    }

    /// Sends what somebody lacks, the latest first, as far as a round's bytes go.
    pub(super) fn on_pull(&mut self, from: Partner, digest: &Digest<'_>, cx: &mut Ctx<'_>) {
        let entries: BTreeMap<(NodeId, u64), DigestEntry<'_>> =
            digest.entries().map(|entry| ((entry.origin, entry.epoch), entry)).collect();
        let lacks = |id: MessageId| {
            if id.origin < digest.origins.0 || id.origin > digest.origins.1 || id.origin == from.id {
                return false;
            }
            let entry = entries.get(&(id.origin, id.epoch));
            entry.is_none_or(|entry| {
                id.seq > entry.high || entry.gaps().any(|(first, last)| first <= id.seq && id.seq <= last)
            })
        };
        let lacking: Vec<MessageId> =
            self.cache.latest().map(|(id, _)| id).filter(|id| lacks(*id)).take(1_024).collect();
        for id in lacking {
            self.serve(from.id, id, 0, cx);
        }
    }
}

/// Digests being written.
#[derive(Debug)]
struct Digests {
    room: usize,
    all: Vec<Vec<u8>>,
    /// The first and the last origin of each.
    origins: Vec<(NodeId, NodeId)>,
}

impl Digests {
    fn new(payload_max: usize) -> Self {
        Self { room: payload_max - DIGEST_BYTES, all: Vec::new(), origins: Vec::new() }
    }

    /// Whether two more entries fit, whatever they hold.
    fn has_room(&self) -> bool {
        self.all.len() < DIGEST_DATAGRAMS_MAX
            || self.all.last().is_some_and(|bytes| bytes.len() + 2 * ENTRY_BYTES_MAX <= self.room)
    }

    /// Both epochs of an origin stand in one digest.
    fn begin_origin(&mut self) {
        if self.all.last().is_some_and(|bytes| bytes.len() + 2 * ENTRY_BYTES_MAX > self.room) {
            self.all.push(Vec::new());
            self.origins.push((NodeId(0), NodeId(0)));
        }
    }

    fn put(&mut self, run: Run, gaps: &[(u64, u64)]) {
        let len = RUN_BYTES + 1 + 16 * gaps.len();
        if self.all.last().is_none_or(|bytes| bytes.len() + len > self.room) {
            self.all.push(Vec::new());
            self.origins.push((run.origin, run.origin));
        }
        if let (Some(bytes), Some(origins)) = (self.all.last_mut(), self.origins.last_mut()) {
            wire::put_digest_entry(bytes, run, gaps);
            if bytes.len() == len {
                origins.0 = run.origin;
            }
        }
    }

    /// Lets the digests cover all origins from `start` to `end`, one after the other.
    fn bounds(&mut self, start: NodeId, end: NodeId) {
        if self.all.is_empty() {
            self.all.push(Vec::new());
            self.origins.push((start, end));
        }
        let mut first = start;
        let count = self.origins.len();
        for place in 0..count {
            let last = match self.origins.get(place + 1) {
                Some(next) => NodeId(next.0.0.saturating_sub(1)),
                None => end,
            };
            self.origins[place] = (first, last);
            first = NodeId(last.0.wrapping_add(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fan_out_is_a_share_of_the_peers_and_one_more() {
        #[track_caller]
        fn check(of: u32, out_of: u32, peers: usize, messages: usize, most: usize, expected: usize) {
            assert_eq!(fanout(Ratio { of, out_of }, peers, messages, most), expected);
        }
        check(3, 10, 0, 5, 99, 0);
        check(3, 10, 9, 0, 99, 0);
        check(0, 10, 9, 5, 99, 0);
        check(3, 10, 9, 5, 99, 3);
        check(3, 10, 10, 5, 99, 4);
        check(1, 4, 6, 1, 99, 2);
        check(1, 1, 6, 1, 99, 6);
        check(5, 1, 6, 1, 99, 6);
        check(3, 10, 1_000, 1, 8, 8);
        check(u32::MAX, 1, usize::MAX, 1, 8, 8);
    }
}
