//! `sweep`: runs many seeds on several threads. The results are printed in the order of the seeds, so that the output does not
//! depend on the number of threads.

mod coverage;
mod totals;

use core::num::NonZeroUsize;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::io::Write;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;

use bruit_sim::faults::coverage::Coverage;
use bruit_sim::faults::trial::{self, Outcome, Verdict};
use bruit_sim::faults::{Kind, Plan, Plans};
use bruit_sim::{Violation, scenario};
use indicatif::{ProgressBar, ProgressStyle};

use super::run::about;
use super::{Exit, Failure, Seeds};
use totals::{Part, Totals};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The seeds, such as `0..1000`, which ends with seed 999
    #[arg(long, default_value = "0..1000")]
    seeds: Seeds,
    /// The number of threads
    #[arg(short, long, default_value_t = NonZeroUsize::MIN)]
    jobs: NonZeroUsize,
    /// The way to draw the plan of a seed: wide plans have faults of all kinds, and the basic plan of a seed never changes
    #[arg(long, default_value_t, conflicts_with = "scenario")]
    plans: Plans,
    /// Run this scenario with each seed instead of the fault plan of the seed
    #[arg(long)]
    scenario: Option<PathBuf>,
    /// Stop after this many seeds have failed; 0 for no limit
    #[arg(long, default_value_t = 20)]
    failures: usize,
    /// Print one JSON object for each seed, and at the end one with the totals
    #[arg(long)]
    json: bool,
}

/// The result of one seed.
struct Result {
    seed: u64,
    /// The kinds of fault and the settings of the plan, in words; empty for a scenario.
    about: String,
    coverage: Coverage,
    line: String,
    verdict: Verdict,
    datagrams: u64,
    hash: u64,
    part: Part,
}

/// The results of all seeds together, added in the order of the seeds.
#[derive(Default)]
struct Total {
    seeds: u64,
    datagrams: u64,
    hash: u64,
    violations: Vec<(u64, String, Violation)>,
    inconclusive: Vec<(u64, Vec<Kind>)>,
    coverage: Coverage,
    totals: Totals,
}

impl Total {
    fn add(&mut self, result: &Result) {
        self.seeds += 1;
        self.datagrams += result.datagrams;
        self.hash = self.hash.rotate_left(7) ^ result.hash;
        self.coverage.merge(&result.coverage);
        self.totals.add(&result.part);
        match &result.verdict {
            Verdict::Passed => {}
            Verdict::Violated(violation) => {
                self.violations.push((result.seed, result.about.clone(), violation.clone()));
            }
            Verdict::Inconclusive(kinds) => self.inconclusive.push((result.seed, kinds.clone())),
        }
    }

    fn exit(&self) -> Exit {
        if !self.violations.is_empty() || !self.totals.too_slow().is_empty() {
            Exit::Violated
        } else if self.inconclusive.is_empty() {
            Exit::Held
        } else {
            Exit::Inconclusive
        }
    }
}

pub(super) fn run(arguments: &Arguments, out: &mut impl Write) -> core::result::Result<Exit, Failure> {
    let scenario = arguments.scenario.as_ref().map(super::scenario).transpose()?;
    let run_one = |seed| match &scenario {
        Some(scenario) => keep(seed, None, &scenario::run(scenario, seed, Vec::new()), arguments.json),
        None => {
            let plan = arguments.plans.draw(seed);
            keep(seed, Some(&plan), &trial::run(&plan, Vec::new()), arguments.json)
        }
    };
    let seeds = arguments.seeds.0.clone();
    let bar = progress(seeds.end - seeds.start);
    let (next, stop) = (AtomicU64::new(seeds.start), AtomicBool::new(false));
    let mut total = Total::default();
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..arguments.jobs.get() {
            let (sender, next, stop, run_one) = (sender.clone(), &next, &stop, &run_one);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || stop.load(Ordering::Relaxed) {
                        return;
                    }
                    if sender.send(run_one(seed)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for result in InOrder::new(seeds.start, receiver) {
            bar.inc(1);
            if arguments.json {
                writeln!(out, "{}", result.line)?;
            }
            total.add(&result);
            if arguments.is_enough(total.violations.len()) {
                stop.store(true, Ordering::Relaxed);
                break;
            }
        }
        Ok::<(), Failure>(())
    })?;
    bar.finish_and_clear();
    let rows = coverage::rows(&total.coverage);
    if arguments.json {
        writeln!(out, "{}", serde_json::json!({ "seeds": total.seeds, "coverage": rows }))?;
        writeln!(out, "{}", total.totals.json())?;
    } else {
        coverage::print(&rows, out)?;
        describe(&total, arguments, out)?;
    }
    Ok(total.exit())
}

