//! The errors of writing and of replaying a journal.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The reason why a journal cannot be written, or does not replay.
#[derive(Debug)]
#[non_exhaustive]
pub enum JournalError {
    /// Another process writes to the directory.
    Locked(PathBuf),
    /// There is no segment in the directory.
    Empty(PathBuf),
    /// The file is damaged, or is not a segment.
    Damaged {
        /// The file.
        path: PathBuf,
        /// The position in bytes from its start.
        at: usize,
        /// The part that does not fit.
        reason: &'static str,
    },
    /// Another version of this crate wrote the segment, and may decide differently.
    Version {
        /// The file.
        path: PathBuf,
        /// The version that wrote it.
        found: String,
        /// The version that reads it.
        ours: &'static str,
    },
    /// The replayed node did something else than the recorded one.
    Diverged {
        /// The file.
        path: PathBuf,
        /// The number of the event in the segment, from 1; 0 is the start of the segment.
        event: u64,
        /// The recorded hash.
        written: u64,
        /// The hash of the replay.
        replayed: u64,
    },
    /// A setting of the writer is too small to work.
    Setting {
        /// The setting.
        field: &'static str,
        /// The value that it was set to.
        value: u64,
        /// The smallest legal value.
        min: u64,
    },
    /// The node or an event could not be serialised.
    Encode(PathBuf),
    /// The operating system refused an operation.
    Io {
        /// The operation that failed, as words that follow "cannot".
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

impl JournalError {
    pub(super) fn io(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { what, path: path.to_owned(), source }
    }
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked(path) => {
                write!(f, "the journal {} is being written by another process", path.display())
            }
            Self::Empty(path) => write!(f, "{} contains no journal segment", path.display()),
            Self::Damaged { path, at, reason } => {
                write!(f, "the journal segment {} is damaged at byte {at}: {reason}", path.display())
            }
            Self::Version { path, found, ours } => {
                write!(
                    f,
                    "{} was written by version {found}; version {ours} cannot replay it",
                    path.display()
                )
            }
            Self::Diverged { path, event, written, replayed } => {
                write!(
                    f,
                    "{} diverges at event {event}: the recorded hash is {written:016x}, the replay has {replayed:016x}",
                    path.display()
                )
            }
            Self::Setting { field, value, min } => {
                write!(f, "{field} is {value}, but must be at least {min}")
            }
            Self::Encode(path) => write!(f, "cannot serialise the node for {}", path.display()),
            Self::Io { what, path, source } => write!(f, "cannot {what} {}: {source}", path.display()),
        }
    }
}

impl std::error::Error for JournalError {}
