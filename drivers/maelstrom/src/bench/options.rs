//! The options of a run.

use std::time::Duration;

use serde::Serialize;

use crate::overrides::Override;
use crate::preset::Preset;

/// The requests that clients send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// Broadcasts of values and reads, in equal numbers; then one read at each node.
    Broadcast,
    /// Texts that the node must send back.
    Echo,
    /// Ids that must be unique.
    UniqueIds,
}

/// The neighbours that clients name to the nodes. bruit chooses its own neighbours and ignores them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topology {
    /// A square grid; neighbours are adjacent in a row or a column.
    Grid,
    /// A line.
    Line,
    /// A tree in which each node has two children.
    Tree2,
    /// A tree in which each node has three children.
    Tree3,
    /// A tree in which each node has four children.
    Tree4,
    /// Every node is a neighbour of every other.
    Total,
}

/// The distribution of the time that a message between two nodes takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LatencyDist {
    /// Always the mean.
    Constant,
    /// Uniform from 0 to twice the mean.
    Uniform,
}

/// The faults during the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nemesis {
    /// Cuts and heals the network in turn.
    Partition,
}

/// The share of operations that must succeed, in parts per million.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Availability(pub u32);

impl std::str::FromStr for Availability {
    type Err = String;

    /// Reads `total`, or a fraction such as `0.99` with at most six decimal places.
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

/// The options of one run: Maelstrom's options with the same names, and a seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Options {
    /// The requests that clients send.
    pub workload: Workload,
    /// The number of nodes, and of clients.
    pub node_count: usize,
    /// The mean time that a message between two nodes takes.
    pub latency: Duration,
    /// The distribution of that time.
    pub latency_dist: LatencyDist,
    /// The number of operations a second, of all clients together; 1 to 1 000 000.
    pub rate: u32,
    /// The time for which clients send operations.
    pub time_limit: Duration,
    /// The neighbours that are named to the nodes.
    pub topology: Topology,
    /// The faults during the run, if there are any.
    pub nemesis: Option<Nemesis>,
    /// The mean time between two acts of the nemesis, which are cuts and healings.
    pub nemesis_interval: Duration,
    /// The share of operations that must succeed, if it matters.
    pub availability: Option<Availability>,
    /// The preset of the nodes' settings.
    #[serde(serialize_with = "preset_name")]
    pub preset: Preset,
    /// Settings that differ from the preset.
    pub overrides: Vec<Override>,
    /// True to count the datagrams by the kinds of message that they carry.
    pub kinds: bool,
    /// True to keep the lines that the nodes log.
    pub log: bool,
    /// The seed. Equal options and seeds give equal reports on any machine.
    pub seed: u64,
}

impl Default for Options {
    /// The run for which this package has goals: 25 nodes, 100 ms, 100 operations a second for 20 s.
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

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
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
