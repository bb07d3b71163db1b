//! CM3: no member is Alive again at or below an incarnation at which the same observer held it Down or Left, within
//! `forget_after` of that verdict (rule B3). This also holds if the tombstone was forgotten early.

use std::collections::HashMap;

use bruit_core::{Incarnation, MemberChange, MemberState, NodeId, Time};

use crate::base::Index;
use crate::checks::scene::{Scene, change};
use crate::kernel::{Check, Happening, Violation};

/// CM3: the highest incarnation at which each observer held each member Down or Left, and the time at which the first
/// observer reported that verdict.
#[derive(Clone, Debug, Default)]
pub(crate) struct NoResurrection {
    held: HashMap<(Index, NodeId), Incarnation>,
    declared: HashMap<(NodeId, Incarnation), Time>,
}

impl Check<Scene<'_>> for NoResurrection {
    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        if let Happening::Crashed { node } = *happening {
            // The next boot of the observer remembers nothing.
            self.held.retain(|(observer, _), _| *observer != node);
        }
        let Some((observer, change, member)) = change(happening) else { return Ok(()) };
        let key = (observer, member.id);
        match change {
            // The application has refused the member, and may admit it later.
            MemberChange::Left if matches!(member.state, MemberState::Alive | MemberState::Suspect) => {}
            MemberChange::Down | MemberChange::Left => {
                self.declared.entry((member.id, member.incarnation)).or_insert(scene.at);
                let held = self.held.entry(key).or_insert(member.incarnation);
                *held = member.incarnation.max(*held);
            }
            MemberChange::Up | MemberChange::Refuted | MemberChange::Updated => {
                scene.judges();
                let Some(held) = self.held.get(&key).filter(|held| member.incarnation <= **held) else {
                    return Ok(());
                };
                let declared = self.declared.get(&(member.id, *held)).copied().unwrap_or(Time::ZERO);
                if scene.at < declared + scene.config.membership.forget_after {
                    let text = format!(
                        "{} is {change:?} at {}, and was Down or Left at {held}",
                        member.id, member.incarnation
                    );
                    return Err(scene.violation(observer, text));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::fixture::{Fixture, config, node};
    use bruit_core::MemberChange;
    use core::time::Duration;

    #[test]
    fn a_member_that_is_up_again_at_the_same_incarnation_is_found() {
        let mut history = Fixture::new(3, "CM3");
        history
            .tells(0, MemberChange::Down, 2, 4)
            .tells(0, MemberChange::Up, 2, 4)
            .fires("n2 is Up at 1.0+4");
    }

    #[test]
    fn a_member_that_is_up_again_below_a_forgotten_verdict_is_found() {
        let mut history = Fixture::new(3, "CM3");
        history.tells(0, MemberChange::Left, 2, 4).tells(0, MemberChange::Forgotten, 2, 4);
        history.after(Duration::from_secs(60)).tells(0, MemberChange::Up, 2, 3).fires("n2 is Up at 1.0+3");
    }

    #[test]
    fn a_higher_incarnation_a_late_return_and_another_observer_are_fine() {
        let mut history = Fixture::new(3, "CM3");
        history.tells(0, MemberChange::Down, 2, 4).tells(0, MemberChange::Up, 2, 5).tells(
            1,
            MemberChange::Up,
            2,
            4,
        );
        history.tells(0, MemberChange::Down, 3, 0).after(config().membership.forget_after);
        history.tells(0, MemberChange::Up, 3, 0).is_silent();
        history
            .tells(2, MemberChange::Down, 2, 9)
            .crashes(2)
            .restarts(2, node(3, 2, config()))
            .tells(2, MemberChange::Up, 2, 9)
            .is_silent();
    }
}
