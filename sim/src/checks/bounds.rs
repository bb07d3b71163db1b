//! The bounds of the checks: how long each promise may take, computed from the configuration alone.
//!
//! Every liveness promise holds "without process faults and below the declared loss" (rule G7), so the bounds count from the
//! time at which the last fault was healed. They are bounds and not estimates: they assume that every observer is at its
//! worst health, that the observer that notices is the last one in the round-robin order, and that datagrams are lost as
//! often as the declared loss allows with a probability of one in a million.

mod broadcast;

use core::time::Duration;

use bruit_core::{Config, Estimate, Hearsay};

pub use broadcast::BroadcastBounds;

/// The bounds of one configuration in a group of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The least and the greatest suspicion time (Lifeguard).
    pub suspicion: (Duration, Duration),
    /// The longest protocol period: `probe_interval` × `health_max`.
    pub period: Duration,
    /// The time in which an update spreads from one member to all: λ · ⌈log₂(n + 1)⌉ gossip intervals, and for the members
    /// that every copy has missed ⌈log₂(n + 1)⌉ longest periods, in which the roots on each ping find the difference.
    pub spread: Duration,
    /// The time for which an observer that may itself be isolated postpones its verdicts: one greatest suspicion time (rule
    /// B6), or zero if `isolation_periods` is 0.
    pub freeze: Duration,
    /// CM2: the time for which a doubt that arose during a disturbance may still end in Down after it. With the last word
    /// an observer asks the suspect itself before its verdict, so one longest period and a round trip; without it the
    /// greatest suspicion time and the freeze as well. If a Down that is heard is believed (`Hearsay::Believe`), also the
    /// time in which those of the other side of a healed cut arrive and are refuted.
    pub doubt: Duration,
    /// CM1: the time from a crash until all members hold it Down: (2n − 1) longest periods until the last observer probes,
    /// one for the failed probe, the greatest suspicion time, the freeze and the spread.
    pub completeness: Duration,
    /// CM6: the time from an accusation until all members hold the accused alive again: one spread to the subject and one
    /// back.
    pub refutation: Duration,
    /// CM10: the time from `Join` until every member knows the joiner and it knows every member: tries of `join_interval`
    /// until one exchange of four datagrams gets through, one spread, and for the records that reconciliation transfers one
    /// credit for each `reconcile_interval` and round trip.
    pub join: Duration,
    /// CM10: the time from healing a cut until both sides know each other: tries of the heal interval (and half of it for
    /// the jitter) until one exchange gets through, the suspicion time of a Down that is heard from others (rule B1), and
    /// two spreads.
    pub merge: Duration,
    /// CM12: the time from the end of a disturbance between two members that hold each other Down until one of them holds the
    /// other alive, whatever other members cannot be reached: each may contact every other one first, one in each heal
    /// interval (with a tenth of it for the jitter), and then it goes on as after a merge.
    pub reunion: Duration,
    /// CM7: the time from the last heal until all live sets and roots are equal: the longer of `completeness` and `merge`,
    /// and a refutation.
    pub agreement: Duration,
    /// CM7: the time from the last heal within which half of all runs agree: two probes, whose roots show a difference, and
    /// two spreads as they are expected.
    pub soon: Duration,
    /// CM7: the time from the last heal within which nineteen of twenty runs agree: one contact of healing, a least
    /// suspicion time, and two spreads as they are expected.
    pub usual: Duration,
    /// CM8: the time from `Leave` until all members hold the leaver as Left: one spread.
    pub leave: Duration,
    /// CM13: the time from the meeting of two processes with one id until one of them has stopped: two refutations.
    pub conflict: Duration,
    /// CM9: the number of times that one node may transmit an update.
    pub transmissions: u32,
    /// CM9: the bytes a second that a settled node may send: twice the estimate, since a node may by chance be pinged twice
    /// in a period; for the share of probes that fail by the declared loss the retries and four datagrams for each
    /// helper; and in each healing its question for itself, and those of others that it passes on.
    pub settled_bytes_per_second: u64,
    /// The bounds of the broadcast.
    pub broadcast: BroadcastBounds,
}

