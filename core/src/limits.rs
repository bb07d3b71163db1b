//! All bounds in one place, constants and settings. The last column says what happens at the limit.
//!
//! | Limit | Value | At the limit |
//! |---|---|---|
//! | [`MTU_MIN`] | 1 200 B | `Node::new` refuses a smaller mtu |
//! | [`MTU_MAX`] | 65 507 B | `Node::new` refuses a larger one |
//! | [`NAME_BYTES_MAX`] | 64 B | `Node::new` refuses the boot |
//! | [`ZONE_BYTES_MAX`] | 32 B | `Node::new` refuses the boot |
//! | [`META_BYTES_MAX`] | 512 B | `Node::new` or `SetMeta` refuses |
//! | [`TAGS_BYTES_MAX`] | 192 B | `Node::new` or `SetTags` refuses |
//! | [`TAG_BYTES_MAX`] | 190 B | `Node::new` or `SetTags` refuses |
//! | [`CLUSTER_BYTES_MAX`] | 64 B | `Node::new` refuses the configuration |
//! | [`EXTENSION_BYTES_MAX`] | 128 B | a record with more is dropped as undecodable |
//! | [`SEEDS_MAX`] | 64 | `Join`, `AddPeer`, `SetPeers` refuse |
//! | [`PINGS_MAX`] | 64 | `Ping` refuses |
//! | [`RELAYS_MAX`] | 256 | further indirect probes are not served for the period |
//! | [`NAME_RELAYS_MAX`] | 64 | further questions are not passed on for a second |
//! | [`RIVALS_TOLD_MAX`] | 8 in a minute | the application is not told of further processes with the own id |
//! | [`TURNS_MAX`] | 64 in a `probe_interval` | further senders are accused, and further echoes answered, in the next interval |
//! | `members_max` | 20 000, those that have gone included | members whose tombstone is held back are forgotten, Left ones before Down ones; otherwise further unknown members are ignored and counted |
//! | `tombstones_max` | 8 192 | further verdicts on unknown ids are ignored and counted |
//! | [`OBITUARIES_MAX`] | 64 | the oldest explanation of a Down is forgotten |
//! | [`RECENT_JOINERS_MAX`] | 16 | a join answer leaves out the older joiners |
//! | [`SUSPICION_AUTHORS_MAX`] | 5 | further confirmations have no effect |
//! | [`RETURNS_MAX`] | 8 a member | further returns do not lengthen its suspicion or its probation |
//! | [`RETRANSMIT_MAX`] | 64 | a node stops sending the update |
//! | [`CREDIT_MAX`] | 64 KiB a partner and `reconcile_interval` | the rest of a difference waits for the next exchange |
//! | partners served | 4 096 in a `reconcile_interval` | further partners wait for the next interval |
//! | [`TOPIC_BYTES_MAX`] | 64 B | `Broadcast` refuses |
//! | `payload_bytes_max` | 64 KiB | `Broadcast` refuses |
//! | `pending_bytes_max` | 1 MiB | `Broadcast` answers `Busy` |
//! | `cache_bytes_max` | 4 MiB | the origin that holds most loses its oldest payload |
//! | [`GAPS_MAX`] | 64 an epoch of an origin | the oldest gap is `Lost` |
//! | [`SOURCES_MAX`] | 4 a gap | the offer that came first is forgotten |
//! | [`REFUSALS_MAX`] | 64 a gap | further refusals are not remembered |
//! | [`QUEUE_MAX`] | 262 144 | `Broadcast` answers `Busy`; relayed messages are left to the repair |
//! | [`REPORTS_MAX`] | 64 | `Broadcast` with a report refuses |
//! | [`FRAGMENTS_MAX`] | 72 | a larger message is refused at submission |
//! | [`REASSEMBLIES_MAX`] | 16 a node | the oldest unfinished message is dropped, and asked for again |

/// The least `mtu` allowed. Every IPv6 path carries datagrams of this size, with bytes left for a tunnel's header.
pub const MTU_MIN: u16 = 1_200;
/// The greatest `mtu` allowed: the largest UDP payload over IPv4.
pub const MTU_MAX: u16 = 65_507;
/// The longest name of a member, in bytes of UTF-8.
pub const NAME_BYTES_MAX: usize = 64;
/// The longest name of a zone, in bytes of UTF-8.
pub const ZONE_BYTES_MAX: usize = 32;
/// The longest metadata of a member, in bytes. A member's record travels whole, in one datagram with the name of the cluster,
/// and must fit the least `mtu` (rule G6); what is longer belongs into a broadcast.
pub const META_BYTES_MAX: usize = 512;
/// The most bytes of the tags of a member: those of all keys and values, and 2 for each tag. With them the longest record just
/// fits the least `mtu`.
pub const TAGS_BYTES_MAX: usize = 192;
/// The longest key, and the longest value, of a tag, in bytes of UTF-8.
pub const TAG_BYTES_MAX: usize = 190;
/// The longest name of a cluster, in bytes of UTF-8.
pub const CLUSTER_BYTES_MAX: usize = 64;
/// The longest unread extensions of a record, in bytes (rule G5).
pub const EXTENSION_BYTES_MAX: usize = 128;
/// The most addresses to join through, own and external ones together.
pub const SEEDS_MAX: usize = 64;
/// The most `Ping` commands under way at one time.
pub const PINGS_MAX: usize = 64;
/// The most questions of members for their own ids that are passed on at one time.
pub const NAME_RELAYS_MAX: usize = 64;
/// The most indirect probes served at one time.
pub const RELAYS_MAX: usize = 256;
/// The most other processes with the own id of which the application is told in a minute.
pub const RIVALS_TOLD_MAX: usize = 8;
/// The most members that are accused, and the most whose echo is answered by a Join, in a probe interval.
pub const TURNS_MAX: usize = 64;
/// The most explanations of a Down that are kept.
pub const OBITUARIES_MAX: usize = 64;
/// The most returns of a member that are counted. Its suspicion time then has its greatest value with any setting.
pub const RETURNS_MAX: u8 = 8;
/// The most recent joiners listed in a join answer.
pub const RECENT_JOINERS_MAX: usize = 16;
/// The most independent authors counted for one suspicion: the first one and `suspicion_confirmations` more.
pub const SUSPICION_AUTHORS_MAX: usize = 5;
/// The most transmissions of one update by one node.
pub const RETRANSMIT_MAX: u8 = 64;
/// The most bytes of records sent to one partner of a reconciliation in a `reconcile_interval`.
pub const CREDIT_MAX: usize = 64 * 1024;
/// The longest topic of a broadcast, in bytes of UTF-8.
pub const TOPIC_BYTES_MAX: usize = 64;
/// The most gaps kept for one epoch of an origin.
pub const GAPS_MAX: usize = 64;
/// The most members remembered for a gap that have offered to fill it.
pub const SOURCES_MAX: usize = 4;
/// The most members remembered for a gap that could not fill it; at least `lost_peers`.
pub const REFUSALS_MAX: usize = 64;
/// The most transmissions of broadcasts that wait to be sent.
pub const QUEUE_MAX: usize = 1 << 18;
/// The most own broadcasts with reports at one time.
pub const REPORTS_MAX: usize = 64;
/// The payload bytes of a fragment. A constant of the protocol, so that any member can serve any fragment.
pub const FRAGMENT_BYTES: usize = 1_024;
/// The most fragments of one message.
pub const FRAGMENTS_MAX: usize = 72;
/// The most unfinished messages: those of which only some fragments have arrived.
pub const REASSEMBLIES_MAX: usize = 16;
