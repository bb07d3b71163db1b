//! CM1: a permanently crashed member is Down, Left or unknown at every connected member within the bound
//! (SWIM §3.1: time-bounded completeness; round-robin probing makes it so).

use std::collections::BTreeMap;

use bruit_core::{MemberState, Time};

use super::{Rule, Scene};
use crate::check::Violation;
use crate::cluster::Index;
use crate::happening::Happening;

/// CM1. Waits, after each crash, for one completeness bound without a new disturbance.
#[derive(Clone, Debug, Default)]
pub struct Completeness {
    /// Crashes that are not yet judged, and the earliest time at which they may be.
    waiting: BTreeMap<Index, Time>,
    next: Option<Time>,
}

impl Completeness {
    fn judge(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        let Some(calm) = scene.world.calm() else {
            self.next = Some(scene.at + scene.bounds.period);
            return Ok(());
        };
        let due: Vec<Index> = self
            .waiting
            .iter()
            .filter(|(_, since)| self.is_due(**since, calm, scene))
            .map(|(node, _)| *node)
            .collect();
        for node in due {
            self.waiting.remove(&node);
            self.judge_one(node, scene)?;
        }
        let earliest =
            self.waiting.values().min().map(|since| (*since).max(calm) + scene.bounds.completeness);
        self.next = earliest.map(|time| time.max(scene.at + scene.bounds.period));
        Ok(())
    }

    fn is_due(&self, since: Time, calm: Time, scene: &Scene<'_>) -> bool {
        since.max(calm) + scene.bounds.completeness <= scene.at
    }

    fn judge_one(&self, crashed: Index, scene: &Scene<'_>) -> Result<(), Violation> {
        let Some(since) = scene.world.crashed(crashed) else { return Ok(()) };
        let id = scene.world.id(crashed);
        if scene.world.has_twin(id) {
            return Ok(());
        }
        // Who has stopped notices nothing any more: the one of two twins that yielded, or a member that was removed.
        let observes = |node: &Index| scene.world.joined(*node).is_some() && scene.nodes.is_member(*node);
        for observer in scene.world.indices().filter(observes) {
            let Some(state) = scene.nodes.view(observer, id) else { continue };
            if matches!(state, MemberState::Alive | MemberState::Suspect) {
                let bound = scene.bounds.completeness;
                let text =
                    format!("{id} crashed at {since} and is {state:?} here, {bound:.1?} and more later");
                return Err(scene.violation("CM1", observer, text));
            }
        }
        Ok(())
    }
}

impl Rule for Completeness {
    fn id(&self) -> &'static str {
        "CM1"
    }

    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        if let Happening::Crashed { node } = *happening {
            self.waiting.insert(node, scene.at);
            self.next.get_or_insert(scene.at + scene.bounds.completeness);
        }
        if let Happening::Restarted { node, .. } = *happening {
            self.waiting.remove(&node);
        }
        if self.next.is_some_and(|next| next <= scene.at) { self.judge(scene) } else { Ok(()) }
    }

    fn conclude(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        self.judge(scene)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, config, node};
    use core::time::Duration;

    #[test]
    fn a_crash_that_nobody_notices_is_found() {
        let mut history = Fixture::new(3, "CM1");
        history.acquainted();
        let bound = history.bounds().completeness;
        history.crashes(2).after(bound).ends().fires("CM1", "n3 crashed");
    }

    #[test]
    fn before_the_bound_and_after_a_return_it_says_nothing() {
        let mut history = Fixture::new(3, "CM1");
        history.acquainted();
        let bound = history.bounds().completeness;
        history.crashes(2).after(bound - Duration::from_secs(1)).ends();
        history.restarts(2, node(3, 2, config())).after(bound * 2).ends().is_silent();
    }
}
