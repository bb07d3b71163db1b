//! Start, join, leave, stop and restart; and applications that read slowly or panic.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bruit_driver::journal;
use bruit_tokio::core::{Command, MemberChange, MemberState, NodeId, Notice, Phase, Rejected};
use bruit_tokio::{DriverNotice, JournalSettings, RecvError, StartError, View};

use crate::support::{Kind, Node, Options, SOON, three, until, wait, wait_change};

const NOBODY: [SocketAddr; 0] = [];

pub(crate) fn members_see_each_other_and_their_metadata(kinds: [Kind; 3]) {
    let [a, mut b, c] = three(kinds);
    let names = |node: &Node| -> Vec<String> {
        node.members().iter().map(|member| member.name.to_string()).collect()
    };
    let mut sorted = names(&a);
    sorted.sort_unstable();
    assert_eq!(sorted, ["a", "b", "c"]);
    assert_eq!(a.command(Command::SetMeta(b"from a".to_vec())).map(drop), Ok(()));
    wait_change(&mut b, a.id(), MemberChange::Updated);
    let meta = |node: &Node, id| node.read(|node| node.member(id).map(|member| member.meta.to_vec()));
    until("c sees it", || meta(&c, a.id()) == Some(b"from a".to_vec()));
    let status = a.status();
    assert!(status.joined && !status.stopped && status.phase == Phase::Running, "{status:?}");
    assert_eq!((status.members, status.addr), (3, a.local_addr()));
}

pub(crate) fn a_call_of_the_handle_within_a_read_panics_and_stops_nothing(kinds: [Kind; 3]) {
    let [a, b, c] = three(kinds);
    let panic =
        catch_unwind(AssertUnwindSafe(|| a.read(|_| a.members()))).expect_err("it cannot be answered");
    let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
    let text = panic.downcast_ref::<&str>().map_or(text, |text| (*text).to_owned());
    assert!(text.contains("a function that is given to `read`"), "{text}");
    assert_eq!(a.read(|_| b.members().len()), 3, "another handle may be used");
    assert_eq!((a.members().len(), c.members().len()), (3, 3), "the node goes on");
}

pub(crate) fn views_show_the_present_then_each_change_and_then_the_end(kinds: [Kind; 3]) {
    let [a, b, c] = three(kinds);
    let (b_id, c_id) = (b.id(), c.id());
    let mut views = a.views();
    let first = views.next().expect("a present view");
    let live = |view: &View| view.live_members().count();
    assert_eq!((live(&first), first.me().map(|me| me.id)), (3, Some(a.id())));
    assert!(Arc::ptr_eq(&first, &a.view()), "one view for all readers");
    let mut version = first.version();
    let mut see = |what: &str, holds: &dyn Fn(&View) -> bool| {
        let view = loop {
            let view = views.next().unwrap_or_else(|| panic!("{what}"));
            assert!(view.version() > version, "{what}: each view is a later one");
            version = view.version();
            if holds(&view) {
                break view;
            }
        };
        let members =
            a.read(|node| node.members().map(|member| (member.id, member.boot)).collect::<Vec<_>>());
        assert!(view.members().iter().map(|member| (member.id, member.boot)).eq(members), "{what}");
    };
    b.set_tags([("role", "db")]).expect("accepted");
    see("the tags of another", &|view| view.member(b_id).is_some_and(|b| b.tags.get("role") == Some("db")));
    a.set_meta(b"mine").expect("accepted");
    see("the own metadata", &|view| view.me().is_some_and(|me| *me.meta == *b"mine"));
    drop(c);
    see("a crash", &|view| view.member(c_id).map(|c| c.state) == Some(MemberState::Down));
    assert_eq!(live(&first), 3, "a view never changes");
    assert_eq!(live(&a.view()), 2);
    a.leave(SOON).expect("it may leave");
    let mut last = None;
    while let Some(view) = views.next() {
        last = Some(view);
    }
    let me = last.as_ref().and_then(|view| view.me());
    assert_eq!(me.map(|me| me.state), Some(MemberState::Left), "the last view is read before the end");
}

