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
use super::log::seen::{Gap, Offer, Refusal};
use super::spread::Spread;
use super::{Timer, Tools};
use crate::config::{FirstPhase, Repair};
use crate::id::{MessageId, NodeId};
use crate::reconcile::{MARKS, Sync, Tree};
use crate::time::Time;
use crate::wire::{Run, Runs};
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
    pub(super) fn start(&mut self, tools: &mut Tools<'_, '_>) {
        self.sync.start(tools.cx);
        self.arm_round(tools);
        if !self.gappy.is_empty() {
            tools.arm(Timer::Request, tools.cx.now);
        }
        self.arm_quiet(tools);
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
        self.rounds.number
    }

    /// A message has come, and is listed in digests from now on.
    pub(super) fn add(&mut self, id: MessageId) {
        self.rounds.hot.push_back(id);
    }

    /// Makes the next round due, if there is something to do in it.
    pub(super) fn arm_round(&mut self, tools: &mut Tools<'_, '_>) {
        let drops = tools.settings().keep_rounds.is_some() && tools.log.cache.len() > 0;
        let period = match tools.settings().repair {
            Repair::None => return self.rounds.hot.clear(),
            Repair::Rounds(_) if self.rounds.hot.is_empty() && !drops => return,
            Repair::Rounds(rounds) => rounds.period,
            Repair::Pull { period, .. } => period,
        };
        if tools.deadlines.at(Timer::Round).is_none() && !tools.stopped {
            // Within a tenth around the period, so that a group does not go in step.
            let jitter = tools.rng.jitter(period / 5);
            tools.arm(Timer::Round, tools.cx.now + period * 9 / 10 + jitter);
        }
    }

    /// A member announces messages: over a lazy edge of its tree, or because too few have acknowledged its push.
    pub(super) fn on_announced(
        &mut self,
        from: NodeId,
        runs: Runs<'_>,
        spread: &mut Spread,
        tools: &mut Tools<'_, '_>,
    ) {
        let tree = matches!(tools.settings().first, FirstPhase::Tree { .. });
        // The tree may still bring the message.
        let due = if tree { tools.cx.now + tools.settings().request_delay } else { tools.cx.now };
        for run in runs.iter() {
            spread.forget_announcement(from, run);
            if run.origin == tools.log.me() || tools.peers.is_origin(run.origin) {
                self.on_offer(run, Offer { from, round: 0, graft: tree }, due, tools);
            }
        }
    }

    /// A member has these messages: they exist, and it can be asked for those that are missing here.
    fn on_offer(&mut self, run: Run, offer: Offer, due: Time, tools: &mut Tools<'_, '_>) {
        if tools.log.is_current(run.origin, run.epoch, run.last) {
            return;
        }
        self.learn(run, offer, due, tools, |gap| {
            // A member that is asked already gets its time.
            if gap.asked.is_none() {
                gap.due = gap.due.min(due);
            }
        });
    }

    /// A piece of a message has come. The others are on their way; if they do not come, they are asked for.
    pub(super) fn expect(&mut self, id: MessageId, offer: Offer, tools: &mut Tools<'_, '_>) {
        let due = tools.cx.now + tools.settings().request_delay;
        self.learn(Run::one(id), offer, due, tools, |gap| gap.due = due);
    }

    /// Learns that these messages exist. The offer is added to their gaps, and `set_due` says when those are due.
    fn learn(
        &mut self,
        run: Run,
        offer: Offer,
        due: Time,
        tools: &mut Tools<'_, '_>,
        set_due: impl Fn(&mut Gap),
    ) {
        let Run { origin, epoch, first, last } = run;
        let Some(known) = tools.log.open(origin, epoch, last, tools.cx) else { return };
        let news = known.seen.learn(last, tools.cx.now, due);
        for gap in known.seen.within(first, last) {
            gap.add(offer);
            set_due(gap);
        }
        if news {
            self.touch(origin, tools);
        }
        self.after_learning(origin, epoch, tools);
    }

    /// Bounds the gaps of an epoch that may have got new ones, and makes it due to ask for them.
    pub(super) fn after_learning(&mut self, origin: NodeId, epoch: u64, tools: &mut Tools<'_, '_>) {
        if let Some(due) = tools.log.bound_gaps(origin, epoch, tools.cx) {
            self.gappy.insert(origin);
            tools.arm_by(Timer::Request, due);
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

/// A member cannot serve these messages.
pub(super) fn on_refusal(from: NodeId, runs: Runs<'_>, why: Refusal, tools: &mut Tools<'_, '_>) {
    runs.iter().for_each(|run| refuse(run, from, why, tools));
}

/// Notes that a member cannot serve these messages, and makes it due to ask the next one.
fn refuse(run: Run, by: NodeId, why: Refusal, tools: &mut Tools<'_, '_>) {
    if let Some(due) = tools.log.refuse(run, by, why, tools.cx) {
        tools.arm_by(Timer::Request, due);
    }
}
