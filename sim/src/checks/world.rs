//! The truth about a run as far as the checks need it: which processes run, which faults they had, and since when nothing
//! has gone wrong.

mod admissions;

use std::collections::{BTreeMap, BTreeSet};

use bruit_core::{Admission, Command, Node, NodeId, Notice, Phase, Time};

use super::nodes::Nodes;
use crate::base::Index;
use crate::kernel::{Happening, Memory};
use admissions::Admissions;

/// The history of one process.
#[derive(Clone, Debug)]
struct History {
    id: NodeId,
    runs: bool,
    paused: bool,
    /// When the process last crashed, restarted, was paused, was resumed or moved.
    disturbed: Option<Time>,
    /// When the process was told to join, in the present boot and since it last left.
    asked: Option<Time>,
    /// When it took its id after that: until then it waits, and is no member (rule A2a).
    joined: Option<Time>,
    left: Option<Time>,
    crashed: Option<Time>,
    /// When the node last stopped for good in the present boot: it gave way to a twin, or was removed.
    ended: Option<Time>,
    /// When the process last did not run any more as a member: it crashed, or its node stopped.
    last_ran: Option<Time>,
}

impl History {
    /// Whether the process runs and its node has not stopped for good.
    const fn is_active(&self) -> bool {
        self.runs && self.ended.is_none()
    }
}

/// The time until which the loss was above a limit, or `MAX` while it is.
#[derive(Clone, Copy, Debug)]
struct Noise {
    limit_ppm: u32,
    until: Option<Time>,
}

impl Noise {
    fn measure(&mut self, at: Time, loss_ppm: u32) {
        if loss_ppm > self.limit_ppm {
            self.until = Some(Time::MAX);
        } else if self.until == Some(Time::MAX) {
            self.until = Some(at);
        }
    }

    fn until(self) -> Time {
        self.until.unwrap_or(Time::ZERO)
    }
}

/// The loss up to which a member that runs must not be called Down (checks CM2, CM6 and CM12), in parts per million: a
/// tenth of the datagrams, or the declared loss if that is higher. All other checks judge up to the declared loss.
const BEARABLE_LOSS_PPM: u32 = 100_000;

/// The histories of all processes, kept up to date by every happening.
#[derive(Clone, Debug)]
pub(crate) struct World {
    histories: Vec<History>,
    by_id: BTreeMap<NodeId, Vec<Index>>,
    /// The ids of which a process went on from a snapshot.
    copied: BTreeSet<NodeId>,
    admissions: Admissions,
    /// The time until which a cut lay between the two processes of each pair, or `MAX` while one does. The position is the
    /// greater index, then the smaller one.
    apart: Vec<Vec<Time>>,
    cuts: usize,
    /// The time of the latest disturbance or change.
    changed: Time,
    /// The noise above the declared loss.
    noisy: Noise,
    /// The noise above the loss that members must bear.
    unbearable: Noise,
    /// When a removal of each id was last commanded.
    removals: BTreeMap<NodeId, Time>,
}

impl World {
    pub(crate) fn new(declared_loss_ppm: u32) -> Self {
        let noise = |limit_ppm| Noise { limit_ppm, until: None };
        Self {
            histories: Vec::new(),
            by_id: BTreeMap::new(),
            copied: BTreeSet::new(),
            admissions: Admissions::default(),
            apart: Vec::new(),
            cuts: 0,
            changed: Time::ZERO,
            noisy: noise(declared_loss_ppm),
            unbearable: noise(declared_loss_ppm.max(BEARABLE_LOSS_PPM)),
            removals: BTreeMap::new(),
        }
    }

