//! The directory of local sockets: `$XDG_RUNTIME_DIR/bruit`, or a private directory below the temporary directory.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// The directory of this user's sockets. It may not exist yet.
pub(crate) fn directory() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(dir) if Path::new(&dir).is_absolute() => PathBuf::from(dir).join("bruit"),
        _ => std::env::temp_dir().join(format!("bruit-{}", rustix::process::getuid().as_raw())),
    }
}

/// The path of the socket for an agent without `--control`. Its directory is created.
pub(crate) fn default_socket(cluster: &str, name: &str) -> Result<PathBuf, Failure> {
    let dir = directory();
    make_private(&dir)
        .map_err(|error| Failure::Refused(format!("the directory {}: {error}", dir.display())))?;
    Ok(dir.join(format!("{}-{}.sock", plain(cluster), plain(name))))
}

/// Creates the directory, and checks that it belongs to this user alone. Another user's directory at this place would
/// let that user read our requests.
fn make_private(dir: &Path) -> Result<(), String> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|error| error.to_string())?;
    let about = fs::symlink_metadata(dir).map_err(|error| error.to_string())?;
    if !about.is_dir() || about.uid() != rustix::process::getuid().as_raw() {
        return Err("it does not belong to this user; give --control".to_owned());
    }
    if about.permissions().mode() & 0o077 != 0 {
        return Err("other users can enter it; remove that permission, or give --control".to_owned());
    }
    Ok(())
}

/// A name in a form that can be part of a file name.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' }).collect()
}

/// The sockets in the directory, sorted by name.
pub(crate) fn sockets() -> Vec<PathBuf> {
    let entries = fs::read_dir(directory()).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut sockets: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "sock")).collect();
    sockets.sort();
    sockets
}
