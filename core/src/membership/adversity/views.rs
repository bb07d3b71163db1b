//! What the application is told and shown of members that leave, move, sleep, come and go (rules B3, B5, B14).

use core::time::Duration;
use std::vec;

use super::super::suspicion_tests::flap;
use super::super::test_support::table;
use super::super::*;
use super::net::Net;
use crate::action::{Action, MemberChange, Notice};
use crate::command::{Admission, Command};
use crate::config::AdmissionPolicy;
use crate::event::Event;
use crate::lan::{Lan, addr, boot};

fn comparisons(lan: &Lan) -> u64 {
    lan.nodes.values().map(|node| node.stats().reconciliations).sum()
}

/// A group whose member 4 has left and ended just now. Its tombstone is held back after 200 s.
fn without_its_leaver() -> (Config, Lan) {
    let mut config = Config::lan("test");
    config.membership.forget_after = Duration::from_secs(400);
    let mut lan = Lan::with(4, &config);
    lan.run(3_000);
    lan.command(4, Command::Leave { within: Duration::from_secs(1) });
    lan.run(2_000);
    lan.nodes.remove(&4);
    (config, lan)
}

// B3: the operator removes a member that has left already.
#[test]
fn a_removal_of_a_member_that_has_left_leaves_roots_equal() {
    let (_, mut lan) = without_its_leaver();
    lan.run(190_000);
    assert!(lan.agree());
    lan.command(1, Command::RemovePeer(NodeId(4)));
    lan.run(20_000);
    // The others hold the verdict back now.
    let before = comparisons(&lan);
    let mut differ = 0;
    for _ in 0..150 {
        lan.run(1_000);
        differ += u64::from(!lan.agree());
    }
    let after = comparisons(&lan);
    assert_eq!((differ, after - before), (0, 0), "seconds of different roots, comparisons");
}

// B3, as above with a verdict that all hold back already: it comes back to life.
#[test]
fn a_removal_of_a_held_back_member_is_refused() {
    let (config, mut lan) = without_its_leaver();
    lan.run(250_000);
    assert!(lan.agree());
    lan.start(boot(5, 1), &config);
    lan.run(5_000);
    assert!(lan.agree());
    let refused = lan.refused(1, Command::RemovePeer(NodeId(4)));
    assert_eq!(refused, crate::Rejected::UnknownMember(NodeId(4)), "the view does not show it any more");
}

// MemberChange: "Up, then ..., then Down, Left, or Down and then Left; then Up again, or Forgotten".
#[test]
fn a_member_that_left_during_a_long_sleep_is_told_to_have_left() {
    let mut config = Config::lan("test");
    config.membership.forget_after = Duration::from_secs(100);
    let mut lan = Lan::with(4, &config);
    lan.run(3_000);
    let asleep = lan.nodes.remove(&2).expect("it runs");
    lan.run(100);
    lan.command(4, Command::Leave { within: Duration::from_secs(1) });
    lan.run(2_000);
    lan.nodes.remove(&4);
    lan.run(60_000);
    lan.nodes.insert(2, asleep);
    lan.event(2, Event::Tick);
    lan.run(30_000);
    let changes = lan.changes(2, 4);
    let gone = changes.iter().position(|change| matches!(change, MemberChange::Left | MemberChange::Down));
    let forgotten = changes.iter().position(|change| *change == MemberChange::Forgotten);
    assert!(forgotten.is_none() || gone.is_some(), "{changes:?}");
}

// MemberChange, CM11: "Down, Left, or Down and then Left; then Up again"; the last notice agrees with the view.
#[test]
fn a_leaver_that_returns_and_crashes_while_the_observer_sleeps_is_told_in_order() {
    let mut lan = Lan::new(4);
    lan.run(5_000);
    lan.command(4, Command::Leave { within: Duration::from_secs(1) });
    lan.run(3_000);
    assert_eq!(lan.changes(1, 4).last(), Some(&MemberChange::Left));
    let asleep = lan.nodes.remove(&1).expect("it runs");
    lan.command(4, Command::Join { seeds: vec![addr(2)] });
    lan.run(10_000);
    assert_eq!(lan.changes(2, 4).last(), Some(&MemberChange::Up));
    lan.nodes.remove(&4);
    lan.run(60_000);
    assert_eq!(lan.changes(2, 4).last(), Some(&MemberChange::Down));
    lan.nodes.insert(1, asleep);
    lan.event(1, Event::Tick);
    lan.run(30_000);
    let view = lan.nodes[&1].member(NodeId(4)).map(|member| member.state);
    std::println!("the view shows {view:?}, told {:?}", lan.changes(1, 4));
    lan.command(2, Command::RemovePeer(NodeId(4)));
    lan.run(10_000);
    let changes = lan.changes(1, 4);
    let twice = changes.windows(2).any(|pair| pair == [MemberChange::Left, MemberChange::Left]);
    assert!(!twice && view == Some(MemberState::Down), "the view showed {view:?}, told were {changes:?}");
    let told = [MemberChange::Left, MemberChange::Up, MemberChange::Down, MemberChange::Left];
    assert!(changes.ends_with(&told), "{changes:?}");
}

