//! The process of the broadcast experiments: a node that notes what it delivers, and weighs what it sends by kind
//! of message.

use std::collections::BTreeMap;

use bruit_core::wire::{Kind, open};
use bruit_core::{
    Action, Boot, Broadcast, Command, Config, MessageId, Node, NodeId, Notice, Outbox, Time,
    broadcast::FirstPhase,
};

use crate::cluster::{Cluster, Index};
use crate::kernel::Sim;
use crate::process::{BRUIT_PORT, Input, Io, Process};
use crate::spawn::{Join, Spawn};

/// No check watches these experiments.
pub(super) const UNCHECKED: &str = "no check is there to object";

/// One delivery.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    /// In local time, which is true time here.
    pub(super) at: Time,
    pub(super) id: MessageId,
    pub(super) hops: u8,
}

/// What was sent: datagrams, and of their bytes how many each kind of message took. Envelopes count for
/// themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scales {
    pub(super) datagrams: u64,
    pub(super) bytes: u64,
    /// Of these, to members of another zone.
    pub(super) far_bytes: u64,
    /// Messages and their bytes.
    pub(super) kinds: BTreeMap<Kind, (u64, u64)>,
}

impl Scales {
    pub(super) fn add(&mut self, other: &Self) {
        self.datagrams += other.datagrams;
        self.bytes += other.bytes;
        self.far_bytes += other.far_bytes;
        for (kind, (count, bytes)) in &other.kinds {
            let sum = self.kinds.entry(*kind).or_default();
            *sum = (sum.0 + count, sum.1 + bytes);
        }
    }

    fn weigh(&mut self, bytes: &[u8], tag: u64, far: impl Fn(NodeId) -> bool) {
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

/// A node that listens.
#[derive(Clone, Debug)]
pub(super) struct Listener {
    node: Node,
    out: Outbox,
    tag: u64,
    /// Members of one zone, by their ids; 0 if there are no zones.
    zone_len: u64,
    /// Nothing is weighed while it is not wanted: it costs as much as the protocol.
    pub(super) scales: Option<Scales>,
    pub(super) heard: Vec<Heard>,
    /// Broadcasts that were told as lost.
    pub(super) lost: u64,
}

impl Listener {
    fn new(boot: Boot, config: Config, zone_len: u64) -> Self {
        let tag = bruit_core::wire::cluster_tag(&config.cluster);
        let node = Node::new(boot, config, Time::ZERO).expect("the experiments' configurations are valid");
        Self { node, out: Outbox::new(), tag, zone_len, scales: None, heard: Vec::new(), lost: 0 }
    }

    fn weigh(&mut self, out: &Outbox) {
        let Some(scales) = &mut self.scales else { return };
        let (me, zone_len) = (self.node.id(), self.zone_len);
        let far = |id: NodeId| zone_len > 0 && zone_of(id, zone_len) != zone_of(me, zone_len);
        for action in out.iter() {
            if let Action::Send { bytes, .. } = action {
                scales.weigh(&bytes, self.tag, far);
            }
        }
    }
}

/// Ids count from 1.
const fn zone_of(id: NodeId, zone_len: u64) -> u64 {
    (id.0 - 1) / zone_len
}

impl Process for Listener {
    fn handle(&mut self, input: Input<'_>, now: Time, io: &mut Io<'_>) {
        let Some(event) = input.into_event() else { return };
        let mut out = core::mem::take(&mut self.out);
        self.node.handle_into(event, now, &mut out);
        self.weigh(&out);
        for notice in io.perform(BRUIT_PORT, &out) {
            if let Notice::Delivered { id, hops, .. } = notice {
                self.heard.push(Heard { at: now, id, hops });
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

/// A group that has come together over good links, in zones of `zone_len` members if that is not 0.
pub(super) fn audience(seed: u64, members: u32, config: &Config, zone_len: u64) -> Sim<Listener> {
    let config = config.clone();
    let mut sim = Sim::new(seed, move |boot: Boot| Listener::new(boot, config.clone(), zone_len));
    for number in 1..=u64::from(members) {
        let zone = if zone_len > 0 { zone_name(zone_of(NodeId(number), zone_len)) } else { String::new() };
        sim.spawn(Spawn::new().zone(zone).join(Join::First(3))).expect(UNCHECKED);
    }
    let joined = sim.run_until(core::time::Duration::from_secs(120), Cluster::all_know_all).expect(UNCHECKED);
    assert!(joined.is_some(), "seed {seed}: a group of {members} does not come together");
    sim
}

pub(super) fn zone_name(number: u64) -> String {
    format!("z{number}")
}

/// Lets a member broadcast, and returns the name of the message.
pub(super) fn say(
    sim: &mut Sim<Listener>,
    index: Index,
    payload: Vec<u8>,
    first: Option<FirstPhase>,
) -> MessageId {
    let mut message = Broadcast::new("", payload);
    message.first = first;
    sim.command(index, Command::Broadcast(message)).expect(UNCHECKED);
    let id = sim.cluster().id(index);
    let said = sim.cluster().process(index).and_then(|listener| listener.heard.last());
    said.filter(|heard| heard.id.origin == id)
        .expect("an own broadcast is delivered in the call that takes it")
        .id
}

/// Starts or stops weighing what everybody sends; what was weighed is returned.
pub(super) fn weigh(sim: &mut Sim<Listener>, on: bool) -> Scales {
    let mut sum = Scales::default();
    for index in sim.cluster().running().collect::<Vec<_>>() {
        let scales = sim
            .at(index, |listener, _, _| core::mem::replace(&mut listener.scales, on.then(Scales::default)));
        sum.add(&scales.expect(UNCHECKED).unwrap_or_default());
    }
    sum
}

/// All forget what they have heard.
pub(super) fn forget(sim: &mut Sim<Listener>) {
    for index in sim.cluster().running().collect::<Vec<_>>() {
        sim.at(index, |listener, _, _| listener.heard.clear()).expect(UNCHECKED);
    }
}
