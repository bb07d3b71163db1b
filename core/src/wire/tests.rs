//! Golden bytes, and the laws of the codec.

use proptest::prelude::*;

use super::sizes::RECORD_BYTES_MAX;
use super::*;
use crate::id::{Incarnation, MemberState, MessageId, NodeId, Rank};
use alloc::borrow::ToOwned;
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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
        rank: Rank { seniority: 0x0304, draws: 2, boot: 0x0607 },
        shared: 0x0809,
        roster: 0,
        priority: 10,
        protocol: (1, 1),
        eligible: true,
        addr: "10.0.0.1:7000".parse().expect("an address"),
        name: "web-1",
        zone: "eu",
        meta: b"m",
        tags: b"\x01k\x01v",
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

const RECORD: &str = "0201000000000000 0403000000000000 05000000 0403000000000000 0200 0706000000000000 0908000000000000 00000000 0a000000 \
    01 01 01 04 581b 0a000001 05 7765622d31 02 6575 0100 6d 04 016b0176 00";

#[test]
fn a_record_has_golden_bytes() {
    assert_eq!(hex(&fields().encode()), RECORD.replace(' ', ""));
}

#[test]
fn the_envelope_has_golden_bytes() {
    let ping = Message::from(Ping { seq: 7, roots: [8, 9, 10] });
    let bytes = compose(&header(), &encoded(&ping));
    let mut written = Vec::new();
    let prefix = HeaderPrefix::new(cluster_tag("golden"), NodeId(1), Incarnation { epoch: 2, counter: 3 }, 4);
    prefix.begin(NodeId(5), 6, &mut written);
    ping.encode(&mut written);
    written.put(&[0; CRC_BYTES]);
    finish(&mut written, prefix.checksum());
    assert_eq!(written, bytes, "a prefix saves work and changes nothing");
    let golden = "01 00 0000 00000000 c75e33153e749d83 0100000000000000 0200000000000000 03000000 0400000000000000 \
        0500000000000000 0600000000000000 01 1c00 07000000 0800000000000000 0900000000000000 0a00000000000000 9a344e4c";
    assert_eq!(hex(&bytes), golden.replace(' ', ""));
    let opened = open(&bytes, cluster_tag("golden")).expect("just written");
    assert_eq!(opened.header, header());
    assert_eq!(opened.messages.collect::<Vec<_>>(), [Ok(ping)]);
    insta::assert_snapshot!(describe(&bytes).expect("just written"), @"n1@2.0+3 -> n5 #6: ping 7");
}

/// The kinds that have golden bytes.
#[derive(Default)]
struct Golden(BTreeSet<Kind>);

impl Golden {
    #[track_caller]
    fn is<'a>(&mut self, message: impl Into<Message<'a>>, printed: &str, golden: &str) {
        let message = message.into();
        let bytes = encoded(&message);
        assert_eq!(hex(&bytes), golden.replace(' ', ""), "{message}");
        assert_eq!(message.to_string(), printed);
        assert_eq!(Message::decode(bytes[0], &bytes[3..]), Ok(message), "decoding inverts encoding");
        assert_eq!(message.kind().tag(), Some(bytes[0]));
        self.0.insert(message.kind());
    }
}

#[test]
fn every_message_has_golden_bytes() {
    let mut golden = Golden::default();
    swim(&mut golden);
    reconcile(&mut golden);
    gossip(&mut golden);
    let missing: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| !golden.0.contains(kind)).collect();
    assert_eq!(missing, [Kind::Unknown]);
}

