//! The settings of a node: [`Config`], which a preset fills and `Node::new` checks once.
//!
//! Three presets are ours: [`Config::local`], [`Config::lan`] and [`Config::wan`]. Two copy hashicorp/memberlist,
//! so that its published behaviour can be compared: [`Config::memberlist_lan`] and [`Config::memberlist_wan`].
//!
//! Each setting states its values in the presets and the source of the number: a paper, memberlist's default,
//! "measured" (chosen or confirmed by sweeps of the simulator), or "a guess" (reasonable, works in all tests, never
//! varied systematically).

use alloc::string::String;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::ConfigError;
use crate::id::hash64;
use crate::limits::{CLUSTER_BYTES_MAX, CREDIT_MAX, MTU_MAX, MTU_MIN, RETURNS_MAX, SUSPICION_AUTHORS_MAX};

mod broadcast;

pub use broadcast::{BroadcastConfig, FirstPhase, History, Order, PersistSeen, Ratio, Repair, Rounds};

/// The settings of a node. All fields are public, and a preset gives the values.
///
/// Start from a preset and change single fields:
///
/// ```
/// use std::time::Duration;
/// use bruit_core::{Boot, Config, Node, NodeId, Time};
///
/// let mut config = Config::lan("shop");
/// config.membership.forget_after = Duration::from_secs(3_600); // shared: the same on every member
/// config.membership.probe_timeout = Duration::from_secs(2); // longer than `probe_interval`
/// let boot = Boot::new(NodeId::from_name("web-1"), "web-1", "127.0.0.1:7000".parse()?, 1, [7; 32]);
/// let error = Node::new(boot, config, Time::ZERO).unwrap_err();
/// assert!(error.to_string().contains("must not exceed membership.probe_interval"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Members may use different values, except for the settings marked **Shared**. A digest of the shared settings is
/// part of every member's record; a member that differs is reported by
/// [`Notice::ConfigMismatch`](crate::Notice::ConfigMismatch) and stays a member (rule G4). Nothing is negotiated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The name of the cluster, 1 to 64 bytes. A node ignores datagrams of other clusters.
    ///
    /// It has no default, because two clusters of one name that reach each other become one cluster (rule B13).
    /// **All members need the same name**: a member with another name never joins, and the only sign of it is the
    /// counter [`Stats::dropped_other_cluster`](crate::Stats). The name is not a password.
    pub cluster: String,
    /// The longest datagram that this node sends, in bytes without UDP and IP headers: 1 200 to 65 507.
    ///
    /// Default 1 400 in every preset (memberlist's default; leaves room for a tunnel in a path of 1 500). Lower it
    /// to 1 200 where paths are narrower. Raise it on one machine or with jumbo frames. Above the path's limit,
    /// datagrams are fragmented by IP or dropped: small messages then still arrive and large ones do not, which is
    /// hard to diagnose. Members may differ: each receives any size.
    pub mtu: u16,
    /// Failure detection, and the spread of its findings.
    pub membership: MembershipConfig,
    /// Broadcasts to all members.
    pub broadcast: BroadcastConfig,
}

