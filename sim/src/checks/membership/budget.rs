//! CM9: no datagram is longer than the mtu; no node passes on an update more than λ · ⌈log₁₀(n + 1)⌉ times; and in a settled
//! cluster no node sends more bytes a second than the configuration promises, beside two datagrams in each healing to those that
//! do not answer.

use core::time::Duration;
use std::collections::HashMap;

use bruit_core::wire::{Alive, Kind, Message, Record, Swim, cluster_tag, describe, open};
use bruit_core::{Incarnation, MemberChange, MemberState, NodeId, Notice, Time, broadcast::Repair};

use crate::base::Index;
use crate::checks::scene::{Scene, change};
use crate::kernel::{Check, Happening, Violation};
use crate::network::BRUIT_PORT;

/// The time over which the bytes of a settled node are counted.
const WINDOW: Duration = Duration::from_secs(20);

/// CM9: decodes every datagram that is sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Budget {
    passed_on: HashMap<Index, HashMap<Update, u32>>,
    window: Option<Window>,
}

/// An update as gossip counts it: member, incarnation, state, author of a suspicion, and digest of a record.
type Update = (NodeId, Incarnation, MemberState, NodeId, u64);

#[derive(Clone, Debug)]
struct Window {
    since: Time,
    bytes: HashMap<Index, u64>,
    /// The datagrams with which each node contacted members that are Down, and silent seeds.
    contacts: HashMap<Index, u32>,
}

impl Window {
    fn new(since: Time) -> Self {
        Self { since, bytes: HashMap::new(), contacts: HashMap::new() }
    }
}

impl Budget {
    fn gossip(&mut self, from: Index, bytes: &[u8], scene: &Scene<'_>) -> Result<(), Violation> {
        let Ok(datagram) = open(bytes, cluster_tag(&scene.config.cluster)) else { return Ok(()) };
        // Answers to a reconciliation or a join are not gossip, nor are verdicts that are sent to their subject, nor
        // updates that a member sends about itself.
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
            // The record that belongs to a verdict may arrive after it, and restarts its transmissions; a refutation is sent
            // once more behind the record.
            let is_record = update.4 != 0;
            let limit = scene.bounds.transmissions * if is_record { 1 } else { 2 };
            if *count > limit {
                let (id, incarnation, state, ..) = update;
                let text = format!(
                    "it has passed on {state:?} {id}@{incarnation} {count} times, and the limit is {limit}"
                );
                return Err(scene.violation(from, text));
            }
        }
        Ok(())
    }

    fn settled(&mut self, from: Index, bytes: &[u8], scene: &Scene<'_>) -> Result<(), Violation> {
        let calm = scene.world.calm().filter(|_| scene.world.is_whole());
        // The estimate does not include broadcasts.
        let calm = calm.map(|calm| (calm + scene.bounds.agreement).max(scene.quiet_from(calm)));
        let calm = calm.filter(|calm| *calm <= scene.at);
        let Some(calm) = calm else {
            self.window = None;
            return Ok(());
        };
        let window = self.window.get_or_insert_with(|| Window::new(scene.at.max(calm)));
        if is_contact(bytes, &scene.config.cluster) {
            *window.contacts.entry(from).or_insert(0) += 1;
        } else {
            *window.bytes.entry(from).or_insert(0) += bytes.len() as u64;
        }
        let length = scene.at.since(window.since);
        if length < WINDOW {
            return Ok(());
        }
        // The shortest pause between two healings is nine tenths of the interval.
        let healings = length.as_millis() * 10 / (scene.config.membership.heal_interval.as_millis() * 9) + 1;
        let contacts = window.contacts.iter().max_by_key(|(node, count)| (**count, **node));
        if let Some((node, count)) = contacts.filter(|(_, count)| u128::from(**count) > 2 * healings) {
            let text =
                format!("it contacted {count} silent addresses in {healings} healings of {length:.0?}");
            return Err(scene.violation(*node, text));
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
                let text = format!(
                    "it sent {bytes} bytes in {length:.0?} of a settled cluster, and the limit is {cap}"
                );
                Err(scene.violation(node, text))
            }
            _ => Ok(()),
        }
    }
}

