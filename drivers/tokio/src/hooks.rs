//! How the loop's task is woken, and what tells others that something has changed.

use bruit_driver::Driven;
use bruit_driver::udp::{self, Status};
use tokio::sync::{Notify, watch};

#[derive(Debug)]
pub(crate) struct Hooks {
    woken: Notify,
    status: watch::Sender<Status>,
}

impl Hooks {
    pub(crate) fn new(status: Status) -> Self {
        Self { woken: Notify::new(), status: watch::Sender::new(status) }
    }

    /// Until the loop is woken. A wake-up that came before is not lost.
    pub(crate) async fn woken(&self) {
        self.woken.notified().await;
    }

    /// From now on. It fires with everything that a caller may wait for, since all of that is news.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }
}

impl udp::Hooks for Hooks {
    fn wake(&self) {
        self.woken.notify_one();
    }

    fn changed(&self, driven: &Driven) {
        let now = Status::of(driven);
        self.status.send_if_modified(|status| std::mem::replace(status, now) != now);
    }
}
