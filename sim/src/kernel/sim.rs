//! The simulation itself, and how it is run.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use bruit_core::{Boot, Time};

use super::applied::Applied;
use super::check::{Check, Violation};
use super::cluster::Cluster;
use super::op::Op;
use crate::base::{Index, Purpose, Random, Streams, TraceHash, mix};
use crate::network::{CutId, DatagramId, Filter};
use crate::process::engine::Engine;
use crate::process::queue::Due;
use crate::process::{Epochs, Io, Process};

/// A simulated cluster of processes `P`.
///
/// ```
/// use std::time::Duration;
/// use bruit_core::{Config, Node, Time};
/// use bruit_sim::Sim;
///
/// let config = Config::lan("docs");
/// let mut sim = Sim::new(1, move |boot| Node::new(boot, config.clone(), Time::ZERO).expect("a preset is valid"));
/// sim.spawn_many(5)?;
/// sim.run_for(Duration::from_secs(10))?;
/// # Ok::<(), bruit_sim::Violation>(())
/// ```
pub struct Sim<P> {
    pub(super) seed: u64,
    pub(super) cluster: Cluster<P>,
    pub(super) engine: Engine,
    pub(super) checks: Vec<Box<dyn Check<Cluster<P>>>>,
    pub(super) factory: Factory<P>,
    /// The scheduled operations by number; `None` once carried out.
    pub(super) plan: Vec<Option<Op>>,
    /// Datagrams that wait behind a cut until it heals.
    pub(super) held: Vec<(CutId, DatagramId)>,
    pub(super) late: Streams,
    pub(super) release: Streams,
    pub(super) answers: Streams,
    pub(super) epochs: Epochs,
    pub(super) applied: Applied,
    /// The number of payloads made up so far.
    pub(super) serial: u64,
}

/// Creates the process of each start. It must depend on nothing but its argument.
pub(super) type Factory<P> = Arc<dyn Fn(Boot) -> P + Send + Sync>;

impl<P> fmt::Debug for Sim<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seed, now, hash) = (self.seed, self.cluster.now, self.engine.hash.value());
        f.debug_struct("Sim")
            .field("seed", &seed)
            .field("now", &now)
            .field("hash", &hash)
            .finish_non_exhaustive()
    }
}

/// A clone is a fork of the run: it goes on exactly as the original would. The checks stay with the original.
impl<P: Process + Clone> Clone for Sim<P> {
    fn clone(&self) -> Self {
        Self {
            seed: self.seed,
            cluster: self.cluster.clone(),
            engine: self.engine.clone(),
            checks: Vec::new(),
            factory: Arc::clone(&self.factory),
            plan: self.plan.clone(),
            held: self.held.clone(),
            late: self.late.clone(),
            release: self.release.clone(),
            answers: self.answers.clone(),
            epochs: self.epochs,
            applied: self.applied.clone(),
            serial: self.serial,
        }
    }
}

/// How often [`Sim::run_until`] evaluates its condition if something visible has happened.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// How often [`Sim::run_until`] evaluates its condition at least.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_millis(10);

impl<P: Process> Sim<P> {
    /// Creates an empty cluster at time zero. `factory` creates the process of each start and restart.
    pub fn new(seed: u64, factory: impl Fn(Boot) -> P + Send + Sync + 'static) -> Self {
        let tie_key = Random::of(seed, Purpose::Tie, 0).next_u64();
        Self {
            seed,
            cluster: Cluster::new(seed),
            engine: Engine::new(seed, tie_key),
            checks: Vec::new(),
            factory: Arc::new(factory),
            plan: Vec::new(),
            held: Vec::new(),
            late: Streams::new(seed, Purpose::Late),
            release: Streams::new(seed, Purpose::Release),
            answers: Streams::new(seed, Purpose::Answers),
            epochs: Epochs::Boots,
            applied: Applied::default(),
            serial: 0,
        }
    }

    /// Adds a check. It observes what happens from now on.
    pub fn check(&mut self, check: impl Check<Cluster<P>> + 'static) {
        self.engine.outputs.on = true;
        self.checks.push(Box::new(check));
    }

