//! Fault plans that are drawn from a seed. In each plan some kinds of fault are off entirely and the others have different
//! rates (swarm testing), so that plans differ in kind and not only in degree.
//!
//! A plan is data. It has a safety phase, in which no check may fail under its faults. Then everything is healed, except that
//! some members stay down. A liveness phase follows, in which the cluster must recover within the bounds of its
//! configuration.

pub mod coverage;
mod draw;
mod effect;
mod kind;
mod preset;
mod settings;
pub mod trial;
mod wide;
mod workload;

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use bruit_core::{Admission, BroadcastConfig, Config};
use serde::{Deserialize, Serialize};

use crate::base::Index;
use crate::kernel::{Memory, Op, Release};
use crate::network::{Delay, Link, NetworkConfig};
use crate::process::Epochs;
use crate::process::host::INBOX_BYTES;

pub use kind::Kind;
pub use preset::{BroadcastPreset, Preset};
pub use settings::{Field, Setting};

/// The ways to draw a plan from a seed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Plans {
    /// Faults of the network, of processes and of clocks, with the settings of a preset. The plan of a seed never changes,
    /// so that seeds that failed once can be run again.
    Basic,
    /// A part of the basic plan, faults of all kinds, and settings of membership over their whole range.
    #[default]
    Wide,
}

impl FromStr for Plans {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "basic" => Ok(Self::Basic),
            "wide" => Ok(Self::Wide),
            _ => Err(format!("`{text}` is not a kind of plans; there are basic and wide")),
        }
    }
}

impl fmt::Display for Plans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic => "basic",
            Self::Wide => "wide",
        })
    }
}

impl Plans {
    /// Draws the plan of a seed.
    #[must_use]
    pub fn draw(self, seed: u64) -> Plan {
        match self {
            Self::Basic => draw::basic(seed),
            Self::Wide => wide::plan(seed),
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
    /// The settings that differ from those of the preset.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<Setting>,
    /// Where processes take the epochs of their boots from.
    #[serde(default)]
    pub epochs: Epochs,
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
        let mut config = Config { broadcast: self.broadcast.clone(), ..self.preset.config("sim") };
        self.settings.iter().for_each(|setting| setting.apply(&mut config));
        config
    }

    /// The zone of a member; empty if there are no zones.
    #[must_use]
    pub fn zone(&self, node: Index) -> String {
        if self.zones > 1 { format!("zone-{}", node.0 % self.zones) } else { String::new() }
    }

    /// Draws the basic plan of a seed. [`Plans::Wide`] draws the other one.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        Plans::Basic.draw(seed)
    }

    /// The number of processes that the plan starts, twins and copies included.
    #[must_use]
    pub fn processes(&self) -> u32 {
        self.nodes + self.acts.iter().map(|act| act.op.births()).sum::<u32>()
    }

    /// Compares what the plan says with its limits, for plans that were not drawn.
    ///
    /// # Errors
    /// A process that is named is never started, or the configuration is invalid.
    pub fn validate(&self) -> Result<(), String> {
        let processes = self.processes();
        if self.nodes == 0 {
            return Err("`nodes` is 0, and must be at least 1".into());
        }
        for (number, act) in (1..).zip(&self.acts) {
            if let Some(node) = act.op.subjects().into_iter().find(|node| node.0 >= processes) {
                return Err(format!(
                    "act {number} ({}) names {node}, and must name n1 to n{processes}",
                    act.op.name()
                ));
            }
        }
        if let Some(node) = self.stay_down.iter().find(|node| node.0 >= processes) {
            return Err(format!("`stay_down` is {node}, and must be n1 to n{processes}"));
        }
        self.config().validate().map_err(|error| error.to_string())
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
        ops.extend(touched(with_disk).into_iter().map(|node| Op::Disk { node, fails: false }));
        let bytes = INBOX_BYTES;
        ops.extend(touched(with_inbox).into_iter().map(|node| Op::Inbox { node, bytes }));
        ops.extend(self.admissions());
        let back = touched(crashed).into_iter().filter(|node| !self.stay_down.contains(node));
        ops.extend(back.map(|node| Op::Restart { node, memory: Memory::Disk }));
        ops.extend(self.introductions());
        ops
    }

    /// A process that was started alone is introduced once more: the member that was told of it may have left, or may have
    /// forgotten it in a restart.
    fn introductions(&self) -> impl Iterator<Item = Op> {
        let alone = self.acts.iter().filter_map(|act| {
            let Op::Spawn { through: Some(node), .. } = act.op else { return None };
            (node.0 >= self.nodes).then_some(node)
        });
        alone.map(|peer| Op::AddPeer { node: Index(0), peer })
    }

    /// If operators were asked, they admit everybody in the end.
    fn admissions(&self) -> Vec<Op> {
        let operators = self.acts.iter().filter_map(|act| {
            if let Op::Answers { node, .. } | Op::Admit { node, .. } = act.op { Some(node) } else { None }
        });
        let mut operators: Vec<Index> = operators.collect();
        // The copy of a process refuses whom that process has refused.
        if !operators.is_empty() {
            operators.extend((self.nodes..self.processes()).map(Index));
        }
        operators.sort_unstable();
        operators.dedup();
        let all = (0..self.processes()).map(Index);
        let accepts = |node: Index| {
            let others = all.clone().filter(move |peer| *peer != node);
            others.map(move |peer| Op::Admit { node, peer, admission: Admission::Accept })
        };
        operators.into_iter().flat_map(accepts).collect()
    }
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

const fn with_disk(op: &Op) -> Option<Index> {
    if let Op::Disk { node, .. } = op { Some(*node) } else { None }
}

const fn with_inbox(op: &Op) -> Option<Index> {
    if let Op::Inbox { node, .. } = op { Some(*node) } else { None }
}

const fn crashed(op: &Op) -> Option<Index> {
    if let Op::Crash { node } = op { Some(*node) } else { None }
}

#[cfg(test)]
mod tests;
