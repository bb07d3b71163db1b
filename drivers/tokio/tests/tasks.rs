//! Tests of the parts that only the tokio driver has: the watch, the stream, cancelled waits, the end of the runtime.
#![expect(clippy::std_instead_of_core, reason = "a test is built on std")]

use std::future::{Future, poll_fn};
use std::net::{SocketAddr, UdpSocket};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use bruit_tokio::{
    Bruit, Builder, Command, Config, DriverNotice, MemberChange, NodeId, Notice, Notices, Phase, Rejected,
};
use futures_core::Stream;
use tokio::runtime::Runtime;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(30);
const NOBODY: [SocketAddr; 0] = [];

async fn start(name: &str) -> (Bruit, Notices) {
    Bruit::bind("127.0.0.1:0", name, Config::local("tasks")).await.expect("it starts")
}

/// Starts two members that know each other.
async fn two() -> [(Bruit, Notices); 2] {
    let (a, b) = (start("a").await, start("b").await);
    a.0.join([b.0.local_addr()]).expect("joins");
    b.0.join([a.0.local_addr()]).expect("joins");
    assert!(a.0.joined(SOON).await && b.0.joined(SOON).await);
    [a, b]
}

#[tokio::test]
async fn a_watch_shows_the_present_and_ends_with_the_node() {
    let (a, _a_notices) = start("a").await;
    let mut watch = a.watch();
    assert_eq!((watch.latest().phase, watch.latest().members), (Phase::Idle, 0));
    a.join(NOBODY).expect("joins");
    let joined = timeout(SOON, watch.changed()).await.expect("in time").expect("it runs");
    assert_eq!((joined.phase, joined.joined, joined.addr), (Phase::Running, false, a.local_addr()));
    let (b, _b_notices) = start("b").await;
    b.join([a.local_addr()]).expect("joins");
    let both = timeout(SOON, watch.wait_for(|status| status.members == 2)).await.expect("in time");
    assert!(both.is_some_and(|status| status.joined && status.notices_sent > joined.notices_sent));
    let member = |bruit: &Bruit| bruit.members().iter().any(|member| member.id == b.id());
    assert!(member(&a), "a change that the watch announces can be read");
    b.leave(SOON).await.expect("it leaves");
    timeout(SOON, watch.wait_for(|status| status.members == 1)).await.expect("in time").expect("it runs");
    a.stop().await;
    assert!(timeout(SOON, watch.wait_for(|status| status.stopped)).await.expect("in time").is_some());
    assert_eq!(timeout(SOON, watch.changed()).await, Ok(None));
    assert_eq!(timeout(SOON, watch.wait_for(|_| false)).await, Ok(None));
    assert_eq!(timeout(SOON, a.watch().changed()).await, Ok(None), "a late watch does not wait");
}

#[tokio::test]
async fn notices_are_a_stream() {
    let [(a, mut notices), (b, _b_notices)] = two().await;
    let mut next = async || timeout(SOON, poll_fn(|cx| Pin::new(&mut notices).poll_next(cx))).await;
    let up = |notice: &DriverNotice| matches!(notice, DriverNotice::Node(Notice::Member { change: MemberChange::Up, member }) if member.id == b.id());
    while !next().await.expect("in time").as_ref().is_some_and(up) {}
    a.stop().await;
    while next().await.expect("in time").is_some() {}
}

#[tokio::test]
async fn a_cancelled_wait_leaves_nothing_behind() {
    let [(a, mut notices), (b, _b_notices)] = two().await;
    while notices.try_recv().is_some() {}
    let nobody = "127.0.0.1:9".parse().expect("an address");
    for _ in 0..10 {
        assert!(timeout(Duration::ZERO, a.ping(NodeId(77), nobody)).await.is_err());
        assert!(timeout(Duration::ZERO, notices.recv()).await.is_err());
    }
    let wanted = |notice: &DriverNotice| matches!(notice, DriverNotice::Node(Notice::PingFailed { .. }));
    let mut failed = 0;
    while failed < 10 {
        let notice = timeout(SOON, notices.recv()).await.expect("in time").expect("it runs");
        failed += u32::from(wanted(&notice));
    }
    assert!(timeout(SOON, a.ping(b.id(), b.local_addr())).await.is_ok_and(|end| end.is_ok()));
    // A leave goes on after its wait was cancelled.
    let begun = poll_fn(|cx| Poll::Ready(pin!(a.leave(SOON)).poll(cx))).await;
    assert_eq!(begun, Poll::Pending);
    let mut watch = a.watch();
    let left = watch.wait_for(|status| status.phase == Phase::Left);
    assert!(timeout(SOON, left).await.expect("in time").is_some_and(|status| !status.stopped));
}

#[tokio::test]
async fn a_flood_leaves_the_only_thread_to_other_tasks_too() {
    let (a, _notices) = start("a").await;
    a.join(NOBODY).expect("joins");
    let (target, flooding) = (a.local_addr(), Arc::new(AtomicBool::new(true)));
    let flag = Arc::clone(&flooding);
    let flood = std::thread::spawn(move || {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("bound");
        while flag.load(Ordering::Relaxed) {
            let _ = socket.send_to(&[0x5a; 1_200], target);
        }
    });
    while a.stats().dropped_version < 10_000 {
        tokio::task::yield_now().await;
    }
    timeout(SOON, a.stop()).await.expect("it stops in the midst of it");
    flooding.store(false, Ordering::Relaxed);
    flood.join().expect("it ends");
}

#[tokio::test]
async fn the_last_handle_stops_the_node_and_frees_the_address() {
    let [(a, mut a_notices), (b, _b_notices)] = two().await;
    let other = a.clone();
    drop(a);
    assert!(!other.is_stopped());
    let (addr, mut watch) = (other.local_addr(), other.watch());
    drop(other);
    assert!(timeout(SOON, watch.wait_for(|status| status.stopped)).await.expect("in time").is_some());
    while timeout(SOON, a_notices.recv()).await.expect("in time").is_some() {}
    let rebound = async {
        while UdpSocket::bind(addr).is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, rebound).await.expect("the address is free");
    assert!(!b.is_stopped());
}

#[test]
fn the_end_of_the_runtime_stops_the_node() {
    let dir = tempfile::tempdir().expect("a directory");
    let runtime = Runtime::new().expect("a runtime");
    let builder = Builder::new("a", Config::local("tasks")).state_dir(dir.path());
    let (a, mut notices) = runtime.block_on(builder.clone().start("127.0.0.1:0")).expect("it starts");
    a.join(NOBODY).expect("joins");
    drop(runtime);
    assert!(a.is_stopped());
    assert_eq!(a.command(Command::SetMeta(vec![])), Err(Rejected::Stopped));
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        assert!(!a.joined(SOON).await);
        assert_eq!(a.leave(SOON).await, Err(Rejected::Stopped));
        a.stop().await;
        while timeout(SOON, notices.recv()).await.expect("in time").is_some() {}
        builder.start("127.0.0.1:0").await.expect("the state directory is free");
    });
}
