//! CB3: where the order of the origin is asked for, what is delivered of one origin rises; whatever is passed over is
//! announced as `Lost` before; what is `Lost` exists, was not delivered and never will be; and in the end nothing
//! that a node knows of is neither delivered, nor `Lost`, nor still being looked for (rules C1, C3, C4).

use bruit_core::{
    MessageId, NodeId, Notice,
    broadcast::{Mark, Order},
};

use super::super::{Rule, Scene};
use crate::check::Violation;
use crate::cluster::Index;
use crate::happening::Happening;

/// CB3.
#[derive(Clone, Copy, Debug, Default)]
pub struct Holes;

impl Holes {
    fn delivered(node: Index, id: MessageId, scene: &Scene<'_>) -> Result<(), Violation> {
        let receiver = scene.messages.receiver(node);
        let object = |text: String| Err(scene.violation("CB3", node, text));
        if receiver.is_lost(id) {
            return object(format!("it is given {id}, which was announced as lost"));
        }
        if scene.config.broadcast.order == Order::Arrival || scene.world.has_twin(id.origin) {
            return Ok(());
        }
        let Some(latest) = receiver.latest(id.origin) else { return Ok(()) };
        if (latest.epoch, latest.seq) >= (id.epoch, id.seq) {
            return object(format!("it is given {id} after {latest}"));
        }
        let passed = (latest.seq + 1..id.seq).take_while(|_| latest.epoch == id.epoch);
        let told =
            |id: &MessageId| receiver.is_lost(*id) || receiver.times(*id) > 0 || earlier(node, *id, scene);
        match passed.map(|seq| MessageId { seq, ..id }).find(|passed| !told(passed)) {
            Some(hole) => {
                object(format!("it is given {id} after {latest}, and nobody has told it that {hole} is lost"))
            }
            None => Ok(()),
        }
    }

    fn lost(
        node: Index,
        (origin, epoch, first, last): (NodeId, u64, u64, u64),
        scene: &Scene<'_>,
    ) -> Result<(), Violation> {
        let receiver = scene.messages.receiver(node);
        let object = |text: &str| {
            Err(scene.violation(
                "CB3",
                node,
                format!("it is told that {origin}:{epoch}:{first}..={last} is lost, {text}"),
            ))
        };
        if first == 0 || first > last {
            return object("which is no range");
        }
        if let Some(seq) = receiver.of(origin, epoch, first).find(|seq| *seq <= last) {
            return object(&format!("and was given number {seq}"));
        }
        if receiver.lost(origin, epoch).iter().any(|range| *range.start() <= last && first <= *range.end()) {
            return object("a part of it for the second time");
        }
        if last > scene.messages.highest(origin, epoch) && !scene.world.has_twin(origin) {
            return object("and so many were never sent");
        }
        Ok(())
    }

    /// What a mark claims to be over or under way, against what the application was told.
    fn mark(node: Index, mark: &Mark, scene: &Scene<'_>) -> Result<(), Violation> {
        let Mark { origin, epoch, contiguous, highest, gaps } = mark;
        let receiver = scene.messages.receiver(node);
        let lost = receiver.lost(*origin, *epoch);
        let told = |seq: u64| {
            receiver.times(MessageId { origin: *origin, epoch: *epoch, seq }) > 0
                || lost.iter().any(|range| range.contains(&seq))
        };
        // Everything below the base is nobody's business, and the base is at most the first that was told.
        let base = receiver.of(*origin, *epoch, 1).chain(lost.iter().map(|range| *range.start())).min();
        let earlier = |seq: u64| earlier(node, MessageId { origin: *origin, epoch: *epoch, seq }, scene);
        let hole = (base.unwrap_or(contiguous + 1)..=*contiguous).find(|seq| !told(*seq) && !earlier(*seq));
        if let Some(hole) = hole {
            let text = format!(
                "{origin}:{epoch}:{hole} counts as over, and it was neither delivered nor announced as lost"
            );
            return Err(scene.violation("CB3", node, text));
        }
        let in_gap = |seq: u64| gaps.iter().any(|(first, last)| (*first..=*last).contains(&seq));
        let waiting: Vec<u64> = (contiguous + 1..=*highest)
            .filter(|seq| !told(*seq) && !in_gap(*seq) && !earlier(*seq))
            .collect();
        // Behind a gap it may be held back.
        let may_wait = match scene.config.broadcast.order {
            Order::Arrival => 0,
            Order::Origin => scene.nodes.usage(node).held_back,
        };
        if waiting.len() > may_wait {
            let text = format!(
                "{origin}:{epoch}:{} is known, and neither delivered, nor lost, nor looked for ({} held back)",
                waiting[0], may_wait
            );
            return Err(scene.violation("CB3", node, text));
        }
        Ok(())
    }
}

/// Whether an earlier life may have been given it, and have left that on the disk.
fn earlier(node: Index, id: MessageId, scene: &Scene<'_>) -> bool {
    let sent = scene.messages.get(id).map(|sent| sent.at);
    scene.messages.receiver(node).remembers().is_some_and(|since| sent.is_some_and(|at| at <= since))
}

