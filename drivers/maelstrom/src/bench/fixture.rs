//! Histories for the tests of the checkers, written as a sequence of operations.

use bruit_core::Time;

use super::history::{Add, History, Moment, Read};

pub(super) struct Story {
    history: History,
    millis: u64,
}

impl Story {
    pub(super) fn new() -> Self {
        Self { history: History::default(), millis: 0 }
    }

    fn moment(&mut self) -> Moment {
        self.history.moment(Time::from_millis(self.millis))
    }

    /// Lets this many milliseconds pass.
    pub(super) fn wait(mut self, millis: u64) -> Self {
        self.millis += millis;
        self
    }

    /// Adds a broadcast that is acknowledged.
    pub(super) fn add(mut self, element: u64) -> Self {
        let (invoked, ok) = (self.moment(), self.moment());
        self.history.adds.push(Add { element, invoked, ok: Some(ok) });
        self
    }

    /// Adds a broadcast that is not acknowledged.
    pub(super) fn failed_add(mut self, element: u64) -> Self {
        let invoked = self.moment();
        self.history.adds.push(Add { element, invoked, ok: None });
        self
    }

    pub(super) fn read(self, node: usize, elements: &[u64]) -> Self {
        self.reads(node, elements, false)
    }

    pub(super) fn final_read(self, node: usize, elements: &[u64]) -> Self {
        self.reads(node, elements, true)
    }

    fn reads(mut self, node: usize, elements: &[u64], is_final: bool) -> Self {
        let (invoked, ok) = (self.moment(), self.moment());
        let array = format!("{elements:?}");
        self.history.reads.push(Read::new(node, invoked, ok, is_final, &array));
        self
    }

    pub(super) fn history(self) -> History {
        self.history
    }
}
