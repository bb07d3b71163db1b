//! How much each check has judged. A check that judged nothing in a run proves nothing about it.

use core::cell::Cell;
use std::rc::Rc;

/// The number of judgements of each check, shared with the checks that count them. A judgement is a case that met all
/// conditions of the check, so that the check would have objected to a bad one.
#[derive(Clone, Debug)]
pub struct Audit(Rc<[(&'static str, Cell<u64>)]>);

impl Audit {
    pub(super) fn new(ids: impl Iterator<Item = &'static str>) -> Self {
        Self(ids.map(|id| (id, Cell::new(0))).collect())
    }

    /// The id of each check with the number of its judgements, in the order in which the checks run.
    pub fn counts(&self) -> impl ExactSizeIterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(id, count)| (*id, count.get()))
    }

    /// The number of judgements of the check with this id; 0 if there is no such check.
    #[must_use]
    pub fn of(&self, id: &str) -> u64 {
        self.counts().find(|(of, _)| *of == id).map_or(0, |(_, count)| count)
    }

    pub(super) fn counter(&self, check: usize) -> &Cell<u64> {
        &self.0[check].1
    }
}
