//! What a node is given at its start, and where it stands in its life. Plain data.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::config::length;
use crate::error::ConfigError;
use crate::event::Slot;
use crate::id::{Incarnation, NodeId};
use crate::limits::{META_BYTES_MAX, NAME_BYTES_MAX, ZONE_BYTES_MAX};

/// What differs between members, and what this boot brings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    /// Who. Two processes of one id fight until one stops (rule A2).
    pub id: NodeId,
    /// A name for people, at most 64 bytes.
    pub name: String,
    /// Where others reach this member. An unspecified address (`0.0.0.0`, `[::]`) is replaced by the one that
    /// the join answer saw (rule A6).
    pub addr: SocketAddr,
    /// The failure zone, at most 32 bytes; empty for none.
    pub zone: String,
    /// Opaque bytes for the application, at most 512.
    pub meta: Vec<u8>,
    /// Above every epoch that this id has used; for one boot only. Drivers take the maximum of the stored one
    /// plus one and the clock in nanoseconds.
    pub epoch: u64,
    /// From the operating system's randomness, never twice the same (rule F1); in simulations from the seed.
    pub seed: [u8; 32],
    /// The bytes of each slot that was stored and confirmed, if this member has a disk.
    pub restored: Vec<(Slot, Vec<u8>)>,
}

impl Boot {
    /// A boot without zone, metadata and memory.
    #[must_use]
    pub fn new(id: NodeId, name: impl Into<String>, addr: SocketAddr, epoch: u64, seed: [u8; 32]) -> Self {
        let (zone, meta, restored) = (String::new(), Vec::new(), Vec::new());
        Self { id, name: name.into(), addr, zone, meta, epoch, seed, restored }
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        if self.id == NodeId::NOBODY {
            return Err(ConfigError::NobodyId);
        }
        length("boot.name", self.name.len(), 0, NAME_BYTES_MAX)?;
        length("boot.zone", self.zone.len(), 0, ZONE_BYTES_MAX)?;
        length("boot.meta", self.meta.len(), 0, META_BYTES_MAX)?;
        if self.epoch >= Incarnation::EPOCH_END {
            let (value, max) = (self.epoch, Incarnation::EPOCH_END - 1);
            return Err(ConfigError::OutOfRange { field: "boot.epoch", value, min: 0, max });
        }
        Ok(())
    }

    /// The epoch to use: above the stored one, if there is one.
    pub(crate) fn epoch(&self) -> Result<u64, ConfigError> {
        let stored = self.restored.iter().find(|(slot, _)| *slot == Slot::Epoch);
        let Some((slot, bytes)) = stored else { return Ok(self.epoch) };
        let invalid = ConfigError::Restored { slot: *slot };
        let stored = u64::from_le_bytes(bytes.as_slice().try_into().map_err(|_| invalid.clone())?);
        if stored >= Incarnation::EPOCH_END - 1 { Err(invalid) } else { Ok(self.epoch.max(stored + 1)) }
    }
}

/// Where a node stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Phase {
    /// Made, and not started: [`Command::Join`](crate::Command::Join) starts it.
    Idle,
    /// Running.
    Running,
    /// Saying goodbye.
    Leaving,
    /// Has left; it may join again.
    Left,
    /// Removed by an operator, or the loser of an identity conflict. Final.
    Ended,
}
