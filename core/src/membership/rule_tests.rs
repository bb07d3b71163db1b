//! Single rules of membership: what a group does with forged datagrams, with a member that stands still, moves, leaves
//! or flaps, and with full tables.

use core::net::SocketAddr;
use core::time::Duration;
use std::string::ToString as _;

use super::*;
use crate::action::{MemberChange, Notice};
use crate::command::{Admission, Command};
use crate::config::{AdmissionPolicy, Hearsay};
use crate::event::Event;
use crate::id::{Incarnation, Rank};
use crate::lan::{Lan, addr, boot};
use crate::node::Node;
use crate::wire::{self, Header, Kind, Record, Verdict};

/// The members that node `id` holds alive or suspected, and those that it holds Down, in its table.
fn held(lan: &Lan, id: u64) -> (Vec<u64>, Vec<u64>) {
    let (live, gone): (Vec<_>, Vec<_>) = table(lan, id).iter().partition(|entry| entry.is_live());
    let ids = |entries: Vec<&table::Entry>| entries.iter().map(|entry| entry.id.0).collect();
    (ids(live), ids(gone))
}

pub(super) fn table(lan: &Lan, id: u64) -> &Table {
    &lan.nodes[&id].machines().membership.table
}

/// A datagram with these messages from the running member `sender` to `receiver`.
fn datagram(lan: &Lan, sender: u64, receiver: u64, messages: &[Message<'_>]) -> Vec<u8> {
    let node = &lan.nodes[&sender];
    letter(sender, node.incarnation(), node.boot(), receiver, messages)
}

/// A datagram with these messages under a header of any sender.
pub(super) fn letter(
    sender: u64,
    incarnation: Incarnation,
    boot: u64,
    receiver: u64,
    messages: &[Message<'_>],
) -> Vec<u8> {
    let header = Header {
        cluster: wire::cluster_tag("test"),
        sender: NodeId(sender),
        incarnation,
        boot,
        receiver: NodeId(receiver),
        sequence: 1 << 40,
    };
    let mut body = Vec::new();
    messages.iter().for_each(|message| message.encode(&mut body));
    wire::compose(&header, &body)
}

/// What a member says of the state of another one at its first incarnation.
fn verdict(id: u64, state: MemberState) -> Verdict {
    let (incarnation, author) = (Incarnation::first(1), NodeId::NOBODY);
    Verdict { id: NodeId(id), incarnation, state, removed: false, age: 0, author }
}

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

/// The milliseconds until the verdict of node `id` on a suspect is due.
fn due_in(lan: &Lan, id: u64, suspect: u64) -> u64 {
    let node = &lan.nodes[&id];
    let at = node.machines().membership.deadlines.at(Timer::Suspicion(NodeId(suspect)));
    at.expect("it is suspected").since(lan.now).as_millis().try_into().expect("soon")
}

#[test]
fn confirmations_do_not_take_away_what_a_late_call_has_given_back() {
    // Rule B7: member 1 hears of a suspicion, stands still for a minute, and then reads confirmations from its inbox.
    for config in [Config::lan("test"), Config::memberlist_lan("test")] {
        let mut lan = Lan::with(8, &config);
        lan.run(5_000);
        let incarnation = lan.nodes[&3].incarnation();
        let suspicion = |author| {
            let author = NodeId(author);
            Message::from(Verdict { author, incarnation, ..verdict(3, MemberState::Suspect) })
        };
        let first = datagram(&lan, 2, 1, &[suspicion(50)]);
        lan.event(1, Event::Datagram { from: addr(2), bytes: &first });
        let before = due_in(&lan, 1, 3);
        lan.now = lan.now + Duration::from_secs(60);
        let second = datagram(&lan, 2, 1, &[suspicion(51)]);
        lan.event(1, Event::Datagram { from: addr(2), bytes: &second });
        let confirmed = due_in(&lan, 1, 3);
        assert!(confirmed > before / 3, "due in {before} ms, and after the pause in {confirmed} ms");
        lan.now = lan.now + Duration::from_millis(1);
        lan.event(1, Event::Tick);
        let state = lan.nodes[&1].member(NodeId(3)).map(|member| member.state);
        assert_eq!(state, Some(MemberState::Suspect));
    }
}

#[test]
fn confirmations_do_not_take_away_what_the_end_of_a_silence_has_given() {
    // Rule B6: member 1 hears nobody for seven seconds, and then one voice and two confirmations.
    let mut lan = Lan::new(8);
    lan.run(5_000);
    lan.deaf = vec![1];
    lan.run(7_000);
    let suspects: Vec<NodeId> = lan.nodes[&1].machines().membership.suspicions.keys().copied().collect();
    let voice = (2..=8).find(|id| !suspects.contains(&NodeId(*id))).expect("not all are suspected");
    lan.deaf.clear();
    lan.wires.clear();
    let (least, suspect) = (crate::estimate::suspicion_min(&Config::lan("test"), 8), suspects[0]);
    let incarnation = lan.nodes[&1].machines().membership.suspicions[&suspect].incarnation;
    for author in [70, 71, 72, 73] {
        let author = NodeId(author);
        let heard = Verdict { incarnation, author, ..verdict(suspect.0, MemberState::Suspect) };
        let bytes = datagram(&lan, voice, 1, &[heard.into()]);
        lan.event(1, Event::Datagram { from: addr(voice), bytes: &bytes });
        let lead = Config::lan("test").membership.probe_timeout;
        let given = u128::from(due_in(&lan, 1, suspect.0)) + lead.as_millis();
        assert!(given >= least.as_millis(), "{given} ms at {author}");
    }
}

#[test]
fn a_suspend_does_not_end_the_freeze_of_an_isolated_node() {
    // Rules B6 and B7: the network of member 1 is back only eight seconds after an hour's suspend.
    let downs = |suspend: bool| {
        let mut lan = Lan::new(3);
        lan.run(20_000);
        if suspend {
            let one = lan.nodes.remove(&1).expect("it runs");
            lan.run(3_600_000);
            lan.wires.clear();
            lan.nodes.insert(1, one);
        }
        lan.deaf = vec![1];
        let before = lan.notices.len();
        lan.event(1, Event::Tick);
        lan.run(8_000);
        let is_down = |(id, notice): &&(u64, Notice<'_>)| {
            *id == 1 && matches!(notice, Notice::Member { change: MemberChange::Down, .. })
        };
        lan.notices[before..].iter().filter(is_down).count()
    };
    assert!(downs(true) <= downs(false), "{} Downs after a suspend, {} without", downs(true), downs(false));
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
fn a_suspicion_from_before_a_leave_begins_anew_after_it() {
    for config in [Config::lan("test"), Config::memberlist_lan("test")] {
        let mut lan = Lan::with(6, &config);
        lan.run(5_000);
        let incarnation = lan.nodes[&3].incarnation();
        let suspicion = Verdict { author: NodeId(50), incarnation, ..verdict(3, MemberState::Suspect) };
        let bytes = datagram(&lan, 2, 1, &[suspicion.into()]);
        lan.event(1, Event::Datagram { from: addr(2), bytes: &bytes });
        lan.command(1, Command::Leave { within: Duration::ZERO });
        lan.wires.clear();
        lan.run(600_000);
        lan.command(1, Command::Join { seeds: vec![addr(2)] });
        lan.run(60_000);
        assert!(!lan.changes(1, 3).contains(&MemberChange::Down), "{:?}", lan.changes(1, 3));
        assert_eq!(lan.nodes[&1].member(NodeId(3)).map(|member| member.state), Some(MemberState::Alive));
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
fn a_link_that_flaps_costs_its_member_fewer_changes_each_minute() {
    // Rule B14: member 3 hears nobody for eight seconds of every sixteen, and others hear it only then.
    let downs = |half_life: Duration| {
        let mut config = Config::lan("test");
        config.membership.flap_half_life = half_life;
        let mut lan = Lan::with(6, &config);
        lan.run(5_000);
        for _ in 0..12 {
            lan.deaf = vec![3];
            lan.run(8_000);
            lan.deaf.clear();
            lan.run(8_000);
        }
        let downs = (1..=6)
            .filter(|id| *id != 3)
            .map(|id| lan.changes(id, 3).into_iter().filter(|change| *change == MemberChange::Down).count());
        downs.sum::<usize>()
    };
    let (damped, undamped) = (downs(Duration::from_secs(120)), downs(Duration::ZERO));
    assert!(damped * 3 <= undamped, "{damped} Downs with damping, {undamped} without");
}

#[test]
fn a_refutation_is_a_verdict_and_changes_no_root() {
    let mut lan = Lan::new(4);
    lan.run(3_000);
    let (before, roots) = (lan.nodes[&2].incarnation(), lan.nodes[&1].roots());
    let heard = Verdict { incarnation: before, author: NodeId(3), ..verdict(2, MemberState::Suspect) };
    let bytes = datagram(&lan, 3, 2, &[heard.into()]);
    let records = lan.kinds.get(&Kind::Alive).copied();
    lan.event(2, Event::Datagram { from: addr(3), bytes: &bytes });
    lan.run(3_000);
    let now = lan.nodes[&2].incarnation();
    assert_eq!((now, now.published()), (before.refuted(), before.published()));
    for id in [1, 3, 4] {
        assert_eq!(table(&lan, id).get(NodeId(2)).map(|entry| entry.incarnation()), Some(now), "at {id}");
        assert!(!table(&lan, id).get(NodeId(2)).expect("it is known").lacks_content());
    }
    assert_eq!((lan.nodes[&1].roots(), lan.kinds.get(&Kind::Alive).copied()), (roots, records));
    // The next change of the record comes after it.
    lan.command(2, Command::SetMeta(vec![1]));
    lan.run(1_000);
    assert!(lan.nodes[&2].incarnation() > now && lan.agree() && lan.nodes[&1].roots() != roots);
}

#[test]
fn who_hears_of_a_suspicion_and_gets_no_answer_confirms_it() {
    let mut lan = Lan::new(8);
    lan.run(5_000);
    lan.deaf = vec![3];
    // Member 2 alone watches member 3, and nobody else comes to it by chance within the next second.
    let suspected =
        |lan: &Lan, id: u64| lan.nodes[&id].machines().membership.suspicions.get(&NodeId(3)).cloned();
    while suspected(&lan, 2).is_none() {
        lan.run(1);
    }
    lan.run(800);
    let authors = suspected(&lan, 2).expect("it lasts").authors;
    assert!(
        authors.len() > usize::from(Config::lan("test").membership.suspicion_confirmations),
        "{authors:?}"
    );
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

/// Lets member 3 fail until node 1 shows it as Down, and hear again for `millis`.
pub(super) fn flap(lan: &mut Lan, millis: u64) {
    lan.deaf = vec![3];
    while table(lan, 1).get(NodeId(3)).expect("it is known").is_live() {
        lan.run(10);
    }
    lan.deaf.clear();
    lan.run(millis);
}

#[test]
fn a_member_that_goes_on_returning_is_shown_as_down_until_it_is_quiet() {
    let config = Config::lan("test");
    let mut lan = Lan::with(6, &config);
    lan.run(5_000);
    (0..2).for_each(|_| flap(&mut lan, 5_000));
    assert_eq!(lan.changes(1, 3).iter().filter(|change| **change == MemberChange::Up).count(), 3);
    // Its third return within the half-life is not told, and neither is what follows.
    lan.notices.clear();
    flap(&mut lan, 5_000);
    let node = &lan.nodes[&1];
    let until = node.probation(NodeId(3)).expect("it is on probation");
    assert!(table(&lan, 1).get(NodeId(3)).expect("it is held").is_live());
    assert_eq!((lan.states(1)[2], node.member_count()), ((3, MemberState::Down), 5));
    assert!(lan.agree() && node.why_down(NodeId(3)).is_some());
    assert!(!lan.changes(1, 3).contains(&MemberChange::Up), "{:?}", lan.changes(1, 3));
    // A suspicion begins the time anew, and a failure is no news.
    lan.notices.clear();
    flap(&mut lan, 5_000);
    let later = lan.nodes[&1].probation(NodeId(3)).expect("it still is");
    assert!(later > until && lan.changes(1, 3).is_empty(), "{:?}", lan.changes(1, 3));
    lan.run(u64::try_from(later.since(lan.now).as_millis()).expect("small") + 1);
    assert_eq!(lan.changes(1, 3), [MemberChange::Up]);
    assert_eq!((lan.states(1)[2].1, lan.nodes[&1].member_count()), (MemberState::Alive, 6));
    assert!(lan.nodes[&1].why_down(NodeId(3)).is_none());
}

#[test]
fn a_member_on_probation_may_be_admitted_refused_and_may_leave() {
    let on_probation = || {
        let mut lan = Lan::with(6, &Config::lan("test"));
        lan.run(5_000);
        (0..3).for_each(|_| flap(&mut lan, 5_000));
        assert!(lan.nodes[&1].probation(NodeId(3)).is_some());
        lan.notices.clear();
        lan
    };
    let mut lan = on_probation();
    lan.command(1, Command::Admit { id: NodeId(3), admission: Admission::Accept });
    assert_eq!((lan.changes(1, 3), lan.nodes[&1].probation(NodeId(3))), (vec![MemberChange::Up], None));
    let mut lan = on_probation();
    lan.command(1, Command::Admit { id: NodeId(3), admission: Admission::Veto });
    assert_eq!((lan.changes(1, 3), lan.nodes[&1].probation(NodeId(3))), (vec![MemberChange::Left], None));
    let mut lan = on_probation();
    lan.command(3, Command::Leave { within: Duration::from_secs(1) });
    lan.run(1_000);
    assert_eq!((lan.changes(1, 3), lan.nodes[&1].probation(NodeId(3))), (vec![MemberChange::Left], None));
    // A node that leaves and joins again goes on with it.
    let mut lan = on_probation();
    lan.command(1, Command::Leave { within: Duration::from_secs(1) });
    lan.run(1_000);
    lan.command(1, Command::Join { seeds: vec![addr(2)] });
    lan.run(5_000);
    assert!(lan.nodes[&1].probation(NodeId(3)).is_some() && lan.states(1)[2].1 == MemberState::Down);
    lan.run(600_000);
    assert_eq!(lan.states(1)[2].1, MemberState::Alive);
}

#[test]
fn a_ping_to_a_suspect_carries_the_suspicion() {
    // Lifeguard's buddy system: gossip about the suspicion has ended by the time of the last pings.
    let mut lan = Lan::new(3);
    lan.run(5_000);
    lan.deaf = vec![3];
    while !lan.nodes[&1].machines().membership.suspicions.contains_key(&NodeId(3)) {
        lan.run(1);
    }
    while !lan.nodes[&1].machines().membership.updates.is_empty() {
        lan.run(1);
    }
    let mut pings = 0;
    while lan.nodes[&1].machines().membership.suspicions.contains_key(&NodeId(3)) {
        let gossips = !lan.nodes[&1].machines().membership.updates.is_empty();
        lan.run(1);
        if gossips {
            continue;
        }
        for (_, _, bytes) in lan.wires.values().filter(|(from, to, _)| (*from, *to) == (addr(1), addr(3))) {
            let described = wire::describe(bytes).expect("just written");
            let kinds: Vec<Kind> = described.kinds().collect();
            pings += usize::from(kinds.contains(&Kind::Ping));
            assert!(!kinds.contains(&Kind::Ping) || kinds.contains(&Kind::Accused), "{kinds:?}");
        }
    }
    assert!(pings >= 2, "{pings} pings");
}

#[test]
fn an_isolated_node_passes_no_verdict_while_it_may_be_at_fault_itself() {
    // Rule B6: all suspicions end within the silence of eight seconds, and before its freeze does.
    let mut config = Config::lan("test");
    config.membership.isolation_periods = 2;
    let mut lan = Lan::with(3, &config);
    lan.run(20_000);
    lan.deaf = vec![1];
    lan.run(8_000);
    assert!(lan.nodes[&1].stats().verdicts_postponed > 0);
    lan.deaf.clear();
    lan.run(10_000);
    for id in [2, 3] {
        let changes = lan.changes(1, id);
        assert!(changes.contains(&MemberChange::Suspected) && !changes.contains(&MemberChange::Down));
    }
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
fn a_member_that_all_suspect_still_has_the_time_to_refute() {
    for config in [Config::lan("test"), Config::memberlist_lan("test")] {
        let mut lan = Lan::with(8, &config);
        lan.run(5_000);
        let incarnation = lan.nodes[&3].incarnation();
        for author in 4..=8 {
            let heard = Verdict { author: NodeId(author), incarnation, ..verdict(3, MemberState::Suspect) };
            let bytes = datagram(&lan, 2, 1, &[heard.into()]);
            lan.event(1, Event::Datagram { from: addr(2), bytes: &bytes });
        }
        lan.run(3_000);
        let expected = [MemberChange::Up, MemberChange::Suspected, MemberChange::Refuted];
        assert_eq!(lan.changes(1, 3), expected);
    }
}

#[test]
fn a_heard_down_removes_a_healthy_member_only_if_the_settings_believe_it() {
    for config in [Config::lan("test"), Config::memberlist_lan("test")] {
        for hearsay in [Hearsay::Doubt, Hearsay::Believe] {
            let mut config = config.clone();
            config.membership.hearsay = hearsay;
            let mut lan = Lan::with(8, &config);
            lan.run(5_000);
            let incarnation = lan.nodes[&3].incarnation();
            let down = Verdict { incarnation, ..verdict(3, MemberState::Down) };
            let bytes = datagram(&lan, 2, 1, &[down.into()]);
            lan.event(1, Event::Datagram { from: addr(2), bytes: &bytes });
            lan.run(30_000);
            let expected: &[MemberChange] = match hearsay {
                Hearsay::Doubt => &[MemberChange::Up, MemberChange::Suspected, MemberChange::Refuted],
                Hearsay::Believe => &[MemberChange::Up, MemberChange::Down, MemberChange::Up],
            };
            assert_eq!(lan.changes(1, 3), expected);
        }
    }
}

#[test]
fn an_obituary_tells_when_the_member_was_last_heard() {
    let mut lan = Lan::new(4);
    lan.run(20_000);
    let crashed = lan.now;
    lan.nodes.remove(&3);
    lan.run(20_000);
    for id in [1, 2, 4] {
        let heard = lan.nodes[&id].why_down(NodeId(3)).and_then(|obituary| obituary.last_heard);
        let heard = heard.expect("it was a member");
        let silence = crashed.since(heard);
        assert!(
            heard <= crashed + Duration::from_millis(1) && silence < Duration::from_secs(5),
            "{silence:?}"
        );
    }
}

#[test]
fn a_suspect_that_is_heard_gets_more_time_than_one_that_is_silent() {
    // Rule B1: member 1 hears nobody but, in the second case, a ping of the suspect each second.
    let suspected_for = |pings: bool| {
        let mut lan = Lan::new(4);
        lan.run(5_000);
        let ping = datagram(&lan, 3, 1, &[Ping { seq: 1, roots: [0; 3] }.into()]);
        let voice = datagram(&lan, 2, 1, &[Ping { seq: 1, roots: [0; 3] }.into()]);
        let incarnation = lan.nodes[&3].incarnation();
        let suspicion = Verdict { author: NodeId(2), incarnation, ..verdict(3, MemberState::Suspect) };
        let bytes = datagram(&lan, 2, 1, &[suspicion.into()]);
        lan.event(1, Event::Datagram { from: addr(2), bytes: &bytes });
        lan.deaf = vec![1, 3];
        let start = lan.now;
        while !lan.changes(1, 3).contains(&MemberChange::Down) {
            lan.run(1_000);
            lan.event(1, Event::Datagram { from: addr(2), bytes: &voice });
            if pings {
                lan.event(1, Event::Datagram { from: addr(3), bytes: &ping });
            }
        }
        lan.now.since(start)
    };
    let (silent, heard) = (suspected_for(false), suspected_for(true));
    assert!(heard > silent, "{heard:?} if it is heard, and {silent:?} if not");
}

#[test]
fn a_suspect_is_asked_again_and_again_before_its_verdict() {
    // Rule B1: in the last half second member 1 never waits 90 ms before it asks once more.
    let mut lan = Lan::new(4);
    lan.run(5_000);
    lan.nodes.remove(&3);
    let mut asked = Vec::new();
    while !lan.changes(1, 3).contains(&MemberChange::Down) {
        lan.run(1);
        let asks = |(from, to, _): &(SocketAddr, SocketAddr, Vec<u8>)| (*from, *to) == (addr(1), addr(3));
        if lan.wires.values().any(asks) {
            asked.push(lan.now);
        }
    }
    let last_word = lan.now - Config::lan("test").membership.probe_timeout;
    let times: Vec<Time> = asked.into_iter().filter(|at| *at >= last_word).chain([lan.now]).collect();
    let waits: Vec<Duration> = times.windows(2).map(|pair| pair[1].since(pair[0])).collect();
    let longest = waits.iter().max().expect("it asks");
    assert!(waits.len() >= 6 && *longest < Duration::from_millis(90), "{waits:?}");
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
