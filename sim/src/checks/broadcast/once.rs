//! CB2: each message is delivered at most once in a life, and never again in a later life that the disk serves with
//! what an earlier one had made durable (rules C1 and C2).

use bruit_core::Notice;

use super::super::{Rule, Scene};
use crate::check::Violation;
use crate::happening::Happening;

/// CB2. The lives that must remember are those of [`Receiver`](super::super::Receiver).
#[derive(Clone, Copy, Debug, Default)]
pub struct Once;

impl Rule for Once {
    fn id(&self) -> &'static str {
        "CB2"
    }

    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        let Happening::Notice { node, notice: Notice::Delivered { id, .. } } = *happening else {
            return Ok(());
        };
        let receiver = scene.messages.receiver(node);
        if receiver.times(*id) <= 1 {
            return Ok(());
        }
        let life = match receiver.remembers() {
            Some(since) => format!("of which its life since {since} should know"),
            None => format!("in its life since {}", receiver.since),
        };
        Err(scene.violation("CB2", node, format!("it is given {id} again, {life}")))
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use bruit_core::{Config, broadcast::PersistSeen};

    use super::super::super::fixture::{Fixture, config, message, node};
    use crate::happening::Memory;

    fn persisting(persist_seen: PersistSeen) -> Config {
        let mut config = config();
        config.broadcast.persist_seen = persist_seen;
        config
    }

    #[test]
    fn a_second_delivery_is_found() {
        let mut history = Fixture::new(2, "CB2");
        history.broadcasts(0, 1, b"a").gets(1, message(1, 1, 1), b"a").is_silent();
        history.gets(1, message(1, 1, 1), b"a").fires("CB2", "n1:1:1 again, in its life since");
    }

    #[test]
    fn a_life_without_memory_may_be_told_again() {
        for memory in [Memory::Disk, Memory::Amnesia] {
            let mut history = Fixture::new(2, "CB2");
            history.broadcasts(0, 1, b"a").gets(1, message(1, 1, 1), b"a").crashes(1);
            history
                .restarts_with(1, node(2, 2, config()), memory)
                .gets(1, message(1, 1, 1), b"a")
                .is_silent();
        }
    }

    #[test]
    fn a_life_with_a_durable_set_may_not() {
        let config = persisting(PersistSeen::BeforeDelivery);
        let mut history = Fixture::configured(2, "CB2", config.clone());
        history.broadcasts(0, 1, b"a").gets(1, message(1, 1, 1), b"a").crashes(1);
        history.restarts_with(1, node(2, 2, config), Memory::Disk).gets(1, message(1, 1, 1), b"a");
        history.fires("CB2", "should know");
    }

    #[test]
    fn of_a_set_that_is_written_now_and_then_the_durable_part_counts() {
        let config = persisting(PersistSeen::Every(Duration::from_secs(1)));
        let history = || {
            let mut history = Fixture::configured(2, "CB2", config.clone());
            history.broadcasts(0, 1, b"a").broadcasts(0, 2, b"b").gets(1, message(1, 1, 1), b"a");
            history.stores(1, 1).gets(1, message(1, 1, 2), b"b").stores(1, 2).is_durable(1, 1).crashes(1);
            history.restarts_with(1, node(2, 2, config.clone()), Memory::Disk);
            history
        };
        history().gets(1, message(1, 1, 2), b"b").is_silent();
        history().gets(1, message(1, 1, 1), b"a").fires("CB2", "n1:1:1 again");
    }
}
