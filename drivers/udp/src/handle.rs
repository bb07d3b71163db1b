//! The handle of a running node.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bruit_core::wire::Kind;
use bruit_core::{Answer, Command, Config, Member, Node, NodeId, Phase, Rejected, Stats};
use bruit_driver::{Clock, Notices, Seed, Source, Sources, StartError};

use crate::builder::Builder;
use crate::error::JoinError;
use crate::shared::{DriverStats, Shared};
use crate::trace::{Traced, Tracer};

/// Beyond its own `within`, how long a leave waits for the node to say so.
const LEAVE_SLACK: Duration = Duration::from_secs(1);
/// A ping has three tries 100 ms apart; it has ended long before this.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// A running node. Clones are handles of the same one; dropping the last stops it abruptly.
#[derive(Clone, Debug)]
pub struct Bruit {
    running: Arc<Running>,
}

/// What ends with the last handle.
#[derive(Debug)]
struct Running {
    shared: Arc<Shared>,
    sources: Mutex<Option<Sources>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Bruit {
    pub(crate) fn new(shared: Arc<Shared>, thread: JoinHandle<()>) -> Self {
        let running = Running { shared, sources: Mutex::new(None), thread: Mutex::new(Some(thread)) };
        Self { running: Arc::new(running) }
    }

    /// Starts a node on this address (`host:port`; port 0 for any). It is silent until it [joins](Self::join).
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

    /// The bound address; unspecified if that was asked for. [`Node::addr`] is the announced one.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.shared().socket.local()
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.read(Node::id)
    }

    /// The clock that the node is driven by.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.shared().clock
    }

    /// Gives the node a command. It is answered at once; where more follows, a notice says so.
    ///
    /// # Errors
    /// The node refuses it, or has stopped.
    pub fn command(&self, command: Command) -> Result<Answer, Rejected> {
        self.shared().command_then(command, |_, _| {})
    }

    /// Reads the node. It waits meanwhile, so keep it short, and call no other method of the handle inside.
    pub fn read<R>(&self, read: impl FnOnce(&Node) -> R) -> R {
        read(self.shared().lock().driven.node())
    }

    /// Starts the node, and joins through these, addresses or `host:port`. They are tried for ever, names are
    /// looked up again, and oneself among them is fine; so it returns at once, and [`joined`](Self::joined)
    /// waits. The first node of a cluster may join nobody.
    ///
    /// # Errors
    /// A seed is not `host:port`, there are too many, or the node is leaving or has stopped.
    pub fn join(&self, seeds: impl IntoIterator<Item = impl ToString>) -> Result<(), JoinError> {
        let parsed: Result<Vec<Seed>, _> = seeds.into_iter().map(|seed| seed.to_string().parse()).collect();
        let (mut addrs, mut names) = (Vec::new(), Vec::new());
        for seed in parsed? {
            match seed {
                Seed::Addr(addr) => addrs.push(addr),
                Seed::Name(name) => names.push(name),
            }
        }
        self.command(Command::Join { seeds: addrs })?;
        self.shared().tell_peers_if_any();
        if !names.is_empty() {
            self.start_sources(None).map_err(JoinError::Names)?;
            self.with_sources(|sources| sources.add_names(names));
        }
        Ok(())
    }

    /// Waits until a member has been in contact; whether one has.
    pub fn joined(&self, within: Duration) -> bool {
        self.shared().wait(within, |driven| driven.node().is_joined()).driven.node().is_joined()
    }

    /// Tells the group that this member goes, waits for that to be acknowledged for at most `within`, and
    /// stops. Whether enough members acknowledged it.
    ///
    /// # Errors
    /// The node has not started, is leaving already, or has stopped; nothing has changed then.
    pub fn leave(&self, within: Duration) -> Result<bool, Rejected> {
        self.command(Command::Leave { within })?;
        let wait = within.saturating_add(LEAVE_SLACK);
        let departed = self.shared().wait(wait, |driven| driven.departed().is_some()).driven.departed();
        self.stop();
        Ok(departed.unwrap_or(false))
    }

    /// Stops at once, without a word to the others. Every handle is dead afterwards.
    pub fn stop(&self) {
        self.running.stop();
    }

    /// Measures the round trip to a node: 3 tries, 100 ms apart. `None` if no try was answered.
    ///
    /// # Errors
    /// The node refuses, or has stopped.
    pub fn ping(&self, id: NodeId, addr: SocketAddr) -> Result<Option<Duration>, Rejected> {
        let answer = self.shared().command_then(Command::Ping { id, addr }, |driven, answer| {
            if let Answer::Pinging(ping) = answer {
                driven.await_ping(*ping);
            }
        })?;
        let Answer::Pinging(ping) = answer else { return Ok(None) };
        let mut state = self.shared().wait(PING_TIMEOUT, |driven| driven.ping_end(ping).is_some());
        Ok(state.driven.take_ping(ping).flatten())
    }

    /// The members of the local view, by id.
    #[must_use]
    pub fn members(&self) -> Vec<Member<'static>> {
        self.read(|node| node.members().map(Member::into_owned).collect())
    }

    /// What the node has done and refused.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.read(|node| *node.stats())
    }

    /// What happened around the node.
    #[must_use]
    pub fn driver_stats(&self) -> DriverStats {
        self.shared().stats()
    }

    /// Whether it takes no more commands: it was stopped, or a bug ended it.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.shared().lock().driven.is_stopped()
    }

    /// Where the node stands in its life.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.read(Node::phase)
    }

    /// The names and the lines of the peers file in use, with the addresses they stand for.
    #[must_use]
    pub fn sources(&self) -> Vec<Source> {
        self.with_sources(|sources| sources.shown()).unwrap_or_default()
    }

    /// Calls `hook` with every datagram that carries a message of one of these kinds, in place of an earlier
    /// hook. It runs on whichever thread sends or receives, so it must be quick.
    pub fn trace(
        &self,
        kinds: impl IntoIterator<Item = Kind>,
        hook: impl Fn(&Traced<'_>) + Send + Sync + 'static,
    ) {
        let kinds: Vec<_> = kinds.into_iter().collect();
        let tracer = (!kinds.is_empty()).then(|| Tracer::new(kinds, Box::new(hook)));
        self.shared().set_tracer(tracer);
    }

    /// Starts the look-up of names and files, unless it runs already.
    pub(crate) fn start_sources(&self, peers_file: Option<PathBuf>) -> io::Result<()> {
        let mut sources = self.running.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if sources.is_none() {
            let weak = Arc::downgrade(self.shared());
            let started = Sources::start(peers_file, move |feed| {
                if let Some(shared) = weak.upgrade() {
                    shared.feed(feed);
                }
            })?;
            *sources = Some(started);
        }
        Ok(())
    }

    fn with_sources<R>(&self, with: impl FnOnce(&Sources) -> R) -> Option<R> {
        self.running.sources.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(with)
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.running.shared
    }
}

impl Running {
    fn stop(&self) {
        self.shared.ask_to_stop();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A hook may hold the last handle, on the loop's own thread; that one ends by itself.
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != thread::current().id()) {
            let _ = thread.join();
        }
        self.shared.stop_node();
        drop(self.sources.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}