    /// Lets a clone of the node handle every `every`-th event as well, and compares the two (check CS6). 0, the default,
    /// switches this off.
    pub const fn check_purity(&mut self, every: u64) {
        self.engine.purity_every = every;
    }

    /// Sets a filter that removes messages from datagrams as they are sent, or with `None` removes the filter. A datagram
    /// whose messages are all removed is lost. Use it to test what happens when all messages of a kind are lost.
    pub fn set_filter(&mut self, filter: Option<Filter>) {
        self.engine.filter = filter;
    }

    /// Sets the time that a write takes until it is durable; 1 ms by default.
    pub const fn set_disk_delay(&mut self, delay: Duration) {
        self.engine.disk_delay = delay;
    }

    /// The seed of this run.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// The true time, which the local clocks of processes may differ from.
    #[must_use]
    pub const fn now(&self) -> Time {
        self.cluster.now
    }

    /// The processes and the network.
    #[must_use]
    pub const fn cluster(&self) -> &Cluster<P> {
        &self.cluster
    }

    /// The hash of everything that happened so far. Equal seeds and equal calls give equal hashes.
    #[must_use]
    pub const fn trace_hash(&self) -> u64 {
        self.engine.hash.value()
    }

    /// The trace hash with its value at each second, to find where two runs diverge.
    #[must_use]
    pub const fn trace(&self) -> &TraceHash {
        &self.engine.hash
    }

    /// How often each kind of fault had an effect (check CS9).
    #[must_use]
    pub fn applied(&self) -> Applied {
        self.applied.with_network(&self.cluster.network)
    }

    /// Calls `f` on a process now, with its local time and its access to the world.
    ///
    /// # Errors
    /// A check objects.
    ///
    /// # Panics
    /// The process is crashed.
    pub fn at<R>(
        &mut self,
        index: Index,
        f: impl FnOnce(&mut P, Time, &mut Io<'_>) -> R,
    ) -> Result<R, Violation> {
        let result = self.with(index, 1, f).expect("the process runs");
        self.after_input(index)?;
        Ok(result)
    }

    /// Schedules an operation. The seed decides the order of operations that are scheduled for the same time; give them
    /// different times if the order matters.
    pub fn schedule(&mut self, at: Time, op: Op) {
        let number = u32::try_from(self.plan.len()).expect("fewer than 2^32 scheduled operations");
        self.plan.push(Some(op));
        self.engine.queue.push(
            at.max(self.cluster.now),
            mix(self.engine.tie_key, number.into()),
            Due::Op(number),
        );
    }

    /// Runs the simulation for this long.
    ///
    /// # Errors
    /// A check objects.
    pub fn run_for(&mut self, duration: Duration) -> Result<(), Violation> {
        let until = self.cluster.now + duration;
        while self.step(until)? {}
        self.advance(until);
        Ok(())
    }

    /// Runs until `reached` returns true, at most for `within`. Returns how long that took, or `None` if it did not
    /// happen. The condition is evaluated at the end of each millisecond in which a notice, an answer or an operation
    /// happened, and at least every 10 ms.
    ///
    /// # Errors
    /// A check objects.
    pub fn run_until(
        &mut self,
        within: Duration,
        mut reached: impl FnMut(&Cluster<P>) -> bool,
    ) -> Result<Option<Duration>, Violation> {
        let start = self.cluster.now;
        let end = start + within;
        loop {
            if reached(&self.cluster) {
                return Ok(Some(self.cluster.now.since(start)));
            }
            if self.cluster.now >= end {
                return Ok(None);
            }
            let (changes, at_latest) =
                (self.cluster.changes, (self.cluster.now + LOOK_AT_LEAST_EVERY).min(end));
            while self.cluster.changes == changes && self.cluster.now < at_latest {
                let until = (self.cluster.now + LOOK_EVERY).min(at_latest);
                while self.step(until)? {}
                self.advance(until);
            }
        }
    }

    /// Ends the run: each check may now report what should have happened and did not.
    ///
    /// # Errors
    /// A check objects.
    pub fn conclude(&mut self) -> Result<(), Violation> {
        let cluster = &self.cluster;
        self.checks.iter_mut().try_for_each(|check| check.conclude(cluster))
    }
}
