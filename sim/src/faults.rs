//! A fault plan drawn from a seed, as a swarm: some kinds of fault are off entirely, the others come at odd
//! rates, so that runs differ in kind and not only in degree.
//!
//! A plan is data. It has a safety phase, in which nothing bad may happen under its faults; then everything is
//! healed, all but the members that stay down for good; then a liveness phase, in which good things must happen
//! within bounds that follow from the configuration.

mod draw;
mod workload;

use core::time::Duration;

use bruit_core::{BroadcastConfig, Config};
use serde::{Deserialize, Serialize};

use crate::applied::Applied;
use crate::cluster::Index;
use crate::happening::Memory;
use crate::network::{Delay, Link, NetworkConfig};
use crate::op::{Op, Release};
use crate::preset::Preset;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Independent loss.
    Loss,
    /// Loss in bursts.
    Bursts,
    /// Copies of datagrams.
    Duplicates,
    /// Datagrams held back on purpose.
    Reordering,
    /// Damaged datagrams.
    Damage,
    /// The network falls into groups.
    Split,
    /// Some members are cut off from all.
    Isolation,
    /// What some say does not reach others.
    OneWay,
    /// Two groups meet only in the members between.
    Bridge,
    /// A cut that comes and goes.
    Flapping,
    /// Some members lose much and are slow.
    Gray,
    /// Members crash; they come back with their disk, or stay down.
    Crashes,
    /// Members crash and come back without memory, or with an old disk.
    Amnesia,
    /// Members stand still for a while.
    Pauses,
    /// Clocks run fast or slow.
    Clocks,
    /// Ticks come late.
    LateTicks,
    /// Members change their addresses.
    Moves,
    /// A second process has the identity of a member.
    Twins,
}

impl Kind {
    /// All of them, in the order in which plans draw them.
    pub const ALL: [Self; 18] = [
        Self::Loss,
        Self::Bursts,
        Self::Duplicates,
        Self::Reordering,
        Self::Damage,
        Self::Split,
        Self::Isolation,
        Self::OneWay,
        Self::Bridge,
        Self::Flapping,
        Self::Gray,
        Self::Crashes,
        Self::Amnesia,
        Self::Pauses,
        Self::Clocks,
        Self::LateTicks,
        Self::Moves,
        Self::Twins,
    ];

    /// Its name, as in plans.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Bursts => "bursts",
            Self::Duplicates => "duplicates",
            Self::Reordering => "reordering",
            Self::Damage => "damage",
            Self::Split => "split",
            Self::Isolation => "isolation",
            Self::OneWay => "one-way",
            Self::Bridge => "bridge",
            Self::Flapping => "flapping",
            Self::Gray => "gray",
            Self::Crashes => "crashes",
            Self::Amnesia => "amnesia",
            Self::Pauses => "pauses",
            Self::Clocks => "clocks",
            Self::LateTicks => "late-ticks",
            Self::Moves => "moves",
            Self::Twins => "twins",
        }
    }
}

/// What is done to a cluster, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The seed of everything that the plan leaves open.
    pub seed: u64,
    /// How many members start.
    pub nodes: u32,
    /// Their configuration.
    pub preset: Preset,
    /// How they broadcast.
    pub broadcast: BroadcastConfig,
    /// Zones that the members lie in by turns; none where it is 1.
    pub zones: u32,
    /// The kinds of fault that it contains.
    pub kinds: Vec<Kind>,
    /// The network in the safety phase.
    pub network: NetworkConfig,
    /// How long the safety phase lasts.
    #[serde(with = "crate::span")]
    pub safety: Duration,
    /// Members that are down when the safety phase ends and stay so.
    #[serde(with = "crate::names::group")]
    pub stay_down: Vec<Index>,
    /// The acts of the safety phase: faults and broadcasts.
    pub acts: Vec<Act>,
}

/// An act with its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// Since the start of the run.
    #[serde(with = "crate::span")]
    pub at: Duration,
    /// What.
    #[serde(flatten)]
    pub op: Op,
}