pub(crate) fn a_leave_and_a_crash_are_told_apart(kinds: [Kind; 3]) {
    let [a, mut b, mut c] = three(kinds);
    let (a_id, c_id) = (a.id(), c.id());
    assert_eq!(a.leave(SOON), Ok(true));
    wait_change(&mut b, a_id, MemberChange::Left);
    wait_change(&mut c, a_id, MemberChange::Left);
    drop(c);
    wait_change(&mut b, c_id, MemberChange::Down);
    assert!(b.read(|node| node.why_down(c_id).is_some()));
    let states = b.read(|node| [a_id, c_id].map(|id| node.member(id).map(|member| member.state)));
    assert!(!states.contains(&Some(MemberState::Alive)), "{states:?}");
    assert_eq!(b.status().members, 1);
}

pub(crate) fn a_node_that_does_not_run_refuses_and_no_call_hangs(kinds: [Kind; 3]) {
    let mut a = kinds[0].start("a");
    let b = kinds[1].start("b");
    assert_eq!(a.leave(SOON), Err(Rejected::NotStarted));
    assert_eq!(a.ping(b.id(), b.local_addr()), Err(Rejected::NotStarted));
    assert!(!a.joined(Duration::ZERO));
    a.join(NOBODY).expect("the first node of a cluster has nobody to join");
    assert!(!a.joined(Duration::from_millis(1)));
    assert_eq!(a.leave(Duration::from_millis(100)), Ok(true), "nobody has to acknowledge");
    let started = Instant::now();
    let stopped = |node: &Node| {
        assert!(node.is_stopped() && node.status().stopped);
        assert_eq!(node.command(Command::Join { seeds: vec![] }), Err(Rejected::Stopped));
        assert_eq!(node.leave(SOON), Err(Rejected::Stopped));
        assert_eq!(node.ping(NodeId(7), node.local_addr()), Err(Rejected::Stopped));
        assert!(!node.joined(SOON));
        node.join(["localhost:7000"]).expect_err("refused");
        node.stop();
    };
    stopped(&a);
    b.stop();
    stopped(&b);
    while a.try_recv().is_some() {}
    assert_eq!(a.recv(SOON), Err(RecvError::Ended));
    assert!(started.elapsed() < SOON);
}

pub(crate) fn a_leave_does_not_wait_for_a_host_name(kinds: [Kind; 3]) {
    for kind in kinds {
        let node = kind.start("a");
        node.join(["nowhere.invalid:7000"]).expect("joins");
        assert_eq!(node.leave(SOON), Ok(true));
        assert!(node.is_stopped());
    }
}

pub(crate) fn a_stopped_node_frees_its_address(kinds: [Kind; 3]) {
    for kind in kinds {
        let node = kind.start("a");
        let addr = node.local_addr().to_string();
        node.join(NOBODY).expect("joins");
        node.stop();
        drop(node);
        kind.start_at(&addr, "a", Options::default()).expect("the address is free");
    }
}

pub(crate) fn a_failed_start_names_the_reason(kinds: [Kind; 3]) {
    let [kind, other, _] = kinds;
    let a = kind.start("a");
    let addr = a.local_addr().to_string();
    let failed = |addr: &str, options| other.start_at(addr, "b", options).err().expect("it cannot start");
    let error = failed(&addr, Options::default());
    assert!(matches!(error, StartError::Bind { .. }));
    assert_eq!(error.to_string(), format!("cannot bind {addr}: the address is in use by another process"));
    let error = failed("127.0.0.1", Options::default()).to_string();
    assert!(error.contains("127.0.0.1"), "{error}");
    let dir = tempfile::tempdir().expect("a directory");
    let options = Options { state_dir: Some(dir.path().to_owned()), ..Options::default() };
    let first = other.start_with("b", options.clone());
    let error = failed("127.0.0.1:0", options.clone()).to_string();
    assert!(error.contains("in use by another process"), "{error}");
    first.stop();
    drop(first);
    other.start_with("b", options);
}

