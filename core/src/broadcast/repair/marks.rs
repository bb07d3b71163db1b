//! The marks, origin → highest numbers, as a table of the reconciliation (rule C3). Every ping carries the root of this
//! table, so that even the last message of an origin that has fallen silent is found to be missing.
//!
//! While an origin sends, the marks of the members differ all the time, and a difference means nothing. So an origin
//! takes part in the comparison with its present mark only once it has been silent for `quiet_after`; until then it
//! takes part with the mark of its last silence.

use alloc::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::super::log::Log;
use super::super::log::seen::{Offer, Refusal};
use super::super::spread::Spread;
use super::super::{Timer, Tools};
use super::{Repairs, refuse};
use crate::context::Ctx;
use crate::id::NodeId;
use crate::link::DatagramWriter;
use crate::reconcile::{ItemFate, Partner, Sync, Table, Tree};
use crate::time::{Time, nanos};
use crate::wire::{Mark, Reconcile, Run};

/// The origins of which something new was heard since their mark was last compared.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Quiet {
    /// The origins and the times at which they were noticed, in the order of these times.
    queue: VecDeque<(Time, NodeId)>,
    /// The time at which each origin was last heard of.
    heard: BTreeMap<NodeId, Time>,
}

impl Quiet {
    /// Notes that something new was heard of an origin.
    fn touch(&mut self, origin: NodeId, now: Time) {
        if self.heard.insert(origin, now).is_none() {
            self.queue.push_back((now, origin));
        }
    }

    /// Removes and returns an origin that has been silent since `before`.
    fn pop(&mut self, before: Time) -> Option<NodeId> {
        while let Some((noticed, origin)) = self.queue.front().copied() {
            if noticed > before {
                return None;
            }
            self.queue.pop_front();
            match self.heard.get(&origin) {
                Some(heard) if *heard > before => self.queue.push_back((*heard, origin)),
                Some(_) => {
                    self.heard.remove(&origin);
                    return Some(origin);
                }
                None => {}
            }
        }
        None
    }
}

impl Repairs {
    /// Notes that something new is known of an origin.
    pub(crate) fn touch(&mut self, origin: NodeId, tools: &mut Tools<'_, '_>) {
        self.quiet.touch(origin, tools.cx.now);
        self.arm_quiet(tools);
    }

    pub(super) fn arm_quiet(&self, tools: &mut Tools<'_, '_>) {
        if let Some((noticed, _)) = self.quiet.queue.front().copied()
            && tools.deadlines.at(Timer::Quiet).is_none()
            && !tools.stopped
        {
            tools.arm(Timer::Quiet, noticed + tools.settings().quiet_after);
        }
    }

    /// Puts the present marks of the origins that have been silent for long enough into the comparison.
    pub(crate) fn on_quiet_due(&mut self, tools: &mut Tools<'_, '_>) {
        let after = nanos(tools.settings().quiet_after);
        let before = Time::from_nanos(tools.cx.now.as_nanos().saturating_sub(after));
        while let Some(origin) = self.quiet.pop(before) {
            self.compare(origin, tools.log);
        }
        self.arm_quiet(tools);
    }

    /// Puts the present mark of an origin into the comparison.
    pub(super) fn compare(&mut self, origin: NodeId, log: &Log) {
        self.marks.set(origin, log.fingerprint(origin));
    }

    /// The root of the fingerprint tree of the marks.
    pub(crate) const fn marks_root(&self) -> u64 {
        self.marks.root()
    }

