//! Seeded randomness: one frozen generator (ChaCha8, by `next_u64` alone) and one stream for each purpose and
//! node, its key the hash of seed, purpose and number.
//!
//! No two streams share draws, so one more node, check or trace line shifts none of the others.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng};

use crate::hash::mix;

/// Parts per million, the unit of every probability here.
pub const MILLION: u32 = 1_000_000;

/// What a stream is for. The numbers are frozen: they are part of every trace.
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
}

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Random(ChaCha8Rng);

impl Random {
    /// The stream of `number` (a node, a round, a run) for one purpose of one's own.
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

    /// A number below `bound`; zero if `bound` is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        scale(self.next_u64(), bound)
    }

    /// A position in a sequence of `len` items; zero if there are none.
    pub fn position(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("below a length")
    }

    /// True in `ppm` of a million cases.
    pub fn chance(&mut self, ppm: u32) -> bool {
        self.below(MILLION.into()) < ppm.into()
    }

    /// A number in `low..=high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below((high - low).saturating_add(1))
    }

    /// Fisher–Yates.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.position(last + 1));
        }
    }

    /// Thirty-two bytes, for a node's own generator.
    pub fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        for chunk in seed.chunks_exact_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_le_bytes());
        }
        seed
    }
}

/// `draw / 2^64 * bound`, rounded down.
pub(crate) const fn scale(draw: u64, bound: u64) -> u64 {
    ((draw as u128 * bound as u128) >> 64) as u64
}

/// One stream a node for one purpose, made when first used.
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
    fn streams_are_frozen_and_independent() {
        let draw = |purpose, number| Random::of(1, purpose, number).next_u64();
        assert_eq!(draw(Purpose::Delay, 0), draw(Purpose::Delay, 0));
        assert_ne!(draw(Purpose::Delay, 0), draw(Purpose::Delay, 1));
        assert_ne!(draw(Purpose::Delay, 0), draw(Purpose::Loss, 0));
    }

    #[test]
    fn draws_keep_their_bounds() {
        let mut random = Random::new(7, 100, 0);
        assert!((0..1_000).all(|_| (5..=7).contains(&random.between(5, 7))));
        assert!((0..1_000).all(|_| random.below(3) < 3));
        assert_eq!(random.below(0), 0);
        assert!(!random.chance(0));
        assert!(random.chance(MILLION));
    }
}
