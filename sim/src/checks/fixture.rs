//! Made-up histories for the tests of checks: a cluster without a network, whose nodes show what a test says.

mod broadcast;

use core::net::SocketAddr;
use core::time::Duration;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use bruit_core::{
    Boot, Command, Config, Incarnation, Member, MemberChange, MemberState, MessageId, Node, NodeId, Notice,
    Tags, Time,
    broadcast::{Mark, Pending, Usage},
    virtual_addr,
};

use super::{Bounds, Checks, Nodes, Traffic};
use crate::base::Index;
use crate::kernel::{Check, Happening, Memory, Violation};
use crate::network::{BRUIT_PORT, Cut, CutId, Fate};
use crate::process::{NO_DISTANCE, Status};

pub(super) use broadcast::{mark, message};

/// The state that the checks look at.
#[derive(Default)]
struct Stage {
    now: Time,
    nodes: Vec<Option<Node>>,
    cut: BTreeSet<(usize, usize)>,
    views: BTreeMap<(usize, NodeId), MemberState>,
    /// How often an observer has reported a restart of a member, and an update of it.
    versions: BTreeMap<(usize, NodeId), (u64, u8)>,
    roots: BTreeMap<usize, u64>,
    cached: BTreeSet<(usize, MessageId)>,
    marks: BTreeMap<usize, Vec<Mark>>,
    used: BTreeMap<usize, (Usage, Pending)>,
    delay_min: Duration,
    traffic: Option<Traffic>,
    paused: BTreeSet<usize>,
    stopped: BTreeSet<usize>,
    loss_ppm: u32,
}

impl Nodes for Stage {
    fn now(&self) -> Time {
        self.now
    }

    fn len(&self) -> usize {
        self.nodes.len()
    }

    fn node(&self, index: Index) -> Option<&Node> {
        self.nodes[index.get()].as_ref()
    }

    fn status(&self, index: Index) -> Status {
        match self.node(index) {
            Some(_) if self.paused.contains(&index.get()) => Status::Paused,
            Some(_) => Status::Running,
            None => Status::Crashed,
        }
    }

    fn owner(&self, addr: SocketAddr) -> Option<Index> {
        (0..self.nodes.len()).find(|index| virtual_addr(*index as u64 + 1) == addr).map(Index::new)
    }

    fn passes(&self, from: Index, to: Index) -> bool {
        self.connected(from, to)
    }

    fn connected(&self, from: Index, to: Index) -> bool {
        !self.cut.contains(&(from.get(), to.get()))
    }

    fn loss_ppm(&self) -> u32 {
        self.loss_ppm
    }

    fn delay_min(&self, _: Index, _: Index) -> Duration {
        self.delay_min
    }

    fn traffic(&self) -> Option<Traffic> {
        self.traffic
    }

    fn is_member(&self, index: Index) -> bool {
        self.node(index).is_some() && !self.stopped.contains(&index.get())
    }

    fn member(&self, observer: Index, id: NodeId) -> Option<Member<'_>> {
        let (restarts, updates) = self.versions.get(&(observer.get(), id)).copied().unwrap_or_default();
        let mut member = member(id.0, 0, self.view(observer, id)?);
        member.boot += restarts;
        member.meta = Cow::Owned(vec![updates]);
        Some(member)
    }

    fn view(&self, observer: Index, id: NodeId) -> Option<MemberState> {
        self.views.get(&(observer.get(), id)).copied()
    }

    fn live(&self, observer: Index) -> Vec<NodeId> {
        let mut ids: Vec<NodeId> = self.node(observer).map(Node::id).into_iter().collect();
        let held =
            self.views.iter().filter(|((by, _), state)| *by == observer.get() && **state < MemberState::Down);
        ids.extend(held.map(|((_, id), _)| *id));
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    fn roots(&self, index: Index) -> Option<[u64; 3]> {
        Some([self.roots.get(&index.get()).copied().unwrap_or(0), 0, 0])
    }

    fn epoch(&self, observer: Index, id: NodeId) -> Option<u64> {
        self.views.get(&(observer.get(), id)).map(|_| 1)
    }

    fn caches(&self, index: Index, id: MessageId) -> bool {
        self.cached.contains(&(index.get(), id))
    }

    fn marks(&self, index: Index) -> Vec<Mark> {
        self.marks.get(&index.get()).cloned().unwrap_or_default()
    }

    fn usage(&self, index: Index) -> Usage {
        self.used.get(&index.get()).map(|(usage, _)| *usage).unwrap_or_default()
    }

    fn pending(&self, index: Index) -> Pending {
        self.used.get(&index.get()).map(|(_, pending)| *pending).unwrap_or_default()
    }
}

/// A history of the processes `0..n` with the ids `1..=n`, all started and joined at time zero, under one check.
pub(super) struct Fixture {
    id: &'static str,
    checks: Checks,
    stage: Stage,
    failed: Option<Violation>,
}

pub(super) fn config() -> Config {
    Config::lan("fixture")
}

