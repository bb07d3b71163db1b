//! News of other members, and its consequences. Which news wins is decided in [`rules`]; this file applies it.

use super::identity::Signed;
use super::rules::{self, Claim, Outcome, Visibility, Witness};
use super::table::Entry;
use super::updates::Update;
use super::{Membership, Reply, Source, Timer};
use crate::action::{MemberChange, Notice};
use crate::config::{Hearsay, SHARED_FIELDS};
use crate::context::{Ctx, Signal};
use crate::error::Misbehavior;
use crate::id::{Incarnation, MemberState, NodeId};
use crate::time::nanos;
use crate::wire::{Record, Standing, Verdict};

impl Membership {
    /// Handles the record of a member, which says that the member is alive at the record's incarnation.
    pub(super) fn on_record(
        &mut self,
        record: Record<'_>,
        source: &Source,
        reply: &mut Reply,
        cx: &mut Ctx<'_>,
    ) {
        let id = record.id();
        let heard = Claim::new(record.incarnation(), MemberState::Alive);
        if !self.is_credible(id, heard.incarnation) {
            return cx.stats.count_misbehavior(Misbehavior::Incarnation);
        }
        if id == self.own.id {
            let (boot, incarnation, rank) = (record.boot(), record.incarnation(), Some(record.rank()));
            let route = self.route(source, Some(record.addr()));
            let differs = record.bytes() != self.own.record();
            return self.on_signed(
                Signed { boot, incarnation, rank, state: MemberState::Alive, differs, route },
                cx,
            );
        }
        if self.is_to_be_echoed(record, source) {
            if id == source.sender {
                reply.challenge = Some(self.challenge(record, source.from, cx));
            } else {
                cx.stats.ignored_unknown_sender += 1;
            }
            return;
        }
        let Some(entry) = self.table.get(id) else { return self.add_member(record, source, cx) };
        let before = entry.state();
        let revives = rules::merge(entry.claim(), heard, Witness::Nothing) == Outcome::Taken;
        if !revives && entry.flags.held_back {
            if reply.gone != Some(id) {
                reply.verdict = Some(id);
            }
            return;
        }
        let held = entry.record();
        if held.is_some_and(|held| rules::are_two_contents(held, record)) {
            cx.stats.count_misbehavior(Misbehavior::TwoContents);
        }
        let newer = rules::is_newer(record, held);
        if revives && !self.may_be_live(id, cx) {
            return;
        }
        let mut told = before;
        if revives {
            self.hold_verdict(id, heard, cx.now.as_nanos(), cx);
            // A member that returns is reported together with its new record.
            if before.is_live() || !newer {
                self.announce(id, before, cx);
                told = MemberState::Alive;
            }
        }
        if newer {
            self.take_content(record, told, cx);
        }
        if !revives && !newer {
            return;
        }
        // A member that is not alive is spread as its verdict, and so is one whose newest record is still missing. The
        // verdict was queued when it was taken.
        let spreads =
            |entry: &Entry| entry.state() == MemberState::Alive && (revives || !entry.lacks_content());
        if self.table.get(id).is_some_and(spreads) {
            self.enqueue_heard(id, if newer { Update::Record } else { Update::Verdict }, source, cx);
        } else if source.delta {
            self.sync.find(cx);
        }
    }

    /// Whether the address in this record must first send back a number that this node sends there: the address is new
    /// here, and the sender is not a member whose own address is known (rule B10).
    fn is_to_be_echoed(&self, record: Record<'_>, source: &Source) -> bool {
        let held = self.table.get(record.id());
        source.standing < Standing::Validated
            && !source.answers_join
            && held.and_then(Entry::addr) != Some(record.addr())
            && rules::is_newer(record, held.and_then(Entry::record))
    }

    /// Adds a member that was not known, unless the table is full.
    fn add_member(&mut self, record: Record<'_>, source: &Source, cx: &mut Ctx<'_>) {
        let id = record.id();
        if !self.has_room(cx) {
            return;
        }
        let claim = Claim::new(record.incarnation(), MemberState::Alive);
        self.table.insert(id, claim, cx.now.as_nanos());
        self.take_content(record, MemberState::Alive, cx);
        self.enqueue_heard(id, Update::Record, source, cx);
    }

