//! CM5: the table is the lattice join of the updates that were delivered, in whatever order and however often.
//!
//! The updates that one member received are given to fresh nodes in several shuffled orders, each order twice and each
//! verdict with age 0. The roots must then be equal. A Down about a member that is alive at that incarnation is left out at
//! first, because its effect depends on the time for which the member was suspected (rule B1). With these Downs, the fresh
//! nodes run on without an answer from anybody until all suspicions have expired; then their roots must be equal as well.

use core::time::Duration;
use std::collections::BTreeSet;

use bruit_core::wire::{Alive, Message, Record, Swim, Verdict, cluster_tag, open};
use bruit_core::{Boot, Command, Event, MemberState, Node, NodeId, Time, virtual_addr};

use crate::base::{Index, Random};
use crate::checks::Bounds;
use crate::checks::scene::Scene;
use crate::kernel::{Check, Happening, Violation};
use crate::network::forge;

/// The number of updates that are kept.
const UPDATES_MAX: usize = 512;
/// The number of shuffled orders.
const ORDERS: u64 = 4;
/// The number of shuffled orders after which the fresh nodes run on. They are fewer, because each is a long run.
const SETTLED_ORDERS: u64 = 2;
/// The id of the fresh nodes. No member has it.
const FRESH: NodeId = NodeId(u64::MAX);
/// The id of the sender of the updates. No member has it.
const SENDER: NodeId = NodeId(u64::MAX - 1);

/// CM5: keeps the first updates that the first process received, and judges them at the end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lattice {
    updates: Vec<Update>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Update {
    Alive(Vec<u8>),
    Verdict(Verdict),
}

impl Update {
    fn id(&self) -> NodeId {
        match self {
            Self::Alive(bytes) => Record::read(bytes).expect("it was read before").id(),
            Self::Verdict(verdict) => verdict.id,
        }
    }
}

impl Lattice {
    fn take(&mut self, bytes: &[u8], cluster: &str) {
        let Ok(datagram) = open(bytes, cluster_tag(cluster)) else { return };
        for message in datagram.messages.map_while(Result::ok) {
            let update = match message {
                Message::Swim(Swim::Alive(Alive(record))) => Update::Alive(record.bytes().to_vec()),
                Message::Swim(Swim::Verdict(verdict)) => Update::Verdict(Verdict { age: 0, ..verdict }),
                _ => continue,
            };
            if self.updates.len() < UPDATES_MAX && !self.updates.contains(&update) {
                self.updates.push(update);
            }
        }
    }

    /// The verdict in an update, if it is a Down about a member that another update shows alive or suspected at the same
    /// incarnation or a lower one. Whether such a Down is accepted depends on the order and the times (rule B1).
    fn hearsay(&self, update: &Update) -> Option<Verdict> {
        let Update::Verdict(verdict) = update else { return None };
        let lives = |other: &Update| {
            let (id, incarnation) = match other {
                Update::Alive(bytes) => {
                    let record = Record::read(bytes).expect("it was read before");
                    (record.id(), record.incarnation())
                }
                Update::Verdict(other)
                    if matches!(other.state, MemberState::Alive | MemberState::Suspect) =>
                {
                    (other.id, other.incarnation)
                }
                Update::Verdict(_) => return false,
            };
            id == verdict.id && incarnation <= verdict.incarnation
        };
        let is = verdict.state == MemberState::Down && self.updates.iter().any(lives);
        is.then_some(*verdict)
    }

    /// A fresh node that got the updates in this order, twice.
    fn fed(&self, order: &[usize], scene: &Scene<'_>) -> Node {
        let boot = Boot::new(FRESH, "fresh", virtual_addr(FRESH.0), 1, [5; 32]);
        let mut config = scene.config.clone();
        // The fresh node and the sender take places in its table that the original does not need.
        config.membership.members_max += 2;
        // Tombstones that are held back are in no root, and their time begins with the verdict, which orders change.
        config.membership.forget_after = Duration::from_secs(24 * 3_600);
        let mut node = Node::new(boot, config, Time::ZERO).expect("the cluster's own configuration");
        node.handle(Event::Command(Command::Join { seeds: Vec::new() }), Time::ZERO);
        forge::introduce(&mut node, &scene.config.cluster, SENDER, Time::ZERO);
        let mut header = forge::header(&scene.config.cluster, SENDER, FRESH);
        for i in order.iter().chain(order) {
            let message = match &self.updates[*i] {
                Update::Alive(bytes) => Alive(Record::read(bytes).expect("it was read before")).into(),
                Update::Verdict(verdict) => (*verdict).into(),
            };
            header.sequence += 1;
            let bytes = forge::datagram(&header, &[message]);
            node.handle(Event::Datagram { from: virtual_addr(SENDER.0), bytes: &bytes }, Time::ZERO);
        }
        node
    }