#[rustfmt::skip]
fn swim(golden: &mut Golden) {
    let incarnation = Incarnation { epoch: 1, counter: 2 };
    let addr = "[fd00::1]:9".parse().expect("an address");
    const ADDR: &str = "06 0900 fd000000000000000000000000000001";
    let record = fields().encode();
    let record = Record::read(&record).expect("just written");
    let verdict =
        Verdict { id: NodeId(3), incarnation, state: MemberState::Left, removed: true, age: 4, author: NodeId(5) };
    golden.is(Ping { seq: 1, roots: [2, 3, 4] }, "ping 1", "01 1c00 01000000 0200000000000000 0300000000000000 0400000000000000");
    golden.is(Ack { seq: 1, roots: None }, "ack 1", "02 0400 01000000");
    golden.is(Ack { seq: 1, roots: Some([2, 3, 4]) }, "ack 1", "02 1c00 01000000 0200000000000000 0300000000000000 0400000000000000");
    golden.is(PingReq { seq: 1, target: NodeId(2) }, "ping-req 1 for n2", "03 0c00 01000000 0200000000000000");
    golden.is(Nack { seq: 1 }, "nack 1", "04 0400 01000000");
    golden.is(RelayedAck { seq: 1, author: NodeId(2), incarnation }, "relayed-ack 1 of n2@1.0+2", "05 1800 01000000 0200000000000000 0100000000000000 02000000");
    golden.is(Alive(record), "alive n258@772.0+5", &format!("06 5200 {RECORD}"));
    golden.is(verdict, "left n3@1.0+2 by n5 (removed)", "07 2100 0300000000000000 0100000000000000 02000000 83 04000000 0500000000000000");
    golden.is(Accused { incarnation, state: MemberState::Down, removed: false, boot: 6 }, "accused down@1.0+2", "08 1500 0100000000000000 02000000 02 0600000000000000");
    golden.is(Join { cookie: 1, cluster: "c", record }, "join n258@772.0+5", &format!("09 5c00 0100000000000000 01 63 {RECORD}"));
    let echo = |name| JoinEcho { cookie: 1, seen: addr, name };
    golden.is(echo(NameState::Unknown), "join-echo to [fd00::1]:9: unknown", &format!("0a 1c00 0100000000000000 {ADDR} 40"));
    golden.is(echo(NameState::NotJoined), "join-echo to [fd00::1]:9: not joined", &format!("0a 1c00 0100000000000000 {ADDR} 41"));
    let held = NameState::Held(Holder { state: MemberState::Down, incarnation, boot: 6, seniority: 7, addr });
    golden.is(echo(held), "join-echo to [fd00::1]:9: down at 1.0+2", &format!("0a 4b00 0100000000000000 {ADDR} 02 0100000000000000 02000000 0600000000000000 0700000000000000 {ADDR}"));
    golden.is(JoinAnswer { seen: addr, shared: 1, members: 2 }, "join-answer (2 members)", &format!("0b 1f00 {ADDR} 0100000000000000 02000000"));
    let (id, nonce, rank) = (NodeId(3), 4, Rank { seniority: 5, draws: 6, boot: 7 });
    golden.is(Ask { id, nonce, rank }, "ask n3 by boot 7", "0c 2200 0300000000000000 0400000000000000 0500000000000000 0600 0700000000000000");
    golden.is(Claim { id, nonce, rank }, "claim n3 by boot 7", "0d 2200 0300000000000000 0400000000000000 0500000000000000 0600 0700000000000000");
}

#[rustfmt::skip]
fn reconcile(golden: &mut Golden) {
    let (mut compared, mut listed) = (Vec::new(), Vec::new());
    put_compare_range(&mut compared, KeyRange::new(0xa000_0000, 1).expect("valid"), &[1; 16]);
    put_items_range(&mut listed, KeyRange::ROOT, &[(NodeId(1), 2), (NodeId(3), 4)]);
    let parts = "0100000000000000".repeat(16);
    golden.is(Compare::of(0, 1, &compared), "compare 1 ranges", &format!("20 8a00 00 01000000 000000a0 01 {parts}"));
    golden.is(Items::of(0, 1, &listed), "items 2", "21 2b00 00 01000000 00000000 00 02 0100000000000000 0200000000000000 0300000000000000 0400000000000000");
    golden.is(Want::of(0, 1, &[1; 16]), "want 2", "22 1500 00 01000000 0101010101010101 0101010101010101");
    golden.is(Delta { table: 2 }, "delta 2", "23 0100 02");
}

