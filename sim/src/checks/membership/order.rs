//! CM11: the notices of one observer about one member follow one grammar: `Up`, then any of `Suspected`, `Refuted` and
//! `Updated`, then `Down` or `Left`, then `Up` again or `Forgotten`. No notice is missing or repeated, and the last one
//! agrees with the view.

use std::collections::{BTreeMap, BTreeSet};

use bruit_core::{Admission, Command, MemberChange, MemberState, NodeId};

use crate::base::Index;
use crate::checks::scene::{Scene, change};
use crate::kernel::{Check, Happening, Memory, Violation};

/// CM11: the state of each member according to the notices of each observer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Order {
    states: BTreeMap<(Index, NodeId), MemberState>,
    /// The members that the application of an observer has refused. It is told that they left, while they live.
    vetoed: BTreeSet<(Index, NodeId)>,
}

impl Order {
    /// A process that goes on from a snapshot does not report again what it has reported before.
    fn adopt(&mut self, observer: Index, scene: &Scene<'_>) {
        let Some(node) = scene.node(observer) else { return };
        let others = node.members().filter(|member| member.id != node.id());
        self.states.extend(others.map(|member| ((observer, member.id), member.state)));
    }
}

/// The state after a change; the inner `None` is a member that is unknown or forgotten. `None` if the grammar does not
/// allow the change.
const fn next(state: Option<MemberState>, change: MemberChange) -> Option<Option<MemberState>> {
    use MemberState::{Alive, Down, Left, Suspect};
    Some(match (state, change) {
        (None | Some(Down | Left), MemberChange::Up) | (Some(Suspect), MemberChange::Refuted) => Some(Alive),
        (Some(Alive), MemberChange::Suspected) => Some(Suspect),
        (Some(Alive | Suspect), MemberChange::Updated) => state,
        (Some(Alive | Suspect), MemberChange::Down) => Some(Down),
        (Some(Alive | Suspect | Down), MemberChange::Left) => Some(Left),
        (Some(Down | Left), MemberChange::Forgotten) => None,
        _ => return None,
    })
}

impl Check<Scene<'_>> for Order {
    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        if let Happening::Crashed { node } = *happening {
            self.states.retain(|(observer, _), _| *observer != node);
            self.vetoed.retain(|(observer, _)| *observer != node);
        }
        match *happening {
            Happening::Cloned { node, .. } | Happening::Restarted { node, memory: Memory::Snapshot } => {
                self.adopt(node, scene);
            }
            Happening::Command { node, command: Command::Admit { id, admission: Admission::Veto } } => {
                self.vetoed.insert((node, *id));
            }
            _ => {}
        }
        let Some((observer, change, member)) = change(happening) else { return Ok(()) };
        scene.judges();
        let key = (observer, member.id);
        let state = self.states.get(&key).copied();
        let Some(after) = next(state, change) else {
            let before = state.map_or("unknown".to_owned(), |state| format!("{state:?}"));
            let text = format!("it reported {change:?} of {}, which was {before}", member.id);
            return Err(scene.violation(observer, text));
        };
        if let Some(after) = after {
            let veto = change == MemberChange::Left && self.vetoed.remove(&key);
            if member.state != after && !veto {
                let text = format!("it reported {change:?} of {} and shows it {:?}", member.id, member.state);
                return Err(scene.violation(observer, text));
            }
            if veto {
                // The application has asked not to be shown the member any more.
                self.states.remove(&key);
            } else {
                self.states.insert(key, after);
            }
        } else {
            self.states.remove(&key);
        }
        Ok(())
    }

    fn conclude(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        for ((observer, id), state) in self.states.iter().map(|(key, state)| (*key, *state)) {
            if scene.world.joined(observer).is_none() || id == scene.world.id(observer) {
                continue;
            }
            let shown = scene.nodes.shown(observer, id);
            if shown != Some(state) {
                let text = format!("its last notice made {id} {state:?}, and it shows {shown:?}");
                return Err(scene.violation(observer, text));
            }
        }
        for observer in scene.world.indices().filter(|node| scene.world.joined(*node).is_some()) {
            let me = scene.world.id(observer);
            for id in scene.nodes.live(observer).into_iter().filter(|id| *id != me) {
                if !self.states.contains_key(&(observer, id)) {
                    return Err(scene.violation(observer, format!("it shows {id}, and never reported it")));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::fixture::Fixture;
    use bruit_core::MemberChange::{Down, Forgotten, Left, Refuted, Suspected, Up, Updated};

    fn history(changes: &[bruit_core::MemberChange]) -> Fixture {
        let mut history = Fixture::new(2, "CM11");
        for change in changes {
            history.tells(0, *change, 2, 0);
        }
        history
    }

    #[test]
    fn changes_out_of_place_are_found() {
        history(&[Suspected]).fires("Suspected of n2, which was unknown");
        history(&[Up, Up]).fires("Up of n2, which was Alive");
        history(&[Up, Refuted]).fires("Refuted of n2, which was Alive");
        history(&[Up, Down, Down]).fires("Down of n2, which was Down");
        history(&[Up, Left, Left]).fires("Left of n2, which was Left");
        history(&[Up, Forgotten]).fires("Forgotten of n2, which was Alive");
        history(&[Up, Down, Updated]).fires("Updated of n2, which was Down");
    }

    #[test]
    fn a_view_that_does_not_match_the_last_notice_is_found() {
        history(&[Up]).shows(0, 2, bruit_core::MemberState::Suspect).ends().fires("it shows Some(Suspect)");
        history(&[]).shows(0, 2, bruit_core::MemberState::Alive).ends().fires("never reported");
    }

    #[test]
    fn every_allowed_change_is_fine() {
        let changes = [
            Up, Updated, Suspected, Updated, Refuted, Suspected, Down, Up, Left, Forgotten, Up, Down,
            Forgotten,
        ];
        history(&changes).ends().is_silent();
    }
}
