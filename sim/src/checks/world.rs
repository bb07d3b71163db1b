//! The truth behind a run, as far as the promises speak of it: who runs, who was disturbed, and since when
//! nothing has gone wrong any more.

use core::time::Duration;
use std::collections::BTreeMap;

use bruit_core::{
    Command, MemberState, MessageId, Node, NodeId, Notice, Phase, Time,
    broadcast::{Mark, Pending, Usage},
};

use crate::cluster::{Cluster, Index};
use crate::happening::Happening;
use crate::network::{Link, Loss};
use crate::process::Process;
use crate::random::MILLION;

/// What a rule may look at beside the happenings. A cluster is one; tests make their own.
pub trait Nodes {
    /// How many processes there ever were.
    fn len(&self) -> usize;
    /// Whether there was never any.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The node inside a process that runs.
    fn node(&self, index: Index) -> Option<&Node>;
    /// Whether no cut has anything to do with datagrams from one to the other, not even a gray one or one that
    /// is open for the moment.
    fn connected(&self, from: Index, to: Index) -> bool;
    /// The greatest loss that a link has now, in parts per million.
    fn loss_ppm(&self) -> u32;
    /// Whether the node inside runs: it has joined, and has neither left nor been stopped.
    fn is_member(&self, index: Index) -> bool {
        self.node(index).is_some_and(|node| node.phase() == Phase::Running)
    }
    /// What `observer` shows of a member.
    fn view(&self, observer: Index, id: NodeId) -> Option<MemberState> {
        self.node(observer)?.member(id).map(|member| member.state)
    }
    /// Whom `observer` shows alive or suspected, itself included, by id.
    fn live(&self, observer: Index) -> Vec<NodeId> {
        let is_live = |state| matches!(state, MemberState::Alive | MemberState::Suspect);
        let members = self.node(observer).into_iter().flat_map(Node::members);
        members.filter(|member| is_live(member.state)).map(|member| member.id).collect()
    }
    /// The roots of its tables.
    fn roots(&self, index: Index) -> Option<[u64; 3]> {
        self.node(index).map(Node::roots)
    }
    /// In which epoch `observer` knows a member.
    fn epoch(&self, observer: Index, id: NodeId) -> Option<u64> {
        self.node(observer)?.member(id).map(|member| member.incarnation.epoch)
    }
    /// Whether it could serve a broadcast to others.
    fn caches(&self, index: Index, id: MessageId) -> bool {
        self.node(index).is_some_and(|node| node.cached(id).is_some())
    }
    /// What it knows of the broadcasts of each origin.
    fn marks(&self, index: Index) -> Vec<Mark> {
        self.node(index).into_iter().flat_map(Node::marks).collect()
    }
    /// What its broadcast holds.
    fn usage(&self, index: Index) -> Usage {
        self.node(index).map(Node::usage).unwrap_or_default()
    }
    /// Its own broadcasts whose first phase has not ended.
    fn pending(&self, index: Index) -> Pending {
        self.node(index).map(Node::pending).unwrap_or_default()
    }
}

impl<P: Process> Nodes for Cluster<P> {
    fn len(&self) -> usize {
        self.len()
    }

    fn node(&self, index: Index) -> Option<&Node> {
        self.node(index)
    }

    fn connected(&self, from: Index, to: Index) -> bool {
        self.untouched(from, to)
    }

    fn loss_ppm(&self) -> u32 {
        let network = self.network();
        let links =
            network.zones.iter().map(|zone| &zone.link).chain(network.links.iter().map(|pair| &pair.link));
        // A burst is an outage of one link: it takes all of a suspicion's pings at once.
        let loss = |link: &Link| match link.loss {
            Loss::Bursts { .. } => MILLION,
            Loss::None | Loss::Independent { .. } => link.loss.ppm() + link.corrupt_ppm,
        };
        let worst = links.chain([&network.link]).map(loss).max();
        worst.unwrap_or(0)
    }
}

/// What is known of one process.
#[derive(Clone, Debug)]
struct Life {
    id: NodeId,
    runs: bool,
    paused: bool,
    /// When it last crashed, came back, was paused, resumed or moved.
    troubled: Option<Time>,
    joined: Option<Time>,
    left: Option<Time>,
    crashed: Option<Time>,
}

/// Who runs and what was done to them, kept up to date by every happening.
#[derive(Clone, Debug)]
pub struct World {
    declared_loss_ppm: u32,
    lives: Vec<Life>,
    by_id: BTreeMap<NodeId, Vec<Index>>,
    /// For each pair with the greater index first: until when a cut lay between the two; `MAX` while it does.
    apart: Vec<Vec<Time>>,
    cuts: usize,
    changed: Time,
    noisy: Option<Time>,
}

impl World {
    pub(crate) fn new(declared_loss_ppm: u32) -> Self {
        let (lives, by_id, apart) = (Vec::new(), BTreeMap::new(), Vec::new());
        Self { declared_loss_ppm, lives, by_id, apart, cuts: 0, changed: Time::ZERO, noisy: None }
    }