#[rustfmt::skip]
fn gossip(golden: &mut Golden) {
    let id = MessageId { origin: NodeId(1), epoch: 2, seq: 3 };
    const ID: &str = "0100000000000000 0200000000000000 0300000000000000";
    let run = Run { origin: NodeId(1), epoch: 2, first: 3, last: 5 };
    let list = |tag: &str| format!("{tag} 2000 {ID} 0500000000000000");
    let item = encode_item(REPORT, "t", b"hi");
    let item = Item::read(&item).expect("just written");
    let (mut runs, mut entries) = (Vec::new(), Vec::new());
    put_run(&mut runs, run);
    put_digest_entry(&mut entries, run, &[(4, 4)]);
    let runs = Runs::of(&runs);
    let part = Fragment { item: id.into(), index: 1, count: 2, bytes: b"end" };
    let digest = Digest::of(PULL, 6, (NodeId(1), NodeId(7)), &entries);
    golden.is(Publish { id, hops: 1, flags: EAGER, item }, "publish n1:2:3 hop 1", &format!("40 2300 {ID} 01 01 01 01 74 02000000 6869"));
    golden.is(Part { hops: 1, flags: EAGER, part }, "part n1:2:3 2/2", &format!("41 1f00 01 01 {ID} 01 02 656e64"));
    golden.is(IHave(runs), "i-have n1:2:3-5", &list("42"));
    golden.is(Request { round: 6, flags: GRAFT, runs }, "request n1:2:3-5", &format!("43 2500 06000000 01 {ID} 0500000000000000"));
    golden.is(RequestParts { id, missing: 2 }, "request-parts 1 of n1:2:3", &format!("44 2800 {ID} 0200000000000000 0000000000000000"));
    golden.is(digest, "digest 1 origins (pull)", &format!("45 4600 01 06000000 0100000000000000 0700000000000000 {ID} 0500000000000000 01 0400000000000000 0400000000000000"));
    golden.is(Gone(runs), "gone n1:2:3-5", &list("46"));
    golden.is(PushAck(runs), "push-ack n1:2:3-5", &list("47"));
    golden.is(Prune, "prune", "48 0000");
    golden.is(Receipt(runs), "receipt n1:2:3-5", &list("49"));
    golden.is(ReceiptRequest(runs), "receipt-request n1:2:3-5", &list("4a"));
    golden.is(Mark { origin: NodeId(1), epoch: 2, low: 3, top: 5 }, "mark n1:2:5", &list("4b"));
    golden.is(Lack(runs), "lack n1:2:3-5", &list("4c"));
}

#[test]
fn the_page_lists_the_messages_of_the_table() {
    let page = include_str!("../../WIRE.md");
    let (_, section) = page.split_once("## 2. Messages").expect("the page has a section on messages");
    let (section, _) = section.split_once("## 3. ").expect("a section follows");
    let rows = section.lines().filter_map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let tag: u8 = cells.get(1)?.parse().ok()?;
        Some((tag, cells[2].to_owned(), cells[3].to_owned()))
    });
    let table = Kind::ALL.into_iter().filter_map(|kind| {
        Some((kind.tag()?, format!("{kind:?}"), format!("{:?}", kind.standing()).to_lowercase()))
    });
    assert_eq!(rows.collect::<Vec<_>>(), table.clone().collect::<Vec<_>>(), "WIRE.md, then the table");
    assert!(table.is_sorted(), "rows stand in the order of their tags");
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
        id in 1..u64::MAX, epoch: u64, counter: u32, seniority: u64, draws: u16, boot: u64, v6: bool, port: u16,
        name in "[a-zé]{0,30}", zone in "[a-z]{0,32}", meta in prop::collection::vec(any::<u8>(), 0..=512),
        tags in prop::collection::btree_map("[a-zé]{1,9}", "[a-z=]{0,9}", 0..6),
    ) {
        let ip = if v6 { "2001:db8::7".parse().expect("an address") } else { [10, 1, 2, 3].into() };
        let tags = crate::tags::encode(&tags).expect("short tags");
        let record = RecordFields {
            id: NodeId(id),
            incarnation: Incarnation { epoch, counter },
            rank: Rank { seniority, draws, boot },
            addr: core::net::SocketAddr::new(ip, port),
            name: &name,
            zone: &zone,
            meta: &meta,
            tags: &tags,
            ..fields()
        };
        let bytes = record.encode();
        prop_assert!(bytes.len() <= RECORD_BYTES_MAX);
        let read = Record::read(&bytes).expect("just written");
        prop_assert_eq!(read.fields(), record);
        prop_assert_eq!((read.id(), read.incarnation()), (record.id, record.incarnation));
        prop_assert_eq!((read.rank(), read.boot()), (record.rank, boot));
        prop_assert_eq!((read.addr(), read.shared(), read.protocol()), (record.addr, record.shared, record.protocol));
    }
}
