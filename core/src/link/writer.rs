//! Datagrams that are being written. A machine begins one and adds its messages; at the end of the call the free room
//! is filled with queued messages, and the checksum is added.

use alloc::vec::Vec;
use core::net::SocketAddr;

use super::outbox::{Entry, Outbox, Unfinished};
use crate::id::NodeId;
use crate::wire::{self, HeaderPrefix, Message, Put as _};

/// A datagram with fewer free bytes than this is not filled.
const FILLED_BYTES_MIN: usize = 16;

impl Outbox {
    /// Begins a datagram of at most `mtu` bytes.
    pub(super) fn datagram(
        &mut self,
        to: SocketAddr,
        receiver: NodeId,
        prefix: &HeaderPrefix,
        sequence: u64,
        mtu: u16,
    ) -> DatagramWriter<'_> {
        let start = self.arena.len();
        prefix.begin(receiver, sequence, &mut self.arena);
        let end = start + usize::from(mtu) - (wire::ENVELOPE_BYTES_MAX - wire::HEADER_BYTES);
        DatagramWriter { out: self, to, receiver, start, end, prefix: prefix.checksum() }
    }

    /// The number of datagrams of this call that are not finished.
    pub(crate) const fn unfinished(&self) -> usize {
        self.unfinished.len()
    }

    /// Opens a datagram of this call again, to fill it; `None` if fewer than 16 bytes are left.
    pub(crate) fn reopen(&mut self, place: usize) -> Option<DatagramFiller<'_>> {
        let Unfinished { entry, receiver, room, .. } = self.unfinished[place];
        let Entry::Send { bytes, .. } = &self.entries[entry] else { return None };
        if room < FILLED_BYTES_MIN {
            return None;
        }
        let start = if bytes.end == self.arena.len() {
            // The last datagram in the arena is extended in place.
            self.arena.truncate(bytes.end - wire::CRC_BYTES);
            bytes.start
        } else {
            let start = self.arena.len();
            self.arena.extend_from_within(bytes.start..bytes.end - wire::CRC_BYTES);
            start
        };
        let end = self.arena.len() + room;
        Some(DatagramFiller { out: self, entry, receiver, start, end })
    }

    /// Adds the checksum to every datagram of this call, and removes those without a message.
    pub(crate) fn finish(&mut self) {
        for Unfinished { entry, prefix, .. } in self.unfinished.drain(..).rev() {
            let Entry::Send { bytes, .. } = &self.entries[entry] else { continue };
            if bytes.len() == wire::HEADER_BYTES + wire::CRC_BYTES {
                self.entries.remove(entry);
                continue;
            }
            wire::finish(&mut self.arena[bytes.clone()], prefix);
            self.sent.datagrams += 1;
            self.sent.bytes += bytes.len() as u64;
        }
    }
}

/// A datagram that is being written. If it is dropped without being sent, it leaves only unused bytes in the arena.
#[derive(Debug)]
pub(crate) struct DatagramWriter<'a> {
    out: &'a mut Outbox,
    to: SocketAddr,
    receiver: NodeId,
    start: usize,
    end: usize,
    prefix: u32,
}

