//! Drawing the faults of a basic plan. The basic plan of a seed is frozen, so that seeds that failed once can be run again.

#![expect(clippy::wildcard_enum_match_arm, reason = "basic plans know a few of the kinds")]

use core::time::Duration;

use super::workload::{self, Workload};
use super::{Act, DELAY, Kind, Plan};
use crate::base::{Index, Purpose, Random};
use crate::faults::Preset;
use crate::kernel::{Memory, Op, Release};
use crate::network::{Cut, Flap, Gray, InFlight, Link, Loss, NetworkConfig, Reorder};
use crate::process::{Epochs, WallClock};

/// The time before the first fault, in which the cluster can form.
const QUIET: Duration = Duration::from_secs(3);

/// The number of draws of a process and a time, until one is found at which the process is idle.
const TRIES: u32 = 32;
/// The number of cuts of each kind in a plan that has the kind.
const CUTS: u32 = 4;

/// A plan while it is drawn.
pub(super) struct Drawing {
    pub(super) random: Random,
    pub(super) nodes: u32,
    pub(super) safety: Duration,
    pub(super) stay_down: Vec<Index>,
    pub(super) acts: Vec<Act>,
    /// The times at which a process is down or paused. Other faults of the process would have no effect then (check CS9).
    pub(super) busy: Vec<(Index, Duration, Duration)>,
}

/// Draws the basic plan of a seed.
pub(super) fn basic(seed: u64) -> Plan {
    let (mut plan, _) = plan(seed, |_| true);
    plan.acts.sort_by_key(|act| act.at);
    plan
}

/// Draws the basic plan of a seed with those of its kinds of fault that `keeps` accepts. Its acts are not in order yet, and
/// more can be drawn.
pub(super) fn plan(seed: u64, mut keeps: impl FnMut(Kind) -> bool) -> (Plan, Drawing) {
    let mut random = Random::of(seed, Purpose::Plan, 0);
    let preset = if random.chance(300_000) { Preset::Local } else { Preset::Lan };
    let nodes = if random.chance(100_000) { random.between(17, 32) } else { random.between(3, 12) };
    let safety = Duration::from_secs(random.between(20, 60));
    let density = random.between(100_000, 600_000);
    let chance = u32::try_from(density).expect("below a million");
    let mut kinds: Vec<Kind> =
        Kind::BASIC.into_iter().filter(|kind| random.chance(likelihood(*kind, chance))).collect();
    if kinds.contains(&Kind::Bursts) {
        kinds.retain(|kind| *kind != Kind::Loss);
    }
    kinds.retain(|kind| keeps(*kind));
    let nodes = u32::try_from(nodes).expect("a few");
    let mut drawing =
        Drawing { random, nodes, safety, stay_down: Vec::new(), acts: Vec::new(), busy: Vec::new() };
    let network = NetworkConfig::uniform(drawing.link(&kinds));
    // Crashes are drawn last, because other faults have no effect on a member that stays down.
    let (crashes, others): (Vec<Kind>, Vec<Kind>) = kinds.iter().partition(|kind| **kind == Kind::Crashes);
    others.into_iter().chain(crashes).for_each(|kind| drawing.acts_of(kind));
    let Workload { settings: broadcast, zones, acts: broadcasts } = workload::draw(seed, nodes, safety);
    let (stay_down, mut acts) = (drawing.stay_down.clone(), drawing.acts.clone());
    acts.extend(broadcasts);
    let (settings, epochs) = (Vec::new(), Epochs::Boots);
    let plan = Plan {
        seed,
        nodes,
        preset,
        settings,
        epochs,
        broadcast,
        zones,
        kinds,
        network,
        safety,
        stay_down,
        acts,
    };
    (plan, drawing)
}

const fn likelihood(kind: Kind, chance: u32) -> u32 {
    match kind {
        Kind::Twins => chance / 4,
        Kind::Moves | Kind::Damage => chance / 2,
        _ => chance,
    }
}

impl Drawing {
    pub(super) fn ppm(&mut self, low: u64, high: u64) -> u32 {
        u32::try_from(self.random.between(low, high)).expect("at most a million")
    }

