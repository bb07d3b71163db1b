//! A trial: one run of a fault plan with all checks. First safety under faults, then healing, then liveness within bounds.

use core::any::Any;
use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::collections::BTreeMap;
use std::panic::catch_unwind;

use bruit_core::{Command, Config, Node, Phase, Time};
use serde::Serialize;

use crate::base::{Index, TraceHash};
use crate::checks::{Bounds, Checks};
use crate::faults::{Kind, Plan};
use crate::kernel::{Applied, Check, Cluster, Sim, Violation, held_alive};
use crate::network::Counters;
use crate::process::{Join, Spawn};

/// The verdict on a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every check held, and every kind of fault in the plan had an effect.
    Passed,
    /// A check found a violation.
    Violated(Violation),
    /// Every check held, but these kinds of fault had no effect, so the run proves nothing about them.
    Inconclusive(Vec<Kind>),
}

/// The result of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The verdict.
    pub verdict: Verdict,
    /// The trace hash.
    pub trace: TraceHash,
    /// The simulated time.
    pub simulated: Duration,
    /// The time from healing until all members agreed, if they did.
    pub healed_in: Option<Duration>,
    /// The counters of the network.
    pub counters: Counters,
    /// How often each kind of fault had an effect.
    pub applied: Applied,
    /// The times within which half of all runs of such a configuration agree, and nineteen of twenty; `None` for a
    /// scenario.
    pub expected: Option<(Duration, Duration)>,
    /// How much each check has judged.
    pub judged: Vec<(&'static str, u64)>,
}

/// An outcome in a form for JSON.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The seed.
    pub seed: u64,
    /// `passed`, `violated` or `inconclusive`.
    pub verdict: &'static str,
    /// The violation, or the kinds of fault that had no effect.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The trace hash.
    pub hash: String,
    /// The simulated time in nanoseconds.
    pub simulated: u64,
    /// The time from healing to agreement, in nanoseconds.
    pub healed_in: Option<u64>,
    /// The counters of the network.
    pub counters: Counters,
    /// How often each kind of fault had an effect.
    pub applied: Applied,
    /// How much each check has judged.
    pub judged: BTreeMap<&'static str, u64>,
}

impl Outcome {
    /// The outcome in a form for JSON.
    #[must_use]
    pub fn summary(&self, seed: u64) -> Summary {
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let (verdict, detail) = match &self.verdict {
            Verdict::Passed => ("passed", String::new()),
            Verdict::Violated(violation) => ("violated", violation.to_string()),
            Verdict::Inconclusive(kinds) => ("inconclusive", names(kinds)),
        };
        Summary {
            seed,
            verdict,
            detail,
            hash: hash_text(self.trace.value()),
            simulated: nanos(self.simulated),
            healed_in: self.healed_in.map(nanos),
            counters: self.counters,
            applied: self.applied.clone(),
            judged: self.judged.iter().copied().collect(),
        }
    }
}

/// A trace hash as text: 16 hexadecimal digits.
#[must_use]
pub fn hash_text(hash: u64) -> String {
    format!("{hash:016x}")
}

/// The names of kinds of fault, separated by commas.
#[must_use]
pub fn names(kinds: &[Kind]) -> String {
    kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
}

/// An empty simulation whose processes are bare nodes with this configuration.
///
/// # Panics
/// The configuration is invalid; this is noticed when the first process starts.
#[must_use]
pub fn nodes(seed: u64, config: Config) -> Sim<Node> {
    Sim::new(seed, move |boot| {
        Node::new(boot, config.clone(), Time::ZERO).expect("the configuration was validated")
    })
}

/// The greatest round trip over links of [`DELAY`](crate::faults::DELAY).
pub const ROUND_TRIP: Duration = Duration::from_millis(20);

/// The time for which a trial runs on after all traffic for broadcasts should have ended.
const SILENCE: Duration = Duration::from_secs(10);

/// The number of processes that each node of a trial joins through.
const SEEDS: usize = 3;

/// Runs a plan with all checks and with those of the caller, such as a timeline. A panic of a node, or of a check, is reported
/// as a violation with the id `panic`.
#[must_use]
pub fn run(plan: &Plan, more: Vec<Box<dyn Check<Cluster<Node>>>>) -> Outcome {
    let config = plan.config();
    let mut sim = nodes(plan.seed, config.clone());
    more.into_iter().for_each(|check| sim.check(check));
    let checks = Checks::new(&config, ROUND_TRIP, 0);
    let audit = checks.audit();
    sim.check(checks);
    sim.check_purity(97);
    // A panic of a node is the failure of this plan, and must not end the runs of others.
    let result = catch_unwind(AssertUnwindSafe(|| phases(&mut sim, plan, &config)));
    let result = result.unwrap_or_else(|panic| Err(Violation::new("panic", sim.now(), panic_text(&*panic))));
    let applied = sim.applied();
    let (healed_in, verdict) = match result {
        Err(violation) => (None, Verdict::Violated(violation)),
        Ok(healed_in) => match plan.idle_kinds(&applied) {
            idle if idle.is_empty() => (Some(healed_in), Verdict::Passed),
            idle => (Some(healed_in), Verdict::Inconclusive(idle)),
        },
    };
    let (trace, simulated) = (sim.trace().clone(), sim.now().since(Time::ZERO));
    let (counters, judged) = (*sim.cluster().counters(), audit.counts().collect());
    let bounds = Bounds::new(&config, plan.nodes, ROUND_TRIP, 0);
    let expected = Some((bounds.soon, bounds.usual));
    Outcome { verdict, trace, simulated, healed_in, counters, applied, expected, judged }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a panic without a text".into())
}

