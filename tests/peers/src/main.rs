//! bruit-core beside foca on the same work, in one run: `tests/peers/run` builds this, counts instructions with
//! callgrind and prints the table of the README.
//!
//! `bruit-peers LIBRARY CASE N` prints one line: library, case, n, nanoseconds, allocations and allocated bytes
//! for one round, the rounds, and a checksum of what was computed. With `BRUIT_PEERS_ROUNDS` set it does exactly
//! so many rounds once, for callgrind.
//!
//! | case | one round |
//! |---|---|
//! | `ping` | a ping from a member of equal view comes in, an ack goes out; senders are spread over the table |
//! | `five` | the same, and the ping carries five fresh updates (members that speak up again) |
//! | `full` | the same with as many fresh updates as fit in 1 400 bytes; their number is the unit |
//! | `period` | one protocol period of a settled node: tick, ping out, ack in, and whatever else is due |
//! | `bytes` | a settled cluster, 1 ms links: payload bytes sent by one node in a second |
//! | `memory` | allocator bytes for one entry of a full table, names of 10 bytes, no metadata |

mod bruit;
mod count;
mod foca_;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Work that can be repeated.
pub trait Case {
    /// One round. Returns something that depends on what was computed.
    fn round(&mut self) -> u64;

    /// Time spent in the library since the last call, where the rounds do other things too.
    fn spent(&mut self) -> Option<Duration> {
        None
    }

    /// What one round is divided by.
    fn units(&self) -> u64 {
        1
    }
}

/// Whether the rounds count: only then the libraries are called where callgrind collects.
static COUNTS: AtomicBool = AtomicBool::new(false);

/// See [`COUNTS`].
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

/// The work of others, whose allocations are not counted.
pub fn outside<R>(work: impl FnOnce() -> R) -> R {
    count::paused(work)
}

/// What the clock takes to be read twice.
fn clock() -> Duration {
    (0..1_000).map(|_| Instant::now().elapsed()).min().unwrap_or_default()
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let [_, library, what, n] = args.as_slice() else {
        eprintln!("usage: bruit-peers bruit|foca ping|five|full|period|bytes|memory N");
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
    // Updates are fresh once only, so a case makes as many as there will be rounds.
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
