//! The peers file: one `host:port` a line; `#` starts a comment. It is read again when its modification time or its
//! length changes. A wrong line is reported with its number and skipped. While the file cannot be read, the peers that
//! were read before stay in use.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::error::{BadLine, Trouble};
use crate::names::Seed;

/// The most bytes read of a peers file. The rest is ignored.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// A peers file, its last content, and its modification time and length when it was last read.
#[derive(Debug)]
pub(crate) struct PeersFile {
    path: PathBuf,
    seen: Option<(Option<SystemTime>, u64)>,
    failing: bool,
    pub(crate) peers: Vec<Seed>,
}

impl PeersFile {
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self { path, seen: None, failing: false, peers: Vec::new() }
    }

    /// Reads the file again if it has changed, and returns the errors found. A file that cannot be read is reported
    /// once, until it can be read again.
    pub(crate) fn refresh(&mut self) -> Vec<Trouble> {
        match self.read_if_changed() {
            Ok(None) => Vec::new(),
            Ok(Some(text)) => {
                self.failing = false;
                self.parse(&text)
            }
            Err(_) if self.failing => Vec::new(),
            Err(error) => {
                (self.failing, self.seen) = (true, None);
                vec![Trouble::PeersFile { path: self.path.clone(), error: error.to_string() }]
            }
        }
    }

    fn read_if_changed(&mut self) -> std::io::Result<Option<String>> {
        let file = fs::File::open(&self.path)?;
        let about = file.metadata()?;
        let looks = Some((about.modified().ok(), about.len()));
        if looks == self.seen {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
        self.seen = looks;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn parse(&mut self, text: &str) -> Vec<Trouble> {
        self.peers.clear();
        let mut troubles = Vec::new();
        for (i, line) in text.lines().enumerate() {
            let entry = line.split('#').next().unwrap_or_default().trim();
            if entry.is_empty() {
                continue;
            }
            match entry.parse() {
                Ok(seed) => self.peers.push(seed),
                Err(error) => {
                    troubles.push(Trouble::PeersLine(BadLine {
                        path: self.path.clone(),
                        line: i + 1,
                        error,
                    }));
                }
            }
        }
        troubles
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_again_on_change_and_bad_ones_skipped() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("peers");
        let mut file = PeersFile::new(path.clone());
        assert!(matches!(file.refresh().as_slice(), [Trouble::PeersFile { .. }]));
        assert_eq!(file.refresh(), vec![], "reported once");
        fs::write(&path, "# ours\n10.0.0.1:7000  # one\n\nweb-2\nweb-3:7000\n").expect("written");
        let troubles = file.refresh();
        assert!(matches!(troubles.as_slice(), [Trouble::PeersLine(BadLine { line: 4, .. })]), "{troubles:?}");
        assert_eq!(
            file.peers.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["10.0.0.1:7000", "web-3:7000"]
        );
        assert_eq!(file.refresh(), vec![]);
        fs::write(&path, "10.0.0.2:7000\n").expect("written");
        assert_eq!(file.refresh(), vec![]);
        assert_eq!(file.peers.len(), 1);
        fs::remove_file(&path).expect("removed");
        assert!(matches!(file.refresh().as_slice(), [Trouble::PeersFile { .. }]));
        assert_eq!(file.peers.len(), 1, "the peers stay");
    }
}
