//! Replay: runs the node again from each segment's checkpoint, and compares the running hash after every event.

use std::fs;
use std::path::{Path, PathBuf};

use bruit_core::{Boot, Event, Node, Outbox, Time};

use super::error::JournalError;
use super::record::{EventRecord, Head, RunningHash};
use super::{CRATE_VERSION, FORMAT, FRAME_BYTES, HASH_BYTES, MAGIC, OPENING_BYTES, file_name, segments};
use crate::state::CRC;

/// One event of a replay, after the node has taken it again.
#[derive(Debug)]
pub struct Step<'a> {
    /// The number of the segment.
    pub segment: u32,
    /// The number of the event in the segment, from 1.
    pub number: u64,
    /// The time of the event.
    pub now: Time,
    /// The event.
    pub event: &'a Event<'a>,
    /// The actions that the node answered with.
    pub actions: &'a Outbox,
    /// The node after the event.
    pub node: &'a Node,
}

/// The result of a replay in which every hash agreed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The number of segments replayed.
    pub segments: usize,
    /// The number of boots that they belong to.
    pub boots: usize,
    /// The number of events replayed.
    pub events: u64,
    /// The running hash at the end of the last segment.
    pub hash: u64,
    /// The number of segments that end in the middle of a record, because the process died while it wrote, or still
    /// writes.
    pub torn: usize,
}

/// Replays every segment of a directory, in order, and calls `each` after every event.
///
/// # Errors
/// A segment is damaged, of another version, or the node does something else this time.
pub fn replay(dir: &Path, mut each: impl FnMut(&Step<'_>)) -> Result<Report, JournalError> {
    let numbers = segments(dir).map_err(|error| JournalError::io("list", dir, error))?;
    if numbers.is_empty() {
        return Err(JournalError::Empty(dir.to_owned()));
    }
    let mut report = Report { segments: 0, boots: 0, events: 0, hash: 0, torn: 0 };
    let mut before: Option<(Boot, RunningHash)> = None;
    for number in numbers {
        let path = dir.join(file_name(number));
        let bytes = fs::read(&path).map_err(|error| JournalError::io("read", &path, error))?;
        let mut segment = Segment::open(path, &bytes)?;
        match before {
            Some((boot, hash)) if boot == segment.head.boot => segment.follows(hash)?,
            _ => report.boots += 1,
        }
        report.events += segment.run(number, &mut each)?;
        report.segments += 1;
        report.torn += usize::from(segment.torn);
        report.hash = segment.hash.0;
        before = Some((segment.head.boot, segment.hash));
    }
    Ok(report)
}

#[derive(Debug)]
struct Segment<'a> {
    path: PathBuf,
    bytes: &'a [u8],
    at: usize,
    head: Head,
    node: Node,
    hash: RunningHash,
    torn: bool,
}

impl<'a> Segment<'a> {
    fn open(path: PathBuf, bytes: &'a [u8]) -> Result<Self, JournalError> {
        let damaged = |at, reason| JournalError::Damaged { path: path.clone(), at, reason };
        let opening = bytes.get(..OPENING_BYTES).ok_or_else(|| damaged(0, "it is too short"))?;
        let (magic, format) = opening.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(damaged(0, "it is not a journal segment"));
        }
        if format != FORMAT.to_le_bytes() {
            return Err(damaged(MAGIC.len(), "it has another format version"));
        }
        let mut at = OPENING_BYTES;
        let mut frame = || match next_frame(bytes, &mut at) {
            Frame::Payload(payload) => Ok((at, payload)),
            Frame::Bad(reason) => Err(damaged(at, reason)),
            Frame::Torn | Frame::End => Err(damaged(at, "it ends before its first event")),
        };
        let (head_at, head) = frame()?;
        let head: Head =
            postcard::from_bytes(head).map_err(|_| damaged(head_at, "the head is unreadable"))?;
        if head.crate_version != CRATE_VERSION {
            return Err(JournalError::Version {
                path: path.clone(),
                found: head.crate_version,
                ours: CRATE_VERSION,
            });
        }
        let (node_at, node) = frame()?;
        let node = postcard::from_bytes(node).map_err(|_| damaged(node_at, "the node is unreadable"))?;
        let hash = RunningHash(head.hash);
        Ok(Self { path, bytes, at, head, node, hash, torn: false })
    }

    /// Checks that the segment begins where the one before it ended.
    fn follows(&self, before: RunningHash) -> Result<(), JournalError> {
        self.compare(0, self.hash.0, before.0)
    }

    fn compare(&self, event: u64, written: u64, replayed: u64) -> Result<(), JournalError> {
        if written == replayed {
            return Ok(());
        }
        Err(JournalError::Diverged { path: self.path.clone(), event, written, replayed })
    }

    fn run(&mut self, segment: u32, each: &mut impl FnMut(&Step<'_>)) -> Result<u64, JournalError> {
        let mut out = Outbox::new();
        let mut number = 0;
        loop {
            let payload = match next_frame(self.bytes, &mut self.at) {
                Frame::Payload(payload) => payload,
                Frame::Bad(reason) => return Err(self.damaged(reason)),
                Frame::End => return Ok(number),
                Frame::Torn => {
                    self.torn = true;
                    return Ok(number);
                }
            };
            number += 1;
            let (now, event, written) = self.record(payload)?;
            out.clear();
            self.node.handle_into(event.clone(), now, &mut out);
            self.hash.absorb(out.iter());
            self.compare(number, written, self.hash.0)?;
            each(&Step { segment, number, now, event: &event, actions: &out, node: &self.node });
        }
    }

    fn record(&self, payload: &'a [u8]) -> Result<(Time, Event<'a>, u64), JournalError> {
        let split = payload.split_last_chunk::<HASH_BYTES>();
        let (body, hash) = split.ok_or_else(|| self.damaged("a record has no hash"))?;
        let (now, event): (Time, EventRecord<'a>) =
            postcard::from_bytes(body).map_err(|_| self.damaged("a record is unreadable"))?;
        Ok((now, event.into_event(), u64::from_le_bytes(*hash)))
    }

    fn damaged(&self, reason: &'static str) -> JournalError {
        JournalError::Damaged { path: self.path.clone(), at: self.at, reason }
    }
}

enum Frame<'a> {
    Payload(&'a [u8]),
    Bad(&'static str),
    Torn,
    End,
}

fn next_frame<'a>(bytes: &'a [u8], at: &mut usize) -> Frame<'a> {
    let rest = &bytes[*at..];
    if rest.is_empty() {
        return Frame::End;
    }
    let Some((&[l0, l1, l2, l3, c0, c1, c2, c3], rest)) = rest.split_first_chunk::<FRAME_BYTES>() else {
        return Frame::Torn;
    };
    let Some(payload) = rest.get(..u32::from_le_bytes([l0, l1, l2, l3]) as usize) else { return Frame::Torn };
    if payload.is_empty() || CRC.checksum(payload) != u32::from_le_bytes([c0, c1, c2, c3]) {
        return Frame::Bad("the checksum does not match");
    }
    *at += FRAME_BYTES + payload.len();
    Frame::Payload(payload)
}
