//! The promises as checks, one type an invariant: those of membership here, CM1 to CM13, those of the broadcast in
//! [`broadcast`].
//!
//! | id | invariant | judged |
//! |---|---|---|
//! | CM1 | [`Completeness`]: a crash is known to every connected member within the bound | when the bound has passed |
//! | CM2 | [`Accuracy`]: nobody is called Down by a member that nothing ever stood between | every notice |
//! | CM3 | [`NoResurrection`]: nobody is Alive again at or below the incarnation at which he was Down | every notice |
//! | CM4 | [`Incarnations`]: they never fall, only their subject makes them, each for a reason | every event |
//! | CM5 | [`Lattice`]: the same updates in any order give the same table | at the end |
//! | CM6 | [`Refutation`]: a suspicion of a connected member is cleared before it ends | every notice, at the end |
//! | CM7 | [`Agreement`]: whoever can talk to each other agrees | at the end |
//! | CM8 | [`Farewell`]: nobody holds himself Down, and who leaves is not called Down | every event |
//! | CM9 | [`Budget`]: datagrams, transmissions and bytes a second are bounded | every datagram |
//! | CM10 | [`Joining`]: a join ends within the bound, and clusters of two names stay two | every notice, at the end |
//! | CM11 | [`Order`]: the notices about one member have one grammar | every notice |
//! | CM12 | [`Stability`]: verdicts do not oscillate, and the majority keeps its healthy members | every notice |
//! | CM13 | [`Twins`]: two processes of one id are told, and one stops | every notice, at the end |
//!
//! [`Promises`] runs them all, or those that are asked for, over one picture of the truth.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a rule looks at a few happenings, messages or changes of many"
)]

mod accuracy;
mod agreement;
pub mod broadcast;
mod budget;
mod completeness;
mod farewell;
mod incarnations;
mod joining;
mod lattice;
mod messages;
mod order;
mod refutation;
mod resurrection;
mod stability;
mod twins;
mod world;

#[cfg(test)]
mod fixture;

use core::fmt::Debug;

use bruit_core::{Config, Member, MemberChange, Node, Notice, Time};
use core::time::Duration;

use crate::bounds::Bounds;
use crate::check::{Check, Violation};
use crate::cluster::{Cluster, Index};
use crate::happening::Happening;
use crate::process::Process;

pub use accuracy::Accuracy;
pub use agreement::Agreement;
pub use budget::Budget;
pub use completeness::Completeness;
pub use farewell::Farewell;
pub use incarnations::Incarnations;
pub use joining::Joining;
pub use lattice::Lattice;
pub use messages::{Messages, Receiver, Sent};
pub use order::Order;
pub use refutation::Refutation;
pub use resurrection::NoResurrection;
pub use stability::Stability;
pub use twins::Twins;
pub use world::{Nodes, World};

/// One invariant over the shared picture.
pub trait Rule: Debug {
    /// Its name in failures.
    fn id(&self) -> &'static str;

    /// One happening.
    ///
    /// # Errors
    /// The invariant does not hold.
    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation>;

    /// The run has ended.
    ///
    /// # Errors
    /// Something that should have happened by now has not.
    fn conclude(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        let _ = scene;
        Ok(())
    }
}

/// What a rule judges by.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "lent for one happening")]
pub struct Scene<'a> {
    /// True time.
    pub at: Time,
    /// Who runs, and what was done to them.
    pub world: &'a World,
    /// What was broadcast, and who was told.
    pub messages: &'a Messages,
    /// The nodes themselves.
    pub nodes: &'a dyn Nodes,
    /// What everybody is configured with.
    pub config: &'a Config,
    /// What that promises in this group.
    pub bounds: &'a Bounds,
}

impl Scene<'_> {
    fn violation(&self, check: &'static str, node: Index, text: impl Into<String>) -> Violation {
        Violation::new(check, self.at, text).at_node(node)
    }

    fn node(&self, index: Index) -> Option<&Node> {
        self.nodes.node(index)
    }

    /// When nothing should be sent for broadcasts any more, if nothing has happened since `calm`.
    fn quiet_from(&self, calm: Time) -> Time {
        match self.messages.last() {
            Some(last) => last.max(calm) + self.bounds.broadcast.quiet + self.transfer(),
            None => Time::ZERO,
        }
    }

    /// How long all that was ever broadcast may take to reach everybody.
    fn transfer(&self) -> Duration {
        let members = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        self.bounds.broadcast.transfer(self.messages.bytes(), members)
    }
}