fn phases(sim: &mut Sim<Node>, plan: &Plan, config: &Config) -> Result<Duration, Violation> {
    sim.set_network(plan.network.clone())?;
    sim.set_epochs(plan.epochs);
    for act in &plan.acts {
        sim.schedule(Time::ZERO + act.at, act.op.clone());
    }
    // With a single seed that has crashed, a node that restarts at a new address could not be found.
    for node in (0..plan.nodes).map(Index) {
        sim.spawn(Spawn::new().zone(plan.zone(node)).join(Join::First(SEEDS)))?;
    }
    // The first nodes did not know the addresses of those that started after them.
    let first: Vec<Index> = sim.cluster().indices().take(SEEDS).collect();
    let seeds: Vec<_> = first.iter().map(|index| sim.cluster().addr(*index)).collect();
    first.iter().try_for_each(|index| sim.command(*index, Command::Join { seeds: seeds.clone() }))?;
    sim.run_for(plan.safety)?;
    plan.healing().into_iter().try_for_each(|op| sim.apply(op))?;
    let members = u32::try_from(sim.cluster().len()).expect("a few");
    let bounds = Bounds::new(config, members, ROUND_TRIP, 0);
    let within = bounds.agreement;
    let healed_in = sim.run_until(within, Cluster::agree)?;
    let Some(healed_in) = healed_in else { return Err(disagreement(sim, within)) };
    // Broadcasts must reach all members, and then their traffic must end.
    sim.run_for(bounds.broadcast.quiet + bounds.broadcast.transfer(plan.bytes(), members) + SILENCE)?;
    sim.conclude()?;
    Ok(healed_in)
}

/// The violation that describes why the members do not agree.
fn disagreement(sim: &Sim<Node>, within: Duration) -> Violation {
    let cluster = sim.cluster();
    let running = cluster.members_running();
    let odd = cluster.running().find_map(|index| {
        let node = cluster.node(index).filter(|node| node.phase() == Phase::Running)?;
        let alive = held_alive(node);
        (alive != running).then(|| (index, format!("{index} holds {alive} members alive, and {running} run")))
    });
    let (node, text) = odd.map_or_else(
        || (None, format!("all know all, and the roots of their tables differ: {}", unequal_roots(cluster))),
        |(index, text)| (Some(index), text),
    );
    let text = format!("no agreement {} after healing: {text}", crate::base::span::print(within));
    Violation { node, ..Violation::new("CM7", sim.now(), text) }
}

/// Describes how two members with unequal tables differ.
fn unequal_roots(cluster: &Cluster<Node>) -> String {
    let nodes = cluster.running().filter_map(|index| Some((index, cluster.node(index)?)));
    let mut nodes = nodes.filter(|(_, node)| node.phase() == Phase::Running);
    let Some((first, one)) = nodes.next() else { return "no member runs".into() };
    let Some((second, other)) = nodes.find(|(_, node)| node.roots() != one.roots()) else {
        return "those of two that have stopped".into();
    };
    let (what, tell): (_, fn(&Node) -> Vec<String>) =
        if one.roots()[0] == other.roots()[0] { ("marks", marks) } else { ("members", members) };
    let (ours, theirs) = (tell(one), tell(other));
    let only = |own: &[String], others: &[String]| {
        let own = own.iter().filter(|text| !others.contains(text)).map(String::as_str);
        own.collect::<Vec<_>>().join(", ")
    };
    let (ours, theirs) = (only(&ours, &theirs), only(&theirs, &ours));
    format!("of {what} only {first} has {ours}; only {second} has {theirs}")
}

fn marks(node: &Node) -> Vec<String> {
    node.marks().map(|mark| format!("{}:{}:{}", mark.origin, mark.epoch, mark.highest)).collect()
}

fn members(node: &Node) -> Vec<String> {
    let members = node.members();
    members
        .map(|member| format!("{} {:?} {} at {}", member.id, member.state, member.incarnation, member.addr))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::timeline::{Detail, Timeline};

    #[test]
    fn a_plan_gives_the_same_trace_twice_and_with_a_timeline() {
        for seed in 0..6 {
            let plan = Plan::draw(seed);
            let bare = run(&plan, Vec::new());
            let told = run(&plan, vec![Box::new(Timeline::new(Detail::Datagrams, drop))]);
            assert_eq!(bare.trace.value(), told.trace.value(), "seed {seed}");
            assert_eq!(bare.verdict, told.verdict);
        }
    }

    #[test]
    fn a_serialized_plan_gives_the_same_trace() {
        let plan = Plan::draw(3);
        let text = serde_json::to_string(&plan).expect("a plan can be serialized");
        let again: Plan = serde_json::from_str(&text).expect("and parsed");
        assert_eq!(run(&plan, Vec::new()).trace.value(), run(&again, Vec::new()).trace.value());
    }

    #[test]
    fn without_faults_everything_holds() {
        let mut plan = Plan::draw(1);
        plan.kinds.clear();
        plan.acts.clear();
        plan.network = crate::network::NetworkConfig::default();
        let outcome = run(&plan, Vec::new());
        assert_eq!(outcome.verdict, Verdict::Passed);
        assert_eq!(outcome.counters.dropped_all(), 0);
    }
}
