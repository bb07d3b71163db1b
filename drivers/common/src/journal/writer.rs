//! Writing. Each event is one write call, so a process that is killed loses no event. A machine that loses its power
//! may lose the last ones, and the replay then reports a torn segment.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bruit_core::{Action, Boot, Config, Event, Node, Time};
use serde::Serialize;

use super::error::JournalError;
use super::record::{EventRecord, Head, RunningHash};
use super::{CRATE_VERSION, FORMAT, FRAME_BYTES, MAGIC, file_name, segments};
use crate::lock::{create_private_dir, private_file, try_lock};
use crate::state::CRC;

/// The directory of a journal, and how much of it is kept.
#[derive(Clone, Debug)]
pub struct JournalSettings {
    /// The directory, which is created if it is missing.
    pub dir: PathBuf,
    /// The number of bytes of events after which a new segment begins; at least 64 KiB. Default 16 MiB.
    pub segment_bytes: u64,
    /// The number of segments kept, including the one being written; at least 2. Default 8.
    pub segments_max: usize,
}

impl JournalSettings {
    const SEGMENT_BYTES_MIN: u64 = 64 * 1024;
    const SEGMENTS_MIN: usize = 2;

    /// The default sizes, for a journal in this directory.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), segment_bytes: 16 * 1024 * 1024, segments_max: 8 }
    }

    fn validate(&self) -> Result<(), JournalError> {
        let numbers = [
            ("journal.segment_bytes", self.segment_bytes, Self::SEGMENT_BYTES_MIN),
            ("journal.segments_max", self.segments_max as u64, Self::SEGMENTS_MIN as u64),
        ];
        match numbers.into_iter().find(|(_, value, min)| value < min) {
            Some((field, value, min)) => Err(JournalError::Setting { field, value, min }),
            None => Ok(()),
        }
    }
}

/// A journal that is being written.
#[derive(Debug)]
pub struct Journal {
    settings: JournalSettings,
    head: Head,
    file: File,
    path: PathBuf,
    segment: u32,
    event_bytes: u64,
    hash: RunningHash,
    frame: Vec<u8>,
    _lock: File,
}

impl Journal {
    /// Begins a new segment after those that are in the directory. `node` must have taken no event yet.
    ///
    /// # Errors
    /// A setting is too small, another process writes to the directory, or the operating system refuses.
    pub fn create(
        settings: JournalSettings,
        boot: Boot,
        node: &Node,
        started: Time,
    ) -> Result<Self, JournalError> {
        settings.validate()?;
        let dir = &settings.dir;
        create_private_dir(dir)
            .map_err(|error| JournalError::io("create the journal directory", dir, error))?;
        let locked =
            try_lock(dir).map_err(|error| JournalError::io("lock the journal directory", dir, error))?;
        let Some(lock) = locked else { return Err(JournalError::Locked(dir.clone())) };
        let last = segments(dir).map_err(|error| JournalError::io("list", dir, error))?.pop();
        let segment = last.unwrap_or(0) + 1;
        let config: Config = node.config().clone();
        let head = Head { crate_version: CRATE_VERSION.to_owned(), boot, config, started, hash: 0 };
        let (path, file) = open_segment(dir, segment, &head, node)?;
        let (hash, frame) = (RunningHash::default(), Vec::new());
        let journal = Self { settings, head, file, path, segment, event_bytes: 0, hash, frame, _lock: lock };
        journal.prune()?;
        Ok(journal)
    }

    /// Prepares the record of an event that the node is about to take. [`finish`](Self::finish) must follow.
    pub fn begin(&mut self, event: &Event<'_>, now: Time) {
        self.frame.clear();
        self.frame.resize(FRAME_BYTES, 0);
        let frame = std::mem::take(&mut self.frame);
        self.frame = postcard::to_extend(&(now, EventRecord::of(event)), frame).unwrap_or_default();
    }

    /// Adds the hash of the node's actions to the record and writes it. `node` is the node after the event.
    ///
    /// # Errors
    /// The operating system refused. The journal must not be used any more.
    pub fn finish<'a>(
        &mut self,
        actions: impl Iterator<Item = Action<'a>>,
        node: &Node,
    ) -> Result<(), JournalError> {
        if self.frame.len() <= FRAME_BYTES {
            return Err(JournalError::Encode(self.path.clone()));
        }
        self.hash.absorb(actions);
        self.frame.extend_from_slice(&self.hash.0.to_le_bytes());
        close_frame(&mut self.frame);
        self.file.write_all(&self.frame).map_err(|error| JournalError::io("write", &self.path, error))?;
        self.event_bytes += self.frame.len() as u64;
        if self.event_bytes > self.settings.segment_bytes { self.rotate(node) } else { Ok(()) }
    }

    fn rotate(&mut self, node: &Node) -> Result<(), JournalError> {
        self.head.hash = self.hash.0;
        self.segment += 1;
        (self.path, self.file) = open_segment(&self.settings.dir, self.segment, &self.head, node)?;
        self.event_bytes = 0;
        self.prune()
    }

    /// Removes the oldest segments until no more than `segments_max` are left.
    fn prune(&self) -> Result<(), JournalError> {
        let dir = &self.settings.dir;
        let numbers = segments(dir).map_err(|error| JournalError::io("list", dir, error))?;
        let excess = numbers.len().saturating_sub(self.settings.segments_max);
        numbers.iter().take(excess).try_for_each(|number| {
            let path = dir.join(file_name(*number));
            fs::remove_file(&path).map_err(|error| JournalError::io("remove", &path, error))
        })
    }
}

fn open_segment(dir: &Path, segment: u32, head: &Head, node: &Node) -> Result<(PathBuf, File), JournalError> {
    let path = dir.join(file_name(segment));
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    push_frame(&mut bytes, head).map_err(|_| JournalError::Encode(path.clone()))?;
    push_frame(&mut bytes, node).map_err(|_| JournalError::Encode(path.clone()))?;
    let create = || -> io::Result<File> {
        let mut file = private_file().create_new(true).open(&path)?;
        file.write_all(&bytes)?;
        Ok(file)
    };
    let file = create().map_err(|error| JournalError::io("create", &path, error))?;
    Ok((path, file))
}

fn push_frame(bytes: &mut Vec<u8>, value: &impl Serialize) -> postcard::Result<()> {
    let mut frame = postcard::to_extend(value, vec![0; FRAME_BYTES])?;
    close_frame(&mut frame);
    bytes.append(&mut frame);
    Ok(())
}

/// Fills in the length and the checksum in front of the payload.
fn close_frame(frame: &mut [u8]) {
    let (front, payload) = frame.split_at_mut(FRAME_BYTES);
    let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    front[..4].copy_from_slice(&len.to_le_bytes());
    front[4..].copy_from_slice(&CRC.checksum(payload).to_le_bytes());
}
