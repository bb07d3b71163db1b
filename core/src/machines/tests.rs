//! What a node does with messages of every kind from senders of every standing, and when it wakes.

use core::mem;
use core::net::SocketAddr;
use core::time::Duration;
use std::string::String;
use std::vec::Vec;

use crate::action::{Action, Notice};
use crate::command::{Broadcast, Command};
use crate::config::{BroadcastConfig, Config, Order, PersistSeen};
use crate::event::Event;
use crate::id::{Incarnation, MemberState, MessageId, NodeId, Rank, Slot};
use crate::lan::{Lan, addr, boot};
use crate::node::Node;
use crate::stats::Stats;
use crate::wire::*;

/// One message of every kind, all of them about what a group of four would care for.
fn one_of_each() -> Vec<Vec<u8>> {
    let (incarnation, at) = (Incarnation { epoch: 9, counter: 2 }, addr(3));
    let fields = RecordFields {
        id: NodeId(66),
        incarnation,
        rank: Rank { seniority: 1, draws: 0, boot: 7 },
        shared: 0,
        roster: 0,
        priority: 0,
        protocol: (1, 1),
        eligible: true,
        addr: addr(66),
        name: "n",
        zone: "",
        meta: b"",
        tags: b"",
    };
    let record = fields.encode();
    let record = Record::read(&record).expect("just written");
    let id = MessageId { origin: NodeId(2), epoch: 1, seq: 4 };
    let run = Run { origin: NodeId(2), epoch: 1, first: 1, last: 4 };
    let item = encode_item(REPORT, "t", b"hi");
    let item = Item::read(&item).expect("just written");
    let (mut compared, mut listed, mut runs, mut entries) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    put_compare_range(&mut compared, KeyRange::ROOT, &[1; 16]);
    put_items_range(&mut listed, KeyRange::ROOT, &[(NodeId(1), 2), (NodeId(3), 4)]);
    put_run(&mut runs, run);
    put_digest_entry(&mut entries, run, &[(3, 3)]);
    let (runs, ids) = (Runs::of(&runs), [2, 0, 0, 0, 0, 0, 0, 0]);
    let digest = Digest::of(0, 6, (NodeId(0), NodeId(u64::MAX)), &entries);
    let pull = Digest::of(PULL, 6, (NodeId(0), NodeId(u64::MAX)), &entries);
    let part = Fragment { item: id.into(), index: 1, count: 2, bytes: b"end" };
    let state = MemberState::Down;
    let mut all: Vec<Message<'_>> = vec![
        Ping { seq: 1, roots: [2, 3, 4] }.into(),
        Ack { seq: 1, roots: None }.into(),
        Ack { seq: 1, roots: Some([2, 3, 4]) }.into(),
        PingReq { seq: 1, target: NodeId(3) }.into(),
        Nack { seq: 1 }.into(),
        RelayedAck { seq: 1, author: NodeId(2), incarnation }.into(),
        Alive(record).into(),
        Verdict { id: NodeId(2), incarnation, state, removed: true, age: 0, author: NodeId(2) }.into(),
        Accused { incarnation, state, removed: false, boot: 6 }.into(),
        Join { cookie: 1, cluster: "test", record }.into(),
        JoinEcho { cookie: 1, seen: at, name: NameState::Unknown }.into(),
        Ask { id: NodeId(66), nonce: 5, rank: fields.rank }.into(),
        Claim { id: NodeId(66), nonce: 5, rank: fields.rank }.into(),
        JoinAnswer { seen: at, shared: 1, members: 2 }.into(),
        Publish { id, hops: 1, flags: EAGER, item }.into(),
        Part { hops: 1, flags: EAGER, part }.into(),
        IHave(runs).into(),
        Request { round: 6, flags: GRAFT, runs }.into(),
        RequestParts { id: MessageId { seq: 1, ..id }, missing: 1 }.into(),
        digest.into(),
        pull.into(),
        Gone(runs).into(),
        PushAck(runs).into(),
        Prune.into(),
        Receipt(runs).into(),
        ReceiptRequest(runs).into(),
        Mark { origin: NodeId(2), epoch: 1, low: 1, top: 9 }.into(),
        Lack(runs).into(),
    ];
    for table in [0, 1, 2, 3, 255] {
        all.push(Compare::of(table, 1 << 16, &compared).into());
        all.push(Items::of(table, 1 << 16, &listed).into());
        all.push(Want::of(table, 1 << 16, &ids).into());
        all.push(Delta { table }.into());
    }
    let mut bodies: Vec<Vec<u8>> = all
        .iter()
        .map(|message| {
            let mut bytes = Vec::new();
            message.encode(&mut bytes);
            bytes
        })
        .collect();
    bodies.push(vec![200, 1, 0, 9]);
    bodies
}

