//! Identifiers: of members, of their incarnations, of broadcasts, of pings and of durable slots.

use core::fmt;
use core::hash::Hasher;
use core::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher24;

/// The permanent id of a member, chosen by the user and unique in the cluster.
///
/// Zero means "nobody" on the wire and is refused by [`Node::new`](crate::Node::new).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub u64);

impl NodeId {
    /// The id that no member has. As the receiver of a datagram it stands for an unknown member, or for a group.
    pub const NOBODY: Self = Self(0);

    /// Computes the id of a member from its name. A name has the same id in every release: SipHash-2-4 of its UTF-8
    /// bytes under the all-zero key, and one if that is zero.
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

/// The only hash whose results cross the wire (ids of names, the cluster tag, fingerprints): SipHash-2-4 under the
/// all-zero key.
pub(crate) fn hash64(bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher24::new();
    hasher.write(bytes);
    hasher.finish()
}

/// The version of a member's record: the epoch of its boot, and a counter within the epoch. Ordered as a pair.
///
/// The driver picks `epoch` at each boot, above all earlier ones. Only the member itself raises `counter`: to
/// refute a suspicion, or to announce a change of its record (SWIM §4.2, rules A1 and A3). The upper part of the counter is
/// the number of the record, and the lower 16 bits count the refutations since it was published. So a refutation does not
/// change the record, and the record need not be sent again (rule B2). It is printed as epoch, record and refutations,
/// such as `7.2+1`, without the refutations if there are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation {
    /// The number of the boot, below 2⁶³. A driver without a disk uses the clock in nanoseconds.
    pub epoch: u64,
    /// The number of the announcement within the epoch, below 2³¹: the record in the upper bits, refutations in the lower 16.
    pub counter: u32,
}

impl Incarnation {
    /// The first epoch that is out of range; no correct member uses it (rule A3).
    pub const EPOCH_END: u64 = 1 << 63;
    /// The first counter that is out of range; no correct member uses it (rule A3).
    pub const COUNTER_END: u32 = 1 << 31;

    /// The bits of the counter that count refutations.
    const REFUTATIONS: u32 = 0xffff;

    /// The first incarnation of an epoch, with counter 0.
    #[must_use]
    pub const fn first(epoch: u64) -> Self {
        Self { epoch, counter: 0 }
    }

    /// Whether both numbers are in their range, so that a correct member can have this incarnation (rule A3).
    #[must_use]
    pub const fn is_sane(self) -> bool {
        self.epoch < Self::EPOCH_END && self.counter < Self::COUNTER_END
    }

    /// The incarnation at which the record was published: this one without its refutations.
    #[must_use]
    pub const fn published(self) -> Self {
        Self { epoch: self.epoch, counter: self.counter & !Self::REFUTATIONS }
    }

    /// The number of the record within the epoch.
    #[must_use]
    pub const fn record(self) -> u32 {
        self.counter >> Self::REFUTATIONS.count_ones()
    }

    /// The number of refutations since the record was published.
    #[must_use]
    pub const fn refutations(self) -> u32 {
        self.counter & Self::REFUTATIONS
    }

    /// The next incarnation with a changed record: in this epoch, or in the next one if the counter is at its end (rule A1).
    #[must_use]
    pub const fn next(self) -> Self {
        let counter = (self.counter | Self::REFUTATIONS) + 1;
        if counter < Self::COUNTER_END {
            Self { epoch: self.epoch, counter }
        } else {
            Self::first(self.epoch + 1)
        }
    }

    /// The next incarnation with the same record, or with the next record if too many refutations were counted.
    #[must_use]
    pub const fn refuted(self) -> Self {
        if self.refutations() < Self::REFUTATIONS {
            Self { epoch: self.epoch, counter: self.counter + 1 }
        } else {
            self.next()
        }
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.record())?;
        if self.refutations() > 0 { write!(f, "+{}", self.refutations()) } else { Ok(()) }
    }
}

/// The rank of a process among all processes that use its id. Of two that run, the one with the *smaller* rank stays
/// (rule A2). Ordered as a triple; it never changes while the process keeps its boot number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Rank {
    /// The smaller, the longer this process or its predecessors have held the id: one less than the seniority of the
    /// process that it took the id over from, or its first epoch if it found the id unused.
    pub seniority: u64,
    /// How often the process has drawn a new boot number because it found a copy of itself.
    pub draws: u16,
    /// The boot: the random number of the process.
    pub boot: u64,
}

/// The state of a member in the local view. The variants are ordered as verdicts about one incarnation override
/// each other: the greater one wins (SWIM §4.2; a graceful leave wins over a presumed failure).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MemberState {
    /// The member answers, or nobody has suspected it.
    Alive,
    /// A member got no answer from it. It still counts as a member and has time to refute.
    Suspect,
    /// The suspicion was not refuted in time: the member is taken to have failed.
    Down,
    /// The member has left, or an operator has removed it.
    Left,
}

impl MemberState {
    /// Whether the member can be used: it is Alive or Suspect. A suspect still counts as a member.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Alive | Self::Suspect)
    }

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

/// The id of a broadcast, the same on every member: its origin, the epoch in which the origin sent it, and its
/// number within that epoch. Ordered as a triple.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MessageId {
    /// The member that sent the broadcast.
    pub origin: NodeId,
    /// The epoch of the origin's incarnation when it sent the broadcast (rule A1).
    pub epoch: u64,
    /// The number of the broadcast in that epoch, from 1 without gaps.
    pub seq: u64,
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.origin, self.epoch, self.seq)
    }
}

/// A named piece of durable state. A driver keeps the latest bytes of each slot and hands them back at the next
/// start, in [`Boot::restored`](crate::Boot::restored).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Slot {
    /// The highest epoch that this member has used: 8 bytes, little-endian.
    Epoch,
    /// The set of broadcasts that this member has delivered; written if `broadcast.persist_seen` says so.
    SeenSet,
    /// The adopted roster of voters. Reserved for the quorum; not written yet.
    Roster,
    /// The highest ballot that an acceptor has promised. Reserved for the election; not written yet.
    Ballot,
}

/// The id of one [`Command::Ping`](crate::Command::Ping), unique within a boot. Its notice carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PingId(pub u64);

/// Makes an address for a node that has none of its own (Maelstrom's `n0`, a node behind HTTP): `number` inside the
/// unique-local block `fdb7:7569::/32`, port 1. Different numbers give different addresses.
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
