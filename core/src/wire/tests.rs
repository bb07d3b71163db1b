//! Golden bytes, and the laws of the codec.

use proptest::prelude::*;

use super::sizes::RECORD_BYTES_MAX;
use super::*;
use crate::error::DecodeError;
use crate::id::{Incarnation, MemberState, MessageId, NodeId};
use alloc::string::String;
use alloc::vec::Vec;

fn hex(bytes: &[u8]) -> String {
    let lines: Vec<String> = bytes
        .chunks(16)
        .map(|line| line.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" "))
        .collect();
    lines.join("\n")
}

fn encoded(message: &Message<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode(&mut out);
    out
}

fn fields() -> RecordFields<'static> {
    RecordFields {
        id: NodeId(0x0102),
        incarnation: Incarnation { epoch: 0x0304, counter: 5 },
        boot: 0x0607,
        shared: 0x0809,
        roster: 0,
        priority: 10,
        protocol: (1, 1),
        eligible: true,
        addr: "10.0.0.1:7000".parse().expect("an address"),
        name: "web-1",
        zone: "eu",
        meta: b"m",
    }
}

fn header() -> Header {
    Header {
        cluster: cluster_tag("golden"),
        sender: NodeId(1),
        incarnation: Incarnation { epoch: 2, counter: 3 },
        boot: 4,
        receiver: NodeId(5),
        sequence: 6,
    }
}

