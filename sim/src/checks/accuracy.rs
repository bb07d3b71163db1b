//! CM2: nobody is called Down by a member that nothing ever stood between: no faults, no false Down; and after
//! a healed cut none about a member of one's own side (rule B1).

use bruit_core::{MemberChange, Time};

use super::{Rule, Scene, change};
use crate::check::Violation;
use crate::happening::Happening;

/// CM2. Judges each Down notice against what was done to the observer, the subject, and the link between.
#[derive(Clone, Debug, Default)]
pub struct Accuracy {
    /// Down notices about members that run: what PAPERS call false positives.
    pub false_downs: u64,
}

impl Rule for Accuracy {
    fn id(&self) -> &'static str {
        "CM2"
    }

    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        let Some((observer, MemberChange::Down, member)) = change(happening) else { return Ok(()) };
        let Some(subject) = scene.world.only(member.id) else { return Ok(()) };
        if scene.world.joined(subject).is_none() {
            return Ok(());
        }
        self.false_downs += 1;
        if scene.world.undisturbed(observer, subject) != Some(Time::ZERO) {
            return Ok(());
        }
        let text = format!(
            "{} is called Down, but it runs, and no cut, pause, restart or loss above the declared one ever \
             stood between the two",
            member.id
        );
        Err(scene.violation("CM2", observer, text))
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use bruit_core::MemberChange;

    #[test]
    fn a_down_out_of_the_blue_is_found() {
        let mut history = Fixture::new(3, "CM2");
        history.tells(0, MemberChange::Down, 2, 0).fires("CM2", "n2 is called Down");
    }

    #[test]
    fn a_down_about_ones_own_side_after_a_cut_is_found() {
        let mut history = Fixture::new(3, "CM2");
        history.cut(0, 2).cut(1, 2).tells(0, MemberChange::Down, 3, 0).heals().is_silent();
        history.tells(0, MemberChange::Down, 2, 0).fires("CM2", "n2 is called Down");
    }

    #[test]
    fn a_crash_a_cut_and_a_leave_are_good_reasons() {
        let mut history = Fixture::new(4, "CM2");
        history.after(core::time::Duration::from_secs(1)).crashes(3).tells(0, MemberChange::Down, 4, 0);
        history.cut(0, 2).tells(0, MemberChange::Down, 3, 0).heals().tells(0, MemberChange::Down, 3, 1);
        let leave = bruit_core::Command::Leave { within: core::time::Duration::ZERO };
        history.commanded(1, &leave).tells(0, MemberChange::Down, 2, 0).is_silent();
    }
}
