//! CM7: after the bound, members that can reach each other hold the same members alive, namely those that run on their side,
//! and have equal roots.

use bruit_core::NodeId;

use crate::base::Index;
use crate::checks::scene::Scene;
use crate::kernel::{Check, Violation};

/// CM7: judged once, at the end, if nothing has changed for the agreement bound.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Agreement;

impl Agreement {
    fn judge_side(side: &[Index], scene: &Scene<'_>) -> Result<(), Violation> {
        let mut expected: Vec<NodeId> = side.iter().map(|node| scene.world.id(*node)).collect();
        expected.sort_unstable();
        for observer in side {
            scene.judges();
            let live = scene.nodes.live(*observer);
            if live != expected {
                let missing: Vec<_> = expected.iter().filter(|id| !live.contains(id)).collect();
                let spare: Vec<_> = live.iter().filter(|id| !expected.contains(id)).collect();
                let text = format!(
                    "of the members that it can reach it lacks {missing:?}, and it also holds {spare:?} alive"
                );
                return Err(scene.violation(*observer, text));
            }
        }
        let mut roots = side.iter().filter_map(|node| Some((*node, scene.nodes.roots(*node)?)));
        let Some((first, root)) = roots.next() else { return Ok(()) };
        for (node, other) in roots {
            if other != root {
                let text = format!("its roots differ from those of {first}, long after the last change");
                return Err(scene.violation(node, text));
            }
        }
        Ok(())
    }
}

impl Check<Scene<'_>> for Agreement {
    fn conclude(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        let calm = scene.world.calm().is_some_and(|calm| calm + scene.bounds.agreement <= scene.at);
        let Some(sides) = scene.world.sides().filter(|_| calm) else { return Ok(()) };
        for side in sides {
            let mut clusters: Vec<(String, Vec<Index>)> = Vec::new();
            for index in side {
                let Some(node) = scene.node(index) else { continue };
                if !scene.nodes.is_member(index) {
                    continue;
                }
                let cluster = &node.config().cluster;
                match clusters.iter_mut().find(|(name, _)| name == cluster) {
                    Some((_, members)) => members.push(index),
                    None => clusters.push((cluster.clone(), vec![index])),
                }
            }
            clusters.iter().try_for_each(|(_, members)| Self::judge_side(members, scene))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::fixture::Fixture;
    use bruit_core::MemberChange;

    #[test]
    fn a_missing_member_is_found() {
        let mut history = Fixture::new(3, "CM7");
        let bound = history.bounds().agreement;
        history
            .acquainted()
            .tells(2, MemberChange::Down, 1, 0)
            .after(bound)
            .ends()
            .fires("lacks [NodeId(1)]");
    }

    #[test]
    fn a_crashed_member_that_is_still_held_alive_is_found() {
        let mut history = Fixture::new(3, "CM7");
        let bound = history.bounds().agreement;
        history.acquainted().crashes(2).after(bound).ends().fires("also holds [NodeId(3)] alive");
    }

    #[test]
    fn unequal_roots_are_found() {
        let mut history = Fixture::new(3, "CM7");
        let bound = history.bounds().agreement;
        history.acquainted().root(1, 9).after(bound).ends().fires("roots differ");
    }

    #[test]
    fn agreement_on_each_side_of_a_cut_and_a_difference_within_the_bound_are_fine() {
        let mut history = Fixture::new(3, "CM7");
        let bound = history.bounds().agreement;
        history.acquainted().cut(0, 2).cut(1, 2);
        for (observer, id) in [(0, 3), (1, 3), (2, 1), (2, 2)] {
            history.tells(observer, MemberChange::Down, id, 0);
        }
        history.root(2, 7).after(bound).ends().is_silent();
        history.heals().ends().is_silent();
    }
}
