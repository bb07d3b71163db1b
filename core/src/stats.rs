//! What a node has done and refused, as plain numbers.

use serde::{Deserialize, Serialize};

use crate::error::{DecodeError, Misbehavior};

macro_rules! stats {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// Counters since the start of the process. They only rise.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[non_exhaustive]
        pub struct Stats { $($(#[doc = $doc])+ pub $name: u64,)+ }

        impl Stats {
            /// Every counter with its name and its meaning, in a fixed order.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64, &'static str)> {
                [$((stringify!($name), self.$name, concat!($($doc),+).trim_ascii()),)+].into_iter()
            }
        }
    };
}

stats! {
    /// Datagrams given to the node.
    datagrams_received,
    /// Bytes of them.
    bytes_received,
    /// Datagrams that the node asked to send.
    datagrams_sent,
    /// Bytes of them.
    bytes_sent,
    /// Dropped: too short, or a length points past the end.
    dropped_truncated,
    /// Dropped: another format version.
    dropped_version,
    /// Dropped: another cluster.
    dropped_other_cluster,
    /// Dropped: the checksum does not match.
    dropped_checksum,
    /// Dropped: sealed with a cipher or key that we lack.
    dropped_sealed,
    /// Dropped: a field with an impossible value.
    dropped_invalid,
    /// Dropped: meant for another member (rule A5).
    dropped_wrong_receiver,
    /// Dropped: our own datagram came back.
    dropped_own,
    /// Dropped: the node does not run.
    dropped_stopped,
    /// Messages ignored: the sender is no member (rule B10).
    ignored_stranger,
    /// Messages ignored: an earlier life of the sender (rule A4).
    ignored_stale,
    /// Messages ignored: a kind that this version does not know (rule G5).
    ignored_unknown,
    /// Members ignored: the table is full.
    ignored_table_full,
    /// Indirect probes not served: too many at once.
    ignored_relays_full,
    /// Misbehaviour: an incarnation beyond its range (rule A3).
    misbehavior_incarnation,
    /// Misbehaviour: two contents of one incarnation (rule B4).
    misbehavior_two_contents,
    /// Misbehaviour: a broadcast longer than the limit.
    misbehavior_oversized,
    /// Own broadcasts.
    broadcasts_submitted,
    /// Broadcasts received, repeated ones included.
    broadcasts_received,
    /// Of these, repeated ones.
    broadcasts_duplicate,
    /// Broadcasts delivered to the application, own ones included.
    broadcasts_delivered,
    /// Broadcasts that nobody within reach could serve.
    broadcasts_lost,
    /// Broadcasts asked for.
    broadcasts_requested,
    /// Broadcasts served to those who asked.
    broadcasts_served,
    /// Requests not served: they answer a round that is over, or ask for more than a round may serve.
    requests_ignored,
    /// Transmissions left to the repair because the queue was full.
    broadcasts_unqueued,
    /// Probes started.
    probes,
    /// Probes that nobody answered.
    probes_failed,
    /// Suspicions held, own and heard.
    suspicions,
    /// Own verdicts of Down.
    downs_declared,
    /// Verdicts that were postponed because the fault may be here (rule B6).
    verdicts_postponed,
    /// Wake-ups so late that verdicts were shifted (rule B7).
    late_wakes,
    /// Own refutations.
    refutations,
    /// Reconciliations started.
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
