//! CB2: each message is delivered at most once in a boot, and not again in a later boot if an earlier one had stored the
//! delivery on the disk (rules C1 and C2).

use bruit_core::Notice;

use crate::checks::scene::Scene;
use crate::kernel::{Check, Happening, Violation};

/// CB2: judges each delivery. `Receiver` in `messages.rs` says which deliveries a boot must remember.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Once;

impl Check<Scene<'_>> for Once {
    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        let Happening::Notice { node, notice: Notice::Delivered { id, .. } } = *happening else {
            return Ok(());
        };
        scene.judges();
        let receiver = scene.messages.receiver(node);
        if receiver.times(*id) <= 1 {
            return Ok(());
        }
        let boot = match receiver.remembers() {
            Some(since) => format!("which its boot at {since} should remember"),
            None => format!("in the same boot since {}", receiver.since),
        };
        Err(scene.violation(node, format!("it is given {id} again, {boot}")))
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use bruit_core::{Config, broadcast::PersistSeen};

    use crate::checks::fixture::{Fixture, config, message, node};
    use crate::kernel::Memory;

    fn persisting(persist_seen: PersistSeen) -> Config {
        let mut config = config();
        config.broadcast.persist_seen = persist_seen;
        config
    }

    #[test]
    fn a_second_delivery_is_found() {
        let mut history = Fixture::new(2, "CB2");
        history.broadcasts(0, 1, b"a").gets(1, message(1, 1, 1), b"a").is_silent();
        history.gets(1, message(1, 1, 1), b"a").fires("n1:1:1 again, in the same boot since");
    }

    #[test]
    fn a_boot_without_memory_may_be_given_it_again() {
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
    fn a_boot_that_remembers_must_not_be_given_it_again() {
        let config = persisting(PersistSeen::BeforeDelivery);
        let mut history = Fixture::configured(2, "CB2", config.clone());
        history.broadcasts(0, 1, b"a").gets(1, message(1, 1, 1), b"a").crashes(1);
        history.restarts_with(1, node(2, 2, config), Memory::Disk).gets(1, message(1, 1, 1), b"a");
        history.fires("should remember");
    }

    #[test]
    fn a_boot_remembers_the_deliveries_that_were_durable() {
        let config = persisting(PersistSeen::Every(Duration::from_secs(1)));
        let history = || {
            let mut history = Fixture::configured(2, "CB2", config.clone());
            history.broadcasts(0, 1, b"a").broadcasts(0, 2, b"b").gets(1, message(1, 1, 1), b"a");
            history.stores(1, 1).gets(1, message(1, 1, 2), b"b").stores(1, 2).is_durable(1, 1).crashes(1);
            history.restarts_with(1, node(2, 2, config.clone()), Memory::Disk);
            history
        };
        history().gets(1, message(1, 1, 2), b"b").is_silent();
        history().gets(1, message(1, 1, 1), b"a").fires("n1:1:1 again");
    }
}
