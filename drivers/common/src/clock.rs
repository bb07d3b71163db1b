//! Two clocks: the node's clock, which only runs forward and goes on while the machine is suspended, and the calendar,
//! which is read once, for the epoch.
//!
//! `std::time::Instant` stands still while a Linux machine is suspended, so that a laptop that wakes up would find
//! every deadline still in the future (rule E8). `CLOCK_BOOTTIME` goes on; so do `CLOCK_MONOTONIC` on Apple systems
//! and, on Windows, the performance counter that `Instant` reads.

use std::time::{SystemTime, UNIX_EPOCH};

use bruit_core::Time;

/// The node's clock. It counts from the moment of its creation.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: u64,
}

impl Clock {
    /// Creates a clock that reads zero now.
    #[must_use]
    pub fn start() -> Self {
        Self { origin: raw_nanos() }
    }

    /// The present time on this clock.
    #[must_use]
    pub fn now(&self) -> Time {
        Time::from_nanos(raw_nanos().saturating_sub(self.origin))
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn raw_nanos() -> u64 {
    nanos(rustix::time::clock_gettime(rustix::time::ClockId::Boottime))
}

#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
fn raw_nanos() -> u64 {
    nanos(rustix::time::clock_gettime(rustix::time::ClockId::Monotonic))
}

#[cfg(unix)]
fn nanos(time: rustix::time::Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

#[cfg(not(unix))]
fn raw_nanos() -> u64 {
    static ORIGIN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    let elapsed = ORIGIN.get_or_init(std::time::Instant::now).elapsed();
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
}

/// Nanoseconds since 1970 by the calendar; 0 before 1970. Use it for epochs only, because the calendar may jump
/// forward and back.
#[must_use]
pub fn calendar_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_starts_near_zero_and_never_goes_back() {
        let clock = Clock::start();
        let first = clock.now();
        assert!(first < Time::from_secs(60), "{first}");
        assert!(clock.now() >= first);
    }
}
