//! The payloads that simulated applications broadcast. Each carries a stamp that names its maker, so that a delivered
//! payload can be traced to its origin without trusting the message that carried it.

use bruit_core::NodeId;

use crate::base::{mix, of_bytes};

/// The length of the stamp at the start of a payload: origin, serial, and a digest of both and of the rest.
pub(crate) const STAMP_BYTES: usize = 24;

/// Makes a payload of `len` bytes, at least 24: a stamp, and filler that is computed from it. Payloads with
/// different serials differ.
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

/// The origin and serial in the stamp of a payload. `None` if the stamp does not match the bytes.
#[must_use]
pub(crate) fn stamp(payload: &[u8]) -> Option<(NodeId, u64)> {
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
    fn a_stamp_matches_no_other_payload() {
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
