//! Which news wins, and what follows from it.
//!
//! Content is merged by (incarnation, boot, bytes), the verdict by (incarnation, state); the two are separate
//! lattices (rule B2), so the order and the number of deliveries do not matter. The one exception is deliberate:
//! a Down heard about a member held Alive is a suspicion first (rule B1).

use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::me::Reaction;
use super::suspicion::Suspicion;
use super::{Membership, Reply, Source, Standing, Timer};
use crate::action::{MemberChange, MemberState, Notice};
use crate::boot::Phase;
use crate::config::{AdmissionPolicy, SHARED_FIELDS};
use crate::context::{Ctx, Signal};
use crate::error::Misbehavior;
use crate::event::Slot;
use crate::id::{Incarnation, NodeId};
use crate::limits::OBITUARIES_MAX;
use crate::time::{Time, nanos};
use crate::wire::{Accused, Alive, Record, Verdict};

/// Why a member is held Down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obituary {
    /// The incarnation that was judged.
    pub incarnation: Incarnation,
    /// Who passed the verdict: this node, the author named by the one that was heard, or the member that told.
    pub author: NodeId,
    /// When it was passed, as far as this node can tell.
    pub declared: Time,
    /// When this node began to suspect the member, if it did.
    pub suspected: Option<Time>,
    /// Who suspected it, the first one first.
    pub suspected_by: Vec<NodeId>,
    /// When this node had heard it last, if ever.
    pub last_heard: Option<Time>,
}

/// So many of those who hear of a suspicion ask the suspect themselves, whatever the size of the group.
const HEARERS_ASKING: usize = 32;

impl Membership {
    /// Somebody passes on a member's record: it is alive at the record's incarnation.
    pub(super) fn on_record(
        &mut self,
        record: Record<'_>,
        source: &Source,
        reply: &mut Reply,
        cx: &mut Ctx<'_>,
    ) {
        let (id, incarnation) = (record.id(), record.incarnation());
        if !incarnation.is_sane() {
            return cx.stats.count_misbehavior(Misbehavior::Incarnation);
        }
        if id == self.me.id {
            return self.on_self(incarnation, Some(record.boot()), MemberState::Alive, cx);
        }
        let Some(entry) = self.table.get(id) else { return self.admit_record(record, source, cx) };
        let revives = incarnation > entry.incarnation();
        if !revives && entry.flags.faded {
            reply.verdict = Some(id);
            return;
        }
        let held = entry.record();
        if held.is_some_and(|held| key(held) == key(record) && held != record) {
            cx.stats.count_misbehavior(Misbehavior::TwoContents);
        }
        let newer = held.is_none_or(|held| (key(record), record) > (key(held), held));
        if revives {
            self.hold(id, incarnation, MemberState::Alive, cx.now.as_nanos(), false, cx);
        }
        if newer {
            self.take_content(record, cx);
        }
        if !revives && !newer {
            return;
        }
        // Of a member that is doubted or gone there is only the verdict to spread, and that has been done.
        if self.table.get(id).is_some_and(|entry| entry.state() == MemberState::Alive) {
            self.pass_on(id, source, cx);
        } else if source.delta {
            self.sync.find(cx);
        }
    }

    /// A member that nothing is known of.
    fn admit_record(&mut self, record: Record<'_>, source: &Source, cx: &mut Ctx<'_>) {
        let id = record.id();
        if self.table.live() >= cx.config.membership.members_max as usize {
            cx.stats.ignored_table_full += 1;
            return;
        }
        self.table.insert(id, record.incarnation(), MemberState::Alive, cx.now);
        self.take_content(record, cx);
        self.pass_on(id, source, cx);
    }

    /// Spreads a piece of news, unless it came by reconciliation: what is found missing there is old, and others
    /// find it the same way.
    fn pass_on(&mut self, id: NodeId, source: &Source, cx: &mut Ctx<'_>) {
        if source.delta {
            self.updates.cancel(id);
            cx.stats.reconciled_changes += 1;
            self.sync.find(cx);
        } else {
            self.spread(id, cx);
        }
    }

