//! CM4: an incarnation never falls; only its subject issues it; a restarted member is told apart from its former lives; and
//! each rise has a reason: an accusation, another boot or process with the same id, or a changed record.

mod lives;

use std::collections::{BTreeMap, BTreeSet};

use bruit_core::wire::{Alive, Message, Swim, cluster_tag, open};
use bruit_core::{Command, Incarnation, MemberState, Node, NodeId, Notice};

use crate::base::Index;
use crate::checks::scene::{Scene, change};
use crate::kernel::{Check, Happening, Memory, Violation};
use lives::Lives;

/// CM4: looks at the own incarnation of each node after each event, at the accusations that arrive, and at the incarnation
/// in each notice.
#[derive(Clone, Debug, Default)]
pub(crate) struct Incarnations {
    /// The present incarnation of each node.
    own: BTreeMap<Index, Incarnation>,
    /// The incarnations that each id has issued: the greatest counter of each epoch.
    issued: BTreeMap<NodeId, BTreeMap<u64, u32>>,
    /// The incarnation in the last notice of each observer about each member.
    told: BTreeMap<(Index, NodeId), Incarnation>,
    /// The rises of each node, and the reasons for them.
    accounts: BTreeMap<Index, Account>,
    lives: Lives,
}

#[derive(Clone, Debug, Default)]
struct Account {
    accusations: BTreeSet<(Incarnation, MemberState)>,
    reasons: u64,
    rises: u64,
}

impl Incarnations {
    fn issue(&mut self, id: NodeId, incarnation: Incarnation) {
        let counter = self.issued.entry(id).or_default().entry(incarnation.epoch).or_insert(0);
        *counter = incarnation.counter.max(*counter);
    }

    fn handled(&mut self, index: Index, node: &Node, scene: &Scene<'_>) -> Result<(), Violation> {
        let now = node.incarnation();
        let before = self.own.insert(index, now);
        if before == Some(now) {
            return Ok(());
        }
        self.issue(node.id(), now);
        self.lives.issue(index, now);
        let Some(before) = before else { return Ok(()) };
        if now < before {
            let text = format!("its own incarnation fell from {before} to {now}");
            return Err(scene.violation(index, text));
        }
        let account = self.accounts.entry(index).or_default();
        account.rises += rises(before, now);
        let reasons = account.reasons + account.accusations.len() as u64;
        // Digests tell the copy of a node that another life of it went on, which is a reason that is not counted.
        if account.rises > reasons && !scene.world.is_copied(node.id()) {
            let text = format!("it raised its incarnation {} times for {reasons} reasons", account.rises);
            return Err(scene.violation(index, text));
        }
        Ok(())
    }

    fn delivered(&mut self, to: Index, bytes: &[u8], scene: &Scene<'_>) {
        let Ok(datagram) = open(bytes, cluster_tag(&scene.config.cluster)) else { return };
        let me = scene.world.id(to);
        let account = self.accounts.entry(to).or_default();
        if datagram.header.sender == me {
            account.reasons += 1;
        }
        for message in datagram.messages.map_while(Result::ok) {
            let Message::Swim(message) = message else { continue };
            match message {
                Swim::Verdict(verdict) if verdict.id == me => {
                    account.accusations.insert((verdict.incarnation, verdict.state));
                }
                Swim::Accused(accused) => {
                    account.accusations.insert((accused.incarnation, accused.state));
                }
                // A record of another boot or process with the same id.
                Swim::Alive(Alive(record)) if record.id() == me => {
                    account.accusations.insert((record.incarnation(), MemberState::Alive));
                }
                // The answer may contain the address of the joiner, which then changes its record (rule A6).
                Swim::JoinAnswer(_) => account.reasons += 1,
                _ => {}
            }
        }
    }

    fn told(
        &mut self,
        observer: Index,
        id: NodeId,
        incarnation: Incarnation,
        scene: &Scene<'_>,
    ) -> Result<(), Violation> {
        // A node that has not handled any event yet has issued the incarnation that it started with.
        for subject in scene.world.processes(id) {
            if let Some(node) = scene.node(*subject) {
                self.issue(id, node.incarnation());
            }
        }
        scene.judges();
        let issued = self.issued.get(&id).and_then(|epochs| epochs.get(&incarnation.epoch));
        if !scene.world.processes(id).is_empty()
            && issued.is_none_or(|counter| *counter < incarnation.counter)
        {
            let text = format!("it holds {id} at {incarnation}, which {id} never had");
            return Err(scene.violation(observer, text));
        }
        let told = self.told.entry((observer, id)).or_insert(incarnation);
        if incarnation < *told {
            let text = format!("its incarnation of {id} fell from {told} to {incarnation}");
            return Err(scene.violation(observer, text));
        }
        *told = incarnation;
        if scene.world.id(observer) != id {
            self.lives.report(observer, id, incarnation, scene);
        }
        Ok(())
    }
}

/// How often an incarnation was raised from one to another.
fn rises(before: Incarnation, now: Incarnation) -> u64 {
    if now.epoch != before.epoch {
        1
    } else if now.record() == before.record() {
        (now.refutations() - before.refutations()).into()
    } else {
        (now.record() - before.record() + now.refutations()).into()
    }
}

