//! CB3: with the order of the origin, the numbers that are delivered rise, and numbers that are passed over were reported as
//! `Lost` before. A message that is reported as `Lost` exists, was not delivered and never will be. At the end every message
//! that a node knows of is delivered, `Lost`, or still being asked for (rules C1, C3, C4).

use bruit_core::{
    MessageId, NodeId, Notice,
    broadcast::{Mark, Order},
};

use crate::base::Index;
use crate::checks::scene::Scene;
use crate::kernel::{Check, Happening, Violation};

/// CB3: judges each delivery, each report of a loss, and the marks of each node at the end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Holes;

impl Holes {
    fn delivered(node: Index, id: MessageId, scene: &Scene<'_>) -> Result<(), Violation> {
        scene.judges();
        let receiver = scene.messages.receiver(node);
        let object = |text: String| Err(scene.violation(node, text));
        if receiver.is_lost(id) {
            return object(format!("it is given {id}, which was reported as lost"));
        }
        let unjudged = scene.world.has_twin(id.origin) || scene.world.has_hidden(node, id.origin);
        if scene.config.broadcast.order == Order::Arrival || unjudged {
            return Ok(());
        }
        let Some(latest) = receiver.latest(id.origin) else { return Ok(()) };
        if (latest.epoch, latest.seq) >= (id.epoch, id.seq) {
            return object(format!("it is given {id} after {latest}"));
        }
        let passed = (latest.seq + 1..id.seq).take_while(|_| latest.epoch == id.epoch);
        let settled =
            |id: &MessageId| receiver.is_lost(*id) || receiver.times(*id) > 0 || earlier(node, *id, scene);
        match passed.map(|seq| MessageId { seq, ..id }).find(|passed| !settled(passed)) {
            Some(hole) => {
                object(format!("it is given {id} after {latest}, and {hole} was not reported as lost"))
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
                node,
                format!("it is told that {origin}:{epoch}:{first}..={last} is lost, {text}"),
            ))
        };
        if first == 0 || first > last {
            return object("which is not a range");
        }
        if let Some(seq) = receiver.of(origin, epoch, first).find(|seq| *seq <= last) {
            return object(&format!("and was given number {seq}"));
        }
        if receiver.lost(origin, epoch).iter().any(|range| *range.start() <= last && first <= *range.end()) {
            return object("a part of it for the second time");
        }
        if last > scene.messages.highest(origin, epoch) && !scene.world.has_twin(origin) {
            return object("and the last of them were never sent");
        }
        Ok(())
    }

    /// Compares a mark, which says what is settled and what is asked for, with what the application was told.
    fn mark(node: Index, mark: &Mark, scene: &Scene<'_>) -> Result<(), Violation> {
        let Mark { origin, epoch, contiguous, highest, gaps } = mark;
        let receiver = scene.messages.receiver(node);
        let lost = receiver.lost(*origin, *epoch);
        let settled = |seq: u64| {
            receiver.times(MessageId { origin: *origin, epoch: *epoch, seq }) > 0
                || lost.iter().any(|range| range.contains(&seq))
        };
        // Numbers below the base are not judged. The base is at most the first number that was delivered or lost.
        let base = receiver.of(*origin, *epoch, 1).chain(lost.iter().map(|range| *range.start())).min();
        let earlier = |seq: u64| earlier(node, MessageId { origin: *origin, epoch: *epoch, seq }, scene);
        let hole =
            (base.unwrap_or(contiguous + 1)..=*contiguous).find(|seq| !settled(*seq) && !earlier(*seq));
        if let Some(hole) = hole {
            let text = format!(
                "{origin}:{epoch}:{hole} counts as settled, and it was neither delivered nor reported as lost"
            );
            return Err(scene.violation(node, text));
        }
        let in_gap = |seq: u64| gaps.iter().any(|(first, last)| (*first..=*last).contains(&seq));
        let waiting: Vec<u64> = (contiguous + 1..=*highest)
            .filter(|seq| !settled(*seq) && !in_gap(*seq) && !earlier(*seq))
            .collect();
        // A message behind a gap may be held back.
        let may_wait = match scene.config.broadcast.order {
            Order::Arrival => 0,
            Order::Origin => scene.nodes.usage(node).held_back,
        };
        if waiting.len() > may_wait {
            let text = format!(
                "{origin}:{epoch}:{} is known, and neither delivered, nor lost, nor asked for ({} held back)",
                waiting[0], may_wait
            );
            return Err(scene.violation(node, text));
        }
        Ok(())
    }
}

