//! Messages for broadcasts that no member of this version sends: from unknown senders, from addresses that are not a member's,
//! with numbers out of range, or repeated. They make no member send much, deliver nothing, and let nothing grow (check CB10,
//! rule F6).

use bruit_core::wire::Header;
use bruit_core::{BroadcastConfig, Command, Event, Node, NodeId, Notice, virtual_addr};
use bruit_sim::forge;

use super::group::with;
use crate::support::{Bench, millis, secs};

const PUBLISH: u8 = 64;
const I_HAVE: u8 = 66;
const REQUEST: u8 = 67;
const REQUEST_PARTS: u8 = 68;
const DIGEST: u8 = 69;
const GONE: u8 = 70;
const PUSH_ACK: u8 = 71;
const RECEIPT: u8 = 73;
const RECEIPT_REQUEST: u8 = 74;
const MARK: u8 = 75;

/// A message of any tag and body.
fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    bytes.extend(u16::try_from(body.len()).expect("short").to_le_bytes());
    bytes.extend(body);
    bytes
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn run(origin: u64, epoch: u64, first: u64, last: u64) -> Vec<u8> {
    words(&[origin, epoch, first, last])
}

fn publish(origin: u64, epoch: u64, seq: u64, payload: &[u8]) -> Vec<u8> {
    let mut body = words(&[origin, epoch, seq]);
    body.extend([1, 0]);
    body.extend([0, 0]);
    body.extend(u32::try_from(payload.len()).expect("short").to_le_bytes());
    body.extend(payload);
    message(PUBLISH, &body)
}

/// The epoch of a member of [`pair`]; any for another origin.
fn epoch(origin: u64) -> u64 {
    if origin > 2 {
        return 1;
    }
    Bench::of(2, &with(BroadcastConfig::tree())).node(origin).incarnation().epoch
}

/// One message of each kind that could make a node send something.
fn everything(origin: u64) -> Vec<Vec<u8>> {
    let epoch = epoch(origin);
    let runs = run(origin, epoch, 1, 1_000);
    let request: Vec<u8> = [0, 0, 0, 0, 0].into_iter().chain(runs.clone()).collect();
    let mut pull = vec![1, 1, 0, 0, 0];
    pull.extend(words(&[0, u64::MAX]));
    let mut parts = words(&[origin, epoch, 1]);
    parts.extend([0xff; 16]);
    vec![
        publish(origin, epoch, 7, b"forged"),
        message(I_HAVE, &runs),
        message(REQUEST, &request),
        message(REQUEST_PARTS, &parts),
        message(DIGEST, &pull),
        message(GONE, &runs),
        message(PUSH_ACK, &runs),
        message(RECEIPT, &runs),
        message(RECEIPT_REQUEST, &runs),
        message(MARK, &run(origin, epoch, 1, 1_000)),
    ]
}

/// A bench of two members, of which the first has made many broadcasts that are cached.
fn pair(broadcast: BroadcastConfig) -> Bench {
    let mut bench = Bench::of(2, &with(broadcast));
    bench.join(1, 1);
    bench.join(2, 1);
    bench.run_for(secs(5));
    for _ in 0..50 {
        bench.give(1, Event::Command(Command::Broadcast(bruit_core::Broadcast::new("", vec![1; 1_000]))));
    }
    bench.run_for(secs(5));
    assert_eq!(bench.node(2).recent("").count(), 50);
    bench.sent.clear();
    bench.notices.clear();
    bench
}

fn header(sender: &Node) -> Header {
    let mut header = forge::header("test", sender.id(), NodeId(1));
    (header.incarnation, header.boot) = (sender.incarnation(), sender.boot());
    header
}

fn delivered(bench: &Bench) -> usize {
    bench.notices.iter().filter(|(_, notice)| matches!(notice, Notice::Delivered { .. })).count()
}

#[test]
fn an_unknown_sender_gets_nothing_for_a_broadcast() {
    for origin in [1, 2, 77] {
        for body in everything(origin) {
            let mut bench = pair(BroadcastConfig::tree());
            let header = forge::header("test", NodeId(77), NodeId(1));
            let bytes = forge::raw(&header, &body);
            let (_, answers) = bench.handle(1, Event::Datagram { from: virtual_addr(77), bytes: &bytes });
            let back: usize = answers.iter().map(|(_, _, bytes)| bytes.len()).sum();
            assert!(back <= bytes.len(), "{back} bytes for {} of tag {}", bytes.len(), body[0]);
            assert!(answers.len() <= 1);
            assert_eq!(delivered(&bench), 0, "tag {}", body[0]);
        }
    }
}

#[test]
fn a_member_at_another_address_draws_no_more_than_it_sends() {
    // A forged sender can have the id and epoch of a member and the address of a victim.
    for body in everything(1) {
        let mut bench = pair(BroadcastConfig::tree());
        let bytes = forge::raw(&header(bench.node(2)), &body);
        let (_, answers) = bench.handle(1, Event::Datagram { from: virtual_addr(66), bytes: &bytes });
        bench.run_for(millis(500));
        let there: usize = bench
            .sent
            .iter()
            .filter(|(_, to, _)| *to == virtual_addr(66))
            .map(|(_, _, bytes)| bytes.len())
            .sum();
        assert!(
            there <= bytes.len(),
            "{there} bytes for {} of tag {}: {}",
            bytes.len(),
            body[0],
            answers.len()
        );
    }
}

