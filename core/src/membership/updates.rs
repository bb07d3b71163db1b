//! Updates that wait to ride on datagrams (SWIM §3.2, infection-style dissemination).
//!
//! Only subjects are queued; what is said of them is read from the table when a datagram is packed, so a newer
//! update of a subject replaces the older one by itself. Fewest transmissions go first.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::collections::Lookup;
use crate::id::NodeId;
use crate::limits::RETRANSMIT_MAX;

/// The queue. A subject is in it at most once; older places of it are stale and skipped.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Updates {
    /// By how often they have been sent; new ones at the back, and taken from there.
    sent: Vec<VecDeque<Place>>,
    queued: Lookup<NodeId, u32>,
    serial: u32,
    /// Reused while a datagram is packed: what this level has passed on, what the level below has, what stays.
    #[serde(skip)]
    scratch: [VecDeque<Place>; 3],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    id: NodeId,
    serial: u32,
}

/// What became of an update that was offered to a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is in the datagram.
    Packed,
    /// It did not fit; it keeps its turn.
    TooLong,
    /// It is of no use to this receiver; it keeps its turn.
    Useless,
    /// There is nothing to say any more.
    Gone,
}

impl Updates {
    pub(super) fn new(key: u64) -> Self {
        Self { sent: Vec::new(), queued: Lookup::new(key), serial: 0, scratch: Default::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queued.len() == 0
    }

    /// Something new is known of `id`.
    pub(super) fn push(&mut self, id: NodeId) {
        self.serial = self.serial.wrapping_add(1);
        let place = Place { id, serial: self.serial };
        self.queued.insert(id, place.serial);
        self.bucket(0).push_back(place);
    }

    /// Nothing is to be said of `id` any more.
    pub(super) fn cancel(&mut self, id: NodeId) {
        self.queued.remove(&id);
        if self.is_empty() {
            self.sent.iter_mut().for_each(VecDeque::clear);
        }
    }

    fn bucket(&mut self, transmissions: usize) -> &mut VecDeque<Place> {
        if self.sent.len() <= transmissions {
            self.sent.resize_with(transmissions + 1, VecDeque::new);
        }
        &mut self.sent[transmissions]
    }

    /// Offers each update once, the least sent first and of those the newest, until `pack` has refused three
    /// for their length. One that has been packed `limit` times leaves the queue.
    pub(super) fn pack(&mut self, limit: u32, mut pack: impl FnMut(NodeId) -> Fate) {
        let limit = limit.min(RETRANSMIT_MAX.into()) as usize;
        let mut refusals = 3;
        let [mut packed, mut arrivals, mut kept] = core::mem::take(&mut self.scratch);
        for transmissions in 0..self.sent.len() {
            // What the level below has just passed on waits until this level has had its turn.
            core::mem::swap(&mut packed, &mut arrivals);
            while refusals > 0 {
                let Some(place) = self.sent[transmissions].pop_back() else { break };
                if self.queued.get(&place.id) != Some(&place.serial) {
                    continue;
                }
                match pack(place.id) {
                    Fate::Packed if transmissions + 1 < limit => packed.push_front(place),
                    Fate::Packed | Fate::Gone => {
                        self.queued.remove(&place.id);
                    }
                    Fate::Useless => kept.push_front(place),
                    Fate::TooLong => {
                        refusals -= 1;
                        kept.push_front(place);
                    }
                }
            }
            self.sent[transmissions].extend(kept.drain(..).chain(arrivals.drain(..)));
        }
        if !packed.is_empty() {
            let next = self.sent.len();
            self.bucket(next).extend(packed.drain(..));
        }
        if self.is_empty() {
            self.sent.iter_mut().for_each(VecDeque::clear);
        }
        self.scratch = [packed, arrivals, kept];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(updates: &mut Updates, room: usize, limit: u32) -> Vec<u64> {
        let mut ids = Vec::new();
        updates.pack(limit, |id| {
            if ids.len() == room {
                return Fate::TooLong;
            }
            ids.push(id.0);
            Fate::Packed
        });
        ids
    }

    #[test]
    fn the_least_sent_go_first_and_each_goes_limit_times() {
        let mut updates = Updates::new(1);
        (1..=3).for_each(|id| updates.push(NodeId(id)));
        assert_eq!(packed(&mut updates, 2, 2), [3, 2]);
        assert_eq!(packed(&mut updates, 2, 2), [1, 3]);
        assert_eq!(packed(&mut updates, 9, 2), [1, 2]);
        assert!(updates.is_empty());
    }

    #[test]
    fn a_newer_update_of_a_subject_replaces_the_older() {
        let mut updates = Updates::new(1);
        updates.push(NodeId(1));
        updates.push(NodeId(2));
        assert_eq!(packed(&mut updates, 9, 3), [2, 1]);
        updates.push(NodeId(1));
        assert_eq!(packed(&mut updates, 9, 3), [1, 2], "once, and as new");
    }

    #[test]
    fn what_is_useless_to_one_receiver_waits_for_the_next() {
        let mut updates = Updates::new(1);
        updates.push(NodeId(1));
        updates.pack(3, |_| Fate::Useless);
        assert_eq!(packed(&mut updates, 9, 1), [1]);
        assert_eq!(packed(&mut updates, 9, 1), [0; 0]);
    }
}