    fn take_content(&mut self, record: Record<'_>, cx: &mut Ctx<'_>) {
        let id = record.id();
        let Some(entry) = self.table.get(id) else { return };
        let before = entry.state();
        if entry.record().is_none() {
            cx.signals.push(Signal::MemberKnown(id));
        }
        let updated = entry.record().is_some_and(|held| held.described() != record.described());
        let mismatch = entry.record().map(Record::shared) != Some(record.shared());
        let (least, greatest) = cx.config.membership.protocol;
        let foreign = record.protocol().1 < least || record.protocol().0 > greatest;
        self.table.set_content(id, record.bytes(), foreign);
        self.table.enter_order(id, &mut self.rng);
        if foreign {
            self.table.heard(id, cx.now);
            self.table.fade_at(id, cx.now + cx.config.membership.forget_after);
            self.arm_fade(cx);
        }
        if mismatch && record.shared() != self.me.shared() {
            self.compare_settings(id, record.shared(), cx);
        }
        if updated && matches!(before, MemberState::Alive | MemberState::Suspect) {
            self.notify(id, MemberChange::Updated, cx);
        }
        self.announce(id, before, cx);
    }

    fn compare_settings(&self, id: NodeId, shared: u64, cx: &mut Ctx<'_>) {
        let (ours, theirs) = (self.me.shared().to_le_bytes(), shared.to_le_bytes());
        for (field, (ours, theirs)) in SHARED_FIELDS.into_iter().zip(ours.into_iter().zip(theirs)) {
            if ours != theirs {
                cx.out.notify(Notice::ConfigMismatch { id, field });
            }
        }
    }

    /// Somebody passes on what is held of a member.
    pub(super) fn on_verdict(&mut self, verdict: &Verdict, source: &Source, cx: &mut Ctx<'_>) {
        let Verdict { id, incarnation, state, removed, age, author } = *verdict;
        if !incarnation.is_sane() {
            return cx.stats.count_misbehavior(Misbehavior::Incarnation);
        }
        if id == self.me.id {
            if removed && incarnation == self.me.incarnation() {
                return self.on_removed(cx);
            }
            return self.on_self(incarnation, None, state, cx);
        }
        let author = if author == NodeId::NOBODY { source.sender } else { author };
        let age = u64::from(age) * 1_000_000;
        match state {
            MemberState::Alive => {}
            MemberState::Suspect => {
                let Some(entry) = self.table.get(id).filter(|entry| !entry.flags.foreign) else { return };
                if incarnation > entry.incarnation()
                    || (incarnation == entry.incarnation() && entry.is_live())
                {
                    self.suspect(id, incarnation, author, false, cx);
                }
            }
            MemberState::Down | MemberState::Left => {
                self.on_terminal(verdict, age, author, source, removed, cx)
            }
        }
    }

    fn on_terminal(
        &mut self,
        verdict: &Verdict,
        age: u64,
        author: NodeId,
        source: &Source,
        removed: bool,
        cx: &mut Ctx<'_>,
    ) {
        let Verdict { id, incarnation, state, .. } = *verdict;
        let Some(entry) = self.table.get(id) else { return self.guard(verdict, age, source, cx) };
        let held = (entry.incarnation(), entry.state());
        if incarnation < held.0 {
            return;
        }
        let stamp = cx.now.as_nanos().wrapping_sub(age);
        if !entry.is_live() {
            let older = entry.age(cx.now) < age;
            if (incarnation, state) > held {
                self.hold(id, incarnation, state, stamp, false, cx);
                self.pass_on(id, source, cx);
            } else if (incarnation, state) == held && older {
                self.table.set_verdict(id, incarnation, state, stamp);
                self.schedule_fade(id, age, cx);
            }
        } else if state == MemberState::Left || entry.flags.foreign || self.is_own_silence(id, age, cx) {
            if state == MemberState::Down {
                self.bury(id, incarnation, author, stamp, cx);
            }
            self.hold(id, incarnation, state, stamp, false, cx);
            self.pass_on(id, source, cx);
        } else {
            self.suspect(id, incarnation, author, true, cx);
        }
        if removed && state == MemberState::Left {
            self.table.set_removed(id);
        }
    }