/// The delays of every plan, in all phases: 1 to 10 ms.
pub const DELAY: Delay = Delay::Uniform { min: Duration::from_millis(1), max: Duration::from_millis(10) };

impl Plan {
    /// The configuration of its members.
    #[must_use]
    pub fn config(&self) -> Config {
        Config { broadcast: self.broadcast.clone(), ..self.preset.config("sim") }
    }

    /// The zone of a member; empty where there are none.
    #[must_use]
    pub fn zone(&self, node: Index) -> String {
        if self.zones > 1 { format!("zone-{}", node.0 % self.zones) } else { String::new() }
    }

    /// Draws the plan of a seed.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        draw::plan(seed)
    }

    /// Bytes of all payloads that the members are told to broadcast.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let bytes = |(bytes, count): (u32, u32)| {
            u64::from(bytes).max(crate::workload::STAMP_BYTES as u64) * u64::from(count)
        };
        self.acts.iter().filter_map(|act| broadcast(&act.op)).map(bytes).sum()
    }

    /// The share of datagrams that are lost or damaged at random, in parts per million.
    #[must_use]
    pub const fn loss_ppm(&self) -> u32 {
        let link = &self.network.link;
        let lost = match link.loss {
            crate::network::Loss::None => 0,
            crate::network::Loss::Independent { ppm } | crate::network::Loss::Bursts { ppm, .. } => ppm,
        };
        lost + link.corrupt_ppm
    }

    /// What ends the safety phase: everything that the plan did is undone.
    #[must_use]
    pub fn healing(&self) -> Vec<Op> {
        let mut ops =
            vec![Op::HealAll, Op::Network { network: NetworkConfig::uniform(Link::with_delay(DELAY)) }];
        let touched = |is_it: fn(&Op) -> Option<Index>| {
            let mut nodes: Vec<Index> = self.acts.iter().filter_map(|act| is_it(&act.op)).collect();
            nodes.sort_unstable();
            nodes.dedup();
            nodes
        };
        ops.extend(touched(paused).into_iter().map(|node| Op::Resume { node, release: Release::InboxFirst }));
        ops.extend(touched(skewed).into_iter().map(|node| Op::ClockRate { node, ppm: 0 }));
        ops.extend(touched(late).into_iter().map(|node| Op::LateTicks { node, by: Duration::ZERO }));
        let back = touched(crashed).into_iter().filter(|node| !self.stay_down.contains(node));
        ops.extend(back.map(|node| Op::Restart { node, memory: Memory::Disk }));
        ops
    }

    /// The kinds of fault that the plan contains and that never did anything (CS9).
    #[must_use]
    pub fn idle_kinds(&self, applied: &Applied) -> Vec<Kind> {
        self.kinds.iter().copied().filter(|kind| !self.has_bitten(*kind, applied)).collect()
    }

    fn has_bitten(&self, kind: Kind, applied: &Applied) -> bool {
        let count = match kind {
            Kind::Loss | Kind::Bursts => applied.lost,
            Kind::Duplicates => applied.duplicated,
            Kind::Reordering => applied.reordered,
            Kind::Damage => applied.damaged,
            Kind::Crashes => applied.crashes,
            Kind::Amnesia => applied.restarts_without_memory + applied.restarts_with_stale_disk,
            Kind::Pauses => applied.pauses,
            Kind::Clocks => applied.clock_changes,
            Kind::LateTicks => applied.late_ticks,
            Kind::Moves => applied.moves,
            Kind::Twins => applied.clones,
            Kind::Split | Kind::Isolation | Kind::OneWay | Kind::Bridge | Kind::Flapping | Kind::Gray => {
                self.cut_hits(kind, applied)
            }
        };
        count > 0
    }

    /// Datagrams touched by the cuts of one kind. Cuts are numbered in the order in which they are made.
    fn cut_hits(&self, kind: Kind, applied: &Applied) -> u64 {
        let cuts = self.acts.iter().filter_map(|act| cut_kind(&act.op));
        cuts.zip(&applied.cuts).filter(|(of, _)| *of == kind).map(|(_, (_, hits))| hits).sum()
    }
}

