//! Fault plans that are drawn from a seed. In each plan some kinds of fault are off entirely and the others have different
//! rates (swarm testing), so that plans differ in kind and not only in degree.
//!
//! A plan is data. It has a safety phase, in which no check may fail under its faults. Then everything is healed, except that
//! some members stay down. A liveness phase follows, in which the cluster must recover within the bounds of its
//! configuration.

mod draw;
mod preset;
pub mod trial;
mod workload;

use core::time::Duration;

use bruit_core::{BroadcastConfig, Config};
use serde::{Deserialize, Serialize};

use crate::base::Index;
use crate::kernel::{Applied, Memory, Op, Release};
use crate::network::{Delay, Link, NetworkConfig};

pub use preset::{BroadcastPreset, Preset};

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Datagrams are lost independently of each other.
    Loss,
    /// Datagrams are lost in bursts.
    Bursts,
    /// Datagrams arrive twice.
    Duplicates,
    /// Datagrams are held back, so that others overtake them.
    Reordering,
    /// Datagrams are damaged.
    Damage,
    /// The network is cut into groups.
    Split,
    /// Some members are cut off from all others.
    Isolation,
    /// Datagrams are blocked in one direction.
    OneWay,
    /// Two groups cannot reach each other; the other members reach both.
    Bridge,
    /// A cut comes and goes.
    Flapping,
    /// Some members lose many datagrams, and the others are delayed.
    Gray,
    /// Members crash, and restart with their disk or stay down.
    Crashes,
    /// Members crash, and restart without memory or with an old disk.
    Amnesia,
    /// Members are paused for a while.
    Pauses,
    /// Clocks run fast or slow.
    Clocks,
    /// Ticks are delivered late.
    LateTicks,
    /// Members move to other addresses.
    Moves,
    /// A second process with the id of a member is started.
    Twins,
}

impl Kind {
    /// All kinds, in the order in which plans draw them.
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

    /// The name of the kind, as plans write it.
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

/// A fault plan: the cluster, its faults and its broadcasts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The seed of the run.
    pub seed: u64,
    /// The number of members that start.
    pub nodes: u32,
    /// The configuration of the members.
    pub preset: Preset,
    /// The settings of their broadcasts.
    pub broadcast: BroadcastConfig,
    /// The number of zones, which the members belong to by turns; 1 for none.
    pub zones: u32,
    /// The kinds of fault in the plan.
    pub kinds: Vec<Kind>,
    /// The settings of the network in the safety phase.
    pub network: NetworkConfig,
    /// The length of the safety phase.
    #[serde(with = "crate::base::span")]
    pub safety: Duration,
    /// The members that are down at the end of the safety phase and stay down.
    #[serde(with = "crate::base::names::group")]
    pub stay_down: Vec<Index>,
    /// The operations of the safety phase: faults and broadcasts.
    pub acts: Vec<Act>,
}

/// An operation with its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// The time since the start of the run.
    #[serde(with = "crate::base::span")]
    pub at: Duration,
    /// The operation.
    #[serde(flatten)]
    pub op: Op,
}

/// The delay of all links in every plan: 1 to 10 ms.
pub const DELAY: Delay = Delay::Uniform { min: Duration::from_millis(1), max: Duration::from_millis(10) };

impl Plan {
    /// The configuration of the members.
    #[must_use]
    pub fn config(&self) -> Config {
        Config { broadcast: self.broadcast.clone(), ..self.preset.config("sim") }
    }

    /// The zone of a member; empty if there are no zones.
    #[must_use]
    pub fn zone(&self, node: Index) -> String {
        if self.zones > 1 { format!("zone-{}", node.0 % self.zones) } else { String::new() }
    }

    /// Draws the plan of a seed.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        draw::plan(seed)
    }

    /// The bytes of all payloads that the members broadcast.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let bytes = |(bytes, count): (u32, u32)| {
            u64::from(bytes).max(crate::kernel::payload::STAMP_BYTES as u64) * u64::from(count)
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

    /// The operations that end the safety phase: they undo everything that the plan did.
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

    /// The kinds of fault in the plan that had no effect (check CS9).
    #[must_use]
    pub fn idle_kinds(&self, applied: &Applied) -> Vec<Kind> {
        self.kinds.iter().copied().filter(|kind| !self.had_effect(*kind, applied)).collect()
    }

    fn had_effect(&self, kind: Kind, applied: &Applied) -> bool {
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

    /// The number of datagrams that the cuts of one kind have affected. Cuts are numbered in the order in which they are made.
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

/// The length and the number of the payloads of a broadcast operation.
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
    fn a_serialized_plan_parses_to_itself_and_is_valid() {
        for seed in 0..200 {
            let plan = Plan::draw(seed);
            let text = serde_json::to_string(&plan).expect("a plan can be serialized");
            assert_eq!(serde_json::from_str::<Plan>(&text).expect("and parsed"), plan);
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
    fn plans_differ_in_kind() {
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
