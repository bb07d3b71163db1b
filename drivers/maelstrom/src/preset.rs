//! The settings that a node can run with. All nodes of a test get the same.

use std::time::Duration;

use bruit_core::{
    BroadcastConfig, Config, MembershipConfig,
    broadcast::{FirstPhase, Repair},
};

/// A named configuration for Maelstrom's network: links that are slow (100 ms), reliable but for cuts, and counted by
/// the message, not by the byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Preset {
    /// Each value straight to every node: the least delay.
    Latency,
    /// Values gathered for a second, then straight to every node: the fewest messages.
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

/// One failure detector for all presets, slow and cheap: a round trip takes 200 ms, and nodes do not crash.
///
/// What it gossips about is over soon, so gossip may be quick: it is silent while there is no news.
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

/// A value goes to all 24 others in one message each, together with what its node takes within 80 ms: one in seven
/// then shares its messages, for 80 ms more. Measured over 40 seeds: 11.4 to 12.4 messages an operation, at most 575 ms.
const fn latency() -> BroadcastConfig {
    BroadcastConfig { batch: ms(80), ..gathered() }
}

/// The same, but a node speaks at most once a second, so that two of three values share their messages. Measured over
/// 40 seeds: 5.5 to 5.9 messages an operation, median below 1 s, at most 1.5 s. A tree needs as many here, and takes
/// longer where several nodes speak within the time that a message travels.
const fn bandwidth() -> BroadcastConfig {
    BroadcastConfig { batch: ms(1_000), ..gathered() }
}

/// What both have in common. What a cut took is asked for every second, of one other node: so a value that is known
/// to one node alone when a cut heals is known to all within ten seconds, which is what a test waits before its last
/// reads; asking every two seconds is not enough. No payload is dropped by age.
const fn gathered() -> BroadcastConfig {
    BroadcastConfig {
        first: FirstPhase::Multicast { group: None },
        repair: Repair::Pull { fanout: 1, period: ms(1_000) },
        request_delay: ms(400),
        request_timeout: ms(500),
        // Longer than any node is silent under load: the comparison of marks is for what pulls do not find.
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
