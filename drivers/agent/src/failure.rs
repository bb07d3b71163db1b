//! The failures of a command, and the exit code of each.

use std::fmt;

/// The reason why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command was understood and refused.
    Refused(String),
    /// No agent could be reached.
    NoAgent(String),
    /// The command line or the settings are wrong.
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
