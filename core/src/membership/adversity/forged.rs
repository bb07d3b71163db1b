//! Forged datagrams: what a stranger, or whoever forges a member's address, cannot bring about (rules B10, B12, F6).

use core::time::Duration;
use std::vec;

use super::super::test_support::letter;
use super::super::*;
use super::net::{at_victim, record};
use crate::action::{Action, MemberChange, Notice};
use crate::command::Command;
use crate::event::Event;
use crate::id::{Incarnation, Rank};
use crate::lan::{Lan, addr, boot};
use crate::node::Node;
use crate::rng::Stream;
use crate::wire::{self, Accused, Join, JoinAnswer, Kind, PingReq, Record, Want};

/// Gives node 1 six datagrams from a victim's address, about an epoch above its own, each a minute after the other. The victim
/// gets no more bytes than were sent.
fn no_victim_is_asked(forge: impl Fn(Incarnation, SocketAddr) -> Vec<u8>) {
    let mut lan = Lan::new(3);
    lan.run(3_000);
    let (victim, mut sent, mut got) = (addr(200), 0, 0);
    for _ in 0..6 {
        let above = Incarnation::first(lan.nodes[&1].incarnation().epoch + 1);
        let bytes = forge(above, victim);
        sent += bytes.len();
        got += at_victim(&mut lan, &[(victim, bytes)], victim, 70_000).1;
    }
    assert!(got <= sent, "{got} bytes for {sent}");
}

// F6: forged records of the receiver's own id, from a stranger.
#[test]
fn a_forged_record_of_the_own_id_makes_a_node_ask_no_victim() {
    no_victim_is_asked(|above, victim| {
        let forged = record(1, above, Rank { seniority: 0, draws: 0, boot: 5 }, victim);
        letter(50, Incarnation::first(1), 99, 1, &[Alive(Record::trusted(&forged)).into()])
    });
}

// F6: forged Accused messages from a stranger.
#[test]
fn a_forged_accusation_makes_a_node_ask_no_victim() {
    no_victim_is_asked(|incarnation, _| {
        let accused = Accused { incarnation, state: MemberState::Suspect, removed: false, boot: 5 };
        letter(50, Incarnation::first(1), 99, 1, &[accused.into()])
    });
    no_victim_is_asked(|incarnation, _| {
        let accused = Accused { incarnation, state: MemberState::Down, removed: false, boot: 5 };
        letter(50, Incarnation::first(1), 99, 1, &[accused.into()])
    });
}

// F6 / SECURITY.md ("The victim is always a member"): ping-reqs in the name of a member, for a stranger and its address.
#[test]
fn ping_reqs_in_a_members_name_reach_nobody_else() {
    let mut lan = Lan::new(3);
    lan.run(3_000);
    let victim = addr(200);
    let reqs: Vec<Message<'_>> = (0..50).map(|seq| PingReq { seq, target: NodeId(200) }.into()).collect();
    let (incarnation, boot) = (lan.nodes[&2].incarnation(), lan.nodes[&2].boot());
    let bytes = letter(2, incarnation, boot, 1, &reqs);
    let len = bytes.len();
    let got = at_victim(&mut lan, &[(addr(2), bytes)], victim, 3_000);
    assert!(got.1 <= len, "{got:?} for {len} bytes");
}

// F6: a header at a higher incarnation from an address that is not validated starts an exchange with that address.
#[test]
fn a_forged_header_starts_no_exchange_with_a_victim() {
    let mut lan = Lan::new(30);
    lan.run(5_000);
    let victim = addr(200);
    let (incarnation, boot) = (lan.nodes[&2].incarnation(), lan.nodes[&2].boot());
    let ping = Ping { seq: 1, roots: [1; 3] };
    let first = letter(2, incarnation, boot, 1, &[ping.into()]);
    let second =
        letter(2, Incarnation { counter: incarnation.counter + 1, ..incarnation }, boot, 1, &[ping.into()]);
    for datagram in [first, second] {
        let len = datagram.len();
        let got = at_victim(&mut lan, &[(victim, datagram)], victim, 0);
        assert!(got.1 <= len, "{got:?} for {len} bytes");
    }
}

