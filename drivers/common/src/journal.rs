//! The journal: all that went into a node, so that what it did can be run again elsewhere, step by step.
//!
//! A directory of segments, `journal-000001.bruit` and on. Each opens with a head (versions, boot, settings) and
//! a serialised node, so replay can begin at any of them; then comes every `(event, now)` with the running hash of
//! the actions up to there. Segments are bounded, and the oldest go.
//!
//! ```text
//! segment = "bruitjnl" format u16, then frames      frame  = length u32, crc-32c u32, payload      (little-endian)
//! frames  = head, node, record …                    record = (now, event) by postcard, running hash u64
//! ```
//!
//! **A journal is as confidential as the node**: it holds the seed, the metadata and every datagram. Its
//! files can be read by their owner only. Replay opens no socket (rule F1).

mod error;
mod reader;
mod record;
mod writer;

pub use error::JournalError;
pub use reader::{Report, Step, replay};
pub use writer::{Journal, JournalSettings};

const MAGIC: &[u8; 8] = b"bruitjnl";
const FORMAT: u16 = 1;
const OPENING_BYTES: usize = 8 + 2;
const FRAME_BYTES: usize = 4 + 4;
const HASH_BYTES: usize = 8;
/// What wrote a segment; another version may decide otherwise, so only the same one can check it.
const CRATE_VERSION: &str = env!("CARGO_PKG_VERSION");

fn file_name(segment: u32) -> String {
    format!("journal-{segment:06}.bruit")
}

fn segment_number(file_name: &str) -> Option<u32> {
    file_name.strip_prefix("journal-")?.strip_suffix(".bruit")?.parse().ok()
}

/// The numbers of the segments in a directory, in order.
fn segments(dir: &std::path::Path) -> std::io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        numbers.extend(entry?.file_name().to_str().and_then(segment_number));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests;
