//! One run of a fault plan: safety under faults, healing, liveness within bounds.

use core::time::Duration;

use bruit_core::{Command, Config, Node, NodeId, Phase, Time};
use serde::Serialize;

use crate::applied::Applied;
use crate::bounds::Bounds;
use crate::check::{Check, Violation};
use crate::checks::Promises;
use crate::cluster::{Cluster, Index};
use crate::conduct;
use crate::faults::{Kind, Plan};
use crate::hash::TraceHash;
use crate::kernel::Sim;
use crate::network::Counters;
use crate::spawn::{Join, Spawn};

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every check held, and every fault of the plan did something.
    Passed,
    /// A check did not hold.
    Violated(Violation),
    /// Every check held, but these faults never did anything.
    Inconclusive(Vec<Kind>),
}

/// What a run did.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub verdict: Verdict,
    /// The hash of everything that happened.
    pub trace: TraceHash,
    /// Simulated time.
    pub simulated: Duration,
    /// From healing until all agreed, if they did.
    pub healed_in: Option<Duration>,
    /// What the network did.
    pub counters: Counters,
    /// Which faults did how much.
    pub applied: Applied,
}

/// The numbers of an outcome, for machines.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The seed.
    pub seed: u64,
    /// `passed`, `violated` or `inconclusive`.
    pub verdict: &'static str,
    /// The failing check and its text, or the idle faults.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The trace hash.
    pub hash: String,
    /// Simulated nanoseconds.
    pub simulated: u64,
    /// Nanoseconds from healing to agreement.
    pub healed_in: Option<u64>,
    /// What the network did.
    pub counters: Counters,
    /// Which faults did how much.
    pub applied: Applied,
}

impl Outcome {
    /// Its numbers.
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
        }
    }
}

/// A trace hash as it is printed: 16 hexadecimal digits.
#[must_use]
pub fn hash_text(hash: u64) -> String {
    format!("{hash:016x}")
}

/// Kinds of fault in one text.
#[must_use]
pub fn names(kinds: &[Kind]) -> String {
    kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
}

/// A cluster of bare nodes with this configuration, empty so far.
///
/// # Panics
/// The configuration is not valid.
#[must_use]
pub fn nodes(seed: u64, config: Config) -> Sim<Node> {
    Sim::new(seed, move |boot| {
        Node::new(boot, config.clone(), Time::ZERO).expect("the configuration was validated")
    })
}

/// Greatest round trip over links of [`DELAY`](crate::faults::DELAY).
pub const ROUND_TRIP: Duration = Duration::from_millis(20);

/// How long the end of a trial is watched once no broadcast should be under way any more.
const SILENCE: Duration = Duration::from_secs(10);

/// Processes that each node of a trial joins through.
const SEEDS: usize = 3;

/// Runs a plan with all checks, and with more of the caller's, such as a timeline.
#[must_use]
pub fn run(plan: &Plan, more: Vec<Box<dyn Check<Node>>>) -> Outcome {
    let config = plan.config();
    let mut sim = nodes(plan.seed, config.clone());
    more.into_iter().for_each(|check| sim.check_boxed(check));
    conduct::all().into_iter().for_each(|check| sim.check_boxed(check));
    sim.check(Promises::new(&config, ROUND_TRIP, 0));
    sim.check_purity(97);
    let result = phases(&mut sim, plan, &config);
    let applied = sim.applied();
    let (healed_in, verdict) = match result {
        Err(violation) => (None, Verdict::Violated(violation)),
        Ok(healed_in) => match plan.idle_kinds(&applied) {
            idle if idle.is_empty() => (Some(healed_in), Verdict::Passed),
            idle => (Some(healed_in), Verdict::Inconclusive(idle)),
        },
    };
    let (trace, simulated) = (sim.trace().clone(), sim.now().since(Time::ZERO));
    Outcome { verdict, trace, simulated, healed_in, counters: *sim.cluster().counters(), applied }
}

fn phases(sim: &mut Sim<Node>, plan: &Plan, config: &Config) -> Result<Duration, Violation> {
    sim.set_network(plan.network.clone())?;
    for act in &plan.acts {
        sim.schedule(Time::ZERO + act.at, act.op.clone());
    }
    // With a single seed a node that restarts beside a dead one, at a new address, could be found by nobody.
    for node in (0..plan.nodes).map(Index) {
        sim.spawn(Spawn::new().zone(plan.zone(node)).join(Join::First(SEEDS)))?;
    }
    // The first ones could not know the addresses of those behind them.
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
    // What was broadcast must reach all, and then there must be silence.
    sim.run_for(bounds.broadcast.quiet + bounds.broadcast.transfer(plan.bytes(), members) + SILENCE)?;
    sim.conclude()?;
    Ok(healed_in)
}

/// Says who lacks whom, or holds whom too many.
fn disagreement(sim: &Sim<Node>, within: Duration) -> Violation {
    let cluster = sim.cluster();
    let running = cluster.members_running();
    let odd = cluster.running().find_map(|index| {
        let node = cluster.node(index).filter(|node| node.phase() == Phase::Running)?;
        let alive = node.members().filter(|member| member.state == bruit_core::MemberState::Alive).count();
        (alive != running).then(|| (index, format!("{index} holds {alive} members alive, and {running} run")))
    });
    let (node, text) = odd.map_or_else(
        || (None, format!("all know all, and the roots of their tables differ: {}", unequal_roots(cluster))),
        |(index, text)| (Some(index), text),
    );
    let text = format!("no agreement {} after healing: {text}", crate::span::print(within));
    Violation { node, ..Violation::new("CM7", sim.now(), text) }
}

/// Two members with unequal tables, and where it is the marks of the broadcast, how they differ.
fn unequal_roots(cluster: &Cluster<Node>) -> String {
    let nodes = cluster.running().filter_map(|index| Some((index, cluster.node(index)?)));
    let mut nodes = nodes.filter(|(_, node)| node.phase() == Phase::Running);
    let Some((first, one)) = nodes.next() else { return "nobody runs".into() };
    let Some((second, other)) = nodes.find(|(_, node)| node.roots() != one.roots()) else {
        return "of two that have stopped".into();
    };
    if one.roots()[0] != other.roots()[0] {
        return format!("{first} and {second} differ in their members");
    }
    let marks = |node: &Node| -> Vec<(NodeId, u64, u64)> {
        node.marks().map(|mark| (mark.origin, mark.epoch, mark.highest)).collect()
    };
    let (ours, theirs) = (marks(one), marks(other));
    let only = |own: &[(NodeId, u64, u64)], others: &[(NodeId, u64, u64)]| {
        let own = own.iter().filter(|mark| !others.contains(mark));
        own.map(|(origin, epoch, highest)| format!("{origin}:{epoch}:{highest}"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    format!("only {first} has marked {}; only {second} {}", only(&ours, &theirs), only(&theirs, &ours))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::{Detail, Timeline};

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
    fn a_plan_that_was_written_down_gives_the_same_trace() {
        let plan = Plan::draw(3);
        let text = serde_json::to_string(&plan).expect("a plan can be written down");
        let again: Plan = serde_json::from_str(&text).expect("and read");
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
