//! What a cluster shares: one [`Config`], built from a preset and checked once, by `Node::new`.
//!
//! Three presets are ours, tuned by sweeps: [`Config::local`], [`Config::lan`], [`Config::wan`]. Two copy
//! hashicorp/memberlist exactly, so that its published behaviour can be compared:
//! [`Config::memberlist_lan`] and [`Config::memberlist_wan`].

use alloc::string::String;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::ConfigError;
use crate::id::hash64;
use crate::limits::{CLUSTER_BYTES_MAX, CREDIT_MAX, MTU_MAX, MTU_MIN, SUSPICION_AUTHORS_MAX};

mod broadcast;

pub use broadcast::{BroadcastConfig, FirstPhase, History, Order, PersistSeen, Ratio, Repair, Rounds};

/// The settings of a node. All fields are public; a preset gives the values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The cluster's name. It has no default: two clusters of one name that meet become one (rule B13).
    pub cluster: String,
    /// Longest datagram in bytes, 1 200 to 65 507. Default 1 400 (memberlist's; leaves room for tunnels).
    pub mtu: u16,
    /// The failure detector and what spreads its findings.
    pub membership: MembershipConfig,
    /// Messages for everybody.
    pub broadcast: BroadcastConfig,
}

/// Settings of membership. Durations at the level of nanoseconds are honoured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MembershipConfig {
    /// The protocol period: one member is probed in each (SWIM §3.1). Stretched by the health multiplier.
    pub probe_interval: Duration,
    /// How long to wait for a direct answer before helpers are asked. At most `probe_interval`.
    pub probe_timeout: Duration,
    /// Helpers asked to probe in our place: SWIM's k.
    pub indirect_probes: u8,
    /// Further direct pings in a period whose first ping was not answered. Ours: a lossy link then costs a
    /// datagram rather than a suspicion. 0 in the memberlist presets.
    pub probe_retries: u8,
    /// Lifeguard's α: the least suspicion time is α · log₁₀(n) · `probe_interval`.
    pub suspicion_mult: u8,
    /// Lifeguard's β: the greatest suspicion time is β times the least. 1 switches LHA-Suspicion off.
    pub suspicion_max_mult: u8,
    /// Lifeguard's K: after so many independent confirmations the suspicion time is the least one.
    pub suspicion_confirmations: u8,
    /// Lifeguard's S: the health multiplier lies between 1 and this. 1 switches LHA-Probe off.
    pub health_max: u8,
    /// Lifeguard's buddy system: a ping to a suspected member carries the suspicion.
    pub buddy: bool,
    /// Ours: before its own verdict of Down an observer pings the suspect once more itself, within the last
    /// `probe_timeout` of the suspicion. Off in the memberlist presets.
    pub last_word: bool,
    /// Ours: silence from every member for so many periods means that the fault may be here, and postpones
    /// verdicts (rule B6). 0 switches it off.
    pub isolation_periods: u8,
    /// A wake-up later than this after its deadline shifts the pending verdicts (rule B7).
    pub late_slack: Duration,
    /// Updates that wait are sent to `gossip_fanout` random members at this interval, beside riding on pings.
    pub gossip_interval: Duration,
    /// Members that receive one gossip round.
    pub gossip_fanout: u8,
    /// λ: an update is sent λ · ⌈log₁₀(n + 1)⌉ times by each node that learns it.
    pub retransmit_mult: u8,
    /// Least time between two reconciliations that this node starts; the pace while they find something.
    pub reconcile_interval: Duration,
    /// Bytes of records that we let a partner of a reconciliation send at once; at most 64 KiB.
    pub reconcile_credit: u32,
    /// One random Down member and one silent seed are contacted at this interval, for ever (rule B8).
    pub heal_interval: Duration,
    /// Until the first contact the seeds are tried at this interval.
    pub join_interval: Duration,
    /// **Shared.** Down and Left are remembered this long; half of it they spread (rule B3).
    pub forget_after: Duration,
    /// **Shared.** Members kept; unknown ones beyond it are ignored and counted.
    pub members_max: u32,
    /// Terminal entries kept; Left go before Down, oldest first (rule B11).
    pub tombstones_max: u32,
    /// A leave is acknowledged when so many members said so, or all there are.
    pub leave_acks: u8,
    /// Whether the application is asked about new members.
    pub admission: AdmissionPolicy,
    /// Protocol versions spoken, least and greatest. A member outside is held but not shown, probed or judged.
    pub protocol: (u8, u8),
}

