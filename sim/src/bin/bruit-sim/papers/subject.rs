//! The process of the membership experiments: a node that records changes of members, behind a gate that an anomaly closes.
//!
//! While the gate is closed, the datagrams that the node sends wait in order, those that arrive wait in a bounded inbox, and
//! the timers run on. This is the anomaly of Lifeguard §V, which blocks a member before each send and after each receive.

use core::net::SocketAddr;
use std::collections::VecDeque;

use bruit_core::{Action, Boot, Config, Event, MemberChange, Node, NodeId, Notice, Outbox, Time};

use bruit_sim::{BRUIT_PORT, Index, Input, Io, Process, Sim};

/// The capacity of the inbox: that of a socket buffer on Linux.
const INBOX_BYTES: usize = 212_992;

/// A node with its gate and its records.
#[derive(Debug)]
pub(super) struct Subject {
    node: Node,
    closed: bool,
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
        self.node.handle_into(event, now, &mut out);
        for action in out.iter() {
            match action {
                Action::Send { to, bytes } if self.closed => self.leaving.push((to, bytes.into_owned())),
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
        self.closed = false;
        for (to, bytes) in self.leaving.drain(..) {
            io.send(BRUIT_PORT, to, &bytes);
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
            Some(Event::Datagram { from, bytes }) if self.closed => self.wait(from, bytes),
            Some(event) => self.drive(event, now, io),
            None => {}
        }
    }

    fn next_wake(&self) -> Option<Time> {
        self.node.next_wake()
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
        closed: false,
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

/// A settled group whose members all know each other.
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
    let joined = sim.run_until(within, bruit_sim::Cluster::all_know_all).expect(UNCHECKED);
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
    sim.at(index, |subject, _, _| subject.closed = true).expect("no check is there to object");
}

pub(super) fn open(sim: &mut Sim<Subject>, index: Index) {
    sim.at(index, Subject::open).expect("no check is there to object");
}
