//! The history of a run: the operations of the clients and their results, in order, for the checkers.

use bruit_core::Time;

/// More elements than any run has.
const ELEMENTS_MAX: u32 = 1 << 24;

/// A point of the history: the invocation or the completion of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// The number of the point; invocations and completions are counted together.
    pub(super) index: usize,
    /// The time of the point.
    pub(super) time: Time,
}

/// A set of elements `0..`, as bits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Elements(Vec<u64>);

impl Elements {
    /// Adds an element. Returns false if the set had it already.
    pub(super) fn insert(&mut self, element: u64) -> bool {
        let (word, bit) = Self::place(element);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        let is_new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        is_new
    }

    pub(super) fn contains(&self, element: u64) -> bool {
        let (word, bit) = Self::place(element);
        self.0.get(word).is_some_and(|bits| bits & bit != 0)
    }

    /// The smallest element that `other` lacks.
    pub(super) fn first_beyond(&self, other: &Self) -> Option<u64> {
        let words = self.0.iter().zip(other.0.iter().copied().chain(std::iter::repeat(0)));
        (0_u64..).zip(words).find_map(|(word, (own, other))| {
            let beyond = own & !other;
            (beyond != 0).then(|| word * 64 + u64::from(beyond.trailing_zeros()))
        })
    }

    fn place(element: u64) -> (usize, u64) {
        (usize::try_from(element / 64).expect("elements are counted from 0"), 1 << (element % 64))
    }
}

/// An element that a client broadcast.
#[derive(Clone, Copy, Debug)]
pub(super) struct Add {
    pub(super) element: u64,
    pub(super) invoked: Moment,
    /// The acknowledgement, if there was one.
    pub(super) ok: Option<Moment>,
}

/// A read that was answered.
#[derive(Clone, Debug)]
pub(super) struct Read {
    pub(super) node: usize,
    pub(super) invoked: Moment,
    pub(super) ok: Moment,
    /// True for one of the reads at the end of the run.
    pub(super) is_final: bool,
    pub(super) elements: Elements,
    /// The first element that the answer showed twice.
    pub(super) duplicate: Option<u64>,
    /// The first value of the answer that is not an element.
    pub(super) foreign: Option<String>,
}

impl Read {
    /// Reads the answer of a node, which is a JSON array.
    pub(super) fn new(node: usize, invoked: Moment, ok: Moment, is_final: bool, array: &str) -> Self {
        let mut read = Self {
            node,
            invoked,
            ok,
            is_final,
            elements: Elements::default(),
            duplicate: None,
            foreign: None,
        };
        match serde_json::from_str::<Vec<u32>>(array) {
            Ok(values) => values.into_iter().for_each(|value| read.add(value)),
            Err(_) => read.add_any(array),
        }
        read
    }

    fn add(&mut self, element: u32) {
        if element >= ELEMENTS_MAX {
            self.foreign.get_or_insert_with(|| element.to_string());
        } else if !self.elements.insert(element.into()) {
            self.duplicate.get_or_insert(element.into());
        }
    }

    fn add_any(&mut self, array: &str) {
        let Ok(values) = serde_json::from_str::<Vec<serde_json::Value>>(array) else {
            self.foreign = Some(array.to_owned());
            return;
        };
        for value in values {
            match value.as_u64().and_then(|value| u32::try_from(value).ok()) {
                Some(element) => self.add(element),
                None => drop(self.foreign.get_or_insert_with(|| value.to_string())),
            }
        }
    }
}

/// All operations of the clients.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    moments: usize,
    /// The broadcasts, in the order of their invocation.
    pub(super) adds: Vec<Add>,
    /// The answered reads, in the order of their completion.
    pub(super) reads: Vec<Read>,
    /// The answers to `generate`.
    pub(super) ids: Vec<String>,
    /// The wrong answers to `echo`.
    pub(super) wrong_echoes: Vec<String>,
    pub(super) invoked: usize,
    pub(super) ok: usize,
    /// The requests that had no answer or a wrong one.
    pub(super) errors: Vec<String>,
}

impl History {
    /// Adds the next point of the history.
    pub(super) const fn moment(&mut self, time: Time) -> Moment {
        self.moments += 1;
        Moment { index: self.moments, time }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_finds_the_first_element_that_another_lacks() {
        let of = |elements: &[u64]| {
            let mut set = Elements::default();
            elements.iter().for_each(|element| assert!(set.insert(*element)));
            set
        };
        assert_eq!(of(&[3, 64, 200]).first_beyond(&of(&[3, 200])), Some(64));
        assert_eq!(of(&[3, 200]).first_beyond(&of(&[3])), Some(200));
        assert_eq!(of(&[3]).first_beyond(&of(&[3, 200])), None);
        assert!(!of(&[5]).insert(5));
        assert!(of(&[5]).contains(5) && !of(&[5]).contains(500));
    }

    #[test]
    fn a_read_notices_duplicates_and_foreign_values() {
        let at = Moment { index: 0, time: Time::ZERO };
        let of = |array| Read::new(0, at, at, false, array);
        let read = of("[3,4,3,\"x\",1.5]");
        assert_eq!((read.duplicate, read.foreign.as_deref()), (Some(3), Some("\"x\"")));
        assert!(read.elements.contains(4));
        assert_eq!(of("[1,2]").foreign, None);
        assert!(of("{}").foreign.is_some() && of("[-1]").foreign.is_some());
    }
}
