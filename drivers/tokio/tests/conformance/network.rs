//! Pings, traces, floods, host names and address families.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;

use bruit_tokio::Direction;
use bruit_tokio::core::wire::Kind as MessageKind;
use bruit_tokio::core::{MemberChange, MemberState, NodeId, Notice, Phase, Rejected};

use crate::support::{Kind, Options, SOON, three, wait, wait_change};

pub(crate) fn pings_and_traces(kinds: [Kind; 3]) {
    let [a, b, _c] = three(kinds);
    let (a, b_addr) = (&a, b.local_addr());
    let (seen, traced) = channel();
    a.trace([MessageKind::Ack], move |datagram| {
        let _ = seen.send((datagram.direction, datagram.peer, datagram.to_string()));
    });
    let round_trip = a.ping(b.id(), b_addr).expect("accepted");
    assert!(round_trip.is_some_and(|time| time < SOON));
    let (_, _, text) = traced.recv_timeout(SOON).expect("an ack went by");
    assert!(text.contains("ack"), "{text}");
    assert!(traced.iter().any(|(direction, peer, _)| direction == Direction::In && peer == b_addr));
    let nobody: SocketAddr = "127.0.0.1:9".parse().expect("an address");
    assert_eq!(a.ping(NodeId(77), nobody), Ok(None));
    assert_eq!(a.ping(a.id(), a.local_addr()), Err(Rejected::Oneself));
    assert_eq!(a.driver_stats().send_errors, 0);
    let out_of_reach: SocketAddr = "[::1]:9".parse().expect("an address");
    assert_eq!(a.ping(NodeId(77), out_of_reach), Ok(None), "what cannot be sent is a lost datagram");
    assert_eq!(a.driver_stats().send_errors, 3);
}

pub(crate) fn a_flood_stops_no_timer_and_no_command(kinds: [Kind; 3]) {
    let [mut a, b, c] = three(kinds);
    let (target, a_id, c_id) = (a.local_addr(), a.id(), c.id());
    let flooding = Arc::new(AtomicBool::new(true));
    let flag = Arc::clone(&flooding);
    let flood = std::thread::spawn(move || {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("bound");
        while flag.load(Ordering::Relaxed) {
            let _ = socket.send_to(&[0x5a; 1_200], target);
        }
    });
    drop(c);
    wait_change(&mut a, c_id, MemberChange::Down);
    assert!(a.ping(b.id(), b.local_addr()).is_ok());
    flooding.store(false, Ordering::Relaxed);
    flood.join().expect("it ends");
    assert!(a.stats().dropped_version > 0);
    let state = b.read(|node| node.member(a_id).map(|member| member.state));
    assert!(state.is_some_and(|state| state != MemberState::Down), "{state:?}");
}

pub(crate) fn members_find_each_other_by_name_and_through_a_peers_file(kinds: [Kind; 3]) {
    let dir = tempfile::tempdir().expect("a directory");
    let peers = dir.path().join("peers");
    let a = kinds[0].start("a");
    let a_addr = a.local_addr();
    a.join([a_addr]).expect("joins");
    let b = kinds[1].start("b");
    b.join([format!("localhost:{}", a_addr.port())]).expect("joins");
    assert!(b.joined(SOON), "by name");
    std::fs::write(&peers, "# nobody yet\n").expect("written");
    let c = kinds[2].start_with("c", Options { peers_file: Some(peers.clone()), ..Options::default() });
    c.join([c.local_addr()]).expect("joins");
    std::fs::write(&peers, format!("# one\n{a_addr}\n")).expect("written");
    assert!(c.joined(SOON), "through the file");
    assert_eq!(c.sources().len(), 1);
    let error = c.join(["nonsense"]).expect_err("refused").to_string();
    assert!(error.contains("nonsense"), "{error}");
}

pub(crate) fn an_id_in_use_is_noticed_through_a_host_name(kinds: [Kind; 3]) {
    let dir = tempfile::tempdir().expect("a directory");
    let [a, b, _c] = three(kinds);
    let record_of_b = || a.read(|node| node.member(b.id()).map(|member| (member.addr, member.incarnation)));
    let (before, name) = (record_of_b(), format!("localhost:{}", a.local_addr().port()));
    let peers = dir.path().join("peers");
    std::fs::write(&peers, &name).expect("written");
    // The name is given to the join, or stands in the peers file.
    for (seeds, peers_file) in [(vec![name], None), (vec![], Some(peers))] {
        let mut second = kinds[2].start_with("b", Options { peers_file, ..Options::default() });
        second.join(seeds).expect("joins");
        wait(&mut second, "the first notice", |notice| {
            assert!(matches!(notice, Notice::NameHeld { addr, .. } if *addr == b.local_addr()), "{notice:?}");
            true
        });
        assert_eq!(second.status().phase, Phase::Waiting);
    }
    assert_eq!(record_of_b(), before, "nobody has heard of the second process");
}

pub(crate) fn ipv6_sockets_that_take_ipv4_use_one_form_of_an_address(kinds: [Kind; 3]) {
    let Ok(mut a) = kinds[0].start_at("[::]:0", "a", Options::default()) else {
        return eprintln!("skipped: this machine has no IPv6 socket");
    };
    a.join(Vec::<SocketAddr>::new()).expect("joins");
    let b = kinds[1].start("b");
    b.join([format!("127.0.0.1:{}", a.local_addr().port())]).expect("joins");
    wait_change(&mut a, b.id(), MemberChange::Up);
    let seen = a.read(|node| node.member(b.id()).map(|member| member.addr));
    assert_eq!(seen, Some(b.local_addr()));
    assert!(b.joined(SOON));
}

pub(crate) fn members_over_ipv6(kinds: [Kind; 3]) {
    let start = |i: usize, name| kinds[i].start_at("[::1]:0", name, Options::default());
    let Ok(mut a) = start(0, "a") else {
        return eprintln!("skipped: this machine has no IPv6 loopback");
    };
    let b = start(1, "b").expect("it starts");
    a.join(Vec::<SocketAddr>::new()).expect("joins");
    b.join([a.local_addr()]).expect("joins");
    assert!(b.joined(SOON));
    wait_change(&mut a, b.id(), MemberChange::Up);
    let round_trip = b.ping(a.id(), a.local_addr());
    assert!(round_trip.is_ok_and(|time| time.is_some()));
}
