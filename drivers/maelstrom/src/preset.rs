//! The presets: the settings that nodes can run with. All nodes of a test get the same preset.

use std::time::Duration;

use bruit_core::{
    BroadcastConfig, Config, MembershipConfig,
    broadcast::{FirstPhase, Repair},
};

/// A named configuration for Maelstrom's network, whose links are slow (100 ms) and lose messages only during a
/// partition. Maelstrom counts messages, not bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Preset {
    /// Sends each value directly to every node, for the least delay.
    Latency,
    /// Gathers values for a second and sends them directly to every node, for the fewest messages.
    Bandwidth,
    /// The core's `bimodal`: sends directly to every node, and repairs in rounds of anti-entropy.
    Bimodal,
    /// The core's `push_ack`: each node passes a value on to three others, which acknowledge it.
    PushAck,
    /// The core's `pull`: sends a value only to nodes that ask for it.
    Pull,
    /// The core's `tree`: sends along a tree that the nodes learn, and announces values beside it.
    Tree,
}

impl Preset {
    /// All presets, in the order of the table.
    pub const ALL: [Self; 6] =
        [Self::Latency, Self::Bandwidth, Self::Bimodal, Self::PushAck, Self::Pull, Self::Tree];

    /// The preset's name on the command line.
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

    /// The preset's settings.
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

/// The failure detector of all presets. It is slow and cheap, because a round trip takes 200 ms and nodes do not crash.
///
/// Its gossip is quick, because membership changes are few and gossip is silent while there are none.
fn membership() -> MembershipConfig {
    MembershipConfig {
        probe_interval: ms(5_000),
        probe_timeout: ms(1_000),
        gossip_interval: ms(200),
        reconcile_interval: ms(500),
        heal_interval: ms(2_000),
        join_interval: ms(1_000),
        ..Config::lan("maelstrom").membership
    }
}

/// The settings of `latency`. A value goes to all 24 others in one message each, together with the values that its node
/// takes within 80 ms. About one value in seven then shares its messages with another, for 80 ms more delay. Measured
/// over 40 seeds: 11.4 to 12.4 messages an operation, at most 575 ms.
const fn latency() -> BroadcastConfig {
    BroadcastConfig { batch: ms(80), ..gathered() }
}

/// The settings of `bandwidth`. A node sends values at most once a second, so that two of three values share their
/// messages. Measured over 40 seeds: 5.5 to 5.9 messages an operation, median below 1 s, at most 1.5 s. A tree needs as
/// many messages here, and takes longer when several nodes send within the time that a message travels.
const fn bandwidth() -> BroadcastConfig {
    BroadcastConfig { batch: ms(1_000), ..gathered() }
}

/// The settings that `latency` and `bandwidth` share. Every second a node asks one other node for the values that it
/// missed during a partition. Then a value that only one node has when a partition heals is known to all within ten
/// seconds, which is the time that a test waits before its last reads; asking every two seconds is not enough. No
/// payload is dropped by age.
const fn gathered() -> BroadcastConfig {
    BroadcastConfig {
        first: FirstPhase::Multicast { group: None },
        repair: Repair::Pull { fanout: 1, period: ms(1_000) },
        request_delay: ms(400),
        request_timeout: ms(500),
        // Longer than any node is silent under load. Comparing marks is only for the values that pulls do not find.
        quiet_after: ms(5_000),
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