impl Arguments {
    const fn is_enough(&self, failed: usize) -> bool {
        self.failures > 0 && failed >= self.failures
    }
}

fn keep(seed: u64, plan: Option<&Plan>, outcome: &Outcome, json: bool) -> Result {
    let mut coverage = Coverage::default();
    if let Some(plan) = plan {
        coverage.add(plan, outcome);
    }
    let about = plan.map(about).unwrap_or_default();
    let line = if json {
        let mut line = serde_json::json!(outcome.summary(seed));
        line["plan"] = about.clone().into();
        line.to_string()
    } else {
        String::new()
    };
    let (verdict, hash) = (outcome.verdict.clone(), outcome.trace.value());
    let (datagrams, part) = (outcome.counters.sent, Part::of(outcome));
    Result { seed, about, coverage, line, verdict, datagrams, hash, part }
}

fn progress(len: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} seeds, {per_sec}, {eta} left");
    ProgressBar::new(len).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// An iterator over the results in the order of the seeds.
struct InOrder {
    next: u64,
    early: Vec<Result>,
    receiver: mpsc::Receiver<Result>,
}

impl InOrder {
    const fn new(next: u64, receiver: mpsc::Receiver<Result>) -> Self {
        Self { next, early: Vec::new(), receiver }
    }
}

impl Iterator for InOrder {
    type Item = Result;

    fn next(&mut self) -> Option<Result> {
        loop {
            if let Some(position) = self.early.iter().position(|result| result.seed == self.next) {
                self.next += 1;
                return Some(self.early.swap_remove(position));
            }
            self.early.push(self.receiver.recv().ok()?);
        }
    }
}

fn describe(total: &Total, arguments: &Arguments, out: &mut impl Write) -> core::result::Result<(), Failure> {
    let rerun = |seed: &u64| match (&arguments.scenario, arguments.plans) {
        (Some(path), _) => format!("bruit-sim run {} --seed {seed}", path.display()),
        (None, Plans::Wide) => format!("bruit-sim replay {seed}"),
        (None, plans @ Plans::Basic) => format!("bruit-sim replay {seed} --plans {plans}"),
    };
    for (seed, about, violation) in &total.violations {
        writeln!(out, "seed {seed}: {violation}")?;
        if !about.is_empty() {
            writeln!(out, "    {about}")?;
        }
        writeln!(out, "    {}", rerun(seed))?;
    }
    for (seed, kinds) in &total.inconclusive {
        writeln!(
            out,
            "seed {seed}: inconclusive, no effect of: {}\n    {}",
            trial::names(kinds),
            rerun(seed)
        )?;
    }
    let (seeds, failed, open) = (total.seeds, total.violations.len(), total.inconclusive.len());
    writeln!(out, "{seeds} seeds, {} datagrams: {failed} failed, {open} inconclusive", total.datagrams)?;
    if arguments.is_enough(failed) {
        writeln!(out, "stopped after {failed} failing seeds")?;
    }
    total.totals.describe(out)?;
    writeln!(out, "traces {}", trial::hash_text(total.hash))?;
    Ok(())
}
