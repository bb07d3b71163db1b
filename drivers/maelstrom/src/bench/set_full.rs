//! Jepsen's checker `set-full`, which Maelstrom applies to broadcasts. It takes the reads of all clients together and
//! decides for each element when it was known, when it was last seen and when it was last missed.
//!
//! | word | meaning for an element |
//! |---|---|
//! | known | the earlier of its acknowledgement and the end of the first read that shows it |
//! | present | the latest invoked read that shows it |
//! | absent | the latest invoked read that does not show it |
//! | stable | present was invoked after absent |
//! | lost | it is known, and absent was invoked after both known and present |
//! | stable latency | the time from known until absent was invoked, in whole milliseconds; 0 if it was never absent |

use serde::Serialize;

use super::history::{Add, History, Moment, Read};

/// The result of the checker `set-full`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SetFull {
    /// The number of elements that were broadcast.
    pub attempt_count: usize,
    /// The number of stable elements.
    pub stable_count: usize,
    /// The lost elements.
    pub lost: Vec<u64>,
    /// The elements that are neither: no read shows them, or none was late enough to decide.
    pub never_read: Vec<u64>,
    /// The number of stable elements that a read missed after they were known.
    pub stale_count: usize,
    /// The stable latencies in milliseconds.
    pub stable_latencies: Quantiles,
}

/// The quantiles that Maelstrom shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Quantiles {
    /// The smallest value.
    #[serde(rename = "0")]
    pub min: u64,
    /// The median.
    #[serde(rename = "0.5")]
    pub median: u64,
    /// The value that 95 % of the values do not exceed.
    #[serde(rename = "0.95")]
    pub p95: u64,
    /// The value that 99 % of the values do not exceed.
    #[serde(rename = "0.99")]
    pub p99: u64,
    /// The greatest value.
    #[serde(rename = "1")]
    pub max: u64,
}

impl Quantiles {
    /// The quantiles of these values. Like Jepsen, it takes the value at index ⌊n·q⌋.
    fn of(mut values: Vec<u64>) -> Self {
        values.sort_unstable();
        let at = |hundredths: usize| {
            let place = (values.len() * hundredths / 100).min(values.len().saturating_sub(1));
            values.get(place).copied().unwrap_or(0)
        };
        Self { min: at(0), median: at(50), p95: at(95), p99: at(99), max: at(100) }
    }
}

/// The result for one element.
enum Fate {
    /// The element is stable, with this stable latency in milliseconds.
    Stable(u64),
    Lost,
    NeverRead,
}

/// The point at which an element is known.
pub(super) fn known(add: &Add, reads: &[Read]) -> Option<Moment> {
    let seen = reads.iter().find(|read| read.elements.contains(add.element)).map(|read| read.ok);
    [add.ok, seen].into_iter().flatten().min_by_key(|moment| moment.index)
}

fn fate(add: &Add, reads: &[Read]) -> Fate {
    let known = known(add, reads);
    let (mut present, mut absent): (Option<Moment>, Option<Moment>) = (None, None);
    // A read that ended before the element existed says nothing about it.
    let start = reads.partition_point(|read| read.ok.index < add.invoked.index);
    for read in &reads[start..] {
        let last = if read.elements.contains(add.element) { &mut present } else { &mut absent };
        if last.is_none_or(|last| last.index < read.invoked.index) {
            *last = Some(read.invoked);
        }
    }
    let index = |moment: Option<Moment>| moment.map_or(0, |moment| moment.index);
    match (known, present, absent) {
        (Some(known), Some(present), absent) if index(absent) < present.index => {
            let missed = absent.map_or(0, |absent| absent.time.since(known.time).as_millis());
            Fate::Stable(u64::try_from(missed).unwrap_or(u64::MAX))
        }
        (Some(known), present, Some(absent)) if known.index.max(index(present)) < absent.index => Fate::Lost,
        _ => Fate::NeverRead,
    }
}

/// Checks a history.
pub(super) fn check(history: &History) -> SetFull {
    let mut result = SetFull { attempt_count: history.adds.len(), ..SetFull::default() };
    let mut latencies = Vec::with_capacity(history.adds.len());
    for add in &history.adds {
        match fate(add, &history.reads) {
            Fate::Stable(latency) => latencies.push(latency),
            Fate::Lost => result.lost.push(add.element),
            Fate::NeverRead => result.never_read.push(add.element),
        }
    }
    result.stable_count = latencies.len();
    result.stale_count = latencies.iter().filter(|latency| **latency > 0).count();
    result.stable_latencies = Quantiles::of(latencies);
    result
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Story;
    use super::*;

    #[test]
    fn an_element_that_all_later_reads_show_is_stable_at_once() {
        let result = check(&Story::new().add(0).read(0, &[0]).read(1, &[0]).history());
        assert_eq!((result.stable_count, result.stale_count), (1, 0));
        assert_eq!(result.stable_latencies, Quantiles::default());
    }

    #[test]
    fn the_stable_latency_reaches_to_the_last_read_that_misses_it() {
        let story = Story::new().add(0).wait(300).read(1, &[]).wait(50).read(0, &[0]).read(1, &[0]);
        let result = check(&story.history());
        assert_eq!((result.stale_count, result.stable_latencies.max), (1, 300));
        assert!(result.lost.is_empty());
    }

    #[test]
    fn an_acknowledged_element_that_no_later_read_shows_is_lost() {
        let result = check(&Story::new().add(0).read(0, &[0]).add(1).read(1, &[0]).history());
        assert_eq!((result.lost.as_slice(), result.stable_count), ([1].as_slice(), 1));
    }

    #[test]
    fn an_element_that_was_seen_and_then_missed_is_lost() {
        let result = check(&Story::new().failed_add(0).read(0, &[0]).read(1, &[]).history());
        assert_eq!(result.lost, [0]);
    }

    #[test]
    fn an_unacknowledged_element_that_no_read_shows_is_not_lost() {
        let result = check(&Story::new().failed_add(0).read(0, &[]).add(1).history());
        assert_eq!((result.lost, result.never_read), (vec![], vec![0, 1]));
    }

    #[test]
    fn it_pools_the_reads_of_all_nodes() {
        // Node 0 never shows it. A later read at node 1 is enough for this checker, but not for the further rules.
        let result = check(&Story::new().add(0).read(0, &[]).read(1, &[0]).history());
        assert_eq!((result.stable_count, result.lost.len()), (1, 0));
    }

    #[test]
    fn quantiles_are_taken_by_index() {
        let quantiles = Quantiles::of((1..=100).rev().collect());
        assert_eq!(quantiles, Quantiles { min: 1, median: 51, p95: 96, p99: 100, max: 100 });
        assert_eq!(Quantiles::of(vec![]), Quantiles::default());
    }
}
