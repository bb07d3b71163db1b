//! Loss, cuts and small caches: everybody gets what is held within reach, or is told that it is lost.

use bruit_core::wire::Kind;
use bruit_core::{BroadcastConfig, MessageId, broadcast::Repair};
use bruit_sim::{Cut, Filter, Index, NetworkConfig};

use super::group::{Group, presets};
use crate::support::{Checked, link, millis, secs};

#[test]
fn the_last_message_of_a_silent_origin_is_found_after_a_cut() -> Checked {
    // Rule C3: nothing follows it that could show the gap, and nobody tells of it any more.
    for (name, broadcast) in presets() {
        let mut group = Group::of(320, 6, broadcast)?;
        group.lan.sim.run_for(secs(5))?;
        let cut = group.lan.sim.cut(&Cut::Split { groups: vec![vec![Index(5)]] })?;
        group.lan.sim.run_for(millis(10))?;
        let id = group.says(0, "the last")?;
        group.lan.sim.run_for(secs(60))?;
        assert!(!group.mail.has(5, id), "{name}");
        group.lan.sim.heal(cut)?;
        let within = group.lan.bounds().broadcast.repair;
        group.until_all_have(&[id], within)?;
        group.rest()?;
    }
    Ok(())
}

#[test]
fn the_last_message_of_an_origin_that_has_died_is_found_too() -> Checked {
    let mut group = Group::of(321, 6, BroadcastConfig::tree())?;
    let cut = group.lan.sim.cut(&Cut::Split { groups: vec![vec![Index(5)]] })?;
    let id = group.says(0, "the last")?;
    group.lan.sim.run_for(secs(10))?;
    group.lan.sim.crash(Index(0))?;
    group.lan.sim.run_for(secs(30))?;
    group.lan.sim.heal(cut)?;
    let within = group.lan.bounds().broadcast.repair;
    group.until_all_have(&[id], within)?;
    group.rest()
}

#[test]
fn the_last_message_that_nobody_holds_any_more_is_told_as_lost() -> Checked {
    // pbcast's caches end with the rounds (rule C5), and the cut lasts longer.
    let kept = BroadcastConfig { keep_rounds: Some(10), lost_after: secs(5), ..BroadcastConfig::bimodal() };
    let mut group = Group::of(322, 6, kept)?;
    let first = group.says(0, "the first")?;
    group.until_all_have(&[first], secs(10))?;
    let cut = group.lan.sim.cut(&Cut::Split { groups: vec![vec![Index(5)]] })?;
    group.lan.sim.run_for(millis(10))?;
    let id = group.says(0, "the last")?;
    group.lan.sim.run_for(secs(60))?;
    assert!((0..5).all(|index| group.lan.node(index).cached(id).is_none()), "the caches have ended");
    group.lan.sim.heal(cut)?;
    let mail = group.mail.clone();
    let within = group.lan.bounds().broadcast.repair + secs(5);
    group.lan.until(within, move |_| mail.is_lost(5, id))?;
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
        let first = group.says(0, "before")?;
        group.until_all_have(&[first], secs(10))?;
        let cut = group.lan.sim.cut(&Cut::Split { groups: vec![vec![Index(4)]] })?;
        let mut ids: Vec<MessageId> = Vec::new();
        for _ in 0..30 {
            ids.push(group.says_bytes(0, 30_000)?);
            group.lan.sim.run_for(secs(1))?;
        }
        assert!(
            (1..4).all(|index| ids.iter().all(|id| group.mail.has(index, *id))),
            "{name}: those within reach"
        );
        group.lan.sim.heal(cut)?;
        let within = group.lan.bounds().broadcast.repair + secs(10);
        let (mail, sent) = (group.mail.clone(), ids.clone());
        group.lan.until(within, move |_| sent.iter().all(|id| mail.has(4, *id) || mail.is_lost(4, *id)))?;
        let lost = ids.iter().filter(|id| group.mail.is_lost(4, **id)).count();
        let kept = ids.iter().filter(|id| group.mail.has(4, **id)).count();
        assert_eq!(lost + kept, 30, "{name}: each is one or the other");
        // 256 KiB hold eight or so of them.
        assert!((5..=9).contains(&kept), "{name}: {kept} were still held");
        assert!(group.mail.has(4, *ids.last().expect("there are some")), "{name}: the latest is");
        group.rest()?;
    }
    Ok(())
}

#[test]
fn at_a_quarter_of_loss_nobody_misses_anything() -> Checked {
    for (name, broadcast) in presets() {
        let mut group = Group::of(324, 12, broadcast)?;
        group.lan.sim.set_network(NetworkConfig::uniform(link().with_loss(250_000)))?;
        let mut ids = Vec::new();
        for number in 0..40 {
            ids.push(group.says(number % 12, &format!("m{number}"))?);
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
    let ids: Vec<MessageId> = (0..8).map(|index| group.says(index, "x")).collect::<Result<_, _>>()?;
    let within = group.lan.bounds().broadcast.everywhere;
    group.until_all_have(&ids, within)?;
    group.rest()
}

#[test]
fn what_nobody_refuses_is_not_lost() -> Checked {
    let impatient = BroadcastConfig { lost_after: secs(3), ..BroadcastConfig::tree() };
    let mut group = Group::of(326, 5, impatient)?;
    let cut = group.lan.sim.cut(&Cut::Split { groups: vec![vec![Index(4)]] })?;
    let missed = group.says(0, "missed")?;
    group.lan.sim.run_for(millis(500))?;
    group.lan.sim.heal(cut)?;
    // Whoever is asked has it, and its answers are lost: that is no refusal.
    group.lan.sim.set_filter(Some(Filter::without(&[Kind::Publish])));
    group.lan.sim.run_for(secs(20))?;
    assert!(!group.mail.has(4, missed) && !group.mail.is_lost(4, missed), "those who have it never said no");
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
    let id = group.says(3, "x")?;
    group.until_all_have(&[id], millis(20))?;
    assert_eq!(group.lan.sim.cluster().counters().fanned_out - copies, 8, "one datagram, nine copies");
    assert_eq!(group.costs.sent(Kind::Publish).0, 1);
    group.lan.sim.set_network(NetworkConfig::uniform(link().with_loss(90_000)))?;
    let mut ids = Vec::new();
    for number in 0..30 {
        ids.push(group.says(number % 10, &format!("m{number}"))?);
        group.lan.sim.run_for(millis(30))?;
    }
    group.until_all_have(&ids, secs(60))?;
    Ok(())
}
