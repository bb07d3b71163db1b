//! The values that a node starts with ([`Boot`]), and the phase of its life cycle ([`Phase`]). Plain data.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::config::length;
use crate::error::ConfigError;
use crate::id::Slot;
use crate::id::{Incarnation, NodeId};
use crate::limits::{META_BYTES_MAX, NAME_BYTES_MAX, TAGS_BYTES_MAX, ZONE_BYTES_MAX};
use crate::tags::{self, TagError};

/// The random low bits of each epoch (rule A1).
pub(crate) const EPOCH_BITS: u32 = 20;

/// The first epoch that a boot cannot begin with: random bits and moves to later epochs must have room.
const BOOT_EPOCH_END: u64 = Incarnation::EPOCH_END - (1 << 32);

/// The identity of a member, and the epoch, the seed and the restored bytes of this start of its process. One
/// process start is one boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    /// The id of this member, not zero. It must be unique in the cluster: of two running processes with one id, one
    /// stops (rule A2).
    pub id: NodeId,
    /// A name for people, at most 64 bytes.
    pub name: String,
    /// The address at which others reach this member. An unspecified address (`0.0.0.0`, `[::]`) is replaced by the
    /// one that the join shows (rule A6).
    pub addr: SocketAddr,
    /// The failure zone of this member, such as a rack or a data centre, at most 32 bytes; empty for none.
    pub zone: String,
    /// Opaque bytes of the application, which all members see, at most 512.
    /// [`Command::SetMeta`](crate::Command::SetMeta) changes them later.
    pub meta: Vec<u8>,
    /// Tags that all members see, such as `role=db`; see [`Tags`](crate::Tags) for their limits.
    /// [`Command::SetTags`](crate::Command::SetTags) changes them later.
    pub tags: BTreeMap<String, String>,
    /// The least epoch of this boot, below 2⁶³ − 2³². Drivers take the clock in nanoseconds. The node begins a random distance
    /// above this epoch and the stored one, and above every epoch of its id that the members it joins through know (rules A1
    /// and A2a).
    pub epoch: u64,
    /// The seed of all random numbers of this node. It must come from the operating system's randomness, and never
    /// be used twice (rule F1). Simulations derive it from their own seed.
    pub seed: [u8; 32],
    /// The latest bytes of each slot that an earlier boot of this member stored, if the driver has a disk.
    pub restored: Vec<(Slot, Vec<u8>)>,
}

impl Boot {
    /// A boot without zone, metadata, tags and restored slots.
    #[must_use]
    pub fn new(id: NodeId, name: impl Into<String>, addr: SocketAddr, epoch: u64, seed: [u8; 32]) -> Self {
        let (zone, meta, tags, restored) = (String::new(), Vec::new(), BTreeMap::new(), Vec::new());
        Self { id, name: name.into(), addr, zone, meta, tags, epoch, seed, restored }
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        if self.id == NodeId::NOBODY {
            return Err(ConfigError::NobodyId);
        }
        length("boot.name", self.name.len(), 0, NAME_BYTES_MAX)?;
        length("boot.zone", self.zone.len(), 0, ZONE_BYTES_MAX)?;
        length("boot.meta", self.meta.len(), 0, META_BYTES_MAX)?;
        match tags::encode(&self.tags) {
            Ok(_) => {}
            Err(TagError::Invalid { key }) => return Err(ConfigError::InvalidTag { key }),
            Err(TagError::TooLong { len }) => length("boot.tags", len, 0, TAGS_BYTES_MAX)?,
        }
        // Members would answer to another port than the record claims, and a Join would never end.
        if self.addr.port() == 0 && !self.addr.ip().is_unspecified() {
            let (field, max) = ("the port of boot.addr", u16::MAX.into());
            return Err(ConfigError::OutOfRange { field, value: 0, min: 1, max });
        }
        if self.epoch >= BOOT_EPOCH_END {
            let (value, max) = (self.epoch, BOOT_EPOCH_END - 1);
            return Err(ConfigError::OutOfRange { field: "boot.epoch", value, min: 0, max });
        }
        Ok(())
    }

    /// The epoch to begin with: a random distance above `self.epoch` and the stored epoch, so that no two boots begin with the
    /// same one, even if the clock is set back and nothing is stored (rule A1). It is at least 1: epoch 0 is that of a process
    /// that waits for its id.
    pub(crate) fn epoch(&self, random: u64) -> Result<u64, ConfigError> {
        let random = random & ((1 << EPOCH_BITS) - 1);
        let stored = self.restored.iter().find(|(slot, _)| *slot == Slot::Epoch);
        let Some((slot, bytes)) = stored else { return Ok(self.epoch.max(1) + random) };
        let invalid = ConfigError::Restored { slot: *slot };
        let stored = u64::from_le_bytes(bytes.as_slice().try_into().map_err(|_| invalid.clone())?);
        if stored >= BOOT_EPOCH_END - 1 { Err(invalid) } else { Ok(self.epoch.max(stored + 1) + random) }
    }
}

/// The phase of a node's life cycle.
///
/// ```text
/// Idle ──Join──► Waiting ──the id is free──► Running ──Leave──► Leaving ──acknowledged, or timed out──► Left
///                 ▲   └────the id stays held────► Ended ◄──removed, or has a rival──┘ (from Running)      │
///                 └──────────────────────────────Join─────────────────────────────────────────────────────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Phase {
    /// The node was made and sends nothing. [`Command::Join`](crate::Command::Join) starts it.
    Idle,
    /// The node asks whether its id is free, and publishes nothing under it (rule A2a).
    Waiting,
    /// The node runs.
    Running,
    /// The node has announced that it leaves and waits for acknowledgements.
    Leaving,
    /// The node has left. [`Command::Join`](crate::Command::Join) starts it again.
    Left,
    /// The node was removed by an operator, or another process holds its id. This is final.
    Ended,
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;

    #[test]
    fn an_epoch_begins_above_the_stored_one_whatever_the_random_bits() {
        let mut boot = Boot::new(NodeId(1), "n1", SocketAddr::from(([10, 0, 0, 1], 7)), 5, [1; 32]);
        let stored = (1_u64 << EPOCH_BITS) + 77;
        boot.restored = vec![(Slot::Epoch, stored.to_le_bytes().to_vec())];
        assert_eq!(boot.epoch(0), Ok(stored + 1));
        assert_eq!(boot.epoch(u64::MAX), Ok(stored + (1 << EPOCH_BITS)));
        boot.epoch = stored * 9;
        assert_eq!(boot.epoch(0), Ok(stored * 9), "the clock is ahead");
    }

    #[test]
    fn two_boots_whose_clock_shows_one_time_begin_with_two_epochs() {
        let mut boot = Boot::new(NodeId(1), "n1", SocketAddr::from(([10, 0, 0, 1], 7)), 0, [1; 32]);
        assert_eq!(boot.epoch(0), Ok(1), "nobody waits any more");
        assert_ne!(boot.epoch(1), boot.epoch(2), "nothing is stored");
        boot.restored = vec![(Slot::Epoch, 77_u64.to_le_bytes().to_vec())];
        boot.epoch = 5_000;
        assert_ne!(boot.epoch(1), boot.epoch(2), "the clock is above what is stored");
    }
}