    /// Whether a Down that was passed `age` ago ends a silence that we have observed ourselves for half the least
    /// suspicion time. One that comes with its suspicion, or from beyond a cut that has healed since, left the
    /// subject no time to refute it to us, and counts as a doubt only (rule B1).
    fn is_own_silence(&self, id: NodeId, age: u64, cx: &Ctx<'_>) -> bool {
        let suspicion = self.suspicions.get(&id);
        suspicion.is_some_and(|suspicion| {
            let fair = suspicion.started + suspicion.min() / 2;
            cx.now >= fair && age <= nanos(cx.now.since(fair))
        })
    }

    /// A terminal verdict about somebody unknown is kept, so that an older Alive does not enter (rules B2, M3).
    fn guard(&mut self, verdict: &Verdict, age: u64, source: &Source, cx: &mut Ctx<'_>) {
        if age >= nanos(cx.config.membership.forget_after) / 2 {
            return;
        }
        let Verdict { id, incarnation, state, removed, .. } = *verdict;
        self.table.insert(id, incarnation, state, cx.now);
        self.table.set_verdict(id, incarnation, state, cx.now.as_nanos().wrapping_sub(age));
        if removed {
            self.table.set_removed(id);
        }
        self.schedule_fade(id, age, cx);
        self.bound_tombstones(cx);
        self.pass_on(id, source, cx);
    }

    /// Holds a member at a new verdict, with all that follows but the spreading.
    pub(super) fn hold(
        &mut self,
        id: NodeId,
        incarnation: Incarnation,
        state: MemberState,
        stamp: u64,
        spread: bool,
        cx: &mut Ctx<'_>,
    ) {
        let Some(before) = self.table.get(id).map(super::Entry::state) else { return };
        self.table.set_verdict(id, incarnation, state, stamp);
        if state != MemberState::Suspect && self.suspicions.remove(&id).is_some() {
            self.deadlines.cancel(Timer::Suspicion(id));
        }
        if matches!(state, MemberState::Alive | MemberState::Suspect) {
            self.table.enter_order(id, &mut self.rng);
            self.obituaries.remove(&id);
        } else {
            self.schedule_fade(id, cx.now.as_nanos().wrapping_sub(stamp), cx);
            self.bound_tombstones(cx);
        }
        self.announce(id, before, cx);
        if spread {
            self.spread(id, cx);
        }
    }

    /// Tells the application how a member has changed since it was in `before`.
    pub(super) fn announce(&mut self, id: NodeId, before: MemberState, cx: &mut Ctx<'_>) {
        let was_live = matches!(before, MemberState::Alive | MemberState::Suspect);
        let Some(entry) = self.table.get(id).filter(|_| id != self.me.id) else { return };
        if was_live && !entry.is_live() {
            cx.signals.push(Signal::MemberGone(id));
        }
        if !entry.is_shown() {
            return;
        }
        let (known, state) = (entry.flags.announced, entry.state());
        let changes: &[MemberChange] = match state {
            MemberState::Alive if !known || !was_live => &[MemberChange::Up],
            MemberState::Suspect if !known || !was_live => &[MemberChange::Up, MemberChange::Suspected],
            MemberState::Alive if before == MemberState::Suspect => &[MemberChange::Refuted],
            MemberState::Suspect if before == MemberState::Alive => &[MemberChange::Suspected],
            MemberState::Down if known && was_live => &[MemberChange::Down],
            MemberState::Left if known && was_live => &[MemberChange::Left],
            MemberState::Alive | MemberState::Suspect | MemberState::Down | MemberState::Left => &[],
        };
        if changes.first() == Some(&MemberChange::Up) {
            if self.asks_admission(id, cx) {
                return;
            }
            self.table.set_announced(id, true);
        }
        changes.iter().for_each(|change| self.notify(id, *change, cx));
    }

