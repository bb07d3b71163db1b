//! `paper`: repeats the experiments of papers.

use std::io::Write;
use std::path::PathBuf;

use crate::papers::{self, Options};

use super::{Exit, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The experiment: lifeguard, rapid, detection, bimodal, perturbed or broadcast
    name: String,
    /// Do only one of this many runs of the experiment; 1 does all of them
    #[arg(long, default_value_t = 10)]
    one_in: u32,
    /// The number of members; by default that of the paper
    #[arg(long)]
    members: Option<u32>,
    /// The number of broadcasts of `bimodal`; by default 100 000 divided by --one-in
    #[arg(long)]
    broadcasts: Option<u64>,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The number of threads; by default that of the cores. The result does not depend on it
    #[arg(short = 'j', long)]
    threads: Option<usize>,
    /// Draw the figure of `bimodal` or `perturbed` to this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print the numbers of `bimodal`, `perturbed` or `broadcast` as JSON instead of a table
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, out: &mut impl Write) -> Result<Exit, Failure> {
    let Arguments { name, one_in, members, broadcasts, seed, threads, svg, json } = arguments;
    let defaults = Options::default();
    let options = Options {
        seed: *seed,
        one_in: *one_in,
        members: *members,
        broadcasts: *broadcasts,
        threads: threads.unwrap_or(defaults.threads),
        ..defaults
    };
    // Checked before the work, which may take minutes.
    let is_known = papers::NAMES.iter().any(|(known, _)| known == name);
    if is_known && svg.is_some() && !papers::FIGURES.contains(&name.as_str()) {
        return Err(Failure::Usage(format!("{name} has no figure")));
    }
    if is_known && *json && !papers::NUMBERS.contains(&name.as_str()) {
        return Err(Failure::Usage(format!("{name} has no numbers as JSON")));
    }
    let report = papers::run(name, &options).map_err(|error| Failure::Usage(error.to_string()))?;
    if let Some(path) = svg {
        let figure = report.figure.ok_or_else(|| Failure::Usage(format!("{name} has no figure")))?;
        std::fs::write(path, figure)?;
    }
    if *json {
        let numbers =
            report.numbers.ok_or_else(|| Failure::Usage(format!("{name} has no numbers as JSON")))?;
        writeln!(out, "{numbers}")?;
    } else {
        write!(out, "{}", report.text)?;
    }
    Ok(Exit::Held)
}