    /// Records a happening.
    pub(crate) fn observe(&mut self, at: Time, happening: &Happening<'_>, nodes: &dyn Nodes) {
        match *happening {
            Happening::Started { node } => {
                self.learn(at, node, nodes);
                self.measure(at, nodes);
            }
            Happening::Cloned { node, id } => {
                self.learn(at, node, nodes);
                self.measure(at, nodes);
                // A copy goes on from a snapshot, and any other process with the id has just been started.
                if nodes.node(node).is_some_and(Node::is_joined) {
                    self.admissions.resume(node, id);
                }
            }
            Happening::Saved { node } => self.admissions.save(node, self.histories[node.get()].id),
            Happening::Crashed { node } => {
                self.admissions.crash(node);
                self.disturb(node, at);
                let history = &mut self.histories[node.get()];
                if history.is_active() {
                    history.last_ran = Some(at);
                }
                (history.runs, history.paused, history.crashed, history.ended) =
                    (false, false, Some(at), None);
                (history.asked, history.joined) = (None, None);
            }
            Happening::Restarted { node, memory } => {
                self.disturb(node, at);
                let history = &mut self.histories[node.get()];
                (history.runs, history.paused, history.left, history.crashed) = (true, false, None, None);
                if memory == Memory::Snapshot {
                    self.resumed(node, at, nodes);
                }
            }
            Happening::Paused { node } | Happening::Resumed { node } => {
                self.disturb(node, at);
                self.histories[node.get()].paused = matches!(happening, Happening::Paused { .. });
            }
            Happening::Moved { node, .. } => self.disturb(node, at),
            Happening::Command { node, command } => self.command(at, node, command, nodes),
            Happening::Notice { node, notice: Notice::AdmissionAsked { id } } => {
                self.admissions.ask(node, *id);
            }
            Happening::Notice {
                node,
                notice: Notice::IdentityConflict { stopped: true, .. } | Notice::NameTaken { .. },
            } => {
                self.end(node, at);
            }
            Happening::Notice { node, notice: Notice::Removed } => {
                self.histories[node.get()].left.get_or_insert(at);
                self.end(node, at);
            }
            Happening::Notice { node, notice: Notice::Departed { .. } } => {
                self.histories[node.get()].left.get_or_insert(at);
                self.changed = at;
            }
            Happening::CutMade { .. } => {
                self.cuts += 1;
                self.measure(at, nodes);
            }
            Happening::Healed { .. } => {
                self.cuts = self.cuts.saturating_sub(1);
                self.measure(at, nodes);
            }
            Happening::NetworkChanged => self.measure(at, nodes),
            Happening::Handled { node } => self.take(at, node, nodes),
            _ => {}
        }
    }

    /// Notes that a process that was told to join has its id.
    fn take(&mut self, at: Time, node: Index, nodes: &dyn Nodes) {
        let Some(history) = self.histories.get_mut(node.get()) else { return };
        if history.asked.is_some() && history.joined.is_none() && nodes.is_member(node) {
            history.joined = Some(at);
            if history.asked != Some(at) {
                (history.disturbed, self.changed) = (Some(at), at);
            }
        }
    }

    fn command(&mut self, at: Time, node: Index, command: &Command, nodes: &dyn Nodes) {
        match command {
            Command::Join { .. } => {
                let history = &mut self.histories[node.get()];
                if history.left.take().is_some() {
                    (history.disturbed, history.asked, history.joined) = (Some(at), None, None);
                }
                history.asked.get_or_insert(at);
                if nodes.is_member(node) {
                    history.joined.get_or_insert(at);
                }
            }
            Command::Leave { .. } => {
                self.histories[node.get()].left.get_or_insert(at);
            }
            Command::RemovePeer(id) => {
                self.removals.insert(*id, at);
                // A process stops when it hears of its removal, unless it is above the incarnation that was removed.
                for node in self.processes(*id).to_vec() {
                    self.disturb(node, at);
                }
            }
            Command::SetAddr(_) => self.disturb(node, at),
            Command::Admit { id, admission: Admission::Veto } => {
                self.admissions.veto(node, *id);
            }
            Command::Admit { id, admission: Admission::Accept } => self.admissions.accept(node, *id),
            _ => return,
        }
        self.changed = at;
    }

    fn learn(&mut self, at: Time, node: Index, nodes: &dyn Nodes) {
        let id = nodes.node(node).map_or(NodeId::NOBODY, Node::id);
        // A copy goes on with what it was told before it was copied.
        let phase = nodes.node(node).map(Node::phase);
        let waits = (phase == Some(Phase::Waiting)).then_some(at);
        let runs = (phase == Some(Phase::Running)).then_some(at);
        if runs.or(waits).is_some() {
            self.copied.insert(id);
        }
        debug_assert_eq!(
            self.histories.len(),
            node.get(),
            "processes are numbered in the order of their start"
        );
        self.histories.push(History {
            id,
            runs: true,
            paused: false,
            // The copy of a member is one from the start, and has missed what happened since.
            disturbed: runs,
            asked: runs.or(waits),
            joined: runs,
            left: None,
            crashed: None,
            ended: None,
            last_ran: None,
        });
        self.by_id.entry(id).or_default().push(node);
        self.apart.push(vec![Time::ZERO; node.get()]);
    }

