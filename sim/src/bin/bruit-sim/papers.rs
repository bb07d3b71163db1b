//! The experiments of the papers that membership and broadcast build on. Their results are printed beside those of the papers.
//!
//! | name | paper | question |
//! |---|---|---|
//! | `lifeguard` | Dadgar, Phillips, Currey 2018, §V and tables IV, VI | how many healthy members are called failed while others are paused |
//! | `rapid` | Suresh et al., USENIX ATC 2018, §7 | how ten members with a bad link affect the views of a thousand |
//! | `bimodal` | Birman et al., TOCS 17(2), 1999, §5 | whether almost all or almost no members deliver, as the recurrence predicts |
//! | `perturbed` | the same, §6 | what healthy members receive while others are paused |
//! | `broadcast` | Plumtree §4 | time, hops, bytes and redundancy of a broadcast |
//! | `detection` | SWIM §5, foca, serf, chitchat | how soon a crash is known, and how many false alarms there are |

mod bimodal;
mod broadcast;
mod collapse;
mod counts;
mod detection;
mod lifeguard;
mod perturbed;
mod rapid;
mod recorder;
mod recurrence;
mod spread;
mod subject;

use core::error::Error;
use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::Mutex;

use indicatif::{ProgressBar, ProgressStyle};

/// The names of the experiments, with one line about each.
pub(crate) const NAMES: [(&str, &str); 6] = [
    ("lifeguard", "false failures while some members are paused: six detectors on one grid of anomalies"),
    (
        "rapid",
        "flip-flop and 80 % loss at ten members of a thousand: which views oscillate, and for how long",
    ),
    ("detection", "one crash among many: the first and last observer, false alarms, stragglers"),
    ("bimodal", "10^5 broadcasts to 50 members at 5 % loss: all or nothing, beside the exact recurrence"),
    (
        "perturbed",
        "a quarter of the members paused: what the healthy ones receive, beside a sender that waits",
    ),
    ("broadcast", "time, hops, bytes and redundancy of a broadcast, beside the goals"),
];

/// The experiments that have a figure.
pub(crate) const FIGURES: [&str; 2] = ["bimodal", "perturbed"];

/// The experiments that have their numbers as JSON.
pub(crate) const NUMBERS: [&str; 3] = ["bimodal", "perturbed", "broadcast"];

/// The size of an experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// The first seed.
    pub(crate) seed: u64,
    /// One of this many runs of the experiment is done; 1 does all of them.
    pub(crate) one_in: u32,
    /// The number of members, if not that of the paper.
    pub(crate) members: Option<u32>,
    /// The number of broadcasts, if not that which follows from `one_in`.
    pub(crate) broadcasts: Option<u64>,
    /// The number of threads. The result does not depend on it.
    pub(crate) threads: usize,
    /// Whether a progress bar is shown on the error output.
    pub(crate) progress: bool,
}

impl Default for Options {
    /// A tenth of the runs, on all cores.
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self { seed: 1, one_in: 10, members: None, broadcasts: None, threads, progress: true }
    }
}

/// The result of an experiment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Report {
    /// Tables for people.
    pub(crate) text: String,
    /// The figure as SVG, if there is one.
    pub(crate) figure: Option<String>,
    /// The numbers as JSON, if there are any.
    pub(crate) numbers: Option<serde_json::Value>,
}

impl From<String> for Report {
    fn from(text: String) -> Self {
        Self { text, figure: None, numbers: None }
    }
}

/// The error for a name that no experiment has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnknownPaper(String);

impl fmt::Display for UnknownPaper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
        write!(f, "no experiment has the name `{}`; there are {}", self.0, names.join(", "))
    }
}

impl Error for UnknownPaper {}

/// Runs an experiment and returns its report.
///
/// # Errors
/// No experiment has this name.
pub(crate) fn run(name: &str, options: &Options) -> Result<Report, UnknownPaper> {
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

/// Does all jobs on several threads. Returns the results in the order of the jobs.
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
