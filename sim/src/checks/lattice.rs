//! M5: the table is the join of the updates that were delivered, in whatever order and however often.
//!
//! The updates that one member received are told to fresh nodes in several shuffled orders, each twice, and all
//! verdicts as fresh ones; the roots must be equal then. Left out is a Down of somebody who is alive at that
//! incarnation: what it does depends on how long he is suspected, on purpose (rule B1).

use bruit_core::wire::{Alive, Message, Record, Swim, Verdict, cluster_tag, open};
use bruit_core::{Boot, Command, Event, MemberState, Node, NodeId, Time, virtual_addr};

use super::{Rule, Scene};
use crate::check::Violation;
use crate::cluster::Index;
use crate::forge;
use crate::happening::Happening;
use crate::random::Random;

const UPDATES_MAX: usize = 512;
const ORDERS: u64 = 4;
/// The id of the fresh nodes and of the one who tells them everything; nobody else's.
const FRESH: NodeId = NodeId(u64::MAX);
const TELLER: NodeId = NodeId(u64::MAX - 1);

/// M5. Keeps the first updates that the first process received.
#[derive(Clone, Debug, Default)]
pub struct Lattice {
    updates: Vec<Update>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Update {
    Alive(Vec<u8>),
    Verdict(Verdict),
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

    /// A Down of somebody who is also said to live, if in doubt, at that incarnation or a lower one: whether it is
    /// taken at its word depends on what was heard first, and when (rule B1).
    fn hearsay(&self, update: &Update) -> Option<Verdict> {
        let Update::Verdict(verdict) = update else { return None };
        let lives = |other: &Update| {
            let (id, incarnation) = match other {
                Update::Alive(bytes) => {
                    let record = Record::read(bytes).expect("it was read before");
                    (record.id(), record.incarnation())
                }
                Update::Verdict(other) if other.state == MemberState::Suspect => {
                    (other.id, other.incarnation)
                }
                Update::Verdict(_) => return false,
            };
            id == verdict.id && incarnation <= verdict.incarnation
        };
        let is = verdict.state == MemberState::Down && self.updates.iter().any(lives);
        is.then_some(*verdict)
    }

    /// The roots of a fresh node that was told the updates in this order, twice.
    fn roots(&self, order: &[usize], scene: &Scene<'_>) -> [u64; 3] {
        let boot = Boot::new(FRESH, "fresh", virtual_addr(FRESH.0), 1, [5; 32]);
        let mut node =
            Node::new(boot, scene.config.clone(), Time::ZERO).expect("the cluster's own configuration");
        node.handle(Event::Command(Command::Join { seeds: Vec::new() }), Time::ZERO);
        let mut header = forge::header(&scene.config.cluster, TELLER, FRESH);
        for i in order.iter().chain(order) {
            let message = match &self.updates[*i] {
                Update::Alive(bytes) => Alive(Record::read(bytes).expect("it was read before")).into(),
                Update::Verdict(verdict) => (*verdict).into(),
            };
            header.sequence += 1;
            let bytes = forge::datagram(&header, &[message]);
            node.handle(Event::Datagram { from: virtual_addr(TELLER.0), bytes: &bytes }, Time::ZERO);
        }
        node.roots()
    }
}

impl Rule for Lattice {
    fn id(&self) -> &'static str {
        "M5"
    }

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
        let hearsay: Vec<Verdict> = self.updates.iter().filter_map(|update| self.hearsay(update)).collect();
        self.updates
            .retain(|update| !matches!(update, Update::Verdict(verdict) if hearsay.contains(verdict)));
        let mut order: Vec<usize> = (0..self.updates.len()).collect();
        let first = self.roots(&order, scene);
        let mut random = Random::new(self.updates.len() as u64, 0x4d35, 0);
        for _ in 0..ORDERS {
            random.shuffle(&mut order);
            if self.roots(&order, scene) != first {
                let text = format!(
                    "{} updates in the order {order:?} end in another table than in that of arrival",
                    order.len()
                );
                return Err(Violation::new("M5", scene.at, text));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, config, incarnation};
    use super::*;
    use bruit_core::wire::RecordFields;

    fn record(id: u64, counter: u32, meta: &[u8]) -> Vec<u8> {
        let fields = RecordFields {
            id: NodeId(id),
            incarnation: incarnation(1, counter),
            boot: id,
            shared: 0,
            roster: 0,
            priority: 0,
            protocol: (1, 1),
            eligible: true,
            addr: virtual_addr(id),
            name: "n",
            zone: "",
            meta,
        };
        fields.encode()
    }

    fn told(history: &mut Fixture, message: Message<'_>) {
        let header = forge::header("fixture", NodeId(2), NodeId(1));
        let bytes = forge::datagram(&header, &[message]);
        history.delivers(1, 0, &bytes);
    }

    #[test]
    fn updates_of_all_kinds_in_any_order_are_fine() {
        let mut history = Fixture::new(2, "M5");
        for counter in 0..4 {
            for id in 3..9 {
                let bytes = record(id, counter, &[counter.to_le_bytes()[0]]);
                told(&mut history, Alive(Record::read(&bytes).expect("well made")).into());
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
                told(&mut history, verdict.into());
            }
        }
        history.ends().is_silent();
    }

    #[test]
    fn a_table_that_depends_on_the_order_is_found() {
        // More members than the table holds: those that come first win, so the order shows.
        let mut config = config();
        config.membership.members_max = 4;
        let mut history = Fixture::configured(2, "M5", config);
        for id in 3..13 {
            let bytes = record(id, 0, &[]);
            told(&mut history, Alive(Record::read(&bytes).expect("well made")).into());
        }
        history.ends().fires("M5", "another table");
    }
}
