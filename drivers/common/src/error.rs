//! The errors of a start and of a join, and the troubles around a running node.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use bruit_core::{ConfigError, Rejected};

use crate::journal::JournalError;
use crate::names::BadSeed;
use crate::state::StateError;

/// The reason why a node did not start. Nothing runs.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The address could not be bound: in use, not of this machine, or not permitted.
    Bind {
        /// The address.
        addr: SocketAddr,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The multicast group cannot be used: no such interface, another address family, or refused.
    Multicast {
        /// The group.
        group: SocketAddr,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The text to bind to is neither an address nor a name that can be looked up.
    Address {
        /// The text that was given.
        addr: String,
        /// The error of the look-up.
        source: io::Error,
    },
    /// The settings contradict each other or lie outside their range.
    Config(ConfigError),
    /// The state directory cannot be used.
    State(StateError),
    /// `broadcast.persist_seen` says to keep the set of delivered broadcasts, but no state directory was given.
    NoStateDir,
    /// The journal cannot be written.
    Journal(JournalError),
    /// The operating system has no randomness to give.
    Randomness(String),
    /// The operating system refused something else that a driver needs, such as a thread or a poller.
    System {
        /// The operation that failed, as words that follow "cannot".
        what: &'static str,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The calendar or the stored epoch is at the end of the range of epochs. It carries the calendar, in nanoseconds
    /// since 1970.
    EpochEnd(u64),
}

impl StartError {
    /// Creates [`StartError::System`].
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
            Self::Bind { addr, .. } => write!(f, "cannot bind {addr}"),
            Self::Multicast { group, .. } => {
                write!(f, "cannot use the multicast group {group}")
            }
            Self::Address { addr, .. } => {
                write!(f, "cannot find an address to bind for {addr}")
            }
            Self::Config(error) => write!(f, "{error}"),
            Self::State(error) => write!(f, "{error}"),
            Self::NoStateDir => write!(f, "broadcast.persist_seen needs a state directory"),
            Self::Journal(error) => write!(f, "{error}"),
            Self::Randomness(error) => write!(f, "the operating system gave no randomness: {error}"),
            Self::System { what, .. } => write!(f, "cannot {what}"),
            Self::EpochEnd(epoch) => {
                write!(f, "no epoch is left after {epoch}; check the calendar of this machine")
            }
        }
    }
}

impl Error for StartError {
    /// The error of the operating system, if there is one. The text of this error does not repeat it.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Bind { source, .. } if source.kind() == io::ErrorKind::AddrInUse => None,
            Self::Bind { source, .. }
            | Self::Multicast { source, .. }
            | Self::Address { source, .. }
            | Self::System { source, .. } => Some(source),
            Self::Config(error) => error.source(),
            Self::State(error) => error.source(),
            Self::Journal(error) => error.source(),
            Self::NoStateDir | Self::Randomness(_) | Self::EpochEnd(_) => None,
        }
    }
}

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

/// The reason why a join was refused. Nothing has changed.
///
/// A seed that does not answer is no error: seeds are retried forever.
#[derive(Debug)]
#[non_exhaustive]
pub enum JoinError {
    /// A seed is neither an address nor `host:port`.
    BadSeed(BadSeed),
    /// The node refused the command.
    Rejected(Rejected),
    /// The thread that looks names up could not be started.
    Names(io::Error),
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadSeed(error) => write!(f, "{error}"),
            Self::Rejected(rejected) => write!(f, "{rejected}"),
            Self::Names(_) => write!(f, "cannot look names up"),
        }
    }
}

impl Error for JoinError {
    /// The error of the operating system, if there is one. The text of this error does not repeat it.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Names(error) => Some(error),
            Self::BadSeed(_) | Self::Rejected(_) => None,
        }
    }
}

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

/// A failure around the node that may pass. The node itself goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// The look-up of a host name failed. It is tried again, at the latest after a minute.
    Unresolved {
        /// The name, with its port.
        name: String,
        /// The error of the look-up.
        error: String,
    },
    /// A line of the peers file is not `host:port`; it is skipped.
    PeersLine(BadLine),
    /// The peers file cannot be read. The peers that were read before stay in use.
    PeersFile {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        error: String,
    },
    /// More peers were found than a node takes. The last ones are left out.
    PeersLeftOut {
        /// The number of peers found.
        found: usize,
        /// The number of peers in use.
        kept: usize,
    },
    /// The node refused the peers.
    PeersRefused(Rejected),
    /// A durable slot could not be written. The write is retried every second; deliveries that depend on it wait.
    Store {
        /// The error, with the path of the file.
        error: String,
    },
    /// The node needs new randomness, because a copy of it runs, and the operating system gave none. The node sends nothing
    /// any more; restart it.
    Seed {
        /// The error of the operating system.
        error: String,
    },
    /// The journal could not be written. No further event is recorded.
    Journal {
        /// The error, with the path of the file.
        error: String,
    },
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unresolved { name, error } => write!(f, "cannot look up {name}: {error}"),
            Self::PeersLine(line) => write!(f, "{line}"),
            Self::PeersFile { path, error } => write!(f, "the peers file {}: {error}", path.display()),
            Self::PeersLeftOut { found, kept } => {
                write!(f, "{found} peers were found, but only {kept} of them are used")
            }
            Self::PeersRefused(rejected) => write!(f, "the node refused the peers: {rejected}"),
            Self::Seed { error } => write!(f, "no new seed for the node: {error}"),
            Self::Store { error } | Self::Journal { error } => f.write_str(error),
        }
    }
}

/// A line of a peers file that is not `host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// The file.
    pub path: PathBuf,
    /// The number of the line, from 1.
    pub line: usize,
    /// The error in it.
    pub error: BadSeed,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.error)
    }
}

impl From<BadSeed> for io::Error {
    fn from(error: BadSeed) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}
