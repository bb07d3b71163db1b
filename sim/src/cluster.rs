//! The cluster as checks and predicates see it: every process, whether it runs, and who can reach whom.

use core::cell::Cell;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use bruit_core::{Config, MemberState, Node, NodeId, Phase, Time};

use crate::network::{AddressBook, Counters, Datagrams, Network, NetworkConfig};
use crate::process::Process;
use crate::station::Station;

/// A process of the simulation, numbered from 0 in the order of spawning; it keeps its number through
/// restarts. Printed as the `NodeId` that it has by default: index 0 is `n1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Index(pub u32);

impl Index {
    /// As a position in a slice.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0 as usize
    }

    /// The process at this position.
    ///
    /// # Panics
    /// There are never 2³² processes.
    #[must_use]
    pub fn new(position: usize) -> Self {
        Self(u32::try_from(position).expect("fewer than 2^32 processes"))
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", u64::from(self.0) + 1)
    }
}

/// How a process stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// It runs.
    Running,
    /// It stands still and will run again.
    Paused,
    /// It is gone, until it is restarted.
    Crashed,
}

/// A process and what the kernel keeps of it.
#[derive(Clone, Debug)]
pub(crate) struct Place<P> {
    pub(crate) process: Option<P>,
    pub(crate) station: Station,
}

/// All processes, and the network between them.
#[derive(Clone, Debug)]
pub struct Cluster<P> {
    pub(crate) now: Time,
    pub(crate) places: Vec<Place<P>>,
    pub(crate) network: Network,
    pub(crate) addresses: AddressBook,
    pub(crate) datagrams: Datagrams,
    /// How often anything visible happened: notices, answers, starts, cuts.
    pub(crate) changes: u64,
    /// Whether two processes ever had one identity.
    pub(crate) has_twins: bool,
    /// Who did not know all when last asked: likely the one to ask first.
    pub(crate) ignorant: Cell<Index>,
}

