//! Suspicions: how they are confirmed, delayed and refuted, the last word before a verdict, and members that flap.

use core::net::SocketAddr;
use core::time::Duration;

use super::test_support::{datagram, table, verdict};
use super::*;
use crate::action::{MemberChange, Notice};
use crate::command::{Admission, Command};
use crate::config::Hearsay;
use crate::event::Event;
use crate::lan::{Lan, addr};
use crate::wire::{self, Kind, Verdict};

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
