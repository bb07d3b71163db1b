//! What simulated applications broadcast: payloads that say who made them, so that what is delivered can be traced
//! to its origin without trusting the message that carried it.

use bruit_core::NodeId;

use crate::hash::{mix, of_bytes};

/// Bytes of the stamp that opens a payload: origin, serial, and a digest of both and of what follows.
pub const STAMP_BYTES: usize = 24;

/// A payload of `len` bytes, at least [`STAMP_BYTES`]: a stamp, and filler that follows from it. No two serials of a
/// run are equal, so no two payloads are.
#[must_use]
pub fn payload(origin: NodeId, serial: u64, len: usize) -> Vec<u8> {
    let len = len.max(STAMP_BYTES);
    let mut bytes = Vec::with_capacity(len + 8);
    bytes.extend(origin.0.to_le_bytes());
    bytes.extend(serial.to_le_bytes());
    bytes.extend([0; 8]);
    let mut word = mix(origin.0, serial);
    while bytes.len() < len {
        word = mix(word, serial);
        bytes.extend(word.to_le_bytes());
    }
    bytes.truncate(len);
    let digest = digest(&bytes);
    bytes[16..STAMP_BYTES].copy_from_slice(&digest.to_le_bytes());
    bytes
}

/// Who made a payload, and with which serial; nothing if the stamp does not fit the bytes.
#[must_use]
pub fn stamp(payload: &[u8]) -> Option<(NodeId, u64)> {
    let word = |at: usize| Some(u64::from_le_bytes(payload.get(at..at + 8)?.try_into().ok()?));
    let (origin, serial) = (NodeId(word(0)?), word(8)?);
    (word(16)? == digest(payload)).then_some((origin, serial))
}

fn digest(payload: &[u8]) -> u64 {
    mix(of_bytes(&payload[..16]), of_bytes(&payload[STAMP_BYTES..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_fits_its_payload_alone() {
        for len in [0, 24, 25, 1_000, 65_000] {
            let bytes = payload(NodeId(7), 3, len);
            assert_eq!(bytes.len(), len.max(STAMP_BYTES));
            assert_eq!(stamp(&bytes), Some((NodeId(7), 3)));
            let mut other = bytes.clone();
            other[len / 2] ^= 1;
            assert_eq!(stamp(&other), None, "{len}");
        }
        assert_eq!(stamp(b"short"), None);
        assert_ne!(payload(NodeId(7), 3, 100), payload(NodeId(7), 4, 100));
    }
}
