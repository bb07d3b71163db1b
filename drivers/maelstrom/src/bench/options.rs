//! What a run is asked for.

use std::time::Duration;

use serde::Serialize;

use crate::overrides::Override;
use crate::preset::Preset;

/// What clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// Values for everybody and reads, half and half; then one read at each node.
    Broadcast,
    /// Something to be said back.
    Echo,
    /// Ids that are never the same.
    UniqueIds,
}

/// The neighbours that clients tell the nodes of. bruit finds its own way and ignores them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topology {
    /// A square with its rows and columns.
    Grid,
    /// One behind the other.
    Line,
    /// A tree with two children each.
    Tree2,
    /// A tree with three children each.
    Tree3,
    /// A tree with four children each.
    Tree4,
    /// Everyone beside everyone.
    Total,
}

/// How long a message between two nodes takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LatencyDist {
    /// The mean, always.
    Constant,
    /// Anything from 0 to twice the mean.
    Uniform,
}

/// What is done to the nodes meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nemesis {
    /// The network is cut and healed in turn.
    Partition,
}

/// How many operations must succeed, as parts per million of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Availability(pub u32);

impl std::str::FromStr for Availability {
    type Err = String;

    /// `total`, or a fraction such as `0.99`, of at most six digits.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is neither `total` nor a fraction from 0 to 1");
        if text == "total" {
            return Ok(Self(1_000_000));
        }
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || whole.len() > 1 || part.len() > 6 || !is_digits(whole) || !is_digits(part) {
            return Err(wrong());
        }
        let millionths = format!("{whole}{part:0<6}").parse().map_err(|_| wrong())?;
        if millionths > 1_000_000 { Err(wrong()) } else { Ok(Self(millionths)) }
    }
}

/// One run: Maelstrom's options of the same names, and a seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Options {
    /// What clients do.
    pub workload: Workload,
    /// Nodes, and as many clients.
    pub node_count: usize,
    /// The mean time that a message between two nodes takes.
    pub latency: Duration,
    /// How that time is spread.
    pub latency_dist: LatencyDist,
    /// Operations a second, by all clients together; 1 to 1 000 000.
    pub rate: u32,
    /// How long clients go on.
    pub time_limit: Duration,
    /// What nodes are told about their neighbours.
    pub topology: Topology,
    /// What is done to the nodes.
    pub nemesis: Option<Nemesis>,
    /// The mean time between two acts of the nemesis.
    pub nemesis_interval: Duration,
    /// How many operations must succeed.
    pub availability: Option<Availability>,
    /// The settings of the nodes.
    #[serde(serialize_with = "preset_name")]
    pub preset: Preset,
    /// Settings that differ from the preset.
    pub overrides: Vec<Override>,
    /// Whether to look into the datagrams and count what they hold.
    pub kinds: bool,
    /// Whether to keep what the nodes log.
    pub log: bool,
    /// Equal options and seeds give equal reports, on any machine.
    pub seed: u64,
}

impl Default for Options {
    /// The run that the goals of this package are about: 25 nodes, 100 ms, 100 operations a second for 20 s.
    fn default() -> Self {
        Self {
            workload: Workload::Broadcast,
            node_count: 25,
            latency: Duration::from_millis(100),
            latency_dist: LatencyDist::Constant,
            rate: 100,
            time_limit: Duration::from_secs(20),
            topology: Topology::Grid,
            nemesis: None,
            nemesis_interval: Duration::from_secs(10),
            availability: None,
            preset: Preset::Latency,
            overrides: Vec::new(),
            kinds: false,
            log: false,
            seed: 1,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn preset_name<S: serde::Serializer>(preset: &Preset, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(preset.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn availability_is_total_or_a_fraction() {
        assert_eq!("total".parse(), Ok(Availability(1_000_000)));
        assert_eq!("1".parse(), Ok(Availability(1_000_000)));
        assert_eq!("0.95".parse(), Ok(Availability(950_000)));
        for text in ["", "all", "1.1", "-1", "0.1234567", "+1", "2", "0,5", ".5"] {
            assert!(text.parse::<Availability>().is_err(), "{text}");
        }
    }
}
