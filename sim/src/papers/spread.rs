//! How soon a broadcast has come to all, and what it costs beyond what the group sends anyway: the same group is
//! forked, one branch says nothing, and the difference is the price.

use core::time::Duration;

use bruit_core::{Config, MessageId, Time};

use super::listener::{self, Listener, Scales, UNCHECKED};
use crate::cluster::{Cluster, Index};
use crate::kernel::Sim;
use crate::network::NetworkConfig;
use crate::random::Random;

/// What is said, and when.
#[derive(Clone, Debug)]
pub(super) struct Talk {
    /// Messages before those that count; they teach the tree.
    pub(super) warm_up: usize,
    /// Messages that count.
    pub(super) messages: usize,
    /// From one to the next.
    pub(super) every: Duration,
    pub(super) payload: usize,
    /// Whether one member says all of them; else each time another one.
    pub(super) one_origin: bool,
    /// How long after the last one is looked for stragglers.
    pub(super) patience: Duration,
}

/// What became of one message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Course {
    /// From its submission until the last member had it that ever got it.
    pub(super) last: Duration,
    /// The same for 99 % of the members.
    pub(super) most: Duration,
    /// The most hops of a delivery.
    pub(super) hops: u8,
    /// Running members that never got it.
    pub(super) missed: usize,
}

/// What became of all of them.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) courses: Vec<Course>,
    /// What the talk added to the traffic, and what the silent branch sent.
    pub(super) busy: Scales,
    pub(super) idle: Scales,
    /// Payloads received.
    pub(super) received: u64,
    pub(super) members: usize,
}

impl Outcome {
    fn of_each(&self, value: u64) -> f64 {
        value as f64 / (self.courses.len().max(1) * self.members.max(1)) as f64
    }

    /// Bytes beyond idle for each member and message.
    pub(super) fn bytes(&self) -> f64 {
        self.of_each(self.busy.bytes.saturating_sub(self.idle.bytes))
    }

    /// The same between zones.
    pub(super) fn far_bytes(&self) -> f64 {
        self.of_each(self.busy.far_bytes.saturating_sub(self.idle.far_bytes))
    }

    /// The same of datagrams.
    pub(super) fn datagrams(&self) -> f64 {
        self.of_each(self.busy.datagrams.saturating_sub(self.idle.datagrams))
    }

    /// Relative message redundancy (Plumtree §4): payloads received for each receiver, less the one it needs.
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

    /// Where the bytes go: for each kind, messages and bytes beyond idle for each member and message.
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

/// A group at rest over this network.
pub(super) fn settled(
    seed: u64,
    members: u32,
    config: &Config,
    network: NetworkConfig,
    zone_len: u64,
) -> Sim<Listener> {
    let mut sim = listener::audience(seed, members, config, zone_len);
    sim.set_network(network).expect(UNCHECKED);
    sim.run_for(Duration::from_secs(5)).expect(UNCHECKED);
    sim
}

/// Lets a group talk. The silent branch is run only if the bytes are asked for: it takes the group's memory twice.
pub(super) fn talk(sim: &mut Sim<Listener>, talk: &Talk, seed: u64, weighed: bool) -> Outcome {
    let mut random = Random::new(seed, 0x5350, 0);
    let running: Vec<Index> = sim.cluster().running().collect();
    let fixed = running[random.position(running.len())];
    let mut speaker = || if talk.one_origin { fixed } else { running[random.position(running.len())] };
    for _ in 0..talk.warm_up {
        listener::say(sim, speaker(), vec![b'w'; talk.payload], None);
        sim.run_for(talk.every.min(Duration::from_millis(200))).expect(UNCHECKED);
    }
    if talk.warm_up > 0 {
        sim.run_for(Duration::from_secs(10)).expect(UNCHECKED);
    }
    listener::forget(sim);
    let length = talk.every * u32::try_from(talk.messages).expect("few messages") + talk.patience;
    let idle = if weighed {
        let mut silent = sim.clone();
        listener::weigh(&mut silent, true);
        silent.run_for(length).expect(UNCHECKED);
        listener::weigh(&mut silent, false)
    } else {
        Scales::default()
    };
    let before = payloads(sim.cluster());
    listener::weigh(sim, weighed);
    let mut said = Vec::new();
    for _ in 0..talk.messages {
        let at = sim.now();
        said.push((at, listener::say(sim, speaker(), vec![b'm'; talk.payload], None)));
        sim.run_for(talk.every).expect(UNCHECKED);
    }
    sim.run_for(talk.patience).expect(UNCHECKED);
    let busy = listener::weigh(sim, false);
    let after = payloads(sim.cluster());
    let courses = courses(sim.cluster(), &said);
    Outcome { courses, busy, idle, received: after - before, members: running.len() }
}

/// Payloads that came.
fn payloads(cluster: &Cluster<Listener>) -> u64 {
    cluster.nodes().map(|(_, node)| node.stats().broadcasts_received).sum()
}

/// What became of these messages, each submitted at its time, at those that run now.
pub(super) fn courses(cluster: &Cluster<Listener>, said: &[(Time, MessageId)]) -> Vec<Course> {
    let mut deliveries: std::collections::BTreeMap<MessageId, Vec<(Duration, u8)>> = Default::default();
    let started: std::collections::BTreeMap<MessageId, Time> =
        said.iter().map(|(at, id)| (*id, *at)).collect();
    let mut listeners = 0_usize;
    for listener in cluster.running().filter_map(|index| cluster.process(index)) {
        listeners += 1;
        for heard in &listener.heard {
            if let Some(start) = started.get(&heard.id) {
                deliveries.entry(heard.id).or_default().push((heard.at.since(*start), heard.hops));
            }
        }
    }
    let course = |(_, id): &(_, MessageId)| {
        let mut times = deliveries.remove(id).unwrap_or_default();
        times.sort_unstable();
        let at = |place: usize| times.get(place).map_or(Duration::ZERO, |delivery| delivery.0);
        Course {
            last: at(times.len().saturating_sub(1)),
            most: at((listeners * 99).div_ceil(100).saturating_sub(1)),
            hops: times.iter().map(|delivery| delivery.1).max().unwrap_or(0),
            missed: listeners - times.len(),
        }
    };
    said.iter().map(course).collect()
}
