//! Seeded randomness: ChaCha8, of which only `next_u64` is used, with a separate stream for each purpose and node. The
//! key of a stream is the hash of the seed, the purpose and a number.
//!
//! Streams share no draws. One more node, check or trace line therefore does not change what the others draw.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng};

use super::hash::mix;

/// One million: every probability of the simulator is given in parts per million.
pub const MILLION: u32 = 1_000_000;

/// The purpose of a stream. The numbers must never change, because every trace depends on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Boot = 1,
    Delay = 2,
    Loss = 3,
    Duplicate = 4,
    Reorder = 5,
    Corrupt = 6,
    Cut = 7,
    Late = 8,
    Release = 9,
    Tie = 10,
    Offset = 11,
    Plan = 12,
    Workload = 13,
    Wide = 14,
    Settings = 15,
    Answers = 16,
    Entropy = 17,
}

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Random(ChaCha8Rng);

impl Random {
    /// The stream for a purpose of the caller's own and a number, such as that of a node, a round or a run. The
    /// simulator itself uses the purposes 1 to 16.
    #[must_use]
    pub fn new(seed: u64, purpose: u64, number: u64) -> Self {
        let mut key = [0; 32];
        for (lane, chunk) in (0_u64..).zip(key.chunks_exact_mut(8)) {
            chunk.copy_from_slice(&mix(mix(seed, purpose), mix(number, lane)).to_le_bytes());
        }
        Self(ChaCha8Rng::from_seed(key))
    }

    pub(crate) fn of(seed: u64, purpose: Purpose, number: u64) -> Self {
        Self::new(seed, purpose as u64, number)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound`, or zero if `bound` is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        scale(self.next_u64(), bound)
    }

    /// A position in a sequence of `len` items, or zero if the sequence is empty.
    pub fn position(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("below a length")
    }

    /// True with a probability of `ppm` parts per million.
    pub fn chance(&mut self, ppm: u32) -> bool {
        self.below(MILLION.into()) < ppm.into()
    }

    /// A number in the range `low..=high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below((high - low).saturating_add(1))
    }

    /// Shuffles the items (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.position(last + 1));
        }
    }

    /// Draws 32 bytes, which seed the generator of a node.
    pub fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        for chunk in seed.chunks_exact_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_le_bytes());
        }
        seed
    }
}

/// Scales a 64-bit draw to a number below `bound`: `draw / 2^64 * bound`, rounded down.
pub(crate) const fn scale(draw: u64, bound: u64) -> u64 {
    ((draw as u128 * bound as u128) >> 64) as u64
}

/// The streams of all nodes for one purpose. Each is created when it is first used.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    seed: u64,
    purpose: Purpose,
    nodes: Vec<Option<Box<Random>>>,
}

impl Streams {
    pub(crate) const fn new(seed: u64, purpose: Purpose) -> Self {
        Self { seed, purpose, nodes: Vec::new() }
    }

    pub(crate) fn of(&mut self, node: usize) -> &mut Random {
        if self.nodes.len() <= node {
            self.nodes.resize(node + 1, None);
        }
        let Self { seed, purpose, nodes } = self;
        nodes[node].get_or_insert_with(|| Box::new(Random::of(*seed, *purpose, node as u64)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ_by_purpose_and_number() {
        let draw = |purpose, number| Random::of(1, purpose, number).next_u64();
        assert_eq!(draw(Purpose::Delay, 0), draw(Purpose::Delay, 0));
        assert_ne!(draw(Purpose::Delay, 0), draw(Purpose::Delay, 1));
        assert_ne!(draw(Purpose::Delay, 0), draw(Purpose::Loss, 0));
    }

    #[test]
    fn draws_stay_within_their_bounds() {
        let mut random = Random::new(7, 100, 0);
        assert!((0..1_000).all(|_| (5..=7).contains(&random.between(5, 7))));
        assert!((0..1_000).all(|_| random.below(3) < 3));
        assert_eq!(random.below(0), 0);
        assert!(!random.chance(0));
        assert!(random.chance(MILLION));
    }
}
