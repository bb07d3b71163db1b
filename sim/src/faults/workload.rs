//! Drawing the broadcasts of a plan and their settings. They have a random stream of their own, so that a change here changes
//! no fault.

use core::time::Duration;

use bruit_core::{
    BroadcastConfig,
    broadcast::{FirstPhase, History, Order, PersistSeen, Repair, Rounds},
};

use super::Act;
use crate::base::{Index, Purpose, Random};
use crate::kernel::Op;

/// The multicast group of the plans that use one.
const GROUP: core::net::SocketAddr =
    core::net::SocketAddr::new(core::net::IpAddr::V4(core::net::Ipv4Addr::new(239, 7, 5, 69)), 7_569);

/// The time before the first broadcast, in which most of the cluster can form.
const QUIET: Duration = Duration::from_secs(2);

/// The broadcasts of a plan.
pub(super) struct Workload {
    pub(super) settings: BroadcastConfig,
    /// The number of zones that the members belong to; 1 for none.
    pub(super) zones: u32,
    pub(super) acts: Vec<Act>,
}

struct Drawing {
    random: Random,
    nodes: u32,
    safety: Duration,
    acts: Vec<Act>,
}

pub(super) fn draw(seed: u64, nodes: u32, safety: Duration) -> Workload {
    let mut random = Random::of(seed, Purpose::Workload, 0);
    let settings = settings(&mut random);
    let zones = if settings.prefer_zone { small(&mut random, 2, 3) } else { 1 };
    let mut drawing = Drawing { random, nodes, safety, acts: Vec::new() };
    // Some plans have no broadcasts, so that membership is also tested alone.
    if !drawing.random.chance(100_000) {
        drawing.fill();
    }
    Workload { settings, zones, acts: drawing.acts }
}

fn settings(random: &mut Random) -> BroadcastConfig {
    let mut settings = match random.below(4) {
        0 => BroadcastConfig::bimodal(),
        1 => BroadcastConfig::push_ack(),
        2 => BroadcastConfig::pull(),
        _ => BroadcastConfig::tree(),
    };
    if let FirstPhase::Multicast { group } = &mut settings.first {
        *group = random.chance(500_000).then_some(GROUP);
    }
    // Without repair, the comparison of marks must find what is missing.
    if random.chance(80_000) {
        settings.repair = Repair::None;
    }
    if let Repair::Rounds(rounds) = settings.repair {
        let period = millis(random, 50, 600);
        settings.repair = Repair::Rounds(Rounds { period, ..rounds });
    }
    settings.order = if random.chance(500_000) { Order::Origin } else { Order::Arrival };
    settings.history = if random.chance(250_000) { History::None } else { History::Cached };
    settings.persist_seen = match random.below(4) {
        0 => PersistSeen::BeforeDelivery,
        1 => PersistSeen::Every(millis(random, 100, 2_000)),
        _ => PersistSeen::Never,
    };
    settings.prefer_zone = random.chance(200_000);
    settings.quiet_after = millis(random, 300, 2_500);
    if random.chance(300_000) {
        settings.lost_after = millis(random, 1_000, 10_000);
    }
    if random.chance(200_000) {
        settings.keep_rounds = Some(small(random, 5, 60));
    }
    if random.chance(300_000) {
        settings.batch = millis(random, 1, 30);
    }
    if random.chance(250_000) {
        settings.cache_bytes_max = 256 << 10;
        settings.pending_bytes_max = 32 << 10;
    }
    if random.chance(150_000) {
        settings.rate_bytes_max = 1 << 16;
    }
    settings
}

fn millis(random: &mut Random, low: u64, high: u64) -> Duration {
    Duration::from_millis(random.between(low, high))
}

fn small(random: &mut Random, low: u64, high: u64) -> u32 {
    u32::try_from(random.between(low, high)).expect("small")
}

impl Drawing {
    fn fill(&mut self) {
        let mut patterns =
            [Self::trickle, Self::bursts, Self::large, Self::all_at_once, Self::last_broadcasts];
        self.random.shuffle(&mut patterns);
        let count = 1 + self.random.position(patterns.len());
        patterns[..count].iter().for_each(|pattern| pattern(self));
    }

    fn node(&mut self) -> Index {
        Index::new(self.random.position(self.nodes as usize))
    }

    fn moment(&mut self) -> Duration {
        let room = u64::try_from(self.safety.saturating_sub(QUIET).as_millis()).expect("a minute");
        QUIET + Duration::from_millis(self.random.below(room))
    }

    fn broadcast(&mut self, at: Duration, node: Index, bytes: u32, count: u32) {
        let topic = if self.random.chance(300_000) { "news" } else { "" };
        let report = self.random.chance(100_000).then(|| millis(&mut self.random, 1_000, 20_000));
        let (topic, text) = (topic.to_owned(), None);
        self.acts.push(Act { at, op: Op::Broadcast { node, topic, text, bytes, count, report } });
    }

    /// Single broadcasts of random members, with pauses between them.
    fn trickle(&mut self) {
        let mut at = self.moment();
        for _ in 0..self.random.between(5, 40) {
            let (node, bytes) = (self.node(), small(&mut self.random, 24, 400));
            self.broadcast(at, node, bytes, 1);
            at += millis(&mut self.random, 10, 2_000);
            if at >= self.safety {
                at = self.moment();
            }
        }
    }

    /// Many broadcasts of one member at once.
    fn bursts(&mut self) {
        for _ in 0..self.random.between(1, 3) {
            let (at, node) = (self.moment(), self.node());
            let (bytes, count) = (small(&mut self.random, 24, 300), small(&mut self.random, 5, 80));
            self.broadcast(at, node, bytes, count);
        }
    }

    /// Large payloads: of about one datagram, of several, and of up to the greatest length.
    fn large(&mut self) {
        for _ in 0..self.random.between(1, 6) {
            let (at, node) = (self.moment(), self.node());
            let bytes = match self.random.below(8) {
                0..=3 => small(&mut self.random, 900, 1_500),
                4..=6 => small(&mut self.random, 1_500, 12_000),
                _ => small(&mut self.random, 30_000, 65_536),
            };
            self.broadcast(at, node, bytes, 1);
        }
    }

    /// Two broadcasts of every member at the same time.
    fn all_at_once(&mut self) {
        let at = self.moment();
        for node in (0..self.nodes).map(Index) {
            self.broadcast(at, node, 64, 2);
        }
    }

    /// Last broadcasts of members that broadcast nothing afterwards, and one broadcast shortly before everything heals.
    fn last_broadcasts(&mut self) {
        for _ in 0..self.random.between(1, 4) {
            let (at, node) = (self.moment(), self.node());
            self.broadcast(at, node, 100, 1);
            self.acts.retain(|act| {
                act.at <= at || !matches!(act.op, Op::Broadcast { node: by, .. } if by == node)
            });
        }
        let node = self.node();
        self.broadcast(self.safety - Duration::from_millis(50), node, 100, 1);
    }
}
