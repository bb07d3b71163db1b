//! bruit-core beside foca on the same work, in one run: `tests/peers/run` builds this, counts instructions with
//! callgrind and prints the table of the README.
//!
//! `bruit-peers LIBRARY CASE N` prints one line: library, case, n, the nanoseconds and allocations of one round, the units of a
//! round, and a checksum of the results. With `BRUIT_PEERS_ROUNDS` set it does exactly this many rounds once, for callgrind.
//!
//! | case | one round |
//! |---|---|
//! | `ping` | a ping from a member with an equal table arrives, and an ack is sent; the senders are members from all parts of the table |
//! | `drained` | as `ping`, and the ping carries five new updates (members at their next incarnation); no update waits to be sent |
//! | `five` | as `drained`, while updates of earlier rounds wait to be sent, as many as fit each ack |
//! | `full` | as `ping`, and the ping carries as many new updates as fit in 1 400 bytes; the unit is one update |
//! | `doubts` | as `five`, with five suspicions of living members and, in the next round, their refutations |
//! | `period` | one protocol period of a settled node: tick, ping, ack, and everything else that is due |
//! | `bytes` | a settled cluster, 1 ms links: payload bytes sent by one node in a second |
//! | `memory` | allocator bytes for one entry of a full table, names of 10 bytes, no metadata |

mod bruit;
mod count;
mod foca_;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Work that can be repeated.
pub trait Case {
    /// Does one round. Returns a value that depends on the results.
    fn round(&mut self) -> u64;

    /// The time spent in the library since the last call; `None` if a round does nothing else.
    fn spent(&mut self) -> Option<Duration> {
        None
    }

    /// The number of units in a round.
    fn units(&self) -> u64 {
        1
    }
}

/// Whether the updates that wait to be sent are sent, unmeasured, before each round.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Drains {
    First,
    Never,
}

/// Whether the rounds are measured. Only then the libraries are called in the functions in which callgrind collects.
static COUNTS: AtomicBool = AtomicBool::new(false);

/// Whether the rounds are measured, as [`COUNTS`] says.
pub fn counts() -> bool {
    COUNTS.load(Relaxed)
}

fn run(case: &mut dyn Case, rounds: u64) -> u64 {
    let mut checksum = 0_u64;
    for _ in 0..rounds {
        checksum = checksum.rotate_left(5) ^ std::hint::black_box(case.round());
    }
    checksum
}

/// Does work of other members, whose allocations are not counted.
pub fn outside<R>(work: impl FnOnce() -> R) -> R {
    count::paused(work)
}

/// The time that reading the clock twice takes.
fn clock() -> Duration {
    (0..1_000).map(|_| Instant::now().elapsed()).min().unwrap_or_default()
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let [_, library, what, n] = args.as_slice() else {
        eprintln!("usage: bruit-peers bruit|foca ping|drained|five|full|doubts|period|bytes|memory N");
        std::process::exit(3);
    };
    let n: u32 = n.parse().expect("a number of members");
    if what == "bytes" || what == "memory" {
        let value = match (library.as_str(), what.as_str()) {
            ("bruit", "bytes") => bruit::settled_bytes(n),
            ("bruit", _) => bruit::memory(n),
            (_, "bytes") => foca_::settled_bytes(n),
            (_, _) => foca_::memory(n),
        };
        println!("{library} {what} {n} {value}");
        return;
    }
    let exact = std::env::var("BRUIT_PEERS_ROUNDS").ok().and_then(|rounds| rounds.parse::<u64>().ok());
    let (warm_up, batches) = (200, 15);
    let rounds = exact.unwrap_or(if what == "full" { 500 } else { 2_000 });
    // An update is new only once, so a case makes as many as there will be rounds.
    let all = (warm_up + rounds * if exact.is_some() { 1 } else { batches }) as usize;
    let mut case: Box<dyn Case> = match library.as_str() {
        "bruit" => bruit::case(what, n, all),
        "foca" => foca_::case(what, n, all),
        other => panic!("no library {other}"),
    };
    let units = case.units();
    for _ in 0..warm_up {
        case.round();
    }
    COUNTS.store(true, Relaxed);
    if exact.is_some() {
        let checksum = run(&mut *case, rounds);
        println!("{library} {what} {n} rounds {rounds} units {units} checksum {checksum:016x}");
        return;
    }
    let (mut best, mut checksum, mut allocations) = (f64::MAX, 0, 0);
    let clock = clock() * 2;
    for _ in 0..batches {
        case.spent();
        let before = count::read();
        let start = Instant::now();
        checksum ^= run(&mut *case, rounds);
        let whole = start.elapsed();
        let took = case.spent().map_or(whole, |spent| spent.saturating_sub(clock * rounds as u32));
        best = best.min(took.as_nanos() as f64 / rounds as f64);
        allocations = count::read().calls - before.calls;
    }
    let allocations = allocations as f64 / rounds as f64;
    println!(
        "{library} {what} {n} ns {best:.1} allocations {allocations:.2} units {units} checksum {checksum:016x}"
    );
}