    /// Asks the application about a member that it has not admitted, if the settings say so, and hides it until the
    /// answer.
    fn asks_admission(&mut self, id: NodeId, cx: &mut Ctx<'_>) -> bool {
        let AdmissionPolicy::Ask(within) = cx.config.membership.admission else { return false };
        if self.table.get(id).is_none_or(|entry| entry.flags.admitted) {
            return false;
        }
        self.table.set_hidden(id, true);
        cx.out.notify(Notice::AdmissionAsked { id });
        self.deadlines.arm(Timer::Admit(id), cx.now + within, cx.now);
        true
    }

    /// Says one change of a member that the application knows.
    pub(super) fn notify(&self, id: NodeId, change: MemberChange, cx: &mut Ctx<'_>) {
        let Some(entry) = self.table.get(id).filter(|entry| entry.is_shown() && entry.flags.announced) else {
            return;
        };
        if let Some(record) = entry.record() {
            cx.out.notify_member(change, record.bytes(), entry.incarnation(), entry.state());
        }
    }

    /// Doubts a member, or confirms the doubt (rule B1 with `hurry`).
    pub(super) fn suspect(
        &mut self,
        id: NodeId,
        incarnation: Incarnation,
        author: NodeId,
        hurry: bool,
        cx: &mut Ctx<'_>,
    ) {
        if let Some(suspicion) = self.suspicions.get_mut(&id).filter(|s| s.incarnation == incarnation) {
            if (suspicion.confirm(author) || (hurry && suspicion.hurry())) && suspicion.last_word.is_none() {
                self.arm_suspicion(id, cx);
                self.spread(id, cx);
            }
            return;
        }
        let mut suspicion = Suspicion::new(incarnation, author, cx.config, self.group(), cx.now);
        if hurry {
            suspicion.hurry();
        }
        let Some(heard) = self.table.get(id).map(super::Entry::last_heard) else { return };
        cx.stats.suspicions += 1;
        self.suspicions.insert(id, suspicion);
        self.hold(id, incarnation, MemberState::Suspect, heard.as_nanos(), true, cx);
        self.arm_suspicion(id, cx);
        if hurry || self.asks_for_itself(author, cx) {
            self.ask_suspect(id, cx);
        }
    }

    /// Whether to take a suspicion that somebody else passes on as a reason to ask the suspect: it hears of it at
    /// once, and its answer does not depend on gossip. A bounded number of members does.
    fn asks_for_itself(&mut self, author: NodeId, cx: &Ctx<'_>) -> bool {
        cx.config.membership.last_word
            && author != self.me.id
            && self.rng.below(self.table.live()) < HEARERS_ASKING
    }

    /// Arms the verdict, or where there is one the last word before it.
    pub(super) fn arm_suspicion(&mut self, id: NodeId, cx: &Ctx<'_>) {
        let Some(suspicion) = self.suspicions.get(&id) else { return };
        let settings = &cx.config.membership;
        let lead = if settings.last_word { settings.probe_timeout } else { Duration::ZERO };
        self.deadlines.arm(Timer::Suspicion(id), suspicion.deadline() - lead, cx.now);
    }

    /// Passes our own verdict: Down.
    pub(super) fn declare_down(&mut self, id: NodeId, cx: &mut Ctx<'_>) {
        let Some(incarnation) = self.suspicions.get(&id).map(|suspicion| suspicion.incarnation) else {
            return;
        };
        cx.stats.downs_declared += 1;
        self.bury(id, incarnation, self.me.id, cx.now.as_nanos(), cx);
        self.hold(id, incarnation, MemberState::Down, cx.now.as_nanos(), true, cx);
    }

