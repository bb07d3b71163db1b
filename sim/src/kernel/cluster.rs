//! The cluster as checks and predicates see it: every process, its status, and which processes can reach each other.

use core::cell::Cell;
use core::net::SocketAddr;
use core::time::Duration;

use bruit_core::{Config, MemberState, Node, NodeId, Phase, Time};

use crate::base::Index;
use crate::network::{AddressBook, Counters, Datagrams, Network, NetworkConfig};
use crate::process::host::Host;
use crate::process::{Process, Status};

/// A process and its host. The process is missing while it is crashed.
#[derive(Clone, Debug)]
pub(crate) struct Place<P> {
    pub(crate) process: Option<P>,
    pub(crate) host: Host,
}

/// All processes of a run, and the network between them.
#[derive(Clone, Debug)]
pub struct Cluster<P> {
    pub(crate) now: Time,
    pub(crate) places: Vec<Place<P>>,
    pub(crate) network: Network,
    pub(crate) addresses: AddressBook,
    pub(crate) datagrams: Datagrams,
    /// The number of visible changes so far: notices, answers, starts, cuts and the like.
    pub(crate) changes: u64,
    /// Whether two processes ever had the same id.
    pub(crate) has_twins: bool,
    /// The process that did not know all others when [`Cluster::all_know_all`] was last evaluated. It is asked first, as
    /// it probably still does not.
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

    /// The true time.
    #[must_use]
    pub const fn now(&self) -> Time {
        self.now
    }

    /// The number of processes that were ever spawned, crashed ones included.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether no process was ever spawned.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The indices of all processes, whatever their status.
    pub fn indices(&self) -> impl DoubleEndedIterator<Item = Index> + use<P> {
        (0..u32::try_from(self.places.len()).expect("fewer than 2^32 processes")).map(Index)
    }

    /// The indices of all processes that run. Paused ones are left out.
    pub fn running(&self) -> impl Iterator<Item = Index> {
        self.indices().filter(|index| self.status(*index) == Status::Running)
    }

    /// The indices of all processes that are not crashed. Paused ones are included.
    pub fn alive(&self) -> impl Iterator<Item = Index> {
        self.indices().filter(|index| self.status(*index) != Status::Crashed)
    }

    /// The status of a process.
    #[must_use]
    pub fn status(&self, index: Index) -> Status {
        self.places[index.get()].host.status
    }

    /// A process; `None` while it is crashed.
    #[must_use]
    pub fn process(&self, index: Index) -> Option<&P> {
        self.places[index.get()].process.as_ref()
    }

    /// The node inside a process; `None` while the process is crashed, or if it has no node.
    #[must_use]
    pub fn node(&self, index: Index) -> Option<&Node> {
        self.process(index).and_then(P::node)
    }

    /// The nodes of all processes that are not crashed.
    pub fn nodes(&self) -> impl Iterator<Item = (Index, &Node)> {
        self.indices().filter_map(|index| self.node(index).map(|node| (index, node)))
    }

    /// The configuration of the first node in the cluster.
    #[must_use]
    pub fn config(&self) -> Option<&Config> {
        self.nodes().next().map(|(_, node)| node.config())
    }

    /// The id of a process. Clones have the same id.
    #[must_use]
    pub fn id(&self, index: Index) -> NodeId {
        self.places[index.get()].host.id
    }

    /// The first process with this id.
    #[must_use]
    pub fn find(&self, id: NodeId) -> Option<Index> {
        let default = usize::try_from(id.0).ok().and_then(|number| number.checked_sub(1)).map(Index::new);
        if let Some(index) = default.filter(|index| index.get() < self.len() && self.id(*index) == id) {
            return Some(index);
        }
        self.indices().find(|index| self.id(*index) == id)
    }

    /// The name of a process.
    #[must_use]
    pub fn name(&self, index: Index) -> &str {
        &self.places[index.get()].host.name
    }

    /// The zone of a process; empty if it has none.
    #[must_use]
    pub fn zone(&self, index: Index) -> &str {
        &self.places[index.get()].host.zone
    }

