//! Who is who: members, their lives, and the numbers given to commands.

use core::fmt;
use core::hash::Hasher;
use core::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher24;

/// The permanent name of a member, chosen by the user and unique in the cluster.
///
/// Zero means "nobody" on the wire and is refused by [`Node::new`](crate::Node::new).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub u64);

impl NodeId {
    /// Nobody in particular: an unknown receiver, or a whole group.
    pub const NOBODY: Self = Self(0);

    /// The id of a named member: SipHash-2-4 of the name's UTF-8 bytes under the all-zero key, with a result
    /// of zero moved to one. The function is frozen; the same name gives the same id in every release.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        Self(hash64(name.as_bytes()).max(1))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

/// The one hash that crosses the wire (ids of names, the cluster tag, fingerprints): SipHash-2-4, zero key.
pub(crate) fn hash64(bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher24::new();
    hasher.write(bytes);
    hasher.finish()
}

/// Which life of a member, and how often it has spoken up in that life. Ordered as a pair.
///
/// The driver picks `epoch` at each boot, above all earlier ones; the member alone raises `counter`, to refute
/// a suspicion or to announce a change of its record (SWIM §4.2, rules A1 and A3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation {
    /// The boot; below 2⁶³.
    pub epoch: u64,
    /// The announcement within the boot; below 2³¹.
    pub counter: u32,
}

impl Incarnation {
    /// The first epoch that no honest member can have (rule A3).
    pub const EPOCH_END: u64 = 1 << 63;
    /// The first counter that no honest member can have (rule A3).
    pub const COUNTER_END: u32 = 1 << 31;

    /// The first incarnation of an epoch.
    #[must_use]
    pub const fn first(epoch: u64) -> Self {
        Self { epoch, counter: 0 }
    }

    /// Whether a correct member can have it (rule A3).
    #[must_use]
    pub const fn is_sane(self) -> bool {
        self.epoch < Self::EPOCH_END && self.counter < Self::COUNTER_END
    }

    /// The next one in the same life; the first of the next epoch where the counter is at its end (rule A1).
    #[must_use]
    pub const fn next(self) -> Self {
        if self.counter + 1 < Self::COUNTER_END {
            Self { epoch: self.epoch, counter: self.counter + 1 }
        } else {
            Self::first(self.epoch + 1)
        }
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.counter)
    }
}

/// What the failure detector holds of a member, ordered as the verdicts of one incarnation override each
/// other (SWIM §4.2; a graceful leave beats a presumed failure).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MemberState {
    /// It answers, or nobody has doubted it.
    Alive,
    /// Somebody got no answer; it has time to refute.
    Suspect,
    /// It is taken to have failed.
    Down,
    /// It said goodbye, or an operator removed it.
    Left,
}

impl MemberState {
    /// The name in lower case, as traces and commands spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Down => "down",
            Self::Left => "left",
        }
    }
}

/// Names one broadcast, everywhere: its origin, the epoch in which the origin sent it, and its number within
/// that epoch, counted from 1. Ordered as a triple.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MessageId {
    /// Who broadcast it.
    pub origin: NodeId,
    /// In which epoch of its incarnation (rule A1).
    pub epoch: u64,
    /// Its number in that epoch, from 1 without gaps.
    pub seq: u64,
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.origin, self.epoch, self.seq)
    }
}

/// Names one [`Command::Ping`](crate::Command::Ping) until its notice arrives; unique within a boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PingId(pub u64);

/// An address for hosts that have none of their own (Maelstrom's `n0`, a node behind HTTP): `number` inside
/// the unique-local block `fdb7:7569::/32`, port 1. Distinct numbers give distinct addresses.
#[must_use]
pub fn virtual_addr(number: u64) -> SocketAddr {
    let low = number.to_be_bytes();
    let [a, b, c, d] = [0, 2, 4, 6].map(|i| u16::from_be_bytes([low[i], low[i + 1]]));
    SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::new(0xfdb7, 0x7569, 0, 0, a, b, c, d), 1, 0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hash_to_frozen_ids() {
        assert_eq!(NodeId::from_name(""), NodeId(0x1e92_4b9d_7377_00d7));
        assert_eq!(NodeId::from_name("web-1"), NodeId(hash64(b"web-1")));
        assert_ne!(NodeId::from_name("web-1"), NodeId::from_name("web-2"));
    }

    #[test]
    fn a_counter_at_its_end_moves_to_the_next_epoch() {
        let last = Incarnation { epoch: 7, counter: Incarnation::COUNTER_END - 1 };
        assert!(last.is_sane());
        assert_eq!(last.next(), Incarnation::first(8));
        assert!(last < last.next());
    }

    #[test]
    fn virtual_addresses_are_distinct() {
        assert_ne!(virtual_addr(1), virtual_addr(1 << 32));
        assert_eq!(virtual_addr(258), "[fdb7:7569::102]:1".parse().expect("a valid address"));
    }
}
