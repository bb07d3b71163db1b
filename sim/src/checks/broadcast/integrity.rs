//! CB1: each delivered message was sent by the origin that it names, with the same topic and bytes. An origin numbers its
//! messages from 1 without gaps, in an epoch that no other boot uses (rule A1). Its epochs rise, except that a boot that has lost
//! its disk may begin below the earlier ones: as long as it meets only members that have lost theirs, too, nobody can tell it.

use bruit_core::{Answer, MessageId, NodeId, Notice};

use crate::base::Index;
use crate::checks::scene::Scene;
use crate::kernel::payload::stamp;
use crate::kernel::{Check, Happening, Violation};

/// CB1: judges each delivery, and each answer to a broadcast.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Integrity;

impl Integrity {
    fn delivered(
        node: Index,
        (id, topic, payload, hops): (MessageId, &str, &[u8], u8),
        scene: &Scene<'_>,
    ) -> Result<(), Violation> {
        let object = |text: String| Err(scene.violation(node, text));
        scene.judges();
        let Some(sent) = scene.messages.get(id) else {
            return object(format!("it is given {id}, which was never sent"));
        };
        if !sent.contents.iter().any(|(of, bytes)| of == topic && bytes == payload) {
            let (of, bytes) = &sent.contents[0];
            let made_by = stamp(payload).map_or(NodeId::NOBODY, |(origin, _)| origin);
            return object(format!(
                "it is given {} bytes about `{topic}` (made by {made_by}) as {id}, and {} bytes about `{of}` were sent",
                payload.len(),
                bytes.len()
            ));
        }
        // A member may be given a message that an earlier boot of its own has sent.
        let own = sent.by == node && sent.boot == scene.messages.receiver(node).boot;
        if (hops == 0) == own || scene.world.has_twin(id.origin) {
            return Ok(());
        }
        object(format!("it is given {id} after {hops} hops, and {} has sent it", sent.by))
    }

    fn accepted(node: Index, id: MessageId, scene: &Scene<'_>) -> Result<(), Violation> {
        let own = scene.world.id(node);
        if scene.world.has_twin(own) {
            return Ok(());
        }
        let reused = scene.messages.get(id).is_some_and(|sent| sent.contents.len() > 1);
        let in_order = match scene.messages.issued(node) {
            Some(last) if last.epoch == id.epoch => id.seq == last.seq + 1,
            Some(last) if last.epoch > id.epoch => {
                let is_of_this_boot = scene.messages.is_of_this_boot(node, last);
                id.seq == 1 && !is_of_this_boot && scene.messages.receiver(node).has_lost_disk()
            }
            _ => id.seq == 1,
        };
        if id.origin == own && !reused && in_order {
            return Ok(());
        }
        let before = scene.messages.issued(node).map_or("nothing".to_owned(), |last| last.to_string());
        Err(scene.violation(node, format!("it sends {id} after {before}")))
    }
}