// F6 under random forged datagrams from strangers: nothing but what the other tests show (holds for these kinds).
#[test]
fn f6_random_letters_from_strangers() {
    let mut rng = Rng::new([8; 32], Stream::Membership);
    let victim = addr(200);
    for round in 0..400 {
        let mut lan = Lan::new(3);
        lan.run(3_000);
        let held = lan.nodes[&2].incarnation();
        let (mut sent, mut got) = (0, 0);
        for _ in 0..6 {
            let mut messages: Vec<Message<'_>> = Vec::new();
            let rank = Rank { seniority: 1, draws: 0, boot: 5 };
            let about = [2, 3, 50][rng.below(3)];
            // Not the victim's address: see `a_strangers_record_validates_no_address`.
            let at = addr(2);
            let counter = [0, 1, 2][rng.below(3)];
            let bytes = record(about, Incarnation { epoch: held.epoch, counter }, rank, at);
            let joiner = record(50, Incarnation::first(1), rank, victim);
            for _ in 0..1 + rng.below(4) {
                let incarnation = Incarnation { epoch: held.epoch, counter: [0, 1, 2][rng.below(3)] };
                let verdict = wire::Verdict {
                    id: NodeId([2, 3, 50][rng.below(3)]),
                    incarnation,
                    state: [MemberState::Alive, MemberState::Suspect, MemberState::Down, MemberState::Left]
                        [rng.below(4)],
                    removed: false,
                    age: 0,
                    author: NodeId(0),
                };
                messages.push(match rng.below(6) {
                    0 => Ping { seq: 1, roots: [7; 3] }.into(),
                    1 => Ack { seq: [0, 1, 2, 3][rng.below(4)], roots: Some([7; 3]) }.into(),
                    2 => Ack { seq: 1, roots: None }.into(),
                    3 => Alive(Record::trusted(&bytes)).into(),
                    4 => verdict.into(),
                    _ => Join { cookie: 3, cluster: "test", record: Record::trusted(&joiner) }.into(),
                });
            }
            // An unknown sender, or a member at its held incarnation or boot, from the victim's address.
            let (id, boot) = [(50, 5), (2, lan.nodes[&2].boot()), (2, 5)][rng.below(3)];
            let incarnation = if id == 50 { Incarnation::first(1) } else { held };
            let letter = letter(id, incarnation, boot, 1, &messages);
            sent += letter.len();
            // An invented member at the victim's address is probed: known to all who read B10, so only the answers count.
            let now = lan.now;
            let actions = lan
                .nodes
                .get_mut(&1)
                .expect("runs")
                .handle(Event::Datagram { from: victim, bytes: &letter }, now);
            for action in actions {
                if let Action::Send { to, bytes } = action {
                    got += if to == victim { bytes.len() } else { 0 };
                }
            }
        }
        assert!(got <= sent, "round {round}: {got} bytes for {sent}");
    }
}

// F6 ("validated when it has echoed a fresh number and is that of a live member"), SECURITY.md ("The victim is always a
// member"): a stranger's record makes the victim's address that of a member, and the next datagram from there is
// `Validated`, although the victim has never echoed anything.
#[test]
fn a_strangers_record_validates_no_address() {
    let mut lan = Lan::new(40);
    lan.run(5_000);
    for id in 2..=40 {
        lan.command(id, Command::SetMeta(vec![1; 512]));
    }
    lan.run(10_000);
    let victim = addr(200);
    let rank = Rank { seniority: 1, draws: 0, boot: 5 };
    let first = Incarnation::first(1);
    let forged = record(60, first, rank, victim);
    let introduction = letter(50, first, 99, 1, &[Alive(Record::trusted(&forged)).into()]);
    let ids: Vec<u8> = (2..=40_u64).flat_map(u64::to_le_bytes).collect();
    let want = Want::of(MEMBERS, 64 * 1024, &ids);
    let request = letter(60, first, 5, 1, &[want.into()]);
    let len = introduction.len() + request.len();
    let got = at_victim(&mut lan, &[(addr(250), introduction), (victim, request)], victim, 0);
    assert!(got.1 <= len, "{got:?} for {len} bytes");
}

