//! The costs of reconciliation between two hand-made tables, in bytes of messages and in round trips.

use bruit_core::wire::{Alive, Kind, Message, Ping, Record, describe};
use bruit_core::{Event, Incarnation, Node, NodeId, virtual_addr};
use bruit_sim::forge;

use crate::support::{Bench, lan};

fn record(id: u64, counter: u32) -> Vec<u8> {
    forge::record(id, Incarnation { epoch: 1, counter }).encode()
}

/// The member that tells both members of the bench of all others.
const TELLER: NodeId = NodeId(1_000_000);

/// Gives members 1 and 2 of the bench the records of this many others.
fn fill(bench: &mut Bench, members: u64) {
    for receiver in [1, 2] {
        let now = bench.now;
        forge::introduce(bench.node_mut(receiver), "test", TELLER, now);
        let header = forge::header("test", TELLER, NodeId(receiver));
        for first in (1_000..1_000 + members).step_by(10) {
            let records: Vec<Vec<u8>> =
                (first..(first + 10).min(1_000 + members)).map(|id| record(id, 0)).collect();
            let read = |bytes| Message::from(Alive(Record::read(bytes).expect("well made")));
            let messages: Vec<Message<'_>> = records.iter().map(|bytes| read(bytes)).collect();
            let bytes = forge::datagram(&header, &messages);
            // The datagrams that follow are not delivered, because the two must not gossip with each other yet.
            bench.handle(receiver, Event::Datagram { from: virtual_addr(TELLER.0), bytes: &bytes });
        }
    }
}

/// A bench of two members, each with `members` others in its table, and the one that has told of them.
fn tables(members: u64) -> Bench {
    let mut bench = Bench::of(2, &lan());
    bench.join(1, 1);
    bench.join(2, 1);
    fill(&mut bench, members);
    assert_eq!(bench.node(1).roots(), bench.node(2).roots());
    assert_eq!(bench.node(1).member_count() as u64, members + 3);
    bench
}

/// The bytes of the messages in a datagram, without the envelope.
fn payload(bytes: &[u8]) -> usize {
    let empty = forge::datagram(&forge::header("test", NodeId(1), NodeId(2)), &[]);
    bytes.len() - empty.len()
}

fn ping(node: &Node, to: u64) -> Vec<u8> {
    let mut header = forge::header("test", node.id(), NodeId(to));
    (header.incarnation, header.boot) = (node.incarnation(), node.boot());
    forge::datagram(&header, &[Ping { seq: 1, roots: node.roots() }.into()])
}

#[test]
fn in_sync_an_exchange_costs_32_bytes_each_way_at_any_size() {
    for members in [10, 10_000] {
        let mut bench = tables(members);
        // The new records are still being gossiped; wait until that ends.
        while bench.sent.len() < 100_000 {
            bench.sent.clear();
            let question = ping(bench.node(1), 2);
            let (_, answers) = bench.handle(2, Event::Datagram { from: virtual_addr(1), bytes: &question });
            assert!(payload(&question) <= 32, "{} bytes ask", payload(&question));
            let (_, _, answer) = &answers[0];
            if describe(answer).expect("readable").kinds().eq([Kind::Ack]) {
                assert!(payload(answer) <= 32, "{} bytes answer", payload(answer));
                break;
            }
        }
    }
}

#[test]
fn one_changed_record_among_10_000_is_found_in_4_round_trips_and_2_kb() {
    let mut bench = tables(10_000);
    let changed = record(4_711, 1);
    let header = forge::header("test", TELLER, NodeId(1));
    let news = forge::datagram(&header, &[Alive(Record::read(&changed).expect("well made")).into()]);
    bench.handle(1, Event::Datagram { from: virtual_addr(TELLER.0), bytes: &news });
    assert_ne!(bench.node(1).roots(), bench.node(2).roots());
    // Only the messages of the reconciliation are delivered; gossip is dropped.
    let of_exchange = |kind: Kind| matches!(kind, Kind::Compare | Kind::Items | Kind::Want | Kind::Delta);
    let mut queue = Vec::new();
    let mut until = bench.now;
    while queue.is_empty() {
        // An exchange starts once pings have shown the difference for longer than one spread.
        until = until + bruit_core::Estimate::new(&lan(), 10_002).spread;
        bench.now = until;
        let question = ping(bench.node(1), 2);
        let (_, sent) = bench.handle(2, Event::Datagram { from: virtual_addr(1), bytes: &question });
        queue.extend(
            sent.into_iter()
                .filter(|(_, _, bytes)| describe(bytes).expect("readable").kinds().any(of_exchange)),
        );
        assert!(bench.now.as_millis() < 600_000, "a difference that stays starts an exchange");
    }
    let (mut bytes, mut legs) = (0, 0);
    while !queue.is_empty() {
        legs += 1;
        let mut next = Vec::new();
        for (from, to, datagram) in queue {
            let id = if to == virtual_addr(1) { 1 } else { 2 };
            let read =
                bruit_core::wire::open(&datagram, bruit_core::wire::cluster_tag("test")).expect("readable");
            let messages: Vec<Message<'_>> =
                read.messages.map(|message| message.expect("readable")).collect();
            let delta = messages.iter().position(|message| message.kind() == Kind::Delta);
            // The records after a Delta belong to it; other records in the datagram are gossip.
            let kept: Vec<Message<'_>> = messages
                .iter()
                .enumerate()
                .filter(|(place, message)| {
                    of_exchange(message.kind()) || delta.is_some_and(|delta| *place > delta)
                })
                .map(|(_, message)| *message)
                .collect();
            let kept = forge::datagram(&read.header, &kept);
            bytes += payload(&kept);
            let (_, sent) = bench.handle(id, Event::Datagram { from, bytes: &kept });
            next.extend(
                sent.into_iter()
                    .filter(|(_, _, bytes)| describe(bytes).expect("readable").kinds().any(of_exchange)),
            );
        }
        queue = next;
    }
    assert_eq!(bench.node(1).roots(), bench.node(2).roots(), "after {legs} legs and {bytes} bytes");
    assert!(legs <= 8, "{legs} one-way legs");
    assert!(bytes <= 2_048, "{bytes} bytes");
}