/// Whether an earlier boot may have been given the message, and may have stored that on the disk.
fn earlier(node: Index, id: MessageId, scene: &Scene<'_>) -> bool {
    let sent = scene.messages.get(id).map(|sent| sent.at);
    scene.messages.receiver(node).remembers().is_some_and(|since| sent.is_some_and(|at| at <= since))
}

impl Check<Scene<'_>> for Holes {
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
            let unjudged = |origin| scene.world.has_twin(origin) || scene.world.has_hidden(node, origin);
            for mark in scene.nodes.marks(node).iter().filter(|mark| !unjudged(mark.origin)) {
                Self::mark(node, mark, scene)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bruit_core::broadcast::Order;

    use crate::checks::fixture::{Fixture, config, mark, message};

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
    fn a_delivery_out_of_order_is_found_if_the_order_of_the_origin_is_set() {
        let mut history = sent(3, Order::Origin);
        gets(&mut history, &[2, 1]);
        history.fires("n1:1:1 after n1:1:2");
        let mut history = sent(3, Order::Arrival);
        gets(&mut history, &[2, 1, 3]);
        history.is_silent();
    }

    #[test]
    fn a_gap_that_was_not_reported_is_found() {
        let mut history = sent(4, Order::Origin);
        gets(&mut history, &[1, 4]);
        history.fires("n1:1:2 was not reported as lost");
        let mut history = sent(4, Order::Origin);
        gets(&mut history, &[1]);
        history.loses(1, 1, (2, 3));
        gets(&mut history, &[4]);
        history.is_silent();
    }

    #[test]
    fn a_message_that_an_earlier_boot_stored_on_the_disk_is_no_gap() {
        use crate::checks::fixture::node;
        use crate::kernel::Memory;
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
    fn a_lost_message_that_is_delivered_is_found() {
        for order in [Order::Origin, Order::Arrival] {
            let mut history = sent(4, order);
            history.loses(1, 1, (1, 3)).is_silent();
            gets(&mut history, &[2]);
            history.fires("reported as lost");
        }
    }

    #[test]
    fn an_impossible_loss_is_found() {
        let mut history = sent(4, Order::Arrival);
        gets(&mut history, &[2]);
        history.loses(1, 1, (1, 3)).fires("was given number 2");
        sent(4, Order::Arrival).loses(1, 1, (4, 5)).fires("never sent");
        sent(4, Order::Arrival).loses(1, 1, (3, 2)).fires("not a range");
        sent(4, Order::Arrival).loses(1, 1, (1, 2)).loses(1, 1, (2, 3)).fires("second time");
    }

    #[test]
    fn a_known_message_that_is_not_settled_is_found() {
        let mut history = sent(5, Order::Arrival);
        gets(&mut history, &[1, 3]);
        history.knows(1, mark(1, (3, 3), &[])).ends().fires("n1:1:2 counts as settled");
        let mut history = sent(5, Order::Arrival);
        gets(&mut history, &[1, 3]);
        history.knows(1, mark(1, (1, 5), &[(2, 2)])).ends().fires("n1:1:4 is known");
    }

    #[test]
    fn gaps_and_numbers_below_the_base_are_fine() {
        let mut history = sent(5, Order::Arrival);
        gets(&mut history, &[2, 3, 5]);
        history.knows(1, mark(1, (3, 5), &[(4, 4)])).ends().is_silent();
    }

    #[test]
    fn messages_behind_a_gap_must_be_held_back() {
        let mut history = sent(4, Order::Origin);
        gets(&mut history, &[1]);
        history.knows(1, mark(1, (1, 4), &[(2, 2)]));
        history.holds_back(1, 2).ends().is_silent();
        history.holds_back(1, 1).ends().fires("1 held back");
    }
}
