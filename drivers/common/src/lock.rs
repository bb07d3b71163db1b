//! A lock on a directory, held while its owner runs. Two processes that write one state directory would each restore
//! the other's promises as their own.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// The name of the lock file. The file is never removed; only the lock on it counts.
pub(crate) const LOCK_FILE: &str = "lock";

/// Takes the lock of `dir`; `Ok(None)` while another process holds it.
#[cfg(unix)]
pub(crate) fn try_lock(dir: &Path) -> io::Result<Option<File>> {
    use rustix::fs::{FlockOperation, flock};
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(dir.join(LOCK_FILE))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Takes the lock of `dir` by opening its lock file without sharing; `Ok(None)` while another process holds it.
#[cfg(windows)]
pub(crate) fn try_lock(dir: &Path) -> io::Result<Option<File>> {
    use std::os::windows::fs::OpenOptionsExt;
    const SHARING_VIOLATION: i32 = 32;
    let opened =
        OpenOptions::new().create(true).truncate(false).write(true).share_mode(0).open(dir.join(LOCK_FILE));
    match opened {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.raw_os_error() == Some(SHARING_VIOLATION) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Creates a directory that only its owner can enter, and its missing parents.
pub(crate) fn create_private_dir(dir: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Options that create a file which only its owner can read.
pub(crate) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
