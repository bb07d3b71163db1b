//! Restarts: the messages that are delivered again, and the epochs and numbers that an origin continues with.

use core::time::Duration;

use bruit_core::{
    Broadcast, BroadcastConfig, MessageId,
    broadcast::{Order, PersistSeen},
};
use bruit_sim::{Cluster, Index, Memory};

use super::group::{Group, presets, with};
use crate::support::{Checked, millis, secs};

/// The last of five members gets some messages, crashes and restarts. Returns how often each message was delivered to it.
fn deliveries_after_restart(
    broadcast: BroadcastConfig,
    memory: Memory,
) -> Result<Vec<usize>, bruit_sim::Violation> {
    let mut group = Group::of(330, 5, broadcast)?;
    let mut ids = Vec::new();
    for number in 0..10 {
        ids.push(group.broadcasts(number % 3, &format!("m{number}"))?);
        group.lan.sim.run_for(millis(200))?;
    }
    group.until_all_have(&ids, secs(20))?;
    group.lan.sim.run_for(secs(3))?;
    group.lan.sim.crash(Index(4))?;
    group.lan.sim.run_for(secs(1))?;
    let missed = group.broadcasts(0, "missed")?;
    group.lan.sim.run_for(secs(20))?;
    group.lan.sim.restart(Index(4), memory)?;
    let within = group.lan.bounds().broadcast.repair;
    group.until_all_have(&[missed], within)?;
    group.lan.sim.run_for(within)?;
    let times = ids.iter().map(|id| group.deliveries.times(4, *id).len()).collect();
    group.rest()?;
    Ok(times)
}

#[test]
fn with_a_durable_seen_set_nothing_is_delivered_again() -> Checked {
    for (name, broadcast) in presets() {
        for persist_seen in [PersistSeen::BeforeDelivery, PersistSeen::Every(millis(500))] {
            for order in [Order::Arrival, Order::Origin] {
                let broadcast = BroadcastConfig { persist_seen, order, ..broadcast.clone() };
                let times = deliveries_after_restart(broadcast, Memory::Disk)?;
                assert_eq!(times, [1; 10], "{name}, {persist_seen:?}, {order:?}");
            }
        }
    }
    Ok(())
}

#[test]
fn without_a_seen_set_a_later_boot_is_given_messages_again() -> Checked {
    // This shows that the test above can fail.
    let never = BroadcastConfig { persist_seen: PersistSeen::Never, ..BroadcastConfig::tree() };
    assert_eq!(deliveries_after_restart(never, Memory::Disk)?, [2; 10]);
    let wiped = BroadcastConfig { persist_seen: PersistSeen::BeforeDelivery, ..BroadcastConfig::tree() };
    assert_eq!(deliveries_after_restart(wiped, Memory::Amnesia)?, [2; 10]);
    Ok(())
}

#[test]
fn a_crash_between_the_disk_and_the_application_delivers_at_most_once() -> Checked {
    let durable = BroadcastConfig { persist_seen: PersistSeen::BeforeDelivery, ..BroadcastConfig::tree() };
    for number in 0..20 {
        let mut group = Group::of(340 + number, 4, durable.clone())?;
        group.lan.sim.set_disk_delay(millis(20));
        let id = group.broadcasts(0, "x")?;
        group.lan.sim.run_for(Duration::from_millis(3 * number))?;
        group.lan.sim.crash(Index(3))?;
        group.lan.sim.run_for(secs(10))?;
        group.lan.sim.restart(Index(3), Memory::Disk)?;
        let within = group.lan.bounds().broadcast.repair;
        group.lan.sim.run_for(within)?;
        assert!(group.deliveries.times(3, id).len() <= 1);
    }
    Ok(())
}

#[test]
fn an_origin_with_an_epoch_that_was_used_goes_on_under_the_next() -> Checked {
    // Rule A1: the clock was set back, so the origin boots in its first epoch, whose numbers are in every seen set.
    for (name, broadcast) in presets() {
        let mut group = Group::of(331, 5, broadcast)?;
        let mut ids: Vec<MessageId> = Vec::new();
        for number in 0..10 {
            ids.push(group.broadcasts(2, &format!("old {number}"))?);
        }
        group.until_all_have(&ids, secs(20))?;
        group.lan.sim.crash(Index(2))?;
        group.lan.sim.run_for(millis(300))?;
        group.lan.sim.restart(Index(2), Memory::AmnesiaClockBack)?;
        let early = group.submit(2, Broadcast::new("", "too early"))?;
        assert_eq!(
            early,
            Err(bruit_core::Rejected::NotJoined),
            "{name}: it does not know yet that its epoch was used"
        );
        group.lan.until(secs(30), |cluster| {
            cluster.all_know_all() && cluster.node(Index(2)).is_some_and(|node| node.incarnation().epoch > 1)
        })?;
        // It may know all others before it gets an answer to its join.
        group.lan.sim.run_for(secs(2))?;
        let mut news = Vec::new();
        for number in 0..10 {
            news.push(group.broadcasts(2, &format!("new {number}"))?);
        }
        assert!(news[0].epoch > 1 && news[0].seq == 1, "{name}: {}", news[0]);
        group.until_all_have(&news, secs(20))?;
        assert!(news.iter().all(|id| group.given_once(*id) == 5), "{name}");
        group.rest()?;
    }
    Ok(())
}

#[test]
fn a_member_that_leaves_and_returns_goes_on() -> Checked {
    let mut group = Group::configured(332, 5, &with(BroadcastConfig::tree()))?;
    let before = group.broadcasts(3, "before")?;
    group.until_all_have(&[before], secs(5))?;
    group.lan.sim.command(Index(3), bruit_core::Command::Leave { within: secs(1) })?;
    group.lan.sim.run_for(secs(5))?;
    let refused = group.submit(3, Broadcast::new("", "gone"))?;
    assert_eq!(refused, Err(bruit_core::Rejected::Stopped));
    let meanwhile = group.broadcasts(0, "meanwhile")?;
    group.lan.sim.run_for(secs(5))?;
    assert!(!group.deliveries.has(3, meanwhile), "a member that has left gets nothing");
    let seed = group.lan.sim.cluster().addr(Index(0));
    group.lan.sim.command(Index(3), bruit_core::Command::Join { seeds: vec![seed] })?;
    group.lan.until(secs(30), Cluster::all_know_all)?;
    group.lan.sim.run_for(secs(2))?;
    let after = group.broadcasts(3, "after")?;
    group.until_all_have(&[after, meanwhile], secs(60))?;
    assert_eq!(group.given_once(after), 5);
    group.rest()
}
