//! The wire format: envelope, messages, records. Pure functions between values and bytes.
//!
//! `core/WIRE.md` documents every byte; golden bytes in the tests keep it true. All numbers are little-endian
//! and of fixed width: the few messages on the hot path then cost a handful of instructions each. Every length
//! is checked against what is left before anything is read, and nothing is allocated while decoding.

mod checksum;
mod codec;
mod describe;
mod envelope;
mod fragment;
mod gossip;
mod message;
mod record;

pub use crate::reconcile::Range as KeyRange;
pub use describe::{Described, Kind, describe};
pub use envelope::{Datagram, ENVELOPE_BYTES_MAX, Header, Messages, cluster_tag, compose, open};
pub use fragment::{Fragment, ItemId, Reassembly, fragments};
pub use gossip::{Digest, DigestEntry, Gossip, Item, Run, Runs};
pub use message::{Accused, Compare, Items, Join, JoinAnswer, Message, RangeItems, Verdict, Want};
pub use record::{Record, RecordFields};

pub(crate) use codec::{Put, Reader};
pub(crate) use envelope::{CRC_BYTES, HEADER_BYTES, Letterhead, finish};
pub(crate) use gossip::{
    DIGEST_BYTES, DIGEST_GAPS_MAX, EAGER, EVERYONE, GRAFT, MULTICAST, PULL, PUSHED, REPORT, RUN_BYTES,
    RUNS_BYTES, encode_item, put_digest_entry, put_run,
};
pub(crate) use message::{PROBE_BYTES, RECONCILE_BYTES, put_compare_range, put_items_range};

#[cfg(test)]
mod tests;
