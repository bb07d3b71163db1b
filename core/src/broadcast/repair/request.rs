//! Requests for missing messages (rule C7).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::super::log::refusals_needed;
use super::super::log::seen::{Gap, Offer};
use super::super::spread::Spread;
use super::super::spread::queue::put_merged;
use super::super::{Timer, Tools};
use super::Repairs;
use crate::id::{MessageId, NodeId};
use crate::membership::Peers;
use crate::wire::{GRAFT, RUN_BYTES, RUNS_BYTES, Request, RequestParts, Run, Runs};

/// The greatest number of messages of one gap that are requested at a time.
const CHUNK: u64 = 256;
/// The number of members that are drawn to be asked for gaps that nobody has offered.
const HELPERS: usize = 8;
/// The greatest number of long messages whose pieces are requested in one datagram.
const PARTS_MAX: usize = 8;

/// The requests to each member.
pub(crate) type Asks = BTreeMap<NodeId, Ask>;

/// The requests to one member, collected before they are sent.
#[derive(Debug, Default)]
pub(crate) struct Ask {
    runs: Vec<Run>,
    parts: Vec<(MessageId, u128)>,
    round: u32,
    graft: bool,
}

impl Repairs {
    /// Gives up the gaps that nobody can serve (rule C1), and collects a request to the next source of every other gap
    /// that is due.
    pub(crate) fn collect_asks(&mut self, tools: &mut Tools<'_, '_>) -> Asks {
        // Any member may help, including one of another zone.
        let mut helpers = Vec::new();
        tools.peers.choose(HELPERS, tools.rng, &mut helpers, |_| true);
        let (after, needed) = (tools.settings().lost_after, refusals_needed(tools.cx));
        let mut asks = Asks::new();
        for origin in self.gappy.clone() {
            let epochs: Vec<u64> = tools.log.epochs(origin).iter().map(|epoch| epoch.epoch).collect();
            for epoch in epochs {
                let is_hopeless =
                    |gap: &Gap| gap.is_refused(needed) && tools.cx.now.since(gap.since) >= after;
                tools.log.give_up(origin, epoch, is_hopeless, tools.cx);
                collect_asks_of((origin, epoch), &helpers, &mut asks, tools);
            }
            if tools.log.gaps(origin).next().is_none() {
                self.gappy.remove(&origin);
            }
        }
        asks
    }

    /// Schedules the request for the next gap that is due.
    pub(crate) fn arm_requests(&self, tools: &mut Tools<'_, '_>) {
        let due = self.gappy.iter().flat_map(|origin| tools.log.gaps(*origin)).map(|gap| gap.due).min();
        if let Some(due) = due {
            tools.arm_by(Timer::Request, due);
        }
    }

    /// Requests the next part of a gap, once the last part that was requested has arrived.
    pub(crate) fn after_serving(&self, id: MessageId, from: NodeId, tools: &mut Tools<'_, '_>) {
        let Some(known) = tools.log.get_mut(id.origin, id.epoch) else { return };
        let is_next = |gap: &&mut Gap| gap.asked == Some(from) && gap.last < gap.asked_from;
        let Some(gap) = known.seen.gaps_mut().iter_mut().find(is_next) else { return };
        gap.add(Offer { from, round: 0, graft: false });
        gap.asked = None;
        gap.due = tools.cx.now;
        tools.arm(Timer::Request, tools.cx.now);
    }
}

fn collect_asks_of(
    (origin, epoch): (NodeId, u64),
    helpers: &[NodeId],
    asks: &mut Asks,
    tools: &mut Tools<'_, '_>,
) {
    let (mut asked, timeout) = (Vec::new(), tools.settings().request_timeout);
    let Some(known) = tools.log.get_mut(origin, epoch) else { return };
    for gap in known.seen.gaps_mut().iter_mut().filter(|gap| gap.due <= tools.cx.now) {
        gap.due = tools.cx.now + timeout;
        let Some(offer) = next_source(gap, helpers, tools.peers) else { continue };
        gap.asked = Some(offer.from);
        gap.asked_from = gap.first.max(gap.last.saturating_sub(CHUNK - 1));
        asked.push((offer, Run { origin, epoch, first: gap.asked_from, last: gap.last }));
    }
    for (offer, run) in asked {
        tools.cx.stats.broadcasts_requested += run.last - run.first + 1;
        let ask = asks.entry(offer.from).or_default();
        ask.round = ask.round.max(offer.round);
        ask.graft |= offer.graft;
        let id = MessageId { origin, epoch, seq: run.first };
        match tools.log.reassembly.missing(id.into()).filter(|_| run.first == run.last) {
            Some(missing) => ask.parts.push((id, missing)),
            None => ask.runs.push(run),
        }
    }
}

/// Sends the requests that were collected.
pub(crate) fn send_requests(asks: &Asks, spread: &mut Spread, tools: &mut Tools<'_, '_>) {
    let room = (tools.cx.config.payload_max() - RUNS_BYTES) / RUN_BYTES;
    for (to, ask) in asks {
        let Some(addr) = tools.peers.receiver(*to) else { continue };
        if ask.graft {
            spread.make_eager(*to, tools.cx);
        }
        let mut bytes = Vec::new();
        // The latest runs are requested first; runs that do not fit wait for their next turn.
        let latest: Vec<Run> = ask.runs.iter().rev().take(room).copied().collect();
        put_merged(&mut bytes, latest.into_iter());
        let mut datagram = tools.cx.datagram(addr, *to);
        for (id, missing) in ask.parts.iter().copied().take(PARTS_MAX) {
            datagram.push(&RequestParts { id, missing }.into());
        }
        if !bytes.is_empty() {
            let flags = if ask.graft { GRAFT } else { 0 };
            let message = Request { round: ask.round, flags, runs: Runs::of(&bytes) };
            if !datagram.push(&message.into()) {
                datagram.send();
                datagram = tools.cx.datagram(addr, *to);
                datagram.push(&message.into());
            }
        }
        datagram.send();
    }
}

/// Chooses the member to ask next for a gap: the latest one that offered it, if possible not the one that was asked
/// last (pbcast's cyclic transmissions); without an offer any member.
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