    /// The present address of a process.
    #[must_use]
    pub fn addr(&self, index: Index) -> SocketAddr {
        self.places[index.get()].host.address.addr()
    }

    /// The process that has this address now.
    #[must_use]
    pub fn owner(&self, addr: SocketAddr) -> Option<Index> {
        self.addresses.number(addr).and_then(|number| self.addresses.owner(number))
    }

    /// How often a process was started: 1 in its first boot.
    #[must_use]
    pub fn boots(&self, index: Index) -> u32 {
        self.places[index.get()].host.boots
    }

    /// The true time at which a process was last started.
    #[must_use]
    pub fn started(&self, index: Index) -> Time {
        self.places[index.get()].host.started
    }

    /// The present local time of a process.
    #[must_use]
    pub fn local_now(&self, index: Index) -> Time {
        self.places[index.get()].host.clock.local(self.now)
    }

    /// Whether a datagram that `from` sends to `to` now passes all cuts. Loss, gray cuts and the status of the two
    /// processes are not considered.
    #[must_use]
    pub fn connected(&self, from: Index, to: Index) -> bool {
        self.network.connected(self.now, from, to)
    }

    /// Whether no present cut affects datagrams from `from` to `to`, not even a gray one, or a flapping one that is open at
    /// the moment.
    #[must_use]
    pub fn untouched(&self, from: Index, to: Index) -> bool {
        self.network.untouched(from, to)
    }

    /// The present settings of the network.
    #[must_use]
    pub const fn network(&self) -> &NetworkConfig {
        self.network.config()
    }

    /// The shortest time that a datagram from `from` to `to` can take, by the present settings.
    #[must_use]
    pub fn delay_min(&self, from: Index, to: Index) -> Duration {
        self.network.delay_min(from, to)
    }

    /// The counters of the network.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        self.network.counters()
    }

    /// The number of datagrams under way: in flight, held behind a cut, or in the inbox of a paused process.
    #[must_use]
    pub const fn under_way(&self) -> usize {
        self.datagrams.len()
    }

    /// The number of ids that have a running process with a running node.
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

    /// Whether every running node holds exactly the running nodes alive.
    #[must_use]
    pub fn all_know_all(&self) -> bool {
        let running = self.members_running();
        let knows_all = |index: &Index| {
            let Some(node) = self.node(*index).filter(|_| self.status(*index) == Status::Running) else {
                return true;
            };
            match node.phase() {
                Phase::Running => knows_alive(node, running),
                // Unless another process runs under its id, it is about to be a member, and knows nobody yet.
                Phase::Waiting => self.member_nodes().any(|other| other.id() == node.id()),
                Phase::Idle | Phase::Leaving | Phase::Left | Phase::Ended | _ => true,
            }
        };
        let ignorant = Some(self.ignorant.get()).filter(|index| index.get() < self.len());
        let found = ignorant.into_iter().chain(self.indices()).find(|index| !knows_all(index));
        self.ignorant.set(found.unwrap_or(Index(0)));
        found.is_none()
    }

    /// Whether all running nodes know all others and their tables are equal, tombstones included.
    #[must_use]
    pub fn agree(&self) -> bool {
        let mut roots = self.member_nodes().map(Node::roots);
        let first = roots.next();
        roots.all(|root| Some(root) == first) && self.all_know_all()
    }
}

fn knows_alive(node: &Node, count: usize) -> bool {
    let suspects = node.members().filter(|member| member.state == MemberState::Suspect).count();
    suspects == 0 && held_alive(node) == count
}

/// The number of members that a node holds alive, itself included. Those on probation are alive and shown as Down.
pub(crate) fn held_alive(node: &Node) -> usize {
    let on_probation = |id| node.probation(id).is_some();
    node.members()
        .filter(|member| match member.state {
            MemberState::Alive => true,
            MemberState::Down => on_probation(member.id),
            MemberState::Suspect | MemberState::Left => false,
        })
        .count()
}
