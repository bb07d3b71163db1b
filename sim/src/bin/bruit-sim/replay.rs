//! `replay`: runs one fault plan twice, drawn from a seed or read from a file, and prints everything that happens.

use std::io::Write;
use std::path::PathBuf;

use bruit_sim::checks::timeline::Detail;
use bruit_sim::faults::{Plan, Plans, trial};

use super::run::{Lines, describe_outcome, describe_plan, exit};
use super::{Exit, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The seed of the plan
    #[arg(required_unless_present = "from")]
    seed: Option<u64>,
    /// The way to draw the plan of the seed: basic or wide
    #[arg(long, default_value_t)]
    plans: Plans,
    /// Run the plan in this file, which `--plan` has printed, instead of that of a seed
    #[arg(long, conflicts_with_all = ["seed", "plans"])]
    from: Option<PathBuf>,
    /// Also print all datagrams
    #[arg(long)]
    datagrams: bool,
    /// Print the fault plan as JSON instead of running it
    #[arg(long)]
    plan: bool,
}

/// The plan to run: from the file, or drawn from the seed.
fn plan(arguments: &Arguments) -> Result<Plan, Failure> {
    let Some(path) = &arguments.from else {
        return Ok(arguments.plans.draw(arguments.seed.unwrap_or_default()));
    };
    let refuse = |reason: String| Failure::Usage(format!("{}: {reason}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| refuse(error.to_string()))?;
    let plan: Plan = serde_json::from_str(&text).map_err(|error| refuse(error.to_string()))?;
    plan.validate().map_err(refuse)?;
    Ok(plan)
}

pub(super) fn run(arguments: &Arguments, out: &mut impl Write) -> Result<Exit, Failure> {
    let plan = plan(arguments)?;
    if arguments.plan {
        let text = serde_json::to_string_pretty(&plan).expect("a plan can be serialized");
        writeln!(out, "{text}")?;
        return Ok(Exit::Held);
    }
    describe_plan(&plan, out)?;
    let lines = Lines::default();
    let detail = if arguments.datagrams { Detail::Datagrams } else { Detail::Notices };
    let first = trial::run(&plan, vec![lines.timeline(detail)]);
    lines.print(out)?;
    writeln!(out)?;
    describe_outcome(&first, out)?;
    let again = trial::run(&plan, Vec::new());
    if again.trace.value() == first.trace.value() {
        writeln!(out, "run again: the same trace")?;
        return Ok(exit(&first));
    }
    let second = first.trace.diverges(&again.trace);
    let place =
        second.map_or("after the last whole second".to_owned(), |second| format!("in second {second}"));
    writeln!(
        out,
        "run again: ANOTHER TRACE {}, the first difference is {place}",
        trial::hash_text(again.trace.value())
    )?;
    Ok(Exit::TwoTraces)
}
