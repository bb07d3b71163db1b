//! Every bound in one place. "Who loses" says what happens at the limit.
//!
//! | Limit | Value | Who loses |
//! |---|---|---|
//! | [`MTU_MIN`] | 1 200 B | `Node::new` refuses a smaller mtu |
//! | [`MTU_MAX`] | 65 507 B | `Node::new` refuses a larger one |
//! | [`NAME_BYTES_MAX`] | 64 B | `Node::new` refuses the boot |
//! | [`ZONE_BYTES_MAX`] | 32 B | `Node::new` refuses the boot |
//! | [`META_BYTES_MAX`] | 512 B | `Node::new` or `SetMeta` refuses |
//! | [`CLUSTER_BYTES_MAX`] | 64 B | `Node::new` refuses the configuration |
//! | [`EXTENSION_BYTES_MAX`] | 128 B | a longer record is an undecodable one |
//! | [`SEEDS_MAX`] | 64 | `Join`, `AddPeer`, `SetPeers` refuse |
//! | [`PINGS_MAX`] | 64 | `Ping` refuses |
//! | [`RELAYS_MAX`] | 256 | further indirect probes are not served for the period |
//! | `members_max` | 20 000 | unknown members beyond it are counted and ignored |
//! | `tombstones_max` | 8 192 | of the terminal entries: Left before Down, oldest first |
//! | [`OBITUARIES_MAX`] | 64 | the oldest explanation of a Down |
//! | [`RECENT_JOINERS_MAX`] | 16 | the oldest joiner in a join answer |
//! | [`SUSPICION_AUTHORS_MAX`] | 5 | further confirmations count for nothing |
//! | [`RETRANSMIT_MAX`] | 64 | an update is sent at most so often by one node |
//! | [`CREDIT_MAX`] | 64 KiB a partner and `reconcile_interval` | the rest of a difference waits for the next exchange |
//! | partners served | 4 096 in a `reconcile_interval` | further ones wait for the next |
//! | [`TOPIC_BYTES_MAX`] | 64 B | `Broadcast` refuses |
//! | `payload_bytes_max` | 64 KiB | `Broadcast` refuses |
//! | `pending_bytes_max` | 1 MiB | `Broadcast` answers `Busy` |
//! | `cache_bytes_max` | 4 MiB | the oldest payload of the origin that holds most |
//! | [`GAPS_MAX`] | 64 an epoch of an origin | the oldest gap is `Lost` |
//! | [`SOURCES_MAX`] | 4 a gap | the offer that came first |
//! | [`QUEUE_MAX`] | 262 144 | `Broadcast` answers `Busy`; what is only relayed is left to the repair |
//! | [`REPORTS_MAX`] | 64 | `Broadcast` with a report refuses |
//! | [`FRAGMENTS_MAX`] | 72 | a larger item is refused at submission |
//! | [`REASSEMBLIES_MAX`] | 16 a node | the oldest unfinished item |

/// Least legal `mtu`: what every IPv6 path carries with room for a tunnel.
pub const MTU_MIN: u16 = 1_200;
/// Greatest legal `mtu`: the largest UDP payload over IPv4.
pub const MTU_MAX: u16 = 65_507;
/// Longest member name, in bytes of UTF-8.
pub const NAME_BYTES_MAX: usize = 64;
/// Longest zone, in bytes of UTF-8.
pub const ZONE_BYTES_MAX: usize = 32;
/// Longest metadata of a member, in bytes.
pub const META_BYTES_MAX: usize = 512;
/// Longest cluster id, in bytes of UTF-8.
pub const CLUSTER_BYTES_MAX: usize = 64;
/// Longest unread extensions of a record, in bytes (rule G5).
pub const EXTENSION_BYTES_MAX: usize = 128;
/// Addresses to join through, own and external together.
pub const SEEDS_MAX: usize = 64;
/// `Ping` commands under way.
pub const PINGS_MAX: usize = 64;
/// Indirect probes served at one time.
pub const RELAYS_MAX: usize = 256;
/// Explanations of Down kept.
pub const OBITUARIES_MAX: usize = 64;
/// Joiners listed in a join answer.
pub const RECENT_JOINERS_MAX: usize = 16;
/// Independent authors counted for one suspicion: the first, and `suspicion_confirmations` more.
pub const SUSPICION_AUTHORS_MAX: usize = 5;
/// Transmissions of one update by one node.
pub const RETRANSMIT_MAX: u8 = 64;
/// Reconciliation bytes in flight towards one receiver.
pub const CREDIT_MAX: usize = 64 * 1024;
/// Longest topic of a broadcast, in bytes of UTF-8.
pub const TOPIC_BYTES_MAX: usize = 64;
/// Gaps kept for one epoch of an origin.
pub const GAPS_MAX: usize = 64;
/// Members remembered for a gap that have offered it.
pub const SOURCES_MAX: usize = 4;
/// Members remembered for a gap that could not serve it; at least `lost_peers`.
pub const REFUSALS_MAX: usize = 64;
/// Transmissions of broadcasts that wait for their turn.
pub const QUEUE_MAX: usize = 1 << 18;
/// Broadcasts that one node reports on at a time.
pub const REPORTS_MAX: usize = 64;
/// Payload bytes of a fragment; a constant of the protocol, so that any relay can serve any fragment.
pub const FRAGMENT_BYTES: usize = 1_024;
/// Fragments of one item.
pub const FRAGMENTS_MAX: usize = 72;
/// Unfinished reassemblies kept.
pub const REASSEMBLIES_MAX: usize = 16;