impl Check<Scene<'_>> for Integrity {
    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        match *happening {
            Happening::Notice { node, notice: Notice::Delivered { id, topic, payload, hops } } => {
                Self::delivered(node, (*id, topic, payload, *hops), scene)
            }
            Happening::Answered { node, answer: Ok(Answer::Sent(id)) } => Self::accepted(node, *id, scene),
            Happening::Answered { node, answer: Err(why) } => match scene.messages.asked(node) {
                Some((_, Some(id))) => {
                    Err(scene.violation(node, format!("it delivers {id} and refuses to send it: {why:?}")))
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::fixture::{Fixture, message};

    #[test]
    fn a_message_that_was_never_sent_is_found() {
        Fixture::new(2, "CB1").gets(1, message(1, 1, 1), b"x").fires("never sent");
    }

    #[test]
    fn other_bytes_and_another_topic_are_found() {
        let mut history = Fixture::new(2, "CB1");
        history.broadcasts(0, 1, b"hello").gets(1, message(1, 1, 1), b"hallo");
        history.fires("5 bytes about ``");
        let mut history = Fixture::new(2, "CB1");
        history.broadcasts(0, 1, b"hello").gets_about(1, message(1, 1, 1), "news", b"hello", 1);
        history.fires("about `news`");
    }

    #[test]
    fn a_message_of_another_origin_is_found() {
        let mut history = Fixture::new(3, "CB1");
        history.broadcasts(0, 1, b"hello").gets(2, message(2, 1, 1), b"hello").fires("n2:1:1");
    }

    #[test]
    fn skipped_and_repeated_numbers_are_found() {
        Fixture::new(2, "CB1").broadcasts(0, 2, b"a").fires("n1:1:2 after nothing");
        let mut history = Fixture::new(2, "CB1");
        history.broadcasts(0, 1, b"a").broadcasts(0, 1, b"b").fires("n1:1:1 after n1:1:1");
    }

    #[test]
    fn an_epoch_that_a_later_boot_uses_again_is_found() {
        use crate::checks::fixture::{config, node};
        let mut history = Fixture::new(2, "CB1");
        history.broadcasts(0, 1, b"a").crashes(0).restarts(0, node(1, 1, config()));
        history.broadcasts(0, 1, b"b").fires("n1:1:1 after n1:1:1");
    }

    #[test]
    fn only_a_boot_without_its_disk_may_begin_below_an_earlier_epoch_and_never_in_one() {
        use crate::checks::fixture::{config, node};
        use crate::kernel::Memory;
        let boots = |memory, epochs: [u64; 2]| {
            let mut history = Fixture::new(2, "CB1");
            history.broadcasts_in(0, 5, 1, b"a");
            for epoch in epochs {
                history.crashes(0).restarts_with(0, node(1, epoch, config()), memory);
                history.broadcasts_in(0, epoch, 1, b"a");
            }
            history
        };
        boots(Memory::Amnesia, [4, 3]).is_silent();
        boots(Memory::Amnesia, [4, 5]).fires("n1:5:1 after n1:4:1");
        boots(Memory::Disk, [6, 4]).fires("n1:4:1 after n1:6:1");
    }

    #[test]
    fn epochs_of_one_boot_that_fall_are_found() {
        use crate::checks::fixture::{config, node};
        let mut history = Fixture::new(2, "CB1");
        history.crashes(0).restarts(0, node(1, 5, config()));
        history.broadcasts_in(0, 5, 1, b"a").broadcasts_in(0, 4, 1, b"b").fires("n1:4:1 after n1:5:1");
    }

    #[test]
    fn a_refused_message_that_is_delivered_is_found() {
        let mut history = Fixture::new(2, "CB1");
        history.refuses(0, b"a").is_silent();
        history.delivers_and_refuses(0, message(1, 1, 1), b"a").fires("refuses to send it");
    }

    #[test]
    fn a_wrong_number_of_hops_is_found() {
        let mut history = Fixture::new(2, "CB1");
        history.broadcasts(0, 1, b"a").gets_about(1, message(1, 1, 1), "", b"a", 0).fires("0 hops");
    }

    #[test]
    fn a_message_of_an_earlier_boot_may_be_delivered_to_its_sender() {
        use crate::checks::fixture::{config, node};
        use core::time::Duration;
        let mut history = Fixture::new(2, "CB1");
        history.broadcasts(0, 1, b"a").gets(1, message(1, 1, 1), b"a").crashes(0);
        history.after(Duration::from_secs(1)).restarts(0, node(1, 2, config()));
        history.gets(0, message(1, 1, 1), b"a").is_silent();
        history.gets_about(0, message(1, 1, 1), "", b"a", 0).fires("0 hops");
    }

    #[test]
    fn a_restart_at_the_time_of_the_broadcast_is_another_boot() {
        use crate::checks::fixture::{config, node};
        let mut history = Fixture::new(2, "CB1");
        history.broadcasts(0, 1, b"a").crashes(0).restarts(0, node(1, 2, config()));
        history.gets(0, message(1, 1, 1), b"a").is_silent();
        history.gets_about(0, message(1, 1, 1), "", b"a", 0).fires("0 hops");
    }

    #[test]
    fn the_same_bytes_from_the_same_origin_are_fine() {
        let mut history = Fixture::new(3, "CB1");
        history.broadcasts(0, 1, b"a").gets(1, message(1, 1, 1), b"a").gets(2, message(1, 1, 1), b"a");
        history.broadcasts(0, 2, b"b").gets(2, message(1, 1, 2), b"b").is_silent();
    }
}
