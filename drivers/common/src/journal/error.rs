//! What can be wrong with a journal.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a journal cannot be written, or does not replay.
#[derive(Debug)]
#[non_exhaustive]
pub enum JournalError {
    /// Another process writes there.
    Locked(PathBuf),
    /// There is no segment in the directory.
    Empty(PathBuf),
    /// The file is no segment, or is damaged.
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where, in bytes from its start.
        at: usize,
        /// What does not fit.
        reason: &'static str,
    },
    /// Another version of this crate wrote it; that one may have decided otherwise.
    Version {
        /// The file.
        path: PathBuf,
        /// Who wrote it.
        found: String,
        /// Who reads it.
        ours: &'static str,
    },
    /// The node did something else this time.
    Diverged {
        /// The file.
        path: PathBuf,
        /// Which of its events, from 1; 0 is the start of the segment.
        event: u64,
        /// The hash that was written.
        written: u64,
        /// The hash that came out.
        replayed: u64,
    },
    /// A setting of the writer is too small to work.
    Setting {
        /// Which.
        field: &'static str,
        /// What it was set to.
        value: u64,
        /// The least legal value.
        min: u64,
    },
    /// The node could not be written down.
    Encode(PathBuf),
    /// The operating system refused.
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What it said.
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
            Self::Empty(path) => write!(f, "{} holds no journal segment", path.display()),
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
                    "{} diverges at event {event}: hash {written:016x} was written, {replayed:016x} came out",
                    path.display()
                )
            }
            Self::Setting { field, value, min } => {
                write!(f, "{field} is {value}, but must be at least {min}")
            }
            Self::Encode(path) => write!(f, "the node could not be written to {}", path.display()),
            Self::Io { what, path, source } => write!(f, "cannot {what} {}: {source}", path.display()),
        }
    }
}

impl std::error::Error for JournalError {}
