//! The steps of the tour.

use core::cell::RefCell;
use core::fmt::Display;
use core::time::Duration;
use std::io::Write;
use std::rc::Rc;

use bruit_core::{Command, Config, MemberChange, MemberState, Node, NodeId, Notice, Time};
use bruit_sim::checks::Checks;
use bruit_sim::faults::{self, trial};
use bruit_sim::{Check, Cluster, Cut, Happening, Index, Link, Memory, NetworkConfig, Sim, Violation};

use super::super::Failure;
use super::bars::bar;

pub(super) const NODES: u32 = 32;
const HALF: u32 = NODES / 2;
const LOSS_PPM: u32 = 50_000;
const CRASHES: Index = Index(6);
const LEAVES: Index = Index(19);

/// The verdicts about members so far: time, observer, change and member.
#[derive(Debug, Default)]
struct Verdicts {
    passed: Vec<(Time, Index, MemberChange, NodeId)>,
}

/// A check that records the verdicts about members.
#[derive(Debug)]
struct Recorder(Rc<RefCell<Verdicts>>);

impl Check<Cluster<Node>> for Recorder {
    fn observe(&mut self, happening: &Happening<'_>, cluster: &Cluster<Node>) -> Result<(), Violation> {
        let Happening::Notice { node, notice: Notice::Member { change, member } } = happening else {
            return Ok(());
        };
        if matches!(change, MemberChange::Down | MemberChange::Left | MemberChange::Suspected) {
            self.0.borrow_mut().passed.push((cluster.now(), *node, *change, member.id));
        }
        Ok(())
    }
}

/// The cluster of the tour.
#[derive(Debug)]
pub(super) struct Story {
    sim: Sim<Node>,
    verdicts: Rc<RefCell<Verdicts>>,
}

/// The reason for which the tour ended early.
enum Stop {
    Output(Failure),
    Violation(Violation),
}

impl From<Violation> for Stop {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Output(error.into())
    }
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

impl Story {
    pub(super) fn new(seed: u64) -> Self {
        let config = Config::lan("tour");
        let mut sim = trial::nodes(seed, config.clone());
        let verdicts = Rc::new(RefCell::new(Verdicts::default()));
        sim.check(Recorder(Rc::clone(&verdicts)));
        sim.check(Checks::new(&config, trial::ROUND_TRIP, LOSS_PPM));
        Self { sim, verdicts }
    }

    pub(super) const fn sim(&self) -> &Sim<Node> {
        &self.sim
    }

    /// Runs the tour. Returns the violation if a check objected.
    pub(super) fn run(&mut self, out: &mut impl Write) -> Result<Option<Violation>, Failure> {
        match self.steps(out) {
            Ok(()) => Ok(None),
            Err(Stop::Violation(violation)) => Ok(Some(violation)),
            Err(Stop::Output(failure)) => Err(failure),
        }
    }

    fn steps(&mut self, out: &mut impl Write) -> Result<(), Stop> {
        self.join(out)?;
        self.cut(out)?;
        self.crash(out)?;
        self.leave(out)?;
        self.restart(out)?;
        self.sim.run_for(secs(5))?;
        self.line(out, "the end")?;
        Ok(self.sim.conclude()?)
    }

    fn line(&self, out: &mut impl Write, text: impl Display) -> Result<(), Stop> {
        let bar = bar(self.sim.cluster(), NODES as usize);
        Ok(writeln!(out, "{:>9}  {:<66} {bar}", self.sim.now().to_string(), text.to_string())?)
    }

    /// Runs until this second, so that each step begins at a round time.
    fn until(&mut self, second: u64) -> Result<(), Violation> {
        let rest = Time::from_secs(second).since(self.sim.now());
        self.sim.run_for(rest)
    }

    /// Runs until a condition holds, and prints how long that took.
    fn wait(
        &mut self,
        out: &mut impl Write,
        within: Duration,
        what: &str,
        reached: impl FnMut(&Cluster<Node>) -> bool,
    ) -> Result<(), Stop> {
        match self.sim.run_until(within, reached)? {
            Some(took) => self.line(out, format_args!("  {what}, after {}", Time::ZERO + took)),
            None => self.line(out, format_args!("  NOT within {}: {what}", Time::ZERO + within)),
        }
    }

    fn join(&mut self, out: &mut impl Write) -> Result<(), Stop> {
        let link = Link::with_delay(faults::DELAY).with_loss(LOSS_PPM);
        self.sim.set_network(NetworkConfig::uniform(link))?;
        self.sim.spawn_many(NODES)?;
        self.line(out, format_args!("{NODES} members start, and know only the address of n1"))?;
        self.wait(out, secs(30), "the first member knows all others", |cluster| {
            cluster.nodes().any(|(_, node)| node.member_count() == NODES as usize)
        })?;
        self.wait(out, secs(30), "all members know each other", Cluster::all_know_all)?;
        self.until(10)?;
        Ok(())
    }

