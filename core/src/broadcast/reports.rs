//! Delivery status (rule C6): how far an own message has spread among the members that were alive when it was
//! submitted.
//!
//! Receipts are cumulative and are sent at a random time that grows with the group, so that a thousand of them do not
//! arrive at once and one receipt answers for many messages. Members that have not answered are asked again, until the
//! report ends.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::read::Report;
use super::{Timer, Tools};
use crate::action::{Notice, Reached};
use crate::context::Ctx;
use crate::id::{MessageId, NodeId};
use crate::time::Time;
use crate::wire::{self, RUN_BYTES, RUNS_BYTES, Receipt, ReceiptRequest, Run, Runs};

/// The longest time that a receipt waits, for each member of the group; see also [`JITTER_MAX`].
const JITTER_PER_MEMBER: Duration = Duration::from_millis(1);
/// The longest time that a receipt waits in a group of any size.
const JITTER_MAX: Duration = Duration::from_secs(5);
/// The number of members that are asked at a time.
const ASKED_MAX: usize = 32;

/// The reports on own messages, and the receipts owed to others.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Reports {
    open: BTreeMap<MessageId, Open>,
    /// The origins to which receipts are owed, and the time at which each is sent.
    owed: BTreeMap<NodeId, Time>,
}

/// One message that is reported on.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Open {
    /// The number of members alive when the message was submitted, this node included.
    of: usize,
    /// The number of them that have it.
    have: usize,
    /// The other members, except those that have failed or left.
    missing: BTreeSet<NodeId>,
    /// The members that failed or left before they had it.
    without: Vec<NodeId>,
    majority_told: bool,
    /// The time at which the report ends.
    ends: Time,
    /// The time at which the missing members are asked.
    asks: Time,
    /// The member that is asked next.
    turn: NodeId,
}

/// The longest time that a receipt may wait.
fn jitter(cx: &Ctx<'_>) -> Duration {
    let others = u32::try_from(cx.others).unwrap_or(u32::MAX);
    JITTER_PER_MEMBER.saturating_mul(others.saturating_add(10)).min(JITTER_MAX)
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

    /// Opens a report on an own message, which ends after `within`.
    pub(super) fn open(&mut self, id: MessageId, within: Duration, tools: &mut Tools<'_, '_>) {
        let missing: BTreeSet<NodeId> = tools.peers.receivers_alive().collect();
        let asks = tools.cx.now + jitter(tools.cx) * 2 + tools.settings().request_delay * 4;
        let report = Open {
            of: missing.len() + 1,
            have: 1,
            missing,
            without: Vec::new(),
            majority_told: false,
            ends: tools.cx.now + within,
            asks,
            turn: NodeId::NOBODY,
        };
        let due = report.ends.min(report.asks);
        self.open.insert(id, report);
        tools.arm_by(Timer::Report, due);
        self.tell(tools.cx);
    }

    /// Reports to the application how far messages have spread, and closes the reports that have ended.
    fn tell(&mut self, cx: &mut Ctx<'_>) {
        self.open.retain(|id, report| {
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

    /// Handles a receipt: a member has these messages of this node.
    pub(super) fn on_receipt(&mut self, from: NodeId, runs: Runs<'_>, tools: &mut Tools<'_, '_>) {
        for run in runs.iter().filter(|run| run.origin == tools.log.me()) {
            for (id, report) in &mut self.open {
                let told = id.epoch == run.epoch && run.first <= id.seq && id.seq <= run.last;
                if told && report.missing.remove(&from) {
                    report.have += 1;
                }
            }
        }
        self.tell(tools.cx);
    }

    /// Removes a member that has failed or left from all reports, so that none waits for it.
    pub(super) fn on_member_gone(&mut self, id: NodeId, tools: &mut Tools<'_, '_>) {
        self.owed.remove(&id);
        for report in self.open.values_mut() {
            if report.missing.remove(&id) {
                let place = report.without.partition_point(|other| *other < id);
                report.without.insert(place, id);
            }
        }
        self.tell(tools.cx);
    }

    /// Asks some of the members that are missing in reports, and closes the reports that have ended.
    pub(super) fn on_report_due(&mut self, tools: &mut Tools<'_, '_>) {
        self.tell(tools.cx);
        let again = tools.cx.now + jitter(tools.cx) + tools.settings().request_timeout * 2;
        let mut asked: BTreeMap<NodeId, MessageId> = BTreeMap::new();
        for (id, report) in self.open.iter_mut().filter(|(_, report)| report.asks <= tools.cx.now) {
            report.asks = again;
            let (before, after) = (report.missing.range(..report.turn), report.missing.range(report.turn..));
            let chosen: Vec<NodeId> = after.chain(before).copied().take(ASKED_MAX).collect();
            report.turn = chosen.last().map_or(NodeId::NOBODY, |last| NodeId(last.0.wrapping_add(1)));
            asked.extend(chosen.into_iter().map(|to| (to, *id)));
        }
        for (to, id) in asked {
            let mut bytes = Vec::new();
            wire::put_run(&mut bytes, Run::one(id));
            tools.send(to, &ReceiptRequest(Runs::of(&bytes)).into());
        }
        if let Some(due) = self.open.values().map(|report| report.ends.min(report.asks)).min() {
            tools.arm_by(Timer::Report, due);
        }
    }

    /// Schedules a receipt to an origin that wants receipts.
    pub(super) fn owe_receipt(&mut self, origin: NodeId, tools: &mut Tools<'_, '_>) {
        // A stopped node owes nothing: a message that becomes durable after the end is delivered, and no more.
        if tools.stopped || self.owed.contains_key(&origin) {
            return;
        }
        let due = tools.cx.now + tools.rng.jitter(jitter(tools.cx));
        self.owed.insert(origin, due);
        tools.arm_by(Timer::Receipt, due);
    }

    pub(super) fn on_receipt_due(&mut self, tools: &mut Tools<'_, '_>) {
        let due = |(id, due): (&NodeId, &Time)| (*due <= tools.cx.now).then_some(*id);
        let origins: Vec<NodeId> = self.owed.iter().filter_map(due).collect();
        for origin in origins {
            self.owed.remove(&origin);
            send_receipt(origin, tools);
        }
        if let Some(due) = self.owed.values().min().copied() {
            tools.arm_by(Timer::Receipt, due);
        }
    }
}

/// Sends an origin a receipt, which lists the messages of its latest epoch that this node has seen.
pub(super) fn send_receipt(origin: NodeId, tools: &mut Tools<'_, '_>) {
    let Some(known) = tools.log.epochs(origin).last() else { return };
    let epoch = known.epoch;
    let mut bytes = Vec::new();
    let (mut first, mut runs) = (1, 0);
    let room = (tools.cx.config.payload_max() - RUNS_BYTES) / RUN_BYTES;
    let gaps = known.seen.gaps().iter().map(|gap| (gap.first, gap.last));
    for (gap_first, gap_last) in gaps.chain([(known.seen.top() + 1, u64::MAX)]) {
        if first < gap_first && runs < room {
            wire::put_run(&mut bytes, Run { origin, epoch, first, last: gap_first - 1 });
            runs += 1;
        }
        first = gap_last.saturating_add(1);
    }
    if !bytes.is_empty() {
        tools.send(origin, &Receipt(Runs::of(&bytes)).into());
    }
}