    /// Takes note of a happening. Whoever moves counts as disturbed for a `spread` longer: until all know where
    /// it is now.
    pub(crate) fn observe(
        &mut self,
        at: Time,
        happening: &Happening<'_>,
        nodes: &dyn Nodes,
        spread: Duration,
    ) {
        match *happening {
            Happening::Started { node } | Happening::Cloned { node, .. } => {
                self.learn(node, nodes);
                self.measure(at, nodes);
            }
            Happening::Crashed { node } => {
                self.trouble(node, at);
                let life = &mut self.lives[node.get()];
                (life.runs, life.paused, life.joined, life.crashed) = (false, false, None, Some(at));
            }
            Happening::Restarted { node, .. } => {
                self.trouble(node, at);
                let life = &mut self.lives[node.get()];
                (life.runs, life.paused, life.left, life.crashed) = (true, false, None, None);
            }
            Happening::Paused { node } | Happening::Resumed { node } => {
                self.trouble(node, at);
                self.lives[node.get()].paused = matches!(happening, Happening::Paused { .. });
            }
            Happening::Moved { node, .. } => {
                self.trouble(node, at);
                self.lives[node.get()].troubled = Some(at + spread);
            }
            Happening::Command { node, command } => self.command(at, node, command),
            Happening::Notice { node, notice: Notice::Removed | Notice::Departed { .. } } => {
                self.lives[node.get()].left = Some(at);
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
            _ => {}
        }
    }

    fn command(&mut self, at: Time, node: Index, command: &Command) {
        match command {
            Command::Join { .. } => {
                let life = &mut self.lives[node.get()];
                if life.left.take().is_some() {
                    life.troubled = Some(at);
                }
                life.joined.get_or_insert(at);
            }
            Command::Leave { .. } => self.lives[node.get()].left = Some(at),
            Command::RemovePeer(id) => {
                for node in self.processes(*id).to_vec() {
                    self.lives[node.get()].left = Some(at);
                }
            }
            Command::SetAddr(_) => self.trouble(node, at),
            _ => return,
        }
        self.changed = at;
    }

    fn learn(&mut self, node: Index, nodes: &dyn Nodes) {
        let id = nodes.node(node).map_or(NodeId::NOBODY, Node::id);
        debug_assert_eq!(self.lives.len(), node.get(), "processes are numbered in the order of their start");
        self.lives.push(Life {
            id,
            runs: true,
            paused: false,
            troubled: None,
            joined: None,
            left: None,
            crashed: None,
        });
        self.by_id.entry(id).or_default().push(node);
        self.apart.push(vec![Time::ZERO; node.get()]);
    }

    fn trouble(&mut self, node: Index, at: Time) {
        self.lives[node.get()].troubled = Some(at);
        self.changed = at;
    }

    /// Looks at the network again after something about it has changed.
    fn measure(&mut self, at: Time, nodes: &dyn Nodes) {
        self.changed = at;
        if nodes.loss_ppm() > self.declared_loss_ppm {
            self.noisy = Some(Time::MAX);
        } else if self.noisy == Some(Time::MAX) {
            self.noisy = Some(at);
        }
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

    /// All processes so far.
    pub(crate) fn indices(&self) -> impl Iterator<Item = Index> + use<> {
        (0..self.lives.len()).map(Index::new)
    }

    /// The processes that ever had this id.
    pub(crate) fn processes(&self, id: NodeId) -> &[Index] {
        self.by_id.get(&id).map_or(&[], Vec::as_slice)
    }

    /// The one process that has this id and runs; nobody where two do.
    pub(crate) fn only(&self, id: NodeId) -> Option<Index> {
        let processes = self.processes(id);
        let mut running = processes.iter().filter(|node| self.lives[node.get()].runs);
        if processes.len() > 1 { None } else { running.next().copied() }
    }

    pub(crate) fn id(&self, node: Index) -> NodeId {
        self.lives[node.get()].id
    }

    /// Whether it runs and was never told to leave.
    pub(crate) fn is_up(&self, node: Index) -> bool {
        let life = &self.lives[node.get()];
        life.runs && life.left.is_none()
    }

    /// Since when it wants to be a member.
    pub(crate) fn joined(&self, node: Index) -> Option<Time> {
        let life = &self.lives[node.get()];
        if self.is_up(node) { life.joined } else { None }
    }

    /// When it was told to leave, if it was.
    pub(crate) fn left(&self, node: Index) -> Option<Time> {
        self.lives[node.get()].left
    }

    /// When it crashed, if it did and has not come back.
    pub(crate) fn crashed(&self, node: Index) -> Option<Time> {
        self.lives[node.get()].crashed
    }

    /// Since when nothing has stood between two processes that run: no cut, crash, pause, move, nor a loss
    /// above the declared one. `None` while something does.
    pub(crate) fn undisturbed(&self, a: Index, b: Index) -> Option<Time> {
        let (low, high) = (a.get().min(b.get()), a.get().max(b.get()));
        let apart = if low == high { Time::ZERO } else { self.apart[high][low] };
        let mut since = apart.max(self.noisy.unwrap_or(Time::ZERO));
        for node in [a, b] {
            let life = &self.lives[node.get()];
            if !life.runs || life.paused {
                return None;
            }
            since = since.max(life.troubled.unwrap_or(Time::ZERO));
        }
        (since != Time::MAX).then_some(since)
    }

    /// Whether no cut lies between the two now.
    pub(crate) fn is_connected(&self, a: Index, b: Index) -> bool {
        let (low, high) = (a.get().min(b.get()), a.get().max(b.get()));
        low == high || self.apart[high][low] != Time::MAX
    }

    /// Since when nobody has started, stopped, been cut off or told to come or go. `None` while somebody is
    /// paused or the loss is above the declared one. A cut that stays is no disturbance.
    pub(crate) fn calm(&self) -> Option<Time> {
        let restless = self.noisy == Some(Time::MAX) || self.lives.iter().any(|life| life.paused);
        (!restless).then_some(self.changed)
    }

    /// Whether no cut stands.
    pub(crate) const fn is_whole(&self) -> bool {
        self.cuts == 0
    }

    /// Whether two processes ever had this id.
    pub(crate) fn has_twin(&self, id: NodeId) -> bool {
        self.processes(id).len() > 1
    }

    /// The processes that run and want to be members, in groups without a cut inside. `None` if the cuts do
    /// not divide them cleanly, so that "the same side" means nothing.
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
