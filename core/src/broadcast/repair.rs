//! The repair: messages that the first phase missed are found, requested, and served (rules C3, C5 and C7).
//!
//! An offer, whether an announcement, a digest or a mark, only adds a source to a gap of the log. The one timer of the
//! gap asks one source after another and, when none is left, any member. Files: [`digest`] (rounds and pulls),
//! [`request`] (asking), [`serve`] (answering requests), [`marks`] (the comparison that finds the last message of a
//! silent origin).

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
    /// Makes the repair for a log that may have been restored from disk.
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

    /// Starts the repair when the node starts or rejoins.
    pub(super) fn start(&mut self, tools: &mut Tools<'_, '_>) {
        self.sync.start(tools.cx);
        self.arm_round(tools);
        if !self.gappy.is_empty() {
            tools.arm(Timer::Request, tools.cx.now);
        }
        self.arm_quiet(tools);
    }

    /// Stops the repair when the node stops.
    pub(super) fn stop(&mut self) {
        self.sync.stop();
    }

    /// Forgets the differences to a member that is gone.
    pub(super) fn on_member_gone(&mut self, id: NodeId) {
        self.sync.forget(id);
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

    /// Adds a message that was received to those that digests list.
    pub(super) fn add(&mut self, id: MessageId) {
        self.rounds.hot.push_back(id);
    }

    /// Schedules the next round, if there is something to do in it.
    pub(super) fn arm_round(&mut self, tools: &mut Tools<'_, '_>) {
        let drops = tools.settings().keep_rounds.is_some() && tools.log.cache.len() > 0;
        let period = match tools.settings().repair {
            Repair::None => return self.rounds.hot.clear(),
            Repair::Rounds(_) if self.rounds.hot.is_empty() && !drops => return,
            Repair::Rounds(rounds) => rounds.period,
            Repair::Pull { period, .. } => period,
        };
        if tools.deadlines.at(Timer::Round).is_none() && !tools.stopped {
            // The period is random within a tenth around its length, so that members do not start their rounds
            // together.
            let jitter = tools.rng.jitter(period / 5);
            tools.arm(Timer::Round, tools.cx.now + period * 9 / 10 + jitter);
        }
    }

    /// Handles an announcement, which a member sends over a lazy edge of its tree, or because too few members have
    /// acknowledged its push.
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

    /// Notes an offer: the messages exist, and `offer.from` can be asked for those that are missing here.
    fn on_offer(&mut self, run: Run, offer: Offer, due: Time, tools: &mut Tools<'_, '_>) {
        if tools.log.is_current(run.origin, run.epoch, run.last) {
            return;
        }
        self.learn(run, offer, due, tools, |gap| {
            // A member that was asked already keeps its time to answer.
            if gap.asked.is_none() {
                gap.due = gap.due.min(due);
            }
        });
    }

    /// Notes that a piece of a message was received. The other pieces may be on their way, and are requested if they do
    /// not arrive in time.
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

    /// Bounds the gaps of an epoch that may have new ones, and schedules their requests.
    pub(super) fn after_learning(&mut self, origin: NodeId, epoch: u64, tools: &mut Tools<'_, '_>) {
        if let Some(due) = tools.log.bound_gaps(origin, epoch, tools.cx) {
            self.gappy.insert(origin);
            tools.arm_by(Timer::Request, due);
        }
    }

    /// Checks the invariants between the log and the repair.
    pub(super) fn check(&self, log: &Log) {
        for (origin, _) in log.origins_from(NodeId(0)) {
            let listed = log.gaps(origin).next().is_none() || self.gappy.contains(&origin);
            assert!(listed, "the gaps of {origin} are asked for");
        }
        self.check_marks(log);
    }
}

/// Handles a refusal: `from` cannot serve these messages.
pub(super) fn on_refusal(from: NodeId, runs: Runs<'_>, why: Refusal, tools: &mut Tools<'_, '_>) {
    runs.iter().for_each(|run| refuse(run, from, why, tools));
}

/// Notes that a member cannot serve these messages, and schedules the request to the next member.
fn refuse(run: Run, by: NodeId, why: Refusal, tools: &mut Tools<'_, '_>) {
    if let Some(due) = tools.log.refuse(run, by, why, tools.cx) {
        tools.arm_by(Timer::Request, due);
    }
}