    fn link(&mut self, kinds: &[Kind]) -> Link {
        let mut link = Link::with_delay(DELAY);
        for kind in kinds {
            match kind {
                Kind::Loss => link.loss = Loss::Independent { ppm: self.ppm(20_000, 250_000) },
                Kind::Bursts => {
                    let mean_burst = u32::try_from(self.random.between(2, 6)).expect("a few");
                    link.loss = Loss::Bursts { ppm: self.ppm(100_000, 180_000), mean_burst };
                }
                Kind::Duplicates => link.duplicate_ppm = self.ppm(50_000, 300_000),
                Kind::Reordering => {
                    let by = Duration::from_millis(self.random.between(5, 400));
                    link.reorder = Reorder { ppm: self.ppm(40_000, 200_000), by };
                }
                Kind::Damage => link.corrupt_ppm = self.ppm(20_000, 100_000),
                _ => {}
            }
        }
        link
    }

    pub(super) fn node(&mut self) -> Index {
        Index::new(self.random.position(self.nodes as usize))
    }

    /// A random group of processes: at least one, and not all.
    pub(super) fn some(&mut self) -> Vec<Index> {
        let mut nodes: Vec<Index> = (0..self.nodes).map(Index).collect();
        self.random.shuffle(&mut nodes);
        nodes.truncate(1 + self.random.position(self.nodes as usize - 1));
        nodes.sort_unstable();
        nodes
    }

    /// A time for something that lasts this long, so that it begins and ends within the safety phase.
    pub(super) fn moment(&mut self, lasts: Duration) -> Duration {
        let room = self.safety.saturating_sub(QUIET + lasts).max(Duration::from_millis(1));
        let millis = u64::try_from(room.as_millis()).expect("a minute");
        QUIET + Duration::from_millis(self.random.below(millis))
    }

    pub(super) fn lasting(&mut self) -> Duration {
        Duration::from_millis(self.random.between(500, 15_000))
    }

    /// A process and a time at which it is idle; `None` if none was found.
    pub(super) fn idle(&mut self, lasts: Duration) -> Option<(Index, Duration)> {
        for _ in 0..TRIES {
            let node = self.node();
            if let Some(at) = self.idle_moment(node, lasts) {
                return Some((node, at));
            }
        }
        None
    }

    /// A time at which this process is idle; `None` if the one that was drawn is not.
    pub(super) fn idle_moment(&mut self, node: Index, lasts: Duration) -> Option<Duration> {
        let at = self.moment(lasts);
        self.reserve(node, at, at + lasts).then_some(at)
    }

    /// Reserves a process for this time, if nothing else is drawn for it then.
    pub(super) fn reserve(&mut self, node: Index, at: Duration, end: Duration) -> bool {
        let overlaps = |busy: &(Index, Duration, Duration)| busy.0 == node && busy.1 <= end && at <= busy.2;
        let free = !self.busy.iter().any(overlaps);
        if free {
            self.busy.push((node, at, end));
        }
        free
    }

    pub(super) fn act(&mut self, at: Duration, op: Op) {
        self.acts.push(Act { at, op });
    }

    fn acts_of(&mut self, kind: Kind) {
        match kind {
            Kind::Split | Kind::Isolation | Kind::OneWay | Kind::Bridge | Kind::Flapping | Kind::Gray => {
                for _ in 0..CUTS {
                    self.cut(kind);
                }
            }
            Kind::Crashes => self.crashes(),
            Kind::Amnesia => self.amnesia(),
            Kind::Pauses => self.pauses(),
            Kind::Clocks => self.each_of_some(|drawing, node| {
                let ppm = i32::try_from(drawing.random.below(40_000)).expect("small") - 20_000;
                Op::ClockRate { node, ppm }
            }),
            Kind::LateTicks => self.each_of_some(|drawing, node| {
                let by = Duration::from_millis(drawing.random.between(5, 400));
                Op::LateTicks { node, by }
            }),
            Kind::Moves => {
                if let Some((node, at)) = self.idle(Duration::from_secs(1)) {
                    self.act(at, Op::Move { node });
                }
            }
            Kind::Twins => {
                let found = self.idle(Duration::from_secs(1));
                // The twin of the first process, which all join through, would know no other member once the first one stops.
                if let Some((node, at)) = found.map(|(node, at)| (Index(node.0.max(1)), at)) {
                    self.act(at, Op::Clone { node, clock: WallClock::Right });
                }
            }
            _ => {}
        }
    }

