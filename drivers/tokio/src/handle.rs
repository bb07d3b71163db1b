//! The handle of a running node.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bruit_core::{Command, NodeId, PingId, Rejected};
use bruit_driver::Driver;
use bruit_driver::udp::{LEAVE_SLACK, PING_TIMEOUT, Shared};
use tokio::sync::watch::Receiver;

use crate::views::Views;
use crate::wake::TaskWakeUp;
use crate::watch::Watch;

/// A running node. Clones are handles of one node. Dropping the last one, or ending the runtime, stops the node
/// without a leave, so the others find out by themselves. Its address is free as soon as the runtime has dropped the
/// loop's task.
///
/// Only [`joined`](Self::joined), [`leave`](Self::leave), [`stop`](Self::stop) and [`ping`](Self::ping) wait, and
/// these are asynchronous. Every other method returns as soon as the other threads have released the node, and can be
/// called from anywhere.
#[derive(Clone, Debug)]
pub struct Bruit {
    shared: Arc<Shared<TaskWakeUp>>,
    task: Arc<LoopTask>,
}

/// The task of the loop. It is asked to stop with the last handle.
#[derive(Debug)]
struct LoopTask {
    shared: Arc<Shared<TaskWakeUp>>,
    /// Closed once the task has ended.
    ended: Receiver<()>,
}

impl Bruit {
    pub(crate) fn new(shared: Arc<Shared<TaskWakeUp>>, ended: Receiver<()>) -> Self {
        let task = LoopTask { shared: Arc::clone(&shared), ended };
        Self { shared, task: Arc::new(task) }
    }

    /// Returns a watch of the node's status: the present one, and every later change.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch::new(self.shared.wake_up().subscribe())
    }

    /// Waits until another member has been in contact. Returns false if that did not happen in time.
    pub async fn joined(&self, within: Duration) -> bool {
        self.wait(within, |driver| driver.node().is_joined().then_some(())).await.is_some()
    }

    /// Leaves the cluster and stops: tells the others, and waits at most `within` for their acknowledgements. Returns
    /// true if enough members acknowledged it.
    ///
    /// The leave begins with the first poll and goes on if the wait is cancelled; the node then stops with its last
    /// handle.
    ///
    /// # Errors
    /// The node has not started, is leaving already, or has stopped. Nothing has changed then.
    pub async fn leave(&self, within: Duration) -> Result<bool, Rejected> {
        self.command(Command::Leave { within })?;
        let departed = self.wait(within.saturating_add(LEAVE_SLACK), Driver::departed).await;
        self.stop().await;
        Ok(departed.unwrap_or(false))
    }

    /// Stops at once, without telling the others, and waits until the durable slots are written. Every handle of the
    /// node refuses commands afterwards, and the address is free once the last handle is dropped.
    pub async fn stop(&self) {
        self.shared.ask_to_stop();
        let mut ended = self.task.ended.clone();
        while ended.changed().await.is_ok() {}
    }

    /// Measures the round trip to a node by up to 3 tries, 100 ms apart. Returns `None` if no try was answered.
    ///
    /// # Errors
    /// The node refuses the ping, or has stopped.
    pub async fn ping(&self, id: NodeId, addr: SocketAddr) -> Result<Option<Duration>, Rejected> {
        let ping = self.shared.start_ping(id, addr)?;
        let waiting = AwaitedPing { shared: &self.shared, ping };
        let end = self.wait(PING_TIMEOUT, |driver| driver.ping_end(waiting.ping)).await;
        Ok(end.flatten())
    }

    bruit_driver::handle_methods!();

    /// Waits until `done` returns a value. Returns `None` if the node stops before that, or the time is over.
    async fn wait<T>(&self, timeout: Duration, done: impl Fn(&Driver) -> Option<T>) -> Option<T> {
        let mut status = self.shared.wake_up().subscribe();
        let waiting = async {
            loop {
                if let Some(stopped_or_done) = self.look(&done) {
                    return stopped_or_done;
                }
                status.changed().await.ok()?;
            }
        };
        tokio::time::timeout(timeout, waiting).await.ok().flatten()
    }

    /// Calls `done` once. Returns `Some(None)` if it has no value and the node has stopped, so that none will come.
    fn look<T>(&self, done: impl Fn(&Driver) -> Option<T>) -> Option<Option<T>> {
        let driver = self.shared.lock();
        let found = done(&driver);
        (found.is_some() || driver.is_stopped()).then_some(found)
    }
}

impl Drop for LoopTask {
    fn drop(&mut self) {
        self.shared.ask_to_stop();
    }
}

/// A ping that a task waits for. Its end is forgotten when the wait ends or is cancelled.
#[derive(Debug)]
struct AwaitedPing<'a> {
    shared: &'a Shared<TaskWakeUp>,
    ping: PingId,
}

impl Drop for AwaitedPing<'_> {
    fn drop(&mut self) {
        self.shared.lock().take_ping(self.ping);
    }
}
