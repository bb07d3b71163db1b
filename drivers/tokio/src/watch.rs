//! Where the node stands, for those who want the present and not the history.

use bruit_driver::udp::Status;
use tokio::sync::watch::Receiver;

/// The latest [`Status`] of a node. However seldom it is looked at, it costs the node nothing; what came in between
/// is not seen.
///
/// It is a [`tokio::sync::watch`] that hands out copies: a borrow into the channel would keep the node waiting.
#[derive(Clone, Debug)]
pub struct Watch {
    receiver: Receiver<Status>,
    /// Whether the last status was seen.
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

    /// Waits until something has changed since this was last called; the status then. The last one has `stopped`
    /// set, and after it comes `None`. A wait that is cancelled has missed nothing.
    pub async fn changed(&mut self) -> Option<Status> {
        if self.ended || self.receiver.changed().await.is_err() {
            return None;
        }
        Some(self.see())
    }

    /// Waits until `wanted` accepts the status, beginning with the present one; `None` if the node has stopped and
    /// it did not.
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
