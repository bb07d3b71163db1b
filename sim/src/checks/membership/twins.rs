//! CM13: of two processes with one id that can reach each other one stops, after a notice, and their incarnations do not
//! raise each other forever (rules A2a to A2c).

use std::collections::{BTreeMap, BTreeSet};

use bruit_core::{NodeId, Notice, Phase, Time};

use crate::base::Index;
use crate::checks::scene::Scene;
use crate::kernel::{Check, Happening, Violation};

/// The epochs that all processes of one id together may use after a twin has started. Refutations within an epoch are not
/// counted, as they answer accusations (CM4).
const EPOCHS_MAX: u32 = 8;

/// CM13: the conflicts between processes with one id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Twins {
    conflicts: BTreeMap<NodeId, Conflict>,
}

#[derive(Clone, Debug, Default)]
struct Conflict {
    /// The time at which the second process was started.
    cloned: Time,
    /// The processes that have reported another one in their present boot.
    reported: BTreeSet<Index>,
    /// Epochs that the two have used since.
    epochs: u32,
}

impl Check<Scene<'_>> for Twins {
    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        match *happening {
            Happening::Cloned { id, .. } => {
                self.conflicts.insert(id, Conflict { cloned: scene.at, ..Conflict::default() });
            }
            // A restart of one of the two begins the conflict anew.
            Happening::Restarted { node, .. } => {
                if let Some(conflict) = self.conflicts.get_mut(&scene.world.id(node)) {
                    conflict.epochs = 0;
                }
            }
            Happening::Crashed { node } => {
                if let Some(conflict) = self.conflicts.get_mut(&scene.world.id(node)) {
                    conflict.reported.remove(&node);
                }
            }
            Happening::Notice {
                node,
                notice: Notice::IdentityConflict { .. } | Notice::NameTaken { .. },
            } => {
                if let Some(conflict) = self.conflicts.get_mut(&scene.world.id(node)) {
                    conflict.reported.insert(node);
                }
            }
            Happening::Notice { node, notice: Notice::Reincarnated { incarnation } }
                if incarnation.counter == 0 =>
            {
                let id = scene.world.id(node);
                let Some(conflict) = self.conflicts.get_mut(&id) else { return Ok(()) };
                conflict.epochs += 1;
                if conflict.epochs > EPOCHS_MAX {
                    let text = format!(
                        "{id} and its twin raise each other: they are at {incarnation}, in epoch {} since they met",
                        conflict.epochs
                    );
                    return Err(scene.violation(node, text));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn conclude(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        for (id, conflict) in &self.conflicts {
            let processes = scene.world.processes(*id);
            let runs = |node: &&Index| scene.world.joined(**node).is_some() && scene.nodes.is_member(**node);
            let running: Vec<_> = processes.iter().filter(runs).copied().collect();
            let is_silent = |node: &&Index| !conflict.reported.contains(node);
            let told = |node: &&Index| scene.world.is_told_to_run(**node);
            let waits =
                |node: &Index| scene.nodes.node(*node).is_some_and(|node| node.phase() == Phase::Waiting);
            let stopped = |node: &&Index| told(node) && !scene.nodes.is_member(**node) && !waits(node);
            for stopped in processes.iter().filter(stopped) {
                scene.judges();
                if is_silent(&stopped) {
                    let text =
                        format!("it has stopped, and did not report the other process with the id {id}");
                    return Err(scene.violation(*stopped, text));
                }
            }
            let [first, second, ..] = running.as_slice() else { continue };
            let met = scene.world.in_contact(*first, *second);
            let due = met.map(|met| met.max(conflict.cloned) + scene.bounds.conflict);
            if due.is_none_or(|due| scene.at < due) {
                continue;
            }
            scene.judges();
            let reported = if conflict.reported.is_empty() {
                "and none reported it"
            } else {
                "and one reported the other"
            };
            let text = format!("two processes with the id {id} run on, {reported}");
            return Err(scene.violation(*first, text));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::fixture::{Fixture, incarnation};
    use bruit_core::Notice;

    #[test]
    fn twins_that_run_on_are_found() {
        let mut history = Fixture::new(2, "CM13");
        let bound = history.bounds().conflict;
        history.cloned(1).after(bound * 2).ends().fires("none reported it");
    }

    #[test]
    fn a_twin_that_stops_without_a_notice_is_found() {
        let mut history = Fixture::new(2, "CM13");
        history.cloned(1).notices(1, &Notice::IdentityConflict { other: 1, stopped: false }).stops(2);
        history.ends().fires("it has stopped, and did not report");
    }

    #[test]
    fn incarnations_that_raise_each_other_are_found() {
        let mut history = Fixture::new(2, "CM13");
        history.cloned(1);
        for epoch in 0..10 {
            history.notices(1, &Notice::Reincarnated { incarnation: incarnation(epoch, 0) });
        }
        history.fires("raise each other");
    }

    #[test]
    fn a_twin_that_stops_after_a_notice_is_fine() {
        let mut history = Fixture::new(2, "CM13");
        let bound = history.bounds().conflict;
        history.cloned(1).notices(1, &Notice::Reincarnated { incarnation: incarnation(2, 0) });
        history.notices(1, &Notice::IdentityConflict { other: 1, stopped: true }).crashes(1);
        history.after(bound * 2).ends().is_silent();
    }
}
