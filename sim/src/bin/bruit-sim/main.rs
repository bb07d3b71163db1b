//! `bruit-sim`: shows, runs, sweeps and replays simulated clusters, and repeats the experiments of papers.

mod bench;
mod paper;
mod papers;
mod replay;
mod run;
mod svg;
mod sweep;
mod tour;

use core::ops::Range;
use core::str::FromStr;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Simulates bruit clusters in one process. The seed decides everything that happens.
///
/// Without a command, bruit-sim shows a tour: 32 members join, the network is cut and heals, and members crash, leave and
/// restart. Exit codes: 0, all checks held; 1, a check found a violation; 2, a kind of fault had no effect, so the run proves
/// nothing about it; 3, wrong usage; 4, a replay gave another trace.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    /// The seed of the tour
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(subcommand)]
    command: Option<Request>,
}

#[derive(Debug, Subcommand)]
enum Request {
    /// Runs a scenario, or the fault plan of a seed, and prints what happens.
    Run(run::Arguments),
    /// Runs the fault plans of many seeds with all checks, and prints the seeds that fail.
    Sweep(sweep::Arguments),
    /// Runs the fault plan of one seed, prints everything that happens, and runs it again to compare the traces.
    Replay(replay::Arguments),
    /// Repeats the experiments of a paper and prints the results beside those of the paper.
    Paper(paper::Arguments),
    /// Measures how many datagrams the simulator handles in a second of CPU time.
    Bench(bench::Arguments),
}

/// The exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    Held = 0,
    Violated = 1,
    Inconclusive = 2,
    Usage = 3,
    TwoTraces = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The reason for which a command could not do its work.
#[derive(Debug)]
enum Failure {
    Usage(String),
    Output(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

fn main() -> ExitCode {
    run().into()
}

fn run() -> Exit {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(message) => {
            let exit = if message.use_stderr() { Exit::Usage } else { Exit::Held };
            // Nothing can be done if this cannot be printed.
            drop(message.print());
            return exit;
        }
    };
    let mut out = io::stdout().lock();
    let result = dispatch(arguments, &mut out).and_then(|exit| Ok(out.flush().map(|()| exit)?));
    match result {
        Ok(exit) => exit,
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Held,
        Err(Failure::Output(error)) => usage(&format!("cannot write: {error}")),
        Err(Failure::Usage(text)) => usage(&text),
    }
}

fn usage(text: &str) -> Exit {
    eprintln!("error: {text}");
    Exit::Usage
}

fn dispatch(arguments: Arguments, out: &mut impl Write) -> Result<Exit, Failure> {
    match arguments.command {
        None => tour::run(arguments.seed, out),
        Some(Request::Run(arguments)) => run::run(&arguments, out),
        Some(Request::Sweep(arguments)) => sweep::run(&arguments, out),
        Some(Request::Replay(arguments)) => replay::run(&arguments, out),
        Some(Request::Paper(arguments)) => paper::run(&arguments, out),
        Some(Request::Bench(arguments)) => bench::run(&arguments, out),
    }
}

/// A range of seeds, written as `A..B` without B, or as one seed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seeds(Range<u64>);

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is not a range of seeds; write for example `0..1000`, which ends with 999");
        let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
        let (start, end) = match text.split_once("..") {
            Some((start, end)) => (number(start)?, number(end)?),
            None => (number(text)?, number(text)?.checked_add(1).ok_or_else(wrong)?),
        };
        if start < end { Ok(Self(start..end)) } else { Err(wrong()) }
    }
}

/// Reads a scenario from a file, or returns a built-in one by its name.
fn scenario(path: &PathBuf) -> Result<bruit_sim::scenario::Scenario, Failure> {
    let shown = path.display();
    let built_in = bruit_sim::scenario::BUILT_IN.iter().find(|(name, _)| path.as_os_str() == *name);
    let text = match built_in {
        Some((_, text)) => (*text).to_owned(),
        None => std::fs::read_to_string(path).map_err(|error| {
            let names: Vec<&str> = bruit_sim::scenario::BUILT_IN.iter().map(|(name, _)| *name).collect();
            Failure::Usage(format!("{shown}: {error}; the built-in scenarios are {}", names.join(", ")))
        })?,
    };
    bruit_sim::scenario::Scenario::parse(&text).map_err(|error| Failure::Usage(format!("{shown}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definitions_of_the_commands_are_valid() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn seeds_parse_as_a_range_or_one_seed() {
        assert_eq!("3..5".parse(), Ok(Seeds(3..5)));
        assert_eq!("7".parse(), Ok(Seeds(7..8)));
        for text in ["5..5", "x", "1..", "..2", ""] {
            assert!(text.parse::<Seeds>().is_err(), "{text}");
        }
    }
}
