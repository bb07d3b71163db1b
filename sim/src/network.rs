//! The simulated network: a state machine that gives a verdict on each datagram that is sent.
//!
//! A datagram passes the stages `mtu → cut → loss → corruption → duplication → delay and reordering → order` when it is
//! sent, and the stages `cuts made since → address → inbox` when it arrives. Each stage has its own counter, and its own
//! random stream for each sender. The settings of a link win over those of its pair of zones, and these over the default.

mod address;
mod counters;
mod cut;
mod damage;
mod delay;
mod filter;
pub mod forge;
mod link;
mod loss;
mod pool;

use core::time::Duration;

use bruit_core::Time;
use serde::{Deserialize, Serialize};

pub use address::{BRUIT_PORT, Port};
pub use counters::{Counters, DropReason};
pub use cut::{Cut, CutId, Flap, Gray, InFlight};
pub use filter::{Filter, Passing};
pub use link::{Delay, Link, Loss, Reorder};

pub(crate) use address::{AddressBook, AddressNumber};
pub(crate) use damage::Damage;
pub(crate) use pool::{Datagram, DatagramId, Datagrams};

use crate::base::{Index, Lookup, Purpose, Streams};
use cut::Cuts;
use link::Profile;
use loss::Bursts;

/// The settings of a network: those of links by default, and the exceptions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkConfig {
    /// The settings of every link that `zones` and `links` do not name.
    pub link: Link,
    /// The settings of links from one zone to another, in one direction.
    pub zones: Vec<ZoneLink>,
    /// The settings of links from one process to another, in one direction.
    pub links: Vec<PairLink>,
}

/// The settings of all links from one zone to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneLink {
    /// The zone of the sender.
    pub from: String,
    /// The zone of the receiver.
    pub to: String,
    /// The settings of these links.
    pub link: Link,
}

/// The settings of the link from one process to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairLink {
    /// The sender.
    pub from: Index,
    /// The receiver.
    pub to: Index,
    /// The settings of these links.
    pub link: Link,
}

impl NetworkConfig {
    /// Settings that are the same for all links.
    #[must_use]
    pub fn uniform(link: Link) -> Self {
        Self { link, ..Self::default() }
    }
}

/// The verdict on a datagram: it is dropped, or carried with a delay. `again` is the delay of a second copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Drop(DropReason),
    Carry { delay: u64, again: Option<u64>, damage: Option<Damage> },
}

/// The state of the network.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    config: NetworkConfig,
    profiles: Vec<Profile>,
    /// The zone of each process, as a position in `zone_names`.
    zones: Vec<u32>,
    zone_names: Vec<String>,
    zone_links: Vec<(u32, u32, usize)>,
    links: Lookup<(u32, u32), usize>,
    cuts: Cuts,
    bursts: Bursts,
    last_arrival: Lookup<(u32, u32), u64>,
    streams: StageStreams,
    seed: u64,
    counters: Counters,
}

#[derive(Clone, Debug)]
struct StageStreams {
    delay: Streams,
    loss: Streams,
    duplicate: Streams,
    reorder: Streams,
    corrupt: Streams,
    cut: Streams,
}

impl StageStreams {
    const fn new(seed: u64) -> Self {
        Self {
            delay: Streams::new(seed, Purpose::Delay),
            loss: Streams::new(seed, Purpose::Loss),
            duplicate: Streams::new(seed, Purpose::Duplicate),
            reorder: Streams::new(seed, Purpose::Reorder),
            corrupt: Streams::new(seed, Purpose::Corrupt),
            cut: Streams::new(seed, Purpose::Cut),
        }
    }
}

impl Network {
    pub(crate) fn new(seed: u64) -> Self {
        let mut network = Self {
            config: NetworkConfig::default(),
            profiles: Vec::new(),
            zones: Vec::new(),
            zone_names: Vec::new(),
            zone_links: Vec::new(),
            links: Default::default(),
            cuts: Cuts::default(),
            bursts: Bursts::default(),
            last_arrival: Default::default(),
            streams: StageStreams::new(seed),
            seed,
            counters: Counters::default(),
        };
        network.configure(NetworkConfig::default());
        network
    }

