use std::path::Path;

use bruit_core::{Boot, Command, Config, Event, Node, NodeId, Outbox, Time};

use super::*;

fn boot(epoch: u64) -> Boot {
    let addr = "127.0.0.1:7000".parse().expect("an address");
    Boot::new(NodeId(1), "one", addr, epoch, [3; 32])
}

/// Runs a node with a journal for this many events.
fn write(dir: &Path, epoch: u64, events: u64) {
    let settings = JournalSettings { segment_bytes: 64 * 1024, segments_max: 3, ..JournalSettings::new(dir) };
    let mut node = Node::new(boot(epoch), Config::local("test"), Time::ZERO).expect("valid");
    let mut journal = Journal::create(settings, boot(epoch), &node, Time::ZERO).expect("created");
    let mut out = Outbox::new();
    let seeds = vec!["127.0.0.1:7001".parse().expect("an address")];
    let noise = [7; 900];
    for i in 0..events {
        let from = "127.0.0.1:7001".parse().expect("an address");
        let event = match i {
            0 => Event::Command(Command::Join { seeds: seeds.clone() }),
            _ if i % 2 == 0 => Event::Datagram { from, bytes: &noise },
            _ => Event::Tick,
        };
        let now = Time::from_millis(i * 100);
        out.clear();
        journal.begin(&event, now);
        node.handle_into(event, now, &mut out);
        journal.finish(out.iter(), &node).expect("written");
    }
}

#[test]
fn a_journal_replays_to_the_same_hash() {
    let dir = tempfile::tempdir().expect("a directory");
    write(dir.path(), 5, 40);
    let mut told = 0;
    let report = replay(dir.path(), |_| told += 1).expect("the same");
    assert_eq!((report.segments, report.boots, report.events, report.torn), (1, 1, 40, 0));
    assert_eq!(told, 40);
    assert_ne!(report.hash, 0);
}

#[test]
fn segments_rotate_and_the_oldest_are_removed() {
    let dir = tempfile::tempdir().expect("a directory");
    write(dir.path(), 5, 1_000);
    let kept = segments(dir.path()).expect("listed");
    assert_eq!(kept.len(), 3);
    assert!(kept[0] > 1, "{kept:?}");
    let report = replay(dir.path(), |_| {}).expect("each begins with a checkpoint");
    assert_eq!((report.segments, report.boots), (3, 1));
    write(dir.path(), 6, 3);
    let report = replay(dir.path(), |_| {}).expect("another boot begins a chain of its own");
    assert_eq!((report.segments, report.boots), (3, 2));
}

#[test]
fn a_torn_end_is_reported_and_a_changed_byte_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    write(dir.path(), 5, 40);
    let path = dir.path().join(file_name(1));
    let good = std::fs::read(&path).expect("readable");
    std::fs::write(&path, &good[..good.len() - 3]).expect("written");
    let report = replay(dir.path(), |_| {}).expect("readable up to the tear");
    assert_eq!((report.events, report.torn), (39, 1));
    let mut bad = good.clone();
    let last = bad.len() - 9;
    bad[last] ^= 1;
    std::fs::write(&path, &bad).expect("written");
    assert!(matches!(replay(dir.path(), |_| {}), Err(JournalError::Damaged { .. })));
}

#[test]
fn a_replay_with_other_actions_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    write(dir.path(), 5, 40);
    let path = dir.path().join(file_name(1));
    let mut bytes = std::fs::read(&path).expect("readable");
    // Changes the hash of the last record, and corrects the checksum of its frame.
    let (end, record) = (bytes.len(), last_frame(&bytes));
    bytes[end - 1] ^= 1;
    let crc = crate::state::CRC.checksum(&bytes[record + FRAME_BYTES..]);
    bytes[record + 4..record + FRAME_BYTES].copy_from_slice(&crc.to_le_bytes());
    std::fs::write(&path, &bytes).expect("written");
    let error = replay(dir.path(), |_| {}).expect_err("diverged");
    assert!(matches!(error, JournalError::Diverged { event: 40, .. }), "{error}");
}

fn last_frame(bytes: &[u8]) -> usize {
    let (mut at, mut last) = (OPENING_BYTES, OPENING_BYTES);
    while at < bytes.len() {
        last = at;
        let len = bytes[at..at + 4].try_into().map(u32::from_le_bytes).expect("four bytes");
        at += FRAME_BYTES + len as usize;
    }
    last
}

#[test]
fn two_writers_and_impossible_sizes_are_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let node = Node::new(boot(5), Config::local("test"), Time::ZERO).expect("valid");
    let create = |settings| Journal::create(settings, boot(5), &node, Time::ZERO);
    let first = create(JournalSettings::new(dir.path())).expect("created");
    assert!(matches!(create(JournalSettings::new(dir.path())), Err(JournalError::Locked(_))));
    drop(first);
    let small = JournalSettings { segment_bytes: 1, ..JournalSettings::new(dir.path()) };
    let error = create(small).expect_err("refused").to_string();
    assert_eq!(error, "journal.segment_bytes is 1, but must be at least 65536");
    assert!(matches!(replay(&dir.path().join("none"), |_| {}), Err(JournalError::Io { .. })));
}
