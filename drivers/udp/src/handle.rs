//! The handle of a running node.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bruit_core::{Command, NodeId, Rejected};
use bruit_driver::udp::{LEAVE_SLACK, PING_TIMEOUT, Shared};

use crate::views::Views;
use crate::wake::{ThreadWakeUp, wait};

/// A running node. Clones are handles of one node. Dropping the last one stops the node without a leave, so the
/// others find out by themselves.
///
/// Only [`joined`](Self::joined), [`leave`](Self::leave), [`stop`](Self::stop) and [`ping`](Self::ping) wait. Every
/// other method returns as soon as the other threads have released the node.
#[derive(Clone, Debug)]
pub struct Bruit {
    shared: Arc<Shared<ThreadWakeUp>>,
    thread: Arc<LoopThread>,
}

/// The thread of the loop. It is stopped with the last handle.
#[derive(Debug)]
struct LoopThread {
    shared: Arc<Shared<ThreadWakeUp>>,
    handle: Mutex<Option<JoinHandle<()>>>,
}

impl Bruit {
    pub(crate) fn new(shared: Arc<Shared<ThreadWakeUp>>, handle: JoinHandle<()>) -> Self {
        let thread = LoopThread { shared: Arc::clone(&shared), handle: Mutex::new(Some(handle)) };
        Self { shared, thread: Arc::new(thread) }
    }

    /// Waits until another member has been in contact. Returns false if that did not happen in time.
    pub fn joined(&self, within: Duration) -> bool {
        wait(&self.shared, within, |driver| driver.node().is_joined()).node().is_joined()
    }

    /// Leaves the cluster and stops: tells the others, and waits at most `within` for their acknowledgements. Returns
    /// true if enough members acknowledged it.
    ///
    /// # Errors
    /// The node has not started, is leaving already, or has stopped. Nothing has changed then.
    pub fn leave(&self, within: Duration) -> Result<bool, Rejected> {
        self.command(Command::Leave { within })?;
        let patience = within.saturating_add(LEAVE_SLACK);
        let departed = wait(&self.shared, patience, |driver| driver.departed().is_some()).departed();
        self.stop();
        Ok(departed.unwrap_or(false))
    }

    /// Stops at once, without telling the others. Every handle of the node refuses commands afterwards.
    pub fn stop(&self) {
        self.thread.stop();
    }

    /// Measures the round trip to a node by up to 3 tries, 100 ms apart. Returns `None` if no try was answered.
    ///
    /// # Errors
    /// The node refuses the ping, or has stopped.
    pub fn ping(&self, id: NodeId, addr: SocketAddr) -> Result<Option<Duration>, Rejected> {
        let ping = self.shared.start_ping(id, addr)?;
        let mut driver = wait(&self.shared, PING_TIMEOUT, |driver| driver.ping_end(ping).is_some());
        Ok(driver.take_ping(ping).flatten())
    }

    bruit_driver::handle_methods!();
}

impl LoopThread {
    fn stop(&self) {
        self.shared.ask_to_stop();
        let handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The last handle may be dropped on the loop's own thread, by a tracing function. That thread ends by itself.
        if let Some(handle) = handle.filter(|handle| handle.thread().id() != thread::current().id()) {
            let _ = handle.join();
        }
        drop(self.shared.stop_node());
    }
}

impl Drop for LoopThread {
    fn drop(&mut self) {
        self.stop();
    }
}