    /// Records that a process goes on from a snapshot. It is not told to join, and two lives of the id may have used one epoch.
    fn resumed(&mut self, node: Index, at: Time, nodes: &dyn Nodes) {
        let history = &mut self.histories[node.get()];
        let waits = nodes.node(node).is_some_and(|node| node.phase() == Phase::Waiting);
        history.joined = nodes.is_member(node).then_some(at);
        history.asked = history.joined.or(waits.then_some(at));
        self.copied.insert(history.id);
        self.admissions.resume(node, history.id);
    }

    fn disturb(&mut self, node: Index, at: Time) {
        self.histories[node.get()].disturbed = Some(at);
        self.changed = at;
    }

    fn end(&mut self, node: Index, at: Time) {
        let history = &mut self.histories[node.get()];
        (history.ended, history.last_ran) = (Some(at), Some(at));
        self.changed = at;
    }

    /// Evaluates the cuts and the loss after a change of the network.
    fn measure(&mut self, at: Time, nodes: &dyn Nodes) {
        self.changed = at;
        let loss_ppm = nodes.loss_ppm();
        self.noisy.measure(at, loss_ppm);
        self.unbearable.measure(at, loss_ppm);
        let was_cut = self.apart.iter().flatten().any(|until| *until == Time::MAX);
        if self.cuts == 0 && !was_cut {
            return;
        }
        for (a, row) in self.apart.iter_mut().enumerate() {
            for (b, until) in row.iter_mut().enumerate() {
                let (a, b) = (Index::new(a), Index::new(b));
                if !nodes.connected(a, b) || !nodes.connected(b, a) {
                    *until = Time::MAX;
                } else if *until == Time::MAX {
                    *until = at;
                }
            }
        }
    }

    /// The indices of all processes so far.
    pub(crate) fn indices(&self) -> impl Iterator<Item = Index> + use<> {
        (0..self.histories.len()).map(Index::new)
    }

    /// The processes that ever had this id.
    pub(crate) fn processes(&self, id: NodeId) -> &[Index] {
        self.by_id.get(&id).map_or(&[], Vec::as_slice)
    }

    /// The process with this id that runs and has not stopped for good, if there is only one.
    pub(crate) fn only(&self, id: NodeId) -> Option<Index> {
        let mut active = self.active(id);
        active.next().filter(|_| active.next().is_none())
    }

    /// The processes with this id that run and have not stopped for good.
    pub(crate) fn active(&self, id: NodeId) -> impl Iterator<Item = Index> {
        self.processes(id).iter().copied().filter(|node| self.histories[node.get()].is_active())
    }

    /// Whether another process with the id of this one runs, or ran at this time or later.
    pub(crate) fn has_rival_since(&self, node: Index, since: Time) -> bool {
        self.processes(self.id(node)).iter().filter(|other| **other != node).any(|other| {
            let history = &self.histories[other.get()];
            history.is_active() || history.last_ran.is_some_and(|last| last >= since)
        })
    }

    /// Whether another process with the id of this one runs.
    pub(crate) fn is_replaced(&self, node: Index) -> bool {
        self.active(self.id(node)).any(|other| other != node)
    }

    /// Whether an operator has removed the member with this id.
    pub(crate) fn is_removed(&self, id: NodeId) -> bool {
        self.removals.contains_key(&id)
    }

    pub(crate) fn id(&self, node: Index) -> NodeId {
        self.histories[node.get()].id
    }

    /// Whether a process runs, was not told to leave, and has not stopped for good.
    pub(crate) fn is_up(&self, node: Index) -> bool {
        let history = &self.histories[node.get()];
        history.is_active() && history.left.is_none()
    }

    /// The time at which a process that is up became a member: it was told to join, and took its id.
    pub(crate) fn joined(&self, node: Index) -> Option<Time> {
        let history = &self.histories[node.get()];
        if self.is_up(node) { history.joined } else { None }
    }

    /// Whether a process runs, was told to join, and neither left nor was removed. Its node may have stopped for good.
    pub(crate) fn is_told_to_run(&self, node: Index) -> bool {
        let history = &self.histories[node.get()];
        history.runs && history.asked.is_some() && history.left.is_none()
    }

    /// The time at which a process was told to leave.
    pub(crate) fn left(&self, node: Index) -> Option<Time> {
        self.histories[node.get()].left
    }

    /// The time at which a process crashed, if it has not been restarted.
    pub(crate) fn crashed(&self, node: Index) -> Option<Time> {
        self.histories[node.get()].crashed
    }

    /// The time since which two processes run without a cut between them, a crash, a pause, a move, another process with
    /// the id of one of them, or a loss above the declared one. `None` while one of these lasts.
    pub(crate) fn undisturbed(&self, a: Index, b: Index) -> Option<Time> {
        Some(self.free(a, b, self.noisy)?.max(self.alone(a)?).max(self.alone(b)?))
    }

