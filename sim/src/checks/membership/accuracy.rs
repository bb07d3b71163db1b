//! CM2: a member that runs is not called Down by an observer if nothing has disturbed the two or the link between them for
//! some time. After a healed cut this includes all members of the observer's own side (rule B1). If a Down that is heard is
//! believed (`Hearsay::Believe`), one wrong verdict reaches everybody, so nothing may have disturbed any member.

use std::collections::BTreeMap;

use bruit_core::{MemberChange, NodeId, Time};

use crate::base::Index;
use crate::checks::scene::{Scene, change};
use crate::kernel::{Check, Happening, Violation};

/// CM2: judges each Down notice by the faults of the observer, of the subject, and of the link between them.
///
/// A doubt that arose during a disturbance may end in Down for a while after it. A suspicion that began after the last
/// disturbance is judged by CM6, unless nothing ever disturbed the two.
#[derive(Clone, Debug, Default)]
pub(crate) struct Accuracy {
    /// The time since which each observer suspects a member.
    suspected: BTreeMap<(Index, NodeId), Time>,
}

impl Accuracy {
    fn judge(
        (observer, id): (Index, NodeId),
        change: MemberChange,
        suspected: Option<Time>,
        scene: &Scene<'_>,
    ) -> Result<(), Violation> {
        let Some(subject) = scene.world.only(id) else { return Ok(()) };
        let Some(free) = scene.in_reach(observer, subject) else { return Ok(()) };
        let after = suspected.is_some_and(|since| since > free);
        let doubted = free > Time::ZERO && (after || scene.at < free + scene.bounds.doubt);
        if scene.world.joined(subject).is_none() || doubted {
            return Ok(());
        }
        scene.judges();
        if change != MemberChange::Down {
            return Ok(());
        }
        let since = if free == Time::ZERO { "ever".to_owned() } else { format!("since {free}") };
        let text = format!(
            "{id} is called Down, but it runs, and no cut, pause, restart, move or high loss has disturbed the two {since}"
        );
        Err(scene.violation(observer, text))
    }
}

impl Check<Scene<'_>> for Accuracy {
    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        if let Happening::Crashed { node } = *happening {
            self.suspected.retain(|(observer, _), _| *observer != node);
        }
        let Some((observer, change, member)) = change(happening) else { return Ok(()) };
        let key = (observer, member.id);
        match change {
            MemberChange::Suspected => {
                self.suspected.insert(key, scene.at);
                Ok(())
            }
            MemberChange::Updated => Ok(()),
            MemberChange::Down | MemberChange::Refuted => {
                Self::judge(key, change, self.suspected.remove(&key), scene)
            }
            _ => {
                self.suspected.remove(&key);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::fixture::Fixture;
    use bruit_core::{Config, Hearsay, MemberChange, Notice};
    use core::time::Duration;

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
    fn a_false_down_long_after_a_disturbance_is_found() {
        let down = |suspected: bool, late: bool| {
            let mut history = Fixture::new(3, "CM2");
            let doubt = history.bounds().doubt;
            history.after(Duration::from_secs(1)).pauses(1);
            if suspected {
                history.tells(0, MemberChange::Suspected, 2, 0);
            }
            history.after(Duration::from_secs(1)).resumes(1);
            history.after(if late { doubt } else { doubt / 2 }).tells(0, MemberChange::Down, 2, 0);
            history
        };
        down(false, true).fires("n2 is called Down");
        down(true, true).fires("has disturbed the two since 2.000s");
        down(true, false).is_silent();
        down(false, false).is_silent();
    }

    #[test]
    fn a_down_that_follows_from_the_pause_of_a_third_member_is_found_unless_hearsay_is_believed() {
        let after = |hearsay, late: bool| {
            let mut config = Config::lan("fixture");
            config.membership.hearsay = hearsay;
            let mut history = Fixture::configured(3, "CM2", config);
            let doubt = history.bounds().doubt;
            history.after(Duration::from_secs(1)).pauses(2).after(Duration::from_secs(1)).resumes(2);
            history.after(if late { doubt } else { doubt / 2 }).tells(0, MemberChange::Down, 2, 0);
            history
        };
        after(Hearsay::Doubt, false).fires("n2 is called Down");
        after(Hearsay::Believe, false).is_silent();
        after(Hearsay::Believe, true).fires("n2 is called Down");
    }

    #[test]
    fn a_false_down_at_a_loss_of_a_tenth_is_found() {
        let mut history = Fixture::new(3, "CM2");
        history.loses_datagrams(100_001).tells(0, MemberChange::Down, 2, 0).is_silent();
        let mut history = Fixture::new(3, "CM2");
        history.loses_datagrams(100_000).tells(0, MemberChange::Down, 2, 0).fires("n2 is called Down");
    }

    #[test]
    fn a_false_down_about_the_survivor_of_two_with_one_id_is_found() {
        let mut history = Fixture::new(3, "CM2");
        let doubt = history.bounds().doubt;
        history.cloned(1).tells(0, MemberChange::Down, 2, 0).is_silent();
        history.notices(3, &Notice::IdentityConflict { other: 2, stopped: true }).tells(
            0,
            MemberChange::Up,
            2,
            1,
        );
        history.after(doubt).tells(0, MemberChange::Down, 2, 1).fires("n2 is called Down");
    }

    #[test]
    fn a_down_after_a_crash_a_cut_or_a_leave_is_fine() {
        let mut history = Fixture::new(4, "CM2");
        history.after(Duration::from_secs(1)).crashes(3).tells(0, MemberChange::Down, 4, 0);
        history.cut(0, 2).tells(0, MemberChange::Down, 3, 0).heals().tells(0, MemberChange::Down, 3, 1);
        history.after(history.bounds().doubt / 2).tells(0, MemberChange::Down, 3, 1);
        let leave = bruit_core::Command::Leave { within: Duration::ZERO };
        history.commanded(1, &leave).tells(0, MemberChange::Down, 2, 0).is_silent();
    }
}
