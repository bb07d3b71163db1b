//! The repair: what the first phase missed is found, asked for, and served (rules C3, C5 and C7).
//!
//! Offers, whether by announcement, digest or mark, only add a source to a gap of the log; the gap's one timer asks one
//! source after another, and when none is left, any member. Files: [`digest`] (rounds and pulls), [`request`] (asking),
//! [`serve`] (answering requests), [`marks`] (the comparison that finds the last message of a silent origin).

mod digest;
mod marks;
mod request;
mod serve;

use alloc::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::log::Log;
use super::log::cache::Cache;
use super::log::seen::{Offer, Refusal};
use super::{Shared, Timer};
use crate::config::{FirstPhase, Repair};
use crate::context::Ctx;
use crate::id::{MessageId, NodeId};
use crate::reconcile::{MARKS, Sync, Tree};
use crate::time::Time;
use crate::wire::Run;
use digest::Rounds;
use marks::Quiet;
pub(super) use request::send_requests;

/// The repair of one node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Repairs {
    rounds: Rounds,
    /// The origins that have gaps.
    gappy: BTreeSet<NodeId>,
    quiet: Quiet,
    marks: Tree,
    sync: Sync,
}

impl Repairs {
    /// The repair of a log that may have been restored.
    pub(super) fn new(log: &Log) -> Self {
        let (rounds, quiet) = (Rounds::default(), Quiet::default());
        let mut repair =
            Self { rounds, gappy: BTreeSet::new(), quiet, marks: Tree::new(), sync: Sync::new(MARKS) };
        for (origin, _) in log.origins_from(NodeId(0)) {
            if log.gaps(origin).next().is_some() {
                repair.gappy.insert(origin);
            }
            repair.compare(origin, log);
        }
        repair
    }

    pub(super) const fn next_wake(&self) -> Option<Time> {
        self.sync.next_wake()
    }

    /// The node has started, or started again.
    pub(super) fn start(&mut self, log: &Log, shared: &mut Shared, cx: &mut Ctx<'_>) {
        self.sync.start(cx);
        self.arm_round(&log.cache, shared, cx);
        if !self.gappy.is_empty() {
            shared.deadlines.arm(Timer::Request, cx.now, cx.now);
        }
        self.arm_quiet(shared, cx);
    }

    /// The node has stopped.
    pub(super) const fn stop(&mut self) {
        self.sync.stop();
    }

    /// Forgets an origin.
    pub(super) fn forget(&mut self, origin: NodeId) {
        self.marks.set(origin, None);
        self.gappy.remove(&origin);
    }

    /// The number of the current round.
    pub(super) const fn round(&self) -> u32 {
        self.rounds.number()
    }

    /// A message has come, and is listed in digests from now on.
    pub(super) fn add(&mut self, id: MessageId) {
        self.rounds.add(id);
    }

    /// Makes the next round due, if there is something to do in it.
    pub(super) fn arm_round(&mut self, cache: &Cache, shared: &mut Shared, cx: &Ctx<'_>) {
        let drops = cx.config.broadcast.keep_rounds.is_some() && cache.len() > 0;
        let period = match cx.config.broadcast.repair {
            Repair::None => return self.rounds.clear(),
            Repair::Rounds(_) if self.rounds.is_idle() && !drops => return,
            Repair::Rounds(rounds) => rounds.period,
            Repair::Pull { period, .. } => period,
        };
        if shared.deadlines.at(Timer::Round).is_none() && !shared.stopped {
            // Within a tenth around the period, so that a group does not go in step.
            let jitter = shared.rng.jitter(period / 5);
            shared.deadlines.arm(Timer::Round, cx.now + period * 9 / 10 + jitter, cx.now);
        }
    }

    /// A member announces messages.
    pub(super) fn on_announced(
        &mut self,
        run: Run,
        from: NodeId,
        log: &mut Log,
        shared: &mut Shared,
        cx: &Ctx<'_>,
    ) {
        let tree = matches!(cx.config.broadcast.first, FirstPhase::Tree { .. });
        // Where there is a tree, its message may be on its way still.
        let due = if tree { cx.now + cx.config.broadcast.request_delay } else { cx.now };
        self.on_offer(run, Offer { from, round: 0, graft: tree }, due, log, shared, cx);
    }

    /// A member has these messages: they exist, and it can be asked for those that are missing here.
    fn on_offer(
        &mut self,
        run: Run,
        offer: Offer,
        due: Time,
        log: &mut Log,
        shared: &mut Shared,
        cx: &Ctx<'_>,
    ) {
        let Run { origin, epoch, first, last } = run;
        if log.is_current(origin, epoch, last) {
            return;
        }
        let Some(known) = log.open(origin, epoch, last, cx) else { return };
        let news = known.seen.learn(last, cx.now, due);
        for gap in known.seen.within(first, last) {
            gap.add(offer);
            // A member that is asked already gets its time.
            if gap.asked.is_none() {
                gap.due = gap.due.min(due);
            }
        }
        if news {
            self.touch(origin, shared, cx);
        }
        self.after_learning(origin, epoch, log, shared, cx);
    }

    /// A piece of a message has come. The others are on their way; if they do not come, they are asked for.
    pub(super) fn expect(
        &mut self,
        id: MessageId,
        offer: Offer,
        log: &mut Log,
        shared: &mut Shared,
        cx: &Ctx<'_>,
    ) {
        let MessageId { origin, epoch, seq } = id;
        let due = cx.now + cx.config.broadcast.request_delay;
        let Some(known) = log.open(origin, epoch, seq, cx) else { return };
        let news = known.seen.learn(seq, cx.now, due);
        for gap in known.seen.within(seq, seq) {
            gap.add(offer);
            gap.due = due;
        }
        if news {
            self.touch(origin, shared, cx);
        }
        self.after_learning(origin, epoch, log, shared, cx);
    }

    /// A member cannot serve these messages.
    pub(super) fn refuse(
        &mut self,
        run: Run,
        by: NodeId,
        why: Refusal,
        log: &mut Log,
        shared: &mut Shared,
        cx: &Ctx<'_>,
    ) {
        if let Some(due) = log.refuse(run, by, why, cx) {
            shared.deadlines.arm_by(Timer::Request, due, cx.now);
        }
    }

    /// Bounds the gaps of an epoch that may have got new ones, and makes it due to ask for them.
    pub(super) fn after_learning(
        &mut self,
        origin: NodeId,
        epoch: u64,
        log: &mut Log,
        shared: &mut Shared,
        cx: &Ctx<'_>,
    ) {
        if let Some(due) = log.bound_gaps(origin, epoch, cx) {
            self.gappy.insert(origin);
            shared.deadlines.arm_by(Timer::Request, due, cx.now);
        }
    }

    /// Checks what must hold between the log and the repair.
    pub(super) fn check(&self, log: &Log) {
        for (origin, _) in log.origins_from(NodeId(0)) {
            let listed = log.gaps(origin).next().is_none() || self.gappy.contains(&origin);
            assert!(listed, "the gaps of {origin} are asked for");
        }
        self.check_marks(log);
    }
}
