//! Real sockets on loopback, any free port. Nothing here waits for a fixed time: each step waits for its notice.
#![expect(clippy::std_instead_of_core, reason = "a test stands on std")]

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bruit_core::{Change, Command, Config, NodeId, Notice, Rejected, State};
use bruit_udp::{Bruit, Builder, Direction, JournalSettings, News, Notices, StartError};

const SOON: Duration = Duration::from_secs(20);

fn config() -> Config {
    let mut config = Config::local("loopback");
    config.membership.probe_interval = Duration::from_millis(200);
    config.membership.probe_timeout = Duration::from_millis(80);
    config
}

fn start(name: &str) -> (Bruit, Notices) {
    Bruit::bind("127.0.0.1:0", name, config()).expect("it starts")
}

#[track_caller]
fn wait(notices: &mut Notices, what: &str, mut wanted: impl FnMut(&Notice<'_>) -> bool) {
    let started = std::time::Instant::now();
    loop {
        let left = SOON.checked_sub(started.elapsed()).unwrap_or_default();
        match notices.recv_timeout(left) {
            Ok(News::Notice(notice)) if wanted(&notice) => return,
            Ok(_) => {}
            Err(error) => panic!("{what}: {error}"),
        }
    }
}

#[track_caller]
fn wait_change(notices: &mut Notices, id: NodeId, change: Change) {
    wait(
        notices,
        &format!("{id} {change:?}"),
        |notice| matches!(notice, Notice::Member { change: changed, member } if member.id == id && *changed == change),
    );
}

/// Three nodes that all know each other.
fn three() -> [(Bruit, Notices); 3] {
    let mut nodes = ["a", "b", "c"].map(start);
    let seed = nodes[0].0.local_addr();
    for (bruit, _) in &nodes {
        bruit.join([seed]).expect("joins");
    }
    let ids = ["a", "b", "c"].map(NodeId::from_name);
    for (bruit, notices) in &mut nodes {
        let me = bruit.id();
        let mut missing: Vec<_> = ids.iter().filter(|id| **id != me).collect();
        wait(notices, "all up", |notice| {
            if let Notice::Member { change: Change::Up, member } = notice {
                missing.retain(|id| **id != member.id);
            }
            missing.is_empty()
        });
        assert!(bruit.joined(SOON));
        assert_eq!(bruit.read(|node| node.member_count()), 3);
    }
    nodes
}

#[test]
fn one_leaves_one_dies_and_the_rest_know_which() {
    let [(a, _a_notices), (b, mut b_notices), (c, mut c_notices)] = three();
    let (a_id, c_id) = (a.id(), c.id());
    assert_eq!(a.leave(SOON), Ok(true));
    wait_change(&mut b_notices, a_id, Change::Left);
    wait_change(&mut c_notices, a_id, Change::Left);
    assert_eq!(a.command(Command::Join { seeds: vec![] }), Err(Rejected::Stopped));
    assert!(a.is_stopped());
    drop(c);
    wait_change(&mut b_notices, c_id, Change::Down);
    assert!(b.read(|node| node.why_down(c_id).is_some()));
    assert!(c_notices.by_ref().count() < 100, "the reader sees the end");
}

#[test]
fn a_restarted_member_is_back_under_a_new_epoch() {
    let dir = tempfile::tempdir().expect("a directory");
    let (a, mut a_notices) = start("a");
    a.join([a.local_addr()]).expect("joins");
    let start_b =
        || Builder::new("b", config()).state_dir(dir.path()).start("127.0.0.1:0").expect("it starts");
    let b_id = NodeId::from_name("b");
    let mut epochs = Vec::new();
    for _ in 0..3 {
        let (b, _notices) = start_b();
        b.join([a.local_addr()]).expect("joins");
        let epoch = b.read(|node| node.incarnation().epoch);
        wait(&mut a_notices, "b at its new epoch", |notice| {
            matches!(notice, Notice::Member { member, .. }
                if member.id == b_id && member.state == State::Alive && member.incarnation.epoch == epoch)
        });
        epochs.push(epoch);
    }
    assert!(epochs.is_sorted_by(|a, b| a < b), "{epochs:?}");
}

#[test]
fn pings_names_and_traces() {
    let [(a, _a_notices), (b, _b_notices), _c] = three();
    let (seen, traced) = std::sync::mpsc::channel();
    a.trace([bruit_core::wire::Kind::Ack], move |datagram| {
        let _ = seen.send((datagram.direction, datagram.peer, datagram.to_string()));
    });
    let round_trip = a.ping(b.id(), b.local_addr()).expect("accepted");
    assert!(round_trip.is_some_and(|time| time < SOON));
    let (_, _, text) = traced.recv_timeout(SOON).expect("an ack went by");
    assert!(text.contains("ack"), "{text}");
    let arrived =
        traced.iter().find(|(direction, peer, _)| *direction == Direction::In && *peer == b.local_addr());
    assert!(arrived.is_some());
    let nobody: SocketAddr = "127.0.0.1:9".parse().expect("an address");
    assert_eq!(a.ping(NodeId(77), nobody), Ok(None));
    assert_eq!(a.ping(a.id(), a.local_addr()), Err(Rejected::Oneself));
    assert_eq!(a.driver_stats().send_errors, 0);
    let out_of_reach: SocketAddr = "[::1]:9".parse().expect("an address");
    assert_eq!(a.ping(NodeId(77), out_of_reach), Ok(None), "what cannot be sent is a lost datagram");
    assert_eq!(a.driver_stats().send_errors, 3);
}

#[test]
fn a_flood_stops_no_timer_and_no_command() {
    let [(a, mut a_notices), (b, _b_notices), (c, _c_notices)] = three();
    let (target, c_id) = (a.local_addr(), c.id());
    let flooding = Arc::new(AtomicBool::new(true));
    let flag = Arc::clone(&flooding);
    let flood = std::thread::spawn(move || {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("bound");
        while flag.load(Ordering::Relaxed) {
            let _ = socket.send_to(&[0x5a; 1_200], target);
        }
    });
    drop(c);
    wait_change(&mut a_notices, c_id, Change::Down);
    assert!(a.ping(b.id(), b.local_addr()).is_ok());
    flooding.store(false, Ordering::Relaxed);
    flood.join().expect("it ends");
    assert!(a.stats().dropped_version > 0);
    assert!(b.read(|node| node.member(a.id()).is_some_and(|member| member.state != State::Down)));
}

#[test]
fn members_find_each_other_by_name_and_through_a_peers_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let peers = dir.path().join("peers");
    let (a, _a_notices) = start("a");
    a.join([a.local_addr()]).expect("joins");
    let (b, _b_notices) = start("b");
    b.join([format!("localhost:{}", a.local_addr().port())]).expect("joins");
    assert!(b.joined(SOON), "by name");
    std::fs::write(&peers, "# nobody yet\n").expect("written");
    let (c, _c_notices) =
        Builder::new("c", config()).peers_file(&peers).start("127.0.0.1:0").expect("starts");
    c.join([c.local_addr()]).expect("joins");
    std::fs::write(&peers, format!("# one\n{}\n", a.local_addr())).expect("written");
    assert!(c.joined(SOON), "through the file");
    assert_eq!(c.sources().len(), 1);
    let error = c.join(["nonsense"]).expect_err("refused").to_string();
    assert!(error.contains("nonsense"), "{error}");
}

