//! Single rules of membership: what a group does with forged datagrams, with a member that stands still, moves or leaves,
//! and with full tables.

use core::time::Duration;
use std::string::ToString as _;

use super::test_support::{datagram, held, letter, table, verdict};
use super::*;
use crate::action::{MemberChange, Notice};
use crate::command::{Admission, Command};
use crate::config::AdmissionPolicy;
use crate::event::Event;
use crate::id::{Incarnation, Rank};
use crate::lan::{Lan, addr, boot};
use crate::node::Node;
use crate::wire::{self, Kind, Record, Verdict};

#[test]
fn more_crashes_than_guards_are_kept_end_in_tables_that_agree() {
    let mut config = Config::lan("test");
    config.membership.tombstones_max = 6;
    let mut lan = Lan::with(20, &config);
    lan.run(10_000);
    (11..=20).for_each(|id| drop(lan.nodes.remove(&id)));
    lan.run(60_000);
    let before: u64 = lan.nodes.values().map(|node| node.stats().reconciliations).sum();
    lan.run(60_000);
    let after: u64 = lan.nodes.values().map(|node| node.stats().reconciliations).sum();
    for id in 1..=10 {
        assert_eq!(held(&lan, id), ((1..=10).collect(), (11..=20).collect()), "at {id}");
    }
    assert!(lan.agree() && after == before, "{} comparisons in a minute of calm", after - before);
}

#[test]
fn a_full_table_of_guards_refuses_further_ones_and_keeps_members() {
    let mut config = Config::lan("test");
    config.membership.tombstones_max = 6;
    let mut lan = Lan::with(4, &config);
    lan.run(2_000);
    lan.nodes.remove(&4);
    lan.run(15_000);
    let flood: Vec<Message<'_>> = (100..120).map(|id| verdict(id, MemberState::Down).into()).collect();
    let bytes = datagram(&lan, 2, 1, &flood);
    lan.event(1, Event::Datagram { from: addr(2), bytes: &bytes });
    assert_eq!(held(&lan, 1).1, [4, 100, 101, 102, 103, 104, 105]);
    assert_eq!(lan.nodes[&1].stats().ignored_table_full, 14);
}

#[test]
fn a_full_table_forgets_only_members_that_are_held_back() {
    let mut config = Config::lan("test");
    config.membership.members_max = 4;
    config.membership.forget_after = Duration::from_secs(600);
    let mut lan = Lan::with(4, &config);
    lan.run(2_000);
    lan.nodes.remove(&4);
    lan.run(15_000);
    lan.start(boot(5, 1), &config);
    lan.run(60_000);
    assert_eq!(held(&lan, 1), (vec![1, 2, 3], vec![4]), "its verdict is young");
    lan.run(300_000);
    assert_eq!(held(&lan, 1), (vec![1, 2, 3, 5], vec![]), "its verdict is held back, and gives way");
}

#[test]
fn a_removal_of_an_older_incarnation_neither_stays_nor_stops_the_member() {
    // Rule A7: member 1 removes member 3 at 1.0, which it takes for current, and then hears that 1.1 is Down.
    for crashes in [true, false] {
        let mut lan = Lan::new(4);
        lan.run(5_000);
        lan.deaf = vec![1];
        lan.command(3, Command::SetMeta(b"new".to_vec()));
        lan.run(1_000);
        let incarnation = lan.nodes[&3].incarnation();
        let ping = datagram(&lan, 3, 1, &[Ping { seq: 1, roots: [0; 3] }.into()]);
        if crashes {
            lan.nodes.remove(&3);
        }
        lan.command(1, Command::RemovePeer(NodeId(3)));
        let down = Verdict { incarnation, author: NodeId(2), ..verdict(3, MemberState::Down) };
        let bytes = datagram(&lan, 2, 1, &[down.into()]);
        lan.event(1, Event::Datagram { from: addr(2), bytes: &bytes });
        lan.deaf.clear();
        lan.wires.clear();
        lan.event(1, Event::Datagram { from: addr(3), bytes: &ping });
        lan.run(120_000);
        let running: Vec<u64> = if crashes { vec![1, 2, 4] } else { vec![1, 2, 3, 4] };
        assert_eq!(held(&lan, 1).0, running);
        assert!(lan.agree(), "crashed: {crashes}");
        assert!(!lan.notices.iter().any(|(id, notice)| *id == 3 && *notice == Notice::Removed));
    }
}