/// The settings of membership: failure detection, gossip, reconciliation, joining and healing.
///
/// `n` is the number of members that are alive or suspected in the local view. Intervals have the resolution of a
/// nanosecond and must lie between 1 ms and one day. "memberlist" stands for both presets that copy it where they
/// agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MembershipConfig {
    /// The protocol period: this node probes one member in each (SWIM §3.1). The health multiplier stretches it
    /// (`health_max`).
    ///
    /// `local` 500 ms, `lan` 850 ms (measured), `wan` 4 s, `memberlist_lan` 1 s, `memberlist_wan` 5 s (its
    /// defaults). The time to detect a failure is proportional to it, and the idle traffic inversely proportional.
    /// Lower it to detect sooner, as far as `probe_timeout` allows. Too low: pauses of a busy host look like
    /// failures. Too high: failures stay unnoticed. Members should agree, because the suspicion time is a multiple
    /// of the observer's own value.
    pub probe_interval: Duration,
    /// How long to wait for the answer to a direct ping before other members are asked to probe, too. At most
    /// `probe_interval`.
    ///
    /// `local` 100 ms, `lan` 300 ms, `wan` 1.5 s, `memberlist_lan` 500 ms, `memberlist_wan` 3 s (its defaults; ours
    /// are guesses). Set it above the slowest round trip that is normal. Too low: every slow answer costs indirect
    /// probes, and then a suspicion. Too high: no time is left in the period for the indirect probes.
    pub probe_timeout: Duration,
    /// How many members are asked to probe a member that has not answered directly: SWIM's k (§3.1). 0 to 32.
    ///
    /// Default 3 in every preset (Lifeguard's and memberlist's value). Raise it when links between single pairs of
    /// members often fail. 0 leaves the decision to one link. High values multiply the traffic when many members
    /// fail together.
    pub indirect_probes: u8,
    /// How many more direct pings are sent in the period of a probe whose first ping was not answered, spaced over
    /// the rest of the period. 0 to 8. This is an addition to SWIM: a lost datagram then costs a datagram and not a
    /// suspicion.
    ///
    /// `local`, `lan` and `wan` 5 (measured), memberlist 0 (it has no such thing). Raise it on links that lose more
    /// than a quarter of the datagrams. 0 makes suspicions frequent on lossy links.
    pub probe_retries: u8,
    /// Of each `ring_probes + 1` probes all but one go to the next living member in the order of ids, so that every member
    /// is watched by one other in nearly every period; the last one goes to the next in the shuffled round (SWIM §4.3). 0
    /// to 15.
    ///
    /// `local`, `lan` and `wan` 3 (measured), memberlist 0 (it has no such thing). At 0 a failure is noticed later when by
    /// chance nobody has the turn of the member that failed. At high values a member whose watcher has failed, too, is
    /// noticed late: one observer comes to a given member at the latest after (2n − 1) · (`ring_probes` + 1) periods.
    pub ring_probes: u8,
    /// Lifeguard's α: a suspect has at least α · max(1, log₁₀ n) · `probe_interval` to refute. 1 to 100.
    ///
    /// `local`, `lan` and `wan` 2 (measured; lower than memberlist's, because retries and the last word prevent
    /// most false suspicions), `memberlist_lan` 4, `memberlist_wan` 6 (its defaults). Raise it if healthy members
    /// are declared Down. 1 leaves a refutation little time in large groups. High values delay each verdict.
    pub suspicion_mult: u8,
    /// Lifeguard's β: a suspicion that nobody confirms lasts β times the least time. 1 to 100; 1 switches
    /// Lifeguard's dynamic suspicion time off.
    ///
    /// Default 6 in every preset (Lifeguard §IV, memberlist's default). Raise it if a slow observer, whose
    /// suspicions nobody shares, declares healthy members Down. High values delay verdicts that one member alone
    /// can reach, and the postponement of rule B6, which lasts as long as the greatest suspicion time.
    pub suspicion_max_mult: u8,
    /// Lifeguard's K: after so many confirmations by other members a suspicion lasts the least time only. 0 to 4; 0
    /// always uses the least time.
    ///
    /// `local`, `lan`, `wan` and `memberlist_lan` 2, `memberlist_wan` 4 (memberlist's α − 2 with its own α;
    /// Lifeguard's paper has 3). Lower it to decide sooner, raise it to need more witnesses. In a group with fewer
    /// than K + 2 members the confirmations cannot come, so the least time applies.
    pub suspicion_confirmations: u8,
    /// Lifeguard's S: the health multiplier, by which a node that misses answers slows down its own probes, lies
    /// between 1 and this. 1 to 64; 1 switches it off.
    ///
    /// Default 8 in every preset (Lifeguard §IV, memberlist's default). At 1 an overloaded node accuses others at
    /// full speed. At high values an overloaded node takes long to detect a real failure: its period is up to
    /// `health_max` times as long.
    pub health_max: u8,
    /// Lifeguard's buddy system: a ping to a member that this node suspects carries the suspicion, so that the
    /// member can refute at once.
    ///
    /// Default `true` in every preset (Lifeguard §IV). It costs some bytes in pings to suspects only; switch it off
    /// only to compare with SWIM.
    pub buddy: bool,
    /// Before it declares a suspect Down, this node pings the suspect itself twice within the last `probe_timeout`,
    /// and it waits for a suspect that it has heard since the suspicion began. This is an addition to Lifeguard
    /// (rule B1): a member whose refutation was lost can then still show that it is alive.
    ///
    /// `local`, `lan` and `wan` `true`, memberlist `false`. Switch it off only to compare: verdicts come about one
    /// `probe_timeout` sooner and are wrong more often.
    pub last_word: bool,
    /// What a Down that another member tells is worth, if it is about a member that this node holds Alive or has only begun
    /// to suspect.
    ///
    /// `local`, `lan` and `wan` [`Hearsay::Doubt`], memberlist [`Hearsay::Believe`]. Choose Believe only to compare.
    /// Members may differ.
    pub hearsay: Hearsay,
    /// If this node hears no member at all for so many `probe_interval`s, it takes itself for isolated and
    /// postpones its verdicts, at the latest until one greatest suspicion time after the last datagram from a
    /// member (rule B6). 0 switches it off.
    ///
    /// `local`, `lan` and `wan` 4 (a guess), memberlist 0 (it has no such thing). 1 or 2 postpone verdicts at every
    /// short silence, above all in small groups. At 0, or at high values, an isolated node declares all others
    /// Down.
    pub isolation_periods: u8,
    /// A member that returns after it was Down is suspected for twice as long before its next verdict, and twice as
    /// long again for each further return, up to the greatest suspicion time. The number of returns is halved after
    /// each time of this length, so that the past is forgotten (flap damping, rule B14). Zero switches it off, at
    /// most one day.
    ///
    /// `local`, `lan` and `wan` 2 min (a guess), memberlist zero (it has no such thing). At zero a link that fails
    /// and recovers makes its member come and go at the pace of the detector. At high values a crash is noticed
    /// late long after the last return.
    pub flap_half_life: Duration,
    /// A member that returns when so many of its returns count already is put on *probation*: the local view goes on showing
    /// it as Down until nobody has suspected it for one greatest suspicion time, doubled for each return that counts, and at
    /// most ten minutes (rule B14). Only the view differs: it is probed, and gets broadcasts, like any member. 0 switches
    /// it off, at most 8.
    ///
    /// `local`, `lan` and `wan` 3 (a guess), memberlist 0 (it has no such thing). At 1 every member that was Down once is
    /// shown late.
    pub probation_returns: u8,
    /// If the driver calls this node later than its next wake-up by more than this, the deadlines of probes and
    /// suspicions move by the delay (rule B7): the answers may wait in the socket's buffer.
    ///
    /// Default 200 ms in every preset (a guess: longer than usual scheduling delays, shorter than a probe's timeout
    /// in `lan`). Much longer: after a pause (a stopped process, a suspended machine) this node suspects healthy
    /// members. Much shorter: ordinary delays postpone real detections.
    pub late_slack: Duration,
    /// Updates are sent to `gossip_fanout` random members at this interval, as long as there are any, in addition
    /// to those that travel on pings and acks.
    ///
    /// `local` 50 ms, `lan` and `memberlist_lan` 200 ms (memberlist's default), `wan` 400 ms, `memberlist_wan` 500
    /// ms. The time until all members know of a change is proportional to it. Too low: more datagrams, each with
    /// less in it. Too high: suspicions end before a refutation has spread.
    pub gossip_interval: Duration,
    /// How many members receive each round of gossip. 1 to 32.
    ///
    /// Default 3 (memberlist's), `memberlist_wan` 4 (its default). Higher values spread sooner, with a slowly
    /// growing benefit, and cost traffic in proportion.
    pub gossip_fanout: u8,
    /// λ: each node that learns an update sends it λ · ⌈log₁₀(n + 1)⌉ times, at most 64 times (SWIM §4.1). 1 to 16.
    ///
    /// Default 4 in every preset (memberlist's). Raise it on very lossy links. At 1 or 2 some members miss an
    /// update and get it later from the reconciliation. High values send the same bytes again and again.
    pub retransmit_mult: u8,
    /// The least time between two reconciliations that this node starts. While they find differences, the next one
    /// follows after this time.
    ///
    /// `local` 50 ms, `wan` 300 ms, all others 100 ms (a guess). Raise it if reconciliations load slow links after
    /// large changes. Too low: several are under way at once and send the same records. Too high: mass joins and
    /// the merging after a partition take longer. It also bounds what this node serves: 64 KiB of records to one
    /// member in each interval.
    pub reconcile_interval: Duration,
    /// How many bytes of records the partner of a reconciliation may send to this node in answer to one request. 1
    /// 024 to 65 536.
    ///
    /// Default 65 536 in every preset (a guess, and the greatest value). Lower it if the socket's receive buffer is
    /// small and bursts are lost. Low values need more round trips after a mass join.
    pub reconcile_credit: u32,
    /// At this interval, varied by a tenth, this node contacts one Down member and one seed that is not the address
    /// of a live member, without end (rule B8). It heals partitions, however long they last. At most half of
    /// `forget_after`.
    ///
    /// `local` 3 s, `lan` 10 s, `wan` 30 s (guesses), `memberlist_lan` 30 s, `memberlist_wan` 60 s (its push-pull
    /// intervals). Lower it to merge sooner after a partition. The cost is two datagrams an interval, whatever the
    /// size of the group.
    pub heal_interval: Duration,
    /// Until the first contact with a member, every seed is contacted at this interval.
    ///
    /// `local` 250 ms, `wan` 3 s, all others 500 ms (guesses). Lower than a round trip, it sends needless Joins.
    /// High values make a lost datagram delay the start.
    pub join_interval: Duration,
    /// How long a node that starts waits for an answer of the addresses that it joins through, before it takes its id
    /// without one (rule A2a). It also ends the wait of nodes that start together and know only each other, if one of them
    /// does not answer.
    ///
    /// `local` 1.5 s, `lan` and memberlist 3 s, `wan` 10 s (guesses). At least several `join_interval`s. Too low: a node
    /// that restarts on a lossy link may take an id that is in use. High values delay a start without any live seed.
    pub join_wait: Duration,
    /// How long a node that starts waits for an id that another process holds, before it gives up with
    /// [`Notice::NameTaken`](crate::Notice::NameTaken) (rule A2a). 0 gives up at the first answer;
    /// [`Duration::MAX`] waits for ever, as a hot standby.
    ///
    /// Default 60 s in every preset: longer than the 30 s that Kubernetes gives a terminating pod. Low values fail fast
    /// where a name in use is a mistake of the operator.
    pub name_wait: Duration,
    /// **Shared.** How long members that are Down or Left are remembered. For the first half of it the verdict
    /// spreads; for the second half the entry only refuses older records and verdicts (rule B3). Above zero, at
    /// most 40 days.
    ///
    /// Default 24 h in every preset (a guess). Raise it above the longest partition that should heal without seeds.
    /// Lower it where members come and go with ever new ids. Too low: a member returns after it was forgotten, or a
    /// delayed datagram of a dead member shows it as alive for one detection time. Too high: those that have gone
    /// fill `members_max`, and new members are ignored.
    pub forget_after: Duration,
    /// **Shared.** How many members are kept, live ones and those that are Down or Left together. A new member
    /// beyond it takes the place of one that has gone for longer than half of `forget_after`. If there is none, the
    /// new member is ignored and counted ([`Stats::ignored_table_full`](crate::Stats)). 1 to 1 048 576.
    ///
    /// Default 20 000 in every preset (a guess; simulated up to 10 000). It bounds the memory that a flood of
    /// invented members can take. Choose it above the size of the group and the ids that go within half of
    /// `forget_after`. If there are more, members disagree about who is in the group.
    pub members_max: u32,
    /// How many Down and Left verdicts are kept on ids that were never live here (rule B11). Further ones are
    /// ignored and counted ([`Stats::ignored_table_full`](crate::Stats)). 1 to 1 048 576.
    ///
    /// Default 8 192 in every preset (a guess). It bounds the memory that a flood of invented verdicts can take. If
    /// it is too low, a new member does not learn of all that have gone, and compares tables with the others until
    /// they are forgotten.
    pub tombstones_max: u32,
    /// A leave is complete when so many members have acknowledged it, or all, if there are fewer.
    ///
    /// At least 1; default 3 in every preset (a guess). High values make a leave wait for slow members, at the longest for the time that
    /// [`Command::Leave`](crate::Command::Leave) names.
    pub leave_acks: u8,
    /// Whether new members are shown at once, or after the application has been asked.
    ///
    /// Default [`AdmissionPolicy::Open`] in every preset. It filters the local view only; the table below is the
    /// same on every member (rule B5).
    pub admission: AdmissionPolicy,
    /// The protocol versions that this node speaks, least and greatest. A member whose range does not overlap is
    /// kept in the table, but neither shown nor probed nor judged (rule B5).
    ///
    /// Default `(1, 1)`, the only version there is. Leave it alone, except to rehearse an upgrade in a simulation.
    pub protocol: (u8, u8),
}