impl DatagramWriter<'_> {
    /// The number of message bytes that still fit.
    pub(crate) const fn room(&self) -> usize {
        self.end - self.out.arena.len()
    }

    /// Allows at most `bytes` further bytes of messages.
    pub(crate) fn limit(&mut self, bytes: usize) {
        self.end = self.end.min(self.out.arena.len().saturating_add(bytes));
    }

    /// The number of message bytes so far.
    pub(crate) const fn len(&self) -> usize {
        self.out.arena.len() - self.start - wire::HEADER_BYTES
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes all messages after the first `len` bytes.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.out.arena.truncate(self.start + wire::HEADER_BYTES + len);
    }

    /// Adds a message. Returns false, and adds nothing, if it does not fit.
    pub(crate) fn push(&mut self, message: &Message<'_>) -> bool {
        push(&mut self.out.arena, self.end, message)
    }

    /// Sends the datagram. At the end of the call its free room is filled with queued messages.
    pub(crate) fn send(self) {
        let room = self.room();
        self.close(room);
    }

    /// Sends the datagram without filling it: because the address may not be its receiver's (rule F6), or because
    /// updates behind its messages would be taken for part of them.
    pub(crate) fn send_alone(self) {
        self.close(0);
    }

    fn close(self, room: usize) {
        let Self { out, to, receiver, start, prefix, .. } = self;
        out.arena.put(&[0; wire::CRC_BYTES]);
        out.unfinished.push(Unfinished { entry: out.entries.len(), receiver, prefix, room });
        out.entries.push(Entry::Send { to, bytes: start..out.arena.len() });
    }
}

/// A datagram of this call whose free room is being filled.
#[derive(Debug)]
pub(crate) struct DatagramFiller<'a> {
    out: &'a mut Outbox,
    entry: usize,
    receiver: NodeId,
    start: usize,
    end: usize,
}

impl DatagramFiller<'_> {
    /// The member that receives the datagram.
    pub(crate) const fn receiver(&self) -> NodeId {
        self.receiver
    }

    /// The number of message bytes that still fit.
    pub(crate) const fn room(&self) -> usize {
        self.end - self.out.arena.len()
    }

    /// Adds a message if it fits into `allowance` bytes, and then subtracts its length from `allowance`.
    pub(crate) fn push(&mut self, message: &Message<'_>, allowance: &mut usize) -> bool {
        let before = self.out.arena.len();
        let fits = push(&mut self.out.arena, self.end.min(before + *allowance), message);
        *allowance -= self.out.arena.len() - before;
        fits
    }

    /// Closes the datagram with the messages that were added.
    pub(crate) fn close(self) {
        let Self { out, entry, start, .. } = self;
        out.arena.put(&[0; wire::CRC_BYTES]);
        if let Entry::Send { bytes, .. } = &mut out.entries[entry] {
            *bytes = start..out.arena.len();
        }
    }
}

