//! Scenarios: the operations on a cluster, and the conditions that must then become true.
//!
//! A [`Scenario`] is plain data: it can be built in code or deserialized from any format of `serde`. Reading TOML files and
//! the built-in scenarios need the feature `toml`, which the `bruit-sim` command turns on.
//!
#![cfg_attr(feature = "toml", doc = "```")]
#![cfg_attr(not(feature = "toml"), doc = "```ignore")]
//! let text = r#"
//! name = "one crash"
//! about = "All members notice a crash."
//! nodes = 5
//! for = "60s"
//!
//! [[step]]
//! at = "10s"
//! op = "crash"
//! node = "n3"
//!
//! [[expect]]
//! after = "10s"
//! within = "20s"
//! that = { not-alive = "n3" }
//! "#;
//! let scenario = bruit_sim::scenario::Scenario::parse(text)?;
//! assert_eq!(scenario.nodes, 5);
//! # Ok::<(), bruit_sim::scenario::ScenarioError>(())
//! ```

mod run;

use core::fmt;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::names::print_group;
use crate::base::{Index, MILLION, span};
use crate::faults::{Act, BroadcastPreset, Preset};
use crate::kernel::Op;
use crate::network::{Delay, Link, Loss, NetworkConfig};

pub use run::run;

/// The greatest number of members that a scenario may start.
pub const NODES_MAX: u32 = 100_000;
/// The greatest length of a scenario.
pub const LASTS_MAX: Duration = Duration::from_secs(24 * 3_600);

/// The scenarios that come with the simulator, by name.
#[cfg(feature = "toml")]
pub const BUILT_IN: [(&str, &str); 8] = [
    ("tour", include_str!("../scenarios/tour.toml")),
    ("partition-heals", include_str!("../scenarios/partition-heals.toml")),
    ("rolling-restart", include_str!("../scenarios/rolling-restart.toml")),
    ("lossy", include_str!("../scenarios/lossy.toml")),
    ("broadcast-merge", include_str!("../scenarios/broadcast-merge.toml")),
    ("one-way", include_str!("../scenarios/one-way.toml")),
    ("rapid-flipflop", include_str!("../scenarios/rapid-flipflop.toml")),
    ("rapid-loss80", include_str!("../scenarios/rapid-loss80.toml")),
];

/// A scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The name of the scenario.
    pub name: String,
    /// One sentence about the scenario.
    pub about: String,
    /// The number of members that start, from 1 to 100 000. All join through the first.
    pub nodes: u32,
    /// The seed that is used unless the command line gives another.
    #[serde(default = "first_seed")]
    pub seed: u64,
    /// The configuration of the members.
    #[serde(default)]
    pub preset: Preset,
    /// The settings of broadcasts; those of `preset` by default.
    #[serde(default)]
    pub broadcast: BroadcastPreset,
    /// The length of the run; at most a day.
    #[serde(rename = "for", with = "crate::base::span")]
    pub lasts: Duration,
    /// The settings of the network at the start.
    #[serde(default)]
    pub network: NetworkConfig,
    /// The ids of checks to leave out, because the scenario breaks their assumptions.
    #[serde(default)]
    pub without: Vec<String>,
    /// The members that the scenario harms. Verdicts about them are not counted as false.
    #[serde(default, with = "crate::base::names::group")]
    pub harmed: Vec<Index>,
    /// How often members that are neither harmed nor crashed may be called Down during the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub false_downs_max: Option<u64>,
    /// The operations, with their times.
    #[serde(default, rename = "step")]
    pub steps: Vec<Act>,
    /// The conditions that must become true.
    #[serde(default, rename = "expect")]
    pub expectations: Vec<Expectation>,
}

const fn first_seed() -> u64 {
    1
}

/// A condition that must become true within a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// The time from which the condition is evaluated.
    #[serde(with = "crate::base::span")]
    pub after: Duration,
    /// The time within which it must become true after that.
    #[serde(with = "crate::base::span")]
    pub within: Duration,
    /// The condition.
    pub that: Condition,
}

