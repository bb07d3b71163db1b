//! A watch of the node's status, for tasks that need the present state and not the history.

use bruit_driver::udp::Status;
use tokio::sync::watch::Receiver;

/// The latest [`Status`] of a node. A reader that looks seldom costs the node nothing, and does not see the states in
/// between.
///
/// It is a [`tokio::sync::watch`] that returns copies, because a borrow into the channel would keep the node waiting.
#[derive(Clone, Debug)]
pub struct Watch {
    receiver: Receiver<Status>,
    /// True once the final status was read, the one with `stopped` set.
    ended: bool,
}

impl Watch {
    pub(crate) fn new(receiver: Receiver<Status>) -> Self {
        let ended = receiver.borrow().stopped;
        Self { receiver, ended }
    }

    /// The present status.
    #[must_use]
    pub fn latest(&self) -> Status {
        *self.receiver.borrow()
    }

    /// Waits until the status has changed since it was last read, and returns it. The final status has `stopped` set,
    /// and after it comes `None`. A cancelled wait has missed nothing.
    pub async fn changed(&mut self) -> Option<Status> {
        if self.ended || self.receiver.changed().await.is_err() {
            return None;
        }
        Some(self.see())
    }

    /// Waits until `wanted` accepts the status, beginning with the present one. Returns `None` if the node stops before
    /// that.
    pub async fn wait_for(&mut self, mut wanted: impl FnMut(&Status) -> bool) -> Option<Status> {
        let mut status = self.see();
        while !wanted(&status) {
            status = self.changed().await?;
        }
        Some(status)
    }

    fn see(&mut self) -> Status {
        let status = *self.receiver.borrow_and_update();
        self.ended = status.stopped;
        status
    }
}