// CM11: "The last one agrees with the view": a member restarts with another protocol range.
#[test]
fn a_member_that_restarts_with_another_protocol_is_told_to_be_gone() {
    let mut lan = Lan::new(3);
    lan.run(5_000);
    lan.nodes.remove(&3);
    let mut config = Config::lan("test");
    config.membership.protocol = (2, 2);
    lan.start(boot(3, 5), &config);
    lan.run(30_000);
    let view = lan.nodes[&1].member(NodeId(3)).map(|member| member.state);
    let changes = lan.changes(1, 3);
    let told_up = !matches!(
        changes.last(),
        None | Some(MemberChange::Down | MemberChange::Left | MemberChange::Forgotten)
    );
    assert_eq!(view.is_some(), told_up, "{view:?} {changes:?}");
}

// Command::Admit is about members; on the node itself it hides the node from its own view and its own deliveries.
#[test]
fn a_veto_of_oneself_is_refused() {
    let mut lan = Lan::new(3);
    lan.run(3_000);
    let admission = Admission::Veto;
    lan.event(1, Event::Command(Command::Admit { id: NodeId(1), admission }));
    lan.run(1_000);
    lan.command(1, Command::Broadcast(crate::Broadcast::new("a", vec![1])));
    lan.run(1_000);
    let delivered: Vec<_> = lan
        .notices
        .iter()
        .filter(|(_, n)| matches!(n, Notice::Delivered { .. }))
        .map(|(id, _)| *id)
        .collect();
    assert!(
        delivered.contains(&1) && lan.nodes[&1].member_count() == 3,
        "{delivered:?} {}",
        lan.nodes[&1].member_count()
    );
}

// CM11: "The last one agrees with the view": a veto of a Down member that is taken back.
#[test]
fn a_member_that_is_admitted_while_it_is_down_is_shown_when_it_returns() {
    let mut lan = Lan::new(4);
    lan.run(5_000);
    lan.nodes.remove(&3);
    lan.run(30_000);
    lan.command(1, Command::Admit { id: NodeId(3), admission: Admission::Veto });
    lan.command(1, Command::Admit { id: NodeId(3), admission: Admission::Accept });
    lan.run(1_000);
    assert_eq!(lan.nodes[&1].member(NodeId(3)), None);
    assert_eq!(lan.changes(1, 3).last(), Some(&MemberChange::Forgotten));
    lan.start(boot(3, 2_000_000), &Config::lan("test"));
    lan.run(10_000);
    assert_eq!(lan.nodes[&1].member(NodeId(3)).map(|member| member.state), Some(MemberState::Alive));
    let end = [MemberChange::Forgotten, MemberChange::Up, MemberChange::Restarted];
    assert!(lan.changes(1, 3).ends_with(&end), "{:?}", lan.changes(1, 3));
}

// "A member that is connected and running is Alive everywhere in the end": the only member that knows two others sends
// from another address than the one in its record.
#[test]
fn what_only_a_member_behind_a_translator_knows_reaches_the_others() {
    let config = Config::lan("test");
    let mut net = Net::new();
    net.translated.insert(2, addr(102));
    for key in 1..=3 {
        net.begin(key, addr(key), vec![addr(1)], &config);
    }
    net.run(5_000);
    net.cuts = [(1, 3), (3, 4)].into();
    net.begin(4, addr(4), vec![addr(1)], &config);
    net.run(3_000);
    net.nodes.remove(&1);
    net.cuts.clear();
    net.run(300_000);
    let seen: Vec<_> = [2, 3, 4]
        .into_iter()
        .flat_map(|a| [2, 3, 4].map(|b| (a, b)))
        .map(|(a, b)| (a, b, net.state(a, b)))
        .collect();
    assert!(seen.iter().all(|(_, _, state)| *state == Some(MemberState::Alive)), "{seen:?}");
}

