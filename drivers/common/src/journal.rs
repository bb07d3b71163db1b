//! The journal: every event that a node has taken, so that its run can be repeated elsewhere, step by step.
//!
//! A journal is a directory of segments, `journal-000001.bruit` and on. Each segment begins with a head (version, boot,
//! settings) and a serialised node, so that a replay can begin at any segment. Every `(event, now)` follows, with the
//! running hash of all actions so far. Segments are bounded in size and number; the oldest are removed.
//!
//! ```text
//! segment = "bruitjnl" format u16, then frames      frame  = length u32, crc-32c u32, payload      (little-endian)
//! frames  = head, node, record …                    record = (now, event) by postcard, running hash u64
//! ```
//!
//! **A journal is as confidential as the node**: it holds the seed, the metadata and every datagram. Only the owner of
//! its files can read them. A replay opens no socket (rule F1).

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
/// The version that writes a segment. Another version may decide differently, so only an equal one can replay it.
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
