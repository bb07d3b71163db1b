//! CM8: a node never holds itself Down or suspected, and a graceful leave is never shown as a failure at a
//! member that could hear it.

use bruit_core::{MemberChange, MemberState, Phase, Time};

use super::{Rule, Scene, change};
use crate::check::Violation;
use crate::happening::Happening;

/// CM8.
#[derive(Clone, Copy, Debug, Default)]
pub struct Farewell;

impl Rule for Farewell {
    fn id(&self) -> &'static str {
        "CM8"
    }

    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        if let Happening::Handled { node: index } = *happening {
            let Some(node) = scene.node(index) else { return Ok(()) };
            let state = scene.nodes.view(index, node.id());
            let gone = matches!(node.phase(), Phase::Leaving | Phase::Left | Phase::Ended);
            let fine =
                matches!(state, None | Some(MemberState::Alive)) || gone && state == Some(MemberState::Left);
            if !fine {
                let text =
                    format!("it holds itself {:?} in phase {:?}", state.expect("None is fine"), node.phase());
                return Err(scene.violation("CM8", index, text));
            }
            return Ok(());
        }
        let Some((observer, MemberChange::Down, member)) = change(happening) else { return Ok(()) };
        let Some(subject) = scene.world.only(member.id) else { return Ok(()) };
        let Some(left) = scene.world.left(subject) else { return Ok(()) };
        if left < scene.at && scene.world.undisturbed(observer, subject) == Some(Time::ZERO) {
            let text = format!("{} said goodbye at {left}, and is called Down", member.id);
            return Err(scene.violation("CM8", observer, text));
        }
        Ok(())
    }

    fn conclude(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        for subject in scene.world.indices() {
            let id = scene.world.id(subject);
            let Some(left) = scene.world.left(subject).filter(|_| !scene.world.has_twin(id)) else {
                continue;
            };
            let due = scene.world.calm().map(|calm| calm.max(left) + scene.bounds.completeness);
            if due.is_none_or(|due| scene.at < due) {
                continue;
            }
            for observer in scene.world.indices().filter(|node| scene.world.joined(*node).is_some()) {
                let state = scene.nodes.view(observer, id);
                if matches!(state, Some(MemberState::Alive | MemberState::Suspect)) {
                    let text = format!("{id} said goodbye at {left}, and is still a member here");
                    return Err(scene.violation("CM8", observer, text));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, config, node};
    use bruit_core::{Command, MemberChange};
    use core::time::Duration;

    const LEAVE: Command = Command::Leave { within: Duration::from_secs(5) };

    #[test]
    fn a_node_that_holds_itself_down_is_found() {
        let mut history = Fixture::new(2, "CM8");
        history
            .tells(0, MemberChange::Down, 1, 0)
            .becomes(0, node(1, 1, config()))
            .fires("CM8", "holds itself Down");
    }

    #[test]
    fn a_leaver_called_down_is_found() {
        let mut history = Fixture::new(3, "CM8");
        history
            .commanded(1, &LEAVE)
            .after(Duration::from_secs(9))
            .tells(0, MemberChange::Down, 2, 0)
            .fires("CM8", "n2 said goodbye");
    }

    #[test]
    fn a_leaver_that_stays_a_member_is_found() {
        let mut history = Fixture::new(3, "CM8");
        let bound = history.bounds().completeness;
        history.acquainted().commanded(1, &LEAVE).after(bound).ends().fires("CM8", "still a member");
    }

    #[test]
    fn a_good_goodbye_is_fine() {
        let mut history = Fixture::new(3, "CM8");
        let bound = history.bounds().completeness;
        history.acquainted().commanded(1, &LEAVE).tells(0, MemberChange::Left, 2, 0).tells(
            2,
            MemberChange::Left,
            2,
            0,
        );
        history.after(bound).ends().is_silent();
        history.crashes(2).tells(0, MemberChange::Down, 3, 0).is_silent();
    }
}