    /// Replaces the record of a member, and reports to the application what has changed since the member was in the state
    /// `before`.
    fn take_content(&mut self, record: Record<'_>, before: MemberState, cx: &mut Ctx<'_>) {
        let id = record.id();
        let held = self.table.get(id).and_then(Entry::record);
        if held.is_none() {
            cx.signals.push(Signal::MemberKnown(id));
        }
        let change = held.and_then(|held| rules::content_change(held, record)).filter(|_| before.is_live());
        let mismatch = held.map(Record::shared) != Some(record.shared());
        let (least, greatest) = cx.config.membership.protocol;
        let foreign = record.protocol().1 < least || record.protocol().0 > greatest;
        if foreign && before.is_live() {
            self.hide_foreign(id, cx);
        }
        self.table.set_content(id, record.bytes(), foreign);
        self.table.enter_order(id, &mut self.rng);
        if foreign {
            self.table.heard(id, cx.now);
            self.table.expire_at(id, cx.now + cx.config.membership.forget_after);
            self.arm_expiry(cx);
        }
        if mismatch && record.shared() != self.own.shared() {
            self.compare_settings(id, record.shared(), cx);
        }
        change.into_iter().for_each(|change| self.notify(id, change, cx));
        self.announce(id, before, cx);
    }

    /// Reports a member as Left that the application knows, and that speaks no protocol version of this node from now on: the
    /// view does not show it any more (rule B5). If it returns to one, it is reported as Up.
    fn hide_foreign(&mut self, id: NodeId, cx: &mut Ctx<'_>) {
        let Some(entry) = self.table.get(id).filter(|entry| !entry.flags.foreign) else { return };
        if entry.is_on_probation() || entry.flags.visibility == Visibility::Announced {
            self.notify(id, MemberChange::Left, cx);
            self.end_probation(id, Visibility::Admitted);
        }
    }

    /// Reports each setting that must be equal on all members and differs between the member and this node (rule G4).
    fn compare_settings(&self, id: NodeId, shared: u64, cx: &mut Ctx<'_>) {
        let (ours, theirs) = (self.own.shared().to_le_bytes(), shared.to_le_bytes());
        for (field, (ours, theirs)) in SHARED_FIELDS.into_iter().zip(ours.into_iter().zip(theirs)) {
            if ours != theirs {
                cx.out.notify(Notice::ConfigMismatch { id, field });
            }
        }
    }

    /// Handles the verdict that `source` holds or passes on about a member.
    pub(super) fn on_verdict(&mut self, verdict: &Verdict, source: &Source, cx: &mut Ctx<'_>) {
        let Verdict { id, incarnation, state, removed, age, author } = *verdict;
        if !self.is_credible(id, incarnation) {
            return cx.stats.count_misbehavior(Misbehavior::Incarnation);
        }
        let heard = Claim::new(incarnation, state);
        if id == self.own.id {
            if removed && incarnation == self.own.incarnation() {
                return self.on_removed(cx);
            }
            return self.on_unsigned(heard, cx);
        }
        if source.standing == Standing::Unknown {
            cx.stats.ignored_unknown_sender += 1;
            return;
        }
        let age = if state.is_live() { 0 } else { u64::from(age) * 1_000_000 };
        let Some(entry) = self.table.get(id) else { return self.keep_tombstone(verdict, age, source, cx) };
        let (was_live, held_age) = (entry.is_live(), entry.age(cx.now));
        let outcome = rules::merge(entry.claim(), heard, self.witness(entry, age, cx));
        let author = if author == NodeId::NOBODY { source.sender } else { author };
        let stamp = cx.now.as_nanos().wrapping_sub(age);
        match outcome {
            Outcome::Ignored => {}
            Outcome::Repeated if held_age < age => {
                self.table.set_verdict(id, heard, stamp);
                self.schedule_expiry(id, age, cx);
            }
            Outcome::Repeated => {}
            Outcome::Taken if state.is_live() && !self.may_be_live(id, cx) => {}
            Outcome::Taken => {
                if was_live && state == MemberState::Down {
                    self.record_obituary(id, incarnation, author, stamp, cx);
                }
                self.set_verdict(id, heard, stamp, cx);
                if self.table.get(id).is_some_and(|entry| !entry.flags.held_back) {
                    self.enqueue_heard(id, Update::Verdict, source, cx);
                }
            }
            Outcome::Suspected(timeout) => self.suspect(id, incarnation, author, timeout, cx),
        }
        if removed && state == MemberState::Left && self.table.get(id).map(Entry::claim) == Some(heard) {
            self.table.set_removed(id);
        }
    }

