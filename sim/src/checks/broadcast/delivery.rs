//! CB4: a message that one member was given and still holds is given to all connected members, or reported to them as lost,
//! within `repair` and the transfer time after the last disturbance (rules C1, C3, C4).

use bruit_core::{
    MemberState, MessageId, NodeId,
    broadcast::{History, Order},
};
use std::collections::BTreeSet;

use crate::base::Index;
use crate::checks::messages::Sent;
use crate::checks::scene::Scene;
use crate::kernel::{Check, Violation};

/// CB4: judged at the end, if the run was calm for long enough. Messages that were sent within that time are left out.
///
/// A member that held the origin alive when the message was sent must have it or know that it is lost. Without history
/// this begins with the first message that the member was given. With history, a member that came later must have the
/// message as well if all others still hold it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Delivery;

/// A message on one side of the cuts, and the members of that side that hold it.
struct Case<'a> {
    id: MessageId,
    sent: &'a Sent,
    side: &'a [Index],
    holders: BTreeSet<Index>,
}

impl Case<'_> {
    fn judge(&self, node: Index, scene: &Scene<'_>) -> Result<(), Violation> {
        let receiver = scene.messages.receiver(node);
        if !self.is_owed(node, scene) {
            return Ok(());
        }
        scene.judges();
        if receiver.times(self.id) > 0 || receiver.is_lost(self.id) {
            return Ok(());
        }
        let holder = self.holders.first().expect("a case with holders is judged");
        let known = scene
            .nodes
            .marks(node)
            .into_iter()
            .find(|mark| (mark.origin, mark.epoch) == (self.id.origin, self.id.epoch));
        let known = known.map_or("knows nothing of that epoch".to_owned(), |mark| {
            format!("knows up to {} of {}, without {:?}", mark.contiguous, mark.highest, mark.gaps)
        });
        let text = format!(
            "{} was sent at {} and {holder} holds it; this one was neither given it nor told that it is lost: it {known}",
            self.id, self.sent.at
        );
        Err(scene.violation(node, text))
    }

    fn is_owed(&self, node: Index, scene: &Scene<'_>) -> bool {
        let receiver = scene.messages.receiver(node);
        // Without history, an epoch begins with the first message of it that the member was given.
        let cached = scene.config.broadcast.history == History::Cached;
        let begun = cached
            || receiver.of(self.id.origin, self.id.epoch, 1).next().is_some_and(|seq| seq < self.id.seq);
        let present = self.sent.audience.contains(&node) && receiver.since <= self.sent.at && begun;
        // An earlier boot may have been given it, and may have stored that on the disk.
        let earlier = receiver.remembers().is_some_and(|since| self.sent.at <= since);
        let everybody_else = || self.side.iter().all(|other| *other == node || self.holders.contains(other));
        let newcomer = cached && everybody_else();
        let hidden = scene.world.has_hidden(node, self.id.origin);
        !earlier && !hidden && (present || newcomer) && self.is_open(node, scene)
    }

    /// Whether the member still accepts messages of that epoch: the last two epochs of an origin are open, and in the order of
    /// the origin no message of the former follows one of the latter.
    fn is_open(&self, node: Index, scene: &Scene<'_>) -> bool {
        let known = scene.nodes.epoch(node, self.id.origin);
        let behind = known.map_or(u64::MAX, |epoch| epoch.saturating_sub(self.id.epoch));
        let receiver = scene.messages.receiver(node);
        let passed = receiver.latest(self.id.origin).is_some_and(|latest| latest.epoch > self.id.epoch);
        behind < 2 && !(scene.config.broadcast.order == Order::Origin && passed)
    }
}

