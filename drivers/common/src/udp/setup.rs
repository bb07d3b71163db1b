//! What a node is started with, and the start: sockets, epoch, node.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;

use bruit_core::{Config, broadcast::FirstPhase};

use crate::driven::{Settings, Started};
use crate::error::StartError;
use crate::notices::Notices;
use crate::udp::multicast::Multicast;
use crate::udp::running::Running;
use crate::udp::shared::{Hooks, Shared};
use crate::udp::socket::{NodeSocket, plain};
use crate::udp::stats::Status;

/// What the builders of the drivers collect. [`builder_methods!`](crate::builder_methods) makes their methods.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The node's own settings; `addr` is filled in when the socket is bound.
    pub settings: Settings,
    /// The address that others shall use, if it is not the bound one.
    pub advertise: Option<SocketAddr>,
    /// A file of peers, read again when it changes.
    pub peers_file: Option<PathBuf>,
    /// A group to hear.
    pub multicast: Option<Multicast>,
}

impl Setup {
    /// A node of this name, in the cluster of this configuration.
    pub fn new(name: impl Into<String>, config: Config) -> Self {
        let unbound = SocketAddr::from(([0, 0, 0, 0], 0));
        let settings = Settings::new(name, unbound, config);
        Self { settings, advertise: None, peers_file: None, multicast: None }
    }

    /// Binds the first address behind `addr` (`host:port`) that can be bound, and makes the node. It looks a name
    /// up and writes to the disk, so it may block.
    ///
    /// # Errors
    /// The address cannot be bound, a setting is out of its range, or a directory cannot be used.
    pub fn open(self, addr: &str) -> Result<Opened, StartError> {
        let socket = bind(addr)?;
        self.open_on(socket)
    }

    /// The same on any port of every address of this machine.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn open_anywhere(self) -> Result<Opened, StartError> {
        let socket = NodeSocket::bind_anywhere();
        self.open_on(socket.map_err(|(addr, source)| StartError::Bind { addr, source })?)
    }

    fn open_on(mut self, socket: NodeSocket) -> Result<Opened, StartError> {
        let bound = socket.local();
        let mut addr = plain(self.advertise.unwrap_or(bound));
        if addr.port() == 0 {
            addr.set_port(bound.port());
        }
        self.settings.addr = addr;
        let mut receivers =
            vec![socket.receiver().map_err(|source| StartError::system("clone the socket", source))?];
        if let Some(multicast) = self.multicast.or_else(|| self.configured_group()) {
            let joined = multicast.join(&socket);
            let group = multicast.group;
            receivers.extend(joined.map_err(|source| StartError::Multicast { group, source })?);
        }
        Ok(Opened { socket, receivers, started: self.settings.start()?, peers_file: self.peers_file })
    }

    /// A group that broadcasts are sent to is one that all members hear.
    fn configured_group(&self) -> Option<Multicast> {
        match self.settings.config.broadcast.first {
            FirstPhase::Multicast { group: Some(group) } => Some(Multicast { group, interface: None }),
            FirstPhase::Multicast { group: None }
            | FirstPhase::None
            | FirstPhase::Push { .. }
            | FirstPhase::Tree { .. } => None,
        }
    }
}

/// A node that is ready to run, with its sockets bound. Dropping it frees everything.
#[derive(Debug)]
pub struct Opened {
    socket: NodeSocket,
    receivers: Vec<UdpSocket>,
    started: Started,
    peers_file: Option<PathBuf>,
}

impl Opened {
    /// Takes the sockets that the loop shall read, none of which ever blocks: the node's own, and if it needs one
    /// of its own, the multicast group's.
    #[must_use]
    pub fn take_receivers(&mut self) -> Vec<UdpSocket> {
        std::mem::take(&mut self.receivers)
    }