/// A condition on the views of all members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Condition {
    /// Every running member holds exactly the running members alive.
    AllKnowAll,
    /// No running member holds these members alive or suspected.
    NotAlive(#[serde(with = "crate::base::names::group")] Vec<Index>),
    /// Every running member holds these members alive.
    HeldAlive(#[serde(with = "crate::base::names::group")] Vec<Index>),
    /// Each of these members holds exactly the running ones among them alive.
    Closed(#[serde(with = "crate::base::names::group")] Vec<Index>),
    /// Every running member has messages with these payloads, and perhaps others.
    AllHave(Vec<String>),
    /// Each of these members has messages with exactly these payloads, in any order.
    Have {
        /// The members.
        #[serde(with = "crate::base::names::group")]
        nodes: Vec<Index>,
        /// The payloads.
        texts: Vec<String>,
    },
    /// All running members have the same messages, in any order.
    SameHistory,
}

impl Condition {
    /// The members that the condition names.
    fn subjects(&self) -> Vec<Index> {
        match self {
            Self::NotAlive(nodes)
            | Self::HeldAlive(nodes)
            | Self::Closed(nodes)
            | Self::Have { nodes, .. } => nodes.clone(),
            Self::AllKnowAll | Self::AllHave(_) | Self::SameHistory => Vec::new(),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllKnowAll => f.write_str("all members know all"),
            Self::NotAlive(nodes) => write!(f, "no member holds {} alive", print_group(nodes)),
            Self::HeldAlive(nodes) => write!(f, "all members hold {} alive", print_group(nodes)),
            Self::AllHave(texts) => write!(f, "all members have {}", texts.join(", ")),
            Self::Have { nodes, texts } => {
                write!(f, "{} have exactly {}", print_group(nodes), texts.join(", "))
            }
            Self::SameHistory => f.write_str("all members have the same messages"),
            Self::Closed(nodes) => write!(f, "{} hold each other alive and no others", print_group(nodes)),
        }
    }
}

/// The reason for which a scenario cannot be run: the key, its value and the limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioError(String);

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.trim_end())
    }
}

impl core::error::Error for ScenarioError {}

fn limit<T>(key: &str, value: impl fmt::Display, limit: impl fmt::Display) -> Result<T, ScenarioError> {
    Err(ScenarioError(format!("`{key}` is {value}, and must be {limit}")))
}

impl Scenario {
    /// Reads a scenario from TOML and validates it.
    ///
    /// # Errors
    /// A key is unknown or missing, or a value is beyond its limit.
    #[cfg(feature = "toml")]
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let scenario: Self = toml::from_str(text).map_err(|error| ScenarioError(error.to_string()))?;
        scenario.validate()?;
        Ok(scenario)
    }

    /// Compares every value with its limit.
    ///
    /// # Errors
    /// A value is beyond its limit.
    pub fn validate(&self) -> Result<(), ScenarioError> {
        if self.nodes == 0 || self.nodes > NODES_MAX {
            return limit("nodes", self.nodes, format_args!("1 to {NODES_MAX}"));
        }
        let span = span::print;
        if self.lasts > LASTS_MAX {
            return limit("for", span(self.lasts), format_args!("at most {}", span(LASTS_MAX)));
        }
        self.network_links().try_for_each(validate_link)?;
        for (number, step) in (1..).zip(&self.steps) {
            if step.at > self.lasts {
                return limit(
                    &format!("step {number}: at"),
                    span(step.at),
                    format_args!("at most {}", span(self.lasts)),
                );
            }
            self.validate_nodes(&format!("step {number}"), step.op.subjects())?;
        }
        self.validate_nodes("harmed", self.harmed.clone())?;
        let links = self.network.links.iter().flat_map(|pair| [pair.from, pair.to]);
        self.validate_nodes("network.links", links.collect())?;
        for (number, expectation) in (1..).zip(&self.expectations) {
            let end = expectation.after + expectation.within;
            if end > self.lasts {
                let key = format!("expect {number}: after + within");
                return limit(&key, span(end), format_args!("at most `for`, {}", span(self.lasts)));
            }
            self.validate_nodes(&format!("expect {number}"), expectation.that.subjects())?;
        }
        Ok(())
    }

    fn network_links(&self) -> impl Iterator<Item = &Link> {
        let stepped = self.steps.iter().filter_map(|step| {
            if let Op::Network { network } = &step.op { Some(&network.link) } else { None }
        });
        let network = &self.network;
        let zones = network.zones.iter().map(|zone| &zone.link);
        let links = network.links.iter().map(|pair| &pair.link);
        core::iter::once(&network.link).chain(zones).chain(links).chain(stepped)
    }

    fn validate_nodes(&self, key: &str, named: Vec<Index>) -> Result<(), ScenarioError> {
        let born: u64 = self.steps.iter().map(|step| u64::from(step.op.births())).sum();
        let nodes = u64::from(self.nodes) + born;
        match named.into_iter().find(|node| u64::from(node.0) >= nodes) {
            Some(node) => limit(key, node, format_args!("n1 to n{nodes}")),
            None => Ok(()),
        }
    }
}

