//! The checks of the broadcast: CB1 to CB4, CB6, CB7 and CB10.
//!
//! CB5 is an experiment of the `bruit-sim` command, CB8 the report of [`costs`](super::costs), and CB9 a test that compares
//! two runs.

mod delivery;
mod holes;
mod integrity;
mod latency;
mod limits;
mod once;
mod quiet;

use bruit_core::wire::Kind;

pub(super) use delivery::Delivery;
pub(super) use holes::Holes;
pub(super) use integrity::Integrity;
pub(super) use latency::Latency;
pub(super) use limits::Limits;
pub(super) use once::Once;
pub(super) use quiet::Quiet;

/// Whether messages of this kind are sent for broadcasts alone. The fingerprint on every ping, and the messages that find
/// where two tables differ, serve all tables.
pub(super) const fn is_of_broadcast(kind: Kind) -> bool {
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
