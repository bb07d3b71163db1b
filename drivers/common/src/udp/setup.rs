//! The settings of a node and its start: the sockets are bound, the epoch is made durable, the node is created.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;

use bruit_core::{Config, broadcast::FirstPhase};

use crate::driver::{Settings, Started};
use crate::error::StartError;
use crate::notices::Notices;
use crate::udp::multicast::Multicast;
use crate::udp::shared::{Shared, WakeUp};
use crate::udp::socket::{NodeSocket, plain};
use crate::udp::stats::Status;

/// The settings that a driver's builder collects. [`builder_methods!`](crate::builder_methods) defines its methods.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The node's own settings; `addr` is filled in when the socket is bound.
    pub settings: Settings,
    /// The address that the member announces, if that is not the bound one.
    pub advertise: Option<SocketAddr>,
    /// A file with one `host:port` a line, read again when it changes.
    pub peers_file: Option<PathBuf>,
    /// The multicast group to receive from.
    pub multicast: Option<Multicast>,
}

impl Setup {
    /// Settings for a node of this name, in the cluster of this configuration.
    pub fn new(name: impl Into<String>, config: Config) -> Self {
        let unbound = SocketAddr::from(([0, 0, 0, 0], 0));
        let settings = Settings::new(name, unbound, config);
        Self { settings, advertise: None, peers_file: None, multicast: None }
    }

    /// Binds the first usable address of `addr` (`host:port`), and creates the node. It may look up a name and it
    /// writes to the disk, so it may block.
    ///
    /// # Errors
    /// The address cannot be bound, a setting is out of its range, or a directory cannot be used.
    pub fn open(self, addr: &str) -> Result<Opened, StartError> {
        let socket = bind(addr)?;
        self.open_on(socket)
    }

    /// Binds any free port on every address of this machine, and creates the node.
    ///
    /// # Errors
    /// See [`open`](Self::open).
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

    /// The group that `broadcast.first` sends to. Every member receives from it, or the broadcasts would not arrive.
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

/// A node that is ready to run, with its sockets bound. Dropping it frees its addresses and its directories.
#[derive(Debug)]
pub struct Opened {
    socket: NodeSocket,
    receivers: Vec<UdpSocket>,
    started: Started,
    peers_file: Option<PathBuf>,
}

impl Opened {
    /// Takes the sockets that the driver's loop must read: the node's own socket, and a second one if the multicast
    /// group needs it. They are in non-blocking mode.
    #[must_use]
    pub fn take_receivers(&mut self) -> Vec<UdpSocket> {
        std::mem::take(&mut self.receivers)
    }

    /// The status before the first event.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::of(&self.started.driver)
    }

    /// Makes the node take commands. It receives datagrams as soon as the driver's loop runs.
    ///
    /// # Errors
    /// A thread could not be started.
    pub fn run<W: WakeUp>(self, wake_up: W) -> Result<(Arc<Shared<W>>, Notices), StartError> {
        let failed = |source| StartError::system("start a thread", source);
        let Started { driver, notices, state } = self.started;
        let shared = Arc::new(Shared::new(driver, self.socket, wake_up));
        if let Some(state) = state {
            let weak = Arc::downgrade(&shared);
            let done = move |slot, serial, written| {
                if let Some(shared) = weak.upgrade() {
                    shared.on_stored(slot, serial, written);
                }
            };
            shared.lock().keep_slots_in(state, done).map_err(failed)?;
        }
        if let Some(path) = self.peers_file {
            shared.read_peers_file(path).map_err(failed)?;
        }
        Ok((shared, notices))
    }
}

fn bind(addr: &str) -> Result<NodeSocket, StartError> {
    let unusable = |source| StartError::Address { addr: addr.to_owned(), source };
    let mut last = unusable(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    for addr in addr.to_socket_addrs().map_err(unusable)? {
        match NodeSocket::bind(addr) {
            Ok(socket) => return Ok(socket),
            Err(source) => last = StartError::Bind { addr, source },
        }
    }
    Err(last)
}

/// Defines all methods of a driver's builder except its start. The builder's type has one field, `setup`.
#[macro_export]
macro_rules! builder_methods {
    () => {
        /// Settings for a node of this name, in the cluster of this configuration.
        pub fn new(name: impl Into<String>, config: $crate::core::Config) -> Self {
            Self { setup: $crate::udp::Setup::new(name, config) }
        }

        /// Sets the id. By default it is made from the name.
        pub const fn id(mut self, id: $crate::core::NodeId) -> Self {
            self.setup.settings.id = id;
            self
        }

        /// Sets the failure zone, at most 32 bytes.
        pub fn zone(mut self, zone: impl Into<String>) -> Self {
            self.setup.settings.zone = zone.into();
            self
        }

        /// Sets bytes for the application, which every member sees; at most 512.
        pub fn meta(mut self, meta: impl Into<Vec<u8>>) -> Self {
            self.setup.settings.meta = meta.into();
            self
        }

        /// Adds a tag that every member sees, such as `role` with the value `db`; see [`Tags`]($crate::core::Tags) for the
        /// limits.
        pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
            self.setup.settings.tags.insert(key.into(), value.into());
            self
        }

        /// Sets the address that the member announces, if that is not the bound one. Port 0 stands for the bound
        /// port.
        pub const fn advertise(mut self, addr: std::net::SocketAddr) -> Self {
            self.setup.advertise = Some(addr);
            self
        }

        /// Receives from this multicast group too, and limits datagrams to it to one hop on `interface`. By default
        /// the node receives from the group that `broadcast.first` names, if it names one.
        ///
        /// Without `interface`, the node uses the interface of the bound IPv4 address, or the scope of an IPv6 group,
        /// or else the operating system's choice. The group's port may be the node's own port, if the node is bound
        /// on every address, or a port that all members share. The start fails if the group or the interface cannot
        /// be used.
        pub const fn multicast(
            mut self,
            group: std::net::SocketAddr,
            interface: Option<$crate::udp::Interface>,
        ) -> Self {
            self.setup.multicast = Some($crate::udp::Multicast { group, interface });
            self
        }

        /// Keeps the data that must survive a restart in this directory, which is created if it is missing.
        pub fn state_dir(mut self, path: impl Into<std::path::PathBuf>) -> Self {
            self.setup.settings.state_dir = Some(path.into());
            self
        }

        /// Writes every event to a journal, for replay.
        pub fn journal(mut self, settings: $crate::JournalSettings) -> Self {
            self.setup.settings.journal = Some(settings);
            self
        }

        /// Takes peers from this file, which has one `host:port` a line. The file is read again when it changes.
        pub fn peers_file(mut self, path: impl Into<std::path::PathBuf>) -> Self {
            self.setup.peers_file = Some(path.into());
            self
        }

        /// Sets the largest number of notices that wait for a slow reader; beyond it the oldest are dropped. Default
        /// 4 096. Independently of it, at most 16 MiB of broadcasts wait.
        pub const fn notices_max(mut self, max: usize) -> Self {
            self.setup.settings.notices_max = max;
            self
        }
    };
}