    /// As [`undisturbed`](Self::undisturbed), for two processes that may have the same id.
    pub(crate) fn in_contact(&self, a: Index, b: Index) -> Option<Time> {
        self.free(a, b, self.noisy)
    }

    /// As [`undisturbed`](Self::undisturbed), but with a loss of up to a tenth, which must not make a member doubt another
    /// one for long.
    pub(crate) fn in_reach(&self, a: Index, b: Index) -> Option<Time> {
        Some(self.free(a, b, self.unbearable)?.max(self.alone(a)?).max(self.alone(b)?))
    }

    fn free(&self, a: Index, b: Index, noise: Noise) -> Option<Time> {
        let (low, high) = (a.get().min(b.get()), a.get().max(b.get()));
        let apart = if low == high { Time::ZERO } else { self.apart[high][low] };
        let mut since = apart.max(noise.until());
        for node in [a, b] {
            let history = &self.histories[node.get()];
            if !history.is_active() || history.paused {
                return None;
            }
            since = since.max(history.disturbed.unwrap_or(Time::ZERO));
        }
        (since != Time::MAX).then_some(since)
    }

    /// The time since which no other process with the id of this one runs. `None` while one does.
    fn alone(&self, node: Index) -> Option<Time> {
        if self.by_id.len() == self.histories.len() {
            return Some(Time::ZERO);
        }
        let others = self.processes(self.histories[node.get()].id).iter().filter(|other| **other != node);
        others.map(|other| &self.histories[other.get()]).try_fold(Time::ZERO, |since, other| {
            (!other.is_active()).then(|| since.max(other.last_ran.unwrap_or(Time::ZERO)))
        })
    }

    /// Whether no cut lies between two processes now.
    pub(crate) fn is_connected(&self, a: Index, b: Index) -> bool {
        let (low, high) = (a.get().min(b.get()), a.get().max(b.get()));
        low == high || self.apart[high][low] != Time::MAX
    }

    /// The time of the latest start, crash, cut, heal, join or leave. `None` while a process is paused or the loss is above
    /// the declared one. A cut that stays is not a disturbance.
    pub(crate) fn calm(&self) -> Option<Time> {
        let disturbed =
            self.noisy.until == Some(Time::MAX) || self.histories.iter().any(|history| history.paused);
        (!disturbed).then_some(self.changed)
    }

    /// Whether there is no cut.
    pub(crate) const fn is_whole(&self) -> bool {
        self.cuts == 0
    }

    /// Whether two processes ever had this id, or one went on from a snapshot. Their broadcasts may share one epoch.
    pub(crate) fn has_twin(&self, id: NodeId) -> bool {
        self.processes(id).len() > 1 || self.copied.contains(&id)
    }

    /// Whether a process went on from a snapshot under this id. It may know of things that the id did after the snapshot.
    pub(crate) fn is_copied(&self, id: NodeId) -> bool {
        self.copied.contains(&id)
    }

    /// Whether the application of `observer` refuses this member.
    pub(crate) fn has_vetoed(&self, observer: Index, id: NodeId) -> bool {
        self.admissions.has_vetoed(observer, id)
    }

    /// Whether the application of `observer` has refused this member, or was asked about it. Its broadcasts may then be
    /// neither delivered nor reported as lost.
    pub(crate) fn has_hidden(&self, observer: Index, id: NodeId) -> bool {
        self.admissions.has_hidden(observer, id)
    }

    /// The processes that have joined, in groups without a cut inside. `None` if the cuts do not divide them into groups,
    /// so that there are no sides.
    pub(crate) fn sides(&self) -> Option<Vec<Vec<Index>>> {
        let mut sides: Vec<Vec<Index>> = Vec::new();
        for node in self.indices().filter(|node| self.joined(*node).is_some()) {
            match sides.iter().position(|side| self.is_connected(side[0], node)) {
                Some(side) => sides[side].push(node),
                None => sides.push(vec![node]),
            }
        }
        let inside =
            |side: &Vec<Index>, node: Index| side.iter().all(|other| self.is_connected(*other, node));
        let clean = self.cuts == 0
            || sides.iter().all(|side| side.iter().all(|node| inside(side, *node)))
                && sides.iter().enumerate().all(|(i, side)| {
                    sides[i + 1..]
                        .iter()
                        .flatten()
                        .all(|other| side.iter().all(|node| !self.is_connected(*node, *other)))
                });
        clean.then_some(sides)
    }
}
