//! A hash map for look-ups only. Whatever is iterated is kept in an ordered collection instead.

use core::hash::{BuildHasher, Hash, Hasher};

use alloc::vec::Vec;
use hashbrown::HashMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A hash map that cannot be iterated, so that no decision can depend on its order.
///
/// The hasher is keyed from the node's seed. A replay therefore hashes alike, and a peer cannot choose ids that
/// fall into one bucket.
#[derive(Clone, Debug)]
pub(crate) struct Lookup<K, V> {
    map: HashMap<K, V, Keyed>,
}

impl<K: Eq + Hash, V> Lookup<K, V> {
    pub(crate) fn new(key: u64) -> Self {
        Self { map: HashMap::with_hasher(Keyed { key }) }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.map.get(key)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.map.insert(key, value)
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        self.map.remove(key)
    }

    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }
}

/// Serialises the entries sorted by key, so that equal maps have equal bytes.
impl<K: Ord + Serialize, V: Serialize> Serialize for Lookup<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sorted: Vec<(&K, &V)> = self.map.iter().collect();
        sorted.sort_unstable_by(|a, b| a.0.cmp(b.0));
        (self.map.hasher().key, sorted).serialize(serializer)
    }
}

impl<'de, K: Eq + Hash + Deserialize<'de>, V: Deserialize<'de>> Deserialize<'de> for Lookup<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (key, entries) = <(u64, Vec<(K, V)>)>::deserialize(deserializer)?;
        let mut lookup = Self::new(key);
        lookup.map.extend(entries);
        Ok(lookup)
    }
}

/// Makes hashers that multiply each word with a secret key and fold the product: a few cycles for an id.
#[derive(Clone, Copy, Debug)]
struct Keyed {
    key: u64,
}

impl BuildHasher for Keyed {
    type Hasher = KeyedHasher;

    fn build_hasher(&self) -> KeyedHasher {
        KeyedHasher { key: self.key | 1, state: self.key.rotate_left(32) }
    }
}

#[derive(Debug)]
struct KeyedHasher {
    key: u64,
    state: u64,
}

impl Hasher for KeyedHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the two halves of the product are what is wanted")]
    fn write_u64(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(self.key);
        self.state = (product as u64) ^ ((product >> 64) as u64);
    }

    fn finish(&self) -> u64 {
        self.state ^ self.state.rotate_left(23)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_content_is_written_in_the_same_bytes() {
        let (mut one, mut two) = (Lookup::new(7), Lookup::new(7));
        for id in 0..100_u64 {
            one.insert(id, id);
            two.insert(99 - id, 99 - id);
        }
        let bytes = postcard::to_allocvec(&one).expect("plain data");
        assert_eq!(bytes, postcard::to_allocvec(&two).expect("plain data"));
        let back: Lookup<u64, u64> = postcard::from_bytes(&bytes).expect("just written");
        assert_eq!((back.len(), back.get(&42)), (100, Some(&42)));
    }
}
