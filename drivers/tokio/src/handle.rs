//! The handle of a running node.

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use bruit_core::{Command, Config, NodeId, PingId, Rejected};
use bruit_driver::udp::{LEAVE_SLACK, PING_TIMEOUT, Running, Shared};
use bruit_driver::{Driven, StartError};
use tokio::sync::watch::Receiver;

use crate::builder::Builder;
use crate::hooks::Hooks;
use crate::notices::Notices;
use crate::watch::Watch;

/// A running node. Clones are handles of the same one; dropping the last stops it abruptly, and frees its address as
/// soon as the runtime gets to it. So does the end of the runtime.
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
    /// Closed once the loop has ended.
    ended: Receiver<()>,
}

impl Bruit {
    pub(crate) fn new(running: Running, shared: Arc<Shared>, hooks: Arc<Hooks>, ended: Receiver<()>) -> Self {
        Self { inner: Arc::new(Inner { running, shared, hooks, ended }) }
    }

    /// Starts a node on this address (`host:port`; port 0 for any). It is silent until it [joins](Running::join).
    ///
    /// # Errors
    /// The address cannot be bound, or a setting is out of its range.
    ///
    /// # Panics
    /// Outside a tokio runtime, or in one without I/O or time.
    pub async fn bind(
        addr: impl ToString,
        name: impl Into<String>,
        config: Config,
    ) -> Result<(Self, Notices), StartError> {
        Builder::new(name, config).start(addr).await
    }

    /// More settings than a name and an address.
    pub fn builder(name: impl Into<String>, config: Config) -> Builder {
        Builder::new(name, config)
    }

    /// Where the node stands, and every change of that.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch::new(self.inner.hooks.subscribe())
    }

    /// Waits until a member has been in contact; whether one has.
    pub async fn joined(&self, within: Duration) -> bool {
        self.wait(within, |driven| driven.node().is_joined().then_some(())).await.is_some()
    }

    /// Tells the group that this member goes, waits for that to be acknowledged for at most `within`, and
    /// stops. Whether enough members acknowledged it.
    ///
    /// Once it was polled the member leaves, also if the wait is cancelled; then it stops with the last handle.
    ///
    /// # Errors
    /// The node has not started, is leaving already, or has stopped; nothing has changed then.
    pub async fn leave(&self, within: Duration) -> Result<bool, Rejected> {
        self.command(Command::Leave { within })?;
        let departed = self.wait(within.saturating_add(LEAVE_SLACK), |driven| driven.departed()).await;
        self.stop().await;
        Ok(departed.unwrap_or(false))
    }

    /// Stops at once, without a word to the others, and waits until what was stored is durable. Every handle is dead
    /// afterwards, and the address is free when the last of them is dropped.
    pub async fn stop(&self) {
        self.inner.shared.ask_to_stop();
        let mut ended = self.inner.ended.clone();
        while ended.changed().await.is_ok() {}
    }

    /// Measures the round trip to a node: 3 tries, 100 ms apart. `None` if no try was answered.
    ///
    /// # Errors
    /// The node refuses, or has stopped.
    pub async fn ping(&self, id: NodeId, addr: SocketAddr) -> Result<Option<Duration>, Rejected> {
        let ping = self.inner.shared.start_ping(id, addr)?;
        let waiting = Pinging { shared: &self.inner.shared, ping };
        let end = self.wait(PING_TIMEOUT, |driven| driven.ping_end(waiting.ping)).await;
        Ok(end.flatten())
    }

    /// Waits until `done` has something, the node has stopped without it, or the time is over.
    async fn wait<T>(&self, timeout: Duration, done: impl Fn(&Driven) -> Option<T>) -> Option<T> {
        let mut status = self.inner.hooks.subscribe();
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

    /// What `done` has; `Some(None)` if it will not have anything.
    fn look<T>(&self, done: impl Fn(&Driven) -> Option<T>) -> Option<Option<T>> {
        let state = self.inner.shared.lock();
        let found = done(&state.driven);
        (found.is_some() || state.driven.is_stopped()).then_some(found)
    }
}

impl Deref for Bruit {
    type Target = Running;

    fn deref(&self) -> &Running {
        &self.inner.running
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.ask_to_stop();
    }
}

/// A ping that somebody waits for. Its end is forgotten with the wait, however that ends.
#[derive(Debug)]
struct Pinging<'a> {
    shared: &'a Shared,
    ping: PingId,
}

impl Drop for Pinging<'_> {
    fn drop(&mut self) {
        self.shared.lock().driven.take_ping(self.ping);
    }
}
