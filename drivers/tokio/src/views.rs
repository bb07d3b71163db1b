//! The views of a node, one after the other.

use std::sync::Arc;

use bruit_driver::View;
use bruit_driver::udp::{Shared, Status};
use tokio::sync::watch::Receiver;

use crate::wake::TaskWakeUp;

/// The local views of a node: the present one, and then each time the newest one that was not read yet.
///
/// Changes that come while the reader is busy are merged into one view, so a slow reader misses no state that lasts. Keeping
/// it does not keep the node running.
#[derive(Debug)]
pub struct Views {
    shared: Arc<Shared<TaskWakeUp>>,
    status: Receiver<Status>,
    /// The version of the view that was read last.
    seen: Option<u64>,
}

impl Views {
    pub(crate) fn new(shared: Arc<Shared<TaskWakeUp>>) -> Self {
        let status = shared.wake_up().subscribe();
        Self { shared, status, seen: None }
    }

    /// Waits for a view that was not read yet. Returns `None` if the node has stopped and its last view was read. A cancelled
    /// wait has missed nothing.
    pub async fn next(&mut self) -> Option<Arc<View>> {
        loop {
            // The status changes with every change of a member, and with the stop.
            let stopped = self.status.borrow_and_update().stopped;
            let view = self.shared.lock().view_after(self.seen);
            if let Some(view) = view {
                self.seen = Some(view.version());
                return Some(view);
            }
            if stopped {
                return None;
            }
            self.status.changed().await.ok()?;
        }
    }
}
