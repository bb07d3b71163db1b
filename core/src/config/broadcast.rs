//! Settings of the broadcast, and its four presets.

use core::net::SocketAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::{at_most, ms, range};
use crate::error::ConfigError;
use crate::limits::{FRAGMENT_BYTES, FRAGMENTS_MAX, TOPIC_BYTES_MAX};

/// Settings of the broadcast: two phases, each a choice (`core/RULES.md`, part C).
///
/// The first phase spreads a message soon, the repair finds who has missed it. Members may choose differently; who
/// has a message says so to whoever offers or asks, whatever its own phases are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BroadcastConfig {
    /// How a message first goes out. [`Broadcast::first`](crate::Broadcast) overrides it for one message.
    pub first: FirstPhase,
    /// How a missed message is found.
    pub repair: Repair,
    /// In which order this node delivers.
    pub order: Order,
    /// What this node delivers of an origin's messages from before it first heard of that origin (rule C4).
    pub history: History,
    /// Whether what has been delivered survives a restart (rule C2).
    pub persist_seen: PersistSeen,
    /// Prefer receivers of the own zone; of each zone two bridges speak for it to every other.
    pub prefer_zone: bool,
    /// The first phase gathers for one receiver so long before it sends; 0 sends at once. Trades delay for
    /// datagrams: in a tree, each hop adds half of it.
    pub batch: Duration,
    /// How long `Push` waits for acknowledgements until it tells more members (gogossip's `AckTimeout`).
    pub ack_timeout: Duration,
    /// A message that somebody offers is asked for after so long, if it has not come by itself: longer than the
    /// first phase takes (rule C7).
    pub request_delay: Duration,
    /// A request that is not served is sent to the next one who offered, after so long (rule C7).
    pub request_timeout: Duration,
    /// An origin that has been silent for so long takes part in the comparison of marks (rule C3).
    pub quiet_after: Duration,
    /// A gap this old that `lost_peers` members could not fill is `Lost` (rule C1).
    pub lost_after: Duration,
    /// See `lost_after`; or all members, if they are fewer.
    pub lost_peers: u8,
    /// Payloads are kept for this many rounds of the repair and then dropped; `None` keeps them until the bytes
    /// are needed (rule C5). pbcast keeps them for a fixed number.
    pub keep_rounds: Option<u32>,
    /// Bytes of payloads kept to serve others; the origin that holds most gives way.
    pub cache_bytes_max: u32,
    /// Bytes of own broadcasts that wait to be sent, at the most; at most half of `cache_bytes_max`.
    pub pending_bytes_max: u32,
    /// Bytes a second that broadcasts may send; an eighth of it at once. The rest waits.
    pub rate_bytes_max: u32,
    /// **Shared.** Longest payload, in bytes: at most what the fragments of one item carry beside a topic.
    pub payload_bytes_max: u32,
}

/// How a message first goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FirstPhase {
    /// Not at all: the repair spreads it.
    None,
    /// The origin sends it once: to a multicast group that all drivers have joined, or, without one, to every
    /// member (pbcast's first phase).
    Multicast {
        /// The group's address.
        group: Option<SocketAddr>,
    },
    /// Everyone who learns it pushes it to `fanout` members; who had it from us first says so, and if fewer than a
    /// majority do, more are told that it exists (gogossip).
    Push {
        /// How many.
        fanout: u8,
    },
    /// Along a tree that the messages themselves teach: eagerly over its edges, by announcements elsewhere
    /// (Plumtree, Leitão et al., SRDS 2007).
    Tree {
        /// How many neighbours a node chooses; about as many choose it.
        fanout: u8,
    },
}

/// How a missed message is found, beside the comparison of marks that rides on every ping (rule C3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Repair {
    /// In no other way.
    None,
    /// pbcast's anti-entropy: each round, while there is something to tell, a digest goes to random members, who
    /// ask for what they lack.
    Rounds(Rounds),
    /// Each period this node says what it has to random members, who send what it lacks.
    Pull {
        /// How many.
        fanout: u8,
        /// How often.
        period: Duration,
    },
}

/// Settings of the anti-entropy rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rounds {
    /// A digest goes to ⌊β · peers⌋ + 1 members; to nobody if β is 0, there are no peers or nothing to tell.
    pub beta: Ratio,
    /// But to no more than so many.
    pub fanout_max: u8,
    /// How often.
    pub period: Duration,
    /// A message is told of for so many rounds after it came.
    pub rounds: u8,
    /// A request is served while the digest that it answers is at most so many rounds old (pbcast's soft-failure
    /// detection; 1 is the paper's).
    pub round_window: u8,
    /// Bytes served a round, at the most (pbcast's round retransmission limit).
    pub round_bytes_max: u32,
}

/// A ratio of two integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ratio {
    /// Numerator.
    pub of: u32,
    /// Denominator, not zero.
    pub out_of: u32,
}

/// In which order messages are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// As they come.
    Arrival,
    /// Those of one origin in the order in which it sent them: a message behind a gap is held back until the gap
    /// is filled or `Lost`.
    Origin,
}

/// What is delivered of the time before an origin was first heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum History {
    /// Nothing.
    None,
    /// What is still cached where it was heard of, so that groups that merge end with one history.
    Cached,
}

/// When the set of delivered messages is made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PersistSeen {
    /// Never: a restart may deliver again what others still hold.
    Never,
    /// At this interval, while it changes: a restart repeats nothing that the last one contains.
    Every(Duration),
    /// A message is delivered once it is in the durable set: never twice, at the cost of a write each time.
    BeforeDelivery,
}

impl BroadcastConfig {
    /// pbcast (Birman et al., TOCS 17(2), 1999): unreliable multicast, then anti-entropy rounds.
    #[must_use]
    pub const fn bimodal() -> Self {
        Self {
            first: FirstPhase::Multicast { group: None },
            repair: Repair::Rounds(Rounds::pbcast()),
            ..Self::common()
        }
    }

    /// Push to three with acknowledgements, tell six more where they are missing, and anti-entropy behind it.
    #[must_use]
    pub const fn push_ack() -> Self {
        Self {
            first: FirstPhase::Push { fanout: 3 },
            repair: Repair::Rounds(Rounds { rounds: 2, period: ms(500), ..Rounds::pbcast() }),
            ..Self::common()
        }
    }

    /// Nothing is sent unasked: every 200 ms each node asks two others.
    #[must_use]
    pub const fn pull() -> Self {
        Self {
            first: FirstPhase::None,
            repair: Repair::Pull { fanout: 2, period: ms(200) },
            request_delay: ms(1),
            ..Self::common()
        }
    }

    /// A learnt tree, announcements beside it, one digest a message behind it: the default.
    #[must_use]
    pub const fn tree() -> Self {
        Self {
            first: FirstPhase::Tree { fanout: 3 },
            repair: Repair::Rounds(Rounds { rounds: 1, period: ms(500), ..Rounds::pbcast() }),
            ..Self::common()
        }
    }

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
    /// One digest each 100 ms to one random member, for ten rounds (pbcast §4).
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
