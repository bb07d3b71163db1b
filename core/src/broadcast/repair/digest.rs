//! Digests: the rounds of pbcast (digest, solicit, retransmit), in which a node tells random members which messages it
//! holds; and the pull, in which a node tells them which messages it has seen and they send the others.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::Tools;
use super::super::log::cache::{Cache, Cached};
use super::super::log::seen::{Offer, Refusal};
use super::super::spread::Spread;
use super::{Repairs, refuse};
use crate::config::{self, FirstPhase, Ratio, Repair};
use crate::context::Ctx;
use crate::id::{MessageId, NodeId};
use crate::time::Time;
use crate::wire::{self, DIGEST_BYTES, DIGEST_GAPS_MAX, Digest, DigestEntry, EVERYONE, PULL, RUN_BYTES, Run};

/// The greatest number of datagrams that one digest takes.
const DIGEST_DATAGRAMS_MAX: usize = 4;
/// The number of messages of one origin that a digest looks through for gaps.
const DIGEST_DEPTH: usize = 1_024;
/// The greatest length of one entry in bytes.
const ENTRY_BYTES_MAX: usize = RUN_BYTES + 1 + 16 * DIGEST_GAPS_MAX;
/// The greatest number of messages that are sent in answer to one pull.
const PULLED_MAX: usize = 1_024;

/// The rounds of this node. Every node numbers its own rounds (pbcast).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Rounds {
    pub(super) number: u32,
    /// The messages that digests list, the oldest first.
    pub(super) hot: VecDeque<MessageId>,
    /// The bytes served since `served_since`.
    served: u32,
    served_since: Time,
    /// The origin with which the next pull begins, because one pull may not hold all origins.
    cursor: u64,
}

impl Rounds {
    /// Whether `bytes` more bytes may be served in this interval. If so, they are counted.
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

/// The number of members to which a digest is sent: 0 without peers, messages or β, else ⌊β · peers⌋ + 1, but at most
/// `peers` and at most `most`.
fn fanout(beta: Ratio, peers: usize, messages: usize, most: usize) -> usize {
    if peers == 0 || messages == 0 || beta.of == 0 {
        return 0;
    }
    let share = u128::from(beta.of) * (peers as u128) / u128::from(beta.out_of);
    usize::try_from(share).unwrap_or(usize::MAX).saturating_add(1).min(peers).min(most)
}

impl Repairs {
    pub(crate) fn on_round(&mut self, spread: &mut Spread, tools: &mut Tools<'_, '_>) {
        self.rounds.number = self.rounds.number.wrapping_add(1).max(1);
        match tools.settings().repair {
            Repair::None => {}
            Repair::Rounds(rounds) => self.send_digests(rounds, spread, tools),
            Repair::Pull { fanout, .. } => {
                let to = spread.choose(fanout.into(), tools);
                self.send_pulls(&to, tools);
            }
        }
        if let Some(keep) = tools.settings().keep_rounds {
            self.drop_old(keep, &mut tools.log.cache);
        }
        self.arm_round(tools);
    }

    /// Drops the messages that have been kept for `keep` rounds, whether or not other members have them (pbcast).
    fn drop_old(&self, keep: u32, cache: &mut Cache) {
        let is_old = |cached: &Cached| self.rounds.number.wrapping_sub(cached.round) > keep;
        while let Some((id, _)) = cache.oldest().filter(|(_, cached)| is_old(cached) && !cached.is_queued()) {
            cache.remove(id);
        }
    }

    fn send_digests(&mut self, rounds: config::Rounds, spread: &mut Spread, tools: &mut Tools<'_, '_>) {
        let number = self.rounds.number;
        let is_told = |cached: &Cached| number.wrapping_sub(cached.round) > rounds.rounds.into();
        self.rounds.hot.retain(|id| tools.log.cache.get(*id).is_some_and(|cached| !is_told(cached)));
        let ripe: Vec<MessageId> = self
            .rounds
            .hot
            .iter()
            .rev()
            .filter(|id| tools.log.cache.get(**id).is_some_and(is_ripe(tools.cx)))
            .copied()
            .collect();
        let fanout = fanout(rounds.beta, tools.peers.others(), ripe.len(), rounds.fanout_max.into());
        if fanout == 0 {
            return;
        }
        let digests = digests_of(&ripe, &tools.log.cache, tools.cx);
        for to in spread.choose(fanout, tools) {
            for bytes in &digests {
                tools.send(to, &Digest::of(0, number, EVERYONE, bytes).into());
            }
        }
    }

    /// Handles an entry of a digest (pbcast's gossip): the messages of it that are missing here are requested at once.
    pub(crate) fn on_digest_entry(
        &mut self,
        entry: &DigestEntry<'_>,
        round: u32,
        from: NodeId,
        tools: &mut Tools<'_, '_>,
    ) {
        let DigestEntry { origin, epoch, low, high, .. } = *entry;
        // If this is the first news of the epoch, the epoch begins behind the entry, whose messages were sent before.
        if tools.log.is_current(origin, epoch, high)
            || tools.log.open(origin, epoch, high + 1, tools.cx).is_none()
        {
            return;
        }
        let graft = matches!(tools.settings().first, FirstPhase::Tree { .. });
        let offer = Offer { from, round, graft };
        let mut first = low;
        for (gap_first, gap_last) in entry.gaps() {
            if first < gap_first {
                let run = Run { origin, epoch, first, last: gap_first - 1 };
                self.on_offer(run, offer, tools.cx.now, tools);
            }
            first = gap_last + 1;
        }
        self.on_offer(Run { origin, epoch, first, last: high }, offer, tools.cx.now, tools);
        if low > 1 {
            let run = Run { origin, epoch, first: 1, last: low - 1 };
            refuse(run, from, Refusal::Lack, tools);
        }
    }

