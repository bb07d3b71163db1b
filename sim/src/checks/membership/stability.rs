//! CM12: whatever the faults, no observer sees a member return more than a few times a minute, and no majority holds a healthy
//! member Down for longer than a refutation takes (the scenarios of Rapid §7).

use core::time::Duration;
use std::collections::{BTreeSet, HashMap, VecDeque};

use bruit_core::{MemberChange, NodeId, Time};

use crate::base::Index;
use crate::checks::scene::{Scene, change};
use crate::kernel::{Check, Happening, Violation};

/// The returns of one member at one observer that are allowed in a minute: those of a link that flaps every ten seconds.
const RETURNS_MAX: usize = 6;
const MINUTE: Duration = Duration::from_secs(60);

/// CM12: the latest returns of each member at each observer, and the healthy observers that hold a member Down.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stability {
    returns: HashMap<(Index, NodeId), VecDeque<Time>>,
    lost: HashMap<NodeId, Lost>,
}

/// The healthy observers that hold one member Down.
#[derive(Clone, Debug, Default)]
struct Lost {
    by: BTreeSet<Index>,
    /// The time since which they are a majority.
    majority: Option<Time>,
}

impl Stability {
    fn returned(&mut self, observer: Index, id: NodeId, scene: &Scene<'_>) -> Result<(), Violation> {
        let returns = self.returns.entry((observer, id)).or_default();
        while returns.front().is_some_and(|at| *at + MINUTE < scene.at) {
            returns.pop_front();
        }
        returns.push_back(scene.at);
        if returns.len() > RETURNS_MAX {
            let text = format!("{id} has returned {} times within a minute", returns.len());
            return Err(scene.violation(observer, text));
        }
        Ok(())
    }

    /// Whether a process is a member that no fault has ever affected.
    fn is_healthy(node: Index, scene: &Scene<'_>) -> bool {
        scene.world.joined(node).is_some() && scene.world.undisturbed(node, node) == Some(Time::ZERO)
    }

    fn judge(&self, scene: &Scene<'_>) -> Result<(), Violation> {
        let bound = scene.bounds.refutation;
        let mut over: Vec<_> =
            self.lost.iter().filter_map(|(id, lost)| Some((*id, lost.majority?, lost.by.first()?))).collect();
        over.sort();
        for (id, since, observer) in over {
            let Some(subject) = scene.world.only(id).filter(|node| Self::is_healthy(*node, scene)) else {
                continue;
            };
            let cut_off =
                self.lost[&id].by.iter().any(|by| scene.world.undisturbed(*by, subject) != Some(Time::ZERO));
            if !cut_off && since + bound < scene.at {
                let text = format!("a majority holds healthy {id} Down since {since}");
                return Err(scene.violation(*observer, text));
            }
        }
        Ok(())
    }
}

impl Check<Scene<'_>> for Stability {
    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        let Some((observer, change, member)) = change(happening) else { return Ok(()) };
        let id = member.id;
        if change == MemberChange::Down && Self::is_healthy(observer, scene) {
            self.lost.entry(id).or_default().by.insert(observer);
        } else if let Some(lost) = self.lost.get_mut(&id) {
            lost.by.remove(&observer);
        }
        if let Some(lost) = self.lost.get_mut(&id) {
            let healthy = scene.world.indices().filter(|node| Self::is_healthy(*node, scene)).count();
            let majority = 2 * lost.by.len() > healthy;
            lost.majority = if majority { lost.majority.or(Some(scene.at)) } else { None };
        }
        if change == MemberChange::Up && self.returns.contains_key(&(observer, id)) {
            self.returned(observer, id, scene)?;
        } else if change == MemberChange::Up {
            self.returns.insert((observer, id), VecDeque::new());
        }
        self.judge(scene)
    }

    fn conclude(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        self.judge(scene)
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::fixture::Fixture;
    use bruit_core::MemberChange;
    use core::time::Duration;

    #[test]
    fn an_oscillation_is_found() {
        let mut history = Fixture::new(3, "CM12");
        for _ in 0..8 {
            history.after(Duration::from_secs(5)).tells(0, MemberChange::Up, 2, 0).tells(
                0,
                MemberChange::Down,
                2,
                0,
            );
        }
        history.fires("n2 has returned");
    }

    #[test]
    fn a_healthy_member_that_a_majority_holds_down_is_found() {
        let mut history = Fixture::new(3, "CM12");
        history.tells(0, MemberChange::Down, 2, 0).tells(2, MemberChange::Down, 2, 0);
        let bound = history.bounds().refutation;
        history.after(bound + Duration::from_secs(1)).ends().fires("healthy n2");
    }

    #[test]
    fn slow_returns_and_crashed_members_are_fine() {
        let mut history = Fixture::new(4, "CM12");
        for _ in 0..20 {
            history.after(Duration::from_secs(20)).tells(0, MemberChange::Up, 2, 0).tells(
                0,
                MemberChange::Down,
                2,
                0,
            );
        }
        history.crashes(3);
        for observer in 0..3 {
            history.tells(observer, MemberChange::Down, 4, 0);
        }
        history.after(Duration::from_secs(6_000)).ends().is_silent();
    }
}
