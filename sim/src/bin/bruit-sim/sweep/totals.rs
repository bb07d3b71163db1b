//! What only many runs together show: how long healing takes (check CM7), and how much each check has judged.

use core::fmt;
use core::time::Duration;
use std::io::{self, Write};

use bruit_sim::faults::trial::Outcome;

/// The number of runs below which the times of healing are printed and not judged.
const RUNS_MIN: usize = 20;

/// The times from healing to agreement of all runs, each with the times within which half of the runs and nineteen of
/// twenty must agree.
#[derive(Default)]
pub(super) struct Totals {
    healed: Vec<Healed>,
    judged: Vec<(&'static str, u64)>,
}

#[derive(Clone, Copy)]
struct Healed {
    took: Duration,
    soon: Duration,
    usual: Duration,
}

/// The results of one run that are added to the totals.
pub(super) struct Part {
    healed: Option<Healed>,
    judged: Vec<(&'static str, u64)>,
}

impl Part {
    pub(super) fn of(outcome: &Outcome) -> Self {
        let healed = outcome.healed_in.zip(outcome.expected);
        let healed = healed.map(|(took, (soon, usual))| Healed { took, soon, usual });
        Self { healed, judged: outcome.judged.clone() }
    }
}

/// A rate of the whole sweep that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TooSlow {
    late: usize,
    runs: usize,
    allowed: usize,
    rate: &'static str,
}

impl fmt::Display for TooSlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { late, runs, allowed, rate } = self;
        write!(f, "CM7: {late} of {runs} runs agree later than {rate} must; {allowed} may")
    }
}

impl Totals {
    pub(super) fn add(&mut self, part: &Part) {
        self.healed.extend(part.healed);
        if self.judged.is_empty() {
            self.judged.clone_from(&part.judged);
            return;
        }
        for ((_, total), (_, count)) in self.judged.iter_mut().zip(&part.judged) {
            *total += count;
        }
    }

    /// The rates of healing that do not hold: half of the runs must agree soon, and nineteen of twenty within the usual
    /// time.
    pub(super) fn too_slow(&self) -> Vec<TooSlow> {
        let runs = self.healed.len();
        if runs < RUNS_MIN {
            return Vec::new();
        }
        let late = |limit: fn(&Healed) -> Duration| {
            self.healed.iter().filter(|healed| healed.took > limit(healed)).count()
        };
        let rates = [
            (late(|healed| healed.soon), runs / 2, "half of them"),
            (late(|healed| healed.usual), runs / 20, "19 of 20"),
        ];
        let over = rates.into_iter().filter(|(late, allowed, _)| late > allowed);
        over.map(|(late, allowed, rate)| TooSlow { late, runs, allowed, rate }).collect()
    }

    /// The checks that have judged nothing in the whole sweep.
    pub(super) fn idle(&self) -> Vec<&'static str> {
        self.judged.iter().filter(|(_, count)| *count == 0).map(|(id, _)| *id).collect()
    }

    /// The times of healing: the median, the 99th of 100, and the longest.
    fn quantiles(&self) -> Option<[Duration; 3]> {
        let mut took: Vec<Duration> = self.healed.iter().map(|healed| healed.took).collect();
        took.sort_unstable();
        let at = |percent: usize| took.get((took.len() * percent / 100).min(took.len().saturating_sub(1)));
        Some([*at(50)?, *at(99)?, *took.last()?])
    }

    pub(super) fn describe(&self, out: &mut impl Write) -> io::Result<()> {
        if let Some([median, most, longest]) = self.quantiles() {
            writeln!(out, "healed in {median:.1?} (median), {most:.1?} (99 %), {longest:.1?} (longest)")?;
        }
        for slow in self.too_slow() {
            writeln!(out, "{slow}")?;
        }
        let judged: Vec<String> = self.judged.iter().map(|(id, count)| format!("{id} {count}")).collect();
        writeln!(out, "judged: {}", judged.join(", "))?;
        let idle = self.idle();
        if !idle.is_empty() {
            writeln!(out, "judged nothing: {}", idle.join(", "))?;
        }
        Ok(())
    }

    /// The totals as one JSON object.
    pub(super) fn json(&self) -> serde_json::Value {
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let judged: serde_json::Map<_, _> =
            self.judged.iter().map(|(id, count)| ((*id).to_owned(), (*count).into())).collect();
        let too_slow: Vec<String> = self.too_slow().iter().map(TooSlow::to_string).collect();
        serde_json::json!({
            "judged": judged,
            "judged_nothing": self.idle(),
            "healed_in": self.quantiles().map(|quantiles| quantiles.map(nanos)),
            "too_slow": too_slow,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(seconds: impl IntoIterator<Item = u64>) -> Totals {
        let mut totals = Totals::default();
        for took in seconds {
            let healed = Healed {
                took: Duration::from_secs(took),
                soon: Duration::from_secs(2),
                usual: Duration::from_secs(9),
            };
            totals.add(&Part { healed: Some(healed), judged: vec![("CM1", took), ("CM2", 0)] });
        }
        totals
    }

    #[test]
    fn a_sweep_in_which_more_than_a_twentieth_heals_late_is_found() {
        assert_eq!(totals((0..100).map(|run| if run < 5 { 60 } else { 1 })).too_slow(), []);
        let slow = totals((0..100).map(|run| if run < 6 { 60 } else { 1 })).too_slow();
        assert_eq!(slow.len(), 1);
        assert_eq!(slow[0].to_string(), "CM7: 6 of 100 runs agree later than 19 of 20 must; 5 may");
    }

    #[test]
    fn a_sweep_in_which_half_heals_late_is_found() {
        assert_eq!(totals((0..100).map(|run| run % 2 * 5)).too_slow(), []);
        assert_eq!(totals((0..100).map(|run| if run < 51 { 5 } else { 0 })).too_slow().len(), 1);
    }

    #[test]
    fn few_runs_are_not_judged() {
        assert_eq!(totals([60; 19]).too_slow(), []);
    }

    #[test]
    fn judgements_are_added_and_a_check_that_judged_nothing_is_named() {
        let totals = totals([1, 2, 3]);
        assert_eq!((totals.idle(), totals.judged[0]), (vec!["CM2"], ("CM1", 6)));
        let mut text = Vec::new();
        totals.describe(&mut text).expect("it can be written");
        let text = String::from_utf8(text).expect("it is text");
        assert_eq!(
            text,
            "healed in 2.0s (median), 3.0s (99 %), 3.0s (longest)\njudged: CM1 6, CM2 0\njudged nothing: CM2\n"
        );
    }
}