#[test]
fn the_envelope_has_golden_bytes() {
    let bytes = compose(&header(), &encoded(&Ping { seq: 7, roots: [8, 9, 10] }.into()));
    let mut written = Vec::new();
    let letterhead =
        Letterhead::new(cluster_tag("golden"), NodeId(1), Incarnation { epoch: 2, counter: 3 }, 4);
    letterhead.begin(NodeId(5), 6, &mut written);
    Message::from(Ping { seq: 7, roots: [8, 9, 10] }).encode(&mut written);
    written.put(&[0; CRC_BYTES]);
    finish(&mut written, letterhead.checksum());
    assert_eq!(written, bytes, "a letterhead saves work and changes nothing");
    insta::assert_snapshot!(hex(&bytes), @"
    01 00 00 00 00 00 00 00 c7 5e 33 15 3e 74 9d 83
    01 00 00 00 00 00 00 00 02 00 00 00 00 00 00 00
    03 00 00 00 04 00 00 00 00 00 00 00 05 00 00 00
    00 00 00 00 06 00 00 00 00 00 00 00 01 1c 00 07
    00 00 00 08 00 00 00 00 00 00 00 09 00 00 00 00
    00 00 00 0a 00 00 00 00 00 00 00 9a 34 4e 4c
    ");
    let opened = open(&bytes, cluster_tag("golden")).expect("just written");
    assert_eq!(opened.header, header());
    assert_eq!(opened.messages.collect::<Vec<_>>(), [Ok(Ping { seq: 7, roots: [8, 9, 10] }.into())]);
    insta::assert_snapshot!(describe(&bytes).expect("just written"), @"n1@2.3 -> n5 #6: ping 7");
}

#[test]
fn a_record_has_golden_bytes() {
    insta::assert_snapshot!(hex(&fields().encode()), @"
    02 01 00 00 00 00 00 00 04 03 00 00 00 00 00 00
    05 00 00 00 07 06 00 00 00 00 00 00 09 08 00 00
    00 00 00 00 00 00 00 00 0a 00 00 00 01 01 01 04
    58 1b 0a 00 00 01 05 77 65 62 2d 31 02 65 75 01
    00 6d 00
    ");
}

#[test]
fn every_message_has_golden_bytes() {
    let incarnation = Incarnation { epoch: 1, counter: 2 };
    let addr = "[fd00::1]:9".parse().expect("an address");
    let record = fields().encode();
    let record = Record::read(&record).expect("just written");
    let verdict = Verdict {
        id: NodeId(3),
        incarnation,
        state: MemberState::Left,
        removed: true,
        age: 4,
        author: NodeId(5),
    };
    let accused = Accused { incarnation, state: MemberState::Down, removed: false, boot: 6 };
    let (mut compared, mut listed) = (Vec::new(), Vec::new());
    put_compare_range(&mut compared, KeyRange::new(0xa000_0000, 1).expect("valid"), &[(1, 2); 16]);
    put_items_range(&mut listed, KeyRange::ROOT, &[(NodeId(1), 2), (NodeId(3), 4)]);
    let messages: [Message<'_>; 16] = [
        Ack { seq: 1, roots: None }.into(),
        Ack { seq: 1, roots: Some([2, 3, 4]) }.into(),
        PingReq { seq: 1, target: NodeId(2), addr }.into(),
        Nack { seq: 1 }.into(),
        RelayedAck { seq: 1, author: NodeId(2), incarnation }.into(),
        Alive(record).into(),
        verdict.into(),
        accused.into(),
        Join { cookie: 1, cluster: "c", record }.into(),
        JoinEcho { cookie: 1, seen: addr }.into(),
        JoinAnswer { seen: addr, shared: 1, members: 2 }.into(),
        Compare::of(0, 1, &compared).into(),
        Items::of(0, 1, &listed).into(),
        Want::of(0, 1, &[1; 16]).into(),
        Delta { table: 0 }.into(),
        Delta { table: 2 }.into(),
    ];
    let golden: Vec<String> =
        messages.iter().map(|message| format!("{message}\n{}", hex(&encoded(message)))).collect();
    insta::assert_snapshot!(golden.join("\n"), @"
    ack 1
    02 04 00 01 00 00 00
    ack 1
    02 1c 00 01 00 00 00 02 00 00 00 00 00 00 00 03
    00 00 00 00 00 00 00 04 00 00 00 00 00 00 00
    ping-req 1 for n2
    03 1f 00 01 00 00 00 02 00 00 00 00 00 00 00 06
    09 00 fd 00 00 00 00 00 00 00 00 00 00 00 00 00
    00 01
    nack 1
    04 04 00 01 00 00 00
    relayed-ack 1 of n2@1.2
    05 18 00 01 00 00 00 02 00 00 00 00 00 00 00 01
    00 00 00 00 00 00 00 02 00 00 00
    alive n258@772.5
    06 43 00 02 01 00 00 00 00 00 00 04 03 00 00 00
    00 00 00 05 00 00 00 07 06 00 00 00 00 00 00 09
    08 00 00 00 00 00 00 00 00 00 00 0a 00 00 00 01
    01 01 04 58 1b 0a 00 00 01 05 77 65 62 2d 31 02
    65 75 01 00 6d 00
    left n3@1.2 by n5 (removed)
    07 21 00 03 00 00 00 00 00 00 00 01 00 00 00 00
    00 00 00 02 00 00 00 83 04 00 00 00 05 00 00 00
    00 00 00 00
    accused down@1.2
    08 15 00 01 00 00 00 00 00 00 00 02 00 00 00 02
    06 00 00 00 00 00 00 00
    join n258@772.5
    09 4d 00 01 00 00 00 00 00 00 00 01 63 02 01 00
    00 00 00 00 00 04 03 00 00 00 00 00 00 05 00 00
    00 07 06 00 00 00 00 00 00 09 08 00 00 00 00 00
    00 00 00 00 00 0a 00 00 00 01 01 01 04 58 1b 0a
    00 00 01 05 77 65 62 2d 31 02 65 75 01 00 6d 00
    join-echo to [fd00::1]:9
    0a 1b 00 01 00 00 00 00 00 00 00 06 09 00 fd 00
    00 00 00 00 00 00 00 00 00 00 00 00 00 01
    join-answer (2 members)
    0b 1f 00 06 09 00 fd 00 00 00 00 00 00 00 00 00
    00 00 00 00 00 01 01 00 00 00 00 00 00 00 02 00
    00 00
    compare 1 ranges
    20 8e 00 00 01 00 00 00 00 00 00 a0 01 20 00 00
    00 01 00 00 00 00 00 00 00 01 00 00 00 00 00 00
    00 01 00 00 00 00 00 00 00 01 00 00 00 00 00 00
    00 01 00 00 00 00 00 00 00 01 00 00 00 00 00 00
    00 01 00 00 00 00 00 00 00 01 00 00 00 00 00 00
    00 01 00 00 00 00 00 00 00 01 00 00 00 00 00 00
    00 01 00 00 00 00 00 00 00 01 00 00 00 00 00 00
    00 01 00 00 00 00 00 00 00 01 00 00 00 00 00 00
    00 01 00 00 00 00 00 00 00 01 00 00 00 00 00 00
    00
    items 2
    21 2b 00 00 01 00 00 00 00 00 00 00 00 02 01 00
    00 00 00 00 00 00 02 00 00 00 00 00 00 00 03 00
    00 00 00 00 00 00 04 00 00 00 00 00 00 00
    want 2
    22 15 00 00 01 00 00 00 01 01 01 01 01 01 01 01
    01 01 01 01 01 01 01 01
    delta 0
    23 01 00 00
    delta 2
    23 01 00 02
    ");
    for message in messages {
        let bytes = encoded(&message);
        assert_eq!(Message::decode(bytes[0], &bytes[3..]), Ok(message), "decoding inverts encoding");
    }
}

#[test]
fn a_damaged_or_foreign_datagram_is_refused_with_its_reason() {
    let bytes = compose(&header(), &[]);
    let tag = cluster_tag("golden");
    let refused = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = bytes.clone();
        change(&mut bytes);
        open(&bytes, tag).expect_err("it is damaged")
    };
    assert_eq!(refused(&|bytes| bytes.truncate(59)), DecodeError::Truncated);
    assert_eq!(refused(&|bytes| bytes.truncate(62)), DecodeError::Checksum);
    assert_eq!(refused(&|bytes| bytes[0] = 9), DecodeError::Version(9));
    assert_eq!(refused(&|bytes| bytes[1] = 1), DecodeError::Sealed);
    assert_eq!(refused(&|bytes| bytes[8] ^= 1), DecodeError::OtherCluster);
    assert_eq!(refused(&|bytes| bytes[52] ^= 1), DecodeError::Checksum);
}

#[test]
fn unknown_messages_are_skipped_and_longer_bodies_read() {
    let bytes = compose(&header(), &[200, 2, 0, 1, 1, 4, 6, 0, 7, 0, 0, 0, 99, 99]);
    let messages: Vec<_> = open(&bytes, cluster_tag("golden")).expect("good").messages.collect();
    assert_eq!(messages, [Ok(Message::Unknown { tag: 200 }), Ok(Nack { seq: 7 }.into())]);
}

#[test]
fn extensions_of_a_record_are_kept_as_they_came() {
    let mut bytes = fields().encode();
    bytes.extend_from_slice(&[77, 3, 1, 2, 3]);
    let record = Record::read(&bytes).expect("an extended record");
    assert_eq!(record.fields(), fields());
    let relayed = encoded(&Alive(record).into());
    assert_eq!(&relayed[3..], bytes);
    bytes.push(1);
    assert_eq!(Record::read(&bytes), Err(DecodeError::Truncated));
}

#[test]
fn an_item_is_cut_and_put_together_in_any_order() {
    let item = ItemId { owner: NodeId(1), epoch: 2, seq: 3 };
    let bytes: Vec<u8> = (0..5_000_u32).map(|i| i.to_le_bytes()[0]).collect();
    let mut pieces: Vec<_> = fragments(item, &bytes).expect("short enough").collect();
    assert_eq!(pieces.len(), 5);
    pieces.reverse();
    let mut reassembly = Reassembly::new();
    for piece in &pieces[..4] {
        assert_eq!(reassembly.add(piece), None);
        assert_eq!(reassembly.add(piece), None, "a repeated piece changes nothing");
    }
    assert_eq!(reassembly.missing(item), Some(1));
    assert_eq!(reassembly.add(&pieces[4]), Some(bytes));
    assert_eq!(reassembly, Reassembly::new());
    assert!(fragments(item, &[]).is_none());
    assert!(fragments(item, &[0; 73 * 1_024]).is_none());
}

#[test]
fn the_oldest_unfinished_item_gives_way() {
    let mut reassembly = Reassembly::new();
    let piece = |seq| Fragment {
        item: ItemId { owner: NodeId(1), epoch: 1, seq },
        index: 0,
        count: 2,
        bytes: &[7; 1_024],
    };
    (0..=16).for_each(|seq| assert_eq!(reassembly.add(&piece(seq)), None));
    assert_eq!(reassembly.missing(piece(0).item), None, "forgotten");
    assert_eq!(reassembly.missing(piece(1).item), Some(2));
}

#[test]
fn every_message_of_the_broadcast_has_golden_bytes() {
    let id = MessageId { origin: NodeId(1), epoch: 2, seq: 3 };
    let run = Run { origin: NodeId(1), epoch: 2, first: 3, last: 5 };
    let item = encode_item(REPORT, "t", b"hi");
    let item = Item::read(&item).expect("just written");
    let (mut runs, mut entries) = (Vec::new(), Vec::new());
    put_run(&mut runs, run);
    put_digest_entry(&mut entries, run, &[(4, 4)]);
    let runs = Runs::of(&runs);
    let part = Fragment { item: id.into(), index: 1, count: 2, bytes: b"end" };
    let messages: [Message<'_>; 13] = [
        Publish { id, hops: 1, flags: EAGER, item }.into(),
        Part { hops: 1, flags: EAGER, part }.into(),
        IHave(runs).into(),
        Request { round: 6, flags: GRAFT, runs }.into(),
        RequestParts { id, missing: 2 }.into(),
        Digest::of(PULL, 6, (NodeId(1), NodeId(7)), &entries).into(),
        Gone(runs).into(),
        Lack(runs).into(),
        PushAck(runs).into(),
        Prune.into(),
        Receipt(runs).into(),
        ReceiptRequest(runs).into(),
        Mark { origin: NodeId(1), epoch: 2, low: 3, top: 5 }.into(),
    ];
    let golden: Vec<String> = messages
        .iter()
        .map(|message| {
            let bytes = encoded(message);
            assert_eq!(Message::decode(bytes[0], &bytes[3..]), Ok(*message));
            format!("{message}\n{}", hex(&bytes))
        })
        .collect();
    insta::assert_snapshot!(golden.join("\n"), @"
    publish n1:2:3 hop 1
    40 23 00 01 00 00 00 00 00 00 00 02 00 00 00 00
    00 00 00 03 00 00 00 00 00 00 00 01 01 01 01 74
    02 00 00 00 68 69
    part n1:2:3 2/2
    41 1f 00 01 01 01 00 00 00 00 00 00 00 02 00 00
    00 00 00 00 00 03 00 00 00 00 00 00 00 01 02 65
    6e 64
    i-have n1:2:3-5
    42 20 00 01 00 00 00 00 00 00 00 02 00 00 00 00
    00 00 00 03 00 00 00 00 00 00 00 05 00 00 00 00
    00 00 00
    request n1:2:3-5
    43 25 00 06 00 00 00 01 01 00 00 00 00 00 00 00
    02 00 00 00 00 00 00 00 03 00 00 00 00 00 00 00
    05 00 00 00 00 00 00 00
    request-parts 1 of n1:2:3
    44 28 00 01 00 00 00 00 00 00 00 02 00 00 00 00
    00 00 00 03 00 00 00 00 00 00 00 02 00 00 00 00
    00 00 00 00 00 00 00 00 00 00 00
    digest 1 origins (pull)
    45 46 00 01 06 00 00 00 01 00 00 00 00 00 00 00
    07 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00
    02 00 00 00 00 00 00 00 03 00 00 00 00 00 00 00
    05 00 00 00 00 00 00 00 01 04 00 00 00 00 00 00
    00 04 00 00 00 00 00 00 00
    gone n1:2:3-5
    46 20 00 01 00 00 00 00 00 00 00 02 00 00 00 00
    00 00 00 03 00 00 00 00 00 00 00 05 00 00 00 00
    00 00 00
    lack n1:2:3-5
    4c 20 00 01 00 00 00 00 00 00 00 02 00 00 00 00
    00 00 00 03 00 00 00 00 00 00 00 05 00 00 00 00
    00 00 00
    push-ack n1:2:3-5
    47 20 00 01 00 00 00 00 00 00 00 02 00 00 00 00
    00 00 00 03 00 00 00 00 00 00 00 05 00 00 00 00
    00 00 00
    prune
    48 00 00
    receipt n1:2:3-5
    49 20 00 01 00 00 00 00 00 00 00 02 00 00 00 00
    00 00 00 03 00 00 00 00 00 00 00 05 00 00 00 00
    00 00 00
    receipt-request n1:2:3-5
    4a 20 00 01 00 00 00 00 00 00 00 02 00 00 00 00
    00 00 00 03 00 00 00 00 00 00 00 05 00 00 00 00
    00 00 00
    mark n1:2:5
    4b 20 00 01 00 00 00 00 00 00 00 02 00 00 00 00
    00 00 00 03 00 00 00 00 00 00 00 05 00 00 00 00
    00 00 00
    ");
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_read_but_never_fatal(tag: u8, body in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(message) = Message::decode(tag, &body) {
            if !matches!(message, Message::Unknown { .. }) {
                let bytes = encoded(&message);
                prop_assert_eq!(Message::decode(bytes[0], &bytes[3..]), Ok(message));
            }
            let _ = format!("{message}");
        }
        let _ = open(&body, 0);
    }

    #[test]
    fn records_survive_the_wire(
        id in 1..u64::MAX, epoch: u64, counter: u32, boot: u64, v6: bool, port: u16,
        name in "[a-zé]{0,30}", zone in "[a-z]{0,32}", meta in prop::collection::vec(any::<u8>(), 0..=512),
    ) {
        let ip = if v6 { "2001:db8::7".parse().expect("an address") } else { [10, 1, 2, 3].into() };
        let record = RecordFields {
            id: NodeId(id),
            incarnation: Incarnation { epoch, counter },
            boot,
            addr: core::net::SocketAddr::new(ip, port),
            name: &name,
            zone: &zone,
            meta: &meta,
            ..fields()
        };
        let bytes = record.encode();
        prop_assert!(bytes.len() <= RECORD_BYTES_MAX);
        let read = Record::read(&bytes).expect("just written");
        prop_assert_eq!(read.fields(), record);
        prop_assert_eq!((read.id(), read.incarnation(), read.boot()), (record.id, record.incarnation, boot));
        prop_assert_eq!((read.addr(), read.shared(), read.protocol()), (record.addr, record.shared, record.protocol));
    }
}
