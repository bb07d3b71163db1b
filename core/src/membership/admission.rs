//! The local view: which members the application is shown, and which of their changes it is told of (rule B5).
//!
//! The view is a filter over the table. A member that the application has vetoed, or has not admitted yet, is held and
//! relayed like any other, so that the fingerprints of all nodes agree.

use alloc::vec::Vec;

use super::rules::{self, Visibility};
use super::table::Entry;
use super::{Membership, Timer};
use crate::action::{MemberChange, Notice};
use crate::command::{Admission, Answer};
use crate::config::AdmissionPolicy;
use crate::context::{Ctx, Signal};
use crate::error::Rejected;
use crate::id::{MemberState, NodeId};

impl Membership {
    /// Reports to the application and to the other machines how a member has changed since it was in the state
    /// `before`.
    pub(super) fn announce(&mut self, id: NodeId, before: MemberState, cx: &mut Ctx<'_>) {
        self.report(id, before, cx);
        if self.table.get(id).is_some_and(|entry| entry.shown_state().is_live()) {
            self.obituaries.remove(&id);
        }
    }

    fn report(&mut self, id: NodeId, before: MemberState, cx: &mut Ctx<'_>) {
        let Some(entry) = self.table.get(id).filter(|_| id != self.own.id) else { return };
        if before.is_live() && !entry.is_live() {
            self.sync.forget(id);
            cx.signals.push(Signal::MemberGone(id));
        }
        if self.is_kept_on_probation(id, before, cx) {
            return;
        }
        let Some(entry) = self.table.get(id).filter(|entry| entry.is_shown()) else { return };
        let visibility = entry.flags.visibility;
        let changes = rules::changes(before, entry.state(), visibility);
        if changes.first() == Some(&MemberChange::Up) {
            if visibility == Visibility::New && self.ask_admission(id, cx) {
                return;
            }
            self.table.set_visibility(id, Visibility::Announced);
        }
        changes.iter().for_each(|change| self.notify(id, *change, cx));
    }

    /// Asks the application whether to admit a new member, if the settings say so, and hides the member until the answer.
    /// Returns whether the application was asked.
    fn ask_admission(&mut self, id: NodeId, cx: &mut Ctx<'_>) -> bool {
        let AdmissionPolicy::Ask(within) = cx.config.membership.admission else { return false };
        self.table.set_visibility(id, Visibility::Hidden);
        cx.out.notify(Notice::AdmissionAsked { id });
        self.deadlines.arm(Timer::Admit(id), cx.now + within, cx.now);
        true
    }

    /// Withdraws the questions of admission that are open, because the node stops. They are asked again at its next start.
    pub(super) fn withdraw_questions(&mut self) {
        for timer in self.deadlines.keys() {
            if let Timer::Admit(id) = timer {
                self.table.set_visibility(id, Visibility::New);
            }
        }
    }

    /// Announces the members of which the application was not told before the node stopped, or asks about them again. Probations
    /// begin anew.
    pub(super) fn announce_new(&mut self, cx: &mut Ctx<'_>) {
        let is_new = |entry: &&Entry| {
            entry.is_on_probation() || entry.flags.visibility == Visibility::New && entry.is_live()
        };
        let new: Vec<_> = self.table.iter().filter(is_new).map(|entry| (entry.id, entry.state())).collect();
        new.into_iter().for_each(|(id, state)| self.announce(id, state, cx));
    }

    /// Reports one change of a member to the application, if the application has been told of the member. Of several changes
    /// at once each shows the state to which it leads.
    pub(super) fn notify(&self, id: NodeId, change: MemberChange, cx: &mut Ctx<'_>) {
        let Some(entry) = self.table.get(id).filter(|entry| entry.is_shown()) else { return };
        let record = entry.record().filter(|_| entry.flags.visibility == Visibility::Announced);
        if let Some(record) = record {
            let state = if change == MemberChange::Up { MemberState::Alive } else { entry.state() };
            cx.out.notify_member(change, record.bytes(), entry.incarnation(), state);
        }
    }

    /// Handles the application's answer about a member. A veto may come at any time, and a later acceptance ends it.
    pub(crate) fn admit(
        &mut self,
        id: NodeId,
        admission: Admission,
        cx: &mut Ctx<'_>,
    ) -> Result<Answer, Rejected> {
        self.must_run()?;
        if id == self.own.id {
            return Err(Rejected::Oneself);
        }
        let entry = self.table.get(id).ok_or(Rejected::UnknownMember(id))?;
        match admission {
            Admission::Accept => self.accept(id, cx),
            Admission::Veto => {
                if entry.is_on_probation() {
                    self.end_probation(id, Visibility::Announced);
                }
                let Some(entry) = self.table.get(id) else { return Ok(Answer::Done) };
                let change = if entry.is_live() { MemberChange::Left } else { MemberChange::Forgotten };
                self.notify(id, change, cx);
                self.deadlines.cancel(Timer::Admit(id));
                cx.signals.push(Signal::MemberGone(id));
                self.table.set_visibility(id, Visibility::Hidden);
            }
        }
        Ok(Answer::Done)
    }

    /// Shows a member that was hidden or on probation, because the application admits it or has not answered in time.
    pub(super) fn accept(&mut self, id: NodeId, cx: &mut Ctx<'_>) {
        self.deadlines.cancel(Timer::Admit(id));
        let hidden = |entry: &&Entry| entry.flags.visibility == Visibility::Hidden || entry.is_on_probation();
        if let Some(state) = self.table.get(id).filter(hidden).map(Entry::state) {
            self.end_probation(id, Visibility::Admitted);
            self.announce(id, state, cx);
        }
    }
}
