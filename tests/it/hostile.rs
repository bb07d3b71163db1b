//! Datagrams that no member of this version sends: replayed, forged, damaged, or from another version. Bare nodes receive the
//! sequences that rules B2, B10, A3 and G5 are about.

use bruit_core::wire::{Alive, Message, Nack, Ping, PingReq, Record, RecordFields, Verdict};
use bruit_core::{Event, Incarnation, MemberChange, MemberState, NodeId, Notice, Time, virtual_addr};
use bruit_sim::{BRUIT_PORT, Index, Random, forge};

use crate::support::{Bench, Capture, Checked, Lan, lan, secs};

const fn at(epoch: u64, counter: u32) -> Incarnation {
    Incarnation { epoch, counter }
}

fn record(id: u64, incarnation: Incarnation, addr: u64) -> Vec<u8> {
    RecordFields { addr: virtual_addr(addr), ..forge::record(id, incarnation) }.encode()
}

fn verdict(id: u64, incarnation: Incarnation, state: MemberState) -> Message<'static> {
    Verdict { id: NodeId(id), incarnation, state, removed: false, age: 0, author: NodeId(2) }.into()
}

/// Lets member 2 of the bench send these messages to member 1.
fn sends(bench: &mut Bench, messages: &[Message<'_>]) {
    let node = bench.node(2);
    let mut header = forge::header("test", NodeId(2), NodeId(1));
    (header.incarnation, header.boot) = (node.incarnation(), node.boot());
    let bytes = forge::datagram(&header, messages);
    bench.datagram(1, virtual_addr(2), &bytes);
}

fn pair() -> Bench {
    let mut bench = Bench::of(2, &lan());
    bench.join(1, 1);
    bench.join(2, 1);
    assert_eq!(bench.node(1).member_count(), 2);
    bench
}

#[test]
fn suspect_7_before_alive_7_with_a_new_address() {
    // Rule B2: content and verdict are merged separately, so the new address is accepted in any order.
    let (old, new) = (record(9, at(5, 0), 90), record(9, at(7, 0), 91));
    let records = [Record::read(&old), Record::read(&new)].map(|record| record.expect("well made"));
    let messages =
        [Alive(records[0]).into(), verdict(9, at(7, 0), MemberState::Suspect), Alive(records[1]).into()];
    let mut roots = Vec::new();
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut bench = pair();
        for i in order {
            sends(&mut bench, &[messages[i]]);
        }
        let member = bench.node(1).member(NodeId(9)).expect("it is known");
        assert_eq!(member.addr, virtual_addr(91), "{order:?}");
        assert_eq!(member.incarnation, at(7, 0), "{order:?}");
        roots.push(bench.node(1).roots());
    }
    assert!(roots.iter().all(|root| *root == roots[0]), "one table in any order");
}

#[test]
fn a_down_heard_about_the_living_is_only_a_suspicion() {
    // Rule B1.
    let mut bench = pair();
    let bytes = record(9, at(1, 0), 9);
    sends(&mut bench, &[Alive(Record::read(&bytes).expect("well made")).into()]);
    sends(&mut bench, &[verdict(9, at(1, 0), MemberState::Down)]);
    assert_eq!(bench.node(1).member(NodeId(9)).map(|member| member.state), Some(MemberState::Suspect));
    let down = bench
        .notices
        .iter()
        .any(|(_, notice)| matches!(notice, Notice::Member { change: MemberChange::Down, .. }));
    assert!(!down);
}

#[test]
fn a_down_about_the_unknown_is_a_guard() {
    // Rule B2, check CM3: the older Alive that comes later does not enter.
    let mut bench = pair();
    sends(&mut bench, &[verdict(9, at(4, 2), MemberState::Down)]);
    assert!(bench.node(1).member(NodeId(9)).is_none(), "a tombstone without content is not shown");
    for counter in [0, 1, 2] {
        let bytes = record(9, at(4, counter), 9);
        sends(&mut bench, &[Alive(Record::read(&bytes).expect("well made")).into()]);
    }
    assert!(bench.node(1).member(NodeId(9)).is_none_or(|member| member.state == MemberState::Down));
    let bytes = record(9, at(4, 3), 9);
    sends(&mut bench, &[Alive(Record::read(&bytes).expect("well made")).into()]);
    assert_eq!(bench.node(1).member(NodeId(9)).map(|member| member.state), Some(MemberState::Alive));
}

#[test]
fn an_incarnation_at_the_end_of_its_range_is_refused() {
    // Rule A3: one forged record at the maximum would remove its subject forever.
    let mut bench = pair();
    let before = bench.node(1).incarnation();
    for incarnation in [at(u64::MAX, 0), at(1 << 63, 0), at(1, u32::MAX), at(1, 1 << 31)] {
        let bytes = record(1, incarnation, 1);
        sends(&mut bench, &[Alive(Record::read(&bytes).expect("well made")).into()]);
        sends(&mut bench, &[verdict(1, incarnation, MemberState::Down)]);
        let bytes = record(9, incarnation, 9);
        sends(&mut bench, &[Alive(Record::read(&bytes).expect("well made")).into()]);
    }
    assert!(bench.node(1).member(NodeId(9)).is_none());
    assert_eq!(bench.node(1).incarnation(), before);
    assert!(bench.node(1).stats().misbehavior_incarnation >= 12);
}