fn kind_of(body: &[u8]) -> Kind {
    Kind::ALL.into_iter().find(|kind| kind.tag() == Some(body[0])).unwrap_or(Kind::Unknown)
}

/// A group of four with broadcasts of member 2 cached, the fourth in its fifth epoch.
fn group(broadcast: BroadcastConfig) -> Lan {
    let config = Config { broadcast, ..Config::lan("test") };
    let mut lan = Lan::with(3, &config);
    lan.start(boot(4, 5), &config);
    lan.run(2_000);
    for text in ["a", "b", "c"] {
        lan.command(2, Command::Broadcast(Broadcast::new("t", text)));
    }
    lan.run(500);
    while !lan.stored.is_empty() {
        for (id, slot, serial, _) in mem::take(&mut lan.stored) {
            lan.event(id, Event::Stored { slot, serial });
        }
    }
    assert!(lan.agree());
    lan
}

/// What a node is and does after a datagram, its counters aside.
fn after(lan: &Lan, header: &Header, from: SocketAddr, body: &[u8]) -> (String, Vec<Action<'static>>, Stats) {
    let mut node = lan.nodes[&1].clone();
    let bytes = compose(header, body);
    let actions = node.handle(Event::Datagram { from, bytes: &bytes }, lan.now);
    node.check();
    let stats = *node.stats();
    (bare(&node), actions, stats)
}

/// The state of a node without its counters.
fn bare(node: &Node) -> String {
    format!("{node:?}").replace(&format!("{:?}", node.stats()), "")
}

fn header_of(node: &Node, receiver: u64) -> Header {
    Header {
        cluster: cluster_tag("test"),
        sender: node.id(),
        incarnation: node.incarnation(),
        boot: node.boot(),
        receiver: NodeId(receiver),
        sequence: 1,
    }
}

#[test]
fn a_message_from_a_sender_of_too_little_standing_does_nothing_and_is_counted() {
    for broadcast in [BroadcastConfig::bimodal(), BroadcastConfig::tree(), BroadcastConfig::pull()] {
        let lan = group(broadcast);
        let member = header_of(&lan.nodes[&4], 1);
        let stale = Header { incarnation: Incarnation { epoch: 4, counter: 0 }, ..member };
        let unknown = Header { sender: NodeId(99), ..member };
        let senders = [
            (Standing::Stale, stale, addr(4)),
            (Standing::Unknown, unknown, addr(99)),
            (Standing::Member, member, addr(77)),
        ];
        for (standing, header, from) in senders {
            for body in one_of_each() {
                let kind = kind_of(&body);
                let (node, actions, stats) = after(&lan, &header, from, &body);
                if standing >= kind.standing() {
                    continue;
                }
                // A message of an unknown kind and the same length.
                let mut skipped = body.clone();
                skipped[0] = 250;
                let (same, without, skips) = after(&lan, &header, from, &skipped);
                assert_eq!(actions, without, "{kind:?} from {standing:?}");
                assert_eq!(node, same, "{kind:?} from {standing:?}");
                let sum = |stats: Stats| (stats.ignored_stale, stats.ignored_unknown_sender);
                let before = sum(*lan.nodes[&1].stats());
                let expected = match standing {
                    Standing::Stale => (before.0 + 1, before.1),
                    Standing::Unknown | Standing::Member | Standing::Validated => (before.0, before.1 + 1),
                };
                assert_eq!(sum(stats), expected, "{kind:?} from {standing:?}");
                let total = |s: Stats| s.ignored_stale + s.ignored_unknown_sender + s.ignored_unknown;
                assert_eq!(total(stats), total(skips), "each is counted once");
            }
        }
    }
}

