//! The failures of a command, and the exit code of each.

use std::error::Error;
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

    pub(crate) fn refused(error: impl Error) -> Self {
        Self::Refused(in_full(&error))
    }

    pub(crate) fn usage(error: impl Error) -> Self {
        Self::Usage(in_full(&error))
    }
}

/// The text of an error, followed by those of its causes.
pub(crate) fn in_full(error: &dyn Error) -> String {
    let (mut text, mut source) = (error.to_string(), error.source());
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(text) | Self::NoAgent(text) | Self::Usage(text) => f.write_str(text),
        }
    }
}
