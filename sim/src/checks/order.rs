//! CM11: the notices about one member at one observer follow one grammar: `Up`, then any of `Suspected`,
//! `Refuted` and `Updated`, then `Down` or `Left`, then `Up` again or `Forgotten`; no repeats, no gaps, and the
//! last one agrees with the view.

use std::collections::HashMap;

use bruit_core::{MemberChange, MemberState, NodeId};

use super::{Rule, Scene, change};
use crate::check::Violation;
use crate::cluster::Index;
use crate::happening::Happening;

/// CM11. The automaton of each observer and member.
#[derive(Clone, Debug, Default)]
pub struct Order {
    states: HashMap<(Index, NodeId), MemberState>,
}

/// What follows, or `None` where the grammar has no such word. Outside is unknown or forgotten.
const fn next(state: Option<MemberState>, change: MemberChange) -> Option<Option<MemberState>> {
    use MemberState::{Alive, Down, Left, Suspect};
    Some(match (state, change) {
        (None | Some(Down | Left), MemberChange::Up) | (Some(Suspect), MemberChange::Refuted) => Some(Alive),
        (Some(Alive), MemberChange::Suspected) => Some(Suspect),
        (Some(Alive | Suspect), MemberChange::Updated) => state,
        (Some(Alive | Suspect), MemberChange::Down) => Some(Down),
        (Some(Alive | Suspect), MemberChange::Left) => Some(Left),
        (Some(Down | Left), MemberChange::Forgotten) => None,
        _ => return None,
    })
}

impl Rule for Order {
    fn id(&self) -> &'static str {
        "CM11"
    }

    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        if let Happening::Crashed { node } = *happening {
            self.states.retain(|(observer, _), _| *observer != node);
        }
        let Some((observer, change, member)) = change(happening) else { return Ok(()) };
        let key = (observer, member.id);
        let state = self.states.get(&key).copied();
        let Some(after) = next(state, change) else {
            let before = state.map_or("unknown".to_owned(), |state| format!("{state:?}"));
            let text = format!("it told {change:?} of {}, which was {before}", member.id);
            return Err(scene.violation("CM11", observer, text));
        };
        if let Some(after) = after {
            // Who returns under suspicion is told as Up and then as Suspected, in one breath.
            let soon = change == MemberChange::Up && member.state == MemberState::Suspect;
            if member.state != after && !soon {
                let text = format!("it told {change:?} of {} and shows it {:?}", member.id, member.state);
                return Err(scene.violation("CM11", observer, text));
            }
            self.states.insert(key, after);
        } else {
            self.states.remove(&key);
        }
        Ok(())
    }

    fn conclude(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        let mut told: Vec<_> = self.states.iter().map(|(key, state)| (*key, *state)).collect();
        told.sort_unstable();
        for ((observer, id), state) in told {
            if scene.world.joined(observer).is_none() || id == scene.world.id(observer) {
                continue;
            }
            let shown = scene.nodes.view(observer, id);
            if shown != Some(state) {
                let text = format!("its last notice made {id} {state:?}, and it shows {shown:?}");
                return Err(scene.violation("CM11", observer, text));
            }
        }
        for observer in scene.world.indices().filter(|node| scene.world.joined(*node).is_some()) {
            let me = scene.world.id(observer);
            for id in scene.nodes.live(observer).into_iter().filter(|id| *id != me) {
                if !self.states.contains_key(&(observer, id)) {
                    return Err(scene.violation(
                        "CM11",
                        observer,
                        format!("it shows {id}, and never told of it"),
                    ));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use bruit_core::MemberChange::{Down, Forgotten, Left, Refuted, Suspected, Up, Updated};

    fn history(words: &[bruit_core::MemberChange]) -> Fixture {
        let mut history = Fixture::new(2, "CM11");
        for word in words {
            history.tells(0, *word, 2, 0);
        }
        history
    }

    #[test]
    fn words_out_of_place_are_found() {
        history(&[Suspected]).fires("CM11", "Suspected of n2, which was unknown");
        history(&[Up, Up]).fires("CM11", "Up of n2, which was Alive");
        history(&[Up, Refuted]).fires("CM11", "Refuted of n2, which was Alive");
        history(&[Up, Down, Down]).fires("CM11", "Down of n2, which was Down");
        history(&[Up, Down, Left]).fires("CM11", "Left of n2, which was Down");
        history(&[Up, Forgotten]).fires("CM11", "Forgotten of n2, which was Alive");
        history(&[Up, Down, Updated]).fires("CM11", "Updated of n2, which was Down");
    }

    #[test]
    fn a_view_that_does_not_match_the_last_notice_is_found() {
        history(&[Up])
            .shows(0, 2, bruit_core::MemberState::Suspect)
            .ends()
            .fires("CM11", "it shows Some(Suspect)");
        history(&[]).shows(0, 2, bruit_core::MemberState::Alive).ends().fires("CM11", "never told");
    }

    #[test]
    fn every_legal_word_is_fine() {
        let words = [
            Up, Updated, Suspected, Updated, Refuted, Suspected, Down, Up, Left, Forgotten, Up, Down,
            Forgotten,
        ];
        history(&words).ends().is_silent();
    }
}
