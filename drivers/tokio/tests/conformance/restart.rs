//! Restarts: a member keeps the set of delivered broadcasts in its state directory, so that it delivers no broadcast
//! twice, neither its own nor those of others.

use std::fs;
use std::path::Path;
use std::time::Duration;

use bruit_tokio::StartError;
use bruit_tokio::core::{BroadcastConfig, broadcast::PersistSeen};

use crate::broadcast::{delivered_so_far, deliveries, settle};
use crate::support::{Kind, Options, SOON, config, until};

const AT_INTERVALS: PersistSeen = PersistSeen::Every(Duration::from_millis(10));

/// The end of a boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Crash,
    Leave,
}

/// Settings with which a restarted member soon finds the broadcasts of earlier boots.
fn quick() -> BroadcastConfig {
    BroadcastConfig { quiet_after: Duration::from_millis(50), ..config().broadcast }
}

fn settings(persist_seen: PersistSeen, dir: &Path) -> Options {
    let broadcast = BroadcastConfig { persist_seen, ..quick() };
    Options { broadcast: Some(broadcast), state_dir: Some(dir.to_owned()), ..Options::default() }
}

/// Returns what b delivers in three boots, one on each kind of driver, while a keeps running. In each boot both send a
/// broadcast. `kept` waits until the delivery is durable; it is given the stored content of before.
fn boots(kinds: [Kind; 3], options: &Options, end: End, kept: impl Fn(Option<Vec<u8>>)) -> Vec<Vec<String>> {
    let a = kinds[0].start_with("a", Options { broadcast: Some(quick()), ..Options::default() });
    a.join([a.local_addr()]).expect("joins");
    let mut boots = Vec::new();
    for (number, kind) in (1..).zip(kinds) {
        let mut b = kind.start_with("b", options.clone());
        b.join([a.local_addr()]).expect("joins");
        assert!(b.joined(SOON));
        until("a sees this boot of b", || {
            let (id, epoch) = (b.id(), b.status().incarnation.epoch);
            a.read(|node| node.member(id).is_some_and(|member| member.incarnation.epoch == epoch))
        });
        settle(&[&a, &b]);
        let earlier = delivered_so_far(&mut b);
        let before = options.state_dir.as_deref().and_then(content);
        a.broadcast("t", format!("a{number}")).expect("taken");
        let from_a = deliveries(&mut b, 1);
        kept(before);
        let before = options.state_dir.as_deref().and_then(content);
        b.broadcast("t", format!("b{number}")).expect("taken");
        let own = deliveries(&mut b, 1);
        if end == End::Crash {
            kept(before);
        }
        settle(&[&a, &b]);
        let later = delivered_so_far(&mut b);
        let all = [earlier, from_a, own, later].concat();
        boots.push(all.into_iter().map(|(_, _, payload)| String::from_utf8_lossy(&payload).into()).collect());
        match end {
            End::Crash => b.stop(),
            End::Leave => assert_eq!(b.leave(SOON), Ok(true)),
        }
    }
    boots
}

/// The content of the stored set.
fn content(dir: &Path) -> Option<Vec<u8>> {
    fs::read(dir.join("seen-set.slot")).ok()
}

const ONCE: [[&str; 2]; 3] = [["a1", "b1"], ["a2", "b2"], ["a3", "b3"]];

pub(crate) fn a_seen_set_kept_at_intervals_survives_a_crash(kinds: [Kind; 3]) {
    let dir = tempfile::tempdir().expect("a directory");
    let kept = |before| until("the set is kept", || content(dir.path()) != before);
    assert_eq!(boots(kinds, &settings(AT_INTERVALS, dir.path()), End::Crash, kept), ONCE);
}

pub(crate) fn a_seen_set_kept_at_intervals_is_complete_after_a_leave(kinds: [Kind; 3]) {
    let dir = tempfile::tempdir().expect("a directory");
    let seldom = PersistSeen::Every(Duration::from_secs(3_600));
    assert_eq!(boots(kinds, &settings(seldom, dir.path()), End::Leave, |_| {}), ONCE);
}

pub(crate) fn a_seen_set_kept_before_delivery_survives_a_crash(kinds: [Kind; 3]) {
    let dir = tempfile::tempdir().expect("a directory");
    let options = settings(PersistSeen::BeforeDelivery, dir.path());
    assert_eq!(boots(kinds, &options, End::Crash, |_| {}), ONCE);
}

pub(crate) fn without_a_seen_set_a_restart_delivers_again(kinds: [Kind; 3]) {
    let dir = tempfile::tempdir().expect("a directory");
    let boots = boots(kinds, &settings(PersistSeen::Never, dir.path()), End::Crash, |_| {});
    let sorted = |boot: &[String]| {
        let mut sorted = boot.to_vec();
        sorted.sort();
        sorted
    };
    assert_eq!(sorted(&boots[1]), ["a1", "a2", "b1", "b2"]);
    assert_eq!(sorted(&boots[2]), ["a1", "a2", "a3", "b1", "b2", "b3"]);
}

pub(crate) fn a_seen_set_without_a_state_directory_fails_the_start(kinds: [Kind; 3]) {
    let dir = tempfile::tempdir().expect("a directory");
    for kind in kinds {
        let options = Options { state_dir: None, ..settings(PersistSeen::BeforeDelivery, dir.path()) };
        let error = kind.start_at("127.0.0.1:0", "b", options).err().expect("it cannot start");
        assert!(matches!(error, StartError::NoStateDir), "{error}");
    }
}
