//! The queue of updates that are piggybacked on datagrams (SWIM §3.2, infection-style dissemination).
//!
//! Only the ids of members are queued. The update itself is read from the table when a datagram is packed, so a newer
//! update of a member replaces the older one by itself. Updates with the fewest transmissions go first.
//!
//! The update of a member whose record has changed is the record. All other updates are verdicts, also that of a member
//! that has refuted a suspicion: 36 bytes instead of a record of up to 700.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::sender::accusation_of;
use super::suspicion::Suspicion;
use super::table::Entry;
use super::{Membership, Source, Timer, send};
use crate::collections::Lookup;
use crate::config::Config;
use crate::context::Ctx;
use crate::id::{MemberState, NodeId};
use crate::limits::RETRANSMIT_MAX;
use crate::time::Time;
use crate::wire::{Alive, Kind, Message, Swim, Verdict};

/// The queue of updates, and the time of the last round of gossip. A member has at most one valid place in the queue;
/// its earlier places are stale and skipped.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Updates {
    /// The places in the queue, by the number of their transmissions. New places are added at the back, and taken from
    /// there.
    sent: Vec<VecDeque<Place>>,
    queued: Lookup<NodeId, Queued>,
    serial: u32,
    last_round: Time,
    /// Buffers that are reused while a datagram is packed: the places sent on this level, those sent on the level
    /// below, and those that stay.
    #[serde(skip)]
    scratch: [VecDeque<Place>; 3],
}

/// What others are to learn of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Update {
    /// Its state and incarnation.
    Verdict,
    /// Its record, too, while it is alive.
    Record,
}

/// The valid place of a member in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Queued {
    serial: u32,
    /// How often the record was sent; `None` if it need not be sent. A verdict that is queued meanwhile begins anew, and the
    /// record does not.
    records: Option<u32>,
}

impl Queued {
    /// What the next transmission holds, if each is sent at most `limit` times.
    fn next(self, limit: usize) -> Update {
        let wanted = self.records.is_some_and(|sent| (sent as usize) < limit);
        if wanted { Update::Record } else { Update::Verdict }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    id: NodeId,
    serial: u32,
}

/// The result of offering an update to a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The update is in the datagram.
    Packed,
    /// The update did not fit; it keeps its turn.
    TooLong,
    /// The update is of no use to this receiver; it keeps its turn.
    Useless,
    /// The member has no update to send.
    Gone,
}