#[test]
fn a_reconciliation_of_an_unknown_table_does_nothing_and_is_counted_beside_known_ones() {
    let lan = group(BroadcastConfig::bimodal());
    let header = header_of(&lan.nodes[&4], 1);
    let before = *lan.nodes[&1].stats();
    for body in one_of_each().into_iter().filter(|body| (32..=35).contains(&body[0])) {
        let known = [0, 2].contains(&body[3]);
        let mut skipped = body.clone();
        skipped[0] = 250;
        let (node, actions, stats) = after(&lan, &header, addr(4), &body);
        assert_eq!(stats.ignored_unknown - before.ignored_unknown, u64::from(!known));
        if !known {
            let (same, without, _) = after(&lan, &header, addr(4), &skipped);
            assert_eq!((node, actions), (same, without));
        }
    }
    let all: Vec<u8> =
        one_of_each().into_iter().filter(|body| (32..=35).contains(&body[0])).flatten().collect();
    let known: Vec<u8> = one_of_each()
        .into_iter()
        .filter(|body| (32..=35).contains(&body[0]) && [0, 2].contains(&body[3]))
        .flatten()
        .collect();
    let (node, actions, stats) = after(&lan, &header, addr(4), &all);
    let (same, without, _) = after(&lan, &header, addr(4), &known);
    assert_eq!((node, actions), (same, without));
    assert_eq!(stats.ignored_unknown - before.ignored_unknown, 12);
}

#[test]
fn records_are_gossiped_on_unless_they_stand_behind_a_delta_of_members() {
    let lan = group(BroadcastConfig::bimodal());
    let header = header_of(&lan.nodes[&4], 1);
    let record = one_of_each().into_iter().find(|body| body[0] == 6).expect("there is one");
    let changes = lan.nodes[&1].stats().reconciled_changes;
    for (tables, counted) in [(vec![], 0), (vec![0], 1), (vec![2], 0), (vec![7], 0), (vec![2, 0], 1)] {
        let mut body: Vec<u8> = tables.iter().flat_map(|table| [35, 1, 0, *table]).collect();
        body.extend(&record);
        let (_, _, stats) = after(&lan, &header, addr(4), &body);
        assert_eq!(stats.reconciled_changes - changes, counted, "behind {tables:?}");
    }
}

/// What a node tells its application.
fn told(actions: &[Action<'_>]) -> Vec<String> {
    let text = |action: &Action<'_>| match action {
        Action::Notify(Notice::Delivered { id, .. }) => Some(format!("{}:{}", id.epoch, id.seq)),
        Action::Notify(Notice::Lost { epoch, first, last, .. }) => {
            Some(format!("lost {epoch}:{first}-{last}"))
        }
        Action::Store { slot: Slot::SeenSet, serial, .. } => Some(format!("store {serial}")),
        Action::Send { .. }
        | Action::Answer(_)
        | Action::Notify(_)
        | Action::Store { .. }
        | Action::Reseed
        | Action::WakeAt(_) => None,
    };
    actions.iter().filter_map(text).collect()
}

fn publishes(ids: &[(u64, u64)], report: bool) -> Vec<u8> {
    let mut body = Vec::new();
    let item = encode_item(if report { REPORT } else { 0 }, "t", b"hi");
    for (epoch, seq) in ids {
        let id = MessageId { origin: NodeId(4), epoch: *epoch, seq: *seq };
        let item = Item::read(&item).expect("just written");
        Message::from(Publish { id, hops: 1, flags: 0, item }).encode(&mut body);
    }
    body
}

