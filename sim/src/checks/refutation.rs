//! CM6: a suspicion of a live member ends in its refutation, everywhere, before the suspicion's own time is up,
//! if observer and subject could talk for all of that time; and no suspicion lasts for ever.

use std::collections::HashMap;

use bruit_core::{MemberChange, MemberState, NodeId, Time};

use super::{Rule, Scene, change};
use crate::check::Violation;
use crate::cluster::Index;
use crate::happening::Happening;

/// CM6. Remembers since when each observer suspects whom.
#[derive(Clone, Debug, Default)]
pub struct Refutation {
    suspected: HashMap<(Index, NodeId), Time>,
}

impl Rule for Refutation {
    fn id(&self) -> &'static str {
        "CM6"
    }

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
        if change != MemberChange::Down {
            return Ok(());
        }
        let Some(subject) = scene.world.only(member.id).filter(|node| scene.world.joined(*node).is_some())
        else {
            return Ok(());
        };
        // Another's verdict on somebody who is suspected anyway is taken at its word (rule B1); CM2 judges those.
        let author =
            scene.node(observer).and_then(|node| Some((node.id(), node.why_down(member.id)?.author)));
        if author.is_some_and(|(me, author)| me != author) {
            return Ok(());
        }
        // Who has not learnt the address that the subject has moved to cannot ask it.
        let held = scene.node(observer).and_then(|node| Some(node.member(member.id)?.addr));
        if held.zip(scene.node(subject)).is_some_and(|(held, node)| held != node.addr()) {
            return Ok(());
        }
        let undisturbed = scene.world.undisturbed(observer, subject);
        if undisturbed.is_some_and(|free| free == Time::ZERO || free < since) {
            let text = format!(
                "its suspicion of {} outlived every refutation: {} runs, and nothing stood between the two \
                 from before {since} on",
                member.id, member.id
            );
            return Err(scene.violation("CM6", observer, text));
        }
        Ok(())
    }

    fn conclude(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        // A suspicion is judged at its end at the latest, and a freeze postpones that once.
        let bound = scene.bounds.suspicion.1 + scene.bounds.freeze + scene.bounds.period;
        let mut over: Vec<_> =
            self.suspected.iter().filter(|(_, since)| **since + bound < scene.at).collect();
        over.sort();
        for ((observer, id), since) in over {
            let runs = scene.world.joined(*observer).is_some() && scene.nodes.is_member(*observer);
            let free = scene.world.undisturbed(*observer, *observer).is_some_and(|free| free <= *since);
            if runs && free && scene.nodes.view(*observer, *id) == Some(MemberState::Suspect) {
                let text = format!("it suspects {id} since {since}, for longer than {bound:.1?}");
                return Err(scene.violation("CM6", *observer, text));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use bruit_core::MemberChange;
    use core::time::Duration;

    #[test]
    fn a_suspicion_that_outlives_its_refutation_is_found() {
        let mut history = Fixture::new(3, "CM6");
        history.cut(0, 1).heals().after(Duration::from_secs(1)).tells(0, MemberChange::Suspected, 2, 0);
        history.after(Duration::from_secs(9)).tells(0, MemberChange::Down, 2, 0).fires("CM6", "n2 outlived");
    }

    #[test]
    fn a_suspicion_without_end_is_found() {
        let mut history = Fixture::new(3, "CM6");
        history
            .tells(0, MemberChange::Suspected, 2, 0)
            .after(Duration::from_secs(600))
            .ends()
            .fires("CM6", "suspects n2");
    }

    #[test]
    fn a_refuted_one_and_one_from_a_cut_are_fine() {
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
