//! The handle of a running node.

use core::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bruit_core::{Command, Config, NodeId, Rejected};
use bruit_driver::udp::{LEAVE_SLACK, PING_TIMEOUT, Running, Shared, State};
use bruit_driver::{Driven, Notices, StartError};

use crate::builder::Builder;
use crate::hooks::Hooks;

/// A running node. Clones are handles of the same one; dropping the last stops it abruptly.
///
/// What needs no waiting (join, commands, reading, counters, traces) is in [`Running`], which it dereferences to.
#[derive(Clone, Debug)]
pub struct Bruit {
    inner: Arc<Inner>,
}

/// What ends with the last handle.
#[derive(Debug)]
struct Inner {
    running: Running,
    shared: Arc<Shared>,
    hooks: Arc<Hooks>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Bruit {
    pub(crate) fn new(
        running: Running,
        shared: Arc<Shared>,
        hooks: Arc<Hooks>,
        thread: JoinHandle<()>,
    ) -> Self {
        Self { inner: Arc::new(Inner { running, shared, hooks, thread: Mutex::new(Some(thread)) }) }
    }

    /// Starts a node on this address (`host:port`; port 0 for any). It is silent until it [joins](Running::join).
    ///
    /// # Errors
    /// The address cannot be bound, or a setting is out of its range.
    pub fn bind(
        addr: impl ToString,
        name: impl Into<String>,
        config: Config,
    ) -> Result<(Self, Notices), StartError> {
        Builder::new(name, config).start(addr)
    }

    /// More settings than a name and an address.
    pub fn builder(name: impl Into<String>, config: Config) -> Builder {
        Builder::new(name, config)
    }

    /// Waits until a member has been in contact; whether one has.
    pub fn joined(&self, within: Duration) -> bool {
        let is_joined = |driven: &Driven| driven.node().is_joined();
        is_joined(&self.wait(within, is_joined).driven)
    }

    /// Tells the group that this member goes, waits for that to be acknowledged for at most `within`, and
    /// stops. Whether enough members acknowledged it.
    ///
    /// # Errors
    /// The node has not started, is leaving already, or has stopped; nothing has changed then.
    pub fn leave(&self, within: Duration) -> Result<bool, Rejected> {
        self.command(Command::Leave { within })?;
        let wait = within.saturating_add(LEAVE_SLACK);
        let departed = self.wait(wait, |driven| driven.departed().is_some()).driven.departed();
        self.stop();
        Ok(departed.unwrap_or(false))
    }

    /// Stops at once, without a word to the others. Every handle is dead afterwards.
    pub fn stop(&self) {
        self.inner.stop();
    }

    /// Measures the round trip to a node: 3 tries, 100 ms apart. `None` if no try was answered.
    ///
    /// # Errors
    /// The node refuses, or has stopped.
    pub fn ping(&self, id: NodeId, addr: std::net::SocketAddr) -> Result<Option<Duration>, Rejected> {
        let ping = self.inner.shared.start_ping(id, addr)?;
        let mut state = self.wait(PING_TIMEOUT, |driven| driven.ping_end(ping).is_some());
        Ok(state.driven.take_ping(ping).flatten())
    }

    fn wait(&self, timeout: Duration, done: impl Fn(&Driven) -> bool) -> MutexGuard<'_, State> {
        self.inner.hooks.wait(&self.inner.shared, timeout, done)
    }
}

impl Deref for Bruit {
    type Target = Running;

    fn deref(&self) -> &Running {
        &self.inner.running
    }
}

impl Inner {
    fn stop(&self) {
        self.shared.ask_to_stop();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A hook may hold the last handle, on the loop's own thread; that one ends by itself.
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != thread::current().id()) {
            let _ = thread.join();
        }
        drop(self.shared.stop_node());
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
    }
}
