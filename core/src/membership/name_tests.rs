//! Taking the own id and keeping it, in a group with forged datagrams of other processes of one id.

use core::time::Duration;

use super::sender::accusation_of;
use super::test_support::{letter, table};
use super::*;
use crate::action::Notice;
use crate::command::{Answer as Answered, Command};
use crate::event::Event;
use crate::id::{Incarnation, Rank};
use crate::lan::{Lan, addr, boot};
use crate::wire::{self, Ask, Claim, Join, Kind, Ping, Record, RecordFields, Swim, Verdict};

/// Another process with the id 2 and the least rank, at the address 9.
const TWIN: Rank = Rank { seniority: 0, draws: 0, boot: 8 };

fn count(lan: &Lan, kind: Kind) -> u64 {
    lan.kinds.get(&kind).copied().unwrap_or(0)
}

#[test]
fn a_leaver_answers_no_question_for_its_id() {
    let mut lan = Lan::new(3);
    lan.run(2_000);
    let ask = Ask { id: NodeId(2), nonce: 77, rank: TWIN };
    let question = letter(2, Incarnation::default(), TWIN.boot, 2, &[ask.into()]);
    let answered = |lan: &mut Lan| {
        let before = count(lan, Kind::Claim);
        lan.event(2, Event::Datagram { from: addr(9), bytes: &question });
        count(lan, Kind::Claim) - before
    };
    assert_eq!(answered(&mut lan), 1);
    lan.deaf = vec![1, 3];
    lan.command(2, Command::Leave { within: Duration::from_secs(5) });
    assert_eq!((lan.nodes[&2].phase(), answered(&mut lan)), (Phase::Leaving, 0));
}

#[test]
fn an_accusation_names_the_process_that_has_shown_its_incarnation_and_no_other() {
    let mut lan = Lan::new(3);
    lan.run(2_000);
    let (before, number) = (lan.nodes[&2].incarnation(), lan.nodes[&2].boot());
    let named = |lan: &Lan| accusation_of(table(lan, 1).get(NodeId(2)).expect("it is known")).boot;
    assert_eq!(named(&lan), number, "by its record");
    let ping = Ping { seq: 1, roots: lan.nodes[&2].roots() };
    let twin = letter(2, before.next(), TWIN.boot, 1, &[ping.into()]);
    lan.event(1, Event::Datagram { from: addr(9), bytes: &twin });
    assert_eq!(named(&lan), TWIN.boot, "by its header");
    let alive = Verdict {
        id: NodeId(2),
        incarnation: before.next().next(),
        state: MemberState::Alive,
        removed: false,
        age: 0,
        author: NodeId::NOBODY,
    };
    let told = letter(3, lan.nodes[&3].incarnation(), lan.nodes[&3].boot(), 1, &[alive.into()]);
    lan.event(1, Event::Datagram { from: addr(3), bytes: &told });
    assert_eq!(named(&lan), 0, "others have told of it");
    lan.run(2_000);
    assert_eq!(lan.nodes[&2].boot(), number, "it does not take itself for a copy");
    assert!(lan.nodes[&2].incarnation() > before && lan.agree());
}

#[test]
fn a_settled_member_asks_itself_at_each_healing() {
    let mut lan = Lan::new(3);
    lan.run(30_000);
    let before = count(&lan, Kind::Ask);
    lan.run(60_000);
    let asks = count(&lan, Kind::Ask) - before;
    // Each question is sent twice: to a member, and by that member.
    assert!((3 * 10..=3 * 14).contains(&asks), "{asks} questions of three members in six intervals");
}

/// The cookie that is on its way to the address 9.
fn echoed(lan: &Lan) -> Option<u64> {
    let (_, _, bytes) = lan.wires.values().find(|(_, to, _)| *to == addr(9))?;
    let mut datagram = wire::open(bytes, wire::cluster_tag("test")).expect("readable");
    match datagram.messages.next()? {
        Ok(Message::Swim(Swim::JoinEcho(echo))) => Some(echo.cookie),
        _ => None,
    }
}

/// The first question of the process 2 that a member passes on to the address 9: the member, and the number.
fn passed_on(lan: &mut Lan) -> Option<(u64, u64)> {
    for _ in 0..2_000 {
        lan.run(1);
        for (from, to, bytes) in lan.wires.values().filter(|(_, to, _)| *to == addr(9)) {
            let member = [1, 3].into_iter().find(|id| addr(*id) == *from);
            let datagram = wire::open(bytes, wire::cluster_tag("test")).expect("readable");
            for message in datagram.messages {
                if let (Some(member), Ok(Message::Swim(Swim::Ask(ask)))) = (member, message) {
                    assert_eq!((ask.id, *to), (NodeId(2), addr(9)));
                    return Some((member, ask.nonce));
                }
            }
        }
    }
    None
}

