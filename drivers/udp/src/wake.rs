//! Wakes the loop's thread, and lets callers on other threads wait for the node.

use std::sync::{Condvar, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bruit_driver::Driver;
use bruit_driver::udp::{Shared, WakeUp};
use mio::Waker;

/// Wakes the loop by its poller, and callers by a condition variable.
#[derive(Debug)]
pub(crate) struct ThreadWakeUp {
    waker: Waker,
    changed: Condvar,
}

impl ThreadWakeUp {
    pub(crate) const fn new(waker: Waker) -> Self {
        Self { waker, changed: Condvar::new() }
    }
}

impl WakeUp for ThreadWakeUp {
    fn wake_loop(&self) {
        // It fails only when the loop has ended, and then there is nothing to wake.
        let _ = self.waker.wake();
    }

    fn wake_callers(&self, _: &Driver) {
        self.changed.notify_all();
    }
}

/// Waits until `done` is true, the node has stopped, or the time is over. Returns the driver, locked.
pub(crate) fn wait(
    shared: &Shared<ThreadWakeUp>,
    timeout: Duration,
    done: impl Fn(&Driver) -> bool,
) -> MutexGuard<'_, Driver> {
    let started = Instant::now();
    let mut driver = shared.lock();
    while !done(&driver) && !driver.is_stopped() {
        let Some(left) = timeout.checked_sub(started.elapsed()) else { break };
        let waited = shared.wake_up().changed.wait_timeout(driver, left);
        driver = waited.unwrap_or_else(PoisonError::into_inner).0;
    }
    driver
}
