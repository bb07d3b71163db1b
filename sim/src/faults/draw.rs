//! Drawing a plan.

use core::time::Duration;

use super::{Act, DELAY, Kind, Plan};
use crate::cluster::Index;
use crate::happening::Memory;
use crate::network::{Cut, Flap, Gray, InFlight, Link, Loss, NetworkConfig, Reorder};
use crate::op::{Op, Release};
use crate::preset::Preset;
use crate::random::{Purpose, Random};

/// Faults begin when the cluster may have formed.
const QUIET: Duration = Duration::from_secs(3);

struct Drawing {
    random: Random,
    nodes: u32,
    safety: Duration,
    stay_down: Vec<Index>,
    acts: Vec<Act>,
}

pub(super) fn plan(seed: u64) -> Plan {
    let mut random = Random::of(seed, Purpose::Plan, 0);
    let preset = if random.chance(300_000) { Preset::Local } else { Preset::Lan };
    let nodes = if random.chance(100_000) { random.between(17, 32) } else { random.between(3, 12) };
    let safety = Duration::from_secs(random.between(20, 60));
    let density = random.between(100_000, 600_000);
    let chance = u32::try_from(density).expect("below a million");
    let mut kinds: Vec<Kind> =
        Kind::ALL.into_iter().filter(|kind| random.chance(likelihood(*kind, chance))).collect();
    if kinds.contains(&Kind::Bursts) {
        kinds.retain(|kind| *kind != Kind::Loss);
    }
    let nodes = u32::try_from(nodes).expect("a few");
    let mut drawing = Drawing { random, nodes, safety, stay_down: Vec::new(), acts: Vec::new() };
    let network = NetworkConfig::uniform(drawing.link(&kinds));
    for kind in &kinds {
        drawing.acts_of(*kind);
    }
    let Drawing { stay_down, mut acts, .. } = drawing;
    acts.sort_by_key(|act| act.at);
    Plan { seed, nodes, preset, kinds, network, safety, stay_down, acts }
}

const fn likelihood(kind: Kind, chance: u32) -> u32 {
    match kind {
        Kind::Twins => chance / 4,
        Kind::Moves | Kind::Damage => chance / 2,
        Kind::Loss
        | Kind::Bursts
        | Kind::Duplicates
        | Kind::Reordering
        | Kind::Split
        | Kind::Isolation
        | Kind::OneWay
        | Kind::Bridge
        | Kind::Flapping
        | Kind::Gray
        | Kind::Crashes
        | Kind::Amnesia
        | Kind::Pauses
        | Kind::Clocks
        | Kind::LateTicks => chance,
    }
}

impl Drawing {
    fn ppm(&mut self, low: u64, high: u64) -> u32 {
        u32::try_from(self.random.between(low, high)).expect("at most a million")
    }

    fn link(&mut self, kinds: &[Kind]) -> Link {
        let mut link = Link::with_delay(DELAY);
        for kind in kinds {
            match kind {
                Kind::Loss => link.loss = Loss::Independent { ppm: self.ppm(2_000, 250_000) },
                Kind::Bursts => {
                    let mean_burst = u32::try_from(self.random.between(2, 12)).expect("a few");
                    link.loss = Loss::Bursts { ppm: self.ppm(5_000, 150_000), mean_burst };
                }
                Kind::Duplicates => link.duplicate_ppm = self.ppm(5_000, 300_000),
                Kind::Reordering => {
                    let by = Duration::from_millis(self.random.between(5, 400));
                    link.reorder = Reorder { ppm: self.ppm(5_000, 200_000), by };
                }
                Kind::Damage => link.corrupt_ppm = self.ppm(5_000, 100_000),
                Kind::Split
                | Kind::Isolation
                | Kind::OneWay
                | Kind::Bridge
                | Kind::Flapping
                | Kind::Gray
                | Kind::Crashes
                | Kind::Amnesia
                | Kind::Pauses
                | Kind::Clocks
                | Kind::LateTicks
                | Kind::Moves
                | Kind::Twins => {}
            }
        }
        link
    }