/// What a Down that another member tells is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Hearsay {
    /// The Down begins a suspicion with the least timeout, so that its subject can refute it to this node (rule B1). It
    /// is believed at once only if this node has suspected the member for half the least suspicion time already.
    Doubt,
    /// The Down is believed at once, as in SWIM (§4.2) and memberlist. A crash is known to all members sooner, by one
    /// least suspicion time for those that did not suspect the member. One wrong verdict then removes its subject from
    /// the views of all members until it has refuted, and after a cut has healed each side removes its own members for a
    /// short time.
    Believe,
}

/// Whether new members are shown at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdmissionPolicy {
    /// Every member is shown at once.
    Open,
    /// The node sends [`Notice::AdmissionAsked`](crate::Notice::AdmissionAsked) for each new member, and shows the
    /// member once it is accepted, or once this time has passed without an answer. A short time turns a slow
    /// application into one that accepts every member.
    Ask(Duration),
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

impl Config {
    const fn of(cluster: String, membership: MembershipConfig) -> Self {
        Self { cluster, mtu: 1_400, membership, broadcast: BroadcastConfig::tree() }
    }

    /// For one data centre: round trips of 0.1 to 30 ms.
    ///
    /// The failure detector was tuned by sweeps of 128 simulated members at 0 to 25 % loss. The sources of the
    /// single numbers are at [`MembershipConfig`] and [`BroadcastConfig`].
    #[must_use]
    pub fn lan(cluster: impl Into<String>) -> Self {
        Self::of(cluster.into(), MembershipConfig::lan())
    }