    /// Keeps why a member is Down.
    fn bury(&mut self, id: NodeId, incarnation: Incarnation, author: NodeId, stamp: u64, cx: &Ctx<'_>) {
        let suspicion = self.suspicions.get(&id);
        let obituary = Obituary {
            incarnation,
            author,
            declared: Time::from_nanos(stamp).min(cx.now),
            suspected: suspicion.map(|suspicion| suspicion.started),
            suspected_by: suspicion.map(|suspicion| suspicion.authors.to_vec()).unwrap_or_default(),
            last_heard: self.table.get(id).map(super::Entry::last_heard),
        };
        if self.obituaries.len() >= OBITUARIES_MAX {
            let oldest = self.obituaries.iter().min_by_key(|(_, obituary)| obituary.declared);
            if let Some(id) = oldest.map(|(id, _)| *id) {
                self.obituaries.remove(&id);
            }
        }
        self.obituaries.insert(id, obituary);
    }

    /// Arranges for a terminal entry of this age to fade at half its life, or to be forgotten at its end.
    fn schedule_fade(&mut self, id: NodeId, age: u64, cx: &Ctx<'_>) {
        let life = nanos(cx.config.membership.forget_after);
        let next = if age < life / 2 { life / 2 } else { life };
        self.table.fade_at(id, cx.now + Duration::from_nanos(next.saturating_sub(age)));
        self.arm_fade(cx);
    }

    fn arm_fade(&mut self, cx: &Ctx<'_>) {
        if let Some(at) = self.table.next_fade() {
            self.deadlines.arm(Timer::Fade, at, cx.now);
        }
    }

    /// Lets terminal entries fade at half their life and forgets them at its end (rules B3 and B11).
    pub(super) fn fade(&mut self, cx: &mut Ctx<'_>) {
        let life = nanos(cx.config.membership.forget_after);
        while let Some(id) = self.table.pop_fade(cx.now) {
            let Some(entry) = self.table.get(id).filter(|_| id != self.me.id) else { continue };
            if entry.is_live() {
                self.fade_foreign(id, cx);
                continue;
            }
            let age = entry.age(cx.now);
            if age >= life {
                self.forget(id, cx);
            } else if age >= life / 2 && !entry.flags.faded {
                self.notify(id, MemberChange::Forgotten, cx);
                cx.signals.push(Signal::MemberFaded(id));
                self.table.fade(id);
                self.updates.cancel(id);
                self.schedule_fade(id, age, cx);
            }
        }
        self.arm_fade(cx);
    }

    /// Forgets a member of another protocol range that there has been no news of for long (rule B5): nobody here
    /// judges it.
    fn fade_foreign(&mut self, id: NodeId, cx: &mut Ctx<'_>) {
        let Some(entry) = self.table.get(id).filter(|entry| entry.flags.foreign) else { return };
        let end = entry.last_heard() + cx.config.membership.forget_after;
        if end <= cx.now { self.forget(id, cx) } else { self.table.fade_at(id, end) }
    }

    fn bound_tombstones(&mut self, cx: &mut Ctx<'_>) {
        while self.table.terminal() > cx.config.membership.tombstones_max as usize {
            let Some(id) = self.table.oldest_terminal(cx.now) else { return };
            self.forget(id, cx);
        }
    }

    fn forget(&mut self, id: NodeId, cx: &mut Ctx<'_>) {
        self.notify(id, MemberChange::Forgotten, cx);
        cx.signals.push(Signal::MemberFaded(id));
        self.table.remove(id);
        self.updates.cancel(id);
        self.obituaries.remove(&id);
        self.deadlines.cancel(Timer::Admit(id));
    }

    /// The receiver's view of us, told to our face (rule A4). Whoever holds us wrongly gets our record at once.
    pub(super) fn on_accused(&mut self, source: &Source, accused: &Accused, cx: &mut Ctx<'_>) {
        if !accused.incarnation.is_sane() {
            return cx.stats.count_misbehavior(Misbehavior::Incarnation);
        }
        if accused.removed && accused.incarnation == self.me.incarnation() {
            return self.on_removed(cx);
        }
        let boot = (accused.boot != 0).then_some(accused.boot);
        let before = self.me.incarnation();
        self.on_self(accused.incarnation, boot, accused.state, cx);
        let believed = matches!(source.standing, Standing::Member | Standing::Validated);
        let corrected = self.me.incarnation() > before || accused.incarnation < self.me.incarnation();
        if corrected && self.phase == Phase::Running && (believed || self.me.incarnation() > before) {
            let record = self.me.record();
            self.send(source.from, source.sender, &[Alive(Record::trusted(&record)).into()], cx);
        }
    }

