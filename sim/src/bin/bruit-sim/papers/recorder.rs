//! The process of the broadcast experiments: a node that records its deliveries, and the datagrams that it sends by kind of
//! message.

use std::collections::BTreeMap;

use bruit_core::wire::{Kind, open};
use bruit_core::{
    Action, Boot, Broadcast, Command, Config, MessageId, Node, NodeId, Notice, Outbox, Time,
    broadcast::FirstPhase,
};

use bruit_sim::{BRUIT_PORT, Cluster, Index, Input, Io, Join, Process, Sim, Spawn};

/// The message of every `expect` here: the experiments run without checks.
pub(super) const UNCHECKED: &str = "no check is there to object";

/// One delivery.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delivery {
    /// The time of the delivery. Local time is true time here.
    pub(super) at: Time,
    pub(super) id: MessageId,
    pub(super) hops: u8,
}

/// The datagrams that were sent, and the bytes of each kind of message in them. The bytes of envelopes belong to no kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Traffic {
    pub(super) datagrams: u64,
    pub(super) bytes: u64,
    /// The bytes to members of another zone.
    pub(super) far_bytes: u64,
    /// The messages of each kind, and their bytes.
    pub(super) kinds: BTreeMap<Kind, (u64, u64)>,
}

impl Traffic {
    pub(super) fn add(&mut self, other: &Self) {
        self.datagrams += other.datagrams;
        self.bytes += other.bytes;
        self.far_bytes += other.far_bytes;
        for (kind, (count, bytes)) in &other.kinds {
            let sum = self.kinds.entry(*kind).or_default();
            *sum = (sum.0 + count, sum.1 + bytes);
        }
    }

    fn count(&mut self, bytes: &[u8], tag: u64, far: impl Fn(NodeId) -> bool) {
        self.datagrams += 1;
        self.bytes += bytes.len() as u64;
        let Ok(datagram) = open(bytes, tag) else { return };
        if far(datagram.header.receiver) {
            self.far_bytes += bytes.len() as u64;
        }
        let mut encoded = Vec::new();
        for message in datagram.messages.map_while(Result::ok) {
            encoded.clear();
            message.encode(&mut encoded);
            let sum = self.kinds.entry(message.kind()).or_default();
            *sum = (sum.0 + 1, sum.1 + encoded.len() as u64);
        }
    }
}

/// A node with its records.
#[derive(Clone, Debug)]
pub(super) struct Recorder {
    node: Node,
    out: Outbox,
    tag: u64,
    /// The number of members in each zone; 0 if there are no zones.
    zone_len: u64,
    /// `None` while the traffic is not measured, because that takes as long as the protocol itself.
    pub(super) traffic: Option<Traffic>,
    pub(super) deliveries: Vec<Delivery>,
    /// The number of messages that were reported as lost.
    pub(super) lost: u64,
}

impl Recorder {
    fn new(boot: Boot, config: Config, zone_len: u64) -> Self {
        let tag = bruit_core::wire::cluster_tag(&config.cluster);
        let node = Node::new(boot, config, Time::ZERO).expect("the experiments' configurations are valid");
        Self { node, out: Outbox::new(), tag, zone_len, traffic: None, deliveries: Vec::new(), lost: 0 }
    }

    fn count(&mut self, out: &Outbox) {
        let Some(traffic) = &mut self.traffic else { return };
        let (me, zone_len) = (self.node.id(), self.zone_len);
        let far = |id: NodeId| {
            id != NodeId::NOBODY && zone_len > 0 && zone_of(id, zone_len) != zone_of(me, zone_len)
        };
        for action in out.iter() {
            if let Action::Send { bytes, .. } = action {
                traffic.count(&bytes, self.tag, far);
            }
        }
    }
}

/// The zone of a member. Ids count from 1.
const fn zone_of(id: NodeId, zone_len: u64) -> u64 {
    (id.0 - 1) / zone_len
}

impl Process for Recorder {
    fn handle(&mut self, input: Input<'_>, now: Time, io: &mut Io<'_>) {
        let Some(event) = input.into_event() else { return };
        let mut out = core::mem::take(&mut self.out);
        self.node.handle_into(event, now, &mut out);
        self.count(&out);
        for notice in io.perform(BRUIT_PORT, &out) {
            if let Notice::Delivered { id, hops, .. } = notice {
                self.deliveries.push(Delivery { at: now, id, hops });
            } else if let Notice::Lost { first, last, .. } = notice {
                self.lost += last - first + 1;
            }
        }
        out.clear();
        self.out = out;
    }

    fn next_wake(&self) -> Option<Time> {
        self.node.next_wake()
    }

    fn node(&self) -> Option<&Node> {
        Some(&self.node)
    }
}

/// A group that has joined over good links, in zones of `zone_len` members unless that is 0.
pub(super) fn group(seed: u64, members: u32, config: &Config, zone_len: u64) -> Sim<Recorder> {
    let config = config.clone();
    let mut sim = Sim::new(seed, move |boot: Boot| Recorder::new(boot, config.clone(), zone_len));
    for number in 1..=u64::from(members) {
        let zone = if zone_len > 0 { zone_name(zone_of(NodeId(number), zone_len)) } else { String::new() };
        sim.spawn(Spawn::new().zone(zone).join(Join::First(3))).expect(UNCHECKED);
    }
    let joined = sim.run_until(core::time::Duration::from_secs(120), Cluster::all_know_all).expect(UNCHECKED);
    assert!(joined.is_some(), "seed {seed}: a group of {members} does not join");
    sim
}

pub(super) fn zone_name(number: u64) -> String {
    format!("z{number}")
}

/// Lets a member broadcast, and returns the id of the message.
pub(super) fn broadcast(
    sim: &mut Sim<Recorder>,
    index: Index,
    payload: Vec<u8>,
    first: Option<FirstPhase>,
) -> MessageId {
    let mut message = Broadcast::new("", payload);
    message.first = first;
    sim.command(index, Command::Broadcast(message)).expect(UNCHECKED);
    let id = sim.cluster().id(index);
    let own = sim.cluster().process(index).and_then(|recorder| recorder.deliveries.last());
    own.filter(|delivery| delivery.id.origin == id)
        .expect("a broadcast is delivered to its own application at once")
        .id
}

/// Starts or stops measuring the traffic of all members. Returns what was measured so far.
pub(super) fn measure(sim: &mut Sim<Recorder>, on: bool) -> Traffic {
    let mut sum = Traffic::default();
    for index in sim.cluster().running().collect::<Vec<_>>() {
        let traffic = sim
            .at(index, |recorder, _, _| core::mem::replace(&mut recorder.traffic, on.then(Traffic::default)));
        sum.add(&traffic.expect(UNCHECKED).unwrap_or_default());
    }
    sum
}

/// Clears the deliveries of all members.
pub(super) fn clear(sim: &mut Sim<Recorder>) {
    for index in sim.cluster().running().collect::<Vec<_>>() {
        sim.at(index, |recorder, _, _| recorder.deliveries.clear()).expect(UNCHECKED);
    }
}
