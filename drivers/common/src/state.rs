//! The state directory: the data that a member must still have after a restart, one file for each [`Slot`].
//!
//! A slot is replaced as a whole: the new content is written to a second file, flushed and renamed, and the directory
//! is flushed, so that a crash leaves either the old content or the new. Each file names its owner and carries a
//! checksum. A file that does not fit is an error that names it; it is not overwritten.
//!
//! ```text
//! "bruitslt"  format u16  slot u16  owner u64  length u32  content …  crc-32c u32      (little-endian)
//! ```

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bruit_core::{NodeId, Slot};
use crc::{CRC_32_ISCSI, Crc};

use crate::lock::{create_private_dir, private_file, try_lock};

const MAGIC: &[u8; 8] = b"bruitslt";
const FORMAT: u16 = 1;
const HEADER_BYTES: usize = 8 + 2 + 2 + 8 + 4;
const CRC_BYTES: usize = 4;
/// The longest content of a slot, in bytes.
pub const SLOT_BYTES_MAX: usize = 16 * 1024 * 1024;

pub(crate) const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// Every slot with its number in the file and its file name.
const SLOTS: [(Slot, u16, &str); 4] = [
    (Slot::Epoch, 1, "epoch.slot"),
    (Slot::SeenSet, 2, "seen-set.slot"),
    (Slot::Roster, 3, "roster.slot"),
    (Slot::Ballot, 4, "ballot.slot"),
];

/// The reason why a state directory cannot be used, or a slot cannot be written.
#[derive(Debug)]
#[non_exhaustive]
pub enum StateError {
    /// Another process uses the directory.
    Locked(PathBuf),
    /// The content of a file was changed since it was written. The file is not touched: move it away to start without
    /// it.
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The part that does not fit.
        reason: &'static str,
    },
    /// The file belongs to another member.
    ForeignOwner {
        /// The file.
        path: PathBuf,
        /// The member that it belongs to.
        owner: NodeId,
        /// The member that tried to use it.
        asked: NodeId,
    },
    /// This version has no file for the slot.
    UnknownSlot(Slot),
    /// The content is longer than [`SLOT_BYTES_MAX`].
    Oversized {
        /// The slot.
        slot: Slot,
        /// The length of the content in bytes.
        len: usize,
    },
    /// The operating system refused an operation.
    Io {
        /// The operation that failed, as words that follow "cannot".
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked(path) => {
                write!(f, "the state directory {} is in use by another process", path.display())
            }
            Self::Corrupt { path, reason } => {
                write!(
                    f,
                    "the state file {} is damaged ({reason}); move it away to start without it",
                    path.display()
                )
            }
            Self::ForeignOwner { path, owner, asked } => {
                write!(f, "the state file {} belongs to {owner}, not to {asked}", path.display())
            }
            Self::UnknownSlot(slot) => write!(f, "slot {slot:?} has no file in this version"),
            Self::Oversized { slot, len } => {
                write!(f, "slot {slot:?} has {len} bytes, but at most {SLOT_BYTES_MAX} are kept")
            }
            Self::Io { what, path, source } => write!(f, "cannot {what} {}: {source}", path.display()),
        }
    }
}

impl std::error::Error for StateError {}

/// An open state directory of one member. It is locked until this value is dropped.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    owner: NodeId,
    _lock: File,
}

impl StateDir {
    /// Opens the directory, creates it if it is missing, and locks it.
    ///
    /// # Errors
    /// [`StateError::Locked`] while another process uses it; [`StateError::Io`] if the operating system refuses.
    pub fn open(path: impl Into<PathBuf>, owner: NodeId) -> Result<Self, StateError> {
        let path = path.into();
        create_private_dir(&path).map_err(|source| failed("create the state directory", &path, source))?;
        let locked = try_lock(&path).map_err(|source| failed("lock the state directory", &path, source))?;
        let Some(lock) = locked else { return Err(StateError::Locked(path)) };
        Ok(Self { path, owner, _lock: lock })
    }

