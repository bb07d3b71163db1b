//! CM2: a member that runs is not called Down by an observer if no fault ever affected the two or the link between them.
//! After a healed cut this includes all members of the observer's own side (rule B1).

use bruit_core::{MemberChange, Time};

use crate::checks::scene::{Scene, change};
use crate::kernel::{Check, Happening, Violation};

/// CM2: judges each Down notice by the faults of the observer, of the subject, and of the link between them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Accuracy;

impl Check<Scene<'_>> for Accuracy {
    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        let Some((observer, MemberChange::Down, member)) = change(happening) else { return Ok(()) };
        let Some(subject) = scene.world.only(member.id) else { return Ok(()) };
        if scene.world.joined(subject).is_none() {
            return Ok(());
        }
        if scene.world.undisturbed(observer, subject) != Some(Time::ZERO) {
            return Ok(());
        }
        let text = format!(
            "{} is called Down, but it runs, and the two never had a cut, a pause, a restart or a loss above the \
             declared one between them",
            member.id
        );
        Err(scene.violation(observer, text))
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::fixture::Fixture;
    use bruit_core::MemberChange;

    #[test]
    fn a_false_down_is_found() {
        let mut history = Fixture::new(3, "CM2");
        history.tells(0, MemberChange::Down, 2, 0).fires("n2 is called Down");
    }

    #[test]
    fn a_false_down_about_the_own_side_after_a_cut_is_found() {
        let mut history = Fixture::new(3, "CM2");
        history.cut(0, 2).cut(1, 2).tells(0, MemberChange::Down, 3, 0).heals().is_silent();
        history.tells(0, MemberChange::Down, 2, 0).fires("n2 is called Down");
    }

    #[test]
    fn a_down_after_a_crash_a_cut_or_a_leave_is_fine() {
        let mut history = Fixture::new(4, "CM2");
        history.after(core::time::Duration::from_secs(1)).crashes(3).tells(0, MemberChange::Down, 4, 0);
        history.cut(0, 2).tells(0, MemberChange::Down, 3, 0).heals().tells(0, MemberChange::Down, 3, 1);
        let leave = bruit_core::Command::Leave { within: core::time::Duration::ZERO };
        history.commanded(1, &leave).tells(0, MemberChange::Down, 2, 0).is_silent();
    }
}