    /// Replaces the settings. Datagrams under way keep their verdicts.
    pub(crate) fn configure(&mut self, config: NetworkConfig) {
        self.profiles = vec![Profile::new(&config.link)];
        self.zone_links.clear();
        self.links.clear();
        for exception in &config.zones {
            let (from, to) = (self.zone_number(&exception.from), self.zone_number(&exception.to));
            self.zone_links.push((from, to, self.profiles.len()));
            self.profiles.push(Profile::new(&exception.link));
        }
        for exception in &config.links {
            self.links.insert((exception.from.0, exception.to.0), self.profiles.len());
            self.profiles.push(Profile::new(&exception.link));
        }
        self.config = config;
    }

    pub(crate) const fn config(&self) -> &NetworkConfig {
        &self.config
    }

    pub(crate) const fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(crate) const fn counters_mut(&mut self) -> &mut Counters {
        &mut self.counters
    }

    /// Adds the next process, in the order of the indices.
    pub(crate) fn add_node(&mut self, zone: &str) {
        let zone = self.zone_number(zone);
        self.zones.push(zone);
    }

    fn zone_number(&mut self, zone: &str) -> u32 {
        let position = self.zone_names.iter().position(|name| name == zone).unwrap_or_else(|| {
            self.zone_names.push(zone.to_owned());
            self.zone_names.len() - 1
        });
        u32::try_from(position).expect("fewer zones than processes")
    }

    fn in_zone(&self, zone: &str) -> Vec<Index> {
        let number = self.zone_names.iter().position(|name| name == zone);
        let is_in = |&(_, number_of): &(u32, &u32)| Some(*number_of as usize) == number;
        (0..).zip(&self.zones).filter(is_in).map(|(index, _)| Index(index)).collect()
    }

    fn profile(&self, from: Index, to: Index) -> usize {
        if self.profiles.len() == 1 {
            return 0;
        }
        if let Some(profile) = self.links.get(&(from.0, to.0)) {
            return *profile;
        }
        let zones = (self.zones[from.get()], self.zones[to.get()]);
        let rule = self.zone_links.iter().find(|(a, b, _)| (*a, *b) == zones);
        rule.map_or(0, |(_, _, profile)| *profile)
    }

    /// Gives a verdict on a datagram of `len` bytes.
    pub(crate) fn send(&mut self, now: Time, from: Index, to: Option<Index>, len: usize) -> Verdict {
        self.counters.sent += 1;
        self.counters.sent_bytes += len as u64;
        self.verdict(now, from, to, len)
    }

    /// Gives a verdict on one more copy of a datagram to a group.
    pub(crate) fn fan_out(&mut self, now: Time, from: Index, to: Index, len: usize) -> Verdict {
        self.counters.fanned_out += 1;
        self.verdict(now, from, Some(to), len)
    }

    /// Counts a datagram from which the filter has removed all messages.
    pub(crate) const fn filtered(&mut self, len: usize) {
        self.counters.sent += 1;
        self.counters.sent_bytes += len as u64;
        self.counters.count_drop(DropReason::Filtered);
    }

    fn verdict(&mut self, now: Time, from: Index, to: Option<Index>, len: usize) -> Verdict {
        let verdict = to.map_or(Verdict::Drop(DropReason::Unreachable), |to| self.judge(now, from, to, len));
        match verdict {
            Verdict::Drop(reason) => self.counters.count_drop(reason),
            Verdict::Carry { again, damage, .. } => {
                self.counters.duplicated += u64::from(again.is_some());
                self.counters.damaged += u64::from(damage.is_some());
            }
        }
        verdict
    }

    fn judge(&mut self, now: Time, from: Index, to: Index, len: usize) -> Verdict {
        let number = self.profile(from, to);
        let profile = self.profiles[number];
        let sender = from.get();
        if len > profile.mtu {
            return Verdict::Drop(DropReason::Mtu);
        }
        let mut extra = 0;
        if self.cuts.any() {
            match self.cuts.judge(now, from, to, self.streams.cut.of(sender)) {
                cut::Passage::Blocked => return Verdict::Drop(DropReason::Cut),
                cut::Passage::Open { extra_delay } => extra = extra_delay,
            }
        }
        if profile.loses() && self.bursts.loses(&profile, from, to, self.streams.loss.of(sender)) {
            return Verdict::Drop(DropReason::Loss);
        }
        let damage = (profile.corrupt_ppm > 0)
            .then(|| Damage::draw(profile.corrupt_ppm, self.streams.corrupt.of(sender)))
            .flatten();
        let again =
            profile.duplicate_ppm > 0 && self.streams.duplicate.of(sender).chance(profile.duplicate_ppm);
        let delay = extra + self.delay(now, &profile, from, to);
        let again = again.then(|| extra + self.delay(now, &profile, from, to));
        Verdict::Carry { delay, again, damage }
    }

