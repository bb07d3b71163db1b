//! The promises of gogossip: push, acknowledgements of first infections, a majority of them, and the pull after a push without one.

use bruit_core::wire::{Gossip, Kind, Message, PushAck};
use bruit_core::{BroadcastConfig, Notice, broadcast::Repair};
use bruit_sim::{Delay, Filter, Index, Link, NetworkConfig, Violation};

use super::group::{Group, SOON, gossip};
use crate::support::{Capture, Checked, link, millis, secs};

/// Push alone, without any repair but the comparison of marks.
fn push_alone() -> BroadcastConfig {
    BroadcastConfig { repair: Repair::None, ..BroadcastConfig::push_ack() }
}

/// The notices of the origin at the end of a push: the members that acknowledged, and those that were contacted.
fn pushed(group: &Group) -> Vec<(u8, u8)> {
    let counts = |notice: &Notice<'static>| match notice {
        Notice::Pushed { acked, contacted, .. } => Some((*acked, *contacted)),
        _ => None,
    };
    group.lan.notices.all().iter().filter_map(|(_, _, notice)| counts(notice)).collect()
}

fn constant(members: u32) -> Result<Group, Violation> {
    let mut group = Group::of(310, members, push_alone())?;
    group.lan.sim.set_network(NetworkConfig::uniform(Link::with_delay(Delay::Constant(millis(5)))))?;
    group.lan.sim.run_for(secs(1))?;
    Ok(group)
}

#[test]
fn a_lossless_push_reaches_all_once_and_a_majority_acknowledges_it() -> Checked {
    for members in [3, 10, 50] {
        let mut group = constant(members)?;
        let id = group.broadcasts(1, "x")?;
        group.until_all_have(&[id], secs(10))?;
        group.lan.sim.run_for(secs(1))?;
        assert_eq!(group.given_once(id), members as usize);
        let [(acked, contacted)] = pushed(&group)[..] else {
            panic!("the push ends once: {:?}", pushed(&group))
        };
        assert_eq!(u32::from(contacted), 3.min(members - 1));
        assert!(acked > contacted / 2, "{acked} of {contacted} acknowledged among {members}");
        group.rest()?;
    }
    Ok(())
}

#[test]
fn without_acknowledgements_the_origin_announces_to_more_members() -> Checked {
    let mut group = constant(20)?;
    group.lan.sim.set_filter(Some(Filter::without(&[Kind::PushAck])));
    let capture = Capture::default();
    group.lan.sim.check(capture.clone());
    let id = group.broadcasts(0, "x")?;
    group.lan.sim.run_for(group.lan.config.broadcast.ack_timeout - millis(20))?;
    let announcements = |capture: &Capture| {
        let by_origin = |captured: &crate::support::Captured| captured.from == Index(0);
        let announces =
            |bytes: &[u8]| gossip(bytes).iter().any(|message| matches!(message, Gossip::IHave(_)));
        capture.datagrams().iter().filter(|sent| by_origin(sent) && announces(&sent.bytes)).count()
    };
    assert_eq!((announcements(&capture), pushed(&group).len()), (0, 0), "it waits for acknowledgements");
    group.lan.sim.run_for(millis(40))?;
    assert_eq!(announcements(&capture), 6, "twice as many as it was pushed to");
    assert_eq!(pushed(&group), [(0, 3)]);
    group.until_all_have(&[id], secs(2))?;
    group.lan.sim.run_for(secs(5))?;
    assert_eq!(group.given_once(id), 20);
    group.lan.sim.set_filter(None);
    group.rest()
}

#[test]
fn without_pushes_the_pull_alone_brings_it_to_all() -> Checked {
    for broadcast in [push_alone(), BroadcastConfig::push_ack()] {
        let mut group = Group::of(311, 12, broadcast)?;
        // A pushed message asks for an acknowledgement; a requested one does not.
        let asked = |message: &Message<'_>| !matches!(message, Message::Gossip(Gossip::Publish(publish)) if publish.flags & 2 != 0);
        group.lan.sim.set_filter(Some(Filter::new(move |passing| asked(&passing.message))));
        let id = group.broadcasts(0, "x")?;
        let within = group.lan.bounds().broadcast.everywhere;
        group.until_all_have(&[id], within)?;
        assert_eq!(group.given_once(id), 12);
        group.lan.sim.set_filter(None);
        group.rest()?;
    }
    Ok(())
}

#[test]
fn duplicates_are_delivered_once_and_not_acknowledged() -> Checked {
    let mut group = Group::of(312, 10, push_alone())?;
    let twice = Link { duplicate_ppm: 1_000_000, ..link() };
    group.lan.sim.set_network(NetworkConfig::uniform(twice))?;
    let capture = Capture::default();
    group.lan.sim.check(capture.clone());
    let mut ids = Vec::new();
    for index in 0..10 {
        ids.push(group.broadcasts(index, "x")?);
    }
    group.until_all_have(&ids, secs(10))?;
    group.lan.sim.run_for(secs(2))?;
    for id in &ids {
        assert_eq!(group.given_once(*id), 10);
    }
    let mut acknowledged = std::collections::BTreeSet::new();
    for captured in capture.datagrams() {
        for message in gossip(&captured.bytes) {
            let Gossip::PushAck(PushAck(runs)) = message else { continue };
            for run in runs.iter() {
                for seq in run.first..=run.last {
                    assert!(
                        acknowledged.insert((captured.from, run.origin, run.epoch, seq)),
                        "{} acknowledges {}:{}:{seq} twice",
                        captured.from,
                        run.origin,
                        run.epoch
                    );
                }
            }
        }
    }
    assert!(acknowledged.len() <= 10 * 9, "at most one first infection of each");
    assert!(acknowledged.len() >= 5 * 9, "most were infected by a push");
    group.rest()
}

#[test]
fn a_push_to_a_pair_counts_the_only_peer() -> Checked {
    let mut group = Group::of(313, 2, push_alone())?;
    let id = group.broadcasts(0, "x")?;
    group.until_all_have(&[id], SOON)?;
    group.lan.sim.run_for(SOON)?;
    assert_eq!(pushed(&group), [(1, 1)]);
    Ok(())
}

#[test]
fn a_lone_member_pushes_to_nobody() -> Checked {
    let mut group = Group::of(314, 1, push_alone())?;
    let id = group.broadcasts(0, "x")?;
    group.lan.sim.run_for(secs(5))?;
    assert!(group.deliveries.has(0, id));
    assert_eq!(group.lan.node(0).pending(), bruit_core::broadcast::Pending::default());
    assert!(pushed(&group).iter().all(|(acked, contacted)| (*acked, *contacted) == (0, 0)));
    Ok(())
}