    fn each_of_some(&mut self, mut op: impl FnMut(&mut Self, Index) -> Op) {
        for node in self.some() {
            // Early in the run, so that it has time to have an effect.
            let at = QUIET / 2 + Duration::from_millis(self.random.below(1_000));
            let op = op(self, node);
            self.act(at, op);
        }
    }

    fn cut(&mut self, kind: Kind) {
        // At least two processes stay on the other side, because a bridge needs them. The cut lasts long enough to block
        // some datagram.
        let (mut some, lasts) = (self.some(), Duration::from_millis(self.random.between(4_000, 15_000)));
        some.truncate(self.nodes as usize - 2);
        let others: Vec<Index> = (0..self.nodes).map(Index).filter(|node| !some.contains(node)).collect();
        let cut = self.shape(kind, some, &others);
        let in_flight = match self.random.below(3) {
            0 => InFlight::Drop,
            1 => InFlight::Hold,
            _ => InFlight::Deliver,
        };
        let flap = (kind == Kind::Flapping).then(|| Flap {
            down: Duration::from_millis(self.random.between(200, 4_000)),
            up: Duration::from_millis(self.random.between(200, 4_000)),
        });
        let gray = (kind == Kind::Gray).then(|| Gray {
            loss_ppm: self.ppm(100_000, 800_000),
            delay: Duration::from_millis(self.random.between(0, 300)),
        });
        let at = self.moment(lasts);
        self.act(at, Op::Cut { cut, in_flight, flap, lasts: Some(lasts), gray });
    }

    fn shape(&mut self, kind: Kind, some: Vec<Index>, others: &[Index]) -> Cut {
        if kind == Kind::Isolation {
            return Cut::Isolate { nodes: some };
        }
        if kind == Kind::Bridge {
            return Cut::Bridge { left: some, right: others.get(1..).unwrap_or_default().to_vec() };
        }
        if kind != Kind::OneWay {
            return Cut::Split { groups: vec![some] };
        }
        match self.random.below(3) {
            0 => Cut::OneWay { from: some, to: others.to_vec() },
            1 => Cut::Egress { nodes: some },
            _ => Cut::Ingress { nodes: some },
        }
    }

    /// Some members crash. Half of them restart with their disk, a quarter when everything heals, and a quarter never.
    fn crashes(&mut self) {
        let mut victims = self.some();
        victims.truncate(1 + self.nodes as usize / 3);
        let first = victims[0];
        for node in victims {
            let lasts = self.lasting();
            // The first process always returns, because others join through it.
            let returns = self.random.below(4).min(if node == Index(0) { 2 } else { 3 });
            let found = (0..TRIES).find_map(|_| self.idle_moment(node, lasts));
            // There is at least one crash if a short one fits.
            let short = || self.idle(Duration::from_millis(200));
            let Some((node, at)) =
                found.map(|at| (node, at)).or_else(|| (node == first).then(short).flatten())
            else {
                continue;
            };
            self.act(at, Op::Crash { node });
            // A process that does not return soon must not have a later fault.
            let later = self.busy.iter().any(|busy| busy.0 == node && busy.1 > at);
            match returns {
                2 | 3 if !later => {
                    self.busy.push((node, at, self.safety));
                    if returns == 3 {
                        self.stay_down.push(node);
                    }
                }
                _ => self.act(at + lasts, Op::Restart { node, memory: Memory::Disk }),
            }
        }
    }

    fn amnesia(&mut self) {
        let lasts = self.lasting();
        let memory = match self.random.below(3) {
            0 => Memory::StaleDisk,
            1 => Memory::Amnesia,
            _ => Memory::AmnesiaClockBack,
        };
        if let Some((node, at)) = self.idle(lasts) {
            self.act(at, Op::Crash { node });
            self.act(at + lasts, Op::Restart { node, memory });
        }
    }

    fn pauses(&mut self) {
        for _ in 0..self.random.between(1, 3) {
            let lasts = self.lasting();
            let release = match self.random.below(3) {
                0 => Release::InboxFirst,
                1 => Release::TimersFirst,
                _ => Release::Random,
            };
            if let Some((node, at)) = self.idle(lasts) {
                self.act(at, Op::Pause { node });
                self.act(at + lasts, Op::Resume { node, release });
            }
        }
    }
}