pub(crate) fn a_restarted_member_is_back_under_a_higher_epoch(kinds: [Kind; 3]) {
    let dir = tempfile::tempdir().expect("a directory");
    let mut a = kinds[0].start("a");
    a.join([a.local_addr()]).expect("joins");
    let b_id = NodeId::from_name("b");
    let mut epochs = Vec::new();
    // Each boot uses another driver on one directory.
    for kind in kinds {
        let b =
            kind.start_with("b", Options { state_dir: Some(dir.path().to_owned()), ..Options::default() });
        b.join([a.local_addr()]).expect("joins");
        let epoch = b.status().incarnation.epoch;
        wait(&mut a, "b at its new epoch", |notice| {
            matches!(notice, Notice::Member { member, .. }
                if member.id == b_id && member.state == MemberState::Alive && member.incarnation.epoch == epoch)
        });
        epochs.push(epoch);
        b.stop();
    }
    assert!(epochs.is_sorted_by(|a, b| a < b), "{epochs:?}");
}

pub(crate) fn a_journal_of_a_real_run_replays(kinds: [Kind; 3]) {
    let dir = tempfile::tempdir().expect("a directory");
    let settings =
        JournalSettings { segment_bytes: 64 * 1024, segments_max: 100, ..JournalSettings::new(dir.path()) };
    let a = kinds[0].start_with("a", Options { journal: Some(settings), ..Options::default() });
    let b = kinds[1].start("b");
    a.join([b.local_addr()]).expect("joins");
    b.join([a.local_addr()]).expect("joins");
    assert!(a.joined(SOON) && b.joined(SOON));
    for round in 0..600_u32 {
        let meta = round.to_le_bytes().repeat(60);
        a.command(Command::SetMeta(meta)).expect("accepted");
    }
    let received = a.leave(SOON).map(|_| a.stats().datagrams_received).expect("leaves");
    let mut replayed = 0;
    let report = journal::replay(dir.path(), |step| replayed = step.node.stats().datagrams_received)
        .expect("the hash after each event is the one that was written");
    assert!(report.segments > 1 && report.events > 600, "{report:?}");
    assert_eq!((replayed, report.torn, report.boots), (received, 0, 1));
}

pub(crate) fn a_slow_reader_blocks_nobody_and_is_told_what_it_missed(kinds: [Kind; 3]) {
    let start =
        |kind: Kind, name| kind.start_with(name, Options { notices_max: Some(1), ..Options::default() });
    let (mut a, mut b) = (start(kinds[0], "a"), start(kinds[1], "b"));
    a.join([b.local_addr()]).expect("joins");
    b.join([a.local_addr()]).expect("joins");
    assert!(a.joined(SOON) && b.joined(SOON));
    for round in 0..20_u8 {
        a.command(Command::SetMeta(vec![round])).expect("accepted");
    }
    assert_eq!(a.leave(SOON), Ok(true));
    until("b has missed something", || b.driver_stats().notices_missed > 0);
    assert!(matches!(a.recv(SOON), Ok(DriverNotice::Lagged { missed: 1.. })));
    assert!(matches!(b.recv(SOON), Ok(DriverNotice::Lagged { missed: 1.. })));
}

pub(crate) fn a_reader_that_panics_does_not_stop_the_node(kinds: [Kind; 3]) {
    let [a, mut b, _c] = three(kinds);
    let read = || a.read(|_| panic!("as an application might"));
    assert!(catch_unwind(AssertUnwindSafe(read)).is_err());
    assert_eq!(a.command(Command::SetMeta(b"still here".to_vec())).map(drop), Ok(()));
    wait_change(&mut b, a.id(), MemberChange::Updated);
    assert!(a.ping(b.id(), b.local_addr()).is_ok_and(|time| time.is_some()));
}
