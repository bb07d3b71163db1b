//! `paper`: the experiments of papers, repeated.

use std::io::Write;
use std::path::PathBuf;

use bruit_sim::papers::{self, Options};

use super::{Exit, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Which one: lifeguard, rapid, detection, bimodal, perturbed or broadcast.
    name: String,
    /// Run one in so many of the experiment's runs; 1 for all.
    #[arg(long, default_value_t = 10)]
    one_in: u32,
    /// Members, if other than the paper's.
    #[arg(long)]
    members: Option<u32>,
    /// Broadcasts of bimodal; 100 000 with --one-in 1.
    #[arg(long)]
    broadcasts: Option<u64>,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Threads; as many as there are cores by default. The result does not depend on it.
    #[arg(short = 'j', long)]
    threads: Option<usize>,
    /// Draw the figure into this file; bimodal and perturbed have one.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print the numbers as JSON instead of the table; bimodal, perturbed and broadcast have them.
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
    // Before the work, which may take minutes.
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
