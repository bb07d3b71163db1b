//! Drawing the faults of a wide plan: a part of the basic plan of the same seed, and the other kinds of fault. They have a
//! random stream of their own.
//!
//! Processes are numbered in the order of their start. So the starts of a plan are drawn first, which gives each new process
//! its number; what is done with it afterwards is drawn next.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "kinds are drawn in two steps, and each has some of them"
)]

mod identity;
mod machine;
mod membership;

use core::time::Duration;

use super::draw::{self, Drawing};
use super::{Act, DELAY, Kind, Plan, settings};
use crate::base::{Index, Purpose, Random};
use crate::kernel::Op;
use crate::network::{Delay, Loss};
use crate::process::{Epochs, WallClock};

/// The time before the end of the safety phase at which operators begin to admit everybody.
const ADMIT_BEFORE_END: Duration = Duration::from_secs(6);

/// The first processes, which all others join through. A plan takes none of them away for good, if there are others.
const SEEDS: u32 = 3;

/// The kinds of fault that start further processes.
const BIRTHS: [Kind; 6] =
    [Kind::LateJoins, Kind::Peers, Kind::Replacements, Kind::Newcomers, Kind::SeveralTwins, Kind::Copies];

/// The start of a process that joins through the seeds, as every process of a plan does.
const SPAWN: Op = Op::Spawn { count: 1, through: None, seeds: SEEDS };

struct Wide {
    drawing: Drawing,
    plan: Plan,
    /// The starts of further processes, by their times.
    births: Vec<Birth>,
}

/// A start of a further process, and what is done with it or with the one that it stands for.
#[derive(Clone, Debug)]
struct Birth {
    at: Duration,
    op: Op,
    then: Then,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Nothing,
    /// The process starts alone and is introduced to this member.
    Introduce(Index),
    /// The process crashes, and restarts after this time.
    Restart(Duration),
    /// The process leaves.
    Leave,
}

pub(super) fn plan(seed: u64) -> Plan {
    let mut random = Random::of(seed, Purpose::Wide, 0);
    // A third of the plans has no other faults, so that what happens is easy to understand.
    let keep = [0, 350_000, 700_000][random.position(3)];
    let chance = u32::try_from(random.between(40_000, 300_000)).expect("below a million");
    let (plan, drawing) = draw::plan(seed, |_| random.chance(keep));
    let mut kinds: Vec<Kind> = Kind::WIDE.into_iter().filter(|_| random.chance(chance)).collect();
    if kinds.is_empty() && plan.kinds.is_empty() {
        kinds.push(Kind::WIDE[random.position(Kind::WIDE.len())]);
    }
    if plan.network.link.loss != Loss::None {
        kinds.retain(|kind| *kind != Kind::RareLoss);
    }
    let mut wide = Wide { drawing: Drawing { random, ..drawing }, plan, births: Vec::new() };
    kinds.retain(|kind| wide.draws(|wide| wide.births_of(*kind)) || !BIRTHS.contains(kind));
    wide.number_births();
    kinds.retain(|kind| BIRTHS.contains(kind) || wide.draws(|wide| wide.acts_of(*kind)));
    wide.plan.kinds.extend(&kinds);
    wide.finish()
}

impl Wide {
    fn random(&mut self) -> &mut Random {
        &mut self.drawing.random
    }

    fn act(&mut self, at: Duration, op: Op) {
        self.drawing.act(at, op);
    }

    fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.random().between(low, high))
    }

    /// Draws a number from `low..=high`.
    fn number(&mut self, low: u32, high: u32) -> u32 {
        u32::try_from(self.random().between(low.into(), high.into())).expect("it is between two such numbers")
    }

    /// A process that may go for good: not one of the seeds, if there are others.
    fn dispensable(&mut self) -> Index {
        let (nodes, seeds) = (self.plan.nodes, SEEDS.min(self.plan.nodes - 1));
        Index(self.number(seeds, nodes - 1))
    }

    /// A dispensable process and a time from which on nothing else is drawn for it. `lasts` is the least time until the end of
    /// the safety phase.
    fn victim(&mut self, lasts: Duration) -> Option<(Index, Duration)> {
        for _ in 0..8 {
            let node = self.dispensable();
            let at = self.drawing.moment(lasts);
            if self.drawing.reserve(node, at, self.plan.safety) {
                return Some((node, at));
            }
        }
        None
    }

    /// Whether `f` draws anything. A kind of fault that finds no room in a plan is not part of it.
    fn draws(&mut self, f: impl FnOnce(&mut Self)) -> bool {
        let drawn = |wide: &Self| (wide.births.len(), wide.drawing.acts.len(), wide.plan.network.clone());
        let before = drawn(self);
        f(self);
        before != drawn(self)
    }

    fn births_of(&mut self, kind: Kind) {
        match kind {
            Kind::LateJoins => self.late_joins(),
            Kind::Peers => self.peers(),
            Kind::Replacements => self.replacements(),
            Kind::Newcomers => self.newcomers(),
            Kind::SeveralTwins => self.several_twins(),
            Kind::Copies => self.copies(),
            _ => {}
        }
    }

    fn birth(&mut self, at: Duration, op: Op, then: Then) {
        self.births.push(Birth { at, op, then });
    }

    /// Gives each further process its number, and draws what is done with it. No two start at the same time, because the order
    /// of operations of one time is drawn by the run.
    fn number_births(&mut self) {
        let mut times: Vec<Duration> =
            self.drawing.acts.iter().filter(|act| act.op.births() > 0).map(|act| act.at).collect();
        let mut births = core::mem::take(&mut self.births);
        births.sort_by_key(|birth| birth.at);
        for birth in &mut births {
            while times.contains(&birth.at) {
                birth.at += Duration::from_millis(1);
            }
            times.push(birth.at);
        }
        times.sort_unstable();
        for birth in births {
            let rank = times.iter().position(|at| *at == birth.at).expect("it is one of them");
            self.follow_up(Index::new(self.plan.nodes as usize + rank), birth);
        }
    }

    fn follow_up(&mut self, node: Index, birth: Birth) {
        let Birth { at, mut op, then } = birth;
        match then {
            Then::Nothing => {}
            Then::Introduce(member) => {
                op = Op::Spawn { count: 1, through: Some(node), seeds: 1 };
                let told = at + self.millis(100, 3_000);
                let (node, peer) =
                    if self.random().chance(500_000) { (node, member) } else { (member, node) };
                self.act(told, Op::AddPeer { node, peer });
            }
            Then::Restart(lasts) => {
                let crash = at + self.millis(100, 2_000);
                self.act(crash, Op::Crash { node });
                self.act(crash + lasts, Op::Restart { node, memory: crate::kernel::Memory::Disk });
            }
            Then::Leave => {
                let (leave, within) = (at + self.millis(100, 2_000), self.millis(0, 2_000));
                self.act(leave, Op::Leave { node, within });
            }
        }
        self.act(at, op);
    }

    fn acts_of(&mut self, kind: Kind) {
        match kind {
            Kind::Leaves => self.leaves(),
            Kind::Rejoins => self.rejoins(),
            Kind::Removals => self.removals(),
            Kind::Metadata => self.metadata(),
            Kind::Admission => self.admission(),
            Kind::Takeovers => self.takeovers(),
            Kind::Snapshots => self.snapshots(),
            Kind::ClockSteps => self.clock_steps(),
            Kind::DiskFailures => self.disk_failures(),
            Kind::RareLoss => self.rare_loss(),
            Kind::ShortPause => self.short_pause(),
            Kind::EarlyFaults => self.early_faults(),
            Kind::LongLateTicks => self.long_late_ticks(),
            Kind::NarrowLinks => self.narrow_links(),
            Kind::FullInboxes => self.full_inboxes(),
            Kind::RepeatedAmnesia => self.repeated_amnesia(),
            Kind::ManySplits => self.many_splits(),
            Kind::Delays => self.delays(),
            _ => {}
        }
    }

    fn rare_loss(&mut self) {
        // Few members send few datagrams.
        let ppm = if self.plan.nodes < 8 { self.number(4_000, 8_000) } else { self.number(1_000, 3_000) };
        self.plan.network.link.loss = Loss::Independent { ppm };
    }

    fn delays(&mut self) {
        let Delay::Uniform { max, .. } = DELAY else { return };
        let link = &mut self.plan.network.link;
        let random = &mut self.drawing.random;
        match random.below(4) {
            0 => link.delay = Delay::Constant(Duration::from_millis(random.between(1, 10))),
            1 => link.fifo = true,
            // The checks assume that no datagram takes longer than `max`.
            2 => {
                link.delay =
                    Delay::Exponential { floor: Duration::from_millis(1), mean: Duration::from_micros(400) }
            }
            _ => {
                link.pair_offset = max / 2;
                link.delay = Delay::Uniform { min: Duration::ZERO, max: max / 2 };
            }
        }
    }

    fn finish(self) -> Plan {
        let Self { drawing, mut plan, .. } = self;
        let broadcasts = plan.acts.into_iter().filter(|act| matches!(act.op, Op::Broadcast { .. }));
        let mut acts: Vec<Act> = drawing.acts.into_iter().chain(broadcasts).collect();
        let last = plan.safety - Duration::from_millis(10);
        acts.iter_mut().for_each(|act| act.at = act.at.min(last));
        acts.sort_by_key(|act| act.at);
        let births: u32 = acts.iter().map(|act| act.op.births()).sum();
        plan.settings.extend(settings::draw(plan.seed, plan.nodes + births));
        plan.stay_down = drawing.stay_down;
        plan.stay_down.sort_unstable();
        plan.stay_down.dedup();
        Plan { acts, ..plan }
    }

    /// Lets the members take their epochs from wall clocks, some of which are wrong.
    fn with_wall_clocks(&mut self) {
        self.plan.epochs = Epochs::Clock;
    }

    fn wall_clock(&mut self) -> WallClock {
        let hour = Duration::from_secs(3_600);
        match self.random().below(5) {
            0 => WallClock::Ahead(hour),
            1 => WallClock::Behind(hour),
            2 => WallClock::Behind(self.millis(1, 5_000)),
            3 => WallClock::Year1970,
            _ => WallClock::Right,
        }
    }
}