// B10, F6: "An address enters the table from its own mouth only after it has echoed a fresh number."
#[test]
fn a_strangers_record_at_the_same_incarnation_moves_no_member() {
    let mut lan = Lan::new(5);
    lan.run(5_000);
    let victim = addr(200);
    let rank = Rank { seniority: 1, draws: 0, boot: u64::MAX };
    let forged = record(2, lan.nodes[&2].incarnation(), rank, victim);
    let bytes = letter(50, Incarnation::first(1), 99, 1, &[Alive(Record::trusted(&forged)).into()]);
    let got = at_victim(&mut lan, &[(addr(250), bytes.clone())], victim, 3_000);
    std::println!("the victim got {got:?} for {} bytes", bytes.len());
    assert!(got.1 <= bytes.len(), "{got:?} for {} bytes", bytes.len());
}

// The same under the header of the member itself, from anywhere.
#[test]
fn a_record_at_the_same_incarnation_from_elsewhere_moves_no_member() {
    let mut lan = Lan::new(5);
    lan.run(5_000);
    let victim = addr(200);
    let (incarnation, number) = (lan.nodes[&2].incarnation(), lan.nodes[&2].boot());
    let rank = Rank { seniority: 1, draws: 0, boot: u64::MAX };
    let forged = record(2, incarnation, rank, victim);
    let bytes = letter(2, incarnation, number, 1, &[Alive(Record::trusted(&forged)).into()]);
    let got = at_victim(&mut lan, &[(addr(250), bytes.clone())], victim, 3_000);
    assert!(got.1 <= bytes.len(), "{got:?} for {} bytes", bytes.len());
}

// F6, SECURITY.md: "A datagram from any other address gets at most one answer, which is not larger than the datagram."
#[test]
fn a_join_answer_that_nobody_has_asked_for_validates_no_seed() {
    let mut lan = Lan::new(40);
    lan.run(5_000);
    for id in 2..=40 {
        lan.command(id, Command::SetMeta(vec![1; 512]));
    }
    lan.run(10_000);
    let victim = addr(200);
    lan.command(1, Command::AddPeer(victim));
    lan.run(10);
    let ids: Vec<u8> = (2..=40_u64).flat_map(u64::to_le_bytes).collect();
    let (mut sent, mut got) = (0, 0);
    for sender in 1_000..1_010 {
        let answer = JoinAnswer { seen: addr(1), shared: 0, members: 1 };
        let want = Want::of(MEMBERS, 64 * 1024, &ids);
        let bytes = letter(sender, Incarnation::first(1), 99, 1, &[answer.into(), want.into()]);
        sent += bytes.len();
        got += at_victim(&mut lan, &[(victim, bytes.clone())], victim, 0).1;
    }
    assert!(got <= sent, "the seed's address got {got} bytes for {sent}");
}

// B10: "Of an unknown sender only Join, ping, ack, its own record and what it says of the receiver are used."
#[test]
fn a_join_answer_that_nobody_has_asked_for_brings_no_member() {
    let mut lan = Lan::new(4);
    lan.run(5_000);
    let (seed, victim) = (addr(201), addr(200));
    lan.command(1, Command::AddPeer(seed));
    lan.run(5_000);
    let rank = Rank { seniority: 1, draws: 0, boot: 5 };
    let forged = record(60, Incarnation::first(1), rank, victim);
    let answer = JoinAnswer { seen: addr(1), shared: 0, members: 1 };
    let bytes =
        letter(50, Incarnation::first(1), 99, 1, &[answer.into(), Alive(Record::trusted(&forged)).into()]);
    let got = at_victim(&mut lan, &[(seed, bytes.clone())], victim, 10_000);
    assert!(got.1 <= bytes.len(), "{got:?} for {} bytes", bytes.len());
}

// F6: a Join may name another address than its source: one datagram, to one host.
#[test]
fn a_join_makes_a_node_send_to_no_group_of_hosts() {
    let mut lan = Lan::new(2);
    lan.run(3_000);
    for to in ["224.0.0.1:7", "255.255.255.255:7", "[ff02::1]:7"] {
        let group: SocketAddr = to.parse().expect("an address");
        let rank = Rank { seniority: 1, draws: 0, boot: 99 };
        let own = record(50, Incarnation::first(1), rank, group);
        let join = Join { cookie: 0, cluster: "test", record: Record::trusted(&own) };
        let bytes = letter(50, Incarnation::first(1), 99, 1, &[join.into()]);
        let got = at_victim(&mut lan, &[(addr(250), bytes.clone())], group, 0);
        assert_eq!(got, (0, 0), "{to}");
    }
}

