//! Loss, cuts and small caches: each member gets the messages that some member within reach holds, and a report of the others.

use bruit_core::wire::Kind;
use bruit_core::{BroadcastConfig, MessageId, broadcast::Repair};
use bruit_sim::{Cut, Filter, Index, NetworkConfig};

use super::group::{Group, presets};
use crate::support::{Checked, link, millis, secs};

#[test]
fn the_last_message_of_a_silent_origin_is_found_after_a_cut() -> Checked {
    // Rule C3: no message follows that would show the gap, and no member announces it any more.
    for (name, broadcast) in presets() {
        let mut group = Group::of(320, 6, broadcast)?;
        group.lan.sim.run_for(secs(5))?;
        let cut = group.lan.sim.cut(&Cut::Split { groups: vec![vec![Index(5)]] })?;
        group.lan.sim.run_for(millis(10))?;
        let id = group.broadcasts(0, "the last")?;
        group.lan.sim.run_for(secs(60))?;
        assert!(!group.deliveries.has(5, id), "{name}");
        group.lan.sim.heal(cut)?;
        let within = group.lan.bounds().broadcast.repair;
        group.until_all_have(&[id], within)?;
        group.rest()?;
    }
    Ok(())
}

#[test]
fn the_last_message_of_an_origin_that_was_cut_off_reaches_all_in_groups_of_any_size() -> Checked {
    // Rules B9 and C3: only the origin has the newer mark. In these groups some sixteenth of the line holds more than
    // eight members, all but one of them equal on both sides.
    for members in 28..=47 {
        let mut group = Group::of(330 + u64::from(members), members, BroadcastConfig::tree())?;
        let others: Vec<MessageId> =
            (0..members).map(|origin| group.broadcasts(origin, "hello")).collect::<Result<_, _>>()?;
        group.until_all_have(&others, secs(20))?;
        let cut = group.lan.sim.cut(&Cut::Split { groups: vec![vec![Index(7)]] })?;
        group.lan.sim.run_for(millis(10))?;
        let id = group.broadcasts(7, "the last")?;
        group.lan.sim.run_for(secs(30))?;
        group.lan.sim.heal(cut)?;
        group.until_all_have(&[id], secs(40))?;
    }
    Ok(())
}

#[test]
fn the_last_message_of_a_crashed_origin_is_found_after_a_cut() -> Checked {
    let mut group = Group::of(321, 6, BroadcastConfig::tree())?;
    let cut = group.lan.sim.cut(&Cut::Split { groups: vec![vec![Index(5)]] })?;
    let id = group.broadcasts(0, "the last")?;
    group.lan.sim.run_for(secs(10))?;
    group.lan.sim.crash(Index(0))?;
    group.lan.sim.run_for(secs(30))?;
    group.lan.sim.heal(cut)?;
    let within = group.lan.bounds().broadcast.repair;
    group.until_all_have(&[id], within)?;
    group.rest()
}

#[test]
fn a_last_message_that_no_member_holds_is_reported_as_lost() -> Checked {
    // The caches of pbcast end with the rounds (rule C5), and the cut lasts longer.
    let kept = BroadcastConfig { keep_rounds: Some(10), lost_after: secs(5), ..BroadcastConfig::bimodal() };
    let mut group = Group::of(322, 6, kept)?;
    let first = group.broadcasts(0, "the first")?;
    group.until_all_have(&[first], secs(10))?;
    let cut = group.lan.sim.cut(&Cut::Split { groups: vec![vec![Index(5)]] })?;
    group.lan.sim.run_for(millis(10))?;
    let id = group.broadcasts(0, "the last")?;
    group.lan.sim.run_for(secs(60))?;
    assert!((0..5).all(|index| group.lan.node(index).cached(id).is_none()), "the caches have ended");
    group.lan.sim.heal(cut)?;
    let deliveries = group.deliveries.clone();
    let within = group.lan.bounds().broadcast.repair + secs(5);
    group.lan.until(within, move |_| deliveries.is_lost(5, id))?;
    group.rest()
}

