//! The reasons why received bytes are refused.

use core::fmt;

/// Why bytes are not a datagram of this cluster, or why a message in one is not readable. A node counts it and goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The datagram or message has fewer bytes than its fixed part needs, or a length that points past the end.
    Truncated,
    /// The first byte names a format version that this crate does not read.
    Version(u8),
    /// The cluster tag is that of another cluster.
    OtherCluster,
    /// The checksum does not match: the datagram was damaged on the way.
    Checksum,
    /// The datagram is sealed with a cipher or key that this node does not have.
    Sealed,
    /// A field holds a value that the format does not allow.
    Invalid(&'static str),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => write!(f, "truncated"),
            Self::Version(version) => write!(f, "format version {version}"),
            Self::OtherCluster => write!(f, "another cluster"),
            Self::Checksum => write!(f, "bad checksum"),
            Self::Sealed => write!(f, "sealed with an unknown cipher or key"),
            Self::Invalid(what) => write!(f, "invalid {what}"),
        }
    }
}
