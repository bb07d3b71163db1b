//! The tour: what a newcomer sees first. One cluster, told as a story, and the verdict of every check.

mod bars;
mod story;

use std::io::Write;

use bruit_sim::trial::hash_text;

use super::{Exit, Failure};
use story::Story;

pub(super) fn run(seed: u64, out: &mut impl Write) -> Result<Exit, Failure> {
    let mut story = Story::new(seed);
    writeln!(
        out,
        "bruit-sim: {} members of one cluster, in one process, decided by seed {seed}.",
        story::NODES
    )?;
    writeln!(out, "Links take 1 to 10 ms and lose 5 % of all datagrams, all the time.\n")?;
    writeln!(out, "{:>9}  {:<66} members each sees", "time", "what happens")?;
    let told = story.tell(out)?;
    writeln!(out)?;
    verdicts(told.as_ref(), out)?;
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
        "trace {}: the same on every machine. Another run: bruit-sim --seed {}",
        hash_text(sim.trace_hash()),
        seed + 1
    )?;
    writeln!(out, "Next: bruit-sim sweep --seeds 0..100   bruit-sim run partition-heals   bruit-sim --help")?;
    Ok(if told.is_some() { Exit::Violated } else { Exit::Held })
}

/// What each check promises, in the order of the table.
const PROMISES: [(&str, &str); 17] = [
    ("CM1", "all notice a crash within the bound"),
    ("CM2", "nobody well and near is called Down"),
    ("CM3", "the dead stay dead"),
    ("CM4", "incarnations rise, for a reason"),
    ("CM5", "news in any order: the same table"),
    ("CM6", "wrong suspicions are cleared in time"),
    ("CM7", "whoever can talk agrees"),
    ("CM8", "a leave is no failure"),
    ("CM9", "traffic is bounded"),
    ("CM10", "a join ends, everywhere"),
    ("CM11", "notices follow one grammar"),
    ("CM12", "verdicts do not oscillate"),
    ("CM13", "two processes of one id are told"),
    ("CS2", "every datagram is accounted for"),
    ("CS3", "nothing arrives too early"),
    ("CS5", "the crashed are silent"),
    ("CS8", "every datagram decodes and fits"),
];

fn verdicts(violation: Option<&bruit_sim::Violation>, out: &mut impl Write) -> Result<(), Failure> {
    let failed = |id: &str| violation.is_some_and(|violation| violation.check == id);
    let cell = |(id, promise): &(&str, &str)| {
        format!("{id:>4} {promise:<37}{:<6}", if failed(id) { "FAILED" } else { "held" })
    };
    let (left, right) = PROMISES.split_at(PROMISES.len().div_ceil(2));
    for (row, promise) in left.iter().enumerate() {
        let line = cell(promise) + &right.get(row).map(cell).unwrap_or_default();
        writeln!(out, "{}", line.trim_end())?;
    }
    if let Some(violation) = violation {
        writeln!(out, "\nVIOLATION {violation}")?;
    }
    Ok(())
}
