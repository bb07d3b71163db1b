//! A running node: what an application asks of it without waiting.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bruit_core::wire::Kind;
use bruit_core::{Answer, Broadcast, Command, Member, MessageId, Node, NodeId, Phase, Rejected, Stats};

use crate::clock::Clock;
use crate::error::JoinError;
use crate::names::Seed;
use crate::sources::{Source, Sources};
use crate::udp::shared::Shared;
use crate::udp::stats::{DriverStats, Status};
use crate::udp::trace::{Traced, Tracer};

/// A running node, as far as one need not wait for it: the handle of each driver dereferences to it. No method
/// blocks longer than other threads take to step the node, and all can be called from anywhere.
#[derive(Debug)]
pub struct Running {
    shared: Arc<Shared>,
}

impl Running {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The bound address; unspecified if that was asked for. [`Node::addr`] is the announced one.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.socket.local()
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.read(Node::id)
    }

    /// The clock that the node is driven by.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.shared.clock
    }

    /// Gives the node a command. It is answered at once; where more follows, a notice says so.
    ///
    /// # Errors
    /// The node refuses it, or has stopped.
    pub fn command(&self, command: Command) -> Result<Answer, Rejected> {
        self.shared.command_then(command, |_, _| {})
    }

    /// Reads the node. It waits meanwhile, so keep it short, and call no other method of the handle inside.
    pub fn read<R>(&self, read: impl FnOnce(&Node) -> R) -> R {
        read(self.shared.lock().driven.node())
    }

    /// Starts the node, and joins through these, addresses or `host:port`. They are tried for ever, names are
    /// looked up again, and oneself among them is fine; so it returns at once, and the driver's `joined`
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
        self.shared.tell_peers_if_any();
        if !names.is_empty() {
            self.start_sources(None).map_err(JoinError::Names)?;
            self.with_sources(|sources| sources.add_names(names));
        }
        Ok(())
    }

    /// Tells every member, and this one too. It goes out as `broadcast.first` says.
    ///
    /// # Errors
    /// The node refuses: it has not been in contact with anybody yet, too much waits to be sent, the payload or the
    /// topic is too long, or the topic is reserved.
    pub fn broadcast(
        &self,
        topic: impl Into<String>,
        payload: impl Into<Vec<u8>>,
    ) -> Result<MessageId, Rejected> {
        self.submit(Broadcast::new(topic, payload))
    }

    /// The same for a broadcast that is reported on, or goes out in a way of its own.
    ///
    /// # Errors
    /// As for [`broadcast`](Self::broadcast), and if too many are reported on.
    pub fn submit(&self, broadcast: Broadcast) -> Result<MessageId, Rejected> {
        let answer = self.command(Command::Broadcast(broadcast))?;
        let Answer::Sent(id) = answer else { unreachable!("a broadcast is answered with its id") };
        Ok(id)
    }

    /// The broadcasts of a topic that are still kept here, the newest first: for a reader of the news that was told
    /// of having missed some, or comes late.
    #[must_use]
    pub fn recent(&self, topic: &str) -> Vec<(MessageId, Vec<u8>)> {
        self.read(|node| node.recent(topic).map(|(id, payload)| (id, payload.to_vec())).collect())
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
        self.shared.stats()
    }

    /// Whether it takes no more commands: it was stopped, or a bug ended it.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.shared.lock().driven.is_stopped()
    }

    /// Where the node stands, all of one moment.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::of(&self.shared.lock().driven)
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
        self.shared.set_tracer(tracer);
    }

    /// Starts the look-up of names and files, unless it runs already.
    pub(crate) fn start_sources(&self, peers_file: Option<PathBuf>) -> io::Result<()> {
        let mut sources = self.shared.sources();
        if sources.is_none() {
            let weak = Arc::downgrade(&self.shared);
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
        self.shared.sources().as_ref().map(with)
    }
}
