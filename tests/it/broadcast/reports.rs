//! Reports of the delivery of a broadcast (rule C6): a majority, all members, the missing ones, and the costs.

use bruit_core::wire::Kind;
use bruit_core::{Broadcast, BroadcastConfig, MessageId, NodeId, Notice, Rejected, broadcast::Reached};
use bruit_sim::{Cut, Filter, Index};

use super::group::{Group, presets, with};
use crate::support::{Checked, millis, secs};

fn reports(group: &Group, id: MessageId) -> Vec<Reached> {
    let reached = |notice: &Notice<'static>| match notice {
        Notice::Report { id: of, reached } if *of == id => Some(reached.clone()),
        _ => None,
    };
    group.lan.notices.all().iter().filter_map(|(_, _, notice)| reached(notice)).collect()
}

#[test]
fn a_majority_and_then_all() -> Checked {
    for (name, broadcast) in presets() {
        let mut group = Group::of(380, 9, broadcast)?;
        let id = group.accepted(2, Broadcast::new("", "x").report(secs(30)))?;
        let spread = group.lan.node(2).report(id).expect("it is reported on");
        assert_eq!((spread.of, spread.have), (9, 1), "{name}");
        assert_eq!(spread.missing.len(), 8, "{name}");
        group.lan.sim.run_for(secs(25))?;
        let expected = [Reached::Majority, Reached::All { without: Vec::new() }];
        assert_eq!(reports(&group, id), expected, "{name}");
        assert_eq!(group.lan.node(2).report(id), None, "{name}: it is over");
        group.rest()?;
    }
    Ok(())
}

#[test]
fn a_report_names_the_missing_members_when_its_time_is_over() -> Checked {
    for (name, broadcast) in presets() {
        let mut group = Group::of(381, 5, broadcast)?;
        // The time is too short for the two to be called Down.
        group.lan.sim.cut(&Cut::Split { groups: vec![vec![Index(3), Index(4)]] })?;
        let id = group.accepted(0, Broadcast::new("", "x").report(secs(2)))?;
        group.lan.sim.run_for(millis(1_900))?;
        let missing = vec![NodeId(4), NodeId(5)];
        assert_eq!(group.lan.node(0).report(id).expect("not over").missing, missing, "{name}");
        group.lan.sim.run_for(millis(200))?;
        assert_eq!(reports(&group, id), [Reached::Majority, Reached::TimedOut { missing }], "{name}");
        group.lan.sim.heal_all()?;
        group.rest()?;
    }
    Ok(())
}

#[test]
fn a_report_lists_members_that_fail_and_ignores_members_that_join() -> Checked {
    let mut group = Group::of(382, 5, BroadcastConfig::tree())?;
    group.lan.sim.crash(Index(4))?;
    let id = group.accepted(0, Broadcast::new("", "x").report(secs(120)))?;
    group.lan.sim.spawn_many(2)?;
    group.lan.sim.run_for(secs(100))?;
    let expected = [Reached::Majority, Reached::All { without: vec![NodeId(5)] }];
    assert_eq!(reports(&group, id), expected);
    group.rest()
}

#[test]
fn a_minority_is_no_majority() -> Checked {
    let mut group = Group::of(383, 5, BroadcastConfig::tree())?;
    group.lan.sim.cut(&Cut::Split { groups: vec![vec![Index(0), Index(1)]] })?;
    let id = group.accepted(0, Broadcast::new("", "x").report(secs(2)))?;
    group.lan.sim.run_for(secs(3))?;
    let missing = vec![NodeId(3), NodeId(4), NodeId(5)];
    assert_eq!(reports(&group, id), [Reached::TimedOut { missing }]);
    group.lan.sim.heal_all()?;
    group.rest()
}

#[test]
fn a_lone_member_reaches_all() -> Checked {
    let mut group = Group::of(384, 1, BroadcastConfig::tree())?;
    let id = group.accepted(0, Broadcast::new("", "x").report(secs(2)))?;
    group.lan.sim.run_for(secs(3))?;
    assert_eq!(reports(&group, id).last(), Some(&Reached::All { without: Vec::new() }));
    Ok(())
}

#[test]
fn receipts_that_are_lost_are_asked_for() -> Checked {
    let mut group = Group::of(385, 6, BroadcastConfig::tree())?;
    group.lan.sim.set_filter(Some(Filter::without(&[Kind::Receipt])));
    let id = group.accepted(0, Broadcast::new("", "x").report(secs(60)))?;
    group.lan.sim.run_for(secs(2))?;
    assert_eq!(reports(&group, id), []);
    group.lan.sim.set_filter(None);
    group.lan.sim.run_for(secs(58))?;
    assert_eq!(reports(&group, id), [Reached::Majority, Reached::All { without: Vec::new() }]);
    group.rest()
}

#[test]
fn so_many_at_a_time_and_no_more() -> Checked {
    let mut group = Group::configured(386, 2, &with(BroadcastConfig::tree()))?;
    group.lan.sim.cut(&Cut::Isolate { nodes: vec![Index(0)] })?;
    for _ in 0..64 {
        group.accepted(0, Broadcast::new("", "x").report(secs(2)))?;
    }
    let answer = group.submit(0, Broadcast::new("", "x").report(secs(2)))?;
    assert!(matches!(answer, Err(Rejected::TooMany { len: 65, max: 64, .. })), "{answer:?}");
    group.lan.sim.run_for(secs(3))?;
    group.accepted(0, Broadcast::new("", "x").report(secs(2)))?;
    group.lan.sim.heal_all()?;
    group.rest()
}

#[test]
fn without_a_report_there_are_no_receipts() -> Checked {
    let mut group = Group::of(387, 10, BroadcastConfig::tree())?;
    let id = group.broadcasts(0, "x")?;
    group.until_all_have(&[id], secs(5))?;
    group.lan.sim.run_for(secs(10))?;
    assert_eq!((group.costs.sent(Kind::Receipt).0, group.costs.sent(Kind::ReceiptRequest).0), (0, 0));
    assert_eq!(reports(&group, id), []);
    Ok(())
}
