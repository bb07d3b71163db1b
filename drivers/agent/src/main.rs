//! The `bruit` command: `bruit agent` runs a member of a cluster, the other commands ask it over a local socket.
//!
//! Exit codes: 0 done, 1 refused, 2 no agent reachable, 3 usage. `--json` prints for programs, one value a line.
//!
//! ```text
//! cli.rs        what may be typed              agent.rs     the running member
//! config.rs     presets and the TOML file      news.rs      what it says, to all who listen
//! overlay.rs    that file over the settings    control.rs   its local socket
//! paths.rs      where that socket is           answer.rs    requests to replies
//! protocol.rs   what crosses it, as JSON       streams.rs   requests with many replies
//! messages.rs   broadcasts, for showing        client.rs    the other end, and what it prints
//! lines.rs      what the agent prints          follow.rs    the same, reply by reply
//! table.rs, prometheus.rs, tools.rs
//! ```
#![forbid(unsafe_code)]
#![expect(clippy::std_instead_of_core, reason = "a program stands on std; one spelling reads better")]

mod cli;
mod config;
mod failure;
mod lines;
mod messages;
mod overlay;
mod prometheus;
mod protocol;
mod table;
mod tools;

#[cfg(unix)]
mod agent;
#[cfg(unix)]
mod answer;
#[cfg(unix)]
mod client;
#[cfg(unix)]
mod control;
#[cfg(unix)]
mod follow;
#[cfg(unix)]
mod hub;
#[cfg(unix)]
mod paths;
#[cfg(unix)]
mod streams;
#[cfg(not(unix))]
#[path = "unsupported.rs"]
mod unsupported;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Does};
use failure::Failure;

#[cfg(not(unix))]
use unsupported::{agent, client};

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => finish(run(cli)),
        Err(error) => {
            let _ = error.print();
            if error.use_stderr() { ExitCode::from(Failure::USAGE) } else { ExitCode::SUCCESS }
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let Cli { does, control, json } = cli;
    match does {
        Does::Agent(args) => agent::run(&args, control, json),
        Does::Ask(ask) => client::run(&ask, control, json),
        Does::Estimate(args) => tools::estimate(&args, json),
        Does::Replay(args) => tools::replay(&args, json),
    }
}

fn finish(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bruit: {failure}");
            ExitCode::from(failure.code())
        }
    }
}
