//! The settings that a node can run with. All nodes of a test get the same.

use std::time::Duration;

use bruit_core::{BroadcastConfig, Config, FirstPhase, MembershipConfig, Ratio, Repair, Rounds};

/// A named configuration for Maelstrom's network: links that are slow (100 ms), reliable but for cuts, and counted by
/// the message, not by the byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Preset {
    /// Each value straight to every node: the least delay.
    Latency,
    /// Values gathered and sent along a tree: the fewest messages.
    Bandwidth,
    /// The core's `bimodal`: straight to every node, anti-entropy rounds behind it.
    Bimodal,
    /// The core's `push_ack`: on to three others each, with acknowledgements.
    PushAck,
    /// The core's `pull`: nothing unasked.
    Pull,
    /// The core's `tree`: a learnt tree with announcements beside it, nothing gathered.
    Tree,
}

impl Preset {
    /// All, in the order of the table.
    pub const ALL: [Self; 6] =
        [Self::Latency, Self::Bandwidth, Self::Bimodal, Self::PushAck, Self::Pull, Self::Tree];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Bandwidth => "bandwidth",
            Self::Bimodal => "bimodal",
            Self::PushAck => "push-ack",
            Self::Pull => "pull",
            Self::Tree => "tree",
        }
    }

    /// The settings behind it.
    #[must_use]
    pub fn config(self) -> Config {
        let broadcast = match self {
            Self::Latency => latency(),
            Self::Bandwidth => bandwidth(),
            Self::Bimodal => BroadcastConfig::bimodal(),
            Self::PushAck => BroadcastConfig::push_ack(),
            Self::Pull => BroadcastConfig::pull(),
            Self::Tree => BroadcastConfig::tree(),
        };
        Config { membership: membership(), broadcast, ..Config::lan("maelstrom") }
    }
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// One failure detector for all presets, slow and cheap: a round trip takes 200 ms, nodes do not crash, and what a cut
/// took is made up for within the ten seconds that a test waits before its last reads.
fn membership() -> MembershipConfig {
    MembershipConfig {
        probe_interval: ms(3_000),
        probe_timeout: ms(1_000),
        gossip_interval: ms(500),
        reconcile_interval: ms(500),
        heal_interval: ms(2_000),
        join_interval: ms(1_000),
        ..Config::lan("maelstrom").membership
    }
}

const fn latency() -> BroadcastConfig {
    BroadcastConfig { first: FirstPhase::Multicast { group: None }, repair: Repair::None, ..slow_links() }
}

const fn bandwidth() -> BroadcastConfig {
    BroadcastConfig {
        first: FirstPhase::Tree { fanout: 4 },
        batch: ms(120),
        request_delay: ms(600),
        ..slow_links()
    }
}

/// What both have in common: timers that leave room for a round trip of 200 ms, and no payload ever dropped by age.
const fn slow_links() -> BroadcastConfig {
    BroadcastConfig {
        repair: Repair::Rounds(Rounds {
            beta: Ratio { of: 1, out_of: 1_000 },
            fanout_max: 1,
            period: ms(1_000),
            rounds: 1,
            round_window: 8,
            round_bytes_max: 256 << 10,
        }),
        request_delay: ms(400),
        request_timeout: ms(500),
        quiet_after: ms(1_000),
        ..BroadcastConfig::tree()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_valid_and_its_lines_are_short() {
        for preset in Preset::ALL {
            let config = preset.config();
            assert_eq!(config.validate(), Ok(()), "{}", preset.name());
            assert!(config.mtu <= 1_400, "a datagram is a line of less than 2 kB");
        }
    }
}