/// Whether new members are shown at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdmissionPolicy {
    /// Show every member.
    Open,
    /// Say [`Notice::AdmissionAsked`](crate::Notice::AdmissionAsked), and show it when accepted, or when this
    /// time has passed without an answer.
    Ask(Duration),
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

impl Config {
    const fn of(cluster: String, membership: MembershipConfig) -> Self {
        Self { cluster, mtu: 1_400, membership, broadcast: BroadcastConfig::tree() }
    }

    /// For one data centre, links of 0.1 to 30 ms. Sources: SWIM and Lifeguard for the shape; the numbers
    /// from sweeps at n = 128 over 0 to 25 % loss.
    #[must_use]
    pub fn lan(cluster: impl Into<String>) -> Self {
        Self::of(cluster.into(), MembershipConfig::lan())
    }

    /// For one machine: loopback, containers, tests.
    #[must_use]
    pub fn local(cluster: impl Into<String>) -> Self {
        let membership = MembershipConfig {
            probe_timeout: ms(100),
            probe_interval: ms(500),
            gossip_interval: ms(50),
            reconcile_interval: ms(50),
            join_interval: ms(250),
            heal_interval: ms(3_000),
            ..MembershipConfig::lan()
        };
        let broadcast =
            BroadcastConfig { request_delay: ms(100), request_timeout: ms(150), ..BroadcastConfig::tree() };
        Self { broadcast, ..Self::of(cluster.into(), membership) }
    }

    /// Across continents: links of up to 500 ms.
    #[must_use]
    pub fn wan(cluster: impl Into<String>) -> Self {
        let membership = MembershipConfig {
            probe_timeout: ms(1_500),
            probe_interval: ms(4_000),
            gossip_interval: ms(400),
            reconcile_interval: ms(300),
            join_interval: ms(3_000),
            heal_interval: ms(30_000),
            ..MembershipConfig::lan()
        };
        Self::of(cluster.into(), membership)
    }

    /// memberlist's `DefaultLANConfig`, with its push-pull interval as the healing one and none of our
    /// additions to the failure detector.
    #[must_use]
    pub fn memberlist_lan(cluster: impl Into<String>) -> Self {
        Self::of(cluster.into(), MembershipConfig::memberlist())
    }

    /// memberlist's `DefaultWANConfig`, likewise.
    #[must_use]
    pub fn memberlist_wan(cluster: impl Into<String>) -> Self {
        let membership = MembershipConfig {
            probe_interval: ms(5_000),
            probe_timeout: ms(3_000),
            suspicion_mult: 6,
            suspicion_confirmations: 4,
            gossip_interval: ms(500),
            gossip_fanout: 4,
            heal_interval: ms(60_000),
            ..MembershipConfig::memberlist()
        };
        Self::of(cluster.into(), membership)
    }

    /// Bytes of messages that fit in one datagram: `mtu` less the envelope, with room for a seal.
    #[must_use]
    pub const fn payload_max(&self) -> usize {
        self.mtu as usize - crate::wire::ENVELOPE_BYTES_MAX
    }

    /// Checks every range and every pair of settings that depend on each other.
    ///
    /// # Errors
    /// The first disagreement, with values and limits.
    pub fn validate(&self) -> Result<(), ConfigError> {
        length("cluster", self.cluster.len(), 1, CLUSTER_BYTES_MAX)?;
        range("mtu", self.mtu.into(), MTU_MIN.into(), MTU_MAX.into())?;
        self.membership.validate()?;
        self.broadcast.validate()
    }

    /// One byte of hash for each setting that all members must share, in the order of [`SHARED_FIELDS`]; a
    /// setting that this version does not have is zero. Nothing is negotiated: a difference is a notice.
    #[must_use]
    pub(crate) fn shared_digest(&self) -> u64 {
        let byte = |value: u64| hash64(&value.to_le_bytes()).to_le_bytes()[0];
        let nanos = |duration| crate::time::nanos(duration);
        let mut digest = [0; 8];
        digest[2] = byte(nanos(self.membership.forget_after));
        digest[5] = byte(self.broadcast.payload_bytes_max.into());
        digest[6] = byte(self.membership.members_max.into());
        u64::from_le_bytes(digest)
    }
}

/// Names of the settings behind each byte of the shared digest (rule G4).
pub(crate) const SHARED_FIELDS: [&str; 8] =
    ["lease_max", "drift", "forget_after", "grace", "quota", "payload_bytes_max", "members_max", "electors"];

