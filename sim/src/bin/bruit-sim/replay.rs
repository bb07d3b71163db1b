//! `replay`: runs the fault plan of one seed twice, and prints everything that happens.

use std::io::Write;

use bruit_sim::checks::timeline::Detail;
use bruit_sim::faults::Plan;
use bruit_sim::faults::trial;

use super::run::{Lines, describe_outcome, describe_plan, exit};
use super::{Exit, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The seed
    seed: u64,
    /// Also print all datagrams
    #[arg(long)]
    datagrams: bool,
    /// Print the fault plan as JSON instead of running it
    #[arg(long)]
    plan: bool,
}

pub(super) fn run(arguments: &Arguments, out: &mut impl Write) -> Result<Exit, Failure> {
    let plan = Plan::draw(arguments.seed);
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
