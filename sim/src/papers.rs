//! The experiments of the papers that membership and broadcast build on, repeated here and printed beside the
//! papers' own numbers.
//!
//! | name | paper | question |
//! |---|---|---|
//! | `lifeguard` | Dadgar, Phillips, Currey 2018, §V and tables IV, VI | how many healthy members are called failed while others stand still |
//! | `rapid` | Suresh et al., USENIX ATC 2018, §7 | what ten members with a bad link do to the views of a thousand |
//! | `bimodal` | Birman et al., TOCS 17(2), 1999, §5 | do almost all or almost none deliver, as the recurrence says |
//! | `perturbed` | the same, §6 | what healthy members receive while others sleep |
//! | `broadcast` | Plumtree §4, the goals of DESIGN | time, hops, bytes and repeats of a broadcast |
//! | `detection` | SWIM §5, and the peers of DESIGN | how soon a crash is known, at which price in false alarms |

mod bimodal;
mod broadcast;
mod collapse;
mod counts;
mod detection;

mod lifeguard;
mod listener;
mod perturbed;
mod rapid;
mod recurrence;
mod spread;
mod subject;

use core::error::Error;
use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::Mutex;

use indicatif::{ProgressBar, ProgressStyle};

/// The experiments, by name, with what each asks.
pub const NAMES: [(&str, &str); 6] = [
    ("lifeguard", "false failures while some members stand still: six detectors on one grid of anomalies"),
    ("rapid", "flip-flop and 80 % loss at ten members of a thousand: who oscillates, and for how long"),
    ("detection", "one crash among many: first and last to know, false alarms, stragglers"),
    ("bimodal", "10^5 broadcasts to 50 members at 5 % loss: all or nothing, beside the exact recurrence"),
    (
        "perturbed",
        "a quarter of the members asleep: what the healthy ones receive, beside a sender that waits",
    ),
    ("broadcast", "time, hops, bytes and repeats of a broadcast, beside the goals"),
];

/// Those that draw a figure.
pub const FIGURES: [&str; 2] = ["bimodal", "perturbed"];

/// Those that give their numbers to programs as well.
pub const NUMBERS: [&str; 3] = ["bimodal", "perturbed", "broadcast"];

/// How large an experiment is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The first seed.
    pub seed: u64,
    /// How much of the experiment's own size is run: one in so many runs. 1 for all of it.
    pub one_in: u32,
    /// Members, if other than the paper's.
    pub members: Option<u32>,
    /// Broadcasts, if other than `one_in` says.
    pub broadcasts: Option<u64>,
    /// Threads; the result does not depend on it.
    pub threads: usize,
    /// Whether a progress bar is drawn on the error output.
    pub progress: bool,
}

impl Default for Options {
    /// A tenth, on every core.
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self { seed: 1, one_in: 10, members: None, broadcasts: None, threads, progress: true }
    }
}

/// What an experiment found.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// For people: tables.
    pub text: String,
    /// As SVG, if it has a figure.
    pub figure: Option<String>,
    /// For programs, if it has them.
    pub numbers: Option<serde_json::Value>,
}

impl From<String> for Report {
    fn from(text: String) -> Self {
        Self { text, figure: None, numbers: None }
    }
}

/// No experiment has this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownPaper(pub String);

impl fmt::Display for UnknownPaper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
        write!(f, "no experiment is called `{}`; there are {}", self.0, names.join(", "))
    }
}

impl Error for UnknownPaper {}

/// Runs an experiment and returns its report.
///
/// # Errors
/// There is none of that name.
pub fn run(name: &str, options: &Options) -> Result<Report, UnknownPaper> {
    match name {
        "lifeguard" => Ok(lifeguard::run(options).into()),
        "rapid" => Ok(rapid::run(options).into()),
        "detection" => Ok(detection::run(options).into()),
        "bimodal" => Ok(bimodal::run(options)),
        "perturbed" => Ok(perturbed::run(options)),
        "broadcast" => Ok(broadcast::run(options)),
        other => Err(UnknownPaper(other.to_owned())),
    }
}

/// Does all jobs on the threads, and returns the results in the order of the jobs.
fn in_parallel<J: Sync, R: Send>(
    jobs: &[J],
    options: &Options,
    what: &'static str,
    work: impl Fn(&J) -> R + Sync,
) -> Vec<R> {
    let bar = if options.progress { ProgressBar::new(jobs.len() as u64) } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}");
    bar.set_style(style.expect("the template is well formed"));
    bar.set_message(what);
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<R>>> = Mutex::new(jobs.iter().map(|_| None).collect());
    std::thread::scope(|scope| {
        for _ in 0..options.threads.max(1) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(number) else { return };
                    let result = work(job);
                    results.lock().expect("no job panics while it holds the results")[number] = Some(result);
                    bar.inc(1);
                }
            });
        }
    });
    bar.finish_and_clear();
    let results = results.into_inner().expect("no job has panicked");
    results.into_iter().map(|result| result.expect("every job was done")).collect()
}

/// The value below which `percent` of the sorted values lie.
fn percentile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let place = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(place).copied()
}

fn seconds(duration: Option<Duration>) -> String {
    duration.map_or("-".to_owned(), |duration| format!("{:.2} s", duration.as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = run("nothing", &Options::default()).expect_err("there is none");
        assert!(error.to_string().contains("lifeguard, rapid, detection"));
    }

    #[test]
    fn results_come_in_the_order_of_the_jobs() {
        let options = Options { threads: 3, progress: false, ..Options::default() };
        assert_eq!(in_parallel(&[5, 3, 9], &options, "test", |job| job * 2), [10, 6, 18]);
    }

    #[test]
    fn percentiles() {
        let values: Vec<Duration> = (1..=100).map(Duration::from_secs).collect();
        assert_eq!(percentile(&values, 50), Some(Duration::from_secs(50)));
        assert_eq!(percentile(&values, 99), Some(Duration::from_secs(99)));
        assert_eq!(percentile(&[], 50), None);
    }

    #[test]
    fn each_experiment_runs_small_and_twice_the_same() {
        for (name, _) in NAMES {
            let options = Options { one_in: 1_000, members: Some(12), progress: false, ..Options::default() };
            let first = run(name, &options).expect("it exists");
            assert_eq!(first, run(name, &Options { threads: 1, ..options }).expect("it exists"), "{name}");
            assert_eq!(first.figure.is_some(), FIGURES.contains(&name));
            assert_eq!(first.numbers.is_some(), NUMBERS.contains(&name));
            assert!(first.text.lines().count() >= 5, "{}", first.text);
        }
    }
}