    /// Whether a correct member with this id can be at this incarnation, as far as this node can tell (rule A3).
    pub(super) fn is_credible(&self, id: NodeId, incarnation: Incarnation) -> bool {
        let held = self.table.get(id).map_or(0, |entry| entry.incarnation().epoch);
        incarnation.is_sane() && self.own.identity.is_credible(incarnation.epoch, held)
    }

    /// The reason to believe a Down about this member that was passed `age` nanoseconds ago.
    fn witness(&self, entry: &Entry, age: u64, cx: &Ctx<'_>) -> Witness {
        let silent = self.suspicions.get(&entry.id).is_some_and(|suspicion| suspicion.bears_out(age, cx.now));
        if entry.flags.foreign {
            Witness::Foreign
        } else if cx.config.membership.hearsay == Hearsay::Believe {
            Witness::Hearsay
        } else if silent {
            Witness::Silence
        } else {
            Witness::Nothing
        }
    }

    /// Keeps a terminal verdict about a member that is not known, so that an older Alive is not accepted later (rule
    /// B2).
    fn keep_tombstone(&mut self, verdict: &Verdict, age: u64, source: &Source, cx: &mut Ctx<'_>) {
        let Verdict { id, incarnation, state, removed, .. } = *verdict;
        if state.is_live() || age >= nanos(cx.config.membership.forget_after) / 2 {
            return;
        }
        if self.table.guards() >= cx.config.membership.tombstones_max as usize {
            cx.stats.ignored_table_full += 1;
            return;
        }
        self.table.insert(id, Claim::new(incarnation, state), cx.now.as_nanos().wrapping_sub(age));
        if removed && state == MemberState::Left {
            self.table.set_removed(id);
        }
        self.schedule_expiry(id, age, cx);
        self.enqueue_heard(id, Update::Verdict, source, cx);
    }

    /// Sets the state and incarnation of a member and does all that follows from it, except queueing it for spreading.
    pub(super) fn set_verdict(&mut self, id: NodeId, claim: Claim, stamp: u64, cx: &mut Ctx<'_>) {
        let Some(before) = self.table.get(id).map(Entry::state) else { return };
        self.hold_verdict(id, claim, stamp, cx);
        self.announce(id, before, cx);
        if !claim.state.is_live() {
            self.schedule_expiry(id, cx.now.as_nanos().wrapping_sub(stamp), cx);
        }
    }

    /// Sets the state and incarnation of a member, and ends a suspicion of it. The application is not told yet.
    fn hold_verdict(&mut self, id: NodeId, claim: Claim, stamp: u64, cx: &Ctx<'_>) {
        let Some(before) = self.table.get(id).map(Entry::state) else { return };
        self.table.set_verdict(id, claim, stamp);
        if claim.state != MemberState::Suspect && self.suspicions.remove(&id).is_some() {
            self.deadlines.cancel(Timer::Suspicion(id));
            self.deadlines.cancel(Timer::Hearer(id));
        }
        if claim.state.is_live() {
            if before == MemberState::Down {
                self.returns.note(id, cx.config.membership.flap_half_life, cx.now);
            }
            self.table.enter_order(id, &mut self.rng);
        }
    }
}