// "After a partition heals, all views become equal": members that have moved during the cut, in all small ways.
#[test]
fn members_that_move_during_a_cut_come_back() {
    for forget in [60, 86_400] {
        for movers in [vec![2], vec![3], vec![2, 4], vec![3, 4, 5], vec![2, 3, 4, 5], vec![1, 2]] {
            for seeds in [vec![addr(1)], vec![addr(1), addr(3)]] {
                if seeds.iter().all(|seed| movers.iter().any(|mover| addr(*mover) == *seed)) {
                    continue;
                }
                let mut config = Config::lan("test");
                config.membership.forget_after = Duration::from_secs(forget);
                let mut net = Net::new();
                (1..=5).for_each(|key| net.begin(key, addr(key), seeds.clone(), &config));
                net.run(5_000);
                net.cuts = [1, 2].iter().flat_map(|a| [3, 4, 5].map(|b| (*a, b))).collect();
                net.run(40_000);
                for mover in &movers {
                    net.moved.insert(*mover, addr(100 + mover));
                    net.event(*mover, Event::Command(Command::SetAddr(addr(100 + mover))));
                }
                net.run(40_000);
                net.cuts.clear();
                net.run(150_000);
                let all: Vec<_> = (1..=5).flat_map(|a| (1..=5).map(move |b| (a, b))).collect();
                let bad: Vec<_> = all
                    .iter()
                    .map(|(a, b)| (a, b, net.nodes[a].member(NodeId(*b)).map(|m| (m.state, m.addr))))
                    .filter(|(_, b, held)| *held != Some((MemberState::Alive, net.place(**b))))
                    .collect();
                assert!(bad.is_empty(), "{forget} {movers:?} {seeds:?}: {bad:?}");
            }
        }
    }
}

/// Cuts process `subject` off until process 1 holds it Down, and lets it return for `millis`.
fn cut_off(net: &mut Net, subject: u64, millis: u64) {
    let others: Vec<u64> = net.nodes.keys().copied().filter(|key| *key != subject).collect();
    net.cuts = others.iter().map(|key| (subject.min(*key), subject.max(*key))).collect();
    let held = |net: &Net| {
        let table = &net.nodes[&1].machines().membership.table;
        table.get(NodeId(subject)).expect("known").is_live()
    };
    while held(net) {
        net.run(20);
    }
    net.cuts.clear();
    net.run(millis);
}

// "A member that is connected and running is Alive everywhere in the end", "at 25 % loss": probation at loss.
#[test]
fn a_probation_ends_at_25_percent_loss() {
    let config = Config::lan("test");
    let mut net = Net::new();
    (1..=6).for_each(|key| net.begin(key, addr(key), vec![addr(1)], &config));
    net.run(5_000);
    (0..7).for_each(|_| cut_off(&mut net, 3, 5_000));
    assert!(net.nodes[&1].probation(NodeId(3)).is_some());
    net.loss = 25;
    let begin = net.now;
    let mut ended = None;
    for _ in 0..180 {
        net.run(20_000);
        if net.nodes[&1].probation(NodeId(3)).is_none() {
            ended = Some(net.now.since(begin));
            break;
        }
    }
    std::println!("ended after {ended:?}; {:?} {:?}", net.state(1, 2), net.changes(1, 2));
    assert!(ended.is_some(), "an hour; it is {:?} in the table", {
        let held = &net.nodes[&1].machines().membership.table;
        held.get(NodeId(3)).map(table::Entry::state)
    });
}

// B14: "until nobody has suspected it for a greatest suspicion time": the observer has slept all the while.
#[test]
fn a_sleep_of_the_observer_ends_no_probation() {
    let mut lan = Lan::new(5);
    lan.run(5_000);
    (0..3).for_each(|_| flap(&mut lan, 3_000));
    assert!(lan.nodes[&1].probation(NodeId(3)).is_some());
    let mut asleep = lan.nodes.remove(&1).expect("runs");
    lan.nodes.remove(&3);
    lan.run(700_000);
    lan.wires.clear();
    let told = asleep.handle(Event::Tick, lan.now);
    let up = told.iter().any(|action| {
        matches!(action, Action::Notify(Notice::Member { change: MemberChange::Up, member }) if member.id == NodeId(3))
    });
    assert!(!up, "it crashed eleven minutes ago, and nobody was heard since");
}

// B14: a probation of a member that is forgotten does not end the admission of its successor.
#[test]
fn a_probation_ends_with_the_member() {
    let mut config = Config::lan("test");
    config.membership.forget_after = Duration::from_secs(60);
    config.membership.admission = AdmissionPolicy::Ask(Duration::from_secs(3_600));
    let mut lan = Lan::with(4, &config);
    lan.run(5_000);
    for observer in 1..=4 {
        for id in (1..=4).filter(|id| *id != observer) {
            lan.command(observer, Command::Admit { id: NodeId(id), admission: Admission::Accept });
        }
    }
    (0..3).for_each(|_| flap(&mut lan, 3_000));
    assert!(lan.nodes[&1].probation(NodeId(3)).is_some());
    // It is upgraded, and speaks another protocol for a moment.
    lan.nodes.remove(&3);
    let mut other = config.clone();
    other.membership.protocol = (2, 2);
    lan.start(boot(3, 5), &other);
    lan.run(2_000);
    lan.nodes.remove(&3);
    while table(&lan, 1).get(NodeId(3)).is_some() {
        lan.run(1_000);
    }
    let open = lan.nodes[&1].probation(NodeId(3));
    lan.start(boot(3, 9), &config);
    lan.notices.clear();
    lan.run(600_000);
    let told = lan.changes(1, 3);
    assert!(open.is_none() && told.is_empty(), "{open:?}; the application has not answered: {told:?}");
}
