//! CM6: the suspicion of a live member is refuted before its time is up, at every observer that could reach the member for
//! all of that time; and no suspicion lasts forever. If a Down that is heard is believed (`Hearsay::Believe`), the suspicion
//! must have begun when the doubts of all members were over.

use core::time::Duration;
use std::collections::BTreeMap;

use bruit_core::{Hearsay, MemberChange, MemberState, NodeId, Time};

use crate::base::Index;
use crate::checks::scene::{Scene, change};
use crate::kernel::{Check, Happening, Violation};

/// CM6: the time since which each observer suspects a member.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refutation {
    suspected: BTreeMap<(Index, NodeId), Time>,
}

impl Check<Scene<'_>> for Refutation {
    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        if let Happening::Crashed { node } = *happening {
            self.suspected.retain(|(observer, _), _| *observer != node);
        }
        let Some((observer, change, member)) = change(happening) else { return Ok(()) };
        let key = (observer, member.id);
        if change == MemberChange::Suspected {
            self.suspected.insert(key, scene.at);
            return Ok(());
        }
        if change == MemberChange::Updated {
            return Ok(());
        }
        let Some(since) = self.suspected.remove(&key) else { return Ok(()) };
        let Some(subject) = scene.world.only(member.id).filter(|node| scene.world.joined(*node).is_some())
        else {
            return Ok(());
        };
        // The observer suspects another process of the id, or one that has moved, and has not heard of that.
        let heard_of = |node: &bruit_core::Node| (node.boot(), node.addr()) == (member.boot, member.addr);
        if scene.node(subject).is_some_and(|node| !heard_of(node)) {
            return Ok(());
        }
        let believes = scene.config.membership.hearsay == Hearsay::Believe;
        let doubt = if believes { scene.bounds.doubt } else { Duration::ZERO };
        let free = scene.in_reach(observer, subject);
        if free.is_none_or(|free| free > Time::ZERO && free + doubt >= since) {
            return Ok(());
        }
        scene.judges();
        if change != MemberChange::Down {
            return Ok(());
        }
        let text = format!(
            "its suspicion of {} was not refuted: {} runs, and the two could reach each other since before {since}",
            member.id, member.id
        );
        Err(scene.violation(observer, text))
    }

    fn conclude(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        // A freeze postpones the end of a suspicion at most once.
        let bound = scene.bounds.suspicion.1 + scene.bounds.freeze + scene.bounds.period;
        let over = self.suspected.iter().filter(|(_, since)| **since + bound < scene.at);
        for ((observer, id), since) in over {
            let runs = scene.world.joined(*observer).is_some() && scene.nodes.is_member(*observer);
            let free = scene.world.in_reach(*observer, *observer).is_some_and(|free| free <= *since);
            if runs && free && scene.nodes.view(*observer, *id) == Some(MemberState::Suspect) {
                let text = format!("it suspects {id} since {since}, longer than the bound of {bound:.1?}");
                return Err(scene.violation(*observer, text));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::fixture::Fixture;
    use bruit_core::{Config, Hearsay, MemberChange};
    use core::time::Duration;

    #[test]
    fn a_suspicion_of_a_live_member_that_is_not_refuted_is_found() {
        let mut history = Fixture::new(3, "CM6");
        history.cut(0, 1).heals().after(Duration::from_secs(1)).tells(0, MemberChange::Suspected, 2, 0);
        history.after(Duration::from_secs(9)).tells(0, MemberChange::Down, 2, 0).fires("n2 was not refuted");
    }

    #[test]
    fn a_suspicion_that_ends_in_the_down_of_another_member_is_found() {
        let mut history = Fixture::new(3, "CM6");
        history.moves(1).after(Duration::from_secs(1)).tells(0, MemberChange::Suspected, 2, 0);
        history.after(Duration::from_secs(9)).tells(0, MemberChange::Down, 2, 0).fires("n2 was not refuted");
    }

    #[test]
    fn a_suspicion_that_the_doubt_of_a_third_member_ends_is_found_unless_hearsay_is_believed() {
        let ended = |hearsay, late: bool| {
            let mut config = Config::lan("fixture");
            config.membership.hearsay = hearsay;
            let mut history = Fixture::configured(3, "CM6", config);
            let doubt = history.bounds().doubt;
            history.after(Duration::from_secs(1)).pauses(2).after(Duration::from_secs(1)).resumes(2);
            history.after(if late { doubt * 2 } else { doubt / 2 }).tells(0, MemberChange::Suspected, 2, 0);
            history.after(Duration::from_secs(1)).tells(0, MemberChange::Down, 2, 0);
            history
        };
        ended(Hearsay::Doubt, false).fires("n2 was not refuted");
        ended(Hearsay::Believe, false).is_silent();
        ended(Hearsay::Believe, true).fires("n2 was not refuted");
    }

    #[test]
    fn a_suspicion_without_end_is_found() {
        let mut history = Fixture::new(3, "CM6");
        history
            .tells(0, MemberChange::Suspected, 2, 0)
            .after(Duration::from_secs(600))
            .ends()
            .fires("suspects n2");
    }

    #[test]
    fn a_refuted_suspicion_and_one_from_a_cut_are_fine() {
        let mut history = Fixture::new(3, "CM6");
        history
            .tells(0, MemberChange::Suspected, 2, 0)
            .tells(0, MemberChange::Refuted, 2, 1)
            .after(Duration::from_secs(600));
        history
            .cut(0, 1)
            .tells(0, MemberChange::Suspected, 2, 1)
            .heals()
            .tells(0, MemberChange::Down, 2, 1)
            .ends()
            .is_silent();
    }
}
