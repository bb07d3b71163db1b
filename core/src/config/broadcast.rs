//! The settings of the broadcast, and its four presets.

use core::net::SocketAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::{at_most, ms, range};
use crate::error::ConfigError;
use crate::limits::{FRAGMENT_BYTES, FRAGMENTS_MAX, TOPIC_BYTES_MAX};

/// The settings of the broadcast.
///
/// A broadcast travels in two phases, and each is a choice (`core/RULES.md`, part C). The **first phase** sends a
/// message to most members soon. The **repair** finds the members that have missed it. Four presets combine them:
/// [`tree`](Self::tree) (the default), [`bimodal`](Self::bimodal), [`push_ack`](Self::push_ack) and
/// [`pull`](Self::pull).
///
/// ```
/// use std::time::Duration;
/// use bruit_core::{BroadcastConfig, Config};
/// use bruit_core::broadcast::{Order, PersistSeen};
///
/// let mut config = Config::lan("shop");
/// config.broadcast = BroadcastConfig {
///     order: Order::Origin,                                     // each origin's messages in its order
///     persist_seen: PersistSeen::Every(Duration::from_secs(1)), // repeat little after a restart; needs a disk
///     lost_after: Duration::from_secs(120),                     // wait longer for members that are cut off
///     ..BroadcastConfig::tree()
/// };
/// assert!(config.validate().is_ok());
///
/// config.broadcast.pending_bytes_max = config.broadcast.cache_bytes_max;
/// let error = config.validate().unwrap_err();
/// assert!(error.to_string().starts_with("broadcast.pending_bytes_max is 4194304"));
/// ```
///
/// Members may choose differently, except for the setting marked **Shared**: a message says how it came and is
/// passed on in that way, and a member serves whoever asks, whatever its own phases are. Durations must lie between
/// 1 ms and one day, except `batch`. Where only one value is given, it is that of every preset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BroadcastConfig {
    /// How an own message first goes out. [`Broadcast::first`](crate::Broadcast) overrides it for one message.
    ///
    /// `tree` has `Tree { fanout: 3 }` (a guess; the figures of the README are measured with it), `bimodal` has
    /// `Multicast { group: None }` (pbcast), `push_ack` has `Push { fanout: 3 }` (gogossip's number), `pull` has
    /// `None`.
    pub first: FirstPhase,
    /// How a member that has missed a message finds it.
    ///
    /// `bimodal` has pbcast's `Rounds`; `tree` and `push_ack` have slower and shorter ones (1 and 2 rounds of 500
    /// ms: guesses); `pull` has `Pull { fanout: 2, period: 200 ms }` (gogossip's period; the number is a guess).
    pub repair: Repair,
    /// In which order this node delivers messages.
    ///
    /// Default `Arrival`. `Origin` keeps each origin's own order and delays messages behind a gap, at the longest
    /// until the gap is `Lost`. There is no order between origins.
    pub order: Order,
    /// Whether this node delivers messages that were sent before it first heard of their origin (rule C4).
    ///
    /// Default `Cached`: a member that joins late also receives what the others still cache. Choose `None` where an
    /// old message would do harm, such as a command that is carried out on delivery.
    pub history: History,
    /// Whether the set of delivered messages survives a restart (rule C2).
    ///
    /// Default `Never`: a restarted member may receive again what the others still cache. The other choices need a
    /// driver with a state directory.
    pub persist_seen: PersistSeen,
    /// Prefer receivers in the own zone ([`Boot::zone`](crate::Boot::zone)). Two members of each zone, its bridges,
    /// send to the bridges of the other zones.
    ///
    /// Default `false`. Switch it on where links between zones are slow or cost money. Messages then take more
    /// hops, and if both bridges of a zone fail at once, the zone waits for the repair. All members of a cluster
    /// should agree.
    pub prefer_zone: bool,
    /// How long the first phase collects messages for one receiver before it sends them. At most one second more
    /// than `request_delay`.
    ///
    /// Default 0: send at once. Raise it where many small messages make too many datagrams. In a tree each hop adds
    /// about half of it to the delay. Close to `request_delay`, members ask for messages that are only waiting to
    /// be sent.
    pub batch: Duration,
    /// How long `Push` waits for acknowledgements before it announces the message to more members.
    ///
    /// Default 300 ms (gogossip's `AckTimeout`). Set it above one round trip plus `batch`. Too low: needless
    /// announcements. Too high: a push that reached too few members spreads late.
    pub ack_timeout: Duration,
    /// How long this node waits, after a message was offered to it, before it asks for the message: it may come by
    /// itself. It should be longer than the first phase takes (rule C7).
    ///
    /// `tree`, `bimodal` and `push_ack` 150 ms (a guess; the tree reaches 1 000 simulated members in 60 ms), `pull`
    /// 1 ms, because it has no first phase. [`Config::local`](crate::Config::local) has 100 ms. Raise it on slow
    /// links and with `batch`. Too low: messages come twice. Too high: a lost message comes late.
    pub request_delay: Duration,
    /// How long this node waits for the answer to a request before it asks the next member that offered the message
    /// (rule C7).
    ///
    /// Default 300 ms (a guess); [`Config::local`](crate::Config::local) has 150 ms. Set it above the slowest round
    /// trip. Too low: messages are served twice. Too high: a lost answer costs that much delay.
    pub request_timeout: Duration,
    /// How long an origin must be silent before its highest number takes part in the comparison of marks, which
    /// finds the last message of an origin that then falls silent (rule C3). The tree also looks for missing
    /// neighbours after about this time.
    ///
    /// Default 2 s (a guess). Too low: members compare while messages are still on their way, and differences mean
    /// nothing. Too high: a member that missed the last message learns of it late.
    pub quiet_after: Duration,
    /// A gap that is this old, and that `lost_peers` members could not fill, is given up and told as
    /// [`Notice::Lost`](crate::Notice::Lost) (rule C1).
    ///
    /// Default 30 s (a guess). Raise it above the longest partition after which a message should still arrive. Too
    /// low: messages are given up while a member that holds them is out of reach. Too high: `Order::Origin` holds
    /// messages back for that long.
    pub lost_after: Duration,
    /// How many members must have said that they cannot serve a gap before it is given up (see `lost_after`), or
    /// all members, if there are fewer. 1 to 64.
    ///
    /// Default 3 (a guess). Raise it where a message may survive in few caches only.
    pub lost_peers: u8,
    /// For how many rounds of the repair a payload is kept to serve others; `None` keeps it until the bytes are
    /// needed (rule C5).
    ///
    /// Default `None`. pbcast keeps payloads for a fixed number of rounds; choose `Some` to compare with it. A
    /// payload that was dropped after few rounds is lost for every member that was cut off longer.
    pub keep_rounds: Option<u32>,
    /// How many bytes of payloads are kept to serve others, 256 KiB to 1 GiB. When it is full, the origin that
    /// holds most gives up its oldest payload (rule C5).
    ///
    /// Default 4 MiB (a guess). This is how much can be made up after a partition, so set it to the rate of
    /// broadcasts times the longest partition that should cost nothing. Each member needs the memory.
    pub cache_bytes_max: u32,
    /// How many bytes of own broadcasts may wait to be sent, 1 to half of `cache_bytes_max`. A broadcast beyond it
    /// is refused with [`Rejected::Busy`](crate::Rejected::Busy).
    ///
    /// Default 1 MiB (a guess). Low values refuse bursts; high values let the delay of the last message of a burst
    /// grow.
    pub pending_bytes_max: u32,
    /// How many bytes a second this node may send in datagrams that carry broadcasts only, 64 KiB at least; at most
    /// an eighth of it at once. Messages beyond it wait, unless they fit into a datagram that is sent anyway.
    ///
    /// Default 16 MiB (a guess). Set it below what the network carries, or datagrams are lost and repaired at
    /// greater cost. It counts what this node sends, relayed messages included.
    pub rate_bytes_max: u32,
    /// **Shared.** The longest payload in bytes, 1 to 73 600 (what the fragments of one message carry beside a topic).
    ///
    /// Default 65 536 (a guess). A member drops a longer one and counts it as misbehaviour
    /// ([`Stats::misbehavior_oversized`](crate::Stats)). Long payloads are sent in pieces of 1 024 bytes.
    pub payload_bytes_max: u32,
}