#[test]
fn what_two_epochs_of_one_datagram_bring_is_told_in_order() {
    for persist_seen in [PersistSeen::Never, PersistSeen::BeforeDelivery] {
        for order in [Order::Arrival, Order::Origin] {
            let base = BroadcastConfig::bimodal();
            let mut lan = group(BroadcastConfig { order, persist_seen, ..base });
            let header = header_of(&lan.nodes[&4], 1);
            let body = publishes(&[(5, 1), (5, 3), (6, 1), (6, 2), (7, 1), (5, 2)], false);
            let bytes = compose(&header, &body);
            let now = lan.now;
            let node = lan.nodes.get_mut(&1).expect("it runs");
            let mut all = told(&node.handle(Event::Datagram { from: addr(4), bytes: &bytes }, now));
            node.check();
            for _ in 0..5 {
                let serial = all.iter().rev().find_map(|text| text.strip_prefix("store "));
                let Some(serial) = serial.and_then(|text| text.parse().ok()) else { break };
                all.extend(told(&node.handle(Event::Stored { slot: Slot::SeenSet, serial }, now)));
                node.check();
            }
            let delivered: Vec<&String> =
                all.iter().filter(|text| !text.starts_with("store") && !text.starts_with("lost")).collect();
            match order {
                Order::Origin => assert_eq!(delivered, ["5:1", "5:3", "6:1", "6:2", "7:1"]),
                Order::Arrival => assert!(delivered.len() >= 5),
            }
        }
    }
}

#[test]
fn a_late_tick_does_all_that_is_due_and_the_next_one_lies_ahead() {
    let presets = [
        BroadcastConfig::bimodal(),
        BroadcastConfig::push_ack(),
        BroadcastConfig::pull(),
        BroadcastConfig::tree(),
    ];
    for broadcast in presets {
        for late in [0, 1, 50, 900, 20_000, 600_000] {
            let mut lan = group(broadcast.clone());
            lan.deaf = vec![2];
            lan.command(1, Command::Broadcast(Broadcast::new("t", "x").report(Duration::from_secs(5))));
            lan.command(2, Command::Broadcast(Broadcast::new("t", "y").report(Duration::from_secs(5))));
            lan.command(3, Command::SetMeta(vec![1]));
            lan.run(30);
            lan.now = lan.now + Duration::from_millis(late);
            for id in 1..=4 {
                lan.event(id, Event::Tick);
                let wake = lan.nodes[&id].next_wake().expect("it runs");
                assert!(wake > lan.now, "{wake} at {}", lan.now);
            }
        }
    }
}

#[test]
fn a_node_that_leaves_and_joins_again_reconciles_as_before() {
    let mut lan = group(BroadcastConfig::bimodal());
    for round in 0..3 {
        lan.command(3, Command::Leave { within: Duration::from_millis(300) });
        lan.run(3_000);
        assert_eq!(lan.nodes[&3].next_wake(), None, "round {round}");
        lan.command(3, Command::Join { seeds: vec![addr(1)] });
        lan.run(15_000);
        assert!(lan.agree(), "round {round}");
        // What its silence has kept from it, it learns by reconciliation.
        lan.deaf = vec![3];
        lan.command(2, Command::SetMeta(vec![round; 9]));
        lan.command(2, Command::Broadcast(Broadcast::new("t", format!("round {round}"))));
        lan.run(2_500);
        lan.deaf.clear();
        lan.run(30_000);
        assert!(lan.agree(), "round {round}");
        let meta = lan.nodes[&3].member(NodeId(2)).map(|member| member.meta.to_vec());
        assert_eq!(meta, Some(vec![round; 9]));
    }
}

