//! The process of the membership experiments: a node that records changes of members, behind a gate that an anomaly closes.
//!
//! The anomaly is that of Lifeguard §V, which blocks a member before each send and after each receive. memberlist has one
//! loop that probes, one that gossips and one that receives, and each of them stands at its first send or receive until the
//! anomaly ends; the timers of suspicions need no loop and run on. A node is one state machine, so the gate imitates the
//! loops by the times at which it calls the node:
//!
//! - While the gate is closed, the node is called once only, at the time of its next probe. The ping of that probe and the
//!   round of gossip that is due then wait at the gate. A second probe or round does not begin.
//! - Datagrams that arrive wait in a bounded inbox.
//! - When the gate opens, the waiting datagrams leave, and the node is called once: the probe has failed if its period is
//!   over, suspicions whose time is over become Downs, and one probe and one round of gossip begin, as a ticker of Go keeps
//!   one tick. Their datagrams are composed then. The inbox is read after that, in no time.
//!
//! Two things differ from memberlist: a Down whose time comes while the gate is closed is reported when it opens, and a
//! round of gossip never waits alone, because it is held up until the next probe.

use core::net::SocketAddr;
use std::collections::VecDeque;

use bruit_core::{Action, Boot, Config, Event, MemberChange, Node, NodeId, Notice, Outbox, Time};

use bruit_sim::{BRUIT_PORT, Cluster, Index, Input, Io, Process, Sim};

/// The capacity of the inbox: that of a socket buffer on Linux.
const INBOX_BYTES: usize = 212_992;

/// The state of the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Open,
    /// The gate is closed, and the next probe has not begun.
    Closed,
    /// The gate is closed, and a probe waits for its first send.
    Stands,
}

/// A node with its gate and its records.
#[derive(Debug)]
pub(super) struct Subject {
    node: Node,
    gate: Gate,
    /// The time at which the node begins its next probe.
    next_probe: Time,
    leaving: Vec<(SocketAddr, Vec<u8>)>,
    arriving: VecDeque<(SocketAddr, Vec<u8>)>,
    waiting: usize,
    out: Outbox,
    /// The changes of members to Down and to Up. Local time is true time here.
    pub(super) changes: Vec<(Time, MemberChange, NodeId)>,
}

impl Subject {
    fn drive(&mut self, event: Event<'_>, now: Time, io: &mut Io<'_>) {
        let mut out = core::mem::take(&mut self.out);
        let probes = self.node.stats().probes;
        self.node.handle_into(event, now, &mut out);
        if self.node.stats().probes > probes {
            let interval = self.node.config().membership.probe_interval;
            self.next_probe = now + interval * self.node.health().into();
        }
        for action in out.iter() {
            match action {
                Action::Send { to, bytes } if self.gate != Gate::Open => {
                    self.leaving.push((to, bytes.into_owned()))
                }
                Action::Send { to, bytes } => io.send(BRUIT_PORT, to, &bytes),
                Action::Notify(Notice::Member {
                    change: change @ (MemberChange::Down | MemberChange::Up),
                    member,
                }) => {
                    self.changes.push((now, change, member.id));
                }
                Action::Notify(_)
                | Action::Answer(_)
                | Action::Store { .. }
                | Action::Reseed
                | Action::WakeAt(_) => {}
            }
        }
        out.clear();
        self.out = out;
    }

    /// Keeps a datagram for later if the inbox has space.
    fn wait(&mut self, from: SocketAddr, bytes: &[u8]) {
        if self.waiting + bytes.len() <= INBOX_BYTES {
            self.waiting += bytes.len();
            self.arriving.push_back((from, bytes.to_vec()));
        }
    }

    fn open(&mut self, now: Time, io: &mut Io<'_>) {
        self.gate = Gate::Open;
        for (to, bytes) in self.leaving.drain(..) {
            io.send(BRUIT_PORT, to, &bytes);
        }
        if self.node.next_wake().is_some_and(|wake| wake <= now) {
            self.drive(Event::Tick, now, io);
        }
        self.waiting = 0;
        for (from, bytes) in core::mem::take(&mut self.arriving) {
            self.drive(Event::Datagram { from, bytes: &bytes }, now, io);
        }
    }
}

