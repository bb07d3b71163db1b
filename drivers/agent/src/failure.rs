//! How the command can fail, and the exit code of each way.

use std::fmt;

/// Why nothing was done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was understood and refused.
    Refused(String),
    /// No agent could be reached.
    NoAgent(String),
    /// It was not understood.
    Usage(String),
}

impl Failure {
    pub(crate) const USAGE: u8 = 3;

    pub(crate) const fn code(&self) -> u8 {
        match self {
            Self::Refused(_) => 1,
            Self::NoAgent(_) => 2,
            Self::Usage(_) => Self::USAGE,
        }
    }

    pub(crate) fn refused(error: impl ToString) -> Self {
        Self::Refused(error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(text) | Self::NoAgent(text) | Self::Usage(text) => f.write_str(text),
        }
    }
}