impl MembershipConfig {
    const fn lan() -> Self {
        Self {
            probe_interval: ms(900),
            probe_timeout: ms(300),
            indirect_probes: 3,
            probe_retries: 2,
            suspicion_mult: 2,
            suspicion_max_mult: 6,
            suspicion_confirmations: 2,
            health_max: 8,
            buddy: true,
            last_word: true,
            isolation_periods: 4,
            late_slack: ms(200),
            gossip_interval: ms(200),
            gossip_fanout: 3,
            retransmit_mult: 4,
            reconcile_interval: ms(100),
            reconcile_credit: 64 * 1024,
            heal_interval: ms(10_000),
            join_interval: ms(500),
            forget_after: Duration::from_secs(24 * 3_600),
            members_max: 20_000,
            tombstones_max: 8_192,
            leave_acks: 3,
            admission: AdmissionPolicy::Open,
            protocol: (1, 1),
        }
    }

    const fn memberlist() -> Self {
        Self {
            probe_interval: ms(1_000),
            probe_timeout: ms(500),
            probe_retries: 0,
            suspicion_mult: 4,
            suspicion_confirmations: 2,
            last_word: false,
            isolation_periods: 0,
            heal_interval: ms(30_000),
            ..Self::lan()
        }
    }

    fn validate(&self) -> Result<(), ConfigError> {
        let times = [
            ("membership.probe_interval", self.probe_interval),
            ("membership.probe_timeout", self.probe_timeout),
            ("membership.late_slack", self.late_slack),
            ("membership.gossip_interval", self.gossip_interval),
            ("membership.reconcile_interval", self.reconcile_interval),
            ("membership.heal_interval", self.heal_interval),
            ("membership.join_interval", self.join_interval),
        ];
        for (field, value) in times {
            at_most(field, value, "one day", Duration::from_secs(24 * 3_600))?;
            at_most("one millisecond", ms(1), field, value)?;
        }
        at_most(
            "membership.probe_timeout",
            self.probe_timeout,
            "membership.probe_interval",
            self.probe_interval,
        )?;
        at_most(
            "membership.heal_interval",
            self.heal_interval,
            "half of membership.forget_after",
            self.forget_after / 2,
        )?;
        at_most(
            "membership.forget_after",
            self.forget_after,
            "40 days",
            Duration::from_secs(40 * 24 * 3_600),
        )?;
        let authors = SUSPICION_AUTHORS_MAX as u64;
        let numbers = [
            ("membership.indirect_probes", u64::from(self.indirect_probes), 0, 32),
            ("membership.probe_retries", self.probe_retries.into(), 0, 8),
            ("membership.suspicion_mult", self.suspicion_mult.into(), 1, 100),
            ("membership.suspicion_max_mult", self.suspicion_max_mult.into(), 1, 100),
            ("membership.suspicion_confirmations", self.suspicion_confirmations.into(), 0, authors - 1),
            ("membership.health_max", self.health_max.into(), 1, 64),
            ("membership.gossip_fanout", self.gossip_fanout.into(), 1, 32),
            ("membership.retransmit_mult", self.retransmit_mult.into(), 1, 16),
            ("membership.reconcile_credit", self.reconcile_credit.into(), 1_024, CREDIT_MAX as u64),
            ("membership.members_max", self.members_max.into(), 1, 1 << 20),
            ("membership.tombstones_max", self.tombstones_max.into(), 1, 1 << 20),
            ("membership.protocol.0", self.protocol.0.into(), 1, self.protocol.1.into()),
        ];
        numbers.iter().try_for_each(|&(field, value, min, max)| range(field, value, min, max))
    }
}

fn range(field: &'static str, value: u64, min: u64, max: u64) -> Result<(), ConfigError> {
    if value < min || value > max { Err(ConfigError::OutOfRange { field, value, min, max }) } else { Ok(()) }
}

fn at_most(
    field: &'static str,
    value: Duration,
    limit_field: &'static str,
    limit: Duration,
) -> Result<(), ConfigError> {
    if value > limit { Err(ConfigError::Exceeds { field, value, limit_field, limit }) } else { Ok(()) }
}

pub(crate) fn length(field: &'static str, len: usize, min: usize, max: usize) -> Result<(), ConfigError> {
    if len < min || len > max { Err(ConfigError::Length { field, len, min, max }) } else { Ok(()) }
}
