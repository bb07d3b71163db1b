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
mod join;
mod kind;
mod member;
mod probe;
mod reconcile;
mod record;
mod sizes;

pub use describe::{Described, describe};
pub use envelope::{Datagram, Header, Messages, cluster_tag, compose, open};
pub use fragment::{Fragment, ItemId, Reassembly, fragments};
pub use gossip::{
    Digest, DigestEntry, Gone, IHave, Item, Lack, Mark, Part, Prune, Publish, PushAck, Receipt,
    ReceiptRequest, Request, RequestParts, Run, Runs,
};
pub use join::{Join, JoinAnswer, JoinEcho};
pub use kind::{Gossip, Kind, Message, Reconcile, Standing, Swim};
pub use member::{Accused, Alive, Verdict};
pub use probe::{Ack, Nack, Ping, PingReq, RelayedAck};
pub use reconcile::{Compare, Delta, Items, KeyRange, RangeItems, Want};
pub use record::{Record, RecordFields};
pub use sizes::ENVELOPE_BYTES_MAX;

pub(crate) use codec::{Put, Reader};
pub(crate) use envelope::{Letterhead, finish};
pub(crate) use gossip::{
    EAGER, EVERYONE, GRAFT, MULTICAST, PULL, PUSHED, REPORT, encode_item, put_digest_entry, put_run,
};
pub(crate) use reconcile::{put_compare_range, put_items_range};
pub(crate) use sizes::{
    CRC_BYTES, DIGEST_BYTES, DIGEST_GAPS_MAX, HEADER_BYTES, PROBE_BYTES, RECONCILE_BYTES, RUN_BYTES,
    RUNS_BYTES, TABLES, WAYS,
};

#[cfg(test)]
mod tests;
