//! Wakes the loop's task, and tells waiting tasks that something has changed.

use bruit_driver::Driver;
use bruit_driver::udp::{Status, WakeUp};
use tokio::sync::{Notify, watch};

/// Wakes the loop by a permit, and callers by a channel that holds the latest status.
#[derive(Debug)]
pub(crate) struct TaskWakeUp {
    woken: Notify,
    status: watch::Sender<Status>,
}

impl TaskWakeUp {
    pub(crate) fn new(status: Status) -> Self {
        Self { woken: Notify::new(), status: watch::Sender::new(status) }
    }

    /// Waits until the loop is woken. A wake-up that came before the call is not lost.
    pub(crate) async fn woken(&self) {
        self.woken.notified().await;
    }

    /// Subscribes to changes of the status. It changes with everything that a caller may wait for, because each of
    /// these is told by a notice, and the status counts the notices.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }
}

impl WakeUp for TaskWakeUp {
    fn wake_loop(&self) {
        self.woken.notify_one();
    }

    fn wake_callers(&self, driver: &Driver) {
        let now = Status::of(driver);
        self.status.send_if_modified(|status| std::mem::replace(status, now) != now);
    }
}
