//! The bodies of the fuzz targets. Their choices are read from a byte slice instead of drawn from a seed.
//!
//! Each body takes any bytes, and panics if and only if a promise is broken. A fuzz target is therefore three lines long, and
//! each input that has failed can be replayed by an ordinary test.

mod broadcast;
mod choices;
mod cluster;
mod node;
mod wire;

pub use broadcast::broadcast;
pub use cluster::cluster;
pub use node::node;
pub use wire::wire;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Random;

    /// Inputs of random bytes and random lengths up to `most`.
    fn inputs(count: u64, most: usize) -> impl Iterator<Item = Vec<u8>> {
        (0..count).map(move |number| {
            let mut random = Random::new(number, 77, 0);
            let len = random.position(most);
            (0..len).map(|_| u8::try_from(random.below(256)).expect("a byte")).collect()
        })
    }

    #[test]
    fn wire_holds_on_random_bytes() {
        inputs(2_000, 600).for_each(|bytes| wire(&bytes));
    }

    #[test]
    fn node_holds_on_random_bytes() {
        inputs(100, 20_000).for_each(|bytes| node(&bytes));
    }

    #[test]
    fn broadcast_holds_on_random_bytes() {
        inputs(300, 3_000).for_each(|bytes| broadcast(&bytes));
    }

    #[test]
    fn cluster_holds_on_random_bytes() {
        inputs(60, 600).for_each(|bytes| cluster(&bytes));
    }

    #[test]
    fn empty_inputs_are_inputs() {
        wire(&[]);
        node(&[]);
        broadcast(&[]);
        cluster(&[]);
    }
}