#[test]
fn an_old_relay_between_two_newer_nodes() {
    // Rule G5: an older node keeps, hashes and passes on what it does not understand, byte by byte.
    let mut bench = pair();
    let mut newer = record(9, at(1, 0), 9);
    newer.extend([0xE1, 5, 1, 2, 3, 4, 5]);
    sends(&mut bench, &[Alive(Record::read(&newer).expect("an extension is legal")).into()]);
    bench.sent.clear();
    bench.add(3, &lan());
    bench.join(3, 1);
    bench.run_for(secs(5));
    assert!(bench.node(3).member(NodeId(9)).is_some());
    let relayed = bench.sent.iter().any(|(from, to, bytes)| {
        *from == virtual_addr(1)
            && *to == virtual_addr(3)
            && bytes.windows(newer.len()).any(|window| window == newer)
    });
    assert!(relayed, "with its extension");
    assert_eq!(bench.node(1).roots(), bench.node(3).roots());
}

#[test]
fn unknown_messages_are_skipped_and_counted() {
    let mut bench = pair();
    let mut header = forge::header("test", NodeId(2), NodeId(1));
    (header.incarnation, header.boot) = (bench.node(2).incarnation(), bench.node(2).boot());
    let mut body = vec![200, 3, 0, 1, 2, 3];
    Message::from(Ping { seq: 4_711, roots: [0; 3] }).encode(&mut body);
    body.extend([77, 0, 0]);
    bench.sent.clear();
    bench.datagram(1, virtual_addr(2), &forge::raw(&header, &body));
    assert_eq!(bench.node(1).stats().ignored_unknown, 2);
    let acked = bench.sent.iter().any(|(_, _, bytes)| {
        bruit_core::wire::describe(bytes).is_ok_and(|read| read.to_string().contains("ack 4711"))
    });
    assert!(acked, "the message that it understands is used");
}