#[test]
fn a_group_that_is_resumed_from_bytes_all_the_time_does_the_same() {
    for broadcast in [BroadcastConfig::bimodal(), BroadcastConfig::tree(), BroadcastConfig::pull()] {
        let persist_seen = PersistSeen::BeforeDelivery;
        let mut lan = group(BroadcastConfig { persist_seen, order: Order::Origin, ..broadcast.clone() });
        let mut twin = group(BroadcastConfig { persist_seen, order: Order::Origin, ..broadcast });
        for step in 0..400_u64 {
            for lan in [&mut lan, &mut twin] {
                match step {
                    20 => lan.command(2, Command::Broadcast(Broadcast::new("t", vec![7; 5_000]))),
                    40 => lan.deaf = vec![3],
                    50 => lan.command(
                        1,
                        Command::Broadcast(Broadcast::new("t", "x").report(Duration::from_secs(3))),
                    ),
                    90 => lan.deaf = vec![],
                    100 => lan.command(4, Command::Leave { within: Duration::from_millis(100) }),
                    250 => lan.command(4, Command::Join { seeds: vec![addr(1)] }),
                    _ => {}
                }
                lan.run(7);
                let stored = mem::take(&mut lan.stored);
                for (id, slot, serial, _) in stored {
                    lan.event(id, Event::Stored { slot, serial });
                }
            }
            for node in twin.nodes.values_mut() {
                let bytes = postcard::to_allocvec(&*node).expect("plain data");
                *node = postcard::from_bytes(&bytes).expect("just written");
            }
            assert_eq!(lan.sent, twin.sent, "step {step}");
            assert_eq!(lan.notices, twin.notices, "step {step}");
            assert_eq!(lan.wires, twin.wires, "step {step}");
        }
    }
}

#[test]
fn a_message_that_becomes_durable_after_the_end_of_a_leave_draws_nothing_but_its_delivery() {
    let broadcast =
        BroadcastConfig { persist_seen: PersistSeen::BeforeDelivery, ..BroadcastConfig::bimodal() };
    let mut lan = group(broadcast);
    let header = header_of(&lan.nodes[&4], 1);
    let bytes = compose(&header, &publishes(&[(5, 1)], true));
    let now = lan.now;
    let node = lan.nodes.get_mut(&1).expect("it runs");
    let first = node.handle(Event::Datagram { from: addr(4), bytes: &bytes }, now);
    let serial = told(&first).iter().rev().find_map(|text| text.strip_prefix("store ")?.parse().ok());
    let serial: u64 = serial.expect("the seen set is written");
    node.handle(Event::Command(Command::Leave { within: Duration::ZERO }), now);
    assert_eq!(node.next_wake(), None, "a node that has left waits for nothing");
    node.handle(Event::Stored { slot: Slot::SeenSet, serial }, now);
    let later = now + Duration::from_secs(60);
    let ticked = node.handle(Event::Tick, later);
    let sent = ticked.iter().filter(|action| matches!(action, Action::Send { .. })).count();
    assert_eq!(sent, 0, "a node that has left sends nothing");
    assert_eq!(node.next_wake(), None);
}

#[test]
fn a_leaving_node_delivers_nothing() {
    let mut lan = group(BroadcastConfig::bimodal());
    let header = header_of(&lan.nodes[&4], 1);
    let item = encode_item(0, "t", b"hi");
    let mut body = Vec::new();
    let id = MessageId { origin: NodeId(66), epoch: 9, seq: 1 };
    Message::from(Publish { id, hops: 1, flags: PUSHED, item: Item::read(&item).expect("ok") })
        .encode(&mut body);
    let record = one_of_each().into_iter().find(|body| body[0] == 6).expect("there is one");
    let now = lan.now;
    let node = lan.nodes.get_mut(&1).expect("it runs");
    node.handle(Event::Datagram { from: addr(4), bytes: &compose(&header, &body) }, now);
    node.handle(Event::Command(Command::Leave { within: Duration::from_secs(5) }), now);
    let actions = node.handle(Event::Datagram { from: addr(4), bytes: &compose(&header, &record) }, now);
    node.check();
    assert!(told(&actions).is_empty());
}
