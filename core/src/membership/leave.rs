//! Leaving: a member announces its leave until enough others have acknowledged it, and then stops (rule B12).

use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::table::Entry;
use super::updates::Update;
use super::{Membership, Timer, send};
use crate::action::Notice;
use crate::boot::Phase;
use crate::command::Answer;
use crate::context::{Ctx, Signal};
use crate::error::Rejected;
use crate::id::{MemberState, NodeId};
use crate::wire::{Ping, Verdict};

/// A leave that has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Goodbye {
    /// The sequence number of the pings that carry the leave.
    seq: u32,
    /// The members that have acked such a ping.
    acked: Vec<NodeId>,
    /// The number of members that must ack it.
    needed: usize,
}

/// How a leave has ended; see [`Notice::Departed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Departure {
    pub(super) acknowledged: bool,
    pub(super) alone: bool,
}

impl Goodbye {
    /// Notes an ack of `author`. Returns whether the leave is acknowledged by enough members now.
    fn on_ack(&mut self, author: NodeId, seq: u32) -> bool {
        if seq != self.seq {
            return false;
        }
        if !self.acked.contains(&author) {
            self.acked.push(author);
        }
        self.acked.len() >= self.needed
    }
}

impl Membership {
    /// Starts to leave. The leave ends with the notice `Departed`, after `within` at the latest.
    pub(crate) fn leave(&mut self, within: Duration, cx: &mut Ctx<'_>) -> Result<Answer, Rejected> {
        if self.phase == Phase::Waiting {
            // Nobody knows of this process.
            self.waiting = None;
            self.depart(Departure { acknowledged: true, alone: true }, cx);
            return Ok(Answer::Done);
        }
        self.must_run()?;
        self.hold_self_left(cx);
        self.stop(Phase::Leaving, cx);
        let needed = self.table.probed().min(cx.config.membership.leave_acks.into());
        let seq = self.prober.next_seq();
        self.goodbye = Some(Goodbye { seq, acked: Vec::new(), needed });
        self.updates.push(self.own.id, Update::Verdict);
        self.say_goodbye(cx);
        if needed == 0 || within.is_zero() {
            self.depart(Departure { acknowledged: needed == 0, alone: needed == 0 }, cx);
        } else {
            self.deadlines.arm(Timer::Departure, cx.now + within, cx.now);
        }
        Ok(Answer::Done)
    }

    /// Announces the leave to as many random members as must acknowledge it.
    pub(super) fn say_goodbye(&mut self, cx: &mut Ctx<'_>) {
        let Some(Goodbye { seq, needed, .. }) = self.goodbye else { return };
        let (id, incarnation) = (self.own.id, self.own.incarnation());
        let verdict =
            Verdict { id, incarnation, state: MemberState::Left, removed: false, age: 0, author: id };
        let chosen = self.choose(needed, id);
        for receiver in &chosen {
            if let Some(to) = self.table.get(*receiver).and_then(Entry::addr) {
                let ping = Ping { seq, roots: self.roots(cx) };
                send(to, *receiver, &[verdict.into(), ping.into()], cx);
            }
        }
        self.chosen = chosen;
        self.deadlines.arm(Timer::Leave, cx.now + cx.config.membership.gossip_interval, cx.now);
    }

    /// Ends the leave if this ack is the last that it needs.
    pub(super) fn answer_goodbye(&mut self, author: NodeId, seq: u32, cx: &mut Ctx<'_>) {
        if self.goodbye.as_mut().is_some_and(|goodbye| goodbye.on_ack(author, seq)) {
            self.depart(Departure { acknowledged: true, alone: false }, cx);
        }
    }

    /// Ends the leave, and tells the application whether enough members have acknowledged it.
    pub(super) fn depart(&mut self, Departure { acknowledged, alone }: Departure, cx: &mut Ctx<'_>) {
        self.goodbye = None;
        self.stop(Phase::Left, cx);
        cx.out.notify(Notice::Departed { acknowledged, alone });
    }

    /// Stops this node: moves it to `phase`, ends what is under way, and clears its deadlines, so that it sends nothing of
    /// its own accord. A later start begins anew what must go on: questions of admission and suspicions.
    pub(super) fn stop(&mut self, phase: Phase, cx: &mut Ctx<'_>) {
        self.phase = phase;
        self.fail_pings(cx);
        self.prober.stop();
        self.withdraw_questions();
        self.own.identity.end_questions();
        self.deadlines.clear();
        self.sync.stop();
        cx.signals.push(Signal::Stopped);
    }
}