#[test]
fn a_question_of_admission_is_asked_again_after_a_rejoin() {
    let mut config = Config::lan("test");
    config.membership.admission = AdmissionPolicy::Ask(Duration::from_secs(60));
    let mut lan = Lan::with(3, &config);
    lan.run(3_000);
    lan.command(1, Command::Admit { id: NodeId(3), admission: Admission::Veto });
    lan.command(1, Command::Leave { within: Duration::from_secs(2) });
    lan.run(3_000);
    lan.command(1, Command::Join { seeds: vec![addr(2)] });
    lan.run(30_000);
    let is_question =
        |(id, notice): &&(u64, Notice<'_>)| *id == 1 && *notice == Notice::AdmissionAsked { id: NodeId(2) };
    assert_eq!(lan.notices.iter().filter(is_question).count(), 2);
    lan.run(60_000);
    assert_eq!(lan.states(1), [(1, MemberState::Alive), (2, MemberState::Alive)], "a veto stays");
}

#[test]
fn a_leave_ends_the_pings_of_the_application() {
    for within in [Duration::ZERO, Duration::from_secs(2)] {
        let mut lan = Lan::new(2);
        lan.run(3_000);
        lan.deaf = vec![2];
        lan.command(1, Command::Ping { id: NodeId(2), addr: addr(2) });
        lan.command(1, Command::Leave { within });
        let failed = Notice::PingFailed { ping: crate::PingId(1), id: NodeId(2) };
        assert_eq!(lan.notices.iter().filter(|(_, notice)| *notice == failed).count(), 1);
        lan.run(5_000);
        lan.deaf.clear();
        lan.command(1, Command::Join { seeds: vec![addr(2)] });
        lan.run(60_000);
        assert_eq!(lan.notices.iter().filter(|(_, notice)| *notice == failed).count(), 1, "{within:?}");
    }
}

#[test]
fn a_probe_from_before_a_leave_is_not_judged_after_it() {
    let mut lan = Lan::new(6);
    lan.run(5_000);
    // A probe is open as long as the ack is on its way.
    while !lan.nodes[&1].machines().membership.prober.is_open() {
        lan.run(1);
    }
    lan.command(1, Command::Leave { within: Duration::ZERO });
    lan.wires.clear();
    lan.run(600_000);
    lan.command(1, Command::Join { seeds: vec![addr(2)] });
    lan.run(3_000);
    assert_eq!(lan.nodes[&1].stats().suspicions, 0);
    assert_eq!(lan.nodes[&1].health(), 1);
}

#[test]
fn a_member_that_has_moved_is_asked_for_its_record_where_it_is_heard() {
    // Rule B2: member 3 has moved, and all announcements of that were lost.
    let mut lan = Lan::new(5);
    lan.run(5_000);
    lan.lost = vec![Kind::Alive];
    lan.command(3, Command::SetAddr("10.0.0.33:7".parse().expect("an address")));
    lan.run(1_500);
    let held_at = |lan: &Lan| lan.nodes[&1].member(NodeId(3)).map(|member| member.addr);
    assert_eq!(held_at(&lan), Some(addr(3)));
    lan.lost.clear();
    lan.wires.clear();
    let from = lan.nodes[&3].addr();
    // The answer to an earlier ping may have been lost, so each one is answered by the question.
    for receiver in [1, 1] {
        let ping = datagram(&lan, 3, receiver, &[Ping { seq: 1, roots: [0; 3] }.into()]);
        lan.wires.clear();
        lan.event(receiver, Event::Datagram { from, bytes: &ping });
        let longest = lan.wires.values().filter(|(_, to, _)| *to == from).map(|wire| wire.2.len()).max();
        assert!(longest.is_some_and(|len| len <= ping.len()), "rule F6");
    }
    lan.run(5);
    assert_eq!(held_at(&lan), Some(from));
}

#[test]
fn that_a_member_lives_is_passed_on_without_its_record() {
    // Rules A4 and B2: member 1 alone hears member 3 at its new incarnation, and cannot get its record.
    let mut lan = Lan::new(5);
    lan.run(5_000);
    lan.lost = vec![Kind::Alive];
    let incarnation = lan.nodes[&3].incarnation();
    let up = Incarnation { counter: 1, ..incarnation };
    let suspicion = Verdict { incarnation, ..verdict(3, MemberState::Suspect) };
    for id in [2, 4, 5] {
        let bytes = datagram(&lan, 1, id, &[Verdict { author: NodeId(1), ..suspicion }.into()]);
        lan.event(id, Event::Datagram { from: addr(1), bytes: &bytes });
        assert_eq!(table(&lan, id).get(NodeId(3)).map(table::Entry::state), Some(MemberState::Suspect));
    }
    let boot = lan.nodes[&3].boot();
    lan.nodes.remove(&3);
    lan.wires.clear();
    let bytes = letter(3, up, boot, 1, &[Ping { seq: 1, roots: [0; 3] }.into()]);
    lan.event(1, Event::Datagram { from: "10.0.0.33:7".parse().expect("an address"), bytes: &bytes });
    lan.run(600);
    for id in [1, 2, 4, 5] {
        let held = table(&lan, id).get(NodeId(3)).map(table::Entry::claim);
        assert_eq!(held, Some(Claim::new(up, MemberState::Alive)), "at {id}");
    }
}

#[test]
fn a_boot_address_with_port_0_is_refused() {
    let with = |text: &str| {
        let addr = text.parse().expect("an address");
        Node::new(Boot { addr, ..boot(2, 1) }, Config::lan("test"), Time::ZERO).map(drop)
    };
    let refused = with("10.0.0.2:0").expect_err("nobody can answer to it");
    assert_eq!(refused.to_string(), "the port of boot.addr is 0, but must lie between 1 and 65535");
    assert_eq!((with("0.0.0.0:0"), with("10.0.0.2:7")), (Ok(()), Ok(())), "unknown, and given");
}

#[test]
fn an_echo_is_answered_once() {
    let mut lan = Lan::new(1);
    lan.deaf = vec![1];
    lan.start(boot(2, 1), &Config::lan("test"));
    let echo = |cookie| {
        let echo = wire::JoinEcho { cookie, seen: addr(2), name: wire::NameState::Unknown };
        letter(1, Incarnation::first(1), 1, 2, &[echo.into()])
    };
    let mut joins = Vec::new();
    for cookie in [7, 7, 7, 8, 8] {
        let before = lan.kinds.get(&Kind::Join).copied();
        lan.event(2, Event::Datagram { from: addr(1), bytes: &echo(cookie) });
        joins.push(lan.kinds.get(&Kind::Join).copied() != before);
    }
    assert_eq!(joins, [true, false, false, true, false]);
}

#[test]
fn three_of_four_probes_go_to_the_next_on_the_ring() {
    let mut lan = Lan::new(8);
    lan.run(10_000);
    let (mut next, mut all) = (0, 0);
    for _ in 0..60_000 {
        lan.run(1);
        for (from, to, bytes) in lan.wires.values().filter(|(from, ..)| *from == addr(8)) {
            let described = wire::describe(bytes).expect("just written");
            if described.kinds().any(|kind| kind == Kind::Ping) {
                all += 1;
                // The ring goes from the greatest id to the least.
                next += u32::from((*from, *to) == (addr(8), addr(1)));
            }
        }
    }
    assert!(all > 50 && (70..=85).contains(&(next * 100 / all)), "{next} of {all}");
}

#[test]
fn a_node_whose_probes_fail_probes_more_slowly_until_it_is_well() {
    // Lifeguard's local health: member 1 hears neither acks nor nacks.
    let mut lan = Lan::new(8);
    lan.run(10_000);
    let probes = |lan: &Lan| lan.nodes[&1].stats().probes;
    let start = probes(&lan);
    lan.run(9_000);
    let well = probes(&lan) - start;
    lan.deaf = vec![1];
    lan.run(9_000);
    let ill = probes(&lan) - start - well;
    assert!(ill < well, "{ill} probes in the time of {well}");
    assert!(lan.nodes[&1].health() > 1);
    lan.deaf.clear();
    lan.run(60_000);
    assert_eq!(lan.nodes[&1].health(), 1);
}

#[test]
fn tombstones_are_forgotten_in_the_end() {
    let mut config = Config::lan("test");
    config.membership.forget_after = Duration::from_secs(60);
    let mut lan = Lan::with(4, &config);
    lan.run(2_000);
    lan.command(3, Command::Leave { within: Duration::ZERO });
    lan.nodes.remove(&3);
    lan.nodes.remove(&4);
    lan.run(20_000);
    assert_eq!(held(&lan, 1), (vec![1, 2], vec![3, 4]));
    lan.run(60_000);
    assert_eq!(held(&lan, 1), (vec![1, 2], vec![]));
}

#[test]
fn a_leave_is_repeated_until_it_is_acknowledged() {
    let mut lan = Lan::new(4);
    lan.run(2_000);
    lan.lost = vec![Kind::Verdict];
    lan.command(3, Command::Leave { within: Duration::from_secs(5) });
    lan.run(500);
    lan.lost.clear();
    lan.run(1_000);
    assert!(lan.notices.contains(&(3, Notice::Departed { acknowledged: true, alone: false })));
    for id in [1, 2, 4] {
        assert_eq!(lan.changes(id, 3), [MemberChange::Up, MemberChange::Left], "at {id}");
    }
}

#[test]
fn an_old_record_of_a_member_that_lives_does_not_spread_its_verdict_again() {
    // Member 1 hears member 3 at 1.2, holds its record at 1.0, and then gets the record at 1.1.
    let mut lan = Lan::new(2);
    lan.run(2_000);
    let fields = |counter: u32| wire::RecordFields {
        id: NodeId(3),
        incarnation: Incarnation { epoch: 1, counter: counter << 16 },
        rank: Rank { seniority: 1, draws: 0, boot: 7 },
        shared: Config::lan("test").shared_digest(),
        roster: 0,
        priority: 0,
        protocol: (1, 1),
        eligible: true,
        addr: addr(3),
        name: "three",
        zone: "",
        meta: &[],
        tags: &[],
    };
    let hears = |lan: &mut Lan, message: Message<'_>| {
        let bytes = datagram(lan, 2, 1, &[message]);
        lan.event(1, Event::Datagram { from: addr(2), bytes: &bytes });
    };
    let records = [0, 1].map(|counter| fields(counter).encode());
    hears(&mut lan, Alive(Record::read(&records[0]).expect("well made")).into());
    let incarnation = Incarnation { epoch: 1, counter: 2 << 16 };
    hears(&mut lan, Verdict { incarnation, ..verdict(3, MemberState::Alive) }.into());
    while lan.nodes[&1].machines().membership.has_updates() {
        lan.run(100);
    }
    hears(&mut lan, Alive(Record::read(&records[1]).expect("well made")).into());
    assert!(!lan.nodes[&1].machines().membership.has_updates());
}

