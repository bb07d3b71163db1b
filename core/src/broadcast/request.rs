//! Asking for what is missing, and serving who asks (rule C7).
//!
//! Offers, whether by announcement, digest or mark, only add a source to a gap; the gap's one timer asks one source
//! after another, and when none is left, anybody. Requests that answer a round that is over are not served (pbcast's
//! soft-failure detection), the latest messages go first, and no round serves more than its bytes.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::outgoing::put_merged;
use super::seen::{Gap, Offer, Refusal};
use super::{Broadcast, Timer, first};
use crate::config::{FirstPhase, Repair};
use crate::context::Ctx;
use crate::id::{MessageId, NodeId};
use crate::limits::FRAGMENT_BYTES;
use crate::membership::Peers;
use crate::reconcile::Partner;
use crate::time::Time;
use crate::wire::{EAGER, GRAFT, MULTICAST, RUN_BYTES, RUNS_BYTES, Request, RequestParts, Run, Runs};

/// Messages of one gap asked for at a time.
const CHUNK: u64 = 256;
/// Messages of one request that are served.
const SERVED_MAX: usize = 1_024;
/// Members among whom those are chosen that nobody's offer names.
const HELPERS: usize = 8;
/// Ids of one announcement that are looked at.
const ANNOUNCED_MAX: u64 = 1_024;
/// What a configuration without rounds serves: so many bytes in so long.
const SERVED_BYTES: u32 = 256 << 10;
const SERVED_EVERY: Duration = Duration::from_millis(100);

/// What one member is asked for.
#[derive(Debug, Default)]
struct Ask {
    runs: Vec<Run>,
    parts: Vec<(MessageId, u128)>,
    round: u32,
    graft: bool,
}

impl Broadcast {
    /// An announcement: over a lazy edge of the tree, or because too few have acknowledged a push.
    pub(super) fn on_i_have(&mut self, from: Partner, runs: Runs<'_>, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        let tree = matches!(cx.config.broadcast.first, FirstPhase::Tree { .. });
        // Where a tree is, its message may be on its way still.
        let due = if tree { cx.now + cx.config.broadcast.request_delay } else { cx.now };
        let offer = Offer { from: from.id, round: 0, graft: tree };
        for run in runs.iter() {
            for seq in run.first..=run.last.min(run.first.saturating_add(ANNOUNCED_MAX)) {
                let id = MessageId { origin: run.origin, epoch: run.epoch, seq };
                self.outgoing.forget_have(from.id, id);
                if let Some(cached) = self.cache.get_mut(id) {
                    cached.held_by(from.id);
                }
            }
            self.on_offer(run, offer, due, peers, cx);
        }
    }

    /// Somebody has these: they exist, and it can be asked for those that are missing here.
    pub(super) fn on_offer(&mut self, run: Run, offer: Offer, due: Time, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        let Run { origin, epoch, first, last } = run;
        let own = origin == self.me;
        if self.is_current(origin, epoch, last, cx) || !(own || peers.is_origin(origin)) {
            return;
        }
        let now = cx.now;
        let Some(known) = self.open(origin, epoch, last, cx) else { return };
        let news = known.seen.learn(last, now, due);
        for gap in known.seen.within(first, last) {
            gap.add(offer);
            // Who is asked already gets its time.
            if gap.asked.is_none() {
                gap.due = gap.due.min(due);
            }
        }
        if news {
            self.touch(origin, cx);
        }
        self.after_learning(origin, epoch, cx);
    }

    /// Somebody cannot serve these.
    pub(super) fn on_refusal(&mut self, from: Partner, runs: Runs<'_>, why: Refusal, cx: &mut Ctx<'_>) {
        for run in runs.iter() {
            self.refuse(run, from.id, why, cx);
        }
    }

