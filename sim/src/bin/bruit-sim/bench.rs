//! `bench`: measures how many datagrams the simulator handles in a second of CPU time.

mod load;

use core::time::Duration;
use std::io::Write;

use bruit_sim::faults::trial::hash_text;

use super::{Exit, Failure};
use load::Measured;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The number of processes
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    nodes: u32,
    /// How many simulated seconds are measured
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

pub(super) fn run(arguments: &Arguments, out: &mut impl Write) -> Result<Exit, Failure> {
    let simulated = Duration::from_secs(arguments.seconds);
    writeln!(out, "load       nodes   simulated   datagrams   CPU s   datagrams/CPU s   trace")?;
    type Load = fn(u32, Duration) -> Result<Measured, bruit_sim::Violation>;
    let loads: [(&str, Load); 2] = [("chatter", load::chatter), ("members", load::members)];
    for (name, load) in loads {
        match load(arguments.nodes, simulated) {
            Ok(measured) => line(name, &measured, out)?,
            Err(violation) => {
                writeln!(out, "VIOLATION {violation}")?;
                return Ok(Exit::Violated);
            }
        }
    }
    Ok(Exit::Held)
}

fn line(name: &str, measured: &Measured, out: &mut impl Write) -> Result<(), Failure> {
    let Measured { nodes, simulated, datagrams, cpu, hash } = measured;
    let (seconds, cpu, rate, hash) =
        (simulated.as_secs(), cpu.as_secs_f64(), measured.rate(), hash_text(*hash));
    writeln!(out, "{name:<8} {nodes:>7} {seconds:>10}s {datagrams:>11} {cpu:>7.3} {rate:>17}   {hash}")?;
    Ok(())
}