impl Check<Scene<'_>> for Incarnations {
    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        if let Some((observer, change, member)) = change(happening) {
            if change == bruit_core::MemberChange::Forgotten {
                self.told.remove(&(observer, member.id));
                self.lives.forget(observer, member.id);
                return Ok(());
            }
            return self.told(observer, member.id, member.incarnation, scene);
        }
        match *happening {
            Happening::Handled { node } => match scene.node(node) {
                Some(inside) => self.handled(node, inside, scene),
                None => Ok(()),
            },
            Happening::Delivered { to, bytes, .. } => {
                self.delivered(to, bytes, scene);
                Ok(())
            }
            Happening::Command {
                node,
                command:
                    Command::Join { .. } | Command::SetMeta(_) | Command::SetTags(_) | Command::SetAddr(_),
            }
            | Happening::Notice {
                node,
                notice: Notice::IdentityConflict { .. } | Notice::AddressLearnt { .. },
            } => {
                self.accounts.entry(node).or_default().reasons += 1;
                Ok(())
            }
            Happening::Crashed { node } => {
                self.told.retain(|(observer, _), _| *observer != node);
                self.accounts.remove(&node);
                self.own.remove(&node);
                self.lives.crash(node, scene);
                Ok(())
            }
            Happening::Restarted { node, memory } => {
                if memory == Memory::Snapshot {
                    self.lives.resume(node, scene);
                } else {
                    self.lives.restart(node, memory);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn conclude(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        let settled = scene.world.calm().is_some_and(|calm| calm + scene.bounds.agreement <= scene.at);
        if settled { self.lives.judge(scene) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::fixture::{Fixture, config, node};
    use crate::kernel::Memory;
    use bruit_core::MemberChange;
    use core::time::Duration;

    #[test]
    fn an_own_incarnation_that_falls_is_found() {
        let mut history = Fixture::new(2, "CM4");
        history
            .becomes(0, node(1, 5, config()))
            .becomes(0, node(1, 4, config()))
            .fires("fell from 5.0 to 4.0");
    }

    #[test]
    fn a_rise_without_a_reason_is_found() {
        let mut history = Fixture::new(2, "CM4");
        history.becomes(0, node(1, 5, config()));
        for epoch in 6..9 {
            history.becomes(0, node(1, epoch, config()));
        }
        history.fires("reasons");
    }

    #[test]
    fn an_incarnation_that_its_subject_never_issued_is_found() {
        let mut history = Fixture::new(2, "CM4");
        history.tells(0, MemberChange::Suspected, 2, 3).fires("n2 never had");
    }

    #[test]
    fn an_incarnation_of_another_member_that_falls_is_found() {
        let mut history = Fixture::new(2, "CM4");
        history.becomes(1, node(2, 1, config())).tells(0, MemberChange::Up, 2, 0).is_silent();
        let mut lower = crate::checks::fixture::member(2, 0, bruit_core::MemberState::Alive);
        history.becomes(1, node(2, 2, config()));
        lower.incarnation.epoch = 2;
        history
            .notices(0, &bruit_core::Notice::Member { change: MemberChange::Updated, member: lower })
            .is_silent();
        history.tells(0, MemberChange::Updated, 2, 0).fires("fell from 2.0 to 1.0");
    }

    /// Member 2 is held at 1.0 by the others, crashes, and comes back in this epoch.
    fn comes_back(epoch: u64) -> Fixture {
        let mut history = Fixture::new(3, "CM4");
        history.becomes(1, node(2, 1, config())).tells(0, MemberChange::Up, 2, 0);
        history.after(Duration::from_secs(1)).crashes(1).tells(0, MemberChange::Down, 2, 0);
        history.restarts(1, node(2, epoch, config())).joins(1).becomes(1, node(2, epoch, config()));
        history
    }

    #[test]
    fn a_restarted_member_that_is_not_above_a_life_that_is_still_held_is_found() {
        let mut history = comes_back(1);
        let bound = history.bounds().agreement;
        history.ends().is_silent();
        history.after(bound).ends().fires("at 1.0, and n1 held a former life at 1.0");
    }

    #[test]
    fn a_restarted_member_that_repeats_a_life_that_a_crashed_member_held_is_found() {
        let mut history = comes_back(1);
        let bound = history.bounds().agreement;
        history.crashes(0).after(bound).ends().fires("a former life was held at the same incarnation");
    }

    #[test]
    fn a_clock_that_repeats_is_found_only_by_who_remembers() {
        let comes_back = |holder_runs: bool| {
            let mut history = Fixture::new(3, "CM4");
            history.becomes(1, node(2, 1, config())).tells(0, MemberChange::Up, 2, 0);
            history.after(Duration::from_secs(1)).crashes(1).tells(0, MemberChange::Down, 2, 0);
            history.restarts_with(1, node(2, 1, config()), Memory::AmnesiaClockBack).joins(1);
            history.becomes(1, node(2, 1, config()));
            if !holder_runs {
                history.crashes(0);
            }
            let bound = history.bounds().agreement;
            history.after(bound).ends();
            history
        };
        comes_back(true).fires("n1 held a former life at 1.0");
        comes_back(false).is_silent();
    }

    #[test]
    fn a_life_above_and_one_after_a_life_that_nobody_heard_of_are_fine() {
        let mut history = comes_back(2);
        let bound = history.bounds().agreement;
        history.after(bound).ends().is_silent();
        let mut history = Fixture::new(3, "CM4");
        history.becomes(1, node(2, 1, config())).crashes(1).restarts(1, node(2, 1, config())).joins(1);
        history.becomes(1, node(2, 1, config())).tells(0, MemberChange::Up, 2, 0);
        history.after(bound).ends().is_silent();
    }

    #[test]
    fn a_rise_after_a_join_and_an_issued_incarnation_are_fine() {
        let mut history = Fixture::new(2, "CM4");
        history.becomes(0, node(1, 1, config())).becomes(0, node(1, 2, config()));
        history.tells(1, MemberChange::Up, 1, 0).tells(0, MemberChange::Up, 2, 0).is_silent();
    }
}