#[test]
fn a_question_that_may_have_waited_with_a_late_member_is_not_passed_on() {
    // Rules A2b and B7: the process that has asked may have ended meanwhile, and another one may have its id and its address.
    let mut lan = Lan::new(3);
    lan.run(2_000);
    let (incarnation, boot) = (lan.nodes[&2].incarnation(), lan.nodes[&2].boot());
    let ask = Ask { id: NodeId(2), nonce: 77, rank: Rank { boot, ..TWIN } };
    let question = letter(2, incarnation, boot, 3, &[ask.into()]);
    let passed_on = |lan: &mut Lan| {
        lan.wires.clear();
        lan.event(3, Event::Datagram { from: addr(2), bytes: &question });
        let messages = lan.wires.values().filter(|(from, to, _)| (*from, *to) == (addr(3), addr(2)));
        let is_it = |bytes: &[u8]| {
            let datagram = wire::open(bytes, wire::cluster_tag("test")).expect("readable");
            let mut messages = datagram.messages;
            messages.any(|message| matches!(message, Ok(Message::Swim(Swim::Ask(Ask { nonce: 77, .. })))))
        };
        messages.filter(|(_, _, bytes)| is_it(bytes)).count()
    };
    assert_eq!(passed_on(&mut lan), 1);
    lan.now = lan.now + Duration::from_secs(10);
    assert_eq!(passed_on(&mut lan), 0, "member 3 has stood still");
    lan.event(3, Event::Tick);
    assert_eq!(passed_on(&mut lan), 0, "it goes on to read what has waited");
    lan.run(1_500);
    assert_eq!(passed_on(&mut lan), 1, "a question is open for a second");
}

#[test]
fn a_twin_is_asked_through_the_member_that_has_told_of_it() {
    let mut lan = Lan::new(3);
    lan.run(2_000);
    let incarnation = Incarnation::first(lan.nodes[&2].incarnation().epoch + 50);
    let fields = RecordFields {
        id: NodeId(2),
        incarnation,
        rank: TWIN,
        shared: Config::lan("test").shared_digest(),
        roster: 0,
        priority: 0,
        protocol: (1, 1),
        eligible: true,
        addr: addr(9),
        name: "twin",
        zone: "",
        meta: &[],
        tags: &[],
    };
    let record = fields.encode();
    let news = letter(2, incarnation, TWIN.boot, 3, &[Alive(Record::trusted(&record)).into()]);
    lan.event(3, Event::Datagram { from: addr(9), bytes: &news });
    let cookie = echoed(&lan).expect("an address that is new is sent a number first");
    let join = Join { cookie, cluster: "test", record: Record::trusted(&record) };
    let join = letter(2, incarnation, TWIN.boot, 3, &[join.into()]);
    lan.event(3, Event::Datagram { from: addr(9), bytes: &join });
    let (member, nonce) = passed_on(&mut lan).expect("a member has passed the question on");
    let claim = Claim { id: NodeId(2), nonce, rank: TWIN };
    let answer = letter(2, incarnation, TWIN.boot, member, &[claim.into()]);
    lan.event(member, Event::Datagram { from: addr(9), bytes: &answer });
    lan.run(2);
    assert_eq!(lan.nodes[&2].phase(), Phase::Ended);
    assert!(lan.notices.contains(&(2, Notice::IdentityConflict { other: TWIN.boot, stopped: true })));
}

#[test]
fn a_process_that_waits_for_its_id_admits_nobody() {
    let (mut lan, config) = (Lan::new(0), Config::lan("test"));
    lan.start(boot(2, 1), &config);
    lan.run(10);
    lan.start(boot(1, 1), &config);
    lan.command(1, Command::AddPeer(addr(2)));
    lan.run(100);
    assert_eq!(lan.nodes[&2].phase(), Phase::Waiting);
    assert!(count(&lan, Kind::JoinEcho) > 0 && count(&lan, Kind::JoinAnswer) == 0);
    assert!(table(&lan, 2).get(NodeId(1)).is_none());
    lan.run(5_000);
    assert_eq!(lan.states(2).len(), 2, "it has joined");
}

#[test]
fn a_new_seed_gives_other_random_numbers() {
    let drawn = |seed| {
        let mut lan = Lan::new(2);
        lan.run(2_000);
        lan.event(2, Event::Seed([seed; 32]));
        lan.nodes[&2].machines().membership.rng.clone().next_u64()
    };
    assert_ne!(drawn(1), drawn(2));
}

