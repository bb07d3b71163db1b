//! The views of a node, one after the other.

use std::sync::Arc;
use std::time::Duration;

use bruit_driver::View;
use bruit_driver::udp::Shared;

use crate::wake::{ThreadWakeUp, wait};

/// The local views of a node: the present one, and then each time the newest one that was not read yet.
///
/// Changes that come while the reader is busy are merged into one view, so a slow reader misses no state that lasts. As an
/// iterator it ends when the node has stopped and its last view was read. Keeping it does not keep the node running.
#[derive(Debug)]
pub struct Views {
    shared: Arc<Shared<ThreadWakeUp>>,
    /// The version of the view that was read last.
    seen: Option<u64>,
}

impl Views {
    pub(crate) const fn new(shared: Arc<Shared<ThreadWakeUp>>) -> Self {
        Self { shared, seen: None }
    }

    /// Waits for a view that was not read yet, for at most `within`. Returns `None` if there was none in time, or if the node
    /// has stopped.
    pub fn next_within(&mut self, within: Duration) -> Option<Arc<View>> {
        let seen = self.seen;
        let mut driver = wait(&self.shared, within, |driver| seen != Some(driver.view_version()));
        let view = driver.view_after(seen)?;
        self.seen = Some(view.version());
        Some(view)
    }
}

impl Iterator for Views {
    type Item = Arc<View>;

    fn next(&mut self) -> Option<Arc<View>> {
        self.next_within(Duration::MAX)
    }
}