    fn delay(&mut self, now: Time, profile: &Profile, from: Index, to: Index) -> u64 {
        let mut delay = delay::draw(profile, self.streams.delay.of(from.get()));
        if profile.pair_offset > 0 {
            delay += delay::pair_offset(self.seed, profile.pair_offset, from, to);
        }
        if profile.reorder_ppm > 0 && self.streams.reorder.of(from.get()).chance(profile.reorder_ppm) {
            self.counters.reordered += 1;
            return delay + profile.reorder_by;
        }
        if profile.fifo { self.in_order(now, delay, from, to) } else { delay }
    }

    /// The delay with which a datagram arrives after the previous one of its link.
    fn in_order(&mut self, now: Time, delay: u64, from: Index, to: Index) -> u64 {
        let arrival = now.as_nanos() + delay;
        let last = self.last_arrival.entry((from.0, to.0), arrival);
        *last = arrival.max(*last + 1);
        *last - now.as_nanos()
    }

    /// The verdict of the cuts made since a datagram was sent, when it arrives.
    pub(crate) fn arrival(&mut self, now: Time, sent: Time, from: Index, to: Index) -> Arrival {
        if self.cuts.any() { self.cuts.arrival(now, sent, from, to) } else { Arrival::Passes }
    }

    pub(crate) fn cut(&mut self, now: Time, cut: &Cut, in_flight: InFlight) -> CutId {
        let nodes = self.zones.len();
        let zone = match cut {
            Cut::Zone { zone } => self.in_zone(zone),
            Cut::Split { .. }
            | Cut::Isolate { .. }
            | Cut::OneWay { .. }
            | Cut::Pair { .. }
            | Cut::Bridge { .. }
            | Cut::Egress { .. }
            | Cut::Ingress { .. } => Vec::new(),
        };
        self.cuts.make(now, cut, &zone, nodes, in_flight)
    }

    pub(crate) fn flap(&mut self, id: CutId, flap: Flap) {
        self.cuts.flap(id, flap);
    }

    pub(crate) fn gray(&mut self, id: CutId, gray: Gray) {
        self.cuts.gray(id, gray);
    }

    /// Removes a cut. Returns false if there was no such cut.
    pub(crate) fn heal(&mut self, id: CutId) -> bool {
        self.cuts.heal(id)
    }

    pub(crate) fn cut_ids(&self) -> Vec<CutId> {
        self.cuts.ids()
    }

    /// The number of datagrams that each cut of the run has blocked or delayed.
    pub(crate) fn cut_hits(&self) -> impl Iterator<Item = (CutId, u64)> {
        self.cuts.hits()
    }

    /// Whether no present cut affects datagrams from `from` to `to`.
    pub(crate) fn untouched(&self, from: Index, to: Index) -> bool {
        self.cuts.untouched(from, to)
    }

    /// Whether a datagram sent now would pass all cuts. Gray cuts count as open.
    pub(crate) fn connected(&self, now: Time, from: Index, to: Index) -> bool {
        self.cuts.connected(now, from, to)
    }

    /// The shortest time that a datagram from `from` to `to` can take.
    pub(crate) fn delay_min(&self, from: Index, to: Index) -> Duration {
        Duration::from_nanos(self.profiles[self.profile(from, to)].delay_min)
    }
}

/// The verdict of the network on a datagram that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The datagram is dropped at once.
    Dropped(DropReason),
    /// The datagram is for a group: there is one copy for each other process.
    Group {
        /// The number of copies under way, duplicates included. Each may still be lost when it arrives.
        carried: u32,
        /// The number of copies that were dropped at once.
        dropped: u32,
    },
    /// The datagram is under way. It may still be lost when it arrives.
    Carried {
        /// The true time at which the first copy arrives.
        arrives: Time,
        /// The number of copies under way.
        copies: u8,
        /// Whether the bytes or the destination were changed.
        damaged: bool,
    },
}

/// The verdict on a datagram when it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    Passes,
    Lost,
    /// The datagram waits until this cut is healed.
    Held(CutId),
}
