//! Members that come, leave, are removed, change, and are admitted or not.

use core::time::Duration;

use bruit_core::Admission;

use super::{ADMIT_BEFORE_END, SPAWN, Then, Wide};
use crate::base::Index;
use crate::faults::settings;
use crate::kernel::{Answers, Memory, Op};

impl Wide {
    /// Some members leave. A third of their processes ends soon after.
    pub(super) fn leaves(&mut self) {
        for _ in 0..self.number(1, 1 + self.plan.nodes / 4) {
            let Some((node, at)) = self.victim(Duration::from_secs(1)) else { continue };
            let within = self.millis(0, 3_000);
            self.act(at, Op::Leave { node, within });
            if self.random().chance(333_333) {
                let ends = at + self.millis(100, 5_000);
                self.act(ends, Op::Crash { node });
                self.drawing.stay_down.push(node);
            }
        }
    }

    pub(super) fn rejoins(&mut self) {
        for _ in 0..self.number(1, 3) {
            let (within, away) = (self.millis(0, 1_500), self.millis(20, 8_000));
            let lasts = within + away;
            let Some((node, at)) = self.drawing.idle(lasts + Duration::from_secs(1)) else { continue };
            self.act(at, Op::Leave { node, within });
            self.act(at + lasts, Op::Join { node });
        }
    }

    pub(super) fn late_joins(&mut self) {
        for _ in 0..self.number(1, 4) {
            let lasts = self.millis(300, 6_000);
            let at = self.drawing.moment(lasts + Duration::from_secs(3));
            let then = match self.random().below(4) {
                0 => Then::Restart(lasts),
                1 => Then::Leave,
                _ => Then::Nothing,
            };
            self.birth(at, SPAWN, then);
        }
    }

    pub(super) fn peers(&mut self) {
        for _ in 0..self.number(1, 3) {
            // The member must run when it is told, or told of.
            let found = self.drawing.idle(Duration::from_secs(4));
            let Some((member, at)) = found else { continue };
            self.birth(at, SPAWN, Then::Introduce(member));
        }
    }

    /// Operators remove members that run, of which some come back in another process, and members that have crashed.
    pub(super) fn removals(&mut self) {
        for _ in 0..self.number(1, 2) {
            let Some((peer, at)) = self.victim(Duration::from_secs(12)) else { continue };
            let crashed = self.random().chance(333_333);
            let removal = if crashed { at + self.millis(200, 8_000) } else { at };
            let operator = (0..8).find_map(|_| {
                let operator = self.drawing.node();
                self.drawing.reserve(operator, removal, removal + Duration::from_secs(1)).then_some(operator)
            });
            let Some(operator) = operator else { continue };
            self.act(removal, Op::RemovePeer { node: operator, peer });
            if crashed {
                self.act(at, Op::Crash { node: peer });
                self.drawing.stay_down.push(peer);
            } else if self.random().chance(500_000) {
                let (ends, lasts) = (at + self.millis(500, 4_000), self.millis(100, 5_000));
                let memory = if self.random().chance(500_000) { Memory::Disk } else { Memory::Amnesia };
                self.act(ends, Op::Crash { node: peer });
                self.act(ends + lasts, Op::Restart { node: peer, memory });
            }
        }
    }

    pub(super) fn metadata(&mut self) {
        for _ in 0..self.number(1, 6) {
            let Some((node, at)) = self.drawing.idle(Duration::from_millis(500)) else { continue };
            for turn in 0..self.number(1, 5) {
                let bytes = self.number(24, 512);
                let pause = self.millis(0, 80);
                self.act(at + pause * turn, Op::SetMeta { node, bytes });
            }
        }
    }

    /// Operators answer questions of admission in different ways. Before the end they admit everybody.
    pub(super) fn admission(&mut self) {
        let setting = settings::admission(self.random());
        self.plan.settings.push(setting);
        for node in (0..self.plan.nodes).map(Index) {
            let answers =
                [Answers::Silence, Answers::Accept, Answers::Veto, Answers::Mixed][self.random().position(4)];
            let (at, after) = (self.millis(0, 3_000), self.millis(0, 2_000));
            self.act(at, Op::Answers { node, answers, after });
            let end = self.plan.safety - ADMIT_BEFORE_END;
            self.act(end, Op::Answers { node, answers: Answers::Accept, after });
        }
        for _ in 0..self.number(0, 4) {
            let lasts = self.millis(500, 10_000);
            let at = self.drawing.moment(lasts + ADMIT_BEFORE_END);
            let node = Index(self.number(0, self.plan.nodes - 1));
            let peer = Index((node.0 + self.number(1, self.plan.nodes - 1)) % self.plan.nodes);
            self.act(at, Op::Admit { node, peer, admission: Admission::Veto });
            self.act(at + lasts, Op::Admit { node, peer, admission: Admission::Accept });
        }
    }
}
