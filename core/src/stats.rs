//! The counters of a node: what it has sent, received, dropped and decided.

use serde::{Deserialize, Serialize};

use crate::error::{DecodeError, Misbehavior};

macro_rules! stats {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// The counters of a node since it was made. They only rise. Each drop has a counter of its own reason.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[non_exhaustive]
        pub struct Stats { $($(#[doc = $doc])+ pub $name: u64,)+ }

        impl Stats {
            /// Each counter with its name and its meaning, in a fixed order.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64, &'static str)> {
                [$((stringify!($name), self.$name, concat!($($doc),+).trim_ascii()),)+].into_iter()
            }
        }
    };
}

stats! {
    /// Datagrams given to the node.
    datagrams_received,
    /// Bytes of the datagrams given to the node.
    bytes_received,
    /// Datagrams that the node asked to send.
    datagrams_sent,
    /// Bytes of the datagrams that the node asked to send.
    bytes_sent,
    /// Datagrams or messages dropped because they are too short, or a length in them points past the end.
    dropped_truncated,
    /// Datagrams dropped because they have another version of the format.
    dropped_version,
    /// Datagrams dropped because they belong to another cluster.
    dropped_other_cluster,
    /// Datagrams dropped because the checksum does not match.
    dropped_checksum,
    /// Datagrams dropped because they are encrypted with a cipher or key that this node lacks.
    dropped_sealed,
    /// Datagrams or messages dropped because a field has an impossible value.
    dropped_invalid,
    /// Datagrams dropped because they were meant for another member (rule A5).
    dropped_wrong_receiver,
    /// Datagrams dropped because they are this node's own and came back.
    dropped_own,
    /// Datagrams dropped because the node does not run.
    dropped_stopped,
    /// Messages ignored because the sender is not a member (rule B10).
    ignored_unknown_sender,
    /// Messages ignored because they are of an earlier epoch of the sender (rule A4).
    ignored_stale,
    /// Messages ignored because this version does not know their kind or table (rule G5).
    ignored_unknown,
    /// Members, or verdicts on unknown ids, ignored because the table is full (`membership.members_max`,
    /// `membership.tombstones_max`).
    ignored_table_full,
    /// Indirect probes not served because too many are under way.
    ignored_relays_full,
    /// Misbehaviour: incarnations beyond their range (rule A3).
    misbehavior_incarnation,
    /// Misbehaviour: different records of one member with one incarnation and boot (rule B4).
    misbehavior_two_contents,
    /// Misbehaviour: broadcasts longer than `broadcast.payload_bytes_max`.
    misbehavior_oversized,
    /// Broadcasts that the application of this node submitted.
    broadcasts_submitted,
    /// Broadcasts received, repeated ones included.
    broadcasts_received,
    /// Broadcasts received that this node had already.
    broadcasts_duplicate,
    /// Broadcasts delivered to the application, own ones included.
    broadcasts_delivered,
    /// Broadcasts given up because no reachable member could serve them.
    broadcasts_lost,
    /// Broadcasts that this node asked other members for.
    broadcasts_requested,
    /// Broadcasts that this node sent because another member asked for them.
    broadcasts_served,
    /// Requests not served because their round is over, or they exceed what a round may serve.
    requests_ignored,
    /// Transmissions of broadcasts left to the repair because the queue was full.
    broadcasts_unqueued,
    /// Probes of members that this node started.
    probes,
    /// Probes that failed because neither the member nor a helper answered in time.
    probes_failed,
    /// Suspicions that this node held, its own and those it heard.
    suspicions,
    /// Members that this node itself declared Down.
    downs_declared,
    /// Verdicts postponed because this node heard nobody and may itself be isolated (rule B6).
    verdicts_postponed,
    /// Wake-ups so late that the deadlines of verdicts were moved (rule B7).
    late_wakes,
    /// Times that this node refuted an accusation of itself.
    refutations,
    /// Reconciliations that this node started.
    reconciliations,
    /// Records and verdicts sent in reconciliations.
    reconciled_sent,
    /// Members learnt or changed by reconciliations.
    reconciled_changes,
}

impl Stats {
    pub(crate) const fn count_undecodable(&mut self, error: DecodeError) {
        let counter = match error {
            DecodeError::Truncated => &mut self.dropped_truncated,
            DecodeError::Version(_) => &mut self.dropped_version,
            DecodeError::OtherCluster => &mut self.dropped_other_cluster,
            DecodeError::Checksum => &mut self.dropped_checksum,
            DecodeError::Sealed => &mut self.dropped_sealed,
            DecodeError::Invalid(_) => &mut self.dropped_invalid,
        };
        *counter += 1;
    }

    pub(crate) const fn count_misbehavior(&mut self, misbehavior: Misbehavior) {
        let counter = match misbehavior {
            Misbehavior::Incarnation => &mut self.misbehavior_incarnation,
            Misbehavior::Oversized => &mut self.misbehavior_oversized,
            Misbehavior::TwoContents => &mut self.misbehavior_two_contents,
        };
        *counter += 1;
    }
}
