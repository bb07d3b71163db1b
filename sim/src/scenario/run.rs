//! Running a scenario.

use core::cell::Cell;
use core::time::Duration;
use std::rc::Rc;

use bruit_core::{MemberChange, MemberState, Node, Notice, Phase, Time};

use super::{Condition, Expectation, Scenario};
use crate::base::{Index, span};
use crate::checks::Checks;
use crate::faults::trial::{self, Outcome, Verdict};
use crate::kernel::{Check, Cluster, Happening, Sim, Violation};
use crate::network::{Delay, Link, Loss};
use crate::process::Status;

/// Runs a scenario with this seed, under all checks that it does not leave out and those of the caller.
#[must_use]
pub fn run(scenario: &Scenario, seed: u64, more: Vec<Box<dyn Check<Cluster<Node>>>>) -> Outcome {
    let mut config = scenario.preset.config(&scenario.name);
    scenario.broadcast.apply(&mut config);
    let mut sim = trial::nodes(seed, config.clone());
    more.into_iter().for_each(|check| sim.check(check));
    let without: Vec<&str> = scenario.without.iter().map(String::as_str).collect();
    let (round_trip, loss_ppm) = declared(&scenario.network.link);
    let checks = Checks::new(&config, round_trip, loss_ppm).without(&without);
    let audit = checks.audit();
    sim.check(checks);
    let healed_in = Rc::new(Cell::new(None));
    for expectation in &scenario.expectations {
        sim.check(Expected::new(expectation, &healed_in));
    }
    if let Some(most) = scenario.false_downs_max {
        sim.check(FalseDowns { harmed: scenario.harmed.clone(), most, seen: 0 });
    }
    let result = steps(&mut sim, scenario);
    let verdict = result.map_or_else(Verdict::Violated, |()| Verdict::Passed);
    let (trace, simulated) = (sim.trace().clone(), sim.now().since(Time::ZERO));
    let (counters, judged) = (*sim.cluster().counters(), audit.counts().collect());
    Outcome {
        verdict,
        trace,
        simulated,
        healed_in: healed_in.get(),
        counters,
        applied: sim.applied(),
        expected: None,
        judged,
    }
}

fn steps(sim: &mut Sim<Node>, scenario: &Scenario) -> Result<(), Violation> {
    sim.set_network(scenario.network.clone())?;
    for step in &scenario.steps {
        sim.schedule(Time::ZERO + step.at, step.op.clone());
    }
    sim.spawn_many(scenario.nodes)?;
    // Expectations are evaluated at happenings, and a quiet cluster may have none for a while.
    while sim.now().since(Time::ZERO) < scenario.lasts {
        let rest = scenario.lasts.saturating_sub(sim.now().since(Time::ZERO));
        sim.run_for(rest.min(Duration::from_millis(100)))?;
    }
    sim.conclude()
}

/// The greatest round trip and the loss that the checks assume.
const fn declared(link: &Link) -> (Duration, u32) {
    let one_way = match link.delay {
        Delay::Constant(delay) => delay,
        Delay::Uniform { max, .. } => max,
        Delay::Exponential { floor, mean } => floor.saturating_add(mean.saturating_mul(7)),
    };
    let loss = match link.loss {
        Loss::None => 0,
        Loss::Independent { ppm } | Loss::Bursts { ppm, .. } => ppm,
    };
    (one_way.saturating_add(link.pair_offset).saturating_mul(2), loss + link.corrupt_ppm)
}

/// An expectation as a check, which objects when the time is over.
struct Expected {
    of: Expectation,
    healed_in: Rc<Cell<Option<Duration>>>,
    /// Whether the condition was evaluated since its time began.
    looked: bool,
    met: bool,
}

impl Check<Cluster<Node>> for Expected {
    fn observe(&mut self, happening: &Happening<'_>, cluster: &Cluster<Node>) -> Result<(), Violation> {
        let at = cluster.now();
        let since = at.since(Time::ZERO);
        if self.met || since < self.of.after {
            return Ok(());
        }
        let late = since > self.of.after + self.of.within;
        // Views change with notices. The condition is evaluated at other happenings only the first and the last time.
        if self.looked && !late && !matches!(happening, Happening::Notice { .. }) {
            return Ok(());
        }
        self.looked = true;
        if holds(&self.of.that, cluster) {
            self.met = true;
            self.healed_in.set(Some(since.saturating_sub(self.of.after)));
            return Ok(());
        }
        if late { self.object(at) } else { Ok(()) }
    }