    fn cut(&mut self, out: &mut impl Write) -> Result<(), Stop> {
        let left = (0..HALF).map(Index).collect();
        let id = self.sim.cut(&Cut::Split { groups: vec![left] })?;
        let cut_at = self.sim.now();
        self.line(out, format_args!("the network is cut: n1..n{HALF} | n{}..n{NODES}", HALF + 1))?;
        self.sim.run_until(secs(60), sides_are_closed)?;
        self.first(out, cut_at, MemberChange::Suspected, None)?;
        self.first(out, cut_at, MemberChange::Down, None)?;
        self.line(
            out,
            format_args!("  each side holds the other side Down, after {}", since(&self.sim, cut_at)),
        )?;
        let own = self.downs_of_own_side(cut_at);
        self.line(out, format_args!("  verdicts of Down about members of the own side: {own}"))?;
        self.until(50)?;
        self.sim.heal(id)?;
        let healed_at = self.sim.now();
        self.line(out, "the cut heals")?;
        self.wait(out, secs(60), "all members know each other again", Cluster::all_know_all)?;
        let downs = self.count(healed_at, MemberChange::Down);
        self.line(out, format_args!("  verdicts of Down while healing: {downs}"))?;
        self.until(70)?;
        Ok(())
    }

    fn crash(&mut self, out: &mut impl Write) -> Result<(), Stop> {
        self.sim.crash(CRASHES)?;
        let (at, id) = (self.sim.now(), NodeId(u64::from(CRASHES.0) + 1));
        self.line(out, format_args!("{CRASHES} crashes"))?;
        self.sim.run_until(secs(60), |cluster| nobody_sees(cluster, id))?;
        self.first(out, at, MemberChange::Suspected, Some(id))?;
        self.first(out, at, MemberChange::Down, Some(id))?;
        self.line(out, format_args!("  all members hold it Down, after {}", since(&self.sim, at)))?;
        self.until(90)?;
        Ok(())
    }

    fn leave(&mut self, out: &mut impl Write) -> Result<(), Stop> {
        let id = NodeId(u64::from(LEAVES.0) + 1);
        self.sim.command(LEAVES, Command::Leave { within: secs(5) })?;
        self.line(out, format_args!("{LEAVES} leaves"))?;
        self.wait(out, secs(30), "all members show that it has left", |cluster| nobody_sees(cluster, id))?;
        self.until(100)?;
        Ok(())
    }

    fn restart(&mut self, out: &mut impl Write) -> Result<(), Stop> {
        self.sim.restart(CRASHES, Memory::Amnesia)?;
        self.line(out, format_args!("{CRASHES} restarts without any memory"))?;
        self.wait(out, secs(30), "all members know each other", Cluster::all_know_all)?;
        self.until(110)?;
        Ok(())
    }

    /// Prints the first verdict of a kind since a time, about one member or any.
    fn first(
        &self,
        out: &mut impl Write,
        since: Time,
        change: MemberChange,
        id: Option<NodeId>,
    ) -> Result<(), Stop> {
        let verdicts = self.verdicts.borrow();
        let wanted = |(at, _, of, subject): &&(Time, Index, MemberChange, NodeId)| {
            *at >= since && *of == change && id.is_none_or(|id| id == *subject)
        };
        let Some((at, by, _, subject)) = verdicts.passed.iter().find(wanted) else { return Ok(()) };
        let verb = if change == MemberChange::Suspected { "suspects" } else { "calls" };
        let end = if change == MemberChange::Suspected { "" } else { " Down" };
        let took = Time::ZERO + at.since(since);
        Ok(writeln!(
            out,
            "{:>9}    {by} is the first that {verb} {subject}{end}, after {took}",
            at.to_string()
        )?)
    }

    fn count(&self, since: Time, change: MemberChange) -> usize {
        let verdicts = self.verdicts.borrow();
        verdicts.passed.iter().filter(|(at, _, of, _)| *at >= since && *of == change).count()
    }

    fn downs_of_own_side(&self, since: Time) -> usize {
        let left = |number: u64| number <= u64::from(HALF);
        let verdicts = self.verdicts.borrow();
        let downs = verdicts.passed.iter().filter(|(at, _, of, _)| *at >= since && *of == MemberChange::Down);
        downs.filter(|(_, by, _, id)| left(u64::from(by.0) + 1) == left(id.0)).count()
    }
}

fn since(sim: &Sim<Node>, at: Time) -> Time {
    Time::ZERO + sim.now().since(at)
}

fn sides_are_closed(cluster: &Cluster<Node>) -> bool {
    cluster.nodes().all(|(_, node)| node.member_count() == HALF as usize)
}

fn nobody_sees(cluster: &Cluster<Node>, id: NodeId) -> bool {
    let others = cluster.nodes().filter(|(_, node)| node.id() != id);
    let sees = |node: &Node| node.member(id).is_some_and(|member| member.state <= MemberState::Suspect);
    !others.map(|(_, node)| node).any(sees)
}
