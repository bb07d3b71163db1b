//! The tour: one cluster goes through several faults, and at the end each check reports its verdict.

mod bars;
mod story;

use std::io::Write;

use bruit_sim::checks;
use bruit_sim::faults::trial::hash_text;

use super::{Exit, Failure};
use story::Story;

pub(super) fn run(seed: u64, out: &mut impl Write) -> Result<Exit, Failure> {
    let mut story = Story::new(seed);
    writeln!(
        out,
        "bruit-sim: {} members of one cluster, simulated in one process with seed {seed}.",
        story::NODES
    )?;
    writeln!(out, "Links take 1 to 10 ms and lose 5 % of all datagrams during the whole run.\n")?;
    writeln!(out, "{:>9}  {:<66} members that each sees", "time", "what happens")?;
    let violation = story.run(out)?;
    writeln!(out)?;
    verdicts(violation.as_ref(), out)?;
    let (sim, counters) = (story.sim(), story.sim().cluster().counters());
    let seconds = sim.now().as_millis() / 1_000;
    let nodes = u64::from(story::NODES);
    let rate = counters.sent_bytes / nodes / seconds.max(1);
    writeln!(out)?;
    writeln!(
        out,
        "{} datagrams, {} kB in {seconds} s: {rate} bytes a second and member. {} were lost.",
        counters.sent,
        counters.sent_bytes / 1_000,
        counters.dropped_all(),
    )?;
    writeln!(
        out,
        "trace {}: the same on every machine. For another run: bruit-sim --seed {}",
        hash_text(sim.trace_hash()),
        seed + 1
    )?;
    writeln!(out, "Next: bruit-sim sweep --seeds 0..100   bruit-sim run partition-heals   bruit-sim --help")?;
    Ok(if violation.is_some() { Exit::Violated } else { Exit::Held })
}

fn verdicts(violation: Option<&bruit_sim::Violation>, out: &mut impl Write) -> Result<(), Failure> {
    let failed = |id: &str| violation.is_some_and(|violation| violation.check == id);
    let cell = |(id, promise): (&str, &str)| {
        format!("{id:>4} {promise:<39}{:<6}", if failed(id) { "FAILED" } else { "held" })
    };
    let cells: Vec<String> = checks::promises().map(cell).collect();
    let (left, right) = cells.split_at(cells.len().div_ceil(2));
    for (row, left) in left.iter().enumerate() {
        let line = format!("{left}{}", right.get(row).map_or("", String::as_str));
        writeln!(out, "{}", line.trim_end())?;
    }
    if let Some(violation) = violation {
        writeln!(out, "\nVIOLATION {violation}")?;
    }
    Ok(())
}
