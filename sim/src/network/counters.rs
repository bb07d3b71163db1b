//! What the network did, by stage.

use core::fmt;

use serde::{Deserialize, Serialize};

/// Why a datagram did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DropReason {
    /// Longer than the link carries.
    Mtu,
    /// A cut stood in the way when it was sent.
    Cut,
    /// All its messages were taken out by the test's filter.
    Filtered,
    /// A cut was made while it was in flight.
    CutInFlight,
    /// Random loss, single or in bursts.
    Loss,
    /// Nobody has the address.
    Unreachable,
    /// The receiver does not run.
    Crashed,
    /// The inbox of a paused receiver is full.
    InboxFull,
}

impl DropReason {
    /// All of them.
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

/// Datagrams by what became of them. `sent + fanned_out + duplicated = delivered + all drops + in flight`, always
/// (CS2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Handed to the network.
    pub sent: u64,
    /// Bytes of them.
    pub sent_bytes: u64,
    /// Copies, beyond the first, of datagrams that were for a group.
    pub fanned_out: u64,
    /// Copies that the network added.
    pub duplicated: u64,
    /// Given to a process.
    pub delivered: u64,
    /// Whose bytes or destination were changed.
    pub damaged: u64,
    /// Sent later on purpose, so that others overtake them.
    pub reordered: u64,
    /// Kept behind a cut, to be delivered when it heals.
    pub held: u64,
    dropped: [u64; DropReason::ALL.len()],
}

impl Counters {
    /// Lost for this reason.
    #[must_use]
    pub const fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize]
    }

    /// Lost for any reason.
    #[must_use]
    pub fn dropped_all(&self) -> u64 {
        self.dropped.iter().sum()
    }

    pub(crate) const fn count_drop(&mut self, reason: DropReason) {
        self.dropped[reason as usize] += 1;
    }
}