/// Whether a datagram begins with a Join, or with the sender's own record: so are silent seeds and Down members contacted.
fn is_contact(bytes: &[u8], cluster: &str) -> bool {
    let Ok(mut datagram) = open(bytes, cluster_tag(cluster)) else { return false };
    match datagram.messages.next() {
        Some(Ok(Message::Swim(Swim::Join(_)))) => true,
        Some(Ok(Message::Swim(Swim::Alive(Alive(record))))) => record.id() == datagram.header.sender,
        _ => false,
    }
}

/// The digest of a record. Two records of one incarnation are two updates.
fn digest(record: Record<'_>) -> u64 {
    record
        .bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

impl Check<Scene<'_>> for Budget {
    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        // What a process has passed on before a leave, it passes on anew after it.
        if let Happening::Crashed { node } | Happening::Notice { node, notice: Notice::Departed { .. } } =
            *happening
        {
            self.passed_on.remove(&node);
        }
        if let Some((observer, MemberChange::Forgotten, member)) = change(happening) {
            // If the member appears again, its updates are new.
            if let Some(counts) = self.passed_on.get_mut(&observer) {
                counts.retain(|update, _| update.0 != member.id);
            }
        }
        let Happening::Sent { from, bytes, port: BRUIT_PORT, .. } = *happening else {
            return Ok(());
        };
        let mtu = usize::from(scene.config.mtu);
        if bytes.len() > mtu {
            let text = format!("it sent a datagram of {} bytes, above the mtu of {mtu}", bytes.len());
            return Err(scene.violation(from, text));
        }
        scene.judges();
        self.gossip(from, bytes, scene)?;
        // The digests of a pull never end, and the estimate does not include them.
        let pulls = matches!(scene.config.broadcast.repair, Repair::Pull { .. });
        let is_pull =
            |bytes: &[u8]| describe(bytes).is_ok_and(|it| it.kinds().any(|kind| kind == Kind::Digest));
        if pulls && is_pull(bytes) { Ok(()) } else { self.settled(from, bytes, scene) }
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::fixture::{Fixture, incarnation};
    use crate::network::forge;
    use bruit_core::wire::{Alive, Record, Verdict};
    use bruit_core::{MemberState, NodeId};
    use core::time::Duration;

    /// A suspicion of member 3 by member 1, sent to `receiver`.
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

    /// The own record of member 1, as a Down member gets it.
    fn contact() -> Vec<u8> {
        let record = forge::record(1, incarnation(1, 0)).encode();
        let header = forge::header("fixture", NodeId(1), NodeId(2));
        forge::datagram(&header, &[Alive(Record::read(&record).expect("it is one")).into()])
    }

    #[test]
    fn a_datagram_above_the_mtu_is_found() {
        Fixture::new(2, "CM9").sends(0, &[0; 1_401]).fires("1401 bytes");
    }

    #[test]
    fn an_update_that_is_passed_on_too_often_is_found() {
        let mut history = Fixture::new(3, "CM9");
        for _ in 0..2 * history.bounds().transmissions {
            history.sends(0, &suspicion(2)).is_silent();
        }
        history.sends(0, &suspicion(2)).fires("Suspect n3@1.0");
    }

    #[test]
    fn too_many_bytes_in_a_settled_cluster_are_found() {
        let mut history = Fixture::new(2, "CM9");
        let bound = history.bounds().agreement;
        history.after(bound);
        for _ in 0..300 {
            history.after(Duration::from_millis(100)).sends(0, &[0; 1_000]);
        }
        history.fires("settled cluster");
    }

    #[test]
    fn silent_addresses_that_are_contacted_too_often_are_found() {
        let mut history = Fixture::new(2, "CM9");
        let bound = history.bounds().agreement;
        history.after(bound);
        for _ in 0..30 {
            history.after(Duration::from_secs(5)).sends(0, &contact());
        }
        history.is_silent();
        for _ in 0..30 {
            history.after(Duration::from_secs(1)).sends(0, &contact());
        }
        history.fires("silent addresses");
    }

    #[test]
    fn verdicts_that_are_sent_to_their_subject_are_fine() {
        let mut history = Fixture::new(3, "CM9");
        for _ in 0..100 {
            history.after(Duration::from_secs(1)).sends(0, &suspicion(3)).is_silent();
        }
    }
}
