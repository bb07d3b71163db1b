//! The table of every preset, with and without partitions.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::options::{Nemesis, Options};
use super::report::{Report, Verdict};
use super::run::run;
use crate::preset::Preset;

/// The reports of all presets, with and without partitions.
#[derive(Debug)]
pub struct Table {
    /// The reports in the order of [`Preset::ALL`], for each preset first without and then with partitions.
    pub reports: Vec<Report>,
}

impl Table {
    /// Runs `base` under every preset, without and with partitions, on `jobs` threads. The number of threads does not
    /// change the result. `done` is called after each run.
    ///
    /// # Errors
    /// See [`run`].
    ///
    /// # Panics
    /// See [`run`].
    pub fn run(base: &Options, jobs: usize, done: impl Fn() + Sync) -> Result<Self, String> {
        let each = |preset| [None, Some(Nemesis::Partition)].map(|nemesis| (preset, nemesis));
        let rows: Vec<Options> = Preset::ALL
            .into_iter()
            .flat_map(each)
            .map(|(preset, nemesis)| Options { preset, nemesis, ..base.clone() })
            .collect();
        let (next, reports) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        thread::scope(|scope| {
            for _ in 0..jobs.max(1) {
                scope.spawn(|| {
                    while let Some((place, options)) = claim(&rows, &next) {
                        let report = run(options);
                        reports.lock().expect("no other thread panicked").push((place, report));
                        done();
                    }
                });
            }
        });
        let mut reports = reports.into_inner().expect("no thread panicked");
        reports.sort_by_key(|(place, _)| *place);
        let reports: Result<_, _> = reports.into_iter().map(|(_, report)| report).collect();
        Ok(Self { reports: reports? })
    }

    /// The worst verdict of all runs.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let worst = self.reports.iter().map(|report| report.verdict).max_by_key(|verdict| *verdict as u8);
        worst.unwrap_or(Verdict::Unknown)
    }
}

fn claim<'a>(rows: &'a [Options], next: &AtomicUsize) -> Option<(usize, &'a Options)> {
    let place = next.fetch_add(1, Ordering::Relaxed);
    rows.get(place).map(|options| (place, options))
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<10} {:<10} {:>9} {:>8} {:>8} {:>8} {:>6}  verdict",
            "preset", "nemesis", "msgs/op", "median", "p95", "max", "lost"
        )?;
        for report in &self.reports {
            let nemesis = if report.options.nemesis.is_some() { "partition" } else { "-" };
            let latencies =
                report.workload.as_ref().map(|result| result.stable_latencies).unwrap_or_default();
            writeln!(
                f,
                "{:<10} {:<10} {:>9.2} {:>8} {:>8} {:>8} {:>6}  {}",
                report.options.preset.name(),
                nemesis,
                report.msgs_per_op,
                format!("{} ms", latencies.median),
                format!("{} ms", latencies.p95),
                format!("{} ms", latencies.max),
                report.lost_count,
                report.verdict
            )?;
        }
        Ok(())
    }
}
