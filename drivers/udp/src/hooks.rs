//! How the loop's thread is woken, and how callers on other threads wait.

use std::sync::{Condvar, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bruit_driver::Driven;
use bruit_driver::udp::{self, Shared, State};
use mio::Waker;

#[derive(Debug)]
pub(crate) struct Hooks {
    waker: Waker,
    changed: Condvar,
}

impl Hooks {
    pub(crate) const fn new(waker: Waker) -> Self {
        Self { waker, changed: Condvar::new() }
    }

    /// Waits until `done` says so, the node has stopped, or the time is over; the state as it is then.
    pub(crate) fn wait<'a>(
        &self,
        shared: &'a Shared,
        timeout: Duration,
        done: impl Fn(&Driven) -> bool,
    ) -> MutexGuard<'a, State> {
        let started = Instant::now();
        let mut state = shared.lock();
        while !done(&state.driven) && !state.driven.is_stopped() {
            let Some(left) = timeout.checked_sub(started.elapsed()) else { break };
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state
    }
}

impl udp::Hooks for Hooks {
    fn wake(&self) {
        // It fails only when the loop is gone, and then there is nobody to wake.
        let _ = self.waker.wake();
    }

    fn changed(&self, _: &Driven) {
        self.changed.notify_all();
    }
}
