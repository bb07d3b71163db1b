//! Broadcasts: delivery, reports, the refusal of too much load, and slow readers.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use bruit_tokio::DriverNotice;
use bruit_tokio::core::wire::Kind as MessageKind;
use bruit_tokio::core::{
    Broadcast, BroadcastConfig, Field, MessageId, Notice, Rejected,
    broadcast::{FirstPhase, Reached, Repair},
    limits,
};
use bruit_tokio::{Direction, Interface};

use crate::multicast::{GROUP_V4, is_carried};
use crate::support::{Kind, Node, Options, SOON, config, spare_port, three, three_with, until, wait};

/// A delivery: the id, the topic and the payload.
type Delivery = (MessageId, String, Vec<u8>);

/// Reads notices until this many broadcasts were delivered, and returns them.
#[track_caller]
pub(crate) fn deliveries(node: &mut Node, count: usize) -> Vec<Delivery> {
    let mut read = Vec::new();
    while read.len() < count {
        wait(node, &format!("delivery {} of {count}", read.len() + 1), |notice| {
            assert!(!matches!(notice, Notice::Lost { .. }), "{notice:?}");
            let Notice::Delivered { id, topic, payload, .. } = notice else { return false };
            read.push((*id, topic.to_string(), payload.to_vec()));
            true
        });
    }
    read
}

/// Reads the deliveries that wait already.
pub(crate) fn delivered_so_far(node: &mut Node) -> Vec<Delivery> {
    let delivery = |news| match news {
        DriverNotice::Node(Notice::Delivered { id, topic, payload, .. }) => {
            Some((id, topic.into_owned(), payload.into_owned()))
        }
        DriverNotice::Node(_) | DriverNotice::Trouble(_) | DriverNotice::Lagged { .. } => None,
    };
    std::iter::from_fn(|| node.try_recv()).filter_map(delivery).collect()
}

/// Waits until all nodes know of the same broadcasts and have them.
#[track_caller]
pub(crate) fn settle(nodes: &[&Node]) {
    let marks = |node: &Node| node.read(|node| node.marks().collect::<Vec<_>>());
    until("all know of the same broadcasts", || {
        let known = nodes.iter().map(|node| marks(node)).collect::<Vec<_>>();
        known.iter().all(|marks| *marks == known[0] && marks.iter().all(|mark| mark.gaps.is_empty()))
    });
}

fn with(broadcast: BroadcastConfig) -> Options {
    Options { broadcast: Some(broadcast), ..Options::default() }
}

pub(crate) fn every_member_delivers_once_including_the_origin(kinds: [Kind; 3]) {
    let mut nodes = three(kinds);
    let mut sent = Vec::new();
    for (i, node) in (0_u8..).zip(&nodes) {
        for topic in ["news", "sport"] {
            let payload = vec![i, 0xff, 0];
            let id = node.broadcast(topic, payload.clone()).expect("taken");
            assert_eq!(id.origin, node.id());
            sent.push((id, topic.to_owned(), payload));
        }
    }
    sent.sort();
    let [a, b, c] = nodes.each_mut();
    for node in [a, b, c] {
        let mut read = deliveries(node, sent.len());
        read.sort();
        assert_eq!(read, sent);
        let news = |(_, topic, _): &&Delivery| topic == "news";
        assert_eq!(read.iter().filter(news).count(), 3, "a listener to one topic filters");
        let recent: BTreeSet<_> = node.recent("news").into_iter().collect();
        assert_eq!(recent, sent.iter().filter(news).map(|(id, _, bytes)| (*id, bytes.clone())).collect());
    }
    settle(&[&nodes[0], &nodes[1], &nodes[2]]);
    let [a, b, c] = nodes.each_mut();
    for node in [a, b, c] {
        assert_eq!(delivered_so_far(node), [], "once");
    }
}

pub(crate) fn a_long_payload_arrives_whole(kinds: [Kind; 3]) {
    let [a, mut b, mut c] = three(kinds);
    let payload: Vec<u8> = (0..60 << 10).map(|i: u32| (i % 251) as u8).collect();
    let id = a.broadcast("long", payload.clone()).expect("taken");
    for node in [&mut b, &mut c] {
        assert_eq!(deliveries(node, 1), [(id, "long".to_owned(), payload.clone())]);
    }
}

pub(crate) fn a_report_ends_with_all(kinds: [Kind; 3]) {
    let [mut a, _b, _c] = three(kinds);
    let id = a.submit(Broadcast::new("t", b"x").report(SOON)).expect("taken");
    let spread = |wanted: Reached| move |notice: &Notice<'_>| matches!(notice, Notice::Report { id: of, reached } if *of == id && *reached == wanted);
    wait(&mut a, "a majority", spread(Reached::Majority));
    wait(&mut a, "all", spread(Reached::All { without: vec![] }));
    assert_eq!(a.read(|node| node.report(id)), None, "that is the end of it");
}

pub(crate) fn a_report_ends_in_time_and_names_who_is_missing(kinds: [Kind; 3]) {
    let [mut a, _b, c] = three(kinds);
    let c_id = c.id();
    drop(c);
    let within = Duration::from_millis(20);
    let id = a.submit(Broadcast::new("t", b"x").report(within)).expect("taken");
    wait(&mut a, "the end", |notice| {
        matches!(notice, Notice::Report { id: of, reached: Reached::TimedOut { missing } }
            if *of == id && missing.contains(&c_id))
    });
}