const fn cut_kind(op: &Op) -> Option<Kind> {
    use crate::network::Cut;
    let Op::Cut { cut, flap, gray, .. } = op else { return None };
    Some(match cut {
        _ if flap.is_some() => Kind::Flapping,
        _ if gray.is_some() => Kind::Gray,
        Cut::Split { .. } | Cut::Zone { .. } => Kind::Split,
        Cut::Isolate { .. } => Kind::Isolation,
        Cut::OneWay { .. } | Cut::Egress { .. } | Cut::Ingress { .. } => Kind::OneWay,
        Cut::Pair { .. } | Cut::Bridge { .. } => Kind::Bridge,
    })
}

/// How long and how many.
const fn broadcast(op: &Op) -> Option<(u32, u32)> {
    if let Op::Broadcast { bytes, count, .. } = op { Some((*bytes, *count)) } else { None }
}

const fn paused(op: &Op) -> Option<Index> {
    if let Op::Pause { node } = op { Some(*node) } else { None }
}

const fn skewed(op: &Op) -> Option<Index> {
    if let Op::ClockRate { node, .. } = op { Some(*node) } else { None }
}

const fn late(op: &Op) -> Option<Index> {
    if let Op::LateTicks { node, .. } = op { Some(*node) } else { None }
}

const fn crashed(op: &Op) -> Option<Index> {
    if let Op::Crash { node } = op { Some(*node) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bruit_core::broadcast::{FirstPhase, Order, PersistSeen, Repair};

    #[test]
    fn a_plan_is_data() {
        for seed in 0..200 {
            let plan = Plan::draw(seed);
            let text = serde_json::to_string(&plan).expect("a plan can be written down");
            assert_eq!(serde_json::from_str::<Plan>(&text).expect("and read"), plan);
            assert!(plan.acts.is_sorted_by_key(|act| act.at));
            assert!(plan.acts.iter().all(|act| act.at < plan.safety), "seed {seed}");
            assert_eq!(plan.config().validate(), Ok(()), "seed {seed}");
        }
    }

    fn broadcasts(plan: &Plan) -> impl Iterator<Item = (u32, u32)> {
        plan.acts.iter().filter_map(|act| broadcast(&act.op))
    }

    type Feature = (&'static str, fn(&Plan) -> bool);

    #[test]
    fn plans_are_a_swarm() {
        let plans: Vec<Plan> = (0..400).map(Plan::draw).collect();
        for kind in Kind::ALL {
            let with = plans.iter().filter(|plan| plan.kinds.contains(&kind)).count();
            assert!((10..350).contains(&with), "{} of 400 plans have {}", with, kind.name());
        }
        let counted: [Feature; 8] = [
            ("no broadcast", |plan| broadcasts(plan).count() == 0),
            ("a tree", |plan| matches!(plan.broadcast.first, FirstPhase::Tree { .. })),
            ("a group", |plan| matches!(plan.broadcast.first, FirstPhase::Multicast { group: Some(_) })),
            ("a pull", |plan| matches!(plan.broadcast.repair, Repair::Pull { .. })),
            ("an order", |plan| plan.broadcast.order == Order::Origin),
            ("a disk", |plan| plan.broadcast.persist_seen == PersistSeen::BeforeDelivery),
            ("a burst", |plan| broadcasts(plan).any(|(_, count)| count > 10)),
            ("fragments", |plan| broadcasts(plan).any(|(bytes, _)| bytes > 10_000)),
        ];
        for (what, has) in counted {
            let with = plans.iter().filter(|plan| has(plan)).count();
            assert!((20..350).contains(&with), "{with} of 400 plans have {what}");
        }
        assert!(plans.iter().any(|plan| plan.kinds.len() <= 2));
        assert!(plans.iter().any(|plan| plan.kinds.len() >= 9));
    }
}
