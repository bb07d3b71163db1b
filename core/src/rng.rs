//! Seeded random numbers: one stream for each machine of a node, integers only.
//!
//! Everything is built on `next_u64`, so that a new sampling method of a dependency cannot change the traces.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The streams of a node. Each machine has its own, so that one more draw in membership does not change what the
/// broadcast draws.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stream {
    /// The boot number and the secret keys, drawn once at the start.
    Boot = 0,
    /// All draws of membership.
    Membership = 1,
    /// All draws of the broadcast.
    Broadcast = 2,
    /// The low bits of the first epoch.
    Epoch = 3,
}

/// One stream of random numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rng(ChaCha8Rng);

/// The position in a stream as plain data. Serialised here, because the `serde` feature of `rand_chacha` needs std.
#[derive(Serialize, Deserialize)]
struct Position {
    seed: [u8; 32],
    stream: u64,
    word: u128,
}

impl Serialize for Rng {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(rng) = self;
        let (seed, stream, word) = (rng.get_seed(), rng.get_stream(), rng.get_word_pos());
        Position { seed, stream, word }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Rng {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Position { seed, stream, word } = Position::deserialize(deserializer)?;
        let mut rng = ChaCha8Rng::from_seed(seed);
        rng.set_stream(stream);
        rng.set_word_pos(word);
        Ok(Self(rng))
    }
}

impl Rng {
    pub(crate) fn new(seed: [u8; 32], stream: Stream) -> Self {
        let mut rng = ChaCha8Rng::from_seed(seed);
        rng.set_stream(stream as u64);
        Self(rng)
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Draws a number below `bound`, or zero if `bound` is zero. The bias is less than 2⁻³² for every bound in use.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let wide = u128::from(self.next_u64()) * (bound as u128);
        usize::try_from(wide >> 64).expect("below a bound that is a usize")
    }

    /// Draws a duration from zero to `most`, in nanoseconds.
    pub(crate) fn jitter(&mut self, most: core::time::Duration) -> core::time::Duration {
        let wide = u128::from(self.next_u64()) * most.as_nanos();
        core::time::Duration::from_nanos(u64::try_from(wide >> 64).unwrap_or(u64::MAX))
    }

    /// Shuffles the items (Fisher–Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn the_streams_are_frozen_and_differ() {
        let draw = |stream| Rng::new([7; 32], stream).next_u64();
        assert_ne!(draw(Stream::Boot), draw(Stream::Membership));
        insta::assert_snapshot!(draw(Stream::Membership), @"7104848091822576730");
    }

    #[test]
    fn a_stream_goes_on_where_it_was_written_down() {
        for drawn in 0..70 {
            let mut rng = Rng::new([3; 32], Stream::Membership);
            (0..drawn).for_each(|_| _ = rng.next_u64());
            let bytes = postcard::to_allocvec(&rng).expect("plain data");
            let mut again: Rng = postcard::from_bytes(&bytes).expect("just written");
            assert_eq!(again, rng);
            assert_eq!([again.next_u64(), again.next_u64()], [rng.next_u64(), rng.next_u64()]);
        }
    }

    #[test]
    fn a_shuffle_keeps_every_item_and_below_keeps_its_bound() {
        let mut rng = Rng::new([1; 32], Stream::Membership);
        let mut items: Vec<usize> = (0..100).collect();
        rng.shuffle(&mut items);
        assert!((0..100).any(|i| items[i] != i));
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
        assert!((0..1_000).all(|_| rng.below(3) < 3));
        assert_eq!(rng.below(0), 0);
    }
}