#[test]
fn ipv6_sockets_that_take_ipv4_call_a_member_by_one_address() {
    let Ok((a, mut a_notices)) = Bruit::bind("[::]:0", "a", config()) else { return };
    a.join(Vec::<SocketAddr>::new()).expect("the first node of a cluster has nobody to join");
    let (b, _b_notices) = start("b");
    b.join([format!("127.0.0.1:{}", a.local_addr().port())]).expect("joins");
    wait_change(&mut a_notices, b.id(), Change::Up);
    let seen = a.read(|node| node.member(b.id()).map(|member| member.addr));
    assert_eq!(seen, Some(b.local_addr()));
    assert!(b.joined(SOON));
}

#[test]
fn two_members_over_ipv6() {
    let Ok((a, mut a_notices)) = Bruit::bind("[::1]:0", "a", config()) else { return };
    let (b, _b_notices) = Bruit::bind("[::1]:0", "b", config()).expect("it starts");
    a.join(Vec::<SocketAddr>::new()).expect("joins");
    b.join([a.local_addr()]).expect("joins");
    assert!(b.joined(SOON));
    wait_change(&mut a_notices, b.id(), Change::Up);
    assert!(b.ping(a.id(), a.local_addr()).is_ok_and(|time| time.is_some()));
}

#[test]
fn what_cannot_start_says_why() {
    let (a, _notices) = start("a");
    let error = Bruit::bind(a.local_addr(), "b", config()).expect_err("in use");
    assert!(matches!(error, StartError::Bind { .. }));
    assert_eq!(
        error.to_string(),
        format!("cannot bind {}: the address is in use by another process", a.local_addr())
    );
    let error = Bruit::bind("127.0.0.1", "b", config()).expect_err("no port").to_string();
    assert!(error.contains("127.0.0.1"), "{error}");
    let dir = tempfile::tempdir().expect("a directory");
    let start = || Builder::new("a", config()).state_dir(dir.path()).start("127.0.0.1:0");
    let first = start().expect("starts");
    let error = start().expect_err("shared").to_string();
    assert!(error.contains("in use by another process"), "{error}");
    drop(first);
    start().expect("the lock is released with the last handle");
}

