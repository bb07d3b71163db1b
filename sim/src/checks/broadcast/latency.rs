//! CB6: a message reaches every undisturbed member within `everywhere` and the transfer time of all payloads.

use bruit_core::{MessageId, Notice, Time};

use crate::base::Index;
use crate::checks::scene::Scene;
use crate::kernel::{Check, Happening, Violation};

/// CB6: judges each delivery after the bound. It is a violation unless some member was disturbed since the message was
/// sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Latency;

impl Latency {
    fn judge(node: Index, id: MessageId, scene: &Scene<'_>) -> Result<(), Violation> {
        let Some(sent) = scene.messages.get(id) else { return Ok(()) };
        let bound = scene.bounds.broadcast.everywhere + scene.transfer();
        let took = scene.at.since(sent.at);
        let there = sent.audience.contains(&node) && scene.messages.receiver(node).since <= sent.at;
        let quiet = |calm: Time| calm + scene.bounds.agreement <= sent.at;
        if !there || !scene.world.is_whole() || !scene.world.calm().is_some_and(quiet) {
            return Ok(());
        }
        scene.judges();
        if took <= bound {
            return Ok(());
        }
        let text = format!(
            "it is given {id} {took:.1?} after it was sent, without a disturbance; the bound is {bound:.1?}"
        );
        Err(scene.violation(node, text))
    }
}

impl Check<Scene<'_>> for Latency {
    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        match *happening {
            Happening::Notice { node, notice: Notice::Delivered { id, .. } } => Self::judge(node, *id, scene),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use crate::checks::fixture::{Fixture, message};

    fn late(by: Duration) -> Fixture {
        let mut history = Fixture::new(3, "CB6");
        let agreement = history.bounds().agreement;
        history.acquainted().after(agreement).broadcasts(0, 1, b"a").after(by);
        history
    }

    #[test]
    fn a_late_delivery_is_found() {
        let bound = Fixture::new(3, "CB6").bounds().broadcast.everywhere;
        late(bound + Duration::from_secs(1)).gets(1, message(1, 1, 1), b"a").fires("n1:1:1");
        late(bound).gets(1, message(1, 1, 1), b"a").is_silent();
    }

    #[test]
    fn a_delivery_after_a_disturbance_may_be_late() {
        let bound = Fixture::new(3, "CB6").bounds().broadcast.everywhere;
        let mut history = late(bound * 2);
        history.cut(0, 1).heals().gets(1, message(1, 1, 1), b"a").is_silent();
    }
}
