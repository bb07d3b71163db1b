//! How a node is started with more than a name and an address.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::{io, thread};

use bruit_core::{Config, NodeId};
use bruit_driver::{JournalSettings, NOTICES_MAX, Notices, Settings, StartError, Started};
use mio::{Poll, Token, Waker};

use crate::event_loop::EventLoop;
use crate::handle::Bruit;
use crate::shared::Shared;
use crate::socket::{ANYWHERE, Socket, plain};

const SOCKET: Token = Token(0);
const WAKER: Token = Token(1);

/// The settings of one node. [`start`](Self::start) makes it.
#[derive(Clone, Debug)]
#[must_use = "it does nothing until it is started"]
pub struct Builder {
    name: String,
    config: Config,
    id: Option<NodeId>,
    zone: String,
    meta: Vec<u8>,
    advertise: Option<SocketAddr>,
    state_dir: Option<PathBuf>,
    journal: Option<JournalSettings>,
    peers_file: Option<PathBuf>,
    notices_max: usize,
}

impl Builder {
    /// A node of this name, in the cluster of this configuration.
    pub fn new(name: impl Into<String>, config: Config) -> Self {
        Self {
            name: name.into(),
            config,
            id: None,
            zone: String::new(),
            meta: Vec::new(),
            advertise: None,
            state_dir: None,
            journal: None,
            peers_file: None,
            notices_max: NOTICES_MAX,
        }
    }

    /// Its id; made from the name by default.
    pub const fn id(mut self, id: NodeId) -> Self {
        self.id = Some(id);
        self
    }

    /// Its failure zone, at most 32 bytes.
    pub fn zone(mut self, zone: impl Into<String>) -> Self {
        self.zone = zone.into();
        self
    }

    /// Bytes for the application that every member sees, at most 512.
    pub fn meta(mut self, meta: impl Into<Vec<u8>>) -> Self {
        self.meta = meta.into();
        self
    }

    /// The address that others shall use, if it is not the bound one; port 0 stands for the bound port.
    pub const fn advertise(mut self, addr: SocketAddr) -> Self {
        self.advertise = Some(addr);
        self
    }

    /// Keeps what must survive a restart in this directory, which is made if it is not there.
    pub fn state_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(path.into());
        self
    }

    /// Writes every event to a journal.
    pub fn journal(mut self, settings: JournalSettings) -> Self {
        self.journal = Some(settings);
        self
    }

    /// Takes peers from this file, one `host:port` a line, and reads it again when it changes.
    pub fn peers_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.peers_file = Some(path.into());
        self
    }

    /// News that wait for a slow reader at most; beyond it the oldest go. Default 4 096.
    pub const fn notices_max(mut self, max: usize) -> Self {
        self.notices_max = max;
        self
    }

    /// Binds `addr` (`host:port`; port 0 for any) and starts the thread. The node is silent until it joins.
    ///
    /// # Errors
    /// The address cannot be bound, a setting is out of its range, or a directory cannot be used. Nothing runs
    /// then.
    #[expect(clippy::needless_pass_by_value, reason = "addresses and texts are passed as they are at hand")]
    pub fn start(self, addr: impl ToString) -> Result<(Bruit, Notices), StartError> {
        let socket = bind(&addr.to_string())?;
        self.start_on(socket)
    }

    /// The same on any port of every address of this machine.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn start_anywhere(self) -> Result<(Bruit, Notices), StartError> {
        let [v6, v4] = ANYWHERE;
        let socket = Socket::bind(v6).or_else(|_| Socket::bind(v4));
        self.start_on(socket.map_err(|source| StartError::Bind { addr: v4, source })?)
    }

    fn start_on(self, mut socket: Socket) -> Result<(Bruit, Notices), StartError> {
        let poll = Poll::new().map_err(|source| system("make a poller", source))?;
        let waker = Waker::new(poll.registry(), WAKER).map_err(|source| system("make a waker", source))?;
        socket.register(poll.registry(), SOCKET).map_err(|source| system("watch the socket", source))?;
        let peers_file = self.peers_file.clone();
        let Started { driven, notices, state } = self.settings(socket.local()).start()?;
        let shared = Arc::new(Shared::new(driven, socket, waker));
        if let Some(state) = state {
            let weak = Arc::downgrade(&shared);
            let done = move |slot, serial, written| {
                if let Some(shared) = weak.upgrade() {
                    shared.stored(slot, serial, written);
                }
            };
            shared.lock().driven.keep(state, done).map_err(|source| system("start a thread", source))?;
        }
        let event_loop = EventLoop::new(Arc::clone(&shared), poll);
        let named = thread::Builder::new().name("bruit-udp".to_owned());
        let thread =
            named.spawn(move || event_loop.run()).map_err(|source| system("start a thread", source))?;
        let bruit = Bruit::new(shared, thread);
        if let Some(path) = peers_file {
            bruit.start_sources(Some(path)).map_err(|source| system("start a thread", source))?;
        }
        Ok((bruit, notices))
    }

    fn settings(self, bound: SocketAddr) -> Settings {
        let mut addr = plain(self.advertise.unwrap_or(bound));
        if addr.port() == 0 {
            addr.set_port(bound.port());
        }
        let id = self.id.unwrap_or_else(|| NodeId::from_name(&self.name));
        Settings {
            id,
            name: self.name,
            addr,
            zone: self.zone,
            meta: self.meta,
            config: self.config,
            state_dir: self.state_dir,
            journal: self.journal,
            notices_max: self.notices_max,
        }
    }
}

/// The first address behind `addr` that can be bound.
fn bind(addr: &str) -> Result<Socket, StartError> {
    let unusable = |source| StartError::Address { addr: addr.to_owned(), source };
    let mut last = unusable(io::Error::new(io::ErrorKind::NotFound, "the name stands for no address"));
    for addr in addr.to_socket_addrs().map_err(unusable)? {
        match Socket::bind(addr) {
            Ok(socket) => return Ok(socket),
            Err(source) => last = StartError::Bind { addr, source },
        }
    }
    Err(last)
}

const fn system(what: &'static str, source: io::Error) -> StartError {
    StartError::System { what, source }
}
