//! Where local sockets are: `$XDG_RUNTIME_DIR/bruit`, or a directory of this user's own below the temporary one.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// The directory of this user's sockets, whether it is there or not.
pub(crate) fn directory() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(dir) if Path::new(&dir).is_absolute() => PathBuf::from(dir).join("bruit"),
        _ => std::env::temp_dir().join(format!("bruit-{}", rustix::process::getuid().as_raw())),
    }
}

/// The socket of an agent that was given none; its directory is made.
pub(crate) fn default_socket(cluster: &str, name: &str) -> Result<PathBuf, Failure> {
    let dir = directory();
    make_private(&dir)
        .map_err(|error| Failure::Refused(format!("the directory {}: {error}", dir.display())))?;
    Ok(dir.join(format!("{}-{}.sock", plain(cluster), plain(name))))
}

/// Somebody else's directory at this place would let them read what we are asked.
fn make_private(dir: &Path) -> Result<(), String> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|error| error.to_string())?;
    let about = fs::symlink_metadata(dir).map_err(|error| error.to_string())?;
    if !about.is_dir() || about.uid() != rustix::process::getuid().as_raw() {
        return Err("it is not a directory of this user; give --control".to_owned());
    }
    if about.permissions().mode() & 0o077 != 0 {
        return Err("others may enter it; give --control, or take that right away".to_owned());
    }
    Ok(())
}

/// A name as a part of a file name.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' }).collect()
}

/// Every socket in the directory, in order.
pub(crate) fn sockets() -> Vec<PathBuf> {
    let entries = fs::read_dir(directory()).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut sockets: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "sock")).collect();
    sockets.sort();
    sockets
}