#[test]
fn a_request_is_served_within_the_bytes_of_a_round() {
    let mut bench = pair(BroadcastConfig::bimodal());
    let asks: Vec<u8> = [0, 0, 0, 0, 0].into_iter().chain(run(1, epoch(1), 1, 50)).collect();
    let bytes = forge::raw(&header(bench.node(2)), &message(REQUEST, &asks));
    for _ in 0..100 {
        bench.handle(1, Event::Datagram { from: virtual_addr(2), bytes: &bytes });
    }
    bench.run_for(millis(50));
    let back: usize =
        bench.sent.iter().filter(|(from, ..)| *from == virtual_addr(1)).map(|(_, _, b)| b.len()).sum();
    // A round serves 256 KiB, and no message is queued twice.
    assert!(back <= 300_000, "{back} bytes");
    assert!(back >= 50_000, "{back} bytes: it is served");
}

#[test]
fn numbers_out_of_range_and_epochs_from_nowhere_change_nothing() {
    let mut bench = pair(BroadcastConfig::tree());
    let head = header(bench.node(2));
    let bodies = [
        publish(2, u64::MAX, 1, b"x"),
        publish(2, 1 << 63, 1, b"x"),
        publish(2, epoch(2), 0, b"x"),
        publish(2, epoch(2), 1 << 63, b"x"),
        publish(99, 1, 1, b"of nobody"),
        message(I_HAVE, &run(2, epoch(2), 1, u64::MAX)),
        message(I_HAVE, &run(2, epoch(2), 5, 4)),
        message(I_HAVE, &run(1, epoch(1), 1, 1 << 40)),
        message(MARK, &run(2, epoch(2), 5, 4)),
    ];
    for body in bodies {
        bench.datagram(1, virtual_addr(2), &forge::raw(&head, &body));
    }
    bench.run_for(secs(60));
    assert_eq!(delivered(&bench), 0);
    let own = |node: &Node| node.marks().find(|mark| mark.origin == NodeId(1)).map(|mark| mark.highest);
    assert_eq!(own(bench.node(1)), Some(50), "no other member changes its own numbers");
}

#[test]
fn a_million_that_do_not_exist_end_as_one_notice() {
    // An announcement far ahead makes one range of gaps, which is given up.
    let config = BroadcastConfig { lost_after: secs(2), ..BroadcastConfig::tree() };
    let mut bench = pair(config);
    bench.give(2, Event::Command(Command::Broadcast(bruit_core::Broadcast::new("", "true"))));
    bench.notices.clear();
    let far = message(I_HAVE, &run(2, epoch(2), 1_000_000, 1_000_000));
    bench.datagram(1, virtual_addr(2), &forge::raw(&header(bench.node(2)), &far));
    assert!(bench.node(1).usage().gaps <= 2, "{:?}", bench.node(1).usage());
    bench.run_for(secs(60));
    let lost: Vec<_> =
        bench.notices.iter().filter(|(_, notice)| matches!(notice, Notice::Lost { .. })).collect();
    assert!((1..=3).contains(&lost.len()), "{} notices", lost.len());
    assert_eq!(bench.node(1).usage().gaps, 0);
}

#[test]
fn the_same_datagram_again_and_again_causes_nothing() {
    let mut bench = pair(BroadcastConfig::push_ack());
    bench.give(2, Event::Command(Command::Broadcast(bruit_core::Broadcast::new("", "once"))));
    let publishes = |bytes: &[u8]| {
        bruit_core::wire::describe(bytes)
            .is_ok_and(|datagram| datagram.kinds().any(|kind| kind == bruit_core::wire::Kind::Publish))
    };
    let captured = bench.sent.iter().find(|(from, _, bytes)| *from == virtual_addr(2) && publishes(bytes));
    let (from, _, bytes) = captured.expect("it was sent").clone();
    bench.run_for(secs(5));
    bench.sent.clear();
    bench.notices.clear();
    for _ in 0..1_000 {
        bench.datagram(1, from, &bytes);
    }
    assert_eq!(delivered(&bench), 0);
    assert_eq!(bench.sent.len(), 0, "and nothing is answered");
}

#[test]
fn a_claim_beyond_all_reason_is_not_asked_for_forever() {
    let config = BroadcastConfig { lost_after: secs(2), ..BroadcastConfig::tree() };
    let mut bench = pair(config);
    bench.give(2, Event::Command(Command::Broadcast(bruit_core::Broadcast::new("", "true"))));
    let far = message(I_HAVE, &run(2, epoch(2), 1 << 60, 1 << 60));
    bench.datagram(1, virtual_addr(2), &forge::raw(&header(bench.node(2)), &far));
    bench.run_for(secs(60));
    bench.sent.clear();
    bench.run_for(secs(30));
    let asks = |bytes: &[u8]| {
        bruit_core::wire::describe(bytes)
            .is_ok_and(|datagram| datagram.kinds().any(|kind| kind == bruit_core::wire::Kind::Request))
    };
    let asked = bench.sent.iter().filter(|(_, _, bytes)| asks(bytes)).count();
    assert_eq!(asked, 0, "requests in half a minute, a minute later");
}
