//! Ids and addresses that get another process: newcomers, twins, copies, snapshots, and addresses of the dead.

use core::time::Duration;

use super::{Then, Wide};
use crate::base::Index;
use crate::kernel::{Memory, Op, Release};
use crate::process::WallClock;

impl Wide {
    pub(super) fn takeovers(&mut self) {
        let Some((former, at)) = self.victim(Duration::from_secs(11)) else { return };
        let taken = at + self.millis(300, 10_000);
        let node = (0..8).find_map(|_| {
            let node = self.drawing.node();
            self.drawing.reserve(node, taken, taken + Duration::from_secs(1)).then_some(node)
        });
        let Some(node) = node else { return };
        self.act(at, Op::Crash { node: former });
        self.act(taken, Op::TakeOver { node, former });
        if self.random().chance(500_000) {
            self.drawing.stay_down.push(former);
        }
    }

    pub(super) fn replacements(&mut self) {
        for _ in 0..self.number(1, 2) {
            let Some((former, at)) = self.victim(Duration::from_secs(11)) else { continue };
            let starts = at + self.millis(10, 10_000);
            self.act(at, Op::Crash { node: former });
            self.birth(starts, Op::Replace { former }, Then::Nothing);
            if self.random().chance(666_666) {
                self.drawing.stay_down.push(former);
            }
        }
    }

    /// A process is started under a name in use, while the old one stays, leaves, crashes, or is paused.
    pub(super) fn newcomers(&mut self) {
        self.with_wall_clocks();
        for _ in 0..self.number(1, 2) {
            let Some((node, at)) = self.victim(Duration::from_secs(10)) else { continue };
            let clock = self.wall_clock();
            let comes = at + self.millis(500, 2_000);
            self.birth(comes, Op::Clone { node, clock }, Then::Nothing);
            match self.random().below(5) {
                0 => self.act(at, Op::Leave { node, within: Duration::from_secs(1) }),
                1 => {
                    self.act(
                        comes + Duration::from_secs(5),
                        Op::Leave { node, within: Duration::from_secs(1) },
                    );
                }
                2 => {
                    self.act(at, Op::Crash { node });
                    self.drawing.stay_down.push(node);
                }
                3 => {
                    let lasts = self.millis(2_000, 8_000);
                    self.act(at, Op::Pause { node });
                    self.act(at + lasts, Op::Resume { node, release: Release::InboxFirst });
                }
                _ => {}
            }
        }
    }

    pub(super) fn several_twins(&mut self) {
        let first = self.dispensable();
        for _ in 0..self.number(2, 3) {
            let node = if self.random().chance(400_000) { first } else { self.dispensable() };
            let at = self.drawing.moment(Duration::from_secs(1));
            if self.drawing.reserve(node, at, at + Duration::from_secs(1)) {
                self.birth(at, Op::Clone { node, clock: WallClock::Right }, Then::Nothing);
            }
        }
    }

    /// A snapshot goes on as another process, while the original runs.
    pub(super) fn copies(&mut self) {
        let lasts = self.millis(10, 8_000);
        let found = (0..8).find_map(|_| {
            let (node, at) = (self.dispensable(), self.drawing.moment(lasts + Duration::from_secs(2)));
            self.drawing.reserve(node, at, at + lasts).then_some((node, at))
        });
        let Some((node, at)) = found else { return };
        self.act(at, Op::Save { node });
        if self.random().chance(500_000) {
            let bytes = self.number(24, 200);
            self.act(at + lasts / 2, Op::SetMeta { node, bytes });
        }
        self.birth(at + lasts, Op::Copy { node }, Then::Nothing);
    }

    /// A member goes on after a snapshot, crashes, and is resumed from it.
    pub(super) fn snapshots(&mut self) {
        for _ in 0..self.number(1, 2) {
            let (goes_on, down) = (self.millis(10, 6_000), self.millis(1, 8_000));
            let lasts = goes_on + down;
            let Some((node, at)) = self.drawing.idle(lasts + Duration::from_millis(200)) else { continue };
            self.act(at, Op::Save { node });
            for _ in 0..self.number(0, 3) {
                let (later, bytes) = (goes_on * self.number(1, 8) / 9, self.number(24, 200));
                self.act(at + later, Op::SetMeta { node, bytes });
            }
            self.act(at + goes_on, Op::Crash { node });
            self.act(at + lasts, Op::Restart { node, memory: Memory::Snapshot });
        }
    }

    pub(super) fn clock_steps(&mut self) {
        self.with_wall_clocks();
        for _ in 0..self.number(1, 3) {
            let lasts = self.millis(1, 6_000);
            let Some((node, at)) = self.drawing.idle(lasts + Duration::from_millis(200)) else { continue };
            let clock = self.wall_clock();
            let memory = if self.random().chance(500_000) { Memory::Disk } else { Memory::Amnesia };
            self.act(at, Op::WallClock { node, clock });
            self.act(at + Duration::from_millis(1), Op::Crash { node });
            self.act(at + Duration::from_millis(1) + lasts, Op::Restart { node, memory });
        }
    }

    pub(super) fn repeated_amnesia(&mut self) {
        let first = Index(self.number(0, self.plan.nodes - 1));
        for _ in 0..self.number(2, 5) {
            let lasts = self.millis(1, 5_000);
            let node = if self.random().chance(600_000) { first } else { self.drawing.node() };
            let Some(at) = self.drawing.idle_moment(node, lasts + Duration::from_millis(200)) else {
                continue;
            };
            let memory =
                [Memory::StaleDisk, Memory::Amnesia, Memory::AmnesiaClockBack][self.random().position(3)];
            self.act(at, Op::Crash { node });
            self.act(at + lasts, Op::Restart { node, memory });
        }
    }
}