    /// The same. What may be of a time before ours is given up once enough do not hold it any more (rule C4).
    pub(super) fn refuse(&mut self, run: Run, by: NodeId, why: Refusal, cx: &mut Ctx<'_>) {
        let Run { origin, epoch, first, last } = run;
        let now = cx.now;
        let Some(known) = self.origins.get_mut(&origin) else { return };
        let Some(known) = known.epochs.iter_mut().find(|known| known.epoch == epoch) else { return };
        let (mut due, timeout) = (None, cx.config.broadcast.request_timeout);
        for gap in known.seen.within(first, last) {
            gap.refuse(by, why);
            let next = if gap.sources.is_empty() { now + timeout / 4 } else { now };
            gap.due = gap.due.min(next);
            due = Some(due.map_or(gap.due, |due: Time| due.min(gap.due)));
        }
        self.give_up(origin, epoch, |_| false, cx);
        if let Some(due) = due {
            self.arm_request(due, cx);
        }
    }

    /// Asks the next source of every gap that is due, and gives up those that nobody can serve (rule C1).
    pub(super) fn on_request_due(&mut self, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        let helpers = self.helpers(peers);
        let mut asks: BTreeMap<NodeId, Ask> = BTreeMap::new();
        let origins: Vec<NodeId> = self.gappy.iter().copied().collect();
        for origin in origins {
            let epochs = self.origins.get(&origin).map(|known| known.epochs.iter().map(|e| e.epoch));
            let epochs: Vec<u64> = epochs.into_iter().flatten().collect();
            for epoch in epochs {
                self.give_up_hopeless(origin, epoch, cx);
                self.collect_asks(origin, epoch, &helpers, &mut asks, peers, cx);
            }
            let known = self.origins.get(&origin);
            if known.is_none_or(|known| known.epochs.iter().all(|epoch| epoch.seen.gaps().is_empty())) {
                self.gappy.remove(&origin);
            }
        }
        for (to, ask) in asks {
            self.send_request(to, &ask, peers, cx);
        }
        let gaps = self.gappy.iter().filter_map(|origin| self.origins.get(origin));
        let due = gaps.flat_map(|known| known.epochs.iter().flat_map(|epoch| epoch.seen.gaps()));
        if let Some(due) = due.map(|gap| gap.due).min() {
            self.arm_request(due, cx);
        }
        self.bound(cx);
    }

    /// Whom to ask for what nobody has offered: anybody, also in other zones.
    fn helpers(&mut self, peers: Peers<'_>) -> Vec<NodeId> {
        let mut chosen = Vec::new();
        peers.choose(HELPERS, &mut self.rng, &mut chosen, |_| true);
        chosen
    }

    fn give_up_hopeless(&mut self, origin: NodeId, epoch: u64, cx: &mut Ctx<'_>) {
        let (now, after, needed) = (cx.now, cx.config.broadcast.lost_after, self.refusals_needed(cx));
        self.give_up(origin, epoch, |gap| gap.is_refused(needed) && now.since(gap.since) >= after, cx);
    }

    /// How many must have refused a gap before it is given up.
    pub(super) fn refusals_needed(&self, cx: &Ctx<'_>) -> usize {
        usize::from(cx.config.broadcast.lost_peers).min(cx.others)
    }

    fn collect_asks(
        &mut self,
        origin: NodeId,
        epoch: u64,
        helpers: &[NodeId],
        asks: &mut BTreeMap<NodeId, Ask>,
        peers: Peers<'_>,
        cx: &mut Ctx<'_>,
    ) {
        let Some(known) = self.origins.get_mut(&origin) else { return };
        let Some(known) = known.epochs.iter_mut().find(|known| known.epoch == epoch) else { return };
        for gap in known.seen.gaps_mut().iter_mut().filter(|gap| gap.due <= cx.now) {
            gap.due = cx.now + cx.config.broadcast.request_timeout;
            let Some(offer) = next_source(gap, helpers, peers) else { continue };
            gap.asked = Some(offer.from);
            gap.asked_from = gap.first.max(gap.last.saturating_sub(CHUNK - 1));
            cx.stats.broadcasts_requested += gap.last - gap.asked_from + 1;
            let ask = asks.entry(offer.from).or_default();
            ask.round = ask.round.max(offer.round);
            ask.graft |= offer.graft;
            let id = MessageId { origin, epoch, seq: gap.first };
            match self.reassembly.missing(id.into()).filter(|_| gap.first == gap.last) {
                Some(missing) => ask.parts.push((id, missing)),
                None => ask.runs.push(Run { origin, epoch, first: gap.asked_from, last: gap.last }),
            }
        }
    }

