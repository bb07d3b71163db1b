//! The health of this node itself: whether this node may be at fault when others do not answer.
//!
//! Three signs tell a node that the fault may be its own: its probes fail (Lifeguard's local health, §IV-A), it is called
//! late (rule B7), or it hears nobody at all (rule B6). Each makes it slower to judge others.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::estimate::suspicion_min;
use crate::time::Time;

/// The local health score, and the times that it is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Health {
    /// Lifeguard's local health multiplier, less one.
    score: u8,
    /// The time of the last valid datagram from a member.
    heard: Time,
    /// The time of the last event of any kind.
    event: Time,
}

impl Health {
    pub(super) const fn new(now: Time) -> Self {
        Self { score: 0, heard: now, event: now }
    }

    /// Resets the times when the node starts: silence before the start does not count.
    pub(super) const fn start(&mut self, now: Time) {
        self.heard = now;
        self.event = now;
    }

    /// Lifeguard's local health multiplier: 1 when the node is well.
    pub(super) const fn multiplier(&self) -> u8 {
        self.score + 1
    }

    pub(super) fn worsen(&mut self, by: u8, config: &Config) {
        self.score = self.score.saturating_add(by).min(config.membership.health_max - 1);
    }

    pub(super) const fn improve(&mut self) {
        self.score = self.score.saturating_sub(1);
    }

    /// Notes an event of a node that was to be called at `wake` at the latest. If it was called later than that by more
    /// than `late_slack`, the health worsens, and the delay is returned (rule B7).
    pub(super) fn on_event(&mut self, wake: Option<Time>, config: &Config, now: Time) -> Option<Duration> {
        let last = core::mem::replace(&mut self.event, now);
        self.on_late(now.since(wake?.max(last)), config)
    }

    /// Notes a delay of this node. If it is more than `late_slack`, the health worsens, and the delay is returned.
    pub(super) fn on_late(&mut self, late: Duration, config: &Config) -> Option<Duration> {
        if late <= config.membership.late_slack {
            return None;
        }
        self.worsen(1, config);
        // Nobody could be heard while this node stood still: its own absence is no silence of the others.
        self.heard = self.heard + late;
        Some(late)
    }

    /// Notes a valid datagram from a member. Returns whether it ends a silence that may have been this node's own fault.
    pub(super) fn on_heard(&mut self, config: &Config, now: Time) -> bool {
        let last = core::mem::replace(&mut self.heard, now);
        now.since(last) > isolation(config)
    }

    /// The time until which this node passes no verdict, because it has heard no member for so long that the fault may
    /// be its own (rule B6). The freeze ends one greatest suspicion time after the last datagram, because in a group of
    /// two the remaining member must be able to declare the other one Down.
    pub(super) fn frozen_until(&self, config: &Config, members: u32, now: Time) -> Option<Time> {
        let longest = suspicion_min(config, members) * u32::from(config.membership.suspicion_max_mult);
        let until = self.heard + longest;
        (now.since(self.heard) > isolation(config) && now < until).then_some(until)
    }

    pub(super) fn check(&self, config: &Config, now: Time) {
        assert!(self.score < config.membership.health_max, "the health score is bounded");
        assert!(self.event <= now, "time does not run backwards");
    }
}

/// The length of a silence after which a node takes itself for isolated (rule B6).
fn isolation(config: &Config) -> Duration {
    let settings = &config.membership;
    match settings.isolation_periods {
        0 => Duration::MAX,
        periods => settings.probe_interval * periods.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_delay_beyond_the_slack_counts_and_worsens_the_health() {
        let config = Config::lan("test");
        let slack = config.membership.late_slack;
        let wake = Time::from_secs(10);
        let mut health = Health::new(Time::ZERO);
        assert_eq!(health.on_event(None, &config, Time::from_secs(9)), None);
        assert_eq!(health.on_event(Some(wake), &config, wake + slack), None);
        assert_eq!(health.multiplier(), 1);
        let late = slack + Duration::from_millis(1);
        let now = wake + slack + late;
        assert_eq!(health.on_event(Some(wake), &config, now), Some(late), "since the last event");
        assert_eq!(health.multiplier(), 2);
    }

    #[test]
    fn verdicts_freeze_in_silence_but_not_for_ever() {
        let config = Config::lan("test");
        let mut health = Health::new(Time::ZERO);
        let silence = isolation(&config);
        let frozen = |health: &Health, now| health.frozen_until(&config, 2, now).is_some();
        assert!(!frozen(&health, Time::ZERO + silence));
        let later = Time::ZERO + silence + Duration::from_millis(1);
        let end = health.frozen_until(&config, 2, later).expect("it is frozen");
        assert!(!frozen(&health, end));
        assert!(health.on_heard(&config, later), "the silence has ended");
        assert!(!frozen(&health, later));
        assert!(!health.on_heard(&config, later));
    }
}
