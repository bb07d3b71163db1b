//! Settings of the members that a plan changes: each stays within the range that the core accepts.

use core::fmt;
use core::time::Duration;

use bruit_core::{AdmissionPolicy, Config};
use serde::{Deserialize, Serialize};

use crate::base::{Purpose, Random};

/// A setting with the value that a plan gives it. Times are in milliseconds; 0 and 1 stand for off and on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// The setting.
    pub field: Field,
    /// Its value.
    pub value: u64,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.field.name(), self.value, self.field.unit())
    }
}

macro_rules! fields {
    ($($field:ident = $name:literal, $low:literal..=$high:literal $unit:literal,
       |$config:ident, $value:ident| $apply:expr;)*) => {
        /// A setting of the configuration, by its path there.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Field {
            $(#[doc = concat!("`", $name, "`, drawn from ", stringify!($low), " to ", stringify!($high), ".")]
              #[serde(rename = $name)]
              $field,)*
        }

        impl Field {
            /// All settings that plans change, in a fixed order.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$field),*];

            /// The path of the setting in the configuration.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$field => $name,)* }
            }

            const fn unit(self) -> &'static str {
                match self { $(Self::$field => $unit,)* }
            }

            const fn range(self) -> (u64, u64) {
                match self { $(Self::$field => ($low, $high),)* }
            }
        }

        impl Setting {
            /// Gives the setting its value in a configuration. A value beyond the type of the setting is cut off.
            pub fn apply(self, config: &mut Config) {
                match self.field {
                    $(Field::$field => {
                        let ($config, $value) = (config, self.value);
                        $apply;
                    })*
                }
            }
        }
    };
}

fields! {
    Mtu = "mtu", 1200..=9000 "", |config, value| config.mtu = word(value);
    ProbeInterval = "membership.probe_interval", 300..=1_500 "ms",
        |config, value| config.membership.probe_interval = Duration::from_millis(value);
    ProbeTimeout = "membership.probe_timeout", 60..=300 "ms",
        |config, value| config.membership.probe_timeout = Duration::from_millis(value);
    IndirectProbes = "membership.indirect_probes", 0..=6 "",
        |config, value| config.membership.indirect_probes = byte(value);
    ProbeRetries = "membership.probe_retries", 0..=6 "",
        |config, value| config.membership.probe_retries = byte(value);
    RingProbes = "membership.ring_probes", 0..=6 "",
        |config, value| config.membership.ring_probes = byte(value);
    SuspicionMult = "membership.suspicion_mult", 1..=5 "",
        |config, value| config.membership.suspicion_mult = byte(value);
    SuspicionMaxMult = "membership.suspicion_max_mult", 1..=8 "",
        |config, value| config.membership.suspicion_max_mult = byte(value);
    SuspicionConfirmations = "membership.suspicion_confirmations", 0..=4 "",
        |config, value| config.membership.suspicion_confirmations = byte(value);
    HealthMax = "membership.health_max", 1..=10 "",
        |config, value| config.membership.health_max = byte(value);
    Buddy = "membership.buddy", 0..=1 "", |config, value| config.membership.buddy = value > 0;
    IsolationPeriods = "membership.isolation_periods", 0..=8 "",
        |config, value| config.membership.isolation_periods = byte(value);
    ProbationReturns = "membership.probation_returns", 0..=3 "",
        |config, value| config.membership.probation_returns = byte(value);
    LateSlack = "membership.late_slack", 20..=2_000 "ms",
        |config, value| config.membership.late_slack = Duration::from_millis(value);
    GossipInterval = "membership.gossip_interval", 50..=500 "ms",
        |config, value| config.membership.gossip_interval = Duration::from_millis(value);
    GossipFanout = "membership.gossip_fanout", 1..=6 "",
        |config, value| config.membership.gossip_fanout = byte(value);
    RetransmitMult = "membership.retransmit_mult", 1..=6 "",
        |config, value| config.membership.retransmit_mult = byte(value);
    ReconcileInterval = "membership.reconcile_interval", 20..=500 "ms",
        |config, value| config.membership.reconcile_interval = Duration::from_millis(value);
    ReconcileCredit = "membership.reconcile_credit", 1_024..=65_536 "",
        |config, value| config.membership.reconcile_credit = long(value);
    HealInterval = "membership.heal_interval", 1_000..=20_000 "ms",
        |config, value| config.membership.heal_interval = Duration::from_millis(value);
    JoinInterval = "membership.join_interval", 100..=2_000 "ms",
        |config, value| config.membership.join_interval = Duration::from_millis(value);
    ForgetAfter = "membership.forget_after", 60_000..=120_000 "ms",
        |config, value| config.membership.forget_after = Duration::from_millis(value);
    // The least value is replaced by the number of members that the plan needs.
    MembersMax = "membership.members_max", 0..=2 "",
        |config, value| config.membership.members_max = long(value);
    TombstonesMax = "membership.tombstones_max", 1..=6 "",
        |config, value| config.membership.tombstones_max = long(value);
    LeaveAcks = "membership.leave_acks", 1..=6 "",
        |config, value| config.membership.leave_acks = byte(value);
    Admission = "membership.admission", 500..=5_000 "ms",
        |config, value| config.membership.admission = AdmissionPolicy::Ask(Duration::from_millis(value));
    CacheBytesMax = "broadcast.cache_bytes_max", 262_144..=524_288 "",
        |config, value| {
            let broadcast = &mut config.broadcast;
            broadcast.cache_bytes_max = long(value);
            broadcast.pending_bytes_max = broadcast.pending_bytes_max.min(long(value) / 2);
        };
    PendingBytesMax = "broadcast.pending_bytes_max", 1_000..=100_000 "",
        |config, value| config.broadcast.pending_bytes_max = long(value);
    RateBytesMax = "broadcast.rate_bytes_max", 65_536..=262_144 "",
        |config, value| config.broadcast.rate_bytes_max = long(value);
    LostPeers = "broadcast.lost_peers", 1..=8 "",
        |config, value| config.broadcast.lost_peers = byte(value);
    RequestTimeout = "broadcast.request_timeout", 60..=1_000 "ms",
        |config, value| config.broadcast.request_timeout = Duration::from_millis(value);
    AckTimeout = "broadcast.ack_timeout", 60..=1_000 "ms",
        |config, value| config.broadcast.ack_timeout = Duration::from_millis(value);
}