impl Rule for Holes {
    fn id(&self) -> &'static str {
        "CB3"
    }

    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        match *happening {
            Happening::Notice { node, notice: Notice::Delivered { id, .. } } => {
                Self::delivered(node, *id, scene)
            }
            Happening::Notice { node, notice: Notice::Lost { origin, epoch, first, last } } => {
                Self::lost(node, (*origin, *epoch, *first, *last), scene)
            }
            _ => Ok(()),
        }
    }

    fn conclude(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        let members = scene.world.indices().filter(|node| scene.nodes.is_member(*node));
        for node in members {
            for mark in scene.nodes.marks(node).iter().filter(|mark| !scene.world.has_twin(mark.origin)) {
                Self::mark(node, mark, scene)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bruit_core::broadcast::Order;

    use super::super::super::fixture::{Fixture, config, mark, message};

    fn sent(count: u64, order: Order) -> Fixture {
        let mut config = config();
        config.broadcast.order = order;
        let mut history = Fixture::configured(2, "CB3", config);
        for seq in 1..=count {
            history.broadcasts(0, seq, b"a");
        }
        history
    }

    fn gets(history: &mut Fixture, seqs: &[u64]) {
        for seq in seqs {
            history.gets(1, message(1, 1, *seq), b"a");
        }
    }

    #[test]
    fn what_comes_out_of_order_is_found_where_order_was_asked_for() {
        let mut history = sent(3, Order::Origin);
        gets(&mut history, &[2, 1]);
        history.fires("CB3", "n1:1:1 after n1:1:2");
        let mut history = sent(3, Order::Arrival);
        gets(&mut history, &[2, 1, 3]);
        history.is_silent();
    }

    #[test]
    fn a_silent_hole_is_found() {
        let mut history = sent(4, Order::Origin);
        gets(&mut history, &[1, 4]);
        history.fires("CB3", "nobody has told it that n1:1:2 is lost");
        let mut history = sent(4, Order::Origin);
        gets(&mut history, &[1]);
        history.loses(1, 1, (2, 3));
        gets(&mut history, &[4]);
        history.is_silent();
    }

    #[test]
    fn what_an_earlier_life_left_on_the_disk_is_no_hole() {
        use super::super::super::fixture::node;
        use crate::happening::Memory;
        use bruit_core::broadcast::PersistSeen;
        let mut config = config();
        (config.broadcast.order, config.broadcast.persist_seen) =
            (Order::Origin, PersistSeen::BeforeDelivery);
        let mut history = Fixture::configured(2, "CB3", config.clone());
        (1..=4).for_each(|seq| _ = history.broadcasts(0, seq, b"a"));
        gets(&mut history, &[2, 3]);
        history.crashes(1).restarts_with(1, node(2, 2, config), Memory::Disk);
        gets(&mut history, &[1, 4]);
        history.is_silent();
    }

    #[test]
    fn what_is_lost_stays_lost() {
        for order in [Order::Origin, Order::Arrival] {
            let mut history = sent(4, order);
            history.loses(1, 1, (1, 3)).is_silent();
            gets(&mut history, &[2]);
            history.fires("CB3", "announced as lost");
        }
    }

    #[test]
    fn an_impossible_loss_is_found() {
        let mut history = sent(4, Order::Arrival);
        gets(&mut history, &[2]);
        history.loses(1, 1, (1, 3)).fires("CB3", "was given number 2");
        sent(4, Order::Arrival).loses(1, 1, (4, 5)).fires("CB3", "never sent");
        sent(4, Order::Arrival).loses(1, 1, (3, 2)).fires("CB3", "no range");
        sent(4, Order::Arrival).loses(1, 1, (1, 2)).loses(1, 1, (2, 3)).fires("CB3", "second time");
    }

    #[test]
    fn what_is_known_and_forgotten_is_found() {
        let mut history = sent(5, Order::Arrival);
        gets(&mut history, &[1, 3]);
        history.knows(1, mark(1, (3, 3), &[])).ends().fires("CB3", "n1:1:2 counts as over");
        let mut history = sent(5, Order::Arrival);
        gets(&mut history, &[1, 3]);
        history.knows(1, mark(1, (1, 5), &[(2, 2)])).ends().fires("CB3", "n1:1:4 is known");
    }

    #[test]
    fn gaps_and_what_lies_below_the_base_are_fine() {
        let mut history = sent(5, Order::Arrival);
        gets(&mut history, &[2, 3, 5]);
        history.knows(1, mark(1, (3, 5), &[(4, 4)])).ends().is_silent();
    }

    #[test]
    fn what_is_held_back_behind_a_gap_must_be_held() {
        let mut history = sent(4, Order::Origin);
        gets(&mut history, &[1]);
        history.knows(1, mark(1, (1, 4), &[(2, 2)]));
        history.holds_back(1, 2).ends().is_silent();
        history.holds_back(1, 1).ends().fires("CB3", "1 held back");
    }
}