    /// Tells these members which messages this node has seen; they send the missing ones.
    fn send_pulls(&mut self, to: &[NodeId], tools: &mut Tools<'_, '_>) {
        let mut digests = Digests::new(tools.cx.config.payload_max());
        let start = NodeId(self.rounds.cursor);
        let mut end = NodeId(u64::MAX);
        for (origin, epochs) in tools.log.origins_from(start) {
            if !digests.has_room() {
                end = NodeId(origin.0 - 1);
                break;
            }
            digests.begin_origin();
            for epoch in epochs.iter().filter(|epoch| epoch.seen.top() > 0) {
                let gaps: Vec<(u64, u64)> =
                    epoch.seen.gaps().iter().map(|gap| (gap.first, gap.last)).collect();
                // If there are more gaps than an entry holds, the entry ends before the next gap.
                let last = gaps.get(DIGEST_GAPS_MAX).map_or(epoch.seen.top(), |gap| gap.0 - 1);
                if last > 0 {
                    let run = Run { origin, epoch: epoch.epoch, first: 1, last };
                    digests.put(run, &gaps[..gaps.len().min(DIGEST_GAPS_MAX)]);
                }
            }
        }
        self.rounds.cursor = end.0.wrapping_add(1);
        digests.bounds(start, end);
        for to in to {
            for (bytes, origins) in digests.all.iter().zip(&digests.origins) {
                tools.send(*to, &Digest::of(PULL, self.rounds.number, *origins, bytes).into());
            }
        }
    }

    /// Sends a member the messages that its pull lacks, the latest first, within the byte limit of a round.
    pub(crate) fn on_pull(
        &mut self,
        from: NodeId,
        digest: &Digest<'_>,
        spread: &mut Spread,
        tools: &mut Tools<'_, '_>,
    ) {
        let entries: BTreeMap<(NodeId, u64), DigestEntry<'_>> =
            digest.entries().map(|entry| ((entry.origin, entry.epoch), entry)).collect();
        let lacks = |id: &MessageId| {
            if id.origin < digest.origins.0 || id.origin > digest.origins.1 || id.origin == from {
                return false;
            }
            let entry = entries.get(&(id.origin, id.epoch));
            entry.is_none_or(|entry| {
                id.seq > entry.high || entry.gaps().any(|(first, last)| first <= id.seq && id.seq <= last)
            })
        };
        let lacking: Vec<MessageId> =
            tools.log.cache.latest().map(|(id, _)| id).filter(lacks).take(PULLED_MAX).collect();
        for id in lacking {
            self.serve(from, id, 0, spread, tools);
        }
    }
}

/// Whether a message may be listed in a digest: one that was just received may be on its way to the others as well.
fn is_ripe(cx: &Ctx<'_>) -> impl Fn(&Cached) -> bool + use<> {
    let (now, patience) = (cx.now, cx.config.broadcast.request_delay);
    move |cached| now.since(cached.received) >= patience
}

/// Builds digests of the messages that are held of the origins of `ids`, the latest origins first, up to the limit of
/// datagrams.
fn digests_of(ids: &[MessageId], cache: &Cache, cx: &Ctx<'_>) -> Vec<Vec<u8>> {
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
        put_held(id.origin, id.epoch, cache, is_ripe(cx), &mut digests);
    }
    digests.all
}

/// Adds an entry for the messages that are held of an epoch. The numbers between them that are not held are the gaps of
/// the entry.
fn put_held(
    origin: NodeId,
    epoch: u64,
    cache: &Cache,
    is_ripe: impl Fn(&Cached) -> bool,
    digests: &mut Digests,
) {
    let mut held = cache.of(origin, epoch).rev().skip_while(|(_, cached)| !is_ripe(cached));
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

/// Digests that are being written.
#[derive(Debug)]
struct Digests {
    room: usize,
    all: Vec<Vec<u8>>,
    /// The first and the last origin that each digest covers.
    origins: Vec<(NodeId, NodeId)>,
}

impl Digests {
    fn new(payload_max: usize) -> Self {
        Self { room: payload_max - DIGEST_BYTES, all: Vec::new(), origins: Vec::new() }
    }

    /// Whether two more entries of any content fit.
    fn has_room(&self) -> bool {
        self.all.len() < DIGEST_DATAGRAMS_MAX
            || self.all.last().is_some_and(|bytes| bytes.len() + 2 * ENTRY_BYTES_MAX <= self.room)
    }

    /// Begins a new digest unless both epochs of an origin fit into the last one.
    fn begin_origin(&mut self) {
        if self.all.last().is_some_and(|bytes| bytes.len() + 2 * ENTRY_BYTES_MAX > self.room) {
            self.all.push(Vec::new());
            self.origins.push((NodeId(0), NodeId(0)));
        }
    }

    /// Adds an entry.
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

    /// Sets the origins that each digest covers, so that together they cover all origins from `start` to `end`.
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
