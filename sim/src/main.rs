//! `bruit-sim`: shows, runs, sweeps and replays simulated clusters.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main().into()
}
