//! CM8: a node never holds itself Down or Suspect, and a member that could hear of a leave does not report it as a failure.

use std::collections::HashMap;

use bruit_core::{MemberChange, MemberState, NodeId, Phase, Time};

use crate::base::Index;
use crate::checks::scene::{Scene, change};
use crate::kernel::{Check, Happening, Violation};

/// CM8: judges the own state of a node after each event, each Down notice about a member that has left, and the end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Farewell {
    /// The members that were told of a leave, and since when.
    witnesses: HashMap<NodeId, Vec<(Index, Time)>>,
}

impl Farewell {
    /// Whether nothing kept the news of this leave from the observer: either nothing disturbed the two of them and all others
    /// since before the leave, or a member that has heard of it, and that nothing disturbed towards the observer since
    /// before the leave, had the time to pass it on.
    fn could_hear(&self, observer: Index, subject: Index, left: Time, scene: &Scene<'_>) -> bool {
        let free = |a: Index, b: Index| {
            a == b || scene.world.undisturbed(a, b).is_some_and(|free| free == Time::ZERO || free < left)
        };
        let mut others = scene.world.indices().filter(|other| scene.world.is_up(*other));
        let witnesses = self.witnesses.get(&scene.world.id(subject));
        others.all(|other| free(observer, other) && free(subject, other))
            || witnesses.into_iter().flatten().any(|(witness, since)| {
                *since >= left && free(observer, *witness) && *since + scene.bounds.leave <= scene.at
            })
    }
}

impl Check<Scene<'_>> for Farewell {
    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        if let Happening::Handled { node: index } = *happening {
            let Some(node) = scene.node(index) else { return Ok(()) };
            let state = scene.nodes.view(index, node.id());
            // One that joins again waits first, and has not published that yet.
            let gone = matches!(node.phase(), Phase::Waiting | Phase::Leaving | Phase::Left | Phase::Ended);
            let fine =
                matches!(state, None | Some(MemberState::Alive)) || gone && state == Some(MemberState::Left);
            if !fine {
                let text =
                    format!("it holds itself {:?} in phase {:?}", state.expect("None is fine"), node.phase());
                return Err(scene.violation(index, text));
            }
            return Ok(());
        }
        let Some((observer, change, member)) = change(happening) else { return Ok(()) };
        if change == MemberChange::Left {
            self.witnesses.entry(member.id).or_default().push((observer, scene.at));
        }
        if change != MemberChange::Down {
            return Ok(());
        }
        let Some(subject) = scene.world.only(member.id) else { return Ok(()) };
        let Some(left) = scene.world.left(subject) else { return Ok(()) };
        let free = scene.world.undisturbed(observer, subject);
        // Who joined later hears of it only from others, and perhaps nobody has heard of it.
        let was_there = scene.world.joined(observer).is_some_and(|joined| joined < left);
        let free = free.is_some_and(|free| free == Time::ZERO || free < left);
        if was_there && left < scene.at && free && self.could_hear(observer, subject, left, scene) {
            scene.judges();
            let text = format!("{} left at {left}, and is called Down", member.id);
            return Err(scene.violation(observer, text));
        }
        Ok(())
    }

    fn conclude(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        for subject in scene.world.indices() {
            let id = scene.world.id(subject);
            let Some(left) = scene.world.left(subject).filter(|_| !scene.world.is_replaced(subject)) else {
                continue;
            };
            let due = scene.world.calm().map(|calm| calm.max(left) + scene.bounds.completeness);
            if due.is_none_or(|due| scene.at < due) {
                continue;
            }
            // A process that has stopped keeps the view that it had.
            let runs = |node: &Index| scene.world.joined(*node).is_some() && scene.nodes.is_member(*node);
            for observer in scene.world.indices().filter(runs) {
                let state = scene.nodes.view(observer, id);
                scene.judges();
                if matches!(state, Some(MemberState::Alive | MemberState::Suspect)) {
                    let text = format!("{id} left at {left}, and is still a member here");
                    return Err(scene.violation(observer, text));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::fixture::{Fixture, config, node};
    use bruit_core::{Command, MemberChange, NodeId, Notice};
    use core::time::Duration;

    const LEAVE: Command = Command::Leave { within: Duration::from_secs(5) };

    #[test]
    fn a_node_that_holds_itself_down_is_found() {
        let mut history = Fixture::new(2, "CM8");
        history
            .tells(0, MemberChange::Down, 1, 0)
            .becomes(0, node(1, 1, config()))
            .fires("holds itself Down");
    }

    #[test]
    fn a_leaver_called_down_is_found() {
        let mut history = Fixture::new(3, "CM8");
        history.acquainted().after(Duration::from_secs(1)).commanded(1, &LEAVE);
        history.after(Duration::from_secs(9)).tells(0, MemberChange::Down, 2, 0).fires("n2 left at");
    }

    #[test]
    fn a_leaver_called_down_although_another_member_knows_of_the_leave_is_found() {
        let mut history = Fixture::new(4, "CM8");
        let bound = history.bounds().leave;
        history.acquainted().after(Duration::from_secs(1)).cut(1, 3).commanded(1, &LEAVE);
        history
            .tells(2, MemberChange::Left, 2, 0)
            .after(bound)
            .tells(0, MemberChange::Down, 2, 0)
            .fires("n2 left at");
    }

    #[test]
    fn a_leave_of_which_only_members_beyond_a_cut_know_is_not_judged() {
        let mut history = Fixture::new(4, "CM8");
        let bound = history.bounds().leave;
        history.acquainted().after(Duration::from_secs(1)).commanded(1, &LEAVE);
        history.tells(2, MemberChange::Left, 2, 0).cut(0, 2).after(bound);
        history.tells(0, MemberChange::Down, 2, 0).is_silent();
    }

    #[test]
    fn a_leaver_that_stays_a_member_is_found() {
        let mut history = Fixture::new(3, "CM8");
        let bound = history.bounds().completeness;
        history.acquainted().commanded(1, &LEAVE).after(bound).ends().fires("still a member");
    }

    #[test]
    fn a_removed_member_that_stopped_and_stays_a_member_is_found() {
        let mut history = Fixture::new(3, "CM8");
        let bound = history.bounds().completeness;
        history
            .acquainted()
            .commanded(0, &Command::RemovePeer(NodeId(2)))
            .after(bound * 2)
            .ends()
            .is_silent();
        history.notices(1, &Notice::Removed).stops(1).after(bound).ends().fires("still a member");
    }

    #[test]
    fn a_leave_that_is_shown_as_one_is_fine() {
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
