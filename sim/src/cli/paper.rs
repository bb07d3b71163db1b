//! `paper`: the experiments of papers, repeated.

use std::io::Write;

use bruit_sim::papers::{self, Options};

use super::{Exit, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Which one: lifeguard, rapid or detection.
    name: String,
    /// Run one in so many of the experiment's runs; 1 for all.
    #[arg(long, default_value_t = 10)]
    one_in: u32,
    /// Members, if other than the paper's.
    #[arg(long)]
    members: Option<u32>,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Threads; as many as there are cores by default.
    #[arg(short = 'j', long)]
    threads: Option<usize>,
}

pub(super) fn run(arguments: &Arguments, out: &mut impl Write) -> Result<Exit, Failure> {
    let Arguments { name, one_in, members, seed, threads } = arguments;
    let defaults = Options::default();
    let threads = threads.unwrap_or(defaults.threads);
    let options = Options { seed: *seed, one_in: *one_in, members: *members, threads, ..defaults };
    let report = papers::run(name, &options).map_err(|error| Failure::Usage(error.to_string()))?;
    write!(out, "{report}")?;
    Ok(Exit::Held)
}
