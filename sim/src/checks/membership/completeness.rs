//! CM1: a member that crashed and did not return is Down, Left or unknown at every connected member within the bound. This
//! is the time-bounded completeness of SWIM §3.1, which follows from probing in round-robin order.

use std::collections::BTreeMap;

use bruit_core::{MemberState, Time};

use crate::base::Index;
use crate::checks::scene::Scene;
use crate::kernel::{Check, Happening, Violation};

/// CM1: judges each crash once the completeness bound has passed without a new disturbance.
#[derive(Clone, Debug, Default)]
pub(crate) struct Completeness {
    /// The crashes that are not judged yet, with their times.
    waiting: BTreeMap<Index, Time>,
    /// The time at which the check looks at the waiting crashes again.
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
        // Another process with the id may run.
        if scene.world.active(id).next().is_some() {
            return Ok(());
        }
        // A node that has stopped observes nothing: the smaller of two twins, or a member that was removed.
        let observes = |node: &Index| scene.world.joined(*node).is_some() && scene.nodes.is_member(*node);
        for observer in scene.world.indices().filter(observes) {
            scene.judges();
            let Some(state) = scene.nodes.view(observer, id) else { continue };
            if matches!(state, MemberState::Alive | MemberState::Suspect) {
                let bound = scene.bounds.completeness;
                let text = format!(
                    "{id} crashed at {since} and is still {state:?} here after the bound of {bound:.1?}"
                );
                return Err(scene.violation(observer, text));
            }
        }
        Ok(())
    }
}

impl Check<Scene<'_>> for Completeness {
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
    use crate::checks::fixture::{Fixture, config, node};
    use core::time::Duration;

    #[test]
    fn a_crash_that_nobody_notices_is_found() {
        let mut history = Fixture::new(3, "CM1");
        history.acquainted();
        let bound = history.bounds().completeness;
        history.crashes(2).after(bound).ends().fires("n3 crashed");
    }

    #[test]
    fn a_crash_is_not_judged_before_the_bound_nor_after_a_restart() {
        let mut history = Fixture::new(3, "CM1");
        history.acquainted();
        let bound = history.bounds().completeness;
        history.crashes(2).after(bound - Duration::from_secs(1)).ends();
        history.restarts(2, node(3, 2, config())).after(bound * 2).ends().is_silent();
    }
}
