//! What gogossip promises: push, first-infection acknowledgements, the majority, and the wider PullSync.

use bruit_core::wire::{Gossip, Kind, Message, PushAck};
use bruit_core::{BroadcastConfig, Notice, broadcast::Repair};
use bruit_sim::{Delay, Filter, Index, Link, NetworkConfig, Violation};

use super::group::{Group, SOON, gossip};
use crate::support::{Checked, Tape, link, millis, secs};

/// Push alone: nothing but the comparison of marks helps it.
fn push_alone() -> BroadcastConfig {
    BroadcastConfig { repair: Repair::None, ..BroadcastConfig::push_ack() }
}

/// What the origin was told of the end of its push: how many acknowledged, of how many.
fn pushed(group: &Group) -> Vec<(u8, u8)> {
    let told = |notice: &Notice<'static>| match notice {
        Notice::Pushed { acked, contacted, .. } => Some((*acked, *contacted)),
        _ => None,
    };
    group.lan.diary.notices().iter().filter_map(|(_, _, notice)| told(notice)).collect()
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
        let id = group.says(1, "x")?;
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
fn without_acknowledgements_more_are_told_and_all_get_it() -> Checked {
    let mut group = constant(20)?;
    group.lan.sim.set_filter(Some(Filter::without(&[Kind::PushAck])));
    let tape = Tape::default();
    group.lan.sim.check(tape.clone());
    let id = group.says(0, "x")?;
    group.lan.sim.run_for(group.lan.config.broadcast.ack_timeout - millis(20))?;
    let told = |tape: &Tape| {
        let by_origin = |recorded: &crate::support::Recorded| recorded.from == Index(0);
        let announces =
            |bytes: &[u8]| gossip(bytes).iter().any(|message| matches!(message, Gossip::IHave(_)));
        tape.datagrams().iter().filter(|sent| by_origin(sent) && announces(&sent.bytes)).count()
    };
    assert_eq!((told(&tape), pushed(&group).len()), (0, 0), "it waits for acknowledgements");
    group.lan.sim.run_for(millis(40))?;
    assert_eq!(told(&tape), 6, "twice as many as it was pushed to");
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
        // What was pushed wants an answer; what was asked for does not.
        let asked = |message: &Message<'_>| !matches!(message, Message::Gossip(Gossip::Publish(publish)) if publish.flags & 2 != 0);
        group.lan.sim.set_filter(Some(Filter::new(move |passing| asked(&passing.message))));
        let id = group.says(0, "x")?;
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
    let tape = Tape::default();
    group.lan.sim.check(tape.clone());
    let mut ids = Vec::new();
    for index in 0..10 {
        ids.push(group.says(index, "x")?);
    }
    group.until_all_have(&ids, secs(10))?;
    group.lan.sim.run_for(secs(2))?;
    for id in &ids {
        assert_eq!(group.given_once(*id), 10);
    }
    let mut acknowledged = std::collections::BTreeSet::new();
    for recorded in tape.datagrams() {
        for message in gossip(&recorded.bytes) {
            let Gossip::PushAck(PushAck(runs)) = message else { continue };
            for run in runs.iter() {
                for seq in run.first..=run.last {
                    assert!(
                        acknowledged.insert((recorded.from, run.origin, run.epoch, seq)),
                        "{} acknowledges {}:{}:{seq} twice",
                        recorded.from,
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
    let id = group.says(0, "x")?;
    group.until_all_have(&[id], SOON)?;
    group.lan.sim.run_for(SOON)?;
    assert_eq!(pushed(&group), [(1, 1)]);
    Ok(())
}

#[test]
fn a_lone_member_pushes_to_nobody() -> Checked {
    let mut group = Group::of(314, 1, push_alone())?;
    let id = group.says(0, "x")?;
    group.lan.sim.run_for(secs(5))?;
    assert!(group.mail.has(0, id));
    assert_eq!(group.lan.node(0).pending(), bruit_core::broadcast::Pending::default());
    assert!(pushed(&group).iter().all(|(acked, contacted)| (*acked, *contacted) == (0, 0)));
    Ok(())
}