/// How a message first goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FirstPhase {
    /// The message is not sent unasked. The repair spreads it.
    None,
    /// The origin sends the message once to every member, and no member passes it on (pbcast's first phase).
    ///
    /// Least delay and no relays. Without a group it costs the origin a datagram a member.
    Multicast {
        /// The multicast group that all drivers have joined; `None` sends a datagram to each member.
        group: Option<SocketAddr>,
    },
    /// Each member that learns the message sends it to `fanout` random members. A receiver acknowledges it if it is
    /// new. If no majority does in `ack_timeout`, twice as many other members are told that the message exists
    /// (gogossip).
    Push {
        /// How many members receive it, 1 to 32.
        fanout: u8,
    },
    /// The message travels along the edges of a tree that earlier messages have shaped; other neighbours receive an
    /// announcement only (Plumtree, Leitão et al., SRDS 2007).
    Tree {
        /// How many neighbours a node chooses, 1 to 32; about as many choose it. Higher values make the tree
        /// shallower and the announcements more.
        fanout: u8,
    },
}

/// How a missed message is found. The comparison of marks, which travels on every ping, comes on top of it (rule
/// C3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Repair {
    /// By the comparison of marks alone.
    None,
    /// By pbcast's anti-entropy: in each round, as long as there is something to tell, this node sends a digest of
    /// what it holds to random members, who ask for what they lack.
    Rounds(Rounds),
    /// By asking: in each period this node tells random members what it has, and they send what it lacks.
    Pull {
        /// How many members are asked in a period, 1 to 32.
        fanout: u8,
        /// The time between two periods' requests, 1 ms to one day.
        period: Duration,
    },
}