    fn conclude(&mut self, cluster: &Cluster<Node>) -> Result<(), Violation> {
        if self.met || holds(&self.of.that, cluster) { Ok(()) } else { self.object(cluster.now()) }
    }
}

impl Expected {
    fn new(of: &Expectation, healed_in: &Rc<Cell<Option<Duration>>>) -> Self {
        Self { of: of.clone(), healed_in: Rc::clone(healed_in), looked: false, met: false }
    }

    fn object(&self, at: Time) -> Result<(), Violation> {
        let Expectation { after, within, that } = &self.of;
        let (after, within) = (span::print(*after), span::print(*within));
        Err(Violation::new("expect", at, format!("not within {within} after {after}: {that}")))
    }
}

/// The payloads that a member was given on the empty topic and still holds, sorted.
fn history(node: &Node) -> Vec<&[u8]> {
    let mut payloads: Vec<&[u8]> = node.recent("").map(|(_, payload)| payload).collect();
    payloads.sort_unstable();
    payloads
}

fn holds(condition: &Condition, cluster: &Cluster<Node>) -> bool {
    let state = |observer: &Node, index: Index| observer.member(cluster.id(index)).map(|member| member.state);
    let nodes = cluster.running().filter_map(|index| cluster.node(index).map(|node| (index, node)));
    let mut observers = nodes.filter(|(_, node)| node.phase() == Phase::Running);
    match condition {
        Condition::AllKnowAll => cluster.all_know_all(),
        Condition::NotAlive(subjects) => observers.all(|(me, node)| {
            let held = |index: &Index| {
                matches!(state(node, *index), Some(MemberState::Alive | MemberState::Suspect))
            };
            !subjects.iter().any(|index| *index != me && held(index))
        }),
        Condition::HeldAlive(subjects) => observers
            .all(|(_, node)| subjects.iter().all(|index| state(node, *index) == Some(MemberState::Alive))),
        Condition::AllHave(texts) => observers.all(|(_, node)| {
            let history = history(node);
            texts.iter().all(|text| history.binary_search(&text.as_bytes()).is_ok())
        }),
        Condition::Have { nodes, texts } => {
            let mut wanted: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
            wanted.sort_unstable();
            observers.filter(|(me, _)| nodes.contains(me)).all(|(_, node)| history(node) == wanted)
        }
        Condition::SameHistory => {
            let first = observers.next().map(|(_, node)| history(node));
            observers.all(|(_, node)| Some(history(node)) == first)
        }
        Condition::Closed(group) => observers.filter(|(me, _)| group.contains(me)).all(|(_, node)| {
            let inside = |index: &&Index| cluster.status(**index) != Status::Crashed;
            let alive =
                group.iter().filter(inside).all(|index| state(node, *index) == Some(MemberState::Alive));
            alive && node.member_count() == group.iter().filter(inside).count()
        }),
    }
}

/// Counts the notices of Down about members that are neither harmed nor crashed, and objects above a limit.
struct FalseDowns {
    harmed: Vec<Index>,
    most: u64,
    seen: u64,
}

impl Check<Cluster<Node>> for FalseDowns {
    fn observe(&mut self, happening: &Happening<'_>, cluster: &Cluster<Node>) -> Result<(), Violation> {
        let Happening::Notice { node, notice: Notice::Member { change: MemberChange::Down, member } } =
            happening
        else {
            return Ok(());
        };
        let Some(subject) = cluster.find(member.id) else { return Ok(()) };
        let blameless =
            |index: &Index| cluster.status(*index) == Status::Running && !self.harmed.contains(index);
        if !blameless(&subject) || !blameless(node) {
            return Ok(());
        }
        self.seen += 1;
        if self.seen <= self.most {
            return Ok(());
        }
        let text = format!(
            "{subject} is neither harmed nor crashed and is called Down; this is number {}, and {} are allowed",
            self.seen, self.most
        );
        Err(Violation::new("false-downs", cluster.now(), text).at_node(*node))
    }
}
