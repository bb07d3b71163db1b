//! Tests of the bench with small runs.

use super::*;
use crate::preset::Preset;
use std::time::Duration;

fn small(workload: Workload) -> Options {
    Options { workload, node_count: 5, time_limit: Duration::from_secs(4), rate: 50, ..Options::default() }
}

#[test]
fn echo_and_unique_ids_are_valid_and_do_not_wait_for_recovery() {
    for workload in [Workload::Echo, Workload::UniqueIds] {
        let options = Options { availability: Some(Availability(1_000_000)), ..small(workload) };
        let report = run(&options).expect("valid");
        assert_eq!((report.verdict, report.ok_count), (Verdict::Valid, report.invoke_count), "{report}");
        assert!(report.workload.is_none() && report.invoke_count > 100);
    }
}

#[test]
fn equal_seeds_give_equal_reports() {
    let options = Options { nemesis: Some(Nemesis::Partition), seed: 5, ..small(Workload::Broadcast) };
    let text = |seed| format!("{:?}", run(&Options { seed, ..options.clone() }));
    assert_eq!(text(5), text(5));
    assert_ne!(text(5), text(6));
}

#[test]
fn every_preset_is_valid_with_and_without_partitions() {
    let base = Options { nemesis_interval: Duration::from_secs(1), ..small(Workload::Broadcast) };
    let table = Table::run(&base, 2, || ()).expect("valid");
    assert_eq!(table.verdict(), Verdict::Valid, "{table}");
    assert_eq!(table.reports.len(), 2 * Preset::ALL.len());
}

#[test]
fn one_node_alone_is_valid() {
    let report = run(&Options { node_count: 1, ..small(Workload::Broadcast) }).expect("valid");
    assert_eq!((report.verdict, report.net.servers.msg_count), (Verdict::Valid, 0), "{report}");
}

/// The goals of the presets `latency` and `bandwidth` with 25 nodes, 100 ms and 100 operations a second: the messages an
/// operation in hundredths, and the median and greatest stable latency in milliseconds.
#[test]
fn the_presets_reach_their_goals() {
    for (preset, goal) in [(Preset::Latency, (1_300, 400, 600)), (Preset::Bandwidth, (600, 1_000, 2_000))] {
        for seed in 1..=3 {
            let report = run(&Options { preset, seed, ..Options::default() }).expect("valid");
            let latencies = report.workload.as_ref().expect("it has broadcasts").stable_latencies;
            let messages = report.net.servers.msg_count * 100 / report.invoke_count as u64;
            assert!(messages <= goal.0 && latencies.median <= goal.1 && latencies.max <= goal.2, "{report}");
            assert_eq!(report.verdict, Verdict::Valid, "{report}");
        }
    }
}
