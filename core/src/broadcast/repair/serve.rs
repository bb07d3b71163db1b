//! Answers to the requests of other members (rule C7).
//!
//! A request that answers a digest of a past round is not served (pbcast's soft-failure detection), the latest messages
//! are served first, and no round serves more than its limit of bytes.

use alloc::vec::Vec;
use core::cmp::Reverse;
use core::time::Duration;

use super::super::Tools;
use super::super::spread::{Spread, group};
use super::Repairs;
use crate::config::Repair;
use crate::context::Ctx;
use crate::id::{MessageId, NodeId};
use crate::limits::FRAGMENT_BYTES;
use crate::wire::{EAGER, GRAFT, MULTICAST, Request, RequestParts, Run};

/// The greatest number of messages that are served for one request.
const SERVED_MAX: usize = 1_024;
/// The bytes that a configuration without rounds serves in every `SERVED_EVERY`.
const SERVED_BYTES: u32 = 256 << 10;
const SERVED_EVERY: Duration = Duration::from_millis(100);

impl Repairs {
    /// Serves a request of a member, the latest messages first.
    pub(crate) fn on_request(
        &mut self,
        from: NodeId,
        request: &Request<'_>,
        spread: &mut Spread,
        tools: &mut Tools<'_, '_>,
    ) {
        let Request { round, flags, runs } = *request;
        if self.is_late(round, tools.cx) {
            tools.cx.stats.requests_ignored += 1;
            return;
        }
        let graft = flags & GRAFT != 0;
        if graft {
            spread.on_graft(from, self.rounds.hot.iter().copied(), tools.cx);
        }
        let flags = if graft { EAGER } else { 0 };
        let mut asked: Vec<Run> = runs.iter().collect();
        asked.sort_unstable_by_key(|run| Reverse(run.last));
        let mut left = SERVED_MAX;
        for run in asked {
            let Run { origin, epoch, first, last } = run;
            let held: Vec<u64> = tools.log.cache.within(origin, epoch, first, last).take(left).collect();
            left -= held.len();
            let mut after = last;
            for seq in held {
                refuse_to(from, Run { first: seq + 1, last: after, ..run }, spread, tools);
                after = seq - 1;
                self.serve(from, MessageId { origin, epoch, seq }, flags, spread, tools);
            }
            if left > 0 {
                // The missing messages just before the run are refused as well, so that the member need not ask for
                // them.
                let first = tools.log.cache.before(origin, epoch, first).map_or(1, |held| held + 1);
                refuse_to(from, Run { first, last: after, ..run }, spread, tools);
            }
        }
    }

    /// Sends a message to a member that lacks it. If there is a group address, the second request for the message is
    /// answered to all members.
    pub(super) fn serve(
        &mut self,
        to: NodeId,
        id: MessageId,
        flags: u8,
        spread: &mut Spread,
        tools: &mut Tools<'_, '_>,
    ) {
        let Some(cached) = tools.log.cache.get_mut(id) else { return };
        let (len, again) = (cached.len(), cached.count_request() == 2);
        if !self.may_serve(len, tools.cx) {
            tools.cx.stats.requests_ignored += 1;
            return;
        }
        tools.cx.stats.broadcasts_served += 1;
        let to_all = again && group(tools.cx.config).is_some();
        let (to, flags) = if to_all { (NodeId::NOBODY, MULTICAST) } else { (to, flags) };
        spread.queue.send(to, id, flags, tools.cx.now, tools);
    }

    /// Sends the pieces of a message that a member lacks.
    pub(crate) fn on_request_parts(
        &mut self,
        from: NodeId,
        request: RequestParts,
        spread: &mut Spread,
        tools: &mut Tools<'_, '_>,
    ) {
        let RequestParts { id, missing } = request;
        let Some(cached) = tools.log.cache.get(id) else {
            return refuse_to(from, Run::one(id), spread, tools);
        };
        let parts = cached.len().div_ceil(FRAGMENT_BYTES).max(1);
        let bytes = missing.count_ones() as usize * FRAGMENT_BYTES;
        let wanted = missing & (u128::MAX >> (u128::BITS as usize - parts));
        if wanted != 0 && self.may_serve(bytes, tools.cx) {
            tools.cx.stats.broadcasts_served += 1;
            spread.queue.send_parts(from, id, wanted, tools);
        }
    }

    /// Whether a request answers a digest of a past round.
    fn is_late(&self, round: u32, cx: &Ctx<'_>) -> bool {
        let Repair::Rounds(rounds) = cx.config.broadcast.repair else { return false };
        round != 0 && self.rounds.number.wrapping_sub(round) > rounds.round_window.into()
    }

    /// Whether `bytes` more bytes may be served in this round.
    fn may_serve(&mut self, bytes: usize, cx: &Ctx<'_>) -> bool {
        let (every, most) = match cx.config.broadcast.repair {
            Repair::Rounds(rounds) => (rounds.period, rounds.round_bytes_max),
            Repair::None | Repair::Pull { .. } => (SERVED_EVERY, SERVED_BYTES),
        };
        self.rounds.may_serve(u32::try_from(bytes).unwrap_or(u32::MAX), every, most, cx.now)
    }
}

/// Refuses a range that is not held here, and says for each part of the range whether this node has ever held it.
fn refuse_to(to: NodeId, run: Run, spread: &mut Spread, tools: &Tools<'_, '_>) {
    let Run { origin, epoch, first, last } = run;
    let mut start = first;
    for (gap_first, gap_last) in tools.log.never_had(origin, epoch) {
        let (gap_first, gap_last) = (gap_first.max(start), gap_last.min(last));
        if gap_first > gap_last {
            continue;
        }
        if start < gap_first {
            spread.queue.gone(to, Run { first: start, last: gap_first - 1, ..run }, tools.cx.now);
        }
        spread.queue.lack(to, Run { first: gap_first, last: gap_last, ..run }, tools.cx.now);
        start = gap_last + 1;
    }
    if start <= last {
        spread.queue.gone(to, Run { first: start, ..run }, tools.cx.now);
    }
}
