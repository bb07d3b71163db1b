//! The checks of every run, as `sim/CHECKS.md` lists them: those of the simulator itself (CS), of membership (CM) and of
//! the broadcast (CB).
//!
//! [`Checks`] runs all of them, or a selection. Each is one type that implements [`Check`] for a `Scene`: the truth
//! about the run, collected from the happenings, beside the nodes as they are. [`costs`] and [`timeline`] observe a run
//! in the same way and never object.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a check looks at a few of many happenings, messages or changes"
)]

mod audit;
mod bounds;
mod broadcast;
pub mod costs;
#[cfg(test)]
mod fixture;
mod membership;
mod messages;
mod nodes;
mod scene;
mod simulator;
#[cfg(test)]
mod tests;
pub mod timeline;
mod world;

use core::fmt;
use core::time::Duration;

use bruit_core::Config;

use crate::kernel::{Check, Happening, Violation};
use broadcast::{Delivery, Holes, Integrity, Latency, Limits, Once, Quiet};
use membership::{
    Accuracy, Agreement, Budget, Completeness, Farewell, Incarnations, Joining, Lattice, NoResurrection,
    Order, Refutation, Stability, Stopping, Twins,
};
use messages::Messages;
use simulator::{Bookkeeping, Causality, Codec, Conservation, Silence};
use world::World;

pub use audit::Audit;
pub use bounds::{Bounds, BroadcastBounds};
pub use nodes::{Nodes, Traffic};

pub(crate) use scene::Scene;

/// A check of the table: its id, its promise in a few words, and its constructor.
type Row = (&'static str, &'static str, fn() -> BoxedCheck);
type BoxedCheck = Box<dyn for<'a> Check<Scene<'a>>>;

/// All checks in the order in which they run. Those of the simulator come first, because an error of the simulator
/// explains every other violation.
const TABLE: [Row; 26] = [
    ("CS2", "every datagram is accounted for", new::<Conservation>),
    ("CS3", "no datagram arrives too early", new::<Causality>),
    ("CS5", "a process that is down does nothing", new::<Silence>),
    ("CS8", "every datagram decodes and fits", new::<Codec>),
    ("CS10", "the books of every node are in order", new::<Bookkeeping>),
    ("CM1", "every crash is noticed in time", new::<Completeness>),
    ("CM2", "no healthy member is called Down", new::<Accuracy>),
    ("CM3", "Down ends only with a new incarnation", new::<NoResurrection>),
    ("CM4", "incarnations rise only for a reason", new::<Incarnations>),
    ("CM5", "the order of updates does not matter", new::<Lattice>),
    ("CM6", "wrong suspicions are refuted in time", new::<Refutation>),
    ("CM7", "connected members agree", new::<Agreement>),
    ("CM8", "a leave is not called a failure", new::<Farewell>),
    ("CM9", "traffic stays within its bounds", new::<Budget>),
    ("CM10", "every join completes in time", new::<Joining>),
    ("CM11", "notices follow one grammar", new::<Order>),
    ("CM12", "verdicts do not oscillate", new::<Stability>),
    ("CM13", "of two processes with one id one stops", new::<Twins>),
    ("CM14", "nobody stops without a reason", new::<Stopping>),
    ("CB1", "what is delivered was sent", new::<Integrity>),
    ("CB2", "nothing is delivered twice", new::<Once>),
    ("CB3", "gaps are announced and stay gaps", new::<Holes>),
    ("CB4", "connected members get the same", new::<Delivery>),
    ("CB6", "broadcasts arrive in time", new::<Latency>),
    ("CB7", "buffers keep their limits", new::<Limits>),
    ("CB10", "traffic ends after the last broadcast", new::<Quiet>),
];

fn new<C: for<'a> Check<Scene<'a>> + Default + 'static>() -> BoxedCheck {
    Box::new(C::default())
}

/// The id of each check with its promise in a few words, in the order in which they run.
pub fn promises() -> impl ExactSizeIterator<Item = (&'static str, &'static str)> {
    TABLE.iter().map(|(id, promise, _)| (*id, *promise))
}

/// The checks of a cluster whose members share one configuration.
pub struct Checks {
    config: Config,
    round_trip: Duration,
    declared_loss_ppm: u32,
    bounds: Bounds,
    world: World,
    messages: Messages,
    /// The checks that are kept, each with its position in the table.
    checks: Vec<(usize, BoxedCheck)>,
    audit: Audit,
}

impl fmt::Debug for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.checks.iter().map(|(row, _)| TABLE[*row].0)).finish()
    }
}

impl Checks {
    /// All checks, for links with round trips of at most `round_trip` that lose at most `declared_loss_ppm` of the
    /// datagrams when no fault is at work.
    #[must_use]
    pub fn new(config: &Config, round_trip: Duration, declared_loss_ppm: u32) -> Self {
        Self {
            config: config.clone(),
            round_trip,
            declared_loss_ppm,
            bounds: Bounds::new(config, 1, round_trip, declared_loss_ppm),
            world: World::new(declared_loss_ppm),
            messages: Messages::default(),
            checks: TABLE.iter().map(|(_, _, new)| new()).enumerate().collect(),
            audit: Audit::new(TABLE.iter().map(|(id, ..)| *id)),
        }
    }

    /// The checks of the simulator itself. They also hold for processes without a node.
    #[must_use]
    pub fn of_the_simulator() -> Self {
        Self::new(&Config::lan("none"), Duration::ZERO, 0).only(&["CS2", "CS3", "CS5", "CS8"])
    }

    /// Keeps only the checks with these ids.
    #[must_use]
    pub fn only(mut self, ids: &[&str]) -> Self {
        self.checks.retain(|(row, _)| ids.contains(&TABLE[*row].0));
        self
    }

    /// Removes the checks with these ids.
    #[must_use]
    pub fn without(mut self, ids: &[&str]) -> Self {
        self.checks.retain(|(row, _)| !ids.contains(&TABLE[*row].0));
        self
    }

    /// The bounds of the configuration in a group of the present size.
    #[must_use]
    pub const fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// The numbers of judgements, which go on counting while the checks run.
    #[must_use]
    pub fn audit(&self) -> Audit {
        self.audit.clone()
    }

    /// Calls `f` for each check, until one objects.
    fn each<N: Nodes>(
        &mut self,
        nodes: &N,
        mut f: impl FnMut(&mut BoxedCheck, &Scene<'_>) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        let Self { config, bounds, world, messages, checks, audit, .. } = self;
        let at = nodes.now();
        checks.iter_mut().try_for_each(|(row, boxed)| {
            let (check, judged) = (TABLE[*row].0, audit.counter(*row));
            f(boxed, &Scene { check, judged, at, world, messages, nodes, config, bounds })
        })
    }
}

impl<N: Nodes> Check<N> for Checks {
    fn observe(&mut self, happening: &Happening<'_>, nodes: &N) -> Result<(), Violation> {
        let at = nodes.now();
        self.world.observe(at, happening, nodes);
        if matches!(happening, Happening::Started { .. } | Happening::Cloned { .. }) {
            let members = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
            self.bounds = Bounds::new(&self.config, members, self.round_trip, self.declared_loss_ppm);
        }
        self.messages.before(at, happening, nodes);
        self.each(nodes, |check, scene| check.observe(happening, scene))?;
        self.messages.after(at, happening, &self.config);
        Ok(())
    }

    fn conclude(&mut self, nodes: &N) -> Result<(), Violation> {
        self.each(nodes, |check, scene| check.conclude(scene))
    }
}