    fn reconciliation<'a>(&'a mut self, log: &'a Log) -> (&'a mut Sync, Marks<'a>) {
        (&mut self.sync, Marks { tree: &self.marks, log })
    }

    /// Compares the root that a member sent with its ping or ack.
    pub(crate) fn on_marks_root(&mut self, from: Partner, root: u64, tools: &mut Tools<'_, '_>) {
        let (peers, config) = (tools.peers, tools.cx.config);
        let partner = || peers.receiver(from.id).map(|_| from);
        let (sync, marks) = self.reconciliation(tools.log);
        sync.on_root(&marks, from.id, root, partner, || peers.spread_time(config), tools.cx);
    }

    /// Handles a message of an exchange about marks.
    pub(crate) fn on_reconcile(
        &mut self,
        from: Partner,
        message: &Reconcile<'_>,
        log: &Log,
        cx: &mut Ctx<'_>,
    ) {
        let (sync, marks) = self.reconciliation(log);
        sync.on_message(&marks, from, message, cx);
    }

    /// Starts an exchange with a random member, if the deadline at `due` asks for one.
    pub(crate) fn go_on_reconciling(&mut self, due: Time, spread: &mut Spread, tools: &mut Tools<'_, '_>) {
        if !self.sync.pop_due(due) {
            return;
        }
        let chosen = spread.choose(1, tools);
        if let Some((id, addr)) = chosen.first().and_then(|id| Some((*id, tools.peers.receiver(*id)?))) {
            let (sync, marks) = self.reconciliation(tools.log);
            sync.go_on(&marks, Partner { id, addr }, tools.cx);
        }
    }

    /// Handles an item of an exchange: the origin has sent messages up to `top`, and the sender of the item holds those
    /// from `low` on.
    pub(crate) fn on_mark(&mut self, from: NodeId, mark: &Mark, tools: &mut Tools<'_, '_>) {
        let Mark { origin, epoch, top, .. } = *mark;
        if tools.log.is_current(origin, epoch, top) {
            return;
        }
        let before = tools.log.fingerprint(origin);
        if !tools.log.note_ended(origin, epoch, top, tools.cx) {
            self.take_mark(from, mark, tools);
        }
        if tools.log.fingerprint(origin) != before {
            // The news is old to others, so the origin takes part in the comparison at once, and the next exchange
            // follows.
            self.compare(origin, tools.log);
            self.sync.find(tools.cx);
        }
    }

    fn take_mark(&mut self, from: NodeId, mark: &Mark, tools: &mut Tools<'_, '_>) {
        let Mark { origin, epoch, low, top } = *mark;
        let Some(known) = tools.log.open(origin, epoch, top + 1, tools.cx) else { return };
        known.seen.learn(top, tools.cx.now, tools.cx.now);
        self.after_learning(origin, epoch, tools);
        if low > 0 {
            let offer = Offer { from, round: 0, graft: false };
            self.on_offer(Run { origin, epoch, first: low, last: top }, offer, tools.cx.now, tools);
        }
        let held_from = if low == 0 { top + 1 } else { low };
        if held_from > 1 {
            let run = Run { origin, epoch, first: 1, last: held_from - 1 };
            refuse(run, from, Refusal::Lack, tools);
        }
    }

    /// Checks the invariants between the log and the marks.
    pub(super) fn check_marks(&self, log: &Log) {
        for (id, _) in log.origins_from(NodeId(0)) {
            let silent = !self.quiet.heard.contains_key(&id);
            assert!(!silent || self.marks.get(id) == log.fingerprint(id), "the mark of {id} is current");
        }
        assert_eq!(self.quiet.queue.len(), self.quiet.heard.len(), "an origin waits for its silence once");
    }
}

/// The marks, as the reconciliation sees them.
struct Marks<'a> {
    tree: &'a Tree,
    log: &'a Log,
}

impl Table for Marks<'_> {
    fn tree(&self) -> &Tree {
        self.tree
    }

    fn push_item(&self, id: NodeId, datagram: &mut DatagramWriter<'_>) -> ItemFate {
        let mut fate = ItemFate::Empty;
        for mark in self.log.marks_of(id) {
            if !datagram.push(&mark.into()) {
                return ItemFate::TooLong;
            }
            fate = ItemFate::Packed;
        }
        fate
    }
}
