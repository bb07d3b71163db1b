//! The wall clock of a process. It decides the epoch of each boot and nothing else, because a node has no wall clock.

use core::time::Duration;

use bruit_core::Time;
use serde::{Deserialize, Serialize};

/// The source of the epoch that a process starts with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Epochs {
    /// The number of the boot of this process: 1, 2, 3, in wide steps, because a node begins at random above the epoch that it is
    /// given.
    #[default]
    Boots,
    /// The wall clock in nanoseconds since 1970, as the drivers take it. Only these epochs show what a wrong clock does.
    Clock,
}

/// A seed with which the random distance of a node above the epoch of its boot is 0 (rule A1), for tests that name epochs.
pub(crate) const NO_DISTANCE: [u8; 32] = {
    let mut seed = [0; 32];
    [seed[0], seed[1], seed[2]] = [0xfb, 0x0d, 0x18];
    seed
};

impl Epochs {
    /// The epoch of a boot whose epoch is counted.
    pub(crate) const fn of_boot(boot: u64) -> u64 {
        boot << 24
    }
}

/// The error of a wall clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum WallClock {
    /// The clock is right.
    #[default]
    Right,
    /// The clock is ahead by this time.
    Ahead(#[serde(with = "crate::base::span")] Duration),
    /// The clock is behind by this time.
    Behind(#[serde(with = "crate::base::span")] Duration),
    /// The machine has no clock that runs while it is off: each of its boots begins in 1970.
    Year1970,
}

/// The wall clock at the start of a run: in the year 2026.
const START: u64 = 1_790_000_000 * 1_000_000_000;
/// The time that a machine needs to boot, in nanoseconds.
const BOOTING: u64 = 20 * 1_000_000_000;

impl WallClock {
    /// The clock in nanoseconds since 1970, at least 1. `now` is the true time, and `boot` the number of the boot.
    pub(crate) fn nanos(self, now: Time, boot: u32) -> u64 {
        let nanos = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        let right = START.saturating_add(now.as_nanos());
        let shown = match self {
            Self::Right => right,
            Self::Ahead(by) => right.saturating_add(nanos(by)),
            Self::Behind(by) => right.saturating_sub(nanos(by)),
            Self::Year1970 => BOOTING + u64::from(boot),
        };
        shown.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_shows_its_error() {
        let (now, hour) = (Time::from_secs(60), Duration::from_secs(3_600));
        let right = WallClock::Right.nanos(now, 1);
        assert_eq!(WallClock::Ahead(hour).nanos(now, 1) - right, 3_600_000_000_000);
        assert_eq!(right - WallClock::Behind(hour).nanos(now, 1), 3_600_000_000_000);
        assert_eq!(WallClock::Behind(Duration::MAX).nanos(now, 1), 1);
        assert!(WallClock::Year1970.nanos(now, 2) > WallClock::Year1970.nanos(now, 1));
    }
}