/// A node that begins exactly at `epoch`, so that a test can say which incarnation it means.
pub(super) fn node(id: u64, epoch: u64, config: Config) -> Node {
    let boot = Boot::new(NodeId(id), format!("n{id}"), virtual_addr(id), epoch, NO_DISTANCE);
    let node = Node::new(boot, config, Time::ZERO).expect("the fixture's boots are valid");
    assert_eq!(node.incarnation(), incarnation(epoch, 0));
    node
}

pub(super) const fn incarnation(epoch: u64, counter: u32) -> Incarnation {
    Incarnation { epoch, counter }
}

/// A member of that id at counter `counter` of epoch 1.
pub(super) fn member(id: u64, counter: u32, state: MemberState) -> Member<'static> {
    Member {
        id: NodeId(id),
        name: Cow::Owned(format!("n{id}")),
        addr: virtual_addr(id),
        zone: Cow::Borrowed(""),
        meta: Cow::Borrowed(&[]),
        tags: Tags::default(),
        incarnation: incarnation(1, counter),
        boot: node(id, 1, config()).boot(),
        state,
    }
}

impl Fixture {
    pub(super) fn new(members: usize, check: &'static str) -> Self {
        Self::configured(members, check, config())
    }

    pub(super) fn configured(members: usize, check: &'static str, config: Config) -> Self {
        let checks = Checks::new(&config, Duration::from_millis(30), 50_000).only(&[check]);
        let mut fixture = Self { id: check, checks, stage: Stage::default(), failed: None };
        for id in 1..=members {
            fixture.starts(node(id as u64, 1, config.clone()));
        }
        fixture
    }

    pub(super) fn bounds(&self) -> Bounds {
        *self.checks.bounds()
    }

    pub(super) fn sees(&mut self, happening: &Happening<'_>) -> &mut Self {
        let seen = self.checks.observe(happening, &self.stage);
        self.failed = self.failed.take().or(seen.err());
        self
    }

    pub(super) fn ends(&mut self) -> &mut Self {
        let seen = self.checks.conclude(&self.stage);
        self.failed = self.failed.take().or(seen.err());
        self
    }

    pub(super) fn after(&mut self, duration: Duration) -> &mut Self {
        self.stage.now = self.stage.now + duration;
        self
    }

    pub(super) fn starts(&mut self, node: Node) -> &mut Self {
        let index = self.stage.nodes.len();
        self.stage.nodes.push(Some(node));
        self.sees(&Happening::Started { node: Index::new(index) }).joins(index)
    }

    pub(super) fn joins(&mut self, index: usize) -> &mut Self {
        self.commanded(index, &Command::Join { seeds: vec![virtual_addr(1), virtual_addr(2)] })
    }

    /// Starts a second process with the id of process `index`.
    pub(super) fn cloned(&mut self, index: usize) -> &mut Self {
        let twin = self.stage.nodes[index].clone().expect("it runs");
        let (id, index) = (twin.id(), self.stage.nodes.len());
        self.stage.nodes.push(Some(twin));
        self.sees(&Happening::Cloned { node: Index::new(index), id }).joins(index)
    }

    pub(super) fn commanded(&mut self, node: usize, command: &Command) -> &mut Self {
        self.sees(&Happening::Command { node: Index::new(node), command })
    }

    /// Each process reports each member that it does not show yet as Up.
    pub(super) fn acquainted(&mut self) -> &mut Self {
        for observer in 0..self.stage.nodes.len() {
            for id in 1..=self.stage.nodes.len() as u64 {
                if id != observer as u64 + 1 && !self.stage.views.contains_key(&(observer, NodeId(id))) {
                    self.tells(observer, MemberChange::Up, id, 0);
                }
            }
        }
        self
    }

    /// Process `observer` reports a change of the member `id` at this counter, and shows the new state.
    pub(super) fn tells(
        &mut self,
        observer: usize,
        change: MemberChange,
        id: u64,
        counter: u32,
    ) -> &mut Self {
        let shown = self.stage.views.get(&(observer, NodeId(id))).copied();
        let state = match change {
            MemberChange::Suspected => MemberState::Suspect,
            MemberChange::Down => MemberState::Down,
            MemberChange::Left => MemberState::Left,
            MemberChange::Updated | MemberChange::Restarted | MemberChange::Forgotten => {
                shown.unwrap_or(MemberState::Alive)
            }
            _ => MemberState::Alive,
        };
        self.shows(observer, id, state);
        let (restarts, updates) = self.stage.versions.entry((observer, NodeId(id))).or_default();
        match change {
            MemberChange::Restarted => *restarts += 1,
            MemberChange::Updated => *updates += 1,
            _ => {}
        }
        let mut member =
            self.stage.member(Index::new(observer), NodeId(id)).expect("it is shown").into_owned();
        member.incarnation.counter = counter;
        if change == MemberChange::Forgotten {
            self.stage.views.remove(&(observer, NodeId(id)));
        }
        self.notices(observer, &Notice::Member { change, member })
    }