    fn node(&mut self) -> Index {
        Index::new(self.random.position(self.nodes as usize))
    }

    /// Some nodes, at least one and not all.
    fn some(&mut self) -> Vec<Index> {
        let mut nodes: Vec<Index> = (0..self.nodes).map(Index).collect();
        self.random.shuffle(&mut nodes);
        nodes.truncate(1 + self.random.position(self.nodes as usize - 1));
        nodes.sort_unstable();
        nodes
    }

    /// A moment for something that lasts so long, such that it begins and ends within the safety phase.
    fn moment(&mut self, lasts: Duration) -> Duration {
        let room = self.safety.saturating_sub(QUIET + lasts).max(Duration::from_millis(1));
        let millis = u64::try_from(room.as_millis()).expect("a minute");
        QUIET + Duration::from_millis(self.random.below(millis))
    }

    fn lasting(&mut self) -> Duration {
        Duration::from_millis(self.random.between(500, 15_000))
    }

    fn act(&mut self, at: Duration, op: Op) {
        self.acts.push(Act { at, op });
    }

    fn acts_of(&mut self, kind: Kind) {
        match kind {
            Kind::Loss | Kind::Bursts | Kind::Duplicates | Kind::Reordering | Kind::Damage => {}
            Kind::Split | Kind::Isolation | Kind::OneWay | Kind::Bridge | Kind::Flapping | Kind::Gray => {
                for _ in 0..self.random.between(1, 2) {
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
                let (at, node) = (self.moment(Duration::from_secs(1)), self.node());
                self.act(at, Op::Move { node });
            }
            Kind::Twins => {
                let (at, node) = (self.moment(Duration::from_secs(1)), self.node());
                self.act(at, Op::Clone { node });
            }
        }
    }

    fn each_of_some(&mut self, mut op: impl FnMut(&mut Self, Index) -> Op) {
        for node in self.some() {
            let at = self.moment(Duration::from_secs(5));
            let op = op(self, node);
            self.act(at, op);
        }
    }

    fn cut(&mut self, kind: Kind) {
        // Two nodes at least stay on the other side, so that a bridge has a far end; and the cut lasts long
        // enough for somebody to run into it.
        let (mut some, lasts) = (self.some(), Duration::from_millis(self.random.between(2_500, 15_000)));
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

    /// Some crash; half of them come back with their disk, most others when everything heals, a few never.
    fn crashes(&mut self) {
        let mut victims = self.some();
        victims.truncate(1 + self.nodes as usize / 3);
        for node in victims {
            let lasts = self.lasting();
            let at = self.moment(lasts);
            self.act(at, Op::Crash { node });
            match self.random.below(4) {
                0 | 1 => self.act(at + lasts, Op::Restart { node, memory: Memory::Disk }),
                2 => {}
                _ => self.stay_down.push(node),
            }
        }
    }

    fn amnesia(&mut self) {
        let (node, lasts) = (self.node(), self.lasting());
        let at = self.moment(lasts);
        let memory = match self.random.below(3) {
            0 => Memory::StaleDisk,
            1 => Memory::Amnesia,
            _ => Memory::AmnesiaClockBack,
        };
        self.stay_down.retain(|down| *down != node);
        self.act(at, Op::Crash { node });
        self.act(at + lasts, Op::Restart { node, memory });
    }

    fn pauses(&mut self) {
        for _ in 0..self.random.between(1, 3) {
            let (node, lasts) = (self.node(), self.lasting());
            let at = self.moment(lasts);
            let release = match self.random.below(3) {
                0 => Release::InboxFirst,
                1 => Release::TimersFirst,
                _ => Release::Random,
            };
            self.act(at, Op::Pause { node });
            self.act(at + lasts, Op::Resume { node, release });
        }
    }
}