#[test]
fn reconciliations_of_unknown_tables_are_ignored_and_counted() {
    // A member with a store compares a table that this version does not have; only a known table is answered.
    let answers_to = |table: u8| {
        let mut bench = pair();
        let mut header = forge::header("test", NodeId(2), NodeId(1));
        (header.incarnation, header.boot) = (bench.node(2).incarnation(), bench.node(2).boot());
        // A Compare of everything: the credit, then the root range with 16 fingerprints.
        let mut body = vec![32, 138, 0, table, 0, 0, 1, 0];
        body.extend([0; 5]);
        body.extend([1; 128]);
        // An Items of no range, a Want of id 1, and a Delta.
        body.extend([33, 5, 0, table, 0, 0, 1, 0]);
        body.extend([34, 13, 0, table, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        body.extend([35, 1, 0, table]);
        let before = *bench.node(1).stats();
        bench.sent.clear();
        bench.datagram(1, virtual_addr(2), &forge::raw(&header, &body));
        let stats = bench.node(1).stats();
        assert_eq!(bench.sent.is_empty(), stats.reconciled_sent == before.reconciled_sent);
        (stats.ignored_unknown - before.ignored_unknown, stats.reconciled_sent - before.reconciled_sent)
    };
    assert_eq!(answers_to(1), (4, 0));
    assert_eq!(answers_to(7), (4, 0));
    let (ignored, sent) = answers_to(0);
    assert!(ignored == 0 && sent > 0, "the table of members is answered: {ignored} ignored, {sent} sent");
}

#[test]
fn a_replayed_join_after_forgetting() -> Checked {
    // Rule B10: replayed joins of a member that crashed and was forgotten make no member, neither from its own address nor
    // from another.
    let mut config = lan();
    config.membership.forget_after = secs(60);
    let mut lan = Lan::new(300, &config)?;
    let capture = Capture::default();
    lan.sim.check(capture.clone());
    lan.sim.spawn_many(4)?;
    lan.until_all_know_all(secs(5))?;
    let joins: Vec<Vec<u8>> =
        capture.datagrams().into_iter().filter(|sent| sent.from == Index(3)).map(|sent| sent.bytes).collect();
    capture.clear();
    lan.sim.crash(Index(3))?;
    lan.sim.run_for(secs(180))?;
    assert!(lan.node(0).member(NodeId(4)).is_none(), "forgotten");
    let addr = lan.sim.cluster().addr(Index(3));
    for from in [addr, "10.9.9.9:7569".parse().expect("an address")] {
        for bytes in &joins {
            lan.sim.at(Index(0), |node, now, io| io.drive(node, Event::Datagram { from, bytes }, now))?;
            lan.sim.run_for(secs(1))?;
        }
    }
    let news = lan.notices.changes();
    assert!(!news.iter().any(|change| change.of == NodeId(4)
        && change.change == MemberChange::Up
        && change.at > Time::from_secs(100)));
    lan.rest()
}

#[test]
fn a_stranger_gets_no_more_than_it_sent() {
    // Rule F6: an address that has not echoed gets one answer, not larger than the question.
    let mut bench = pair();
    let unknown = "[fdb7:7569::ffff]:1".parse().expect("an address");
    let bytes = record(66, at(1, 0), 66);
    let messages = [
        Message::from(Ping { seq: 1, roots: [9; 3] }),
        PingReq { seq: 2, target: NodeId(2) }.into(),
        Alive(Record::read(&bytes).expect("well made")).into(),
        Nack { seq: 3 }.into(),
    ];
    for message in messages {
        let header = forge::header("test", NodeId(66), NodeId(1));
        let question = forge::datagram(&header, &[message]);
        let (_, answers) = bench.handle(1, Event::Datagram { from: unknown, bytes: &question });
        let answers: Vec<_> = answers.iter().filter(|(_, to, _)| *to == unknown).collect();
        assert!(answers.len() <= 1, "{message}: {} answers", answers.len());
        let longest = answers.iter().map(|(_, _, bytes)| bytes.len()).max().unwrap_or(0);
        assert!(longest <= question.len(), "{message}: {longest} bytes for {}", question.len());
    }
}

#[test]
fn a_joiner_is_announced_only_after_its_echo() {
    // Rule B10: the first Join, whose source may be forged, changes nothing.
    let mut bench = Bench::of(2, &lan());
    bench.join(1, 1);
    let bytes = record(66, at(1, 0), 66);
    let join = bruit_core::wire::Join {
        cookie: 0,
        cluster: "test",
        record: Record::read(&bytes).expect("well made"),
    };
    let header = forge::header("test", NodeId(66), NodeId::NOBODY);
    let question = forge::datagram(&header, &[join.into()]);
    let (_, answers) = bench.handle(1, Event::Datagram { from: virtual_addr(66), bytes: &question });
    assert_eq!(answers.len(), 1, "an echo");
    assert!(answers[0].2.len() <= question.len());
    assert_eq!(bench.node(1).member_count(), 1);
}

#[test]
fn garbage_changes_nothing() {
    let mut bench = pair();
    let mut random = Random::new(1, 1, 1);
    let roots = bench.node(1).roots();
    let good: Vec<Vec<u8>> = bench.sent.iter().map(|(_, _, bytes)| bytes.clone()).collect();
    for round in 0..20_000_usize {
        let mut bytes = good[round % good.len()].clone();
        match round % 4 {
            0 => bytes.truncate(random.position(bytes.len())),
            1 => bytes.iter_mut().for_each(|byte| *byte = random.next_u64().to_le_bytes()[0]),
            _ => {
                let place = random.position(bytes.len());
                bytes[place] ^= 1 << random.below(8);
            }
        }
        let (_, sent) = bench.handle(1, Event::Datagram { from: virtual_addr(99), bytes: &bytes });
        assert!(sent.iter().all(|(_, to, _)| *to != virtual_addr(99)), "no answer to a damaged datagram");
    }
    assert_eq!(bench.node(1).roots(), roots);
    let stats = bench.node(1).stats();
    assert!(stats.dropped_checksum > 0 && stats.dropped_truncated > 0 && stats.dropped_version > 0);
}

#[test]
fn bodies_of_random_bytes_do_no_harm() {
    // A valid envelope around any bytes, as any peer could send it.
    let mut bench = pair();
    let mut random = Random::new(2, 2, 2);
    for _ in 0..20_000 {
        let len = random.position(300);
        let mut body: Vec<u8> = (0..len).map(|_| random.next_u64().to_le_bytes()[0]).collect();
        if let [tag, low, high, ..] = body.as_mut_slice() {
            *tag %= 40;
            let rest = u16::try_from(len - 3).expect("short");
            if random.chance(700_000) {
                [*low, *high] = rest.to_le_bytes();
            }
        }
        let mut header = forge::header("test", NodeId(2), NodeId(1));
        (header.incarnation, header.boot) = (bench.node(2).incarnation(), bench.node(2).boot());
        let bytes = forge::raw(&header, &body);
        bench.handle(1, Event::Datagram { from: virtual_addr(2), bytes: &bytes });
    }
    assert!(bench.node(1).members().count() <= 20_000);
    let _ = BRUIT_PORT;
}

#[test]
fn a_flood_of_members_stops_at_the_limit() {
    let mut config = lan();
    config.membership.members_max = 50;
    let mut bench = Bench::of(2, &config);
    bench.join(1, 1);
    bench.join(2, 1);
    for id in 100..300 {
        let bytes = record(id, at(1, 0), id);
        sends(&mut bench, &[Alive(Record::read(&bytes).expect("well made")).into()]);
    }
    assert_eq!(bench.node(1).member_count(), 50);
    assert_eq!(bench.node(1).stats().ignored_table_full, 152);
}
