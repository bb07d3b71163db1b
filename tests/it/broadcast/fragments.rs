//! Messages that are longer than a datagram (rule C8).

use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use bruit_core::wire::{Gossip, Kind, Message, Part};
use bruit_core::{Broadcast, BroadcastConfig, Field, Rejected};
use bruit_sim::{Filter, Index, NetworkConfig};

use super::group::{Group, gossip, presets};
use crate::support::{Capture, Checked, link, millis, secs};

#[test]
fn only_the_missing_pieces_are_asked_for_again() -> Checked {
    let mut group = Group::of(350, 2, BroadcastConfig::tree())?;
    let capture = Capture::default();
    group.lan.sim.check(capture.clone());
    let lost = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&lost);
    // The fourth and the seventh piece are lost, the first time that they are sent.
    group.lan.sim.set_filter(Some(Filter::new(move |passing| {
        let Message::Gossip(Gossip::Part(Part { part, .. })) = passing.message else { return true };
        let is_lost = matches!(part.index, 3 | 6) && counter.load(Ordering::Relaxed) < 2;
        counter.fetch_add(usize::from(is_lost), Ordering::Relaxed);
        !is_lost
    })));
    let id = group.broadcasts_bytes(0, 10_000)?;
    group.until_all_have(&[id], secs(5))?;
    assert_eq!(lost.load(Ordering::Relaxed), 2);
    let mut sent = [0; 10];
    let mut asked = Vec::new();
    for captured in capture.datagrams() {
        for message in gossip(&captured.bytes) {
            match message {
                Gossip::Part(Part { part, .. }) => sent[usize::from(part.index)] += 1,
                Gossip::RequestParts(request) => asked.push(request.missing),
                Gossip::Request(request) => {
                    assert_eq!(request.runs.iter().next(), None, "the whole is asked for")
                }
                _ => {}
            }
        }
    }
    assert_eq!(sent, [1, 1, 1, 2, 1, 1, 2, 1, 1, 1]);
    assert_eq!(asked, [1 << 3 | 1 << 6]);
    group.rest()
}

#[test]
fn every_length_arrives_whole_under_loss() -> Checked {
    for (name, broadcast) in presets() {
        let mut group = Group::of(351, 6, broadcast)?;
        group.lan.sim.set_network(NetworkConfig::uniform(link().with_loss(50_000)))?;
        let mut ids = Vec::new();
        for (index, bytes) in [(0, 1_000), (1, 1_024), (2, 1_100), (3, 1_300), (4, 5_000), (5, 65_536)] {
            ids.push(group.broadcasts_bytes(index, bytes)?);
        }
        group.until_all_have(&ids, secs(60))?;
        assert!(ids.iter().all(|id| group.given_once(*id) == 6), "{name}");
        group.lan.sim.set_network(NetworkConfig::uniform(link()))?;
        group.rest()?;
    }
    Ok(())
}

#[test]
fn a_payload_or_topic_that_is_too_long_is_refused_with_the_limit() -> Checked {
    let mut group = Group::of(352, 2, BroadcastConfig::tree())?;
    let max = group.lan.config.broadcast.payload_bytes_max as usize;
    let answer = group.submit(0, Broadcast::new("", vec![0; max + 1]))?;
    assert_eq!(answer, Err(Rejected::Oversized { what: Field::Payload, len: max + 1, max }));
    let answer = group.submit(0, Broadcast::new("t".repeat(65), "x"))?;
    assert_eq!(answer, Err(Rejected::Oversized { what: Field::Topic, len: 65, max: 64 }));
    let answer = group.submit(0, Broadcast::new("bruit.x", "x"))?;
    assert_eq!(answer, Err(Rejected::ReservedTopic));
    Ok(())
}

#[test]
fn a_relay_with_a_smaller_mtu_serves_every_piece() -> Checked {
    // Rule C8: the size of a piece is a constant of the protocol.
    let config = super::group::with(BroadcastConfig::tree());
    let smaller = bruit_core::Config { mtu: 1_200, ..config.clone() };
    let mut lan = crate::support::Lan::mixed(353, &config.clone(), move |boot| {
        if boot.id.0 == 2 { smaller.clone() } else { config.clone() }
    })?;
    let deliveries = super::group::Deliveries::default();
    lan.sim.check(deliveries.clone());
    lan.sim.spawn_many(2)?;
    lan.until_all_know_all(secs(10))?;
    lan.sim.broadcast(Index(0), 20_000)?;
    let had = deliveries.clone();
    lan.until(secs(5), move |_| had.of(1).len() == 1)?;
    lan.sim.crash(Index(0))?;
    lan.sim.spawn(bruit_sim::Spawn::new().join(bruit_sim::Join::Through(Index(1))))?;
    lan.until(secs(60), move |_| deliveries.of(2).len() == 1)?;
    Ok(())
}

#[test]
fn unfinished_ones_give_way_and_are_asked_for_again() -> Checked {
    // Twenty origins at once, and sixteen places; the last piece of each is lost at first.
    let mut group = Group::of(354, 21, BroadcastConfig::tree())?;
    group.lan.sim.set_filter(Some(Filter::new(|passing| match passing.message {
        Message::Gossip(Gossip::Part(Part { part, .. })) => part.index + 1 < part.count,
        _ => true,
    })));
    let mut ids = Vec::new();
    for index in 0..20 {
        ids.push(group.broadcasts_bytes(index, 3_000)?);
    }
    group.lan.sim.run_for(millis(500))?;
    assert!(group.lan.node(20).usage().reassemblies > 0);
    assert!(group.deliveries.of(20).is_empty());
    group.lan.sim.set_filter(None);
    group.until_all_have(&ids, secs(60))?;
    assert!(group.costs.sent(Kind::RequestParts).0 > 0);
    group.rest()
}
