//! The time in which a broadcast reaches all members, and its cost beyond the traffic of a silent group. The simulation is
//! forked, one branch broadcasts nothing, and the difference of the traffic is the cost.

use core::time::Duration;

use bruit_core::{Config, MessageId, Time};

use super::recorder::{self, Recorder, Traffic, UNCHECKED};
use bruit_sim::{Cluster, Index, NetworkConfig, Random, Sim};

/// The broadcasts of a measurement.
#[derive(Clone, Debug)]
pub(super) struct Talk {
    /// The number of messages before those that count, from which the members learn the tree.
    pub(super) warm_up: usize,
    /// The number of messages that count.
    pub(super) messages: usize,
    /// The time from one message to the next.
    pub(super) every: Duration,
    pub(super) payload: usize,
    /// Whether one member sends all messages, or each time a random one.
    pub(super) one_origin: bool,
    /// The time to wait for late deliveries after the last message.
    pub(super) patience: Duration,
}

/// The deliveries of one message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Course {
    /// The time from the submission to the last delivery.
    pub(super) last: Duration,
    /// The time from the submission until 99 % of the members had it.
    pub(super) most: Duration,
    /// The greatest number of hops of a delivery.
    pub(super) hops: u8,
    /// The number of running members that never got it.
    pub(super) missed: usize,
}

/// The result of a measurement.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) courses: Vec<Course>,
    /// The traffic of the branch with broadcasts, and that of the silent branch.
    pub(super) busy: Traffic,
    pub(super) idle: Traffic,
    /// The number of payloads that were received.
    pub(super) received: u64,
    pub(super) members: usize,
}

impl Outcome {
    fn of_each(&self, value: u64) -> f64 {
        value as f64 / (self.courses.len().max(1) * self.members.max(1)) as f64
    }

    /// The bytes for each member and message beyond those of the silent branch.
    pub(super) fn bytes(&self) -> f64 {
        self.of_each(self.busy.bytes.saturating_sub(self.idle.bytes))
    }

    /// The bytes between zones, for each member and message beyond those of the silent branch.
    pub(super) fn far_bytes(&self) -> f64 {
        self.of_each(self.busy.far_bytes.saturating_sub(self.idle.far_bytes))
    }

    /// The datagrams for each member and message beyond those of the silent branch.
    pub(super) fn datagrams(&self) -> f64 {
        self.of_each(self.busy.datagrams.saturating_sub(self.idle.datagrams))
    }

    /// The relative message redundancy (Plumtree §4): the payloads received for each receiver, less the one that it needs.
    pub(super) fn redundancy(&self) -> f64 {
        let needed: usize = self.courses.iter().map(|course| self.members - 1 - course.missed).sum();
        self.received as f64 / needed.max(1) as f64 - 1.0
    }

    pub(super) fn most(&self) -> Vec<Duration> {
        let mut times: Vec<Duration> = self.courses.iter().map(|course| course.most).collect();
        times.sort_unstable();
        times
    }

    pub(super) fn last(&self) -> Vec<Duration> {
        let mut times: Vec<Duration> = self.courses.iter().map(|course| course.last).collect();
        times.sort_unstable();
        times
    }

    pub(super) fn hops(&self) -> (f64, u8) {
        let sum: f64 = self.courses.iter().map(|course| f64::from(course.hops)).sum();
        let most = self.courses.iter().map(|course| course.hops).max().unwrap_or(0);
        (sum / self.courses.len().max(1) as f64, most)
    }

    pub(super) fn missed(&self) -> usize {
        self.courses.iter().map(|course| course.missed).sum()
    }

    /// Each kind of message with its messages and bytes for each member and broadcast beyond those of the silent branch.
    pub(super) fn kinds(&self) -> Vec<(&'static str, f64, f64)> {
        let mut kinds = Vec::new();
        for (kind, (count, bytes)) in &self.busy.kinds {
            let idle = self.idle.kinds.get(kind).copied().unwrap_or_default();
            let (count, bytes) = (count.saturating_sub(idle.0), bytes.saturating_sub(idle.1));
            if count > 0 {
                kinds.push((kind.name(), self.of_each(count), self.of_each(bytes)));
            }
        }
        kinds
    }
}

