//! Delivery status (rule C6): how far an own message has spread among those who were alive when it was submitted.
//!
//! Receipts are cumulative and come at a random time that grows with the group, so that a thousand of them do not
//! arrive at once and one answers for many messages. Who has not said a thing is asked again, until time is up.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::view::Report;
use super::{Broadcast, Timer};
use crate::action::{Notice, Reached};
use crate::context::Ctx;
use crate::id::{MessageId, NodeId};
use crate::membership::Peers;
use crate::time::Time;
use crate::wire::{self, RUN_BYTES, RUNS_BYTES, Receipt, ReceiptRequest, Run, Runs};

/// A receipt comes within so long for each member of the group …
const JITTER_PER_MEMBER: Duration = Duration::from_millis(1);
/// … and within this.
const JITTER_MAX: Duration = Duration::from_secs(5);
/// How many of those who have not answered are asked at a time.
const ASKED_MAX: usize = 32;

/// Own messages that are reported on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Reports {
    open: BTreeMap<MessageId, Open>,
}

/// One of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Open {
    /// The members alive when it was submitted, this node included.
    of: usize,
    have: usize,
    missing: BTreeSet<NodeId>,
    /// Who failed or left first.
    without: Vec<NodeId>,
    majority_told: bool,
    ends: Time,
    asks: Time,
    /// Who is asked next.
    turn: NodeId,
}

impl Reports {
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn get(&self, id: MessageId) -> Option<Report> {
        let report = self.open.get(&id)?;
        let missing = report.missing.iter().copied().collect();
        Some(Report { id, of: report.of, have: report.have, missing })
    }
}

/// How long a receipt may wait.
fn jitter(cx: &Ctx<'_>) -> Duration {
    let others = u32::try_from(cx.others).unwrap_or(u32::MAX);
    JITTER_PER_MEMBER.saturating_mul(others.saturating_add(10)).min(JITTER_MAX)
}

impl Broadcast {
    pub(super) fn open_report(
        &mut self,
        id: MessageId,
        within: Duration,
        peers: Peers<'_>,
        cx: &mut Ctx<'_>,
    ) {
        let missing: BTreeSet<NodeId> = peers.receivers_alive().collect();
        let asks = cx.now + jitter(cx) * 2 + cx.config.broadcast.request_delay * 4;
        let report = Open {
            of: missing.len() + 1,
            have: 1,
            missing,
            without: Vec::new(),
            majority_told: false,
            ends: cx.now + within,
            asks,
            turn: NodeId::NOBODY,
        };
        let due = report.ends.min(report.asks);
        self.reports.open.insert(id, report);
        self.arm_by(Timer::Report, due, cx);
        self.tell_reports(cx);
    }

    /// Says what has been reached, and closes what has ended.
    fn tell_reports(&mut self, cx: &mut Ctx<'_>) {
        self.reports.open.retain(|id, report| {
            let id = *id;
            if !report.majority_told && report.have > report.of / 2 {
                report.majority_told = true;
                cx.out.notify(Notice::Report { id, reached: Reached::Majority });
            }
            if report.missing.is_empty() {
                let without = core::mem::take(&mut report.without);
                cx.out.notify(Notice::Report { id, reached: Reached::All { without } });
                return false;
            }
            if report.ends <= cx.now {
                let missing = report.missing.iter().copied().collect();
                cx.out.notify(Notice::Report { id, reached: Reached::TimedOut { missing } });
                return false;
            }
            true
        });
    }

    /// A member has these of ours.
    pub(super) fn on_receipt(&mut self, from: NodeId, runs: Runs<'_>, cx: &mut Ctx<'_>) {
        for run in runs.iter().filter(|run| run.origin == self.me) {
            for (id, report) in &mut self.reports.open {
                let told = id.epoch == run.epoch && run.first <= id.seq && id.seq <= run.last;
                if told && report.missing.remove(&from) {
                    report.have += 1;
                }
            }
        }
        self.tell_reports(cx);
    }

