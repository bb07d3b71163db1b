//! CM12: whatever the faults, no observer sees a member return more than a few times a minute, and no majority holds a healthy
//! member Down for longer than a refutation takes (the scenarios of Rapid §7). Two members that have called each other Down
//! during a disturbance send each other nothing afterwards, so that nothing can be refuted: they find together again by healing,
//! which takes a reunion.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use bruit_core::{MemberChange, NodeId, Time};

use crate::base::Index;
use crate::checks::scene::{Scene, change};
use crate::kernel::{Check, Happening, Violation};

/// The returns of one member at one observer that are allowed in a minute: those of a link that flaps every ten seconds.
const RETURNS_MAX: usize = 6;
const MINUTE: Duration = Duration::from_secs(60);

/// CM12: the latest returns of each member at each observer, and the observers that hold a member Down.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stability {
    returns: BTreeMap<(Index, NodeId), VecDeque<Time>>,
    /// For each member the observers that hold it Down, with the times of their notices.
    down: BTreeMap<NodeId, BTreeMap<Index, Time>>,
}

impl Stability {
    fn returned(&mut self, observer: Index, id: NodeId, scene: &Scene<'_>) -> Result<(), Violation> {
        let returns = self.returns.entry((observer, id)).or_default();
        while returns.front().is_some_and(|at| *at + MINUTE < scene.at) {
            returns.pop_front();
        }
        returns.push_back(scene.at);
        scene.judges();
        if returns.len() > RETURNS_MAX {
            let text = format!("{id} has returned {} times within a minute", returns.len());
            return Err(scene.violation(observer, text));
        }
        Ok(())
    }

    /// Judges the members that are held Down by somebody. An observer is healthy towards a member if nothing has disturbed
    /// the two for the time of a refutation. It may hold the member Down for that time, or for the time of a reunion if that
    /// came of a disturbance, which may end in Down within a doubt after its end (check CM2).
    fn judge(&self, scene: &Scene<'_>) -> Result<(), Violation> {
        let bound = scene.bounds.refutation;
        for (id, down) in &self.down {
            let is_old = |since: &Time| *since + bound < scene.at;
            if !down.values().any(is_old) {
                continue;
            }
            let subject = scene.world.only(*id).filter(|node| scene.world.joined(*node).is_some());
            let Some(subject) = subject else { continue };
            let is_healthy = |observer: &Index| {
                let free = scene.world.in_reach(*observer, subject);
                *observer != subject
                    && scene.world.joined(*observer).is_some()
                    && free.is_some_and(|free| free == Time::ZERO || free + bound < scene.at)
            };
            let healthy: Vec<Index> = scene.world.indices().filter(is_healthy).collect();
            let is_overdue = |observer: &Index| {
                let since = down.get(observer).filter(|since| is_old(since));
                let free = scene.world.in_reach(*observer, subject);
                since.zip(free).is_some_and(|(since, free)| {
                    let remains = free > Time::ZERO && *since <= free + scene.bounds.doubt;
                    !remains || free + scene.bounds.reunion < scene.at
                })
            };
            // Who has come and gone too often is held alive, and shown as Down until it is quiet.
            let holds = |observer: &&Index| {
                is_overdue(observer)
                    && scene.node(**observer).is_none_or(|node| node.probation(*id).is_none())
            };
            let holders: Vec<&Index> = healthy.iter().filter(holds).collect();
            if !healthy.is_empty() {
                scene.judges();
            }
            if 2 * holders.len() > healthy.len() {
                let text = format!(
                    "{} of {} healthy observers hold healthy {id} Down for longer than {bound:.1?}",
                    holders.len(),
                    healthy.len()
                );
                return Err(scene.violation(*holders[0], text));
            }
        }
        Ok(())
    }
}

impl Check<Scene<'_>> for Stability {
    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        if let Happening::Crashed { node } = *happening {
            for down in self.down.values_mut() {
                down.remove(&node);
            }
            self.returns.retain(|(observer, _), _| *observer != node);
        }
        let Some((observer, change, member)) = change(happening) else { return Ok(()) };
        let id = member.id;
        if change == MemberChange::Down {
            self.down.entry(id).or_default().insert(observer, scene.at);
        } else if let Some(down) = self.down.get_mut(&id) {
            down.remove(&observer);
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
        history
            .after(bound + Duration::from_secs(1))
            .ends()
            .fires("2 of 2 healthy observers hold healthy n2 Down");
    }

    #[test]
    fn a_majority_that_holds_a_member_down_after_a_disturbance_of_all_is_found() {
        let mut history = Fixture::new(3, "CM12");
        let bound = history.bounds().reunion;
        history.cut(0, 1).cut(2, 1).tells(0, MemberChange::Down, 2, 0).tells(2, MemberChange::Down, 2, 0);
        history.after(bound * 2).ends().is_silent();
        history.heals().after(bound).ends().is_silent();
        history.after(Duration::from_secs(1)).ends().fires("healthy n2");
    }

    #[test]
    fn a_majority_that_calls_a_member_down_long_after_a_disturbance_is_found_soon() {
        let mut history = Fixture::new(3, "CM12");
        let (doubt, refutation) = (history.bounds().doubt, history.bounds().refutation);
        assert!(refutation < history.bounds().reunion);
        history.cut(0, 1).cut(2, 1).after(Duration::from_secs(5)).heals();
        history.after(doubt + Duration::from_secs(1));
        history.tells(0, MemberChange::Down, 2, 0).tells(2, MemberChange::Down, 2, 0);
        history.after(refutation).ends().is_silent();
        history.after(Duration::from_secs(1)).ends().fires("2 of 2 healthy observers hold healthy n2 Down");
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