    /// Process `observer` shows the member in this state, without a notice.
    pub(super) fn shows(&mut self, observer: usize, id: u64, state: MemberState) -> &mut Self {
        self.stage.views.insert((observer, NodeId(id)), state);
        self
    }

    pub(super) fn root(&mut self, node: usize, root: u64) -> &mut Self {
        self.stage.roots.insert(node, root);
        self
    }

    pub(super) fn notices(&mut self, node: usize, notice: &Notice<'_>) -> &mut Self {
        self.sees(&Happening::Notice { node: Index::new(node), notice })
    }

    /// Replaces the node of a process.
    pub(super) fn becomes(&mut self, index: usize, node: Node) -> &mut Self {
        self.stage.nodes[index] = Some(node);
        self.sees(&Happening::Handled { node: Index::new(index) })
    }

    pub(super) fn crashes(&mut self, node: usize) -> &mut Self {
        self.stage.nodes[node] = None;
        self.stage.views.retain(|(observer, _), _| *observer != node);
        self.stage.cached.retain(|(holder, _)| *holder != node);
        self.sees(&Happening::Crashed { node: Index::new(node) })
    }

    pub(super) fn restarts(&mut self, index: usize, node: Node) -> &mut Self {
        self.restarts_with(index, node, Memory::Amnesia)
    }

    pub(super) fn restarts_with(&mut self, index: usize, node: Node, memory: Memory) -> &mut Self {
        self.stage.nodes[index] = Some(node);
        self.sees(&Happening::Restarted { node: Index::new(index), memory })
    }

    pub(super) fn pauses(&mut self, node: usize) -> &mut Self {
        self.stage.paused.insert(node);
        self.sees(&Happening::Paused { node: Index::new(node) })
    }

    pub(super) fn resumes(&mut self, node: usize) -> &mut Self {
        self.stage.paused.remove(&node);
        self.sees(&Happening::Resumed { node: Index::new(node) })
    }

    pub(super) fn moves(&mut self, node: usize) -> &mut Self {
        self.sees(&Happening::Moved { node: Index::new(node), addr: virtual_addr(node as u64 + 100) })
    }

    pub(super) fn handles(&mut self, node: usize) -> &mut Self {
        self.sees(&Happening::Handled { node: Index::new(node) })
    }

    /// The node of a process stops without a notice.
    pub(super) fn stops(&mut self, node: usize) -> &mut Self {
        self.stage.stopped.insert(node);
        self.sees(&Happening::Handled { node: Index::new(node) })
    }

    pub(super) fn ticks(&mut self, node: usize) -> &mut Self {
        self.sees(&Happening::Ticked { node: Index::new(node) })
    }

    pub(super) fn cut(&mut self, a: usize, b: usize) -> &mut Self {
        self.stage.cut.extend([(a, b), (b, a)]);
        let cut = Cut::Pair { a: Index::new(a), b: Index::new(b) };
        self.sees(&Happening::CutMade { id: CutId(1), cut: &cut })
    }

    pub(super) fn heals(&mut self) -> &mut Self {
        for _ in 0..core::mem::take(&mut self.stage.cut).len() / 2 {
            self.sees(&Happening::Healed { id: CutId(1) });
        }
        self
    }

    pub(super) fn sends(&mut self, from: usize, bytes: &[u8]) -> &mut Self {
        let to: SocketAddr = virtual_addr(1);
        let fate = Fate::Carried { arrives: self.stage.now, copies: 1, damaged: false };
        self.sees(&Happening::Sent { from: Index::new(from), to, port: BRUIT_PORT, bytes, fate })
    }

    pub(super) fn delivers(&mut self, from: usize, to: usize, bytes: &[u8]) -> &mut Self {
        let (from, to, sent) = (Index::new(from), Index::new(to), self.stage.now);
        self.sees(&Happening::Delivered { from, to, port: BRUIT_PORT, bytes, sent, damaged: false })
    }

    /// Sets the shortest delay of all links.
    pub(super) fn link_takes(&mut self, delay: Duration) -> &mut Self {
        self.stage.delay_min = delay;
        self
    }

    /// Sets the datagrams of the network.
    pub(super) fn carries(&mut self, traffic: Traffic) -> &mut Self {
        self.stage.traffic = Some(traffic);
        self
    }

    /// Sets the loss of all links.
    pub(super) fn loses_datagrams(&mut self, loss_ppm: u32) -> &mut Self {
        self.stage.loss_ppm = loss_ppm;
        self.network_changes()
    }

    pub(super) fn network_changes(&mut self) -> &mut Self {
        self.sees(&Happening::NetworkChanged)
    }

    /// Asserts that the check has objected, with this text in its violation.
    #[track_caller]
    pub(super) fn fires(&self, because: &str) {
        let failed = self.failed.as_ref().expect("the history is bad");
        assert_eq!(failed.check, self.id, "{failed}");
        assert!(failed.text.contains(because), "{failed}");
    }

    /// Asserts that the check has not objected.
    #[track_caller]
    pub(super) fn is_silent(&self) {
        assert!(self.failed.is_none(), "{}", self.failed.as_ref().expect("checked"));
    }
}