// B12, "A leave is never shown as a failure": "A leave is acknowledged when `leave_acks` members have said so."
#[test]
fn acks_of_unknown_senders_acknowledge_no_leave() {
    let mut lan = Lan::new(5);
    lan.run(20_000);
    lan.deaf = vec![1, 2, 3, 4];
    lan.command(5, Command::Leave { within: Duration::from_secs(5) });
    for sender in 1_000..1_003 {
        for from in (0..600_u32).step_by(60) {
            let acks: Vec<Message<'_>> =
                (from..from + 60).map(|seq| Ack { seq, roots: None }.into()).collect();
            let bytes = letter(sender, Incarnation::first(1), 99, 5, &acks);
            lan.event(5, Event::Datagram { from: addr(250), bytes: &bytes });
        }
    }
    lan.run(500);
    lan.deaf.clear();
    lan.run(30_000);
    let told = lan.changes(1, 5);
    assert!(!told.contains(&MemberChange::Down), "{told:?} {:?}", lan.notices.last());
}

// Notices of forged news: one stranger makes a node tell its application of many rivals (IdentityConflict).
#[test]
fn forged_questions_are_told_once_for_each_boot() {
    let mut lan = Lan::new(2);
    lan.run(3_000);
    for round in 0..100 {
        let rank = Rank { seniority: 1, draws: 0, boot: 5 + round % 2 };
        let ask = wire::Ask { id: NodeId(1), nonce: round + 1, rank };
        let bytes = letter(50, Incarnation::first(1), 99, 1, &[ask.into()]);
        lan.event(1, Event::Datagram { from: addr(200), bytes: &bytes });
    }
    let told =
        lan.notices.iter().filter(|(_, notice)| matches!(notice, Notice::IdentityConflict { .. })).count();
    assert!(told <= 2, "{told} notices of two invented processes");
}

// A2a, A2b with forged Left verdicts: a removal that names another process stops nobody.
#[test]
fn a_removal_of_another_process_stops_nobody() {
    let mut lan = Lan::new(3);
    lan.run(5_000);
    let node = &lan.nodes[&3];
    let accused =
        Accused { incarnation: node.incarnation(), state: MemberState::Left, removed: true, boot: 77 };
    let bytes = letter(1, lan.nodes[&1].incarnation(), lan.nodes[&1].boot(), 3, &[accused.into()]);
    lan.event(3, Event::Datagram { from: addr(1), bytes: &bytes });
    assert_eq!(lan.nodes[&3].phase(), Phase::Running);
}

// F6: an address that has echoed nothing gets no more than came from it, at every restart of a receiver: a member in a full
// table that is refused again and again.
#[test]
fn a_member_for_which_there_is_no_room_costs_little() {
    let mut config = Config::lan("test");
    config.membership.members_max = 3;
    let mut lan = Lan::with(5, &config);
    lan.run(60_000);
    lan.kinds.clear();
    lan.run(60_000);
    let of = |kind| lan.kinds.get(&kind).copied().unwrap_or(0);
    std::println!("{:?}", lan.kinds);
    // Each member probes one other in a second.
    assert!(of(Kind::JoinEcho) <= 2 * of(Kind::Ping) && of(Kind::Join) <= 2 * of(Kind::Ping));
}

// B10: Joins and echoes do not go on, at the least mtu with the longest records.
#[test]
fn a_burst_of_joiners_with_the_longest_records_ends_in_calm() {
    let mut config = Config::lan("test");
    config.mtu = 1_200;
    let mut lan = Lan::with(0, &config);
    let six = |id: u64| -> SocketAddr {
        std::format!("[2001:db8:1111:2222:3333:4444:5555:{id:x}]:7").parse().expect("one")
    };
    for id in 1..=60 {
        let mut boot = boot(id, 1);
        (boot.addr, boot.meta, boot.name, boot.zone) =
            (six(id), vec![1; 512], "n".repeat(64), "z".repeat(32));
        lan.nodes.insert(id, Node::new(boot, config.clone(), lan.now).expect("good"));
        lan.event(id, Event::Command(Command::Join { seeds: vec![six(1)] }));
    }
    lan.run(20_000);
    assert!(lan.agree());
    assert!(lan.nodes.values().all(|node| node.member_count() == 60));
    lan.kinds.clear();
    lan.run(20_000);
    let of = |kind| lan.kinds.get(&kind).copied().unwrap_or(0);
    assert_eq!([of(Kind::Join), of(Kind::JoinEcho)], [0, 0]);
}
