//! A hash map without iteration, so that the order of a hash table can never reach a trace.

use core::hash::{BuildHasherDefault, Hash, Hasher};
use std::collections::HashMap;

use super::hash::{mix, of_bytes};

/// A hash map that offers look-up and insertion, and no iteration.
#[derive(Clone, Debug)]
pub(crate) struct Lookup<K, V>(HashMap<K, V, BuildHasherDefault<WordHasher>>);

impl<K, V> Default for Lookup<K, V> {
    fn default() -> Self {
        Self(HashMap::default())
    }
}

impl<K: Eq + Hash, V> Lookup<K, V> {
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.0.insert(key, value);
    }

    /// The value of the key. A key that is missing is inserted with `value` first.
    pub(crate) fn entry(&mut self, key: K, value: V) -> &mut V {
        self.0.entry(key).or_insert(value)
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// The hasher of [`Lookup`], made for keys of a few words.
#[derive(Clone, Debug, Default)]
pub(crate) struct WordHasher(u64);

impl Hasher for WordHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = mix(self.0, of_bytes(bytes));
    }

    fn write_u32(&mut self, word: u32) {
        self.0 = mix(self.0, word.into());
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = mix(self.0, word);
    }
}
