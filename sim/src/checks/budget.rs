//! M9: no datagram above the mtu; no update passed on more often than λ · ⌈log₁₀(n + 1)⌉ times by one node;
//! and in a settled cluster no more bytes a second than the configuration promises.

use core::time::Duration;
use std::collections::HashMap;

use bruit_core::wire::{Alive, Kind, Message, Record, Swim, cluster_tag, describe, open};
use bruit_core::{Incarnation, MemberChange, MemberState, NodeId, Time, broadcast::Repair};

use super::{Rule, Scene, change};
use crate::check::Violation;
use crate::cluster::Index;
use crate::happening::Happening;

const WINDOW: Duration = Duration::from_secs(20);

/// M9. Reads every datagram that is sent.
#[derive(Clone, Debug, Default)]
pub struct Budget {
    passed_on: HashMap<Index, HashMap<Update, u32>>,
    window: Option<Window>,
}

/// One update as gossip counts it: the same words about the same member. A suspicion is one for each author.
type Update = (NodeId, Incarnation, MemberState, NodeId, u64);

#[derive(Clone, Debug)]
struct Window {
    since: Time,
    bytes: HashMap<Index, u64>,
}

impl Budget {
    fn gossip(&mut self, from: Index, bytes: &[u8], scene: &Scene<'_>) -> Result<(), Violation> {
        let Ok(datagram) = open(bytes, cluster_tag(&scene.config.cluster)) else { return Ok(()) };
        // An answer to a reconciliation or to a joiner, what is told to its subject, and what one says of oneself
        // to whoever asks, is no gossip.
        let messages = || datagram.messages.map_while(Result::ok);
        if messages().any(|message| matches!(message.kind(), Kind::Delta | Kind::JoinAnswer)) {
            return Ok(());
        }
        let counts = self.passed_on.entry(from).or_default();
        for message in messages() {
            let update = match message {
                Message::Swim(Swim::Alive(Alive(record))) => {
                    (record.id(), record.incarnation(), MemberState::Alive, NodeId::NOBODY, digest(record))
                }
                Message::Swim(Swim::Verdict(verdict)) if verdict.id != datagram.header.receiver => {
                    let author =
                        if verdict.state == MemberState::Suspect { verdict.author } else { NodeId::NOBODY };
                    (verdict.id, verdict.incarnation, verdict.state, author, 0)
                }
                _ => continue,
            };
            if update.0 == datagram.header.sender {
                continue;
            }
            let count = counts.entry(update).or_insert(0);
            *count += 1;
            // The record behind a verdict may come after it, and sends it once more.
            let limit = scene.bounds.transmissions * if update.2 == MemberState::Alive { 1 } else { 2 };
            if *count > limit {
                let (id, incarnation, state, ..) = update;
                let text = format!(
                    "it has passed on {state:?} {id}@{incarnation} {count} times, and may {limit} times"
                );
                return Err(scene.violation("M9", from, text));
            }
        }
        Ok(())
    }

    fn settled(&mut self, from: Index, bytes: usize, scene: &Scene<'_>) -> Result<(), Violation> {
        let calm = scene.world.calm().filter(|_| scene.world.is_whole());
        // What is broadcast has no part in the estimate.
        let calm = calm.map(|calm| (calm + scene.bounds.agreement).max(scene.quiet_from(calm)));
        let calm = calm.filter(|calm| *calm <= scene.at);
        let Some(calm) = calm else {
            self.window = None;
            return Ok(());
        };
        let window =
            self.window.get_or_insert_with(|| Window { since: scene.at.max(calm), bytes: HashMap::new() });
        *window.bytes.entry(from).or_insert(0) += bytes as u64;
        let length = scene.at.since(window.since);
        if length < WINDOW {
            return Ok(());
        }
        let cap = scene.bounds.settled_bytes_per_second * (length.as_secs() + 1);
        let worst = window
            .bytes
            .iter()
            .max_by_key(|(node, bytes)| (**bytes, **node))
            .map(|(node, bytes)| (*node, *bytes));
        self.window = None;
        match worst {
            Some((node, bytes)) if bytes > cap => {
                let text =
                    format!("it sent {bytes} bytes in {length:.0?} of a settled cluster, and may {cap}");
                Err(scene.violation("M9", node, text))
            }
            _ => Ok(()),
        }
    }
}

/// Two records of one incarnation are two updates.
fn digest(record: Record<'_>) -> u64 {
    record
        .bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

impl Rule for Budget {
    fn id(&self) -> &'static str {
        "M9"
    }

    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        if let Happening::Crashed { node } = *happening {
            self.passed_on.remove(&node);
        }
        if let Some((observer, MemberChange::Forgotten, member)) = change(happening) {
            // Should it be heard of again, it is news again.
            if let Some(counts) = self.passed_on.get_mut(&observer) {
                counts.retain(|update, _| update.0 != member.id);
            }
        }
        let Happening::Sent { from, bytes, port: crate::process::BRUIT_PORT, .. } = *happening else {
            return Ok(());
        };
        let mtu = usize::from(scene.config.mtu);
        if bytes.len() > mtu {
            let text = format!("it sent a datagram of {} bytes, above the mtu of {mtu}", bytes.len());
            return Err(scene.violation("M9", from, text));
        }
        self.gossip(from, bytes, scene)?;
        // A pull goes on for ever, and has no part in the estimate.
        let pulls = matches!(scene.config.broadcast.repair, Repair::Pull { .. });
        let is_pull =
            |bytes: &[u8]| describe(bytes).is_ok_and(|it| it.kinds().any(|kind| kind == Kind::Digest));
        if pulls && is_pull(bytes) { Ok(()) } else { self.settled(from, bytes.len(), scene) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, incarnation};
    use crate::forge;
    use bruit_core::wire::Verdict;
    use bruit_core::{MemberState, NodeId};
    use core::time::Duration;

    /// What member 1 says of member 3.
    fn suspicion(receiver: u64) -> Vec<u8> {
        let verdict = Verdict {
            id: NodeId(3),
            incarnation: incarnation(1, 0),
            state: MemberState::Suspect,
            removed: false,
            age: 0,
            author: NodeId(1),
        };
        forge::datagram(&forge::header("fixture", NodeId(1), NodeId(receiver)), &[verdict.into()])
    }

    #[test]
    fn a_datagram_above_the_mtu_is_found() {
        Fixture::new(2, "M9").sends(0, &[0; 1_401]).fires("M9", "1401 bytes");
    }

    #[test]
    fn gossip_without_end_is_found() {
        let mut history = Fixture::new(3, "M9");
        for _ in 0..2 * history.bounds().transmissions {
            history.sends(0, &suspicion(2)).is_silent();
        }
        history.sends(0, &suspicion(2)).fires("M9", "Suspect n3@1.0");
    }

    #[test]
    fn a_chatterbox_in_a_settled_cluster_is_found() {
        let mut history = Fixture::new(2, "M9");
        let bound = history.bounds().agreement;
        history.after(bound);
        for _ in 0..300 {
            history.after(Duration::from_millis(100)).sends(0, &[0; 1_000]);
        }
        history.fires("M9", "settled cluster");
    }

    #[test]
    fn a_buddy_and_a_moderate_pace_are_fine() {
        let mut history = Fixture::new(3, "M9");
        for _ in 0..100 {
            history.after(Duration::from_secs(1)).sends(0, &suspicion(3)).is_silent();
        }
    }
}