fn byte(value: u64) -> u8 {
    u8::try_from(value).unwrap_or(u8::MAX)
}

fn word(value: u64) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}

fn long(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// The greatest number of settings that a plan changes.
const SETTINGS_MAX: usize = 8;

/// Draws the settings of a plan whose cluster has at most this many members at a time. Half of the plans have none.
/// `membership.admission` is part of a kind of fault and not drawn here.
pub(super) fn draw(seed: u64, members: u32) -> Vec<Setting> {
    let mut random = Random::of(seed, Purpose::Settings, 0);
    if random.chance(500_000) {
        return Vec::new();
    }
    let mut fields: Vec<Field> = Field::ALL.into_iter().filter(|field| *field != Field::Admission).collect();
    random.shuffle(&mut fields);
    fields.truncate(1 + random.position(SETTINGS_MAX));
    fields.sort_unstable();
    let mut draw = |field: Field| {
        let (low, high) = field.range();
        let least = if field == Field::MembersMax { u64::from(members) } else { 0 };
        Setting { field, value: least + random.between(low, high) }
    };
    fields.into_iter().map(&mut draw).collect()
}

/// Draws the time after which a member is admitted without an answer.
pub(super) fn admission(random: &mut Random) -> Setting {
    let (low, high) = Field::Admission.range();
    Setting { field: Field::Admission, value: random.between(low, high) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::{BroadcastPreset, Preset};

    #[test]
    fn every_setting_is_valid_over_its_whole_range_in_every_preset() {
        for preset in [Preset::Local, Preset::Lan] {
            for field in Field::ALL {
                let (low, high) = field.range();
                for value in [low, high] {
                    let setting = Setting { field, value };
                    let mut config = preset.config("x");
                    BroadcastPreset::Tree.apply(&mut config);
                    // The plan adds the number of members that it needs.
                    Setting { value: value + u64::from(field == Field::MembersMax), ..setting }
                        .apply(&mut config);
                    assert_eq!(config.validate(), Ok(()), "{setting} in {preset:?}");
                }
            }
        }
    }

    #[test]
    fn a_setting_changes_the_configuration() {
        for field in Field::ALL {
            let differs = |value| {
                let mut config = Preset::Lan.config("x");
                Setting { field, value }.apply(&mut config);
                config != Preset::Lan.config("x")
            };
            let (low, high) = field.range();
            assert!(differs(low) || differs(high), "{}", field.name());
        }
    }
}
