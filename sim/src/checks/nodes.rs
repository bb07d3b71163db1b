//! The nodes and the network as checks look at them.

use core::net::SocketAddr;
use core::time::Duration;

use bruit_core::{
    Member, MemberState, MessageId, Node, NodeId, Phase, Time,
    broadcast::{Mark, Pending, Usage},
};

use crate::base::{Index, MILLION};
use crate::kernel::Cluster;
use crate::network::{Counters, Link, Loss};
use crate::process::{Process, Status};

/// The state that checks look at beside the happenings. A [`Cluster`] implements it; so can any other collection of
/// nodes, whose network need not be simulated.
pub trait Nodes {
    /// The true time.
    fn now(&self) -> Time;
    /// The number of processes that were ever started.
    fn len(&self) -> usize;
    /// Whether no process was ever started.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The node inside a process; `None` while the process is crashed.
    fn node(&self, index: Index) -> Option<&Node>;
    /// The status of a process.
    fn status(&self, index: Index) -> Status {
        if self.node(index).is_some() { Status::Running } else { Status::Crashed }
    }
    /// Whether no cut affects datagrams from `from` to `to`, not even a gray one, or a flapping one that is open at the
    /// moment.
    fn connected(&self, from: Index, to: Index) -> bool;
    /// The greatest loss of any link now, in parts per million.
    fn loss_ppm(&self) -> u32;
    /// The shortest time that a datagram from `from` to `to` can take.
    fn delay_min(&self, from: Index, to: Index) -> Duration {
        let _ = (from, to);
        Duration::ZERO
    }
    /// The local time of a process, by its own clock.
    fn local_now(&self, index: Index) -> Time {
        let _ = index;
        self.now()
    }
    /// The process that has this address now; `None` if no process has it, or if addresses are not simulated.
    fn owner(&self, addr: SocketAddr) -> Option<Index> {
        let _ = addr;
        None
    }
    /// Whether a datagram that `from` sends to `to` now passes all cuts. Gray cuts, which lose only some datagrams, count
    /// as open.
    fn passes(&self, from: Index, to: Index) -> bool {
        let _ = (from, to);
        true
    }
    /// The datagrams of the simulated network; `None` if the network is not simulated.
    fn traffic(&self) -> Option<Traffic> {
        None
    }
    /// Whether the node has joined, and has neither left nor been stopped.
    fn is_member(&self, index: Index) -> bool {
        self.node(index).is_some_and(|node| node.phase() == Phase::Running)
    }
    /// A member as `observer` shows it to its application.
    fn member(&self, observer: Index, id: NodeId) -> Option<Member<'_>> {
        self.node(observer)?.member(id)
    }
    /// The state in which `observer` shows a member to its application.
    fn shown(&self, observer: Index, id: NodeId) -> Option<MemberState> {
        self.member(observer, id).map(|member| member.state)
    }
    /// The state in which `observer` holds a member that it shows. A member on probation is shown as Down and held alive.
    fn view(&self, observer: Index, id: NodeId) -> Option<MemberState> {
        let on_probation = self.node(observer)?.probation(id).is_some();
        self.shown(observer, id).map(|shown| if on_probation { MemberState::Alive } else { shown })
    }
    /// The ids of the members that `observer` holds alive or suspected and shows, itself included, in ascending order.
    fn live(&self, observer: Index) -> Vec<NodeId> {
        let is_live = |state| matches!(state, Some(MemberState::Alive | MemberState::Suspect));
        let ids = self.node(observer).into_iter().flat_map(Node::members).map(|member| member.id);
        ids.filter(|id| is_live(self.view(observer, *id))).collect()
    }
    /// The roots of the tables of a node.
    fn roots(&self, index: Index) -> Option<[u64; 3]> {
        self.node(index).map(Node::roots)
    }
    /// The epoch in which `observer` shows a member.
    fn epoch(&self, observer: Index, id: NodeId) -> Option<u64> {
        self.node(observer)?.member(id).map(|member| member.incarnation.epoch)
    }
    /// Whether a node could serve this broadcast to others.
    fn caches(&self, index: Index, id: MessageId) -> bool {
        self.node(index).is_some_and(|node| node.cached(id).is_some())
    }
    /// The marks that a node has of the broadcasts of each origin.
    fn marks(&self, index: Index) -> Vec<Mark> {
        self.node(index).into_iter().flat_map(Node::marks).collect()
    }
    /// The resources that a node uses for broadcasts.
    fn usage(&self, index: Index) -> Usage {
        self.node(index).map(Node::usage).unwrap_or_default()
    }
    /// The node's own broadcasts whose first phase has not ended.
    fn pending(&self, index: Index) -> Pending {
        self.node(index).map(Node::pending).unwrap_or_default()
    }
}

/// The datagrams of a simulated network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// The counters of the network.
    pub counters: Counters,
    /// The number of datagrams under way.
    pub under_way: usize,
}

impl<P: Process> Nodes for Cluster<P> {
    fn now(&self) -> Time {
        self.now()
    }

    fn len(&self) -> usize {
        self.len()
    }

    fn node(&self, index: Index) -> Option<&Node> {
        self.node(index)
    }

    fn status(&self, index: Index) -> Status {
        self.status(index)
    }

    fn connected(&self, from: Index, to: Index) -> bool {
        self.untouched(from, to)
    }

    fn loss_ppm(&self) -> u32 {
        let network = self.network();
        let zones = network.zones.iter().map(|zone| &zone.link);
        let links = network.links.iter().map(|pair| &pair.link);
        // A burst is an outage of one link: it can take all the pings that clear a suspicion.
        let mtu = self.config().map_or(0, |config| config.mtu.into());
        let loss = |link: &Link| match link.loss {
            // The longest datagrams of a node never get through.
            _ if link.mtu < mtu => MILLION,
            Loss::Bursts { .. } => MILLION,
            Loss::None | Loss::Independent { .. } => link.loss.ppm() + link.corrupt_ppm,
        };
        zones.chain(links).chain([&network.link]).map(loss).max().unwrap_or(0)
    }

    fn delay_min(&self, from: Index, to: Index) -> Duration {
        self.delay_min(from, to)
    }

    fn local_now(&self, index: Index) -> Time {
        self.local_now(index)
    }

    fn owner(&self, addr: SocketAddr) -> Option<Index> {
        self.owner(addr)
    }

    fn passes(&self, from: Index, to: Index) -> bool {
        self.connected(from, to)
    }

    fn traffic(&self) -> Option<Traffic> {
        Some(Traffic { counters: *self.counters(), under_way: self.under_way() })
    }
}
