//! A hash map that cannot be walked: only look-ups, so that no order of a hash table reaches a trace.

use core::hash::{BuildHasherDefault, Hash, Hasher};
use std::collections::HashMap;

use crate::hash::mix;

/// A map for look-up alone.
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

    /// The value of the key, which is set to `value` if there is none.
    pub(crate) fn entry(&mut self, key: K, value: V) -> &mut V {
        self.0.entry(key).or_insert(value)
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Hashes the few words of a key.
#[derive(Clone, Debug, Default)]
pub(crate) struct WordHasher(u64);

impl Hasher for WordHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = mix(self.0, crate::hash::of_bytes(bytes));
    }

    fn write_u32(&mut self, word: u32) {
        self.0 = mix(self.0, word.into());
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = mix(self.0, word);
    }
}