/// All the checks over one cluster whose members share a configuration.
#[derive(Debug)]
pub struct Promises {
    config: Config,
    round_trip: Duration,
    declared_loss_ppm: u32,
    bounds: Bounds,
    world: World,
    messages: Messages,
    rules: Vec<Box<dyn Rule + Send>>,
}

impl Promises {
    /// Every check, for links with round trips of at most `round_trip` that lose at most `declared_loss_ppm`
    /// of the datagrams in good times.
    #[must_use]
    pub fn new(config: &Config, round_trip: Duration, declared_loss_ppm: u32) -> Self {
        Self {
            config: config.clone(),
            round_trip,
            declared_loss_ppm,
            bounds: Bounds::new(config, 1, round_trip, declared_loss_ppm),
            world: World::new(declared_loss_ppm),
            messages: Messages::default(),
            rules: vec![
                Box::new(Completeness::default()),
                Box::new(Accuracy::default()),
                Box::new(NoResurrection::default()),
                Box::new(Incarnations::default()),
                Box::new(Lattice::default()),
                Box::new(Refutation::default()),
                Box::new(Agreement::default()),
                Box::new(Farewell),
                Box::new(Budget::default()),
                Box::new(Joining::default()),
                Box::new(Order::default()),
                Box::new(Stability::default()),
                Box::new(Twins::default()),
                Box::new(broadcast::Integrity),
                Box::new(broadcast::Once),
                Box::new(broadcast::Holes),
                Box::new(broadcast::Delivery),
                Box::new(broadcast::Latency),
                Box::new(broadcast::Limits),
                Box::new(broadcast::Quiet),
            ],
        }
    }

    /// Only these, by id.
    #[must_use]
    pub fn only(mut self, ids: &[&str]) -> Self {
        self.rules.retain(|rule| ids.contains(&rule.id()));
        self
    }

    /// All but these, by id.
    #[must_use]
    pub fn without(mut self, ids: &[&str]) -> Self {
        self.rules.retain(|rule| !ids.contains(&rule.id()));
        self
    }

    /// What the configuration promises to the group as it is now.
    #[must_use]
    pub const fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// One happening.
    ///
    /// # Errors
    /// The first rule that does not hold.
    pub fn see(&mut self, at: Time, happening: &Happening<'_>, nodes: &dyn Nodes) -> Result<(), Violation> {
        self.world.observe(at, happening, nodes, self.bounds.spread);
        if matches!(happening, Happening::Started { .. } | Happening::Cloned { .. }) {
            let members = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
            self.bounds = Bounds::new(&self.config, members, self.round_trip, self.declared_loss_ppm);
        }
        self.messages.before(at, happening, nodes);
        let Self { config, bounds, world, messages, rules, .. } = self;
        let scene = Scene { at, world, messages, nodes, config, bounds };
        rules.iter_mut().try_for_each(|rule| rule.observe(happening, &scene))?;
        messages.after(at, happening, config);
        Ok(())
    }

    /// The end of a run.
    ///
    /// # Errors
    /// The first rule that does not hold.
    pub fn end(&mut self, at: Time, nodes: &dyn Nodes) -> Result<(), Violation> {
        let Self { config, bounds, world, messages, rules, .. } = self;
        let scene = Scene { at, world, messages, nodes, config, bounds };
        rules.iter_mut().try_for_each(|rule| rule.conclude(&scene))
    }
}

impl<P: Process> Check<P> for Promises {
    fn id(&self) -> &'static str {
        "promises"
    }

    fn observe(
        &mut self,
        at: Time,
        happening: &Happening<'_>,
        cluster: &Cluster<P>,
    ) -> Result<(), Violation> {
        self.see(at, happening, cluster)
    }

    fn conclude(&mut self, at: Time, cluster: &Cluster<P>) -> Result<(), Violation> {
        self.end(at, cluster)
    }
}

/// The change of a member that a happening tells, if it is one: at whom, how, of whom.
fn change<'a>(happening: &Happening<'a>) -> Option<(Index, MemberChange, &'a Member<'a>)> {
    match *happening {
        Happening::Notice { node, notice: Notice::Member { change, member } } => {
            Some((node, *change, member))
        }
        _ => None,
    }
}
