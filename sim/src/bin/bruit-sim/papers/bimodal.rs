//! Bimodal multicast (Birman et al., TOCS 17(2), 1999), §5: of 50 processes, at 5 % loss and 0.1 % failures, almost all or
//! almost none deliver a broadcast. The experiment compares 10⁵ broadcasts by the real core with the exact recurrence.
//!
//! The settings make the core follow the model of [`recurrence`](super::recurrence): digests go to one member a round for a
//! fixed number of rounds, marks are not compared (`quiet_after`), and no gap is given up. Rounds take 10 ms on links of 0.1
//! to 0.5 ms; the result does not depend on these times.
//!
//! The broadcasts are independent. A group makes as many broadcasts as it has members, each from another origin, because
//! digests combine the messages of one origin. Each broadcast begins when the rounds of the former have ended and no member
//! misses a message. Choices and losses are drawn anew. Failed members restart without memory before the next broadcast.

use core::fmt::Write as _;
use core::time::Duration;

use bruit_core::{
    BroadcastConfig, Config,
    broadcast::{FirstPhase, Ratio, Repair, Rounds},
};

use super::counts::{Counts, Fit};
use super::recorder::{self, Recorder, UNCHECKED};
use super::recurrence::Model;
use super::{Options, Report, in_parallel};
use crate::svg::{self, Axis, Mark, Panel, Scale, Series};
use bruit_sim::{Cluster, Delay, Index, Link, Memory, NetworkConfig, Random, Sim};

const MEMBERS: u32 = 50;
const BROADCASTS: u64 = 100_000;
const LOSS_PPM: u32 = 50_000;
const FAILURE_PPM: u32 = 1_000;
const PERIOD: Duration = Duration::from_millis(10);
/// The time after which a broadcast must have ended.
const PATIENCE: Duration = Duration::from_secs(60);

struct Case {
    name: &'static str,
    multicast: bool,
    rounds: u8,
}

const CASES: [Case; 3] = [
    Case { name: "multicast, then 10 rounds", multicast: true, rounds: 10 },
    Case { name: "10 rounds alone", multicast: false, rounds: 10 },
    Case { name: "3 rounds alone", multicast: false, rounds: 3 },
];

fn config(case: &Case) -> Config {
    let day = Duration::from_secs(24 * 3_600);
    let rounds = Rounds {
        beta: Ratio { of: 1, out_of: 1_000_000 },
        fanout_max: 1,
        period: PERIOD,
        rounds: case.rounds,
        round_window: u8::MAX,
        round_bytes_max: u32::MAX,
    };
    let broadcast = BroadcastConfig {
        first: if case.multicast { FirstPhase::Multicast { group: None } } else { FirstPhase::None },
        repair: Repair::Rounds(rounds),
        request_delay: Duration::from_millis(1),
        request_timeout: PERIOD / 2,
        quiet_after: day,
        lost_after: day,
        ..BroadcastConfig::bimodal()
    };
    Config { broadcast, ..Config::lan("bimodal") }
}

fn model(case: &Case, members: u32) -> Model {
    let share = |ppm: u32| f64::from(ppm) / f64::from(bruit_sim::MILLION);
    let (loss, failure) = (share(LOSS_PPM), share(FAILURE_PPM));
    Model { members: members as usize, loss, failure, multicast: case.multicast, rounds: case.rounds.into() }
}

pub(super) fn run(options: &Options) -> Report {
    let members = options.members.unwrap_or(MEMBERS);
    let broadcasts = options.broadcasts.unwrap_or(BROADCASTS / u64::from(options.one_in.max(1))).max(1);
    let groups = broadcasts.div_ceil(members.into());
    let jobs: Vec<(usize, u64, u32)> = (0..CASES.len())
        .flat_map(|case| (0..groups).map(move |group| (case, group)))
        .map(|(case, group)| {
            (
                case,
                group,
                members.min(u32::try_from(broadcasts - group * u64::from(members)).unwrap_or(u32::MAX)),
            )
        })
        .collect();
    let results = in_parallel(&jobs, options, "bimodal", |(case, group, count)| {
        broadcasts_of_a_group(options.seed.wrapping_add(*group), members, *count, &CASES[*case])
    });
    let mut measured: Vec<Counts> = CASES.iter().map(|_| Counts::new(members as usize + 1)).collect();
    for ((case, ..), counts) in jobs.iter().zip(&results) {
        measured[*case].merge(counts);
    }
    report(members, broadcasts, &measured)
}

