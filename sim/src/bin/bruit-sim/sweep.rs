//! `sweep`: runs many seeds on several threads. The results are printed in the order of the seeds, so that the output does not
//! depend on the number of threads.

mod totals;

use core::num::NonZeroUsize;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::io::Write;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;

use bruit_sim::faults::trial::{self, Outcome, Verdict};
use bruit_sim::faults::{Kind, Plan};
use bruit_sim::{Violation, scenario};
use indicatif::{ProgressBar, ProgressStyle};

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
    /// Run this scenario with each seed instead of the fault plan of the seed
    #[arg(long)]
    scenario: Option<PathBuf>,
    /// Stop after this many seeds have failed
    #[arg(long, default_value_t = 20)]
    failures: usize,
    /// Print one JSON object for each seed, and at the end one with the totals
    #[arg(long)]
    json: bool,
}

/// The result of one seed.
struct Result {
    seed: u64,
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
    violations: Vec<(u64, Violation)>,
    inconclusive: Vec<(u64, Vec<Kind>)>,
    totals: Totals,
}

impl Total {
    fn add(&mut self, result: &Result) {
        self.seeds += 1;
        self.datagrams += result.datagrams;
        self.hash = self.hash.rotate_left(7) ^ result.hash;
        self.totals.add(&result.part);
        match &result.verdict {
            Verdict::Passed => {}
            Verdict::Violated(violation) => self.violations.push((result.seed, violation.clone())),
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
        Some(scenario) => scenario::run(scenario, seed, Vec::new()),
        None => trial::run(&Plan::draw(seed), Vec::new()),
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
                    if sender.send(keep(seed, &run_one(seed), arguments.json)).is_err() {
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
            if total.violations.len() >= arguments.failures {
                stop.store(true, Ordering::Relaxed);
                break;
            }
        }
        Ok::<(), Failure>(())
    })?;
    bar.finish_and_clear();
    if arguments.json {
        writeln!(out, "{}", total.totals.json())?;
    } else {
        describe(&total, arguments, out)?;
    }
    Ok(total.exit())
}

fn keep(seed: u64, outcome: &Outcome, json: bool) -> Result {
    let line = if json { serde_json::json!(outcome.summary(seed)).to_string() } else { String::new() };
    let (verdict, hash) = (outcome.verdict.clone(), outcome.trace.value());
    Result { seed, line, verdict, datagrams: outcome.counters.sent, hash, part: Part::of(outcome) }
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
    let rerun = |seed: &u64| match &arguments.scenario {
        Some(path) => format!("bruit-sim run {} --seed {seed}", path.display()),
        None => format!("bruit-sim replay {seed}"),
    };
    for (seed, violation) in &total.violations {
        writeln!(out, "seed {seed}: {violation}\n    {}", rerun(seed))?;
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
    if failed >= arguments.failures {
        writeln!(out, "stopped after {failed} failing seeds")?;
    }
    total.totals.describe(out)?;
    writeln!(out, "traces {}", trial::hash_text(total.hash))?;
    Ok(())
}