    /// A member has failed or left: nobody waits for it.
    pub(super) fn on_reader_gone(&mut self, id: NodeId, cx: &mut Ctx<'_>) {
        for report in self.reports.open.values_mut() {
            if report.missing.remove(&id) {
                let place = report.without.partition_point(|other| *other < id);
                report.without.insert(place, id);
            }
        }
        self.tell_reports(cx);
    }

    /// Asks some of those who have not answered, and closes what has run out.
    pub(super) fn on_report_due(&mut self, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        self.tell_reports(cx);
        let again = cx.now + jitter(cx) + cx.config.broadcast.request_timeout * 2;
        let mut asked: BTreeMap<NodeId, MessageId> = BTreeMap::new();
        for (id, report) in self.reports.open.iter_mut().filter(|(_, report)| report.asks <= cx.now) {
            report.asks = again;
            let (before, after) = (report.missing.range(..report.turn), report.missing.range(report.turn..));
            let chosen: Vec<NodeId> = after.chain(before).copied().take(ASKED_MAX).collect();
            report.turn = chosen.last().map_or(NodeId::NOBODY, |last| NodeId(last.0.wrapping_add(1)));
            asked.extend(chosen.into_iter().map(|to| (to, *id)));
        }
        for (to, id) in asked {
            let Some(addr) = peers.receiver(to) else { continue };
            let mut bytes = Vec::new();
            wire::put_run(&mut bytes, Run::one(id));
            let mut letter = cx.letter(addr, to);
            letter.push(&ReceiptRequest(Runs::of(&bytes)).into());
            letter.send();
        }
        let due = self.reports.open.values().map(|report| report.ends.min(report.asks)).min();
        if let Some(due) = due {
            self.arm_by(Timer::Report, due, cx);
        }
    }

    /// An origin wants to know that its message has come; it is told in a while.
    pub(super) fn owe_receipt(&mut self, origin: NodeId, cx: &Ctx<'_>) {
        if self.receipts.contains_key(&origin) {
            return;
        }
        let due = cx.now + self.rng.jitter(jitter(cx));
        self.receipts.insert(origin, due);
        self.arm_by(Timer::Receipt, due, cx);
    }

    pub(super) fn on_receipt_due(&mut self, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        let due = |(id, due): (&NodeId, &Time)| (*due <= cx.now).then_some(*id);
        let origins: Vec<NodeId> = self.receipts.iter().filter_map(due).collect();
        for origin in origins {
            self.receipts.remove(&origin);
            self.send_receipt(origin, peers, cx);
        }
        if let Some(due) = self.receipts.values().min().copied() {
            self.arm_by(Timer::Receipt, due, cx);
        }
    }

    /// Tells an origin all that has come of its latest epoch, as far as it has been delivered.
    pub(super) fn send_receipt(&self, origin: NodeId, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        let Some(addr) = peers.receiver(origin) else { return };
        let Some(known) = self.origins.get(&origin).and_then(|known| known.epochs.last()) else { return };
        let epoch = known.epoch;
        let mut bytes = Vec::new();
        let (mut first, mut runs) = (1, 0);
        let room = (cx.config.payload_max() - RUNS_BYTES) / RUN_BYTES;
        let gaps = known.seen.gaps().iter().map(|gap| (gap.first, gap.last));
        for (gap_first, gap_last) in gaps.chain([(known.seen.top() + 1, u64::MAX)]) {
            if first < gap_first && runs < room {
                wire::put_run(&mut bytes, Run { origin, epoch, first, last: gap_first - 1 });
                runs += 1;
            }
            first = gap_last.saturating_add(1);
        }
        if !bytes.is_empty() {
            let mut letter = cx.letter(addr, origin);
            letter.push(&Receipt(Runs::of(&bytes)).into());
            letter.send();
        }
    }
}