    /// News of ourselves, and the process that they stem from if they say so.
    pub(super) fn on_self(
        &mut self,
        heard: Incarnation,
        boot: Option<u64>,
        state: MemberState,
        cx: &mut Ctx<'_>,
    ) {
        // A leaver that refuted would undo its own goodbye (rule B12).
        if self.phase != Phase::Running {
            return;
        }
        match self.me.react(heard, boot, state != MemberState::Alive) {
            Reaction::Nothing => {}
            Reaction::Refute => {
                cx.stats.refutations += 1;
                self.worsen_health(1, cx);
                self.speak_up(cx);
            }
            Reaction::Jump => self.jump(heard, boot, cx),
            Reaction::Outlive { rival } => {
                cx.out.notify(Notice::IdentityConflict { other: rival, stopped: false });
                self.jump(heard, Some(rival), cx);
            }
            Reaction::Yield { rival } => {
                cx.out.notify(Notice::IdentityConflict { other: rival, stopped: true });
                self.stop(Phase::Ended, cx);
            }
        }
    }

    /// A former life has used this epoch for its data (rule A1).
    pub(crate) fn leave_epoch(&mut self, epoch: u64, cx: &mut Ctx<'_>) {
        if self.is_running() && epoch >= self.me.incarnation().epoch {
            self.jump(Incarnation::first(epoch), None, cx);
        }
    }

    fn jump(&mut self, heard: Incarnation, rival: Option<u64>, cx: &mut Ctx<'_>) {
        if self.me.jump(heard, rival) {
            self.enter_epoch(cx);
            self.publish(cx);
        }
    }

    /// The own record anew, one incarnation higher.
    pub(super) fn speak_up(&mut self, cx: &mut Ctx<'_>) {
        let epoch = self.me.incarnation().epoch;
        self.me.advance();
        if self.me.incarnation().epoch != epoch {
            self.enter_epoch(cx);
        }
        self.publish(cx);
    }

    fn publish(&mut self, cx: &mut Ctx<'_>) {
        let (id, incarnation) = (self.me.id, self.me.incarnation());
        cx.link.set_incarnation(incarnation);
        self.table.set_verdict(id, incarnation, MemberState::Alive, cx.now.as_nanos());
        self.table.set_content(id, &self.me.record(), false);
        self.spread(id, cx);
        cx.out.notify(Notice::Reincarnated { incarnation });
    }

    fn enter_epoch(&mut self, cx: &mut Ctx<'_>) {
        self.store_epoch(cx);
        cx.signals.push(Signal::NewEpoch(self.me.incarnation().epoch));
    }

    /// Asks for the epoch to be remembered, so that the next boot stands above it (rule A1).
    pub(super) fn store_epoch(&mut self, cx: &mut Ctx<'_>) {
        self.me.epoch_serial += 1;
        cx.out.store(Slot::Epoch, self.me.epoch_serial, &self.me.incarnation().epoch.to_le_bytes());
    }

    fn on_removed(&mut self, cx: &mut Ctx<'_>) {
        if self.phase == Phase::Running {
            cx.out.notify(Notice::Removed);
            self.stop(Phase::Ended, cx);
        }
    }

    /// Falls silent.
    pub(super) fn stop(&mut self, phase: Phase, cx: &mut Ctx<'_>) {
        self.phase = phase;
        self.deadlines.clear();
        self.sync.stop();
        cx.signals.push(Signal::Stopped);
    }
}

/// What orders two records of one member (rule A2).
fn key(record: Record<'_>) -> (Incarnation, u64) {
    (record.incarnation(), record.boot())
}
