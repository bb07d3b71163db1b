//! `run`: runs one scenario, or the fault plan of one seed.

use core::cell::RefCell;
use std::io::Write;
use std::path::PathBuf;
use std::rc::Rc;

use bruit_core::Node;
use bruit_sim::checks::timeline::{Detail, Line, Timeline};
use bruit_sim::faults::trial::{self, Outcome, Verdict};
use bruit_sim::faults::{Plan, Plans};
use bruit_sim::{Check, Cluster, scenario};

use super::{Exit, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A scenario file, or the name of a built-in scenario; without it, the fault plan of the seed is run
    scenario: Option<PathBuf>,
    /// The seed; by default that of the scenario, or 1
    #[arg(long)]
    seed: Option<u64>,
    /// The way to draw the plan of the seed, basic or wide
    #[arg(long, default_value_t, conflicts_with = "scenario")]
    plans: Plans,
    /// The number of members that start; by default that of the scenario
    #[arg(long, requires = "scenario")]
    nodes: Option<u32>,
    /// Print one JSON object a line instead of text
    #[arg(long)]
    json: bool,
    /// Print more: -v all notices, -vv all datagrams
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

pub(super) fn run(arguments: &Arguments, out: &mut impl Write) -> Result<Exit, Failure> {
    let detail = match arguments.verbose {
        0 => Detail::Verdicts,
        1 => Detail::Notices,
        _ => Detail::Datagrams,
    };
    let lines = Lines::default();
    let timeline = lines.timeline(detail);
    let (seed, outcome) = match &arguments.scenario {
        Some(path) => {
            let mut scenario = super::scenario(path)?;
            scenario.nodes = arguments.nodes.unwrap_or(scenario.nodes);
            scenario.validate().map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
            let seed = arguments.seed.unwrap_or(scenario.seed);
            if !arguments.json {
                writeln!(
                    out,
                    "{}: {}\n{} members, seed {seed}\n",
                    scenario.name, scenario.about, scenario.nodes
                )?;
            }
            (seed, scenario::run(&scenario, seed, vec![timeline]))
        }
        None => {
            let seed = arguments.seed.unwrap_or(1);
            let plan = arguments.plans.draw(seed);
            if !arguments.json {
                describe_plan(&plan, out)?;
            }
            (seed, trial::run(&plan, vec![timeline]))
        }
    };
    if arguments.json {
        lines.print_json(out)?;
        writeln!(out, "{}", serde_json::json!({ "summary": outcome.summary(seed) }))?;
    } else {
        lines.print(out)?;
        writeln!(out)?;
        describe_outcome(&outcome, out)?;
    }
    Ok(exit(&outcome))
}

/// The lines of a timeline, which are printed when the run is over.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines(Rc<RefCell<Vec<Line>>>);

impl Lines {
    pub(super) fn timeline(&self, detail: Detail) -> Box<dyn Check<Cluster<Node>>> {
        let lines = Rc::clone(&self.0);
        Box::new(Timeline::new(detail, move |line| lines.borrow_mut().push(line)))
    }

    pub(super) fn print(&self, out: &mut impl Write) -> Result<(), Failure> {
        for line in self.0.borrow().iter() {
            writeln!(out, "{line}")?;
        }
        Ok(())
    }

    fn print_json(&self, out: &mut impl Write) -> Result<(), Failure> {
        for line in self.0.borrow().iter() {
            writeln!(out, "{}", serde_json::json!(line))?;
        }
        Ok(())
    }
}

pub(super) fn describe_plan(plan: &Plan, out: &mut impl Write) -> Result<(), Failure> {
    let preset = serde_json::to_string(&plan.preset).unwrap_or_default();
    let kinds = if plan.kinds.is_empty() { "none".to_owned() } else { trial::names(&plan.kinds) };
    writeln!(out, "seed {}: {} members, preset {}", plan.seed, plan.nodes, preset.trim_matches('"'))?;
    if !plan.settings.is_empty() {
        writeln!(out, "settings: {}", settings(plan))?;
    }
    writeln!(out, "faults: {kinds}; after {} everything heals\n", bruit_sim::span::print(plan.safety))?;
    Ok(())
}

fn settings(plan: &Plan) -> String {
    plan.settings.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The kinds of fault and the settings of a plan in one line.
pub(super) fn about(plan: &Plan) -> String {
    let kinds = if plan.kinds.is_empty() { "none".to_owned() } else { trial::names(&plan.kinds) };
    let settings = if plan.settings.is_empty() { "of the preset".to_owned() } else { settings(plan) };
    format!("{} members; faults: {kinds}; settings: {settings}", plan.nodes)
}

pub(super) fn describe_outcome(outcome: &Outcome, out: &mut impl Write) -> Result<(), Failure> {
    let counters = &outcome.counters;
    writeln!(
        out,
        "{} simulated: {} datagrams sent, {} delivered, {} lost, {} copied, {} damaged",
        bruit_core::Time::ZERO + outcome.simulated,
        counters.sent,
        counters.delivered,
        counters.dropped_all(),
        counters.duplicated,
        counters.damaged,
    )?;
    if let Some(healed_in) = outcome.healed_in {
        writeln!(out, "agreement {} after the last healing", bruit_core::Time::ZERO + healed_in)?;
    }
    match &outcome.verdict {
        Verdict::Passed => writeln!(out, "all checks held")?,
        Verdict::Violated(violation) => writeln!(out, "VIOLATION {violation}")?,
        Verdict::Inconclusive(kinds) => writeln!(out, "INCONCLUSIVE: no effect of: {}", trial::names(kinds))?,
    }
    writeln!(out, "trace {}", trial::hash_text(outcome.trace.value()))?;
    Ok(())
}

pub(super) const fn exit(outcome: &Outcome) -> Exit {
    match outcome.verdict {
        Verdict::Passed => Exit::Held,
        Verdict::Violated(_) => Exit::Violated,
        Verdict::Inconclusive(_) => Exit::Inconclusive,
    }
}
