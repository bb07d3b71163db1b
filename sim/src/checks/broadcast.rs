//! The promises of the broadcast as checks, one type an invariant: CB1 to CB4, CB6, CB7 and CB10.
//!
//! | id | invariant | judged |
//! |---|---|---|
//! | CB1 | [`Integrity`]: what is delivered was sent by its origin, with the same topic and bytes | every notice, every answer |
//! | CB2 | [`Once`]: each message at most once, in the lives that remember | every notice |
//! | CB3 | [`Holes`]: in the order of each origin; a hole is announced, and never filled after that | every notice, at the end |
//! | CB4 | [`Delivery`]: what one has, all who are connected get, or are told that it is lost | at the end |
//! | CB6 | [`Latency`]: undisturbed members have it within the bound | every notice |
//! | CB7 | [`Limits`]: caches, queues and sets keep their bounds | every event |
//! | CB10 | [`Quiet`]: without submissions the traffic ends | every datagram |
//!
//! CB5 is statistical: [`Histogram`] and the experiment that fills it. CB8 is a report: [`crate::costs`]. CB9 compares two
//! runs: a test.

mod bimodality;
mod delivery;
mod holes;
mod integrity;
mod latency;
mod limits;
mod once;
mod quiet;

use bruit_core::wire::Kind;

pub use bimodality::Histogram;
pub use delivery::Delivery;
pub use holes::Holes;
pub use integrity::Integrity;
pub use latency::Latency;
pub use limits::Limits;
pub use once::Once;
pub use quiet::Quiet;

/// Whether messages of this kind are sent for broadcasts alone. The fingerprint that rides on every ping, and the
/// messages that find where two tables differ, serve all tables.
#[must_use]
pub const fn is_of_broadcast(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Publish
            | Kind::Part
            | Kind::IHave
            | Kind::Request
            | Kind::RequestParts
            | Kind::Digest
            | Kind::Gone
            | Kind::PushAck
            | Kind::Prune
            | Kind::Receipt
            | Kind::ReceiptRequest
            | Kind::Mark
    )
}