impl<P: Process> Cluster<P> {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            now: Time::ZERO,
            places: Vec::new(),
            network: Network::new(seed),
            addresses: AddressBook::default(),
            datagrams: Datagrams::default(),
            changes: 0,
            has_twins: false,
            ignorant: Cell::new(Index(0)),
        }
    }

    /// True time.
    #[must_use]
    pub const fn now(&self) -> Time {
        self.now
    }

    /// How many processes were ever spawned.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether none was.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Every process, whatever its status.
    pub fn indices(&self) -> impl DoubleEndedIterator<Item = Index> + use<P> {
        (0..u32::try_from(self.places.len()).expect("fewer than 2^32 processes")).map(Index)
    }

    /// Those that run, paused ones left out.
    pub fn running(&self) -> impl Iterator<Item = Index> {
        self.indices().filter(|index| self.status(*index) == Status::Running)
    }

    /// Those that have not crashed.
    pub fn alive(&self) -> impl Iterator<Item = Index> {
        self.indices().filter(|index| self.status(*index) != Status::Crashed)
    }

    /// How a process stands.
    #[must_use]
    pub fn status(&self, index: Index) -> Status {
        self.places[index.get()].station.status
    }

    /// The process; none while it is crashed.
    #[must_use]
    pub fn process(&self, index: Index) -> Option<&P> {
        self.places[index.get()].process.as_ref()
    }

    /// The node inside the process; none while it is crashed, or if it has none.
    #[must_use]
    pub fn node(&self, index: Index) -> Option<&Node> {
        self.process(index).and_then(P::node)
    }

    /// The nodes of all that have not crashed.
    pub fn nodes(&self) -> impl Iterator<Item = (Index, &Node)> {
        self.indices().filter_map(|index| self.node(index).map(|node| (index, node)))
    }

    /// The configuration of the first node that there is.
    #[must_use]
    pub fn config(&self) -> Option<&Config> {
        self.nodes().next().map(|(_, node)| node.config())
    }

    /// Its identity. Clones share it.
    #[must_use]
    pub fn id(&self, index: Index) -> NodeId {
        self.places[index.get()].station.id
    }

    /// The first process with this identity.
    #[must_use]
    pub fn find(&self, id: NodeId) -> Option<Index> {
        let default = usize::try_from(id.0).ok().and_then(|number| number.checked_sub(1)).map(Index::new);
        if let Some(index) = default.filter(|index| index.get() < self.len() && self.id(*index) == id) {
            return Some(index);
        }
        self.indices().find(|index| self.id(*index) == id)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self, index: Index) -> &str {
        &self.places[index.get()].station.name
    }

    /// Its zone; empty if it has none.
    #[must_use]
    pub fn zone(&self, index: Index) -> &str {
        &self.places[index.get()].station.zone
    }

    /// Its present address.
    #[must_use]
    pub fn addr(&self, index: Index) -> SocketAddr {
        self.places[index.get()].station.address.addr()
    }

    /// Who has this address now.
    #[must_use]
    pub fn owner(&self, addr: SocketAddr) -> Option<Index> {
        self.addresses.number(addr).and_then(|number| self.addresses.owner(number))
    }

    /// How often it was started: 1 in its first life.
    #[must_use]
    pub fn life(&self, index: Index) -> u32 {
        self.places[index.get()].station.life
    }

    /// When its present life began, in true time.
    #[must_use]
    pub fn started(&self, index: Index) -> Time {
        self.places[index.get()].station.started
    }

    /// The local clock of a process at this moment.
    #[must_use]
    pub fn local_now(&self, index: Index) -> Time {
        self.places[index.get()].station.clock.local(self.now)
    }

    /// Whether what `from` sends now gets past all cuts on its way to `to`. Loss, gray cuts and the status of
    /// the two do not count.
    #[must_use]
    pub fn connected(&self, from: Index, to: Index) -> bool {
        self.network.connected(self.now, from, to)
    }

    /// Whether no cut that stands has to do with datagrams from one to the other, not even one that is gray or
    /// open for the moment.
    #[must_use]
    pub fn untouched(&self, from: Index, to: Index) -> bool {
        self.network.untouched(from, to)
    }

    /// The settings of the network.
    #[must_use]
    pub const fn network(&self) -> &NetworkConfig {
        self.network.config()
    }

    /// The least time that a datagram between the two can take, by the present settings.
    #[must_use]
    pub fn delay_min(&self, from: Index, to: Index) -> Duration {
        self.network.delay_min(from, to)
    }

    /// What the network did so far.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        self.network.counters()
    }

    /// Datagrams under way: in flight, held behind a cut, or in the inbox of a paused process.
    #[must_use]
    pub const fn under_way(&self) -> usize {
        self.datagrams.len()
    }

    /// How many identities have a running process with a running node.
    #[must_use]
    pub fn members_running(&self) -> usize {
        if !self.has_twins {
            return self.member_nodes().count();
        }
        let mut ids: Vec<NodeId> = self.member_nodes().map(Node::id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.len()
    }

    fn member_nodes(&self) -> impl Iterator<Item = &Node> {
        let nodes = self.running().filter_map(|index| self.node(index));
        nodes.filter(|node| node.phase() == Phase::Running)
    }

    /// Whether every running process with a running node holds all of those alive, and nobody else.
    #[must_use]
    pub fn all_know_all(&self) -> bool {
        let running = self.members_running();
        let knows_all = |index: &Index| {
            let node = self.node(*index).filter(|node| node.phase() == Phase::Running);
            self.status(*index) != Status::Running || node.is_none_or(|node| knows_alive(node, running))
        };
        let ignorant = Some(self.ignorant.get()).filter(|index| index.get() < self.len());
        let found = ignorant.into_iter().chain(self.indices()).find(|index| !knows_all(index));
        self.ignorant.set(found.unwrap_or(Index(0)));
        found.is_none()
    }

    /// The same, and all have equal tables: what they hold of the dead and the gone as well.
    #[must_use]
    pub fn agree(&self) -> bool {
        let mut roots = self.member_nodes().map(Node::roots);
        let first = roots.next();
        roots.all(|root| Some(root) == first) && self.all_know_all()
    }
}

fn knows_alive(node: &Node, count: usize) -> bool {
    node.member_count() == count
        && node.members().filter(|member| member.state == MemberState::Alive).count() == count
}
