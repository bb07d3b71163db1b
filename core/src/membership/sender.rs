//! The sender of a datagram: how far it is believed, and the answer that it gets (rules A2, A4, F6).

use alloc::collections::VecDeque;
use core::net::SocketAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::name::NO_INCARNATION;
use super::rules::Claim;
use super::table::Entry;
use super::updates::{Update, refutation_of};
use super::{Membership, send};
use crate::boot::Phase;
use crate::context::Ctx;
use crate::error::Misbehavior;
use crate::id::{MemberState, NodeId};
use crate::limits::TURNS_MAX;
use crate::reconcile::{MEMBERS, Partner};
use crate::time::Time;
use crate::wire::{self, Accused, Ack, Alive, Header, Record, Standing, Want};

/// The sender of a datagram, and how far it is believed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    pub(super) from: SocketAddr,
    pub(super) sender: NodeId,
    pub(super) standing: Standing,
    /// Whether the updates of the sender answer a reconciliation or a Join. Such updates are not spread further.
    pub(super) delta: bool,
    /// Whether the datagram answers a Join of this node. Its records are believed then, whatever the standing.
    pub(super) answers_join: bool,
}

impl Source {
    pub(super) const fn partner(&self) -> Partner {
        Partner { id: self.sender, addr: self.from }
    }
}

/// A datagram that is being read.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(super) source: Source,
    pub(super) reply: Reply,
    /// The length of the datagram in bytes.
    len: usize,
}

impl Arrival {
    pub(crate) const fn standing(&self) -> Standing {
        self.source.standing
    }

    /// The sender, at the address that the datagram came from.
    pub(crate) const fn partner(&self) -> Partner {
        self.source.partner()
    }
}

/// The answer to a datagram. It is one datagram, and is sent only if it has at least one part.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reply {
    /// The sequence number of the ping to be acked.
    pub(super) ack: Option<u32>,
    /// The state in which this node holds the sender, if the sender must be told.
    pub(super) accused: Option<Accused>,
    /// What the sender is to learn of this node itself.
    pub(super) own: Option<Update>,
    /// The number that the sender must send back from the address in its record, before its record is taken (rule B10). It is
    /// sent only if the sender is owed no ack: an ack that shows that it is not known here makes it introduce itself anew.
    pub(super) challenge: Option<Challenge>,
    /// Whether this node requests the sender's record.
    wants_record: bool,
    /// A member that the sender holds Alive although this node has a tombstone that overrides that (rule B3).
    pub(super) verdict: Option<NodeId>,
    /// The member that the datagram has just called Down or Left as this node does, so that the record behind that verdict
    /// needs no answer.
    pub(super) gone: Option<NodeId>,
}

/// A number for an address, which is to come back in a Join from there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Challenge {
    pub(super) to: SocketAddr,
    pub(super) cookie: u64,
}

/// The members that had something lately of which each has one in an interval: an accusation (rule A4), or a Join that
/// answers its echo (rule B10).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Turns {
    recent: VecDeque<(NodeId, Time)>,
}

impl Turns {
    /// Whether it is the turn of this member; if so, the time is noted. If too many members had their turn within the
    /// interval, further ones have to wait.
    pub(super) fn take(&mut self, id: NodeId, interval: Duration, now: Time) -> bool {
        self.recent.retain(|(_, at)| now.since(*at) < interval);
        if self.recent.len() == TURNS_MAX || self.recent.iter().any(|(other, _)| *other == id) {
            return false;
        }
        self.recent.push_back((id, now));
        true
    }
}

impl Membership {
    /// Handles the header of a datagram of `len` bytes: takes the news that the header proves by itself, and decides
    /// how far the sender is believed.
    pub(crate) fn on_header(
        &mut self,
        header: &Header,
        from: SocketAddr,
        len: usize,
        cx: &mut Ctx<'_>,
    ) -> Arrival {
        let source = Source {
            from,
            sender: header.sender,
            standing: Standing::Unknown,
            delta: false,
            answers_join: false,
        };
        let mut arrival = Arrival { source, reply: Reply::default(), len };
        arrival.source.standing = self.classify_sender(header, from, &mut arrival.reply, cx);
        arrival
    }

    /// Takes the news that a header proves by itself: its sender is running, at this incarnation (rules A4 and B2).
    /// Returns how far the sender is believed.
    fn classify_sender(
        &mut self,
        header: &Header,
        from: SocketAddr,
        reply: &mut Reply,
        cx: &mut Ctx<'_>,
    ) -> Standing {
        if header.incarnation == NO_INCARNATION {
            return Standing::Stale;
        }
        let Some(entry) = self.table.get(header.sender) else { return Standing::Unknown };
        let is_as_held = entry.incarnation() == header.incarnation
            && entry.state() == MemberState::Alive
            && entry.is_alone(header.boot);
        if !is_as_held {
            let standing = self.classify_changed(header, from, reply, cx);
            if standing != Standing::Member {
                return standing;
            }
        }
        let Some(addr) = self.table.heard(header.sender, cx.now) else { return Standing::Unknown };
        if self.health.on_heard(cx.config, cx.now) {
            self.extend_suspicions(cx);
        }
        self.first_contact(header.sender, cx);
        if addr == Some(from) { Standing::Validated } else { Standing::Member }
    }