/// A settled group over this network.
pub(super) fn settled(
    seed: u64,
    members: u32,
    config: &Config,
    network: NetworkConfig,
    zone_len: u64,
) -> Sim<Recorder> {
    let mut sim = recorder::group(seed, members, config, zone_len);
    sim.set_network(network).expect(UNCHECKED);
    sim.run_for(Duration::from_secs(5)).expect(UNCHECKED);
    sim
}

/// Lets a group broadcast. The silent branch runs only if `measured` asks for the traffic, because it takes the memory of the
/// group a second time.
pub(super) fn talk(sim: &mut Sim<Recorder>, talk: &Talk, seed: u64, measured: bool) -> Outcome {
    let mut random = Random::new(seed, 0x5350, 0);
    let running: Vec<Index> = sim.cluster().running().collect();
    let fixed = running[random.position(running.len())];
    let mut sender = || if talk.one_origin { fixed } else { running[random.position(running.len())] };
    for _ in 0..talk.warm_up {
        recorder::broadcast(sim, sender(), vec![b'w'; talk.payload], None);
        sim.run_for(talk.every.min(Duration::from_millis(200))).expect(UNCHECKED);
    }
    if talk.warm_up > 0 {
        sim.run_for(Duration::from_secs(10)).expect(UNCHECKED);
    }
    recorder::clear(sim);
    let length = talk.every * u32::try_from(talk.messages).expect("few messages") + talk.patience;
    let idle = if measured {
        let mut silent = sim.clone();
        recorder::measure(&mut silent, true);
        silent.run_for(length).expect(UNCHECKED);
        recorder::measure(&mut silent, false)
    } else {
        Traffic::default()
    };
    let before = payloads(sim.cluster());
    recorder::measure(sim, measured);
    let mut sent_messages = Vec::new();
    for _ in 0..talk.messages {
        let at = sim.now();
        sent_messages.push((at, recorder::broadcast(sim, sender(), vec![b'm'; talk.payload], None)));
        sim.run_for(talk.every).expect(UNCHECKED);
    }
    sim.run_for(talk.patience).expect(UNCHECKED);
    let busy = recorder::measure(sim, false);
    let after = payloads(sim.cluster());
    let courses = courses(sim.cluster(), &sent_messages);
    Outcome { courses, busy, idle, received: after - before, members: running.len() }
}

/// The number of payloads that all members have received.
fn payloads(cluster: &Cluster<Recorder>) -> u64 {
    cluster.nodes().map(|(_, node)| node.stats().broadcasts_received).sum()
}

/// The deliveries of these messages, each with the time of its submission, at the members that run now.
pub(super) fn courses(cluster: &Cluster<Recorder>, sent_messages: &[(Time, MessageId)]) -> Vec<Course> {
    let mut deliveries: std::collections::BTreeMap<MessageId, Vec<(Duration, u8)>> = Default::default();
    let started: std::collections::BTreeMap<MessageId, Time> =
        sent_messages.iter().map(|(at, id)| (*id, *at)).collect();
    let mut recorders = 0_usize;
    for recorder in cluster.running().filter_map(|index| cluster.process(index)) {
        recorders += 1;
        for delivery in &recorder.deliveries {
            if let Some(start) = started.get(&delivery.id) {
                deliveries.entry(delivery.id).or_default().push((delivery.at.since(*start), delivery.hops));
            }
        }
    }
    let course = |(_, id): &(_, MessageId)| {
        let mut times = deliveries.remove(id).unwrap_or_default();
        times.sort_unstable();
        let at = |place: usize| times.get(place).map_or(Duration::ZERO, |delivery| delivery.0);
        Course {
            last: at(times.len().saturating_sub(1)),
            most: at((recorders * 99).div_ceil(100).saturating_sub(1)),
            hops: times.iter().map(|delivery| delivery.1).max().unwrap_or(0),
            missed: recorders - times.len(),
        }
    };
    sent_messages.iter().map(course).collect()
}