    /// For one machine: loopback, containers, tests. The intervals of `lan`, shortened to about a half or less
    /// (guesses).
    #[must_use]
    pub fn local(cluster: impl Into<String>) -> Self {
        let membership = MembershipConfig {
            probe_timeout: ms(100),
            probe_interval: ms(500),
            gossip_interval: ms(50),
            reconcile_interval: ms(50),
            join_interval: ms(250),
            join_wait: ms(1_500),
            heal_interval: ms(3_000),
            ..MembershipConfig::lan()
        };
        let broadcast =
            BroadcastConfig { request_delay: ms(100), request_timeout: ms(150), ..BroadcastConfig::tree() };
        Self { broadcast, ..Self::of(cluster.into(), membership) }
    }

    /// Across continents: round trips of up to 500 ms. The intervals of `lan`, stretched two- to sixfold (guesses).
    ///
    /// The settings of the broadcast are those of `lan`. Where round trips often exceed 100 ms, raise
    /// [`BroadcastConfig::request_delay`] and [`BroadcastConfig::request_timeout`], or members ask for messages
    /// that are already on their way.
    #[must_use]
    pub fn wan(cluster: impl Into<String>) -> Self {
        let membership = MembershipConfig {
            probe_timeout: ms(1_500),
            probe_interval: ms(4_000),
            gossip_interval: ms(400),
            reconcile_interval: ms(300),
            join_interval: ms(3_000),
            join_wait: ms(10_000),
            heal_interval: ms(30_000),
            ..MembershipConfig::lan()
        };
        Self::of(cluster.into(), membership)
    }