    /// Reads the content of every slot that was written.
    ///
    /// # Errors
    /// A file is damaged, belongs to another member, or cannot be read.
    pub fn restore(&self) -> Result<Vec<(Slot, Vec<u8>)>, StateError> {
        let mut restored = Vec::new();
        for (slot, number, file) in SLOTS {
            let path = self.path.join(file);
            match fs::read(&path) {
                Ok(bytes) => restored.push((slot, self.decode(&path, number, &bytes)?)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(failed("read", &path, source)),
            }
        }
        Ok(restored)
    }

    /// Writes `content` to `slot`. Once it has returned, a crash does not lose the content.
    ///
    /// # Errors
    /// The operating system refused. The old content is then still there.
    pub fn write(&self, slot: Slot, content: &[u8]) -> Result<(), StateError> {
        let known = SLOTS.iter().find(|(known, ..)| *known == slot);
        let Some((_, number, file)) = known else { return Err(StateError::UnknownSlot(slot)) };
        if content.len() > SLOT_BYTES_MAX {
            return Err(StateError::Oversized { slot, len: content.len() });
        }
        let path = self.path.join(file);
        let beside = path.with_extension("new");
        let bytes = self.encode(*number, content);
        write_flushed(&beside, &bytes).map_err(|source| failed("write", &beside, source))?;
        fs::rename(&beside, &path).map_err(|source| failed("replace", &path, source))?;
        flush_dir(&self.path).map_err(|source| failed("flush the directory", &self.path, source))
    }

    fn encode(&self, number: u16, content: &[u8]) -> Vec<u8> {
        let len =
            u32::try_from(content.len()).expect("a slot is shorter than SLOT_BYTES_MAX: checked by write");
        let mut bytes = Vec::with_capacity(HEADER_BYTES + content.len() + CRC_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(&self.owner.0.to_le_bytes());
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend_from_slice(content);
        bytes.extend_from_slice(&CRC.checksum(&bytes).to_le_bytes());
        bytes
    }

    fn decode(&self, path: &Path, number: u16, bytes: &[u8]) -> Result<Vec<u8>, StateError> {
        let corrupt = |reason| StateError::Corrupt { path: path.to_owned(), reason };
        let Some((body, crc)) = bytes.split_last_chunk::<CRC_BYTES>() else {
            return Err(corrupt("too short"));
        };
        let Some((header, content)) = body.split_first_chunk::<HEADER_BYTES>() else {
            return Err(corrupt("too short"));
        };
        let [m0, m1, m2, m3, m4, m5, m6, m7, f0, f1, n0, n1, owner @ .., l0, l1, l2, l3] = *header;
        if [m0, m1, m2, m3, m4, m5, m6, m7] != *MAGIC {
            return Err(corrupt("not a state file"));
        }
        if CRC.checksum(body) != u32::from_le_bytes(*crc) {
            return Err(corrupt("the checksum does not match"));
        }
        if u16::from_le_bytes([f0, f1]) != FORMAT {
            return Err(corrupt("another format version"));
        }
        if u16::from_le_bytes([n0, n1]) != number {
            return Err(corrupt("another slot"));
        }
        if u32::from_le_bytes([l0, l1, l2, l3]) as usize != content.len() {
            return Err(corrupt("another length"));
        }
        let owner = NodeId(u64::from_le_bytes(owner));
        if owner != self.owner {
            return Err(StateError::ForeignOwner { path: path.to_owned(), owner, asked: self.owner });
        }
        Ok(content.to_vec())
    }
}

/// Chooses the epoch of a boot: greater than the stored epoch, and not less than the calendar. The calendar is in
/// nanoseconds, because two boots could happen within one second. Returns `None` if no epoch is left.
#[must_use]
pub fn next_epoch(restored: &[(Slot, Vec<u8>)], calendar: u64) -> Option<u64> {
    let stored = restored.iter().find(|(slot, _)| *slot == Slot::Epoch);
    let stored = stored.and_then(|(_, bytes)| Some(u64::from_le_bytes(bytes.as_slice().try_into().ok()?)));
    let epoch = calendar.max(stored.map_or(0, |stored| stored.saturating_add(1)));
    (epoch < bruit_core::Incarnation::EPOCH_END).then_some(epoch)
}

fn write_flushed(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = private_file().create(true).truncate(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(unix)]
fn flush_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Does nothing: other systems cannot open a directory, and their file systems order a rename by their own journal.
#[cfg(not(unix))]
fn flush_dir(_: &Path) -> io::Result<()> {
    Ok(())
}

fn failed(what: &'static str, path: &Path, source: io::Error) -> StateError {
    StateError::Io { what, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> StateDir {
        StateDir::open(path, NodeId(7)).expect("the directory opens")
    }

    #[test]
    fn a_written_slot_is_restored() {
        let dir = tempfile::tempdir().expect("a directory");
        let state = open(dir.path());
        assert_eq!(state.restore().expect("empty"), vec![]);
        state.write(Slot::Ballot, b"one").expect("written");
        state.write(Slot::Ballot, b"two").expect("written");
        state.write(Slot::Epoch, &9_u64.to_le_bytes()).expect("written");
        drop(state);
        let restored = open(dir.path()).restore().expect("readable");
        assert_eq!(
            restored,
            vec![(Slot::Epoch, 9_u64.to_le_bytes().to_vec()), (Slot::Ballot, b"two".to_vec())]
        );
        assert_eq!(next_epoch(&restored, 5), Some(10));
        assert_eq!(next_epoch(&restored, 50), Some(50));
        assert_eq!(next_epoch(&restored, 1 << 63), None);
    }

    #[test]
    fn two_processes_do_not_share_a_directory() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = open(dir.path());
        let second = StateDir::open(dir.path(), NodeId(7));
        assert!(matches!(second, Err(StateError::Locked(_))), "{second:?}");
        drop(first);
        open(dir.path());
    }

    #[test]
    fn every_damaged_byte_is_noticed_and_nothing_is_overwritten() {
        let dir = tempfile::tempdir().expect("a directory");
        let state = open(dir.path());
        state.write(Slot::Epoch, &9_u64.to_le_bytes()).expect("written");
        let path = dir.path().join("epoch.slot");
        let good = fs::read(&path).expect("readable");
        for i in 0..good.len() {
            let mut bad = good.clone();
            bad[i] ^= 1;
            fs::write(&path, &bad).expect("written");
            let error = state.restore().expect_err("damaged").to_string();
            assert!(error.contains("epoch.slot"), "{error}");
            assert_eq!(fs::read(&path).expect("readable"), bad);
        }
        fs::write(&path, &good[..9]).expect("written");
        assert!(matches!(state.restore(), Err(StateError::Corrupt { reason: "too short", .. })));
    }

    #[test]
    fn a_directory_of_another_member_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        open(dir.path()).write(Slot::Epoch, &9_u64.to_le_bytes()).expect("written");
        let other = StateDir::open(dir.path(), NodeId(8)).expect("the directory opens");
        let error = other.restore().expect_err("foreign").to_string();
        assert!(error.contains("n7") && error.contains("n8"), "{error}");
    }
}
