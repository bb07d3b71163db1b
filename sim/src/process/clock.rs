//! The local clock of a process. It is monotonic; its rate may differ from that of true time and may change.

use bruit_core::Time;

use crate::base::MILLION;

/// The clock of one process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// The true time at which the rate was last set, in nanoseconds.
    true_base: u64,
    /// The local time at that moment.
    local_base: u64,
    /// Parts per million by which the clock runs fast, or slow if negative.
    ppm: i32,
}

impl Clock {
    /// A clock that shows true time.
    pub(crate) const TRUE: Self = Self { true_base: 0, local_base: 0, ppm: 0 };

    /// Lets the clock run fast (above zero) or slow from now on. The time it shows does not jump.
    pub(crate) fn set_rate(&mut self, now: Time, ppm: i32) {
        *self = Self { true_base: now.as_nanos(), local_base: self.local(now).as_nanos(), ppm };
    }

    const fn rate(&self) -> u128 {
        MILLION.saturating_add_signed(self.ppm) as u128
    }

    /// The local time at the true time `now`.
    pub(crate) fn local(&self, now: Time) -> Time {
        let since = now.as_nanos().saturating_sub(self.true_base);
        if self.ppm == 0 {
            return Time::from_nanos(self.local_base.saturating_add(since));
        }
        let run = u128::from(since) * self.rate() / u128::from(MILLION);
        Time::from_nanos(self.local_base.saturating_add(u64::try_from(run).unwrap_or(u64::MAX)))
    }

    /// The first true time at which the clock shows `local` or more.
    pub(crate) fn true_at(&self, local: Time) -> Time {
        let ahead = local.as_nanos().saturating_sub(self.local_base);
        if self.ppm == 0 {
            return Time::from_nanos(self.true_base.saturating_add(ahead));
        }
        let run = (u128::from(ahead) * u128::from(MILLION)).div_ceil(self.rate().max(1));
        Time::from_nanos(self.true_base.saturating_add(u64::try_from(run).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_clock_runs_ahead_and_its_deadlines_come_early() {
        let mut clock = Clock::TRUE;
        clock.set_rate(Time::from_secs(10), 100_000);
        assert_eq!(clock.local(Time::from_secs(20)), Time::from_secs(21));
        assert_eq!(clock.true_at(Time::from_secs(21)), Time::from_secs(20));
        clock.set_rate(Time::from_secs(20), -500_000);
        assert_eq!(clock.local(Time::from_secs(22)), Time::from_secs(22));
    }

    #[test]
    fn a_deadline_is_due_at_the_first_moment_at_which_the_clock_shows_it() {
        let mut clock = Clock::TRUE;
        for ppm in [-333_333, -7, 0, 1, 77_777] {
            clock.set_rate(Time::from_millis(3), ppm);
            for nanos in [5_000_000, 5_000_001, 123_456_789] {
                let local = Time::from_nanos(nanos);
                let due = clock.true_at(local);
                assert!(clock.local(due) >= local);
                assert!(clock.local(Time::from_nanos(due.as_nanos() - 1)) < local);
            }
        }
    }
}