    /// The values of memberlist's `DefaultLANConfig`, for comparison: its push-pull interval is the
    /// `heal_interval`, and our additions to the failure detector are off. Settings that memberlist does not have
    /// are as in `lan`. A Down that is heard is believed ([`Hearsay::Believe`]), so one member with a bad link can
    /// remove healthy members from all views for a short time.
    #[must_use]
    pub fn memberlist_lan(cluster: impl Into<String>) -> Self {
        Self::of(cluster.into(), MembershipConfig::memberlist())
    }

    /// The values of memberlist's `DefaultWANConfig`, for comparison, in the way of [`Config::memberlist_lan`].
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

    /// How many bytes of messages fit into one datagram: `mtu` less the envelope, which has room for a seal.
    #[must_use]
    pub const fn payload_max(&self) -> usize {
        self.mtu as usize - crate::wire::ENVELOPE_BYTES_MAX
    }

    /// Checks the range of every setting, and every pair of settings that depend on each other. `Node::new` calls
    /// it.
    ///
    /// # Errors
    /// The first setting that is wrong, with its value and the limit it breaks.
    pub fn validate(&self) -> Result<(), ConfigError> {
        length("cluster", self.cluster.len(), 1, CLUSTER_BYTES_MAX)?;
        range("mtu", self.mtu.into(), MTU_MIN.into(), MTU_MAX.into())?;
        self.membership.validate()?;
        self.broadcast.validate()
    }

