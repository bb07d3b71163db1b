//! The kernel: processes, one clock, one queue.
//!
//! Everything is decided by the seed. The order of events is (time, seeded tie, sequence); each random choice
//! has a stream of its own; nothing is read from the machine that runs the simulation.

mod acts;
mod desk;
mod digest;
mod lifecycle;
mod post;
mod queue;
#[cfg(test)]
mod tests;

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use bruit_core::{Boot, Time};

use crate::check::{Check, Violation};
use crate::cluster::{Cluster, Index, Place, Status};
use crate::happening::Happening;
use crate::hash::{TraceHash, mix};
use crate::network::{Arrival, DropReason, Filter, Slip};
use crate::op::Op;
use crate::process::{Input, Io, Process};
use crate::random::{Purpose, Random, Streams};
use desk::{Engine, Noted};
use queue::Due;

pub(crate) use desk::Desk;

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
    seed: u64,
    cluster: Cluster<P>,
    engine: Engine,
    checks: Vec<Box<dyn Check<P>>>,
    factory: Factory<P>,
    plan: Vec<Option<Op>>,
    held: Vec<(crate::network::CutId, Slip)>,
    late: Streams,
    release: Streams,
    applied: crate::applied::Applied,
    /// Payloads made up so far.
    serial: u64,
}

/// Makes a process for each start. It must depend on nothing but its argument.
type Factory<P> = Arc<dyn Fn(Boot) -> P + Send + Sync>;

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

/// A fork: it goes on exactly as the original would. Checks stay with the original.
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
            applied: self.applied.clone(),
            serial: self.serial,
        }
    }
}

/// How often [`Sim::run_until`] looks if something visible happened, and if not.
const LOOK_EVERY: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(10));