#[test]
fn a_reader_that_panics_does_not_stop_the_node() {
    let [(a, _a_notices), (b, mut b_notices), _c] = three();
    let other = a.clone();
    let panicked = std::thread::spawn(move || other.read(|_| panic!("as an application might"))).join();
    assert!(panicked.is_err());
    assert_eq!(a.command(Command::SetMeta(b"still here".to_vec())).map(drop), Ok(()));
    wait_change(&mut b_notices, a.id(), Change::Updated);
    assert_eq!(
        b.read(|node| node.member(a.id()).map(|member| member.meta.into_owned())),
        Some(b"still here".to_vec())
    );
}

#[test]
fn a_slow_reader_blocks_nobody_and_is_told() {
    let build = |name| Builder::new(name, config()).notices_max(1).start("127.0.0.1:0").expect("starts");
    let (a, mut a_notices) = build("a");
    let (b, mut b_notices) = build("b");
    a.join([b.local_addr()]).expect("joins");
    b.join([a.local_addr()]).expect("joins");
    assert!(a.joined(SOON) && b.joined(SOON));
    for round in 0..20_u8 {
        a.command(Command::SetMeta(vec![round])).expect("accepted");
    }
    assert_eq!(a.leave(SOON), Ok(true));
    assert!(matches!(a_notices.recv(), Some(News::Lagged { missed: 1.. })));
    assert!(matches!(b_notices.recv(), Some(News::Lagged { missed: 1.. })));
    assert!(b.driver_stats().notices_missed > 0);
}

#[test]
fn a_journal_of_a_real_run_replays() {
    let dir = tempfile::tempdir().expect("a directory");
    let settings =
        JournalSettings { segment_bytes: 64 * 1024, segments_max: 100, ..JournalSettings::new(dir.path()) };
    let (a, _a_notices) = Builder::new("a", config()).journal(settings).start("127.0.0.1:0").expect("starts");
    let (b, _b_notices) = start("b");
    a.join([b.local_addr()]).expect("joins");
    b.join([a.local_addr()]).expect("joins");
    assert!(a.joined(SOON) && b.joined(SOON));
    for round in 0..600_u32 {
        a.command(Command::SetMeta(round.to_le_bytes().repeat(60))).expect("accepted");
    }
    let received = a.leave(SOON).map(|_| a.stats().datagrams_received).expect("leaves");
    let mut replayed = 0;
    let report =
        bruit_driver::journal::replay(dir.path(), |step| replayed = step.node.stats().datagrams_received);
    let report = report.expect("the same actions");
    assert!(report.segments > 1 && report.events > 600, "{report:?}");
    assert_eq!((replayed, report.torn, report.boots), (received, 0, 1));
}