#[test]
fn a_snapshot_that_publishes_another_record_at_one_incarnation_is_noticed() {
    let mut lan = Lan::new(3);
    lan.run(3_000);
    let saved = lan.nodes[&2].clone();
    lan.command(2, Command::SetMeta(vec![9; 9]));
    lan.run(2_000);
    lan.nodes.insert(2, saved);
    // Of two records at one incarnation the others keep the greater one.
    lan.command(2, Command::SetMeta(vec![2; 9]));
    lan.run(30_000);
    assert!(lan.agree());
    let seen = |id| lan.nodes[&id].member(NodeId(2)).expect("it is known").meta.to_vec();
    assert_eq!([seen(1), seen(2), seen(3)], [vec![2; 9], vec![2; 9], vec![2; 9]]);
}

#[test]
fn of_invented_processes_of_the_own_id_a_few_are_told_in_a_minute() {
    let mut lan = Lan::new(2);
    lan.run(3_000);
    let mut told = |boots: core::ops::Range<u64>| {
        let before = lan.notices.len();
        for boot in boots {
            let ask = Ask { id: NodeId(1), nonce: boot, rank: Rank { boot, ..TWIN } };
            let bytes = letter(50, Incarnation::first(1), 99, 1, &[ask.into()]);
            lan.event(1, Event::Datagram { from: addr(200), bytes: &bytes });
        }
        let is_conflict = |(_, notice): &&(u64, Notice<'_>)| {
            matches!(notice, Notice::IdentityConflict { stopped: false, .. })
        };
        let told = lan.notices[before..].iter().filter(is_conflict).count();
        lan.run(60_000);
        told
    };
    assert_eq!([1_000..1_100, 2_000..2_100].map(&mut told), [8, 8]);
}

#[test]
fn who_is_seen_at_another_address_asks_for_itself() {
    // Rule A2c: member 2 tells member 1 in an echo at which address it has seen it.
    let asks = |seen| {
        let mut lan = Lan::new(3);
        lan.run(5_000);
        let before = count(&lan, Kind::Ask);
        let echo = wire::JoinEcho { cookie: 7, seen, name: wire::NameState::Unknown };
        let two = &lan.nodes[&2];
        let bytes = letter(2, two.incarnation(), two.boot(), 1, &[echo.into()]);
        lan.event(1, Event::Datagram { from: addr(2), bytes: &bytes });
        count(&lan, Kind::Ask) - before
    };
    assert_eq!([addr(1), addr(9)].map(asks), [0, 1]);
}

#[test]
fn who_hears_news_above_its_incarnation_moves_above_it() {
    // Rule A1: a former life at a higher epoch has been judged, and nobody has told this process before.
    let mut lan = Lan::new(3);
    lan.run(3_000);
    let (id, author) = (NodeId(1), NodeId(3));
    for state in [MemberState::Down, MemberState::Alive] {
        let heard = Incarnation::first(lan.nodes[&1].incarnation().epoch + 5);
        let verdict = Verdict { id, incarnation: heard, state, removed: false, age: 0, author };
        let two = &lan.nodes[&2];
        let bytes = letter(2, two.incarnation(), two.boot(), 1, &[verdict.into()]);
        lan.event(1, Event::Datagram { from: addr(2), bytes: &bytes });
        // Who is said to live there is asked first, for a second.
        lan.run(if state == MemberState::Alive { 1_000 } else { 0 });
        let moved = lan.nodes[&1].incarnation();
        assert!(moved > heard, "{moved}");
    }
    lan.run(3_000);
    assert!(lan.agree());
    assert_eq!(lan.states(2), lan.states(3));
}

#[test]
fn the_broadcasts_of_a_new_epoch_are_numbered_from_1() {
    let mut lan = Lan::new(3);
    lan.run(3_000);
    let sends = |lan: &mut Lan| {
        lan.command(1, Command::Broadcast(crate::Broadcast::new("a", vec![1])));
        lan.run(1_000);
        let Some((_, Ok(Answered::Sent(id)))) = lan.answers.pop() else { panic!("it is accepted") };
        (id.epoch, id.seq)
    };
    let first = lan.nodes[&1].incarnation();
    assert_eq!([sends(&mut lan), sends(&mut lan)], [(first.epoch, 1), (first.epoch, 2)]);
    let (incarnation, id) = (Incarnation::first(first.epoch + 5), NodeId(1));
    let verdict = Verdict { id, incarnation, state: MemberState::Alive, removed: false, age: 0, author: id };
    let two = &lan.nodes[&2];
    let bytes = letter(2, two.incarnation(), two.boot(), 1, &[verdict.into()]);
    lan.event(1, Event::Datagram { from: addr(2), bytes: &bytes });
    lan.run(1_000);
    let moved = lan.nodes[&1].incarnation().epoch;
    assert!(moved > incarnation.epoch);
    assert_eq!([sends(&mut lan), sends(&mut lan)], [(moved, 1), (moved, 2)]);
    let is_delivery =
        |(id, notice): &&(u64, Notice<'_>)| *id == 3 && matches!(notice, Notice::Delivered { .. });
    assert_eq!(lan.notices.iter().filter(is_delivery).count(), 4);
}