impl Process for Subject {
    fn handle(&mut self, input: Input<'_>, now: Time, io: &mut Io<'_>) {
        match input.into_event() {
            Some(Event::Datagram { from, bytes }) if self.gate != Gate::Open => self.wait(from, bytes),
            Some(Event::Tick) if self.gate == Gate::Closed && now >= self.next_probe => {
                self.gate = Gate::Stands;
                self.drive(Event::Tick, now, io);
            }
            Some(Event::Tick) if self.gate != Gate::Open => {}
            Some(event) => self.drive(event, now, io),
            None => {}
        }
    }

    fn next_wake(&self) -> Option<Time> {
        match self.gate {
            Gate::Open => self.node.next_wake(),
            Gate::Closed => Some(self.next_probe),
            Gate::Stands => None,
        }
    }

    fn node(&self) -> Option<&Node> {
        Some(&self.node)
    }
}

/// A group of processes that have not started.
pub(super) fn nobody(seed: u64, config: &Config) -> Sim<Subject> {
    let config = config.clone();
    Sim::new(seed, move |boot: Boot| Subject {
        node: Node::new(boot, config.clone(), Time::ZERO).expect("the experiments' configurations are valid"),
        gate: Gate::Open,
        next_probe: Time::ZERO,
        leaving: Vec::new(),
        arriving: VecDeque::new(),
        waiting: 0,
        out: Outbox::new(),
        changes: Vec::new(),
    })
}

/// When the network of an experiment begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begins {
    /// When the group has joined over good links.
    AfterJoin,
    /// At the start: the group joins over the links of the experiment.
    AtStart,
}

/// A settled group whose members all know each other, and that has joined over good links.
pub(super) fn group(
    seed: u64,
    members: u32,
    config: &Config,
    network: bruit_sim::NetworkConfig,
) -> Sim<Subject> {
    settled(seed, members, config, network, Begins::AfterJoin)
}

/// A settled group whose members all list each other. With the settings of memberlist and much loss some are suspected at any
/// time.
pub(super) fn settled(
    seed: u64,
    members: u32,
    config: &Config,
    network: bruit_sim::NetworkConfig,
    begins: Begins,
) -> Sim<Subject> {
    const UNCHECKED: &str = "no check is there to object";
    let mut sim = nobody(seed, config);
    if begins == Begins::AtStart {
        sim.set_network(network.clone()).expect(UNCHECKED);
    }
    sim.spawn_many(members).expect(UNCHECKED);
    let within = core::time::Duration::from_secs(120);
    let lists_all = |node: &Node| node.member_count() == members as usize;
    let all_list_all = |cluster: &Cluster<Subject>| {
        cluster.indices().all(|index| cluster.node(index).is_some_and(lists_all))
    };
    let joined = sim.run_until(within, all_list_all).expect(UNCHECKED);
    assert!(joined.is_some(), "seed {seed}: a group of {members} does not join");
    sim.set_network(network).expect(UNCHECKED);
    // The time before each experiment, after which the phases of the members are random.
    sim.run_for(core::time::Duration::from_secs(15)).expect(UNCHECKED);
    for index in sim.cluster().indices() {
        sim.at(index, |subject, _, _| subject.changes.clear()).expect(UNCHECKED);
    }
    sim
}

pub(super) fn close(sim: &mut Sim<Subject>, index: Index) {
    sim.at(index, |subject, _, _| subject.gate = Gate::Closed).expect("no check is there to object");
}

pub(super) fn open(sim: &mut Sim<Subject>, index: Index) {
    sim.at(index, Subject::open).expect("no check is there to object");
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    #[test]
    fn one_probe_waits_at_a_closed_gate_and_fails_when_it_opens() {
        let mut config = Config::memberlist_lan("gate");
        config.membership.late_slack = Duration::from_secs(24 * 3_600);
        let delay = bruit_sim::Delay::Constant(Duration::from_micros(100));
        let network = bruit_sim::NetworkConfig::uniform(bruit_sim::Link::with_delay(delay));
        let mut sim = group(1, 8, &config, network);
        let probes = |sim: &Sim<Subject>| {
            let stats = sim.cluster().node(Index(0)).expect("it runs").stats();
            [stats.probes, stats.probes_failed]
        };
        let [begun, failed] = probes(&sim);
        close(&mut sim, Index(0));
        sim.run_for(Duration::from_secs(20)).expect("no check is there to object");
        assert_eq!(probes(&sim), [begun + 1, failed]);
        open(&mut sim, Index(0));
        assert_eq!(probes(&sim), [begun + 2, failed + 1]);
    }
}
