//! The `bruit` command. `bruit agent` runs a member of a cluster; the other commands ask it over a local socket.
//!
//! Exit codes: 0 done, 1 refused, 2 no agent reachable, 3 wrong usage. `--json` prints one JSON value a line.
//!
//! ```text
//! the command line              the agent                       the other commands
//! cli.rs      the arguments     agent.rs    the running member  client.rs      request and reply
//! config.rs   the settings      hub.rs      copies of notices   connection.rs  the client's end of the socket
//! overlay.rs  the TOML file     control.rs  the local socket    follow.rs      commands with several replies
//! duration.rs durations         answer.rs   requests, replies   text.rs        replies as text
//! failure.rs  exit codes        streams.rs  several replies     tools.rs       estimate, replay
//!
//! both ends: paths.rs the socket's place, protocol.rs its requests and replies, messages.rs broadcasts
//! output:    lines.rs the agent's lines, label.rs, table.rs, prometheus.rs
//! ```
#![forbid(unsafe_code)]
#![expect(clippy::std_instead_of_core, reason = "a program is built on std, and one spelling reads better")]

mod cli;
mod config;
mod duration;
mod failure;
mod label;
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
mod connection;
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
#[cfg(unix)]
mod text;
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
