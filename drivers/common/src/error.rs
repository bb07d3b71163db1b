//! What can keep a node from starting or joining, and what can go wrong around a running one.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use bruit_core::{ConfigError, Rejected};

use crate::journal::JournalError;
use crate::names::BadSeed;
use crate::peers::BadLine;
use crate::state::StateError;

/// Why a node did not start. Nothing runs.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The address could not be bound: in use, not of this machine, or not permitted.
    Bind {
        /// The address.
        addr: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The multicast group cannot be used: no such interface, another address family, or refused.
    Multicast {
        /// The group.
        group: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The address to bind is not one.
    Address {
        /// What was given, as text where it was a name.
        addr: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// The settings contradict each other or lie outside their range.
    Config(ConfigError),
    /// The state directory cannot be used.
    State(StateError),
    /// `broadcast.persist_seen` says to keep what has been delivered, and there is no state directory to keep it in.
    NoStateDir,
    /// The journal cannot be written.
    Journal(JournalError),
    /// The operating system has no randomness to give.
    Randomness(String),
    /// A thread or a poller could not be made.
    System {
        /// What was tried.
        what: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// The calendar or the stored epoch lies at the end of the range of epochs.
    EpochEnd(u64),
}

impl StartError {
    /// The operating system refused what a driver needs.
    #[must_use]
    pub const fn system(what: &'static str, source: io::Error) -> Self {
        Self::System { what, source }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind { addr, source } if source.kind() == io::ErrorKind::AddrInUse => {
                write!(f, "cannot bind {addr}: the address is in use by another process")
            }
            Self::Bind { addr, source } => write!(f, "cannot bind {addr}: {source}"),
            Self::Multicast { group, source } => {
                write!(f, "cannot use the multicast group {group}: {source}")
            }
            Self::Address { addr, source } => write!(f, "{addr} is no address to bind: {source}"),
            Self::Config(error) => write!(f, "{error}"),
            Self::State(error) => write!(f, "{error}"),
            Self::NoStateDir => write!(f, "broadcast.persist_seen needs a state directory"),
            Self::Journal(error) => write!(f, "{error}"),
            Self::Randomness(error) => write!(f, "the operating system gave no randomness: {error}"),
            Self::System { what, source } => write!(f, "cannot {what}: {source}"),
            Self::EpochEnd(epoch) => {
                write!(f, "epoch {epoch} has no successor; check the calendar of this machine")
            }
        }
    }
}

impl std::error::Error for StartError {}

impl From<ConfigError> for StartError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<StateError> for StartError {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

impl From<JournalError> for StartError {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

/// Why a join was refused. Nothing has changed.
///
/// That nobody answers is no error: the seeds are tried for ever.
#[derive(Debug)]
#[non_exhaustive]
pub enum JoinError {
    /// A seed is neither an address nor `host:port`.
    BadSeed(BadSeed),
    /// The node refused.
    Rejected(Rejected),
    /// The thread that looks names up could not be started.
    Names(io::Error),
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadSeed(error) => write!(f, "{error}"),
            Self::Rejected(rejected) => write!(f, "{rejected}"),
            Self::Names(error) => write!(f, "cannot look names up: {error}"),
        }
    }
}

impl std::error::Error for JoinError {}

impl From<BadSeed> for JoinError {
    fn from(error: BadSeed) -> Self {
        Self::BadSeed(error)
    }
}

impl From<Rejected> for JoinError {
    fn from(rejected: Rejected) -> Self {
        Self::Rejected(rejected)
    }
}

/// Something around the node does not work at the moment. The node itself goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// A host name gave no address. It is tried again, at the latest after a minute.
    Unresolved {
        /// The name, with its port.
        name: String,
        /// What the resolver said.
        error: String,
    },
    /// A line of the peers file is not `host:port`; it is skipped.
    PeersLine(BadLine),
    /// The peers file cannot be read; the peers stay as they were.
    PeersFile {
        /// The file.
        path: std::path::PathBuf,
        /// What the operating system said.
        error: String,
    },
    /// More peers were found than a node keeps; the last ones are left out.
    PeersLeftOut {
        /// How many there were.
        found: usize,
        /// How many are in use.
        kept: usize,
    },
    /// The node refused the peers.
    PeersRefused(Rejected),
    /// A slot could not be made durable. It is tried again each second, and what waits for it waits on.
    Store {
        /// What failed, with the path.
        error: String,
    },
    /// The journal could not be written, and has ended.
    Journal {
        /// What failed, with the path.
        error: String,
    },
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unresolved { name, error } => write!(f, "{name} gives no address: {error}"),
            Self::PeersLine(line) => write!(f, "{line}"),
            Self::PeersFile { path, error } => write!(f, "the peers file {}: {error}", path.display()),
            Self::PeersLeftOut { found, kept } => {
                write!(f, "{found} peers found, but only {kept} of them are kept")
            }
            Self::PeersRefused(rejected) => write!(f, "the peers were refused: {rejected}"),
            Self::Store { error } | Self::Journal { error } => f.write_str(error),
        }
    }
}

impl From<BadSeed> for io::Error {
    fn from(error: BadSeed) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}