impl Check<Scene<'_>> for Delivery {
    fn conclude(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        let (Some(calm), Some(sides)) = (scene.world.calm(), scene.world.sides()) else { return Ok(()) };
        let bound = scene.bounds.broadcast.repair + scene.transfer();
        if calm + bound > scene.at {
            return Ok(());
        }
        for side in sides {
            let side: Vec<Index> = side.into_iter().filter(|node| scene.nodes.is_member(*node)).collect();
            for (id, sent) in scene.messages.iter().filter(|(_, sent)| sent.at + bound <= scene.at) {
                let shows = |node: &Index| {
                    let alive = |other: &Index| shows_alive(*node, scene.world.id(*other), scene);
                    side.iter().all(alive)
                };
                if scene.world.has_twin(id.origin) || !side.iter().all(shows) {
                    continue;
                }
                let holds = |node: &Index| {
                    scene.messages.receiver(*node).times(id) > 0 && scene.nodes.caches(*node, id)
                };
                let holders: BTreeSet<Index> = side.iter().copied().filter(holds).collect();
                let case = Case { id, sent, side: &side, holders };
                if !case.holders.is_empty() {
                    side.iter().try_for_each(|node| case.judge(*node, scene))?;
                }
            }
        }
        Ok(())
    }
}

/// Whether `node` shows that member alive. That it should is judged by CM7.
fn shows_alive(node: Index, id: NodeId, scene: &Scene<'_>) -> bool {
    scene.world.id(node) == id
        || matches!(scene.nodes.view(node, id), Some(MemberState::Alive | MemberState::Suspect))
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use bruit_core::broadcast::History;

    use crate::checks::fixture::{Fixture, config, message, node};

    /// A time above the bound of groups of up to four members.
    fn bound() -> Duration {
        Fixture::new(4, "CB4").bounds().broadcast.repair + Duration::from_secs(1)
    }

    /// A history in which two of three members were given a message and hold it.
    fn given_to_two() -> Fixture {
        let mut history = Fixture::new(3, "CB4");
        history.acquainted().after(Duration::from_secs(1)).broadcasts(0, 1, b"a").holds(0, message(1, 1, 1));
        history.gets(1, message(1, 1, 1), b"a").holds(1, message(1, 1, 1));
        history
    }

    #[test]
    fn a_missing_message_is_found_after_the_bound() {
        let mut history = given_to_two();
        history.ends().is_silent();
        history.after(bound()).ends().fires("n1:1:1 was sent at 1.000s and n1 holds it");
    }

    #[test]
    fn a_message_that_was_delivered_or_reported_as_lost_is_not_missing() {
        let mut history = given_to_two();
        history.gets(2, message(1, 1, 1), b"a").after(bound()).ends().is_silent();
        let mut history = given_to_two();
        history.loses(2, 1, (1, 1)).after(bound()).ends().is_silent();
    }

    #[test]
    fn a_message_that_no_member_holds_is_not_missing() {
        let mut history = given_to_two();
        history.drops(0, message(1, 1, 1)).drops(1, message(1, 1, 1)).after(bound()).ends().is_silent();
    }

    #[test]
    fn a_member_behind_a_cut_must_have_it_after_the_cut_heals() {
        let mut history = given_to_two();
        history.cut(0, 2).cut(1, 2).after(bound()).ends().is_silent();
        history.heals().ends().is_silent();
        history.after(bound()).ends().fires("n1:1:1");
    }

    #[test]
    fn a_new_member_must_have_what_all_others_hold_if_there_is_history() {
        let mut history = given_to_two();
        history.gets(2, message(1, 1, 1), b"a").holds(2, message(1, 1, 1));
        history.after(Duration::from_secs(1)).starts(node(4, 1, config())).acquainted();
        history.after(bound()).ends().fires("n1:1:1");
        let mut config = config();
        config.broadcast.history = History::None;
        let mut history = Fixture::configured(3, "CB4", config.clone());
        history.acquainted().broadcasts(0, 1, b"a").holds(0, message(1, 1, 1));
        for node in [1, 2] {
            history.gets(node, message(1, 1, 1), b"a").holds(node, message(1, 1, 1));
        }
        history.after(Duration::from_secs(1)).starts(node(4, 1, config)).acquainted();
        history.after(bound()).ends().is_silent();
    }
}
