//! Counters of the network, and the reasons for which datagrams are dropped.

use core::fmt;

use serde::{Deserialize, Serialize};

/// The reason for which a datagram did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DropReason {
    /// The datagram is longer than the mtu of the link.
    Mtu,
    /// A cut blocked the link when the datagram was sent.
    Cut,
    /// The filter of a test removed all its messages.
    Filtered,
    /// A cut was made while the datagram was in flight.
    CutInFlight,
    /// The link lost the datagram at random, by itself or in a burst.
    Loss,
    /// No process has the address.
    Unreachable,
    /// The receiver is crashed.
    Crashed,
    /// The inbox of a paused receiver is full.
    InboxFull,
}

impl DropReason {
    /// All reasons.
    pub const ALL: [Self; 8] = [
        Self::Mtu,
        Self::Cut,
        Self::Filtered,
        Self::CutInFlight,
        Self::Loss,
        Self::Unreachable,
        Self::Crashed,
        Self::InboxFull,
    ];
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mtu => "mtu",
            Self::Cut => "cut",
            Self::Filtered => "filtered",
            Self::CutInFlight => "cut in flight",
            Self::Loss => "loss",
            Self::Unreachable => "unreachable",
            Self::Crashed => "crashed",
            Self::InboxFull => "inbox full",
        })
    }
}

/// The number of datagrams by what happened to them. At any time, `sent + fanned_out + duplicated` equals `delivered`
/// plus all drops plus the datagrams under way (check CS2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Datagrams that processes sent.
    pub sent: u64,
    /// The bytes of these datagrams.
    pub sent_bytes: u64,
    /// Copies of datagrams to groups, beyond the first copy of each.
    pub fanned_out: u64,
    /// Copies that the network made because of `duplicate_ppm`.
    pub duplicated: u64,
    /// Datagrams that were given to a process.
    pub delivered: u64,
    /// Datagrams whose bytes or destination the network changed.
    pub damaged: u64,
    /// Datagrams that were held back, so that others overtake them.
    pub reordered: u64,
    /// Datagrams that were held behind a cut, to be delivered when it heals.
    pub held: u64,
    dropped: [u64; DropReason::ALL.len()],
}

impl Counters {
    /// Datagrams that were dropped for this reason.
    #[must_use]
    pub const fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize]
    }

    /// Datagrams that were dropped for any reason.
    #[must_use]
    pub fn dropped_all(&self) -> u64 {
        self.dropped.iter().sum()
    }

    pub(crate) const fn count_drop(&mut self, reason: DropReason) {
        self.dropped[reason as usize] += 1;
    }
}