    fn send_request(&mut self, to: NodeId, ask: &Ask, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        let Some(addr) = peers.receiver(to) else { return };
        if ask.graft {
            self.neighbours.make_eager(to, first::neighbours_max(cx.config));
        }
        let flags = if ask.graft { GRAFT } else { 0 };
        let room = (cx.config.payload_max() - RUNS_BYTES) / RUN_BYTES;
        let mut bytes = Vec::new();
        // The latest first: what does not fit waits for its next turn.
        let latest: Vec<Run> = ask.runs.iter().rev().take(room).copied().collect();
        put_merged(&mut bytes, latest.into_iter());
        let mut letter = cx.letter(addr, to);
        for (id, missing) in ask.parts.iter().copied().take(8) {
            letter.push(&RequestParts { id, missing }.into());
        }
        if !bytes.is_empty() {
            let message = Request { round: ask.round, flags, runs: Runs::of(&bytes) };
            if !letter.push(&message.into()) {
                letter.send();
                letter = cx.letter(addr, to);
                letter.push(&message.into());
            }
        }
        letter.send();
    }

    /// Serves who asks, the latest first.
    pub(super) fn on_request(
        &mut self,
        from: Partner,
        round: u32,
        flags: u8,
        runs: Runs<'_>,
        cx: &mut Ctx<'_>,
    ) {
        if self.is_late(round, cx) {
            cx.stats.requests_ignored += 1;
            return;
        }
        let graft = flags & GRAFT != 0;
        if graft {
            self.graft(from.id, cx);
        }
        let flags = if graft { EAGER } else { 0 };
        let mut asked: Vec<Run> = runs.iter().collect();
        asked.sort_unstable_by_key(|run| core::cmp::Reverse(run.last));
        let mut left = SERVED_MAX;
        for run in asked {
            let Run { origin, epoch, first, last } = run;
            let held: Vec<u64> = self.cache.within(origin, epoch, first, last).take(left).collect();
            left -= held.len();
            let mut after = last;
            for seq in held {
                self.refuse_to(from.id, Run { first: seq + 1, last: after, ..run }, cx);
                after = seq - 1;
                self.serve(from.id, MessageId { origin, epoch, seq }, flags, cx);
            }
            if left > 0 {
                // What is not held before it either need not be asked for.
                let first = self.cache.before(origin, epoch, first).map_or(1, |held| held + 1);
                self.refuse_to(from.id, Run { first, last: after, ..run }, cx);
            }
        }
    }

    /// Makes the edge to who asks for that an eager one. Where there was none, nobody may have told it of what came
    /// just before.
    fn graft(&mut self, to: NodeId, cx: &Ctx<'_>) {
        let is_new = !self.neighbours.has(to);
        if self.neighbours.make_eager(to, first::neighbours_max(cx.config)) && is_new {
            self.rounds.hot().for_each(|id| self.outgoing.have(to, id, cx.now));
        }
    }

    /// Says that a range is not held: of each part, whether it has been here.
    fn refuse_to(&mut self, to: NodeId, run: Run, cx: &Ctx<'_>) {
        let Run { origin, epoch, first, last } = run;
        let known =
            self.origins.get(&origin).and_then(|known| known.epochs.iter().find(|e| e.epoch == epoch));
        let never = known.map_or_else(|| vec![(1, u64::MAX)], |known| known.seen.never_had());
        let mut start = first;
        for (gap_first, gap_last) in never {
            let (gap_first, gap_last) = (gap_first.max(start), gap_last.min(last));
            if gap_first > gap_last {
                continue;
            }
            if start < gap_first {
                self.outgoing.gone(to, Run { first: start, last: gap_first - 1, ..run }, cx.now);
            }
            self.outgoing.lack(to, Run { first: gap_first, last: gap_last, ..run }, cx.now);
            start = gap_last + 1;
        }
        if start <= last {
            self.outgoing.gone(to, Run { first: start, ..run }, cx.now);
        }
    }