/// Makes `count` broadcasts in one group, each from another member, and counts the members that delivered each.
fn broadcasts_of_a_group(seed: u64, members: u32, count: u32, case: &Case) -> Counts {
    let mut random = Random::new(seed, 0x4249, 0);
    let mut sim = recorder::group(seed, members, &config(case), 0);
    let delay = Delay::Uniform { min: Duration::from_micros(100), max: Duration::from_micros(500) };
    let network = NetworkConfig::uniform(Link::with_delay(delay).with_loss(LOSS_PPM));
    sim.set_network(network).expect(UNCHECKED);
    sim.run_for(Duration::from_secs(2)).expect(UNCHECKED);
    let mut counts = Counts::new(members as usize + 1);
    for origin in (0..count).map(Index) {
        let failed: Vec<Index> = (0..members).map(Index).filter(|_| random.chance(FAILURE_PPM)).collect();
        counts.add(one(&mut sim, origin, &failed, case.rounds));
        for index in &failed {
            sim.restart(*index, Memory::Amnesia).expect(UNCHECKED);
        }
        let whole = sim.run_until(PATIENCE, Cluster::all_know_all).expect(UNCHECKED);
        assert!(whole.is_some(), "seed {seed}: a restarted member does not join again");
        recorder::clear(&mut sim);
    }
    counts
}

/// Makes one broadcast while some members have failed. Returns the number of other members that deliver it.
fn one(sim: &mut Sim<Recorder>, origin: Index, failed: &[Index], rounds: u8) -> usize {
    let others = failed.iter().filter(|index| **index != origin);
    others.for_each(|index| sim.crash(*index).expect(UNCHECKED));
    let id = recorder::broadcast(sim, origin, b"bimodal".to_vec(), None);
    if failed.contains(&origin) {
        sim.crash(origin).expect(UNCHECKED);
    }
    let delivered = |cluster: &Cluster<Recorder>| {
        let recorders = cluster.running().filter_map(|index| cluster.process(index));
        recorders.filter(|recorder| recorder.deliveries.iter().any(|delivery| delivery.id == id)).count()
    };
    // All rounds of the last member that got the message, each at most a tenth longer than the period, and one more.
    let span = (PERIOD + PERIOD / 10) * (u32::from(rounds) + 2);
    let end = sim.now() + PATIENCE;
    let mut count = 0;
    loop {
        sim.run_for(span).expect(UNCHECKED);
        let now = delivered(sim.cluster());
        let is_missed = || sim.cluster().nodes().any(|(_, node)| node.usage().gaps > 0);
        if now == count && !is_missed() {
            return count;
        }
        assert!(sim.now() < end, "a member asks forever");
        count = now;
    }
}

fn report(members: u32, broadcasts: u64, measured: &[Counts]) -> Report {
    let mut text = format!(
        "Bimodal multicast: {broadcasts} broadcasts a row to {members} members, {} % loss, {}.{} % failures, fan-out 1\n",
        LOSS_PPM / 10_000,
        FAILURE_PPM / 10_000,
        FAILURE_PPM % 10_000 / 1_000
    );
    let _ = writeln!(
        text,
        "{:<26} | {:>8} {:>8} {:>8} {:>8} | {:>9} {:>9} | {:>6} {:>6} {:>4} {:>8} | verdict",
        "", "<= 10 %", "middle", ">= 90 %", "all", "expected", "in middle", "chi2", "limit", "df", "outside"
    );
    let (mut panels, mut rows) = (Vec::new(), Vec::new());
    for (case, counts) in CASES.iter().zip(measured) {
        let expected = model(case, members).distribution();
        let fit = counts.compare(&expected);
        line(case, counts, &expected, &fit, &mut text);
        panels.push(panel(case, members, counts, &expected));
        rows.push(serde_json::json!({
            "case": case.name, "counts": counts.counts(), "expected": expected,
            "chi_square": fit.chi_square, "degrees": fit.degrees, "outside": fit.outside, "within": fit.holds(),
        }));
    }
    let _ = writeln!(
        text,
        "Shares of the broadcasts by the number of members that deliver; failed members do not. expected: the\n\
         probability by the recurrence that all do; in middle: its probability of more than 10 % and less than 90 %.\n\
         chi2, limit: one of a thousand lies above the limit; outside: bins whose probability is outside its\n\
         Clopper-Pearson interval, one false alarm in a thousand rows."
    );
    let numbers =
        serde_json::json!({ "paper": "bimodal", "members": members, "broadcasts": broadcasts, "rows": rows });
    Report { text, figure: Some(svg::figure(&panels)), numbers: Some(numbers) }
}