impl<P: Process> Sim<P> {
    /// An empty cluster at time zero. `factory` makes a process for each start and restart.
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
            applied: crate::applied::Applied::default(),
            serial: 0,
        }
    }

    /// Adds a check. It sees what happens from now on.
    pub fn check(&mut self, check: impl Check<P> + 'static) {
        self.check_boxed(Box::new(check));
    }

    /// Adds a check that is boxed already.
    pub fn check_boxed(&mut self, check: Box<dyn Check<P>>) {
        self.engine.journal.on = true;
        self.checks.push(check);
    }

    /// Handles every `every`-th event twice, on a clone, and compares (CS6). 0, the default, for none.
    pub const fn check_purity(&mut self, every: u64) {
        self.engine.purity_every = every;
    }

    /// Takes messages out of datagrams as they are sent, until another filter or `None` takes its place. A datagram
    /// with nothing left is lost. For tests of what happens when all messages of a kind are lost.
    pub fn set_filter(&mut self, filter: Option<Filter>) {
        self.engine.filter = filter;
    }

    /// How long a write takes until it is durable; 1 ms by default.
    pub const fn set_disk_delay(&mut self, delay: Duration) {
        self.engine.disk_delay = delay;
    }

    /// The seed.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// True time.
    #[must_use]
    pub const fn now(&self) -> Time {
        self.cluster.now
    }

    /// The processes and the network.
    #[must_use]
    pub const fn cluster(&self) -> &Cluster<P> {
        &self.cluster
    }

    /// The running hash of everything that happened. Equal seeds and equal calls give equal hashes.
    #[must_use]
    pub const fn trace_hash(&self) -> u64 {
        self.engine.hash.value()
    }

    /// The same with its value at each second, to find where two runs part.
    #[must_use]
    pub const fn trace(&self) -> &TraceHash {
        &self.engine.hash
    }

    /// How often each fault really did something (CS9).
    #[must_use]
    pub fn applied(&self) -> crate::applied::Applied {
        self.applied.with_network(&self.cluster.network)
    }

    /// Acts on a process now: `f` gets it, its local time, and its access to the world.
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

    /// Plans an act. Acts of one time happen in an order that the seed decides; give them different times if
    /// it matters.
    pub fn schedule(&mut self, at: Time, op: Op) {
        let number = u32::try_from(self.plan.len()).expect("fewer than 2^32 planned acts");
        self.plan.push(Some(op));
        self.engine.queue.push(
            at.max(self.cluster.now),
            mix(self.engine.tie_key, number.into()),
            Due::Op(number),
        );
    }

    /// Runs for a while.
    ///
    /// # Errors
    /// A check objects.
    pub fn run_for(&mut self, duration: Duration) -> Result<(), Violation> {
        let until = self.cluster.now + duration;
        while self.step(until)? {}
        self.advance(until);
        Ok(())
    }

    /// Runs until `reached` says so, at most for `within`. Returns how long it took, or nothing if it was not
    /// reached. It looks at the end of each millisecond with a notice, an answer or an act on the cluster, and
    /// at least every 10 ms.
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
            let (changes, at_latest) = (self.cluster.changes, (self.cluster.now + LOOK_EVERY.1).min(end));
            while self.cluster.changes == changes && self.cluster.now < at_latest {
                let until = (self.cluster.now + LOOK_EVERY.0).min(at_latest);
                while self.step(until)? {}
                self.advance(until);
            }
        }
    }

    /// Ends the run: every check may object to what has not happened.
    ///
    /// # Errors
    /// A check objects.
    pub fn conclude(&mut self) -> Result<(), Violation> {
        let (at, cluster) = (self.cluster.now, &self.cluster);
        self.checks.iter_mut().try_for_each(|check| check.conclude(at, cluster))
    }

    /// Does what is due next, at `until` or before. False if nothing is.
    ///
    /// # Errors
    /// A check objects.
    pub fn step(&mut self, until: Time) -> Result<bool, Violation> {
        let Some((time, due)) = self.engine.queue.pop(until) else { return Ok(false) };
        self.advance(time);
        match due {
            Due::Wake(index) => self.wake(index)?,
            Due::Deliver(slip) => self.arrive(slip)?,
            Due::Durable(number) => self.durable(number)?,
            Due::Op(number) => {
                let op = self.plan[number as usize].take().expect("a planned act happens once");
                self.apply(op)?;
            }
        }
        Ok(true)
    }

    fn advance(&mut self, now: Time) {
        self.cluster.now = now;
        self.engine.hash.advance(now);
    }

    fn wake(&mut self, index: Index) -> Result<(), Violation> {
        let now = self.cluster.now;
        let Place { process, station } = &mut self.cluster.places[index.get()];
        if station.scheduled != now {
            return Ok(());
        }
        station.unschedule();
        let (Status::Running, Some(process)) = (station.status, process) else { return Ok(()) };
        let due = process.next_wake().is_some_and(|wake| station.clock.true_at(wake) <= now);
        if due { self.tick(index) } else { self.reschedule(index, now) }
    }

    fn tick(&mut self, index: Index) -> Result<(), Violation> {
        self.input(index, 3, Input::Tick)?;
        let place = &self.cluster.places[index.get()];
        let wake = place.process.as_ref().and_then(P::next_wake);
        if wake.is_some_and(|wake| wake <= place.station.clock.local(self.cluster.now)) {
            let text = "right after a tick the next one is due already";
            return Err(Violation::new("wake", self.cluster.now, text).at_node(index));
        }
        Ok(())
    }

    fn arrive(&mut self, slip: Slip) -> Result<(), Violation> {
        let now = self.cluster.now;
        let datagram = self.cluster.datagrams.get(slip);
        let Some(to) = self.cluster.addresses.owner(datagram.target) else {
            return self.lose(slip, None, DropReason::Unreachable);
        };
        let (from, sent, len) = (datagram.from, datagram.sent, datagram.bytes.len());
        match self.cluster.network.arrival(now, sent, from, to) {
            Arrival::Passes => {}
            Arrival::Lost => return self.lose(slip, Some(to), DropReason::CutInFlight),
            Arrival::Held(cut) => {
                self.cluster.network.counters_mut().held += 1;
                self.held.push((cut, slip));
                return Ok(());
            }
        }
        let station = &mut self.cluster.places[to.get()].station;
        match station.status {
            Status::Running => self.deliver(slip, to),
            Status::Crashed => self.lose(slip, Some(to), DropReason::Crashed),
            Status::Paused if station.inbox.push(slip, len) => Ok(()),
            Status::Paused => self.lose(slip, Some(to), DropReason::InboxFull),
        }
    }

    fn lose(&mut self, slip: Slip, to: Option<Index>, reason: DropReason) -> Result<(), Violation> {
        let datagram = self.cluster.datagrams.take(slip);
        self.cluster.network.counters_mut().count_drop(reason);
        let (from, port) = (datagram.from, datagram.port);
        self.cluster.datagrams.recycle(datagram);
        self.observe(&Happening::Lost { from, to, port, reason })
    }

    fn deliver(&mut self, slip: Slip, to: Index) -> Result<(), Violation> {
        let datagram = self.cluster.datagrams.take(slip);
        self.cluster.network.counters_mut().delivered += 1;
        let (port, bytes) = (datagram.port, datagram.bytes.as_slice());
        if self.engine.journal.on {
            let (from, sent, damaged) = (datagram.from, datagram.sent, datagram.damaged);
            self.observe(&Happening::Delivered { from, to, port, bytes, sent, damaged })?;
        }
        let from = datagram.source.addr();
        let result = self.input(to, datagram.digest, Input::Datagram { from, port, bytes });
        self.cluster.datagrams.recycle(datagram);
        result
    }

    fn durable(&mut self, number: u32) -> Result<(), Violation> {
        let write = self.engine.writes.take(number);
        let station = &mut self.cluster.places[write.node.get()].station;
        if station.status == Status::Crashed || station.life != write.life {
            return Ok(());
        }
        let (node, slot, serial) = (write.node, write.slot, write.serial);
        station.disk.write(slot, write.bytes);
        self.observe(&Happening::Durable { node, slot, serial })?;
        self.input(node, serial, Input::Stored { slot, serial })
    }

    /// Gives a process an input. `digest` stands for it in the trace hash.
    fn input(&mut self, index: Index, digest: u64, input: Input<'_>) -> Result<(), Violation> {
        self.with(index, digest, |process, now, io| process.handle(input, now, io));
        self.after_input(index)
    }

    /// Lets `f` act on a process that is not crashed.
    fn with<R>(
        &mut self,
        index: Index,
        digest: u64,
        f: impl FnOnce(&mut P, Time, &mut Io<'_>) -> R,
    ) -> Option<R> {
        let Self { cluster, engine, .. } = self;
        let Cluster { now, places, network, addresses, datagrams, changes, .. } = cluster;
        let Place { process, station } = &mut places[index.get()];
        let process = process.as_mut()?;
        engine.hash.add(now.as_nanos());
        engine.hash.add(digest ^ u64::from(index.0).rotate_left(32));
        let local = station.clock.local(*now);
        let desk = Desk { me: index, now: *now, station, engine, network, addresses, datagrams, changes };
        Some(f(process, local, &mut Io::new(desk)))
    }

    fn after_input(&mut self, index: Index) -> Result<(), Violation> {
        if let Some(violation) = self.engine.broken.take() {
            return Err(violation);
        }
        if self.engine.journal.on {
            self.tell_journal(index)?;
            self.observe(&Happening::Handled { node: index })?;
        }
        self.reschedule(index, self.cluster.now)
    }

    /// Makes sure that the queue wakes a process no later than it wants.
    #[expect(clippy::unnecessary_wraps, reason = "so that it ends a chain of fallible steps")]
    fn reschedule(&mut self, index: Index, now: Time) -> Result<(), Violation> {
        let Place { process: Some(process), station } = &mut self.cluster.places[index.get()] else {
            return Ok(());
        };
        if station.status != Status::Running {
            return Ok(());
        }
        let Some(wake) = process.next_wake() else { return Ok(()) };
        let wake = station.clock.true_at(wake).max(now);
        if wake >= station.wanted {
            return Ok(());
        }
        let late = match station.late_max {
            Duration::ZERO => Duration::ZERO,
            most => {
                let most = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
                self.applied.late_ticks += 1;
                Duration::from_nanos(self.late.of(index.get()).between(0, most))
            }
        };
        station.wanted = wake;
        station.scheduled = wake + late;
        let scheduled = station.scheduled;
        if scheduled < Time::MAX {
            self.engine.push(scheduled, index, station, Due::Wake(index));
        }
        Ok(())
    }

    fn tell_journal(&mut self, node: Index) -> Result<(), Violation> {
        let entries = core::mem::take(&mut self.engine.journal.entries);
        let bytes = core::mem::take(&mut self.engine.journal.bytes);
        let told = entries.iter().try_for_each(|noted| match noted {
            Noted::Sent { to, port, bytes: range, fate } => {
                let bytes = &bytes[range.clone()];
                self.observe(&Happening::Sent { from: node, to: *to, port: *port, bytes, fate: *fate })
            }
            Noted::Answered(answer) => self.observe(&Happening::Answered { node, answer }),
            Noted::Notice(notice) => self.observe(&Happening::Notice { node, notice }),
            Noted::Storing { slot, serial } => {
                self.observe(&Happening::Storing { node, slot: *slot, serial: *serial })
            }
        });
        let journal = &mut self.engine.journal;
        (journal.entries, journal.bytes) = (entries, bytes);
        journal.entries.clear();
        journal.bytes.clear();
        told
    }

    fn observe(&mut self, happening: &Happening<'_>) -> Result<(), Violation> {
        let (at, cluster) = (self.cluster.now, &self.cluster);
        self.checks.iter_mut().try_for_each(|check| check.observe(at, happening, cluster))
    }
}