    /// Sends a message to who lacks it; to all, where that is one datagram and two lack it.
    pub(super) fn serve(&mut self, to: NodeId, id: MessageId, flags: u8, cx: &mut Ctx<'_>) {
        let Some(cached) = self.cache.get_mut(id) else { return };
        let len = u32::try_from(cached.len()).unwrap_or(u32::MAX);
        cached.requests = cached.requests.saturating_add(1);
        let again = cached.requests == 2;
        if !self.may_serve(len, cx) {
            cx.stats.requests_ignored += 1;
            return;
        }
        cx.stats.broadcasts_served += 1;
        if again && first::group(cx.config).is_some() {
            self.queue(NodeId::NOBODY, id, MULTICAST, cx.now, cx);
        } else {
            self.queue(to, id, flags, cx.now, cx);
        }
    }

    pub(super) fn on_request_parts(&mut self, from: Partner, id: MessageId, missing: u128, cx: &mut Ctx<'_>) {
        let Some(cached) = self.cache.get(id) else {
            return self.refuse_to(from.id, Run::one(id), cx);
        };
        let parts = cached.len().div_ceil(FRAGMENT_BYTES).max(1);
        let bytes = missing.count_ones() as usize * FRAGMENT_BYTES;
        let wanted = missing & (u128::MAX >> (u128::BITS as usize - parts));
        if wanted != 0 && self.may_serve(u32::try_from(bytes).unwrap_or(u32::MAX), cx) {
            cx.stats.broadcasts_served += 1;
            self.queue_parts(from.id, id, wanted, cx);
        }
    }

    /// Whether a request answers a digest of a round that is over.
    fn is_late(&self, round: u32, cx: &Ctx<'_>) -> bool {
        let Repair::Rounds(rounds) = cx.config.broadcast.repair else { return false };
        round != 0 && self.rounds.number().wrapping_sub(round) > rounds.round_window.into()
    }

    /// Whether so many bytes more may be served in this round.
    fn may_serve(&mut self, bytes: u32, cx: &Ctx<'_>) -> bool {
        let (every, most) = match cx.config.broadcast.repair {
            Repair::Rounds(rounds) => (rounds.period, rounds.round_bytes_max),
            Repair::None | Repair::Pull { .. } => (SERVED_EVERY, SERVED_BYTES),
        };
        self.rounds.may_serve(bytes, every, most, cx.now)
    }

    /// A gap's next chunk, once the last one has come.
    pub(super) fn after_serving(&mut self, id: MessageId, from: NodeId, cx: &Ctx<'_>) {
        let now = cx.now;
        let Some(known) = self.origins.get_mut(&id.origin) else { return };
        let Some(known) = known.epochs.iter_mut().find(|known| known.epoch == id.epoch) else { return };
        let next = |gap: &&mut Gap| gap.asked == Some(from) && gap.last < gap.asked_from;
        let Some(gap) = known.seen.gaps_mut().iter_mut().find(next) else { return };
        gap.add(Offer { from, round: 0, graft: false });
        gap.asked = None;
        gap.due = now;
        self.arm(Timer::Request, now, cx);
    }
}

/// Who is asked next: the last one who offered it, and rather not the one who was asked just now (pbcast's cyclic
/// transmissions); then anybody.
fn next_source(gap: &mut Gap, helpers: &[NodeId], peers: Peers<'_>) -> Option<Offer> {
    gap.sources.retain(|offer| peers.receiver(offer.from).is_some());
    let fresh = gap.sources.iter().rposition(|offer| Some(offer.from) != gap.asked);
    if let Some(place) = fresh {
        return Some(gap.sources.remove(place));
    }
    gap.sources.pop().or_else(|| {
        let new = helpers.iter().find(|id| Some(**id) != gap.asked && !gap.refused.contains(id));
        let from = *new.or_else(|| helpers.iter().find(|id| Some(**id) != gap.asked)).or(helpers.first())?;
        Some(Offer { from, round: 0, graft: false })
    })
}
