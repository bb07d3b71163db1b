//! The bounds of the broadcast.

use core::time::Duration;

use bruit_core::{Config, Estimate, broadcast::Repair};

use super::tries;

/// The bounds of the broadcast for one configuration in a group of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BroadcastBounds {
    /// The time from knowing that a message exists to having it: the delay before it is asked for, and one `request_timeout`
    /// for each try until a request and its answer get through.
    pub ask: Duration,
    /// The time in which the comparison of marks brings a message from one member to the next: the origin is silent for
    /// `quiet_after`, one ping shows that the roots differ, another that they still differ after a spread, an exchange finds
    /// the difference, and a request fetches the message.
    pub hop: Duration,
    /// CB6: the time from submission until all undisturbed members have the message: ⌈log₂(n + 1)⌉ hops at good health. The
    /// first phase and the repair may fail by chance; the comparison of marks does not.
    pub everywhere: Duration,
    /// CB4: the time from the last disturbance until all members have the message: the agreement of membership, and
    /// ⌈log₂(n + 1)⌉ hops at the worst health.
    pub repair: Duration,
    /// CB10: the time from the later of the last disturbance and the last submission until nothing is sent for broadcasts:
    /// the repair ends, the gaps that remain are given up, and the rounds of digests end.
    pub quiet: Duration,
    /// The bytes of payloads a second that one node sends at least, if so many are waiting.
    pub bytes_per_second: u64,
}

impl BroadcastBounds {
    pub(super) fn new(
        config: &Config,
        members: u32,
        round_trip: Duration,
        loss_ppm: u32,
        agreement: Duration,
    ) -> Self {
        let (settings, membership) = (&config.broadcast, &config.membership);
        let log = u32::BITS - members.leading_zeros();
        let tries = tries(loss_ppm, 2);
        let ask = settings.request_delay + settings.batch + (settings.request_timeout + round_trip) * tries;
        let compare = (membership.reconcile_interval + round_trip * 4) * tries;
        let spread = Estimate::new(config, members).spread + membership.gossip_interval * 2;
        // The first root that differs starts the clock; the first one after the spread starts the exchange.
        let meet = |period: Duration| (period + round_trip) * tries * 2 + spread;
        let hop_at = |period: Duration| settings.quiet_after + meet(period) + compare + ask;
        let (well, worst) =
            (membership.probe_interval, membership.probe_interval * u32::from(membership.health_max));
        let (everywhere, repair) = (hop_at(well) * log, agreement + hop_at(worst) * log);
        let (rounds, served) = match settings.repair {
            Repair::None => (Duration::ZERO, u64::MAX),
            Repair::Rounds(rounds) => (
                rounds.period * u32::from(rounds.rounds.max(rounds.round_window) + 1),
                per_second(rounds.round_bytes_max.into(), rounds.period),
            ),
            Repair::Pull { period, .. } => (period * 2, u64::MAX),
        };
        // At the end of each hop a member may start its own rounds.
        let quiet = repair + settings.lost_after + settings.ack_timeout + rounds * log + hop_at(worst);
        let bytes_per_second = served.min(settings.rate_bytes_max.into());
        Self { ask, hop: hop_at(worst), everywhere, repair, quiet, bytes_per_second }
    }

    /// The time that this many bytes take over ⌈log₂(n + 1)⌉ hops, each at the least rate.
    #[must_use]
    pub fn transfer(&self, bytes: u64, members: u32) -> Duration {
        let log = u64::from(u32::BITS - members.leading_zeros());
        let nanos =
            u128::from(bytes) * u128::from(log) * 1_000_000_000 / u128::from(self.bytes_per_second.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

fn per_second(bytes: u64, period: Duration) -> u64 {
    let nanos = period.as_nanos().max(1);
    u64::try_from(u128::from(bytes) * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use bruit_core::{BroadcastConfig, Config};

    use crate::checks::bounds::Bounds;

    #[test]
    fn bounds_follow_the_configuration() {
        let at = |broadcast: BroadcastConfig, members, loss| {
            let config = Config { broadcast, ..Config::lan("bounds") };
            Bounds::new(&config, members, Duration::from_millis(20), loss).broadcast
        };
        let tree = at(BroadcastConfig::tree(), 10, 0);
        assert!(tree.everywhere < tree.repair && tree.repair < tree.quiet);
        assert!(tree.everywhere < at(BroadcastConfig::tree(), 100, 0).everywhere);
        assert!(tree.ask < at(BroadcastConfig::tree(), 10, 100_000).ask);
        let patient = BroadcastConfig { quiet_after: Duration::from_secs(9), ..BroadcastConfig::tree() };
        assert!(tree.repair < at(patient, 10, 0).repair);
        let slow = BroadcastConfig { rate_bytes_max: 1 << 16, ..BroadcastConfig::tree() };
        assert_eq!(at(slow, 3, 0).transfer(1 << 17, 3), Duration::from_secs(4));
    }
}