    /// The roots of a fresh node that got the updates in this order and then heard nothing until every member that was
    /// alive had been probed, suspected and called Down.
    fn settled(&self, order: &[usize], scene: &Scene<'_>) -> [u64; 3] {
        let mut node = self.fed(order, scene);
        // Members that wait for admission are not counted by the node.
        let ids: BTreeSet<NodeId> = self.updates.iter().map(Update::id).collect();
        let members = 3 + u32::try_from(ids.len()).unwrap_or(u32::MAX);
        let bounds = Bounds::new(scene.config, members, Duration::ZERO, 0);
        let end = Time::ZERO + bounds.completeness + bounds.freeze;
        while let Some(wake) = node.next_wake().filter(|wake| *wake <= end) {
            node.handle(Event::Tick, wake);
        }
        node.roots()
    }

    /// Whether all orders of these updates give the same roots.
    fn judge(
        &self,
        roots: impl Fn(&[usize]) -> [u64; 3],
        orders: u64,
        scene: &Scene<'_>,
    ) -> Result<(), Violation> {
        let mut order: Vec<usize> = (0..self.updates.len()).collect();
        let first = roots(&order);
        let mut random = Random::new(self.updates.len() as u64, 0x4d35, 0);
        for _ in 0..orders {
            random.shuffle(&mut order);
            scene.judges();
            if roots(&order) != first {
                let text = format!(
                    "{} updates in the order {order:?} give another table than in the order of arrival",
                    order.len()
                );
                return Err(scene.violation_of_cluster(text));
            }
        }
        Ok(())
    }
}

impl Check<Scene<'_>> for Lattice {
    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        if let Happening::Delivered { to, bytes, .. } = *happening
            && to == Index::new(0)
            && self.updates.len() < UPDATES_MAX
        {
            self.take(bytes, &scene.config.cluster);
        }
        Ok(())
    }

    fn conclude(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        if self.updates.is_empty() {
            return Ok(());
        }
        self.judge(|order| self.settled(order, scene), SETTLED_ORDERS, scene)?;
        let hearsay: Vec<Verdict> = self.updates.iter().filter_map(|update| self.hearsay(update)).collect();
        self.updates
            .retain(|update| !matches!(update, Update::Verdict(verdict) if hearsay.contains(verdict)));
        self.judge(|order| self.fed(order, scene).roots(), ORDERS, scene)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixture::{Fixture, config, incarnation};
    use bruit_core::wire::RecordFields;

    fn record(id: u64, counter: u32, meta: &[u8]) -> Vec<u8> {
        RecordFields { meta, ..forge::record(id, incarnation(1, counter)) }.encode()
    }

    fn hears(history: &mut Fixture, message: Message<'_>) {
        let header = forge::header("fixture", NodeId(2), NodeId(1));
        let bytes = forge::datagram(&header, &[message]);
        history.delivers(1, 0, &bytes);
    }

    #[test]
    fn updates_of_all_kinds_in_any_order_are_fine() {
        let mut history = Fixture::new(2, "CM5");
        for counter in 0..4 {
            for id in 3..9 {
                let bytes = record(id, counter, &[counter.to_le_bytes()[0]]);
                hears(&mut history, Alive(Record::read(&bytes).expect("well made")).into());
                let state = [MemberState::Suspect, MemberState::Down, MemberState::Left][(id % 3) as usize];
                let (removed, age, author) = (false, 0, NodeId(2));
                let verdict = Verdict {
                    id: NodeId(id),
                    incarnation: incarnation(1, counter),
                    state,
                    removed,
                    age,
                    author,
                };
                hears(&mut history, verdict.into());
            }
        }
        history.ends().is_silent();
    }

    fn verdict(id: u64, state: MemberState, removed: bool) -> Verdict {
        Verdict { id: NodeId(id), incarnation: incarnation(1, 0), state, removed, age: 0, author: NodeId(2) }
    }

    #[test]
    fn downs_about_live_members_and_removals_in_any_order_are_fine() {
        let mut history = Fixture::new(2, "CM5");
        for id in 3..7 {
            let bytes = record(id, 0, &[]);
            hears(&mut history, Alive(Record::read(&bytes).expect("well made")).into());
            hears(&mut history, verdict(id, MemberState::Suspect, false).into());
            hears(&mut history, verdict(id, MemberState::Down, id == 3).into());
        }
        history.ends().is_silent();
    }

    #[test]
    fn a_table_that_depends_on_the_order_is_found() {
        // There are more members than the table holds; those that come first win, so the order matters.
        let mut config = config();
        config.membership.members_max = 4;
        let mut history = Fixture::configured(2, "CM5", config);
        for id in 3..13 {
            let bytes = record(id, 0, &[]);
            hears(&mut history, Alive(Record::read(&bytes).expect("well made")).into());
        }
        history.ends().fires("another table");
    }
}