    /// Where the node stands before its first event.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::of(&self.started.driven)
    }

    /// Makes the node answer. It hears others as soon as the driver's loop runs.
    ///
    /// # Errors
    /// A thread could not be started.
    pub fn run(self, hooks: Arc<dyn Hooks>) -> Result<(Running, Arc<Shared>, Notices), StartError> {
        let failed = |source| StartError::system("start a thread", source);
        let Started { driven, notices, state } = self.started;
        let shared = Arc::new(Shared::new(driven, self.socket, hooks));
        if let Some(state) = state {
            let weak = Arc::downgrade(&shared);
            let done = move |slot, serial, written| {
                if let Some(shared) = weak.upgrade() {
                    shared.stored(slot, serial, written);
                }
            };
            shared.lock().driven.keep(state, done).map_err(failed)?;
        }
        let running = Running::new(Arc::clone(&shared));
        if self.peers_file.is_some() {
            running.start_sources(self.peers_file).map_err(failed)?;
        }
        Ok((running, shared, notices))
    }
}

fn bind(addr: &str) -> Result<NodeSocket, StartError> {
    let unusable = |source| StartError::Address { addr: addr.to_owned(), source };
    let mut last = unusable(io::Error::new(io::ErrorKind::NotFound, "the name stands for no address"));
    for addr in addr.to_socket_addrs().map_err(unusable)? {
        match NodeSocket::bind(addr) {
            Ok(socket) => return Ok(socket),
            Err(source) => last = StartError::Bind { addr, source },
        }
    }
    Err(last)
}

/// The methods of a driver's builder that set something: all but its start. The type has one field, `setup`.
#[macro_export]
macro_rules! builder_methods {
    () => {
        /// A node of this name, in the cluster of this configuration.
        pub fn new(name: impl Into<String>, config: bruit_core::Config) -> Self {
            Self { setup: $crate::udp::Setup::new(name, config) }
        }

        /// Its id; made from the name by default.
        pub const fn id(mut self, id: bruit_core::NodeId) -> Self {
            self.setup.settings.id = id;
            self
        }

        /// Its failure zone, at most 32 bytes.
        pub fn zone(mut self, zone: impl Into<String>) -> Self {
            self.setup.settings.zone = zone.into();
            self
        }

        /// Bytes for the application that every member sees, at most 512.
        pub fn meta(mut self, meta: impl Into<Vec<u8>>) -> Self {
            self.setup.settings.meta = meta.into();
            self
        }

        /// The address that others shall use, if it is not the bound one; port 0 stands for the bound port.
        pub const fn advertise(mut self, addr: std::net::SocketAddr) -> Self {
            self.setup.advertise = Some(addr);
            self
        }

        /// Hears this multicast group too, and sends to it one hop far on the same interface. By default it hears the
        /// group that `broadcast.first` sends to, if that names one.
        ///
        /// Without an interface it is the one of the bound IPv4 address, or the scope of an IPv6 group, or else the
        /// operating system's choice. The group's port may be the node's own, if that is bound on every address, or
        /// one that all members share. A start fails if the interface or the group cannot be used.
        pub const fn multicast(
            mut self,
            group: std::net::SocketAddr,
            interface: Option<$crate::udp::Interface>,
        ) -> Self {
            self.setup.multicast = Some($crate::udp::Multicast { group, interface });
            self
        }

        /// Keeps what must survive a restart in this directory, which is made if it is not there.
        pub fn state_dir(mut self, path: impl Into<std::path::PathBuf>) -> Self {
            self.setup.settings.state_dir = Some(path.into());
            self
        }

        /// Writes every event to a journal.
        pub fn journal(mut self, settings: $crate::JournalSettings) -> Self {
            self.setup.settings.journal = Some(settings);
            self
        }

        /// Takes peers from this file, one `host:port` a line, and reads it again when it changes.
        pub fn peers_file(mut self, path: impl Into<std::path::PathBuf>) -> Self {
            self.setup.peers_file = Some(path.into());
            self
        }

        /// News that wait for a slow reader at most; beyond it the oldest go. Default 4 096. Of the broadcasts among
        /// them no more than 16 MiB wait either.
        pub const fn notices_max(mut self, max: usize) -> Self {
            self.setup.settings.notices_max = max;
            self
        }
    };
}
