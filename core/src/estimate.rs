//! The figures that a configuration leads to in a group of a given size, computed before anything is started.
//!
//! Sources: SWIM §3–4 for the first detection and the spread, Lifeguard §IV for the suspicion time.

use core::time::Duration;

use crate::config::Config;
use crate::logarithm::{log2_milli, log10_ceil, log10_milli};
use crate::time::nanos;
use crate::wire::{CRC_BYTES, HEADER_BYTES, PROBE_BYTES};

/// The expected figures of a cluster, without loss, and without faults except one crash.
///
/// They help to choose settings; they are not bounds. The simulator computes the bounds that hold under faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Estimate {
    /// The mean time from a crash to the first suspicion: e/(e−1) periods (SWIM §4.3). With `ring_probes` it is about as long,
    /// and its greatest values are shorter.
    pub first_suspicion: Duration,
    /// The longest time between two probes of a given member by one observer: 2n − 1 periods, times `ring_probes` + 1.
    pub probed_within: Duration,
    /// Lifeguard's least suspicion time: α · max(1, log₁₀ n) periods.
    pub suspicion_min: Duration,
    /// Lifeguard's greatest suspicion time: β times the least.
    pub suspicion_max: Duration,
    /// The time from one member to all: the gossip rounds of a push with the configured fan-out.
    pub spread: Duration,
    /// The mean time from a crash until all members know: first suspicion, least suspicion time and spread.
    pub known_by_all: Duration,
    /// How many times one member sends one update.
    pub transmissions: u32,
    /// The payload bytes that a settled member sends in a second: its own ping, and its answer to another member's.
    pub settled_bytes_per_second: u64,
}

impl Estimate {
    /// Computes the figures of `config` in a group of `members`.
    #[must_use]
    pub fn new(config: &Config, members: u32) -> Self {
        let settings = &config.membership;
        let interval = settings.probe_interval;
        let suspicion_min = suspicion_min(config, members);
        let first_suspicion = interval * 1_582 / 1_000;
        // Push with fan-out f multiplies the informed by f + 1 a round until half know; ln n more reach the rest.
        let growth = log2_milli(u32::from(settings.gossip_fanout) + 1);
        let rounds_milli = log2_milli(members) * 1_000 / growth
            + log2_milli(members) * 693 / 1_000 / u32::from(settings.gossip_fanout);
        let spread = settings.gossip_interval * rounds_milli.div_ceil(1_000);
        let ping = (HEADER_BYTES + PROBE_BYTES + CRC_BYTES) as u64;
        Self {
            first_suspicion,
            probed_within: interval
                .saturating_mul(members.saturating_mul(2).saturating_sub(1))
                .saturating_mul(u32::from(settings.ring_probes) + 1),
            suspicion_min,
            suspicion_max: suspicion_min * settings.suspicion_max_mult.into(),
            spread,
            known_by_all: first_suspicion + suspicion_min + spread,
            transmissions: retransmissions(config, members),
            settled_bytes_per_second: 2 * ping * 1_000_000_000 / nanos(interval).max(1),
        }
    }
}

/// Lifeguard's least suspicion time: α · max(1, log₁₀ n) · `probe_interval`.
pub(crate) fn suspicion_min(config: &Config, members: u32) -> Duration {
    let settings = &config.membership;
    settings.probe_interval * u32::from(settings.suspicion_mult) * log10_milli(members).max(1_000) / 1_000
}

/// How many times a node sends one update: λ · ⌈log₁₀(n + 1)⌉, from 1 to `RETRANSMIT_MAX`.
pub(crate) fn retransmissions(config: &Config, members: u32) -> u32 {
    let times = u32::from(config.membership.retransmit_mult) * log10_ceil(members.saturating_add(1));
    times.clamp(1, crate::limits::RETRANSMIT_MAX.into())
}
