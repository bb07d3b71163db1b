//! CM13: two processes of one id that can hear each other are told so, one of them stops, and their
//! incarnations do not chase each other for ever (rule A2).

use std::collections::HashMap;

use bruit_core::{NodeId, Notice, Time};

use super::{Rule, Scene};
use crate::check::Violation;
use crate::cluster::Index;
use crate::happening::Happening;

/// Epochs that all processes of one id may go through after a twin has started. Refutations within an epoch are
/// answers to doubts (CM4), and no chase.
const EPOCHS_MAX: u32 = 8;

/// CM13.
#[derive(Clone, Debug, Default)]
pub struct Twins {
    conflicts: HashMap<NodeId, Conflict>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Conflict {
    cloned: Time,
    told: bool,
    epochs: u32,
}

impl Rule for Twins {
    fn id(&self) -> &'static str {
        "CM13"
    }

    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        match *happening {
            Happening::Cloned { id, .. } => {
                self.conflicts.insert(id, Conflict { cloned: scene.at, ..Conflict::default() });
            }
            // Another life of one of the two begins the conflict anew.
            Happening::Restarted { node, .. } => {
                if let Some(conflict) = self.conflicts.get_mut(&scene.world.id(node)) {
                    conflict.epochs = 0;
                }
            }
            Happening::Notice { node, notice: Notice::IdentityConflict { .. } } => {
                if let Some(conflict) = self.conflicts.get_mut(&scene.world.id(node)) {
                    conflict.told = true;
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
                        "{id} and its twin chase each other: now at {incarnation}, epoch {} since",
                        conflict.epochs
                    );
                    return Err(scene.violation("CM13", node, text));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn conclude(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        let mut conflicts: Vec<_> = self.conflicts.iter().collect();
        conflicts.sort_by_key(|(id, _)| **id);
        for (id, conflict) in conflicts {
            let processes = scene.world.processes(*id);
            let runs = |node: &&Index| scene.world.joined(**node).is_some() && scene.nodes.is_member(**node);
            let running: Vec<_> = processes.iter().filter(runs).copied().collect();
            let [first, second, ..] = running.as_slice() else { continue };
            let met = scene.world.undisturbed(*first, *second);
            let due = met.map(|met| met.max(conflict.cloned) + scene.bounds.conflict);
            if due.is_none_or(|due| scene.at < due) {
                continue;
            }
            let told = if conflict.told { "and one was told of the other" } else { "and nobody was told" };
            let text = format!("two processes of {id} run on, {told}");
            return Err(scene.violation("CM13", *first, text));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, incarnation};
    use bruit_core::Notice;

    #[test]
    fn twins_that_run_on_are_found() {
        let mut history = Fixture::new(2, "CM13");
        let bound = history.bounds().conflict;
        history.cloned(1).after(bound * 2).ends().fires("CM13", "nobody was told");
    }

    #[test]
    fn a_chase_is_found() {
        let mut history = Fixture::new(2, "CM13");
        history.cloned(1);
        for epoch in 0..10 {
            history.notices(1, &Notice::Reincarnated { incarnation: incarnation(epoch, 0) });
        }
        history.fires("CM13", "chase each other");
    }

    #[test]
    fn one_that_stops_with_a_word_is_fine() {
        let mut history = Fixture::new(2, "CM13");
        let bound = history.bounds().conflict;
        history.cloned(1).notices(1, &Notice::Reincarnated { incarnation: incarnation(2, 0) });
        history.notices(1, &Notice::IdentityConflict { other: 1, stopped: true }).crashes(1);
        history.after(bound * 2).ends().is_silent();
    }
}
