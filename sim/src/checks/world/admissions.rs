//! The answers of the applications about new members, as each process remembers them.

use std::collections::{BTreeMap, BTreeSet};

use bruit_core::NodeId;

use crate::base::Index;

/// What one process knows of its application's answers.
#[derive(Clone, Debug, Default)]
struct Answers {
    /// The members that the application refuses.
    vetoed: BTreeSet<NodeId>,
    /// The members that it has refused, or was asked about, since the process started. Their broadcasts may have been taken
    /// without a delivery.
    hidden: BTreeSet<NodeId>,
}

/// The answers about new members. A process that goes on from a snapshot remembers those of its snapshot.
#[derive(Clone, Debug, Default)]
pub(super) struct Admissions {
    present: BTreeMap<Index, Answers>,
    /// The answers in the latest snapshot of a process of each id.
    saved: BTreeMap<NodeId, Answers>,
}

impl Admissions {
    pub(super) fn ask(&mut self, observer: Index, id: NodeId) {
        self.present.entry(observer).or_default().hidden.insert(id);
    }

    pub(super) fn veto(&mut self, observer: Index, id: NodeId) {
        let answers = self.present.entry(observer).or_default();
        answers.hidden.insert(id);
        answers.vetoed.insert(id);
    }

    pub(super) fn accept(&mut self, observer: Index, id: NodeId) {
        if let Some(answers) = self.present.get_mut(&observer) {
            answers.vetoed.remove(&id);
        }
    }

    pub(super) fn crash(&mut self, observer: Index) {
        self.present.remove(&observer);
    }

    /// Notes that a snapshot of a process with this id was made.
    pub(super) fn save(&mut self, observer: Index, id: NodeId) {
        self.saved.insert(id, self.present.get(&observer).cloned().unwrap_or_default());
    }

    /// Notes that a process goes on from the latest snapshot of its id.
    pub(super) fn resume(&mut self, observer: Index, id: NodeId) {
        if let Some(saved) = self.saved.get(&id) {
            self.present.insert(observer, saved.clone());
        }
    }

    pub(super) fn has_vetoed(&self, observer: Index, id: NodeId) -> bool {
        self.present.get(&observer).is_some_and(|answers| answers.vetoed.contains(&id))
    }

    pub(super) fn has_hidden(&self, observer: Index, id: NodeId) -> bool {
        self.present.get(&observer).is_some_and(|answers| answers.hidden.contains(&id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_goes_on_from_a_snapshot_remembers_whom_it_refused_before_it() {
        let (observer, copy, me) = (Index(0), Index(5), NodeId(1));
        let mut admissions = Admissions::default();
        admissions.veto(observer, NodeId(2));
        admissions.save(observer, me);
        admissions.accept(observer, NodeId(2));
        admissions.ask(observer, NodeId(3));
        let known = |admissions: &Admissions, by| {
            [2, 3].map(NodeId).map(|id| (admissions.has_vetoed(by, id), admissions.has_hidden(by, id)))
        };
        assert_eq!(known(&admissions, observer), [(false, true), (false, true)]);
        admissions.crash(observer);
        assert_eq!(known(&admissions, observer), [(false, false); 2]);
        admissions.resume(observer, me);
        admissions.resume(copy, me);
        for by in [observer, copy] {
            assert_eq!(known(&admissions, by), [(true, true), (false, false)]);
        }
    }
}
