//! The sizes of headers, messages and fields in bytes, and the proofs that they fit the least mtu (rule G6).

use crate::limits::{
    CLUSTER_BYTES_MAX, EXTENSION_BYTES_MAX, FRAGMENT_BYTES, META_BYTES_MAX, MTU_MIN, NAME_BYTES_MAX,
    TAGS_BYTES_MAX, ZONE_BYTES_MAX,
};

/// The number of tables whose roots ride on each ping and ack: members, the store's frontiers to come, and the
/// broadcast's marks.
pub(crate) const TABLES: usize = 3;
/// The number of parts that a range of a reconciliation is divided into.
pub(crate) const WAYS: usize = 16;

/// The header: version, cipher, reserved, key id, cluster tag, sender, incarnation, boot, receiver, sequence.
pub(crate) const HEADER_BYTES: usize = 1 + 1 + 2 + 4 + 8 + 8 + 12 + 8 + 8 + 8;
/// The checksum at the end of an unsealed datagram.
pub(crate) const CRC_BYTES: usize = 4;
/// The most bytes around the messages of a datagram: the header, and the salt and tag of a seal.
pub const ENVELOPE_BYTES_MAX: usize = HEADER_BYTES + 16 + 16;
/// The tag and the length before the body of each message.
pub(crate) const MESSAGE_BYTES: usize = 1 + 2;
/// The room for messages in a datagram of the least mtu.
const ROOM_MIN: usize = MTU_MIN as usize - ENVELOPE_BYTES_MAX;

/// The longest address: family, port, an IPv6 address.
const ADDR_BYTES_MAX: usize = 1 + 2 + 16;
/// An incarnation: epoch, counter.
const INCARNATION_BYTES: usize = 8 + 4;

/// A ping, or an ack with roots: tag, length, seq, roots.
pub(crate) const PROBE_BYTES: usize = MESSAGE_BYTES + SHORT_ACK_BYTES + 8 * TABLES;
/// The body of an ack without roots: seq.
pub(super) const SHORT_ACK_BYTES: usize = 4;
/// The body of an Accused: incarnation, code, boot.
const ACCUSED_BYTES: usize = INCARNATION_BYTES + 1 + 8;
// A node tells an unvalidated sender that it is accused in an answer no longer than the sender's ping (rules A4 and F6).
const _: () = assert!(MESSAGE_BYTES + SHORT_ACK_BYTES + MESSAGE_BYTES + ACCUSED_BYTES <= PROBE_BYTES);

/// A rank: seniority, draws, boot.
const RANK_BYTES: usize = 8 + 2 + 8;
/// The fields of a record that have a fixed width: id, incarnation, rank, shared digest, roster version, priority,
/// protocol range, flags.
pub(super) const RECORD_FIXED_BYTES: usize = 8 + INCARNATION_BYTES + RANK_BYTES + 8 + 4 + 4 + 2 + 1;
/// The shortest address: family, port, an IPv4 address.
const ADDR_BYTES_MIN: usize = 1 + 2 + 4;
/// The shortest record: no name, zone, metadata, tags and keys.
const RECORD_BYTES_MIN: usize = RECORD_FIXED_BYTES + ADDR_BYTES_MIN + 1 + 1 + 2 + 1 + 1;
/// The shortest Join: tag, length, cookie, a cluster id of one byte.
const JOIN_BYTES_MIN: usize = MESSAGE_BYTES + 8 + 1 + 1 + RECORD_BYTES_MIN;
/// The longest JoinEcho: cookie, seen address, code, and the holder: incarnation, boot, seniority, address.
const JOIN_ECHO_BYTES_MAX: usize =
    MESSAGE_BYTES + 8 + ADDR_BYTES_MAX + 1 + INCARNATION_BYTES + 8 + 8 + ADDR_BYTES_MAX;
// The answer to an unknown joiner is no longer than its question (rule F6).
const _: () = assert!(JOIN_ECHO_BYTES_MAX <= JOIN_BYTES_MIN);

/// The most key ids of a record.
pub(super) const KEYS_MAX: usize = 4;
/// The longest record.
pub(crate) const RECORD_BYTES_MAX: usize = RECORD_FIXED_BYTES
    + ADDR_BYTES_MAX
    + (1 + NAME_BYTES_MAX)
    + (1 + ZONE_BYTES_MAX)
    + (2 + META_BYTES_MAX)
    + (1 + TAGS_BYTES_MAX)
    + (1 + 4 * KEYS_MAX)
    + EXTENSION_BYTES_MAX;
/// A Join without its record: tag, length, cookie, cluster id.
const JOIN_BYTES_MAX: usize = MESSAGE_BYTES + 8 + 1 + CLUSTER_BYTES_MAX;
const _: () = assert!(JOIN_BYTES_MAX + RECORD_BYTES_MAX <= ROOM_MIN);

/// A range of a reconciliation: prefix, depth.
pub(super) const RANGE_BYTES: usize = 4 + 1;
/// A Compare, an Items or a Want without its list: tag, length, table, credit.
pub(crate) const RECONCILE_BYTES: usize = MESSAGE_BYTES + 1 + 4;
/// One range of a Compare: the range, the fingerprints of its parts.
pub(crate) const COMPARE_RANGE_BYTES: usize = RANGE_BYTES + 8 * WAYS;
/// One item of an Items: id, fingerprint.
pub(crate) const ITEM_BYTES: usize = 8 + 8;

/// A broadcast's content with an empty topic and payload: flags, and the lengths of both.
pub(super) const CONTENT_BYTES_MIN: usize = 1 + 1 + 4;
/// One run of message ids: origin, epoch, first, last.
pub(crate) const RUN_BYTES: usize = 8 + 8 + 8 + 8;
/// The most that stands before the runs of a message that has some: tag, length, and a Request's round and flags.
pub(crate) const RUNS_BYTES: usize = MESSAGE_BYTES + 4 + 1;
/// The most that stands before the entries of a Digest: tag, length, flags, round, a pull's two origins.
pub(crate) const DIGEST_BYTES: usize = MESSAGE_BYTES + 1 + 4 + 8 + 8;
/// The most gaps of one digest entry; an entry with more ends before the next gap.
pub(crate) const DIGEST_GAPS_MAX: usize = 16;
/// A Part without the bytes of its fragment: tag, length, hops, flags, item id, index, count.
const PART_BYTES: usize = MESSAGE_BYTES + 1 + 1 + 24 + 1 + 1;
const _: () = assert!(PART_BYTES + FRAGMENT_BYTES <= ROOM_MIN);