/// The settings of the anti-entropy rounds (pbcast §4). The values of the presets are those of `bimodal`, where no
/// other is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rounds {
    /// The share of the other members that receives a digest in each round: ⌊β · others⌋ + 1 members. Nobody, if β
    /// is 0.
    ///
    /// 1/1 000: one member up to a group of 1 000, as in pbcast. A greater share repairs sooner and costs traffic
    /// in proportion.
    pub beta: Ratio,
    /// The greatest number of members that receive a digest in a round, whatever `beta` says.
    ///
    /// 8 (a guess). It bounds the traffic of large groups. 0 switches the rounds off.
    pub fanout_max: u8,
    /// The time between two rounds, 1 ms to one day, varied by a tenth.
    ///
    /// `bimodal` 100 ms (pbcast §4), `tree` and `push_ack` 500 ms (a guess: their first phase misses less). Lower
    /// values repair sooner; below the round trip, members ask for what is already on its way.
    pub period: Duration,
    /// For how many rounds after it came a message is listed in digests. 1 to 255.
    ///
    /// `bimodal` 10 (pbcast §4), `push_ack` 2, `tree` 1 (guesses: the comparison of marks finds what they miss).
    pub rounds: u8,
    /// A request is served if the digest that it answers is at most so many rounds old (pbcast's detection of soft
    /// failures, where it is 1). 1 to 255.
    ///
    /// 3 (a guess, for round trips longer than a period). Low values refuse slow members, so that they do not load
    /// the others.
    pub round_window: u8,
    /// The most bytes that this node serves in a round (pbcast's limit of retransmissions). At least 64 KiB.
    ///
    /// 256 KiB (a guess). Low values delay the repair of many long messages; high values let one slow member take
    /// much of a healthy one's bandwidth.
    pub round_bytes_max: u32,
}

/// A ratio of two integers. The core has no floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ratio {
    /// The numerator.
    pub of: u32,
    /// The denominator, not zero.
    pub out_of: u32,
}

/// In which order messages are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Messages are delivered as they arrive.
    Arrival,
    /// The messages of one origin are delivered in the order in which it sent them. A message behind a gap is held
    /// back until the gap is filled or `Lost`; held messages take at most a quarter of the cache, then gaps are
    /// given up.
    Origin,
}

/// Whether messages are delivered that were sent before their origin was first heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum History {
    /// Only messages sent after that are delivered.
    None,
    /// Messages that the other members still cache are delivered, too, so that two groups that merge end with one
    /// history.
    Cached,
}

/// When the set of delivered messages is written to disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PersistSeen {
    /// Never. A restarted member may deliver again what others still cache.
    Never,
    /// At this interval (1 ms at least), while the set changes. A restart repeats nothing that the last written set
    /// contains.
    Every(Duration),
    /// Before each delivery. No message is ever delivered twice, at the cost of a write before each delivery; a
    /// crash between the write and the delivery loses the message for this member.
    BeforeDelivery,
}

impl BroadcastConfig {
    /// pbcast (Birman et al., TOCS 17(2), 1999): an unreliable multicast, then anti-entropy rounds.
    ///
    /// For one network with multicast (name the group), or few members and least delay.
    #[must_use]
    pub const fn bimodal() -> Self {
        Self {
            first: FirstPhase::Multicast { group: None },
            repair: Repair::Rounds(Rounds::pbcast()),
            ..Self::common()
        }
    }

    /// Push to three members that acknowledge; where acknowledgements are missing, an announcement to six more;
    /// slow anti-entropy behind it (gogossip).
    ///
    /// For applications that want an early sign that a message spreads ([`Notice::Pushed`](crate::Notice::Pushed)).
    #[must_use]
    pub const fn push_ack() -> Self {
        Self {
            first: FirstPhase::Push { fanout: 3 },
            repair: Repair::Rounds(Rounds { rounds: 2, period: ms(500), ..Rounds::pbcast() }),
            ..Self::common()
        }
    }