impl Bounds {
    /// The bounds of `config` in a group of `members`, over links with round trips of at most `round_trip` that lose at most
    /// `loss_ppm` of the datagrams.
    #[must_use]
    pub fn new(config: &Config, members: u32, round_trip: Duration, loss_ppm: u32) -> Self {
        let settings = &config.membership;
        let estimate = Estimate::new(config, members);
        let log = u32::BITS - members.leading_zeros();
        let period = settings.probe_interval * u32::from(settings.health_max);
        let spread = settings.gossip_interval * u32::from(settings.retransmit_mult) * log
            + (period + round_trip) * log;
        let freeze = if settings.isolation_periods == 0 { Duration::ZERO } else { estimate.suspicion_max };
        let waits = if settings.last_word { Duration::ZERO } else { estimate.suspicion_max + freeze };
        let completeness =
            period * members.saturating_mul(2) + estimate.suspicion_max + freeze + spread + round_trip;
        let refutation = spread * 2 + round_trip;
        let tries = tries(loss_ppm, 4);
        let records = (members * 256).div_ceil(settings.reconcile_credit.max(1));
        let fetch = (settings.reconcile_interval + round_trip * 4) * (records + 1) * tries;
        let join = (settings.join_interval + round_trip * 2) * tries + spread + fetch;
        let merge = settings.heal_interval * 3 / 2 * tries + estimate.suspicion_max + spread * 2 + fetch;
        let hearsay = match settings.hearsay {
            Hearsay::Believe => merge + refutation,
            _ => Duration::ZERO,
        };
        let doubt = period + round_trip + waits + hearsay;
        let reunion =
            settings.heal_interval * 11 / 10 * members * tries + estimate.suspicion_max + spread * 2 + fetch;
        let again = u64::from(settings.probe_retries) + 4 * u64::from(settings.indirect_probes);
        let agreement = completeness.max(merge) + refutation;
        let broadcast = BroadcastBounds::new(config, members, round_trip, loss_ppm, agreement);
        Self {
            suspicion: (estimate.suspicion_min, estimate.suspicion_max),
            period,
            spread,
            freeze,
            doubt,
            completeness,
            refutation,
            join,
            merge,
            reunion,
            agreement,
            soon: settings.probe_interval * 2 + estimate.spread * 2 + round_trip * 4,
            usual: settings.heal_interval * 3 / 2 + estimate.suspicion_min + estimate.spread * 2,
            leave: spread + round_trip,
            conflict: refutation * 2,
            transmissions: estimate.transmissions,
            settled_bytes_per_second: estimate.settled_bytes_per_second
                * (2 * WHOLE + again * failing(loss_ppm, 2))
                / WHOLE
                + (4 * QUESTION_BYTES).div_ceil(settings.heal_interval.as_secs().max(5)),
            broadcast,
        }
    }
}

const WHOLE: u64 = 1_000_000;

/// The length of a datagram with an Ask or a Claim.
const QUESTION_BYTES: u64 = 100;

/// How many of a million exchanges of this many datagrams fail.
fn failing(loss_ppm: u32, datagrams: u32) -> u64 {
    let passes = (0..datagrams).fold(WHOLE, |all, _| all * (WHOLE - u64::from(loss_ppm).min(WHOLE)) / WHOLE);
    WHOLE - passes.min(WHOLE)
}

/// The number of tries after which an exchange of this many datagrams has failed every time with a probability of at most
/// one in a million.
fn tries(loss_ppm: u32, datagrams: u32) -> u32 {
    let fails = failing(loss_ppm, datagrams);
    let mut left = fails;
    let mut tries = 1;
    while left > 1 && tries < 200 {
        left = left * fails / WHOLE;
        tries += 1;
    }
    tries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_loss_takes_more_tries() {
        assert_eq!(tries(0, 4), 1);
        assert!((2..=10).contains(&tries(10_000, 4)), "{}", tries(10_000, 4));
        assert!(tries(250_000, 4) > tries(50_000, 4));
        assert_eq!(tries(1_000_000, 4), 200);
    }

    #[test]
    fn bounds_grow_with_the_group_and_with_the_loss() {
        let config = Config::lan("bounds");
        let at = |members, loss| Bounds::new(&config, members, Duration::from_millis(30), loss);
        assert!(at(10, 0).completeness < at(100, 0).completeness);
        assert!(at(10, 0).join < at(10, 100_000).join);
        assert!(at(10, 0).merge < at(10, 100_000).merge);
        let memberlist = Config::memberlist_lan("bounds");
        assert_eq!(Bounds::new(&memberlist, 10, Duration::ZERO, 0).freeze, Duration::ZERO);
    }
}