    /// One byte of hash for each setting that all members must share, in the order of [`SHARED_FIELDS`]. The byte
    /// of a setting that this version does not have is zero. A difference becomes a notice (rule G4).
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

/// The setting behind each byte of the shared digest (rule G4). Those that this version lacks keep their place.
pub(crate) const SHARED_FIELDS: [&str; 8] =
    ["lease_max", "drift", "forget_after", "grace", "quota", "payload_bytes_max", "members_max", "electors"];

impl MembershipConfig {
    const fn lan() -> Self {
        Self {
            probe_interval: ms(850),                       // measured
            probe_timeout: ms(300),                        // a guess
            indirect_probes: 3,                            // Lifeguard, memberlist
            probe_retries: 5,                              // measured
            ring_probes: 3,                                // measured
            suspicion_mult: 2,                             // measured
            suspicion_max_mult: 6,                         // Lifeguard, memberlist
            suspicion_confirmations: 2,                    // memberlist
            health_max: 8,                                 // Lifeguard, memberlist
            buddy: true,                                   // Lifeguard
            last_word: true,                               // rule B1
            hearsay: Hearsay::Doubt,                       // rule B1
            isolation_periods: 4,                          // a guess
            flap_half_life: ms(120_000),                   // a guess
            probation_returns: 3,                          // a guess
            late_slack: ms(200),                           // a guess
            gossip_interval: ms(200),                      // memberlist
            gossip_fanout: 3,                              // memberlist
            retransmit_mult: 4,                            // memberlist
            reconcile_interval: ms(100),                   // a guess
            reconcile_credit: 64 * 1024,                   // a guess
            heal_interval: ms(10_000),                     // a guess
            join_interval: ms(500),                        // a guess
            join_wait: ms(3_000),                          // a guess
            name_wait: ms(60_000),                         // longer than Kubernetes' 30 s of grace
            forget_after: Duration::from_secs(24 * 3_600), // a guess
            members_max: 20_000,                           // a guess
            tombstones_max: 8_192,                         // a guess
            leave_acks: 3,                                 // a guess
            admission: AdmissionPolicy::Open,
            protocol: (1, 1), // the only version there is
        }
    }

    /// The defaults of memberlist's `config.go` for a LAN.
    const fn memberlist() -> Self {
        Self {
            probe_interval: ms(1_000),
            probe_timeout: ms(500),
            probe_retries: 0,
            ring_probes: 0,
            suspicion_mult: 4,
            suspicion_confirmations: 2,
            last_word: false,
            hearsay: Hearsay::Believe,
            isolation_periods: 0,
            flap_half_life: Duration::ZERO,
            probation_returns: 0,
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
            ("membership.join_wait", self.join_wait),
        ];
        for (field, value) in times {
            at_most(field, value, "one day", Duration::from_secs(24 * 3_600))?;
            at_most("one millisecond", ms(1), field, value)?;
        }
        at_most(
            "membership.flap_half_life",
            self.flap_half_life,
            "one day",
            Duration::from_secs(24 * 3_600),
        )?;
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
            ("membership.ring_probes", self.ring_probes.into(), 0, 15),
            ("membership.suspicion_mult", self.suspicion_mult.into(), 1, 100),
            ("membership.suspicion_max_mult", self.suspicion_max_mult.into(), 1, 100),
            ("membership.suspicion_confirmations", self.suspicion_confirmations.into(), 0, authors - 1),
            ("membership.health_max", self.health_max.into(), 1, 64),
            ("membership.probation_returns", self.probation_returns.into(), 0, RETURNS_MAX.into()),
            ("membership.gossip_fanout", self.gossip_fanout.into(), 1, 32),
            ("membership.retransmit_mult", self.retransmit_mult.into(), 1, 16),
            ("membership.reconcile_credit", self.reconcile_credit.into(), 1_024, CREDIT_MAX as u64),
            ("membership.leave_acks", self.leave_acks.into(), 1, u8::MAX.into()),
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