#[test]
fn a_cache_smaller_than_what_is_in_flight_loses_the_oldest_and_says_so() -> Checked {
    for (name, broadcast) in presets() {
        let small = BroadcastConfig {
            cache_bytes_max: 256 << 10,
            pending_bytes_max: 128 << 10,
            lost_after: secs(3),
            ..broadcast
        };
        let mut group = Group::of(323, 5, small)?;
        let first = group.broadcasts(0, "before")?;
        group.until_all_have(&[first], secs(10))?;
        let cut = group.lan.sim.cut(&Cut::Split { groups: vec![vec![Index(4)]] })?;
        let mut ids: Vec<MessageId> = Vec::new();
        for _ in 0..30 {
            ids.push(group.broadcasts_bytes(0, 30_000)?);
            group.lan.sim.run_for(secs(1))?;
        }
        assert!(
            (1..4).all(|index| ids.iter().all(|id| group.deliveries.has(index, *id))),
            "{name}: those within reach"
        );
        group.lan.sim.heal(cut)?;
        let within = group.lan.bounds().broadcast.repair + secs(10);
        let (deliveries, sent) = (group.deliveries.clone(), ids.clone());
        group.lan.until(within, move |_| {
            sent.iter().all(|id| deliveries.has(4, *id) || deliveries.is_lost(4, *id))
        })?;
        let lost = ids.iter().filter(|id| group.deliveries.is_lost(4, **id)).count();
        let kept = ids.iter().filter(|id| group.deliveries.has(4, **id)).count();
        assert_eq!(lost + kept, 30, "{name}: each is one or the other");
        // About eight of them fit in 256 KiB.
        assert!((5..=9).contains(&kept), "{name}: {kept} were still held");
        assert!(group.deliveries.has(4, *ids.last().expect("there are some")), "{name}: the latest is");
        group.rest()?;
    }
    Ok(())
}

#[test]
fn at_25_percent_loss_no_member_misses_a_message() -> Checked {
    for (name, broadcast) in presets() {
        let mut group = Group::of(324, 12, broadcast)?;
        group.lan.sim.set_network(NetworkConfig::uniform(link().with_loss(250_000)))?;
        let mut ids = Vec::new();
        for number in 0..40 {
            ids.push(group.broadcasts(number % 12, &format!("m{number}"))?);
            group.lan.sim.run_for(millis(50))?;
        }
        group.until_all_have(&ids, secs(180))?;
        assert!(ids.iter().all(|id| group.given_once(*id) == 12), "{name}");
    }
    Ok(())
}

#[test]
fn without_the_first_phase_and_without_rounds_the_marks_are_enough() -> Checked {
    let marks = BroadcastConfig {
        first: bruit_core::broadcast::FirstPhase::None,
        repair: Repair::None,
        ..BroadcastConfig::tree()
    };
    let mut group = Group::of(325, 16, marks)?;
    let ids: Vec<MessageId> = (0..8).map(|index| group.broadcasts(index, "x")).collect::<Result<_, _>>()?;
    let within = group.lan.bounds().broadcast.everywhere;
    group.until_all_have(&ids, within)?;
    group.rest()
}

#[test]
fn a_message_that_its_holders_do_not_refuse_is_not_lost() -> Checked {
    let impatient = BroadcastConfig { lost_after: secs(3), ..BroadcastConfig::tree() };
    let mut group = Group::of(326, 5, impatient)?;
    let cut = group.lan.sim.cut(&Cut::Split { groups: vec![vec![Index(4)]] })?;
    let missed = group.broadcasts(0, "missed")?;
    group.lan.sim.run_for(millis(500))?;
    group.lan.sim.heal(cut)?;
    // The members that are asked have the message, but their answers are lost. That is not a refusal.
    group.lan.sim.set_filter(Some(Filter::without(&[Kind::Publish])));
    group.lan.sim.run_for(secs(20))?;
    assert!(
        !group.deliveries.has(4, missed) && !group.deliveries.is_lost(4, missed),
        "the members that have it did not refuse it"
    );
    group.lan.sim.set_filter(None);
    let within = group.lan.bounds().broadcast.repair;
    group.until_all_have(&[missed], within)?;
    group.rest()
}

#[test]
fn a_group_address_reaches_all_in_one_datagram() -> Checked {
    let address = "239.7.5.69:7569".parse().expect("an address");
    let first = bruit_core::broadcast::FirstPhase::Multicast { group: Some(address) };
    let mut group = Group::of(327, 10, BroadcastConfig { first, ..BroadcastConfig::bimodal() })?;
    group.lan.sim.run_for(secs(5))?;
    let copies = group.lan.sim.cluster().counters().fanned_out;
    let id = group.broadcasts(3, "x")?;
    group.until_all_have(&[id], millis(20))?;
    assert_eq!(group.lan.sim.cluster().counters().fanned_out - copies, 8, "one datagram, nine copies");
    assert_eq!(group.costs.sent(Kind::Publish).0, 1);
    group.lan.sim.set_network(NetworkConfig::uniform(link().with_loss(90_000)))?;
    let mut ids = Vec::new();
    for number in 0..30 {
        ids.push(group.broadcasts(number % 10, &format!("m{number}"))?);
        group.lan.sim.run_for(millis(30))?;
    }
    group.until_all_have(&ids, secs(60))?;
    Ok(())
}