    /// Sends no message unasked: every 200 ms each node asks two others (gogossip's later design).
    ///
    /// For a constant load where delay does not matter.
    #[must_use]
    pub const fn pull() -> Self {
        Self {
            first: FirstPhase::None,
            repair: Repair::Pull { fanout: 2, period: ms(200) },
            request_delay: ms(1),
            ..Self::common()
        }
    }

    /// A learnt tree, announcements beside it, and one digest for each message behind it: the default, and right
    /// for almost everything.
    #[must_use]
    pub const fn tree() -> Self {
        Self {
            first: FirstPhase::Tree { fanout: 3 },
            repair: Repair::Rounds(Rounds { rounds: 1, period: ms(500), ..Rounds::pbcast() }),
            ..Self::common()
        }
    }

    /// The settings that all presets share. Each field documents the source of its number.
    const fn common() -> Self {
        Self {
            first: FirstPhase::None,
            repair: Repair::None,
            order: Order::Arrival,
            history: History::Cached,
            persist_seen: PersistSeen::Never,
            prefer_zone: false,
            batch: Duration::ZERO,
            ack_timeout: ms(300),
            request_delay: ms(150),
            request_timeout: ms(300),
            quiet_after: ms(2_000),
            lost_after: ms(30_000),
            lost_peers: 3,
            keep_rounds: None,
            cache_bytes_max: 4 << 20,
            pending_bytes_max: 1 << 20,
            rate_bytes_max: 16 << 20,
            payload_bytes_max: 64 << 10,
        }
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let day = Duration::from_secs(24 * 3_600);
        let times = [
            ("broadcast.ack_timeout", self.ack_timeout),
            ("broadcast.request_delay", self.request_delay),
            ("broadcast.request_timeout", self.request_timeout),
            ("broadcast.quiet_after", self.quiet_after),
            ("broadcast.lost_after", self.lost_after),
        ];
        for (field, value) in times {
            at_most(field, value, "one day", day)?;
            at_most("one millisecond", ms(1), field, value)?;
        }
        at_most(
            "broadcast.batch",
            self.batch,
            "broadcast.request_delay + one second",
            self.request_delay + ms(1_000),
        )?;
        match self.repair {
            Repair::None => {}
            Repair::Rounds(rounds) => {
                at_most("broadcast.repair.period", rounds.period, "one day", day)?;
                at_most("one millisecond", ms(1), "broadcast.repair.period", rounds.period)?;
                range("broadcast.repair.beta.out_of", rounds.beta.out_of.into(), 1, u32::MAX.into())?;
                range("broadcast.repair.rounds", rounds.rounds.into(), 1, 255)?;
                range("broadcast.repair.round_window", rounds.round_window.into(), 1, 255)?;
                range(
                    "broadcast.repair.round_bytes_max",
                    rounds.round_bytes_max.into(),
                    65_536,
                    u32::MAX.into(),
                )?;
            }
            Repair::Pull { fanout, period } => {
                at_most("broadcast.repair.period", period, "one day", day)?;
                at_most("one millisecond", ms(1), "broadcast.repair.period", period)?;
                range("broadcast.repair.fanout", fanout.into(), 1, 32)?;
            }
        }
        if let FirstPhase::Push { fanout } | FirstPhase::Tree { fanout } = self.first {
            range("broadcast.first.fanout", fanout.into(), 1, 32)?;
        }
        if let PersistSeen::Every(interval) = self.persist_seen {
            at_most("one millisecond", ms(1), "broadcast.persist_seen", interval)?;
        }
        let payload_limit = (FRAGMENTS_MAX * FRAGMENT_BYTES - TOPIC_BYTES_MAX - 64) as u64;
        let numbers = [
            ("broadcast.lost_peers", u64::from(self.lost_peers), 1, 64),
            ("broadcast.payload_bytes_max", self.payload_bytes_max.into(), 1, payload_limit),
            ("broadcast.cache_bytes_max", self.cache_bytes_max.into(), 256 << 10, 1 << 30),
            (
                "broadcast.pending_bytes_max",
                self.pending_bytes_max.into(),
                1,
                u64::from(self.cache_bytes_max) / 2,
            ),
            ("broadcast.rate_bytes_max", self.rate_bytes_max.into(), 1 << 16, u32::MAX.into()),
        ];
        numbers.iter().try_for_each(|&(field, value, min, max)| range(field, value, min, max))
    }
}

impl Rounds {
    /// A digest to one random member each 100 ms, for ten rounds (pbcast §4).
    const fn pbcast() -> Self {
        Self {
            beta: Ratio { of: 1, out_of: 1_000 },
            fanout_max: 8,
            period: ms(100),
            rounds: 10,
            round_window: 3,
            round_bytes_max: 256 << 10,
        }
    }
}
