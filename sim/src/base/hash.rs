//! The trace hash: a fast hash over 64-bit words (multiply and fold) that is chained over all events of a run and
//! recorded at the end of each simulated second.
//!
//! The hash tells traces apart; it is not cryptographic. Bytes are read as little-endian and lengths as 64 bits, so the
//! value is the same on every machine.

use bruit_core::Time;

const K0: u64 = 0x9e37_79b9_7f4a_7c15;
const K1: u64 = 0xd6e8_feb8_6659_fd93;

#[expect(clippy::cast_possible_truncation, reason = "folds the two halves of a double word")]
const fn fold(a: u64, b: u64) -> u64 {
    let wide = a as u128 * b as u128;
    (wide as u64) ^ (wide >> 64) as u64
}

/// Hashes two words to one.
#[must_use]
pub(crate) const fn mix(a: u64, b: u64) -> u64 {
    fold(fold(a ^ K0, b ^ K1) ^ K1, K0)
}

/// The hash of a byte string.
#[must_use]
pub(crate) fn of_bytes(bytes: &[u8]) -> u64 {
    let mut state = K0 ^ bytes.len() as u64;
    let (pairs, rest) = bytes.as_chunks::<16>();
    for pair in pairs {
        let (low, high) = pair.split_at(8);
        state = fold(word(low) ^ state, word(high) ^ K1);
    }
    if !rest.is_empty() {
        let mut last = [0; 16];
        last[..rest.len()].copy_from_slice(rest);
        state = fold(word(&last[..8]) ^ state, word(&last[8..]) ^ K1);
    }
    fold(state ^ K1, K0)
}

fn word(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("eight bytes"))
}

const SECOND: u64 = 1_000_000_000;

/// The hash of everything that happened in a run, and its value at the end of each simulated second.
#[derive(Clone, Debug)]
pub struct TraceHash {
    state: u64,
    seconds: Vec<u64>,
    boundary: u64,
}

impl TraceHash {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { state: mix(seed, K1), seconds: Vec::new(), boundary: SECOND }
    }

    /// Records the hash for every second that has ended by `now`.
    pub(crate) fn advance(&mut self, now: Time) {
        while now.as_nanos() >= self.boundary {
            self.seconds.push(self.state);
            self.boundary += SECOND;
        }
    }

    pub(crate) const fn add(&mut self, word: u64) {
        self.state = fold(self.state ^ word, K0).wrapping_add(K1);
    }

    /// The hash of everything that happened so far.
    #[must_use]
    pub const fn value(&self) -> u64 {
        self.state
    }

    /// The hash at the end of each whole second of the run so far.
    #[must_use]
    pub fn seconds(&self) -> &[u64] {
        &self.seconds
    }

    /// The first second in which the hashes of two runs differ. `None` if they are equal in all seconds that both runs
    /// have.
    #[must_use]
    pub fn diverges(&self, other: &Self) -> Option<usize> {
        self.seconds.iter().zip(&other.seconds).position(|(ours, theirs)| ours != theirs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_depends_on_every_byte_and_on_the_length() {
        let bytes = [3; 40];
        let whole = of_bytes(&bytes);
        assert_eq!(whole, of_bytes(&bytes));
        assert_ne!(whole, of_bytes(&bytes[..39]));
        assert_ne!(of_bytes(&[0; 3]), of_bytes(&[0; 4]));
        for i in 0..bytes.len() {
            let mut other = bytes;
            other[i] ^= 1;
            assert_ne!(whole, of_bytes(&other), "byte {i}");
        }
    }

    #[test]
    fn the_first_differing_second_is_found() {
        let (mut a, mut b) = (TraceHash::new(1), TraceHash::new(1));
        for second in 1..=5 {
            a.add(second);
            b.add(if second == 3 { 99 } else { second });
            a.advance(Time::from_secs(second));
            b.advance(Time::from_secs(second));
        }
        assert_eq!(a.diverges(&b), Some(2));
        assert_eq!(a.diverges(&a.clone()), None);
    }
}