impl Updates {
    pub(super) fn new(key: u64) -> Self {
        Self {
            sent: Vec::new(),
            queued: Lookup::new(key),
            serial: 0,
            last_round: Time::ZERO,
            scratch: Default::default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queued.len() == 0
    }

    /// Queues an update of the member `id`. A record that is queued stays so.
    pub(super) fn push(&mut self, id: NodeId, update: Update) {
        self.serial = self.serial.wrapping_add(1);
        let place = Place { id, serial: self.serial };
        let queued = self.queued.get(&id).and_then(|queued| queued.records);
        let records = if update == Update::Record { Some(0) } else { queued };
        self.queued.insert(id, Queued { serial: place.serial, records });
        self.bucket(0).push_back(place);
    }

    /// Drops the update of the member `id`.
    pub(super) fn cancel(&mut self, id: NodeId) {
        self.queued.remove(&id);
        if self.is_empty() {
            self.sent.iter_mut().for_each(VecDeque::clear);
        }
    }

    /// Drops the verdict about the member `id`. A record that is queued stays.
    pub(super) fn cancel_verdict(&mut self, id: NodeId) {
        if self.queued.get(&id).is_some_and(|queued| queued.records.is_none()) {
            self.cancel(id);
        }
    }

    fn bucket(&mut self, transmissions: usize) -> &mut VecDeque<Place> {
        if self.sent.len() <= transmissions {
            self.sent.resize_with(transmissions + 1, VecDeque::new);
        }
        &mut self.sent[transmissions]
    }

    /// Offers each update once to `pack`: those with the fewest transmissions first, and of those the newest. The
    /// offers end when three updates did not fit. An update that has been packed `limit` times leaves the queue.
    pub(super) fn pack(&mut self, limit: u32, mut pack: impl FnMut(NodeId, Update) -> Fate) {
        let limit = limit.min(RETRANSMIT_MAX.into()) as usize;
        let mut refusals = 3;
        let [mut packed, mut arrivals, mut kept] = core::mem::take(&mut self.scratch);
        for transmissions in 0..self.sent.len() {
            // The places that were just sent on the level below are added after this level has had its turn.
            core::mem::swap(&mut packed, &mut arrivals);
            while refusals > 0 {
                let Some(place) = self.sent[transmissions].pop_back() else { break };
                let queued = self.queued.get(&place.id).filter(|queued| queued.serial == place.serial);
                let Some(queued) = queued.copied() else { continue };
                let update = queued.next(limit);
                let fate = pack(place.id, update);
                if fate == Fate::Packed && update == Update::Record {
                    let records = queued.records.map(|sent| sent + 1);
                    self.queued.insert(place.id, Queued { records, ..queued });
                }
                match fate {
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

impl Membership {
    /// Queues an update of a member, and schedules a round of gossip: at once if there was none in the last interval,
    /// otherwise at the end of the interval.
    pub(super) fn enqueue_update(&mut self, id: NodeId, update: Update, cx: &Ctx<'_>) {
        self.updates.push(id, update);
        if self.deadlines.at(Timer::Gossip).is_none() {
            let next = self.updates.last_round + cx.config.membership.gossip_interval;
            self.deadlines.arm(Timer::Gossip, next, cx.now);
        }
    }

    /// Queues an update of a member that `source` has sent. An update that answers a reconciliation is not queued: it
    /// is old, and other members find it in the same way.
    pub(super) fn enqueue_heard(&mut self, id: NodeId, update: Update, source: &Source, cx: &mut Ctx<'_>) {
        if source.delta {
            self.updates.cancel(id);
            cx.stats.reconciled_changes += 1;
            self.sync.find(cx);
        } else {
            self.enqueue_update(id, update, cx);
        }
    }

    /// Whether updates are queued.
    pub(crate) fn has_updates(&self) -> bool {
        !self.updates.is_empty()
    }

    /// Offers the queued updates to a datagram for `receiver`; `push` returns whether an update fitted.
    pub(crate) fn pack(
        &mut self,
        receiver: NodeId,
        config: &Config,
        now: Time,
        mut push: impl FnMut(&Message<'_>) -> bool,
    ) {
        let limit = crate::estimate::retransmissions(config, self.group_size());
        let Self { updates, table, suspicions, .. } = self;
        updates.pack(limit, |id, update| {
            let Some(entry) = table.get(id) else { return Fate::Gone };
            let Some(mut message) = update_of(entry, update, suspicions, now) else { return Fate::Gone };
            if id == receiver {
                if entry.state() == MemberState::Alive {
                    return Fate::Useless;
                }
                message = accusation_of(entry).into();
            }
            if !push(&message) {
                return Fate::TooLong;
            }
            // What it has refuted since its record was published goes behind the record; if there is no room, the next
            // datagram has it.
            if let Some(refuted) = refutation_of(entry).filter(|_| message.kind() == Kind::Alive) {
                push(&refuted);
            }
            Fate::Packed
        });
    }

    /// Begins a round of gossip: datagrams to random members, which are filled with updates at the end of the call as all
    /// datagrams are. Those for which there is none are not sent.
    pub(super) fn gossip(&mut self, cx: &mut Ctx<'_>) {
        if self.updates.is_empty() {
            return;
        }
        self.updates.last_round = cx.now;
        let settings = &cx.config.membership;
        let chosen = self.choose(settings.gossip_fanout.into(), self.own.id);
        for id in &chosen {
            if let Some(to) = self.table.get(*id).and_then(Entry::addr) {
                send(to, *id, &[], cx);
            }
        }
        if !chosen.is_empty() {
            self.deadlines.arm(Timer::Gossip, cx.now + settings.gossip_interval, cx.now);
        }
        self.chosen = chosen;
    }

    /// The verdict that this node holds about a member that is not alive.
    pub(super) fn verdict_of(&self, id: NodeId, now: Time) -> Option<Verdict> {
        let update = update_of(self.table.get(id)?, Update::Verdict, &self.suspicions, now)?;
        if let Message::Swim(Swim::Verdict(verdict)) = update { Some(verdict) } else { None }
    }
}

/// Builds the message that tells others what this node holds of a member: its record if that is asked for and the member
/// is alive, else the verdict. Of a living member whose record this node lacks it says only that it lives, so that
/// suspicions of it end.
pub(super) fn update_of<'a>(
    entry: &'a Entry,
    update: Update,
    suspicions: &BTreeMap<NodeId, Suspicion>,
    now: Time,
) -> Option<Message<'a>> {
    let (id, incarnation, state, removed) =
        (entry.id, entry.incarnation(), entry.state(), entry.flags.removed);
    let (age, author) = match state {
        MemberState::Alive if update == Update::Verdict || entry.lacks_content() => (0, NodeId::NOBODY),
        MemberState::Alive => return entry.record().map(|record| Alive(record).into()),
        MemberState::Suspect => (0, *suspicions.get(&id)?.authors.last()?),
        MemberState::Down | MemberState::Left => {
            (u32::try_from(entry.age(now) / 1_000_000).unwrap_or(u32::MAX), NodeId::NOBODY)
        }
    };
    Some(Verdict { id, incarnation, state, removed, age, author }.into())
}

/// Builds the message that says that a living member has refuted suspicions since it published its record.
pub(super) fn refutation_of(entry: &Entry) -> Option<Message<'static>> {
    let (id, incarnation, state) = (entry.id, entry.incarnation(), entry.state());
    let refutes = state == MemberState::Alive && incarnation.refutations() > 0;
    let verdict = Verdict { id, incarnation, state, removed: false, age: 0, author: NodeId::NOBODY };
    refutes.then_some(verdict.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(updates: &mut Updates, room: usize, limit: u32) -> Vec<u64> {
        let mut ids = Vec::new();
        updates.pack(limit, |id, _| {
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
        (1..=3).for_each(|id| updates.push(NodeId(id), Update::Record));
        assert_eq!(packed(&mut updates, 2, 2), [3, 2]);
        assert_eq!(packed(&mut updates, 2, 2), [1, 3]);
        assert_eq!(packed(&mut updates, 9, 2), [1, 2]);
        assert!(updates.is_empty());
    }

    #[test]
    fn a_newer_update_of_a_subject_replaces_the_older() {
        let mut updates = Updates::new(1);
        updates.push(NodeId(1), Update::Record);
        updates.push(NodeId(2), Update::Record);
        assert_eq!(packed(&mut updates, 9, 3), [2, 1]);
        updates.push(NodeId(1), Update::Record);
        assert_eq!(packed(&mut updates, 9, 3), [1, 2], "once, and as new");
    }

    #[test]
    fn a_record_that_is_queued_is_not_replaced_by_a_verdict() {
        let mut updates = Updates::new(1);
        let packed = |updates: &mut Updates| {
            let mut all = Vec::new();
            updates.pack(9, |id, update| {
                all.push((id.0, update));
                Fate::Packed
            });
            all
        };
        updates.push(NodeId(1), Update::Record);
        updates.push(NodeId(1), Update::Verdict);
        updates.push(NodeId(2), Update::Verdict);
        assert_eq!(packed(&mut updates), [(2, Update::Verdict), (1, Update::Record)]);
        updates.push(NodeId(2), Update::Record);
        assert_eq!(packed(&mut updates), [(2, Update::Record), (1, Update::Record)]);
    }

    #[test]
    fn a_verdict_begins_anew_and_the_record_before_it_does_not() {
        let mut updates = Updates::new(1);
        let mut sent = Vec::new();
        let mut pack = |updates: &mut Updates| {
            updates.pack(3, |_, update| {
                sent.push(update);
                Fate::Packed
            });
        };
        updates.push(NodeId(1), Update::Record);
        pack(&mut updates);
        pack(&mut updates);
        updates.push(NodeId(1), Update::Verdict);
        (0..9).for_each(|_| pack(&mut updates));
        assert_eq!(sent, [[Update::Record; 3].as_slice(), &[Update::Verdict; 2]].concat());
    }

    #[test]
    fn an_update_that_is_useless_to_one_receiver_waits_for_the_next() {
        let mut updates = Updates::new(1);
        updates.push(NodeId(1), Update::Record);
        updates.pack(3, |_, _| Fate::Useless);
        assert_eq!(packed(&mut updates, 9, 1), [1]);
        assert_eq!(packed(&mut updates, 9, 1), [0; 0]);
    }
}