/// Writes one row of the table.
fn line(case: &Case, counts: &Counts, expected: &[f64], fit: &Fit, text: &mut String) {
    let members = expected.len() - 1;
    let is_low = |count: usize| count * 10 <= members;
    let is_high = |count: usize| count * 10 >= members * 9;
    let is_middle = |count: usize| !is_low(count) && !is_high(count);
    let share = |mass: u64| mass as f64 / counts.total().max(1) as f64;
    let middle: f64 = expected.iter().enumerate().filter(|(k, _)| is_middle(*k)).map(|(_, p)| p).sum();
    let _ = writeln!(
        text,
        "{:<26} | {:>8.5} {:>8.5} {:>8.5} {:>8.5} | {:>9.5} {:>9.1e} | {:>6.1} {:>6.1} {:>4} {:>8} | {}",
        case.name,
        share(counts.mass(is_low)),
        share(counts.mass(is_middle)),
        share(counts.mass(is_high)),
        share(counts.mass(|count| count == members)),
        expected[members],
        middle,
        fit.chi_square,
        if fit.degrees == 0 { 0.0 } else { fit.limit },
        fit.degrees,
        fit.outside.len(),
        if fit.holds() { "within the band" } else { "OUTSIDE the band" },
    );
}

/// The panel of one case: the measured shares with their intervals, and the curve of the recurrence.
fn panel(case: &Case, members: u32, counts: &Counts, expected: &[f64]) -> Panel {
    let percent = |count: usize| 100.0 * count as f64 / f64::from(members);
    let curve = expected.iter().enumerate().map(|(count, p)| (percent(count), *p)).collect();
    let total = counts.total() as f64;
    let seen = counts.counts().iter().zip(counts.bands()).enumerate().filter(|(_, (count, _))| **count > 0);
    let (points, bands) = seen.map(|(k, (count, band))| ((percent(k), *count as f64 / total), band)).unzip();
    let series = vec![
        Series { name: "recurrence".to_owned(), mark: Mark::Line, points: curve, bands: Vec::new() },
        Series { name: "core, with its interval".to_owned(), mark: Mark::Dots, points, bands },
    ];
    let x = Axis { label: "members that deliver, %", from: 0.0, to: 100.0, scale: Scale::Linear };
    let y = Axis { label: "share of the broadcasts", from: 1e-30, to: 1.0, scale: Scale::Logarithmic };
    Panel { title: format!("n = {members}: {}", case.name), x, y, series }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_follows_the_recurrence() {
        for (number, case) in CASES.iter().enumerate() {
            let mut counts = Counts::new(13);
            for seed in 0..25 {
                counts.merge(&broadcasts_of_a_group(seed + 100 * number as u64, 12, 12, case));
            }
            let fit = counts.compare(&model(case, 12).distribution());
            assert!(fit.holds(), "{}: {counts:?} {fit:?}", case.name);
        }
    }

    #[test]
    fn a_core_that_sends_more_does_not_follow_the_recurrence() {
        let mut counts = Counts::new(13);
        (0..25).for_each(|seed| counts.merge(&broadcasts_of_a_group(seed, 12, 12, &CASES[2])));
        let wrong = Model { rounds: 2, ..model(&CASES[2], 12) };
        assert!(!counts.compare(&wrong.distribution()).holds());
    }
}
