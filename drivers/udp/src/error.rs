//! What can be wrong with a join.

use std::{fmt, io};

use bruit_core::Rejected;
use bruit_driver::BadSeed;

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
