//! The wire format: pure functions between values and bytes. This module uses none of the machines.
//!
//! `core/WIRE.md` documents every byte, and golden bytes in the tests check it. All numbers are little-endian and of fixed
//! width, so that the few messages on the hot path cost a handful of instructions each. Every length is checked against the
//! bytes that are left before anything is read, and decoding allocates nothing.
//!
//! ```text
//! envelope ── opens and closes a datagram, and walks its messages          describe ── prints a datagram
//! kind ────── the table of messages: tag, name, needed standing; dispatch
//! probe member join │ reconcile │ gossip digest ── the messages: a struct and its codec each
//! record │ item run fragment ── what messages contain
//! codec sizes error ── the primitives
//! ```

mod checksum;
mod codec;
mod describe;
mod digest;
mod envelope;
mod error;
mod fragment;
mod gossip;
mod item;
mod join;
mod kind;
mod member;
mod name;
mod probe;
mod reconcile;
mod record;
mod run;
mod sizes;

pub use describe::{Described, describe};
pub use digest::{Digest, DigestEntry};
pub use envelope::{Datagram, Header, Messages, cluster_tag, compose, open};
pub use error::DecodeError;
pub use fragment::{Fragment, ItemId, fragments};
pub use gossip::{
    Gone, IHave, Lack, Mark, Part, Prune, Publish, PushAck, Receipt, ReceiptRequest, Request, RequestParts,
};
pub use item::Item;
pub use join::{Holder, Join, JoinAnswer, JoinEcho, NameState};
pub use kind::{Gossip, Kind, Message, Reconcile, Standing, Swim};
pub use member::{Accused, Alive, Verdict};
pub use name::{Ask, Claim};
pub use probe::{Ack, Nack, Ping, PingReq, RelayedAck};
pub use reconcile::{Compare, Delta, Items, KeyRange, RangeItems, Want};
pub use record::{Record, RecordFields};
pub use run::{Run, Runs};
pub use sizes::ENVELOPE_BYTES_MAX;

pub(crate) use codec::{Put, Reader};
pub(crate) use digest::{EVERYONE, PULL, put_digest_entry};
pub(crate) use envelope::{HeaderPrefix, finish, open_any};
pub(crate) use gossip::{EAGER, GRAFT, MULTICAST, PUSHED};
pub(crate) use item::{REPORT, encode_item};
pub(crate) use reconcile::{put_compare_range, put_items_range};
pub(crate) use run::put_run;
pub(crate) use sizes::{
    CRC_BYTES, DIGEST_BYTES, DIGEST_GAPS_MAX, HEADER_BYTES, PROBE_BYTES, RECONCILE_BYTES, RUN_BYTES,
    RUNS_BYTES, TABLES, WAYS,
};

#[cfg(test)]
mod tests;