#[test]
fn a_verdict_about_oneself_is_news_of_the_own_id_and_no_entry_of_the_table() {
    for state in [MemberState::Suspect, MemberState::Down, MemberState::Left] {
        let mut lan = Lan::new(3);
        lan.run(2_000);
        let before = lan.nodes[&1].incarnation();
        let heard = Verdict { incarnation: before, author: NodeId(3), ..verdict(1, state) };
        let bytes = datagram(&lan, 2, 1, &[heard.into()]);
        lan.event(1, Event::Datagram { from: addr(2), bytes: &bytes });
        let held = table(&lan, 1).get(NodeId(1)).expect("it holds itself").claim();
        assert_eq!(held, Claim::new(before.refuted(), MemberState::Alive), "{state:?}");
        assert_eq!(lan.changes(1, 1), [MemberChange::Up]);
    }
}

#[test]
fn a_return_is_told_with_its_new_record() {
    let mut lan = Lan::new(3);
    lan.run(2_000);
    lan.nodes.remove(&3);
    lan.run(20_000);
    let held = table(&lan, 1).get(NodeId(3)).and_then(table::Entry::record).expect("it is Down").fields();
    let incarnation = Incarnation::first(held.incarnation.epoch + 1);
    let rank = Rank { boot: 77, ..held.rank };
    let bytes = wire::RecordFields { incarnation, rank, meta: b"new", ..held }.encode();
    let record = Record::read(&bytes).expect("well made");
    let bytes = datagram(&lan, 2, 1, &[Alive(record).into()]);
    lan.notices.clear();
    lan.event(1, Event::Datagram { from: addr(2), bytes: &bytes });
    let told = lan.notices.iter().filter_map(|(_, notice)| {
        let Notice::Member { change, member } = notice else { return None };
        Some((*change, member.boot, member.meta.to_vec()))
    });
    assert_eq!(told.collect::<Vec<_>>(), [(MemberChange::Up, 77, b"new".to_vec())]);
}