fn push(arena: &mut Vec<u8>, end: usize, message: &Message<'_>) -> bool {
    let before = arena.len();
    message.encode(arena);
    if arena.len() > end {
        arena.truncate(before);
        return false;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Action;
    use crate::id::{Incarnation, MessageId, Slot};
    use crate::link::Link;
    use crate::wire::{Ping, cluster_tag};
    use proptest::prelude::*;

    fn ping(seq: u32) -> Message<'static> {
        Ping { seq, roots: [u64::MAX, 0, 7] }.into()
    }

    /// What is done with a datagram: how many pings go in, and how it ends.
    #[derive(Clone, Copy, Debug)]
    struct Plan {
        pings: u32,
        kept: u32,
        limit: Option<usize>,
        end: u8,
        between: u8,
        filled: u32,
        incarnation: bool,
    }

    fn plan() -> impl Strategy<Value = Plan> {
        let limit = prop::option::of(0_usize..500);
        (0_u32..20, 0_u32..20, limit, 0_u8..3, 0_u8..5, 0_u32..40, any::<bool>()).prop_map(
            |(pings, kept, limit, end, between, filled, incarnation)| Plan {
                pings,
                kept: kept.min(pings),
                limit,
                end,
                between,
                filled,
                incarnation,
            },
        )
    }

    proptest! {
        /// Datagrams that are dropped, limited, cut, sent alone and filled in any order, over calls that share an outbox:
        /// each one that is sent holds its own messages in order, fits the mtu and has its checksum.
        #[test]
        fn every_datagram_holds_its_own_messages(
            calls in prop::collection::vec(prop::collection::vec(plan(), 0..6), 1..4),
            mtu in 256_u16..1_400,
        ) {
            let cluster = cluster_tag("test");
            let mut link = Link::new(cluster, NodeId(1), Incarnation::first(1), 9);
            let (mut out, mut expected, mut seq, mut counter) = (Outbox::new(), Vec::new(), 0_u32, 0);
            for plans in calls {
                let mut open = Vec::new();
                for (place, plan) in plans.iter().enumerate() {
                    if plan.incarnation {
                        counter += 1;
                        link.set_incarnation(Incarnation { epoch: 1, counter });
                    }
                    let to: SocketAddr = "10.0.0.1:1".parse().expect("an address");
                    let receiver = NodeId(place as u64 + 2);
                    let mut datagram = link.datagram(to, receiver, mtu, &mut out);
                    let mut held = Vec::new();
                    for _ in 0..plan.pings {
                        seq += 1;
                        if datagram.push(&ping(seq)) { held.push(seq) }
                    }
                    let kept = held.len().min(plan.kept as usize);
                    datagram.truncate(kept * 31);
                    held.truncate(kept);
                    prop_assert_eq!(datagram.len(), kept * 31);
                    if let Some(limit) = plan.limit { datagram.limit(limit) }
                    seq += 1;
                    if datagram.push(&ping(seq)) { held.push(seq) }
                    match plan.end {
                        // Dropped unsent.
                        0 => {}
                        1 => { datagram.send(); open.push((receiver, held, counter, true)); }
                        _ => { datagram.send_alone(); open.push((receiver, held, counter, false)); }
                    }
                    match plan.between {
                        0 => out.deliver(MessageId { origin: NodeId(1), epoch: 1, seq: 1 }, "", b"", 0),
                        1 => out.deliver(MessageId { origin: NodeId(1), epoch: 1, seq: 1 }, "topic", &[1; 77], 0),
                        2 => out.store(Slot::SeenSet, 1, &[2; 33]),
                        _ => {}
                    }
                }
                let fills: Vec<u32> = plans.iter().filter(|plan| plan.end != 0).map(|plan| plan.filled).collect();
                prop_assert_eq!(out.unfinished(), open.len());
                for (place, (receiver, held, _, may)) in open.iter_mut().enumerate() {
                    let Some(mut datagram) = out.reopen(place) else { continue };
                    prop_assert!(*may, "one that is sent alone is not filled");
                    prop_assert_eq!(datagram.receiver(), *receiver);
                    for _ in 0..fills[place] {
                        seq += 1;
                        let (mut left, room) = (62, datagram.room());
                        if datagram.push(&ping(seq), &mut left) {
                            held.push(seq);
                            prop_assert_eq!((left, datagram.room()), (31, room - 31));
                        }
                    }
                    datagram.close();
                }
                out.finish();
                expected.extend(open);
            }
            let mut found = Vec::new();
            for action in out.iter() {
                match action {
                    Action::Send { bytes, .. } => {
                        prop_assert!(bytes.len() <= usize::from(mtu));
                        let datagram = wire::open(&bytes, cluster).expect("it is whole");
                        let seqs: Vec<u32> = datagram.messages.map(|message| match message {
                            Ok(Message::Swim(wire::Swim::Ping(ping))) => ping.seq,
                            other => panic!("{other:?}"),
                        }).collect();
                        found.push((datagram.header.receiver, seqs, datagram.header.incarnation.counter));
                    }
                    Action::Store { bytes, .. } => prop_assert_eq!(&*bytes, &[2; 33]),
                    Action::Notify(crate::Notice::Delivered { topic, payload, .. }) => {
                        prop_assert!(topic.is_empty() && payload.is_empty() || *payload == [1; 77] && topic == "topic");
                    }
                    Action::Answer(_) | Action::Notify(_) | Action::Reseed | Action::WakeAt(_) => {}
                }
            }
            // A datagram without a message is not sent.
            let expected = expected.into_iter().filter(|(_, held, ..)| !held.is_empty());
            let expected: Vec<_> = expected.map(|(receiver, held, counter, _)| (receiver, held, counter)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