pub(crate) fn a_broadcast_that_cannot_be_sent_is_refused(kinds: [Kind; 3]) {
    let a = kinds[0].start("a");
    let send = |topic: &str, len: usize| a.broadcast(topic, vec![0; len]);
    assert_eq!(send("t", 1), Err(Rejected::NotStarted));
    a.join(["127.0.0.1:9"]).expect("joins");
    assert_eq!(send("t", 1), Err(Rejected::NotJoined));
    let b = kinds[1].start("b");
    b.join([a.local_addr()]).expect("joins");
    until("they have met", || a.status().joined);
    assert_eq!(send("bruit.x", 1), Err(Rejected::ReservedTopic));
    let max = config().broadcast.payload_bytes_max as usize;
    let long = Rejected::Oversized { what: Field::Payload, len: max + 1, max };
    assert_eq!(send("t", max + 1), Err(long));
    let topic = "t".repeat(limits::TOPIC_BYTES_MAX + 1);
    assert!(matches!(send(&topic, 1), Err(Rejected::Oversized { what: Field::Topic, .. })));
    send("t", max).expect("taken");
    a.stop();
    assert_eq!(send("t", 1), Err(Rejected::Stopped));
}

pub(crate) fn a_flood_is_refused_as_busy_and_no_accepted_broadcast_is_missing(kinds: [Kind; 3]) {
    let settings =
        BroadcastConfig { rate_bytes_max: 1 << 18, pending_bytes_max: 1 << 15, ..config().broadcast };
    let [a, mut b, mut c] = three_with(kinds, &with(settings));
    let (mut taken, mut busy) = (Vec::new(), 0);
    let started = Instant::now();
    // It goes on after the first refusal, so that some broadcasts are taken when there is room again.
    while busy == 0 || taken.len() < 100 {
        match a.broadcast("flood", vec![0; 1_000]) {
            Ok(id) => taken.push(id),
            Err(Rejected::Busy { pending, max }) => {
                assert!(pending > max && max == 1 << 15, "{pending} of {max}");
                busy += 1;
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(rejected) => panic!("{rejected}"),
        }
        assert!(started.elapsed() < SOON, "{} taken, {busy} refused", taken.len());
    }
    for node in [&mut b, &mut c] {
        let mut read: Vec<_> = deliveries(node, taken.len()).into_iter().map(|(id, ..)| id).collect();
        read.sort();
        assert_eq!(read, taken);
    }
    until("nothing waits", || a.read(|node| node.pending().messages) == 0);
}

pub(crate) fn a_slow_reader_of_broadcasts_catches_up(kinds: [Kind; 3]) {
    const SENT: usize = 50;
    let options = Options { notices_max: Some(4), ..Options::default() };
    let [a, mut b, _c] = three_with(kinds, &options);
    let send = |number: usize| a.broadcast("t", number.to_string()).expect("taken");
    let first = send(0);
    wait(&mut b, "the first", |notice| matches!(notice, Notice::Delivered { id, .. } if *id == first));
    let sent: BTreeSet<_> = (1..SENT).map(send).collect();
    until("all have come", || b.stats().broadcasts_delivered == SENT as u64);
    assert!(matches!(b.recv(SOON), Ok(DriverNotice::Lagged { missed }) if missed >= SENT as u64 - 5));
    // Reads back to the last broadcast that was read.
    let recent = b.recent("t");
    let missed: BTreeSet<_> = recent.iter().map(|(id, _)| *id).take_while(|id| *id != first).collect();
    assert_eq!(missed, sent);
    for (id, ..) in delivered_so_far(&mut b) {
        assert!(missed.contains(&id), "a notice that still waits is known by its id");
    }
}

pub(crate) fn every_preset_reaches_every_member(kinds: [Kind; 3]) {
    let presets = [
        BroadcastConfig::tree(),
        BroadcastConfig::bimodal(),
        BroadcastConfig::push_ack(),
        BroadcastConfig::pull(),
    ];
    for preset in presets {
        let [mut a, mut b, mut c] = three_with(kinds, &with(preset));
        let id = c.broadcast("t", b"x").expect("taken");
        for node in [&mut a, &mut b, &mut c] {
            assert_eq!(deliveries(node, 1), [(id, "t".to_owned(), b"x".to_vec())]);
        }
    }
}

/// The configuration names the group, and so the driver receives from it.
pub(crate) fn one_datagram_to_a_group_reaches_every_member(kinds: [Kind; 3]) {
    let group = SocketAddr::from((GROUP_V4, spare_port()));
    if let Err(error) = is_carried(group, Interface::Addr(Ipv4Addr::LOCALHOST)) {
        return eprintln!("skipped: the loopback of this machine carries no multicast: {error}");
    }
    let first = FirstPhase::Multicast { group: Some(group) };
    // Nothing else spreads the broadcast in the time that the loopback takes.
    let settings = BroadcastConfig { first, repair: Repair::None, ..BroadcastConfig::bimodal() };
    let [a, mut b, mut c] = three_with(kinds, &with(settings));
    let (seen, traced) = channel();
    a.trace([MessageKind::Publish], move |datagram| {
        if datagram.direction == Direction::Out {
            let _ = seen.send(datagram.peer);
        }
    });
    let id = a.broadcast("t", b"x").expect("taken");
    assert_eq!(traced.recv_timeout(SOON), Ok(group));
    for node in [&mut b, &mut c] {
        assert_eq!(deliveries(node, 1), [(id, "t".to_owned(), b"x".to_vec())]);
        assert_eq!(node.stats().broadcasts_requested, 0);
    }
    assert!(traced.try_recv().is_err(), "one datagram for all");
    assert_eq!(a.driver_stats().send_errors, 0);
}