fn validate_link(link: &Link) -> Result<(), ScenarioError> {
    let loss = match link.loss {
        Loss::None => 0,
        Loss::Independent { ppm } => ppm,
        Loss::Bursts { ppm, mean_burst } if ppm >= MILLION || mean_burst == 0 => {
            let value = format_args!("{ppm} ppm in bursts of {mean_burst}").to_string();
            return limit("link.loss.bursts", value, "below 1000000 ppm, in bursts of at least 1");
        }
        Loss::Bursts { ppm, .. } => ppm,
    };
    let shares = [
        ("link.loss", loss),
        ("link.duplicate_ppm", link.duplicate_ppm),
        ("link.corrupt_ppm", link.corrupt_ppm),
        ("link.reorder.ppm", link.reorder.ppm),
    ];
    for (key, ppm) in shares {
        if ppm > MILLION {
            return limit(key, ppm, format_args!("at most {MILLION}"));
        }
    }
    match link.delay {
        Delay::Uniform { min, max } if min > max => limit(
            "link.delay.uniform.min",
            span::print(min),
            format_args!("at most max, {}", span::print(max)),
        ),
        Delay::Uniform { .. } | Delay::Constant(_) | Delay::Exponential { .. } => Ok(()),
    }
}

#[cfg(all(test, feature = "toml"))]
mod tests {
    use super::*;

    const HEAD: &str = "name = 'x'\nabout = 'y'\nfor = '10s'\n";

    #[track_caller]
    fn refused(text: &str, part: &str) {
        let error =
            Scenario::parse(&format!("{HEAD}{text}")).expect_err("the scenario is invalid").to_string();
        assert!(error.contains(part), "{error}");
    }

    #[test]
    fn errors_name_the_key_the_value_and_the_limit() {
        refused("nodes = 0", "`nodes` is 0, and must be 1 to 100000");
        refused("nodes = 3\ncolour = 1", "unknown field `colour`");
        refused(
            "nodes = 3\n[[step]]\nat = '11s'\nop = 'heal-all'",
            "`step 1: at` is 11s, and must be at most 10s",
        );
        refused(
            "nodes = 3\n[[step]]\nat = '1s'\nop = 'crash'\nnode = 'n4'",
            "`step 1` is n4, and must be n1 to n3",
        );
        refused(
            "nodes = 16\n[[step]]\nat = '1s'\nop = 'cut'\ncut = { isolate = { nodes = 'n2, n999' } }",
            "`step 1` is n999, and must be n1 to n16",
        );
        refused("nodes = 3\nharmed = 'n4'", "`harmed` is n4, and must be n1 to n3");
        refused(
            "nodes = 3\n[[expect]]\nafter = '1s'\nwithin = '1s'\nthat = { not-alive = 'n7' }",
            "`expect 1` is n7, and must be n1 to n3",
        );
        refused("nodes = 3\n[network.link]\nduplicate_ppm = 2000000", "`link.duplicate_ppm` is 2000000");
        refused(
            "nodes = 3\n[network.link]\ndelay = { uniform = { min = '2ms', max = '1ms' } }",
            "`link.delay.uniform.min` is 2ms, and must be at most max, 1ms",
        );
        refused(
            "nodes = 3\n[network.link]\ndelay = { constant = '5 parsec' }",
            "`5 parsec` is not a duration",
        );
    }

    #[test]
    fn the_built_in_scenarios_are_valid() {
        for (name, text) in BUILT_IN {
            let scenario = Scenario::parse(text);
            assert!(scenario.is_ok(), "{name}: {scenario:?}");
        }
    }
}