    /// Classifies a sender whose header differs from what this node holds: either the sender or this node has news for
    /// the other.
    fn classify_changed(
        &mut self,
        header: &Header,
        from: SocketAddr,
        reply: &mut Reply,
        cx: &mut Ctx<'_>,
    ) -> Standing {
        let Some(entry) = self.table.get(header.sender) else { return Standing::Unknown };
        let held = entry.claim();
        let accused = accusation_to(header.boot, entry);
        // A refutation does not change the record, so another process with the same record number is not the same one.
        let same = held.incarnation.published() == header.incarnation.published() && accused.boot != 0;
        let other_boot = same && accused.boot != header.boot;
        let accuses = other_boot || held > Claim::new(header.incarnation, MemberState::Alive);
        let at_its_address = entry.addr() == Some(from);
        reply.accused = accuses.then_some(accused);
        if header.incarnation.epoch < held.incarnation.epoch {
            return Standing::Stale;
        }
        if header.incarnation > held.incarnation && self.may_be_live(header.sender, cx) {
            if !self.own.identity.is_credible(header.incarnation.epoch, held.incarnation.epoch) {
                cx.stats.count_misbehavior(Misbehavior::Incarnation);
                return Standing::Unknown;
            }
            let claim = Claim::new(header.incarnation, MemberState::Alive);
            self.set_verdict(header.sender, claim, cx.now.as_nanos(), cx);
            self.table.set_heard_boot(header.sender, header.boot);
            self.enqueue_update(header.sender, Update::Verdict, cx);
            if at_its_address {
                self.sync_with_returned(header.sender, from, cx);
            }
            reply.wants_record = true;
        }
        let live = self.table.get(header.sender).is_some_and(Entry::is_live);
        if live { Standing::Member } else { Standing::Unknown }
    }

    pub(super) fn may_accuse(&mut self, id: NodeId, cx: &Ctx<'_>) -> bool {
        self.accusations.take(id, cx.config.membership.probe_interval, cx.now)
    }

    /// Answers a datagram after all of it was read. An address that is not validated is sent no more bytes than came
    /// from it (rule F6).
    pub(crate) fn answer(&mut self, arrival: &Arrival, cx: &mut Ctx<'_>) {
        let Arrival { source, reply, len } = *arrival;
        let Reply { ack, own, wants_record, verdict, challenge, .. } = reply;
        if let Some(challenge) = challenge.filter(|_| ack.is_none()) {
            return self.send_challenge(&source, challenge, Some(answer_room(len)), cx);
        }
        let accused = reply.accused.filter(|_| self.may_accuse(source.sender, cx));
        if ack.is_none() && accused.is_none() && own.is_none() && !wants_record && verdict.is_none() {
            return;
        }
        let validated = source.standing == Standing::Validated;
        let known = accused.is_none() && matches!(source.standing, Standing::Member | Standing::Validated);
        // Each ping is an occasion to ask again, because an earlier answer may have been lost.
        let wants_record = (wants_record || ack.is_some() && known)
            && self.table.get(source.sender).is_some_and(Entry::lacks_content);
        // An ack without roots makes the sender introduce itself, and is shorter than its ping.
        let roots = (known && !wants_record).then(|| self.roots(cx));
        let (credit, now) = (cx.config.membership.reconcile_credit, cx.now);
        let own = own.filter(|_| self.phase == Phase::Running);
        let record = (own == Some(Update::Record)).then(|| self.own.record());
        let refutation = self.table.get(self.own.id).filter(|_| own.is_some()).and_then(refutation_of);
        let mut datagram = cx.datagram(source.from, source.sender);
        if !validated {
            datagram.limit(answer_room(len));
        }
        if let Some(seq) = ack {
            datagram.push(&Ack { seq, roots }.into());
        }
        if let Some(accused) = accused {
            datagram.push(&accused.into());
        }
        if let Some(record) = &record {
            datagram.push(&Alive(Record::trusted(record)).into());
        } else if let Some(refutation) = refutation {
            datagram.push(&refutation);
        }
        if wants_record && ack.is_none() {
            let id = source.sender.0.to_le_bytes();
            datagram.push(&Want::of(MEMBERS, credit, &id).into());
        }
        if validated && let Some(verdict) = verdict.and_then(|id| self.verdict_of(id, now)) {
            datagram.push(&verdict.into());
        }
        if datagram.is_empty() {
            return;
        }
        if validated { datagram.send() } else { datagram.send_alone() }
    }

    /// Sends the own record to a member whose ack says that it does not hold this node alive.
    pub(super) fn introduce(&self, source: &Source, cx: &mut Ctx<'_>) {
        if source.standing == Standing::Validated && self.phase == Phase::Running {
            let record = self.own.record();
            send(source.from, source.sender, &[Alive(Record::trusted(&record)).into()], cx);
        }
    }
}

/// The number of message bytes in the longest answer to a datagram of `len` bytes whose sender's address is not proven
/// (rule F6).
pub(super) const fn answer_room(len: usize) -> usize {
    len - wire::HEADER_BYTES - wire::CRC_BYTES
}

/// Builds the message that tells a member how this node holds it (rule A4). It names a process only if the record or the
/// header of that process has shown that it was at this incarnation (rule A1).
pub(super) fn accusation_of(entry: &Entry) -> Accused {
    accusation_to(entry.process(), entry)
}

/// Builds the same message for the process `boot`: if another one was at its incarnation, that one is named.
pub(super) fn accusation_to(boot: u64, entry: &Entry) -> Accused {
    let boot = entry.process_beside(boot);
    Accused { incarnation: entry.incarnation(), state: entry.state(), removed: entry.flags.removed, boot }
}
