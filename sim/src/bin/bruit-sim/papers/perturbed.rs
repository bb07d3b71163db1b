//! Bimodal multicast (Birman et al., TOCS 17(2), 1999), §6: a quarter of the members is paused with probability 0.9 in each
//! second, and one member sends 75 to 200 messages a second. The experiment measures what the healthy members receive, beside
//! a sender that waits until all members have acknowledged, as virtual synchrony does.
//!
//! While a process is paused its timers do not run, and its inbox fills as a socket buffer would. Messages have 1 kB; the
//! 7 kB of the paper would take seven fragments each. The first phase of `bimodal()` goes to each member separately, because
//! there is no multicast group; the limit of bytes a second is lifted, so that it is not the bottleneck. The sender that
//! waits is a small model: the messages of at most one second are not yet acknowledged by all, and a member that is not
//! paused acknowledges at once.

use core::fmt::Write as _;
use core::time::Duration;

use bruit_core::{Broadcast, BroadcastConfig, Command, Config, Time};

use super::recorder::{self, Recorder, UNCHECKED};
use super::{Options, Report, in_parallel};
use crate::svg::{self, Axis, Mark, Panel, Scale, Series};
use bruit_sim::{Cluster, Delay, Index, Link, NetworkConfig, Random, Release, Sim};

const SIZES: [u32; 6] = [8, 16, 32, 64, 96, 128];
const RATES: [u32; 3] = [75, 150, 200];
const ASLEEP_PPM: u32 = 900_000;
const PAYLOAD: usize = 1_024;
const SECONDS: usize = 60;
/// The seconds at the start that are not counted, in which the members learn the tree and notice the paused ones.
const SETTLING: usize = 5;
/// The simulated seconds of the sender that waits.
const MODEL_SECONDS: usize = 3_600;

/// The seconds in which each perturbed member is paused.
struct Schedule(Vec<Vec<bool>>);

impl Schedule {
    fn new(seed: u64, perturbed: u32, seconds: usize) -> Self {
        let of = |number: u32| {
            let mut random = Random::new(seed, 0x5045, number.into());
            (0..seconds).map(|_| random.chance(ASLEEP_PPM)).collect()
        };
        Self((0..perturbed).map(of).collect())
    }

    /// The time by which every member has been awake since `at`; `None` if the schedule ends before.
    fn all_awake_since(&self, at: Time) -> Option<Time> {
        let wakes = |seconds: &Vec<bool>| {
            let awake = |second: &u64| usize::try_from(*second).is_ok_and(|place| !seconds[place]);
            let waking = (seconds_of(at)..seconds.len() as u64).find(awake)?;
            Some(at.max(Time::from_secs(waking)))
        };
        self.0.iter().map(wakes).try_fold(at, |latest, wakes| Some(latest.max(wakes?)))
    }
}

/// The share of the offered messages that healthy members receive, and its coefficient of variation over members and
/// seconds.
#[derive(Clone, Copy, Debug)]
struct Throughput {
    share: f64,
    variation: f64,
}

impl Throughput {
    fn of(counts: &[f64], offered: f64) -> Self {
        let len = counts.len().max(1) as f64;
        let mean = counts.iter().sum::<f64>() / len;
        let variance = counts.iter().map(|count| (count - mean) * (count - mean)).sum::<f64>() / len;
        Self { share: mean / offered, variation: variance.sqrt() / mean.max(f64::MIN_POSITIVE) }
    }
}

const fn seconds_of(at: Time) -> u64 {
    at.as_millis() / 1_000
}

/// The throughput of a sender that has at most `window` messages that not all members have acknowledged.
fn waiting_sender(schedule: &Schedule, rate: u32, window: usize) -> Throughput {
    let seconds = schedule.0.first().map_or(MODEL_SECONDS, Vec::len);
    let mut counts = vec![0.0; seconds];
    let mut sent: Vec<Time> = Vec::new();
    let mut at = Time::ZERO;
    while let Some(count) = usize::try_from(seconds_of(at)).ok().and_then(|second| counts.get_mut(second)) {
        *count += 1.0;
        sent.push(at);
        let oldest = sent.len().checked_sub(window).map(|oldest| sent[oldest]);
        let free = oldest.map_or(Some(at), |oldest| schedule.all_awake_since(oldest));
        let Some(free) = free else { break };
        at = (at + Duration::from_secs(1) / rate).max(free);
    }
    Throughput::of(&counts, rate.into())
}

fn protocols() -> [(&'static str, BroadcastConfig); 2] {
    let unbound = |broadcast| BroadcastConfig { rate_bytes_max: u32::MAX, ..broadcast };
    [(NAMES[0], unbound(BroadcastConfig::bimodal())), (NAMES[1], unbound(BroadcastConfig::tree()))]
}

#[derive(Clone, Copy)]
struct Job {
    protocol: usize,
    members: u32,
    rate: u32,
}

/// One cell of the table.
struct Cell {
    protocol: &'static str,
    members: u32,
    rate: u32,
    of: Throughput,
}

pub(super) fn run(options: &Options) -> Report {
    let sizes: Vec<u32> = options.members.map_or(SIZES.to_vec(), |members| vec![members]);
    let seconds = (SECONDS / options.one_in.max(1) as usize).max(10) + SETTLING;
    let protocols = protocols();
    let mut jobs = Vec::new();
    for protocol in 0..protocols.len() {
        for members in &sizes {
            jobs.extend(RATES.map(|rate| Job { protocol, members: *members, rate }));
        }
    }
    let results = in_parallel(&jobs, options, "perturbed", |job| {
        measure(options.seed, job.members, job.rate, seconds, &protocols[job.protocol].1)
    });
    let mut cells: Vec<Cell> = jobs
        .iter()
        .zip(results)
        .map(|(Job { protocol, members, rate }, of)| Cell {
            protocol: protocols[*protocol].0,
            members: *members,
            rate: *rate,
            of,
        })
        .collect();
    for members in sizes.iter().copied() {
        let schedule = Schedule::new(options.seed, members / 4, MODEL_SECONDS);
        let waits = |rate| waiting_sender(&schedule, rate, rate as usize);
        cells.extend(RATES.map(|rate| Cell { protocol: WAITS, members, rate, of: waits(rate) }));
    }
    let seconds = seconds - SETTLING;
    let numbers: Vec<_> = cells.iter().map(numbers).collect();
    let panels = [
        panel("received by healthy members", &cells, 110.0, |of| of.share),
        panel("its coefficient of variation", &cells, 100.0, |of| of.variation),
    ];
    Report {
        text: table(&sizes, seconds, &cells),
        figure: Some(svg::figure(&panels)),
        numbers: Some(serde_json::json!({ "paper": "perturbed", "seconds": seconds, "rows": numbers })),
    }
}

fn numbers(cell: &Cell) -> serde_json::Value {
    let Cell { protocol, members, rate, of } = cell;
    serde_json::json!({
        "protocol": protocol, "members": members, "rate": rate, "share": of.share, "variation": of.variation,
    })
}

/// The columns of the table: two presets and the model.
const NAMES: [&str; 3] = ["bimodal()", "tree()", WAITS];
const WAITS: &str = "waits for all";

/// Measures what the healthy members receive in one run.
fn measure(seed: u64, members: u32, rate: u32, seconds: usize, broadcast: &BroadcastConfig) -> Throughput {
    let perturbed = members / 4;
    let schedule = Schedule::new(seed, perturbed, seconds);
    let config = Config { broadcast: broadcast.clone(), ..Config::lan("perturbed") };
    let mut sim = recorder::group(seed, members, &config, 0);
    let delay = Delay::Uniform { min: Duration::from_millis(1), max: Duration::from_millis(10) };
    sim.set_network(NetworkConfig::uniform(Link::with_delay(delay))).expect(UNCHECKED);
    sim.run_for(Duration::from_secs(5)).expect(UNCHECKED);
    recorder::clear(&mut sim);
    let start = sim.now();
    let healthy = members - perturbed;
    for second in 0..seconds {
        for (number, sleeper) in (healthy..members).map(Index).enumerate() {
            if schedule.0[number][second] {
                sim.pause(sleeper).expect(UNCHECKED);
            } else {
                sim.resume(sleeper, Release::InboxFirst).expect(UNCHECKED);
            }
        }
        send_for_a_second(&mut sim, rate);
    }
    sim.run_for(Duration::from_secs(1)).expect(UNCHECKED);
    // A message counts for the second in which it was delivered. The sender is not counted as a receiver.
    let mut counts = Vec::new();
    for recorder in (1..healthy).filter_map(|index| sim.cluster().process(Index(index))) {
        let mut of_member = vec![0.0; seconds + 2];
        for delivery in &recorder.deliveries {
            of_member[usize::try_from(delivery.at.since(start).as_secs()).expect("a short run")] += 1.0;
        }
        counts.extend_from_slice(&of_member[SETTLING..seconds]);
    }
    Throughput::of(&counts, rate.into())
}

/// Lets the first member send for a second. Messages that it refuses count as offered.
fn send_for_a_second(sim: &mut Sim<Recorder>, rate: u32) {
    let end = sim.now() + Duration::from_secs(1);
    for _ in 0..rate {
        let message = Broadcast::new("", vec![0; PAYLOAD]);
        sim.command(Index(0), Command::Broadcast(message)).expect(UNCHECKED);
        sim.run_for(Duration::from_secs(1) / rate).expect(UNCHECKED);
    }
    sim.run_for(end.since(sim.now())).expect(UNCHECKED);
    debug_assert!(Cluster::status(sim.cluster(), Index(0)) == bruit_sim::Status::Running);
}

fn table(sizes: &[u32], seconds: usize, cells: &[Cell]) -> String {
    let mut text = format!(
        "A quarter of the members is paused with p = 0.9 in each second. What the healthy ones receive in {seconds} s,\n\
         in % of what one member offers, and the coefficient of variation over members and seconds, in %.\n\
         Goal: at least 99 % and at most 5 %. The paper: pbcast holds the rate, virtual synchrony collapses.\n"
    );
    let _ = write!(text, "{:>4} |", "n");
    let columns: Vec<(&str, u32)> = NAMES.iter().flat_map(|name| RATES.map(|rate| (*name, rate))).collect();
    for (name, rate) in &columns {
        let _ = write!(text, " {:>19} |", format!("{name} {rate}/s"));
    }
    let _ = writeln!(text);
    for members in sizes {
        let _ = write!(text, "{members:>4} |");
        for (name, rate) in &columns {
            let of = |cell: &&Cell| (cell.protocol, cell.members, cell.rate) == (name, *members, *rate);
            let Throughput { share, variation } = cells.iter().find(of).expect("every cell was measured").of;
            let _ = write!(text, " {:>9.2} {:>9.2} |", 100.0 * share, 100.0 * variation);
        }
        let _ = writeln!(text);
    }
    text
}

/// A panel with the least and the greatest rate of each protocol, over the size of the group.
fn panel(title: &str, cells: &[Cell], most: f64, value: impl Fn(&Throughput) -> f64) -> Panel {
    let mut series = Vec::new();
    for name in NAMES {
        for rate in [RATES[0], RATES[RATES.len() - 1]] {
            let of = cells.iter().filter(|cell| (cell.protocol, cell.rate) == (name, rate));
            let points =
                of.map(|cell| (f64::from(cell.members), (100.0 * value(&cell.of)).min(most))).collect();
            let name = format!("{name} {rate}/s");
            series.push(Series { name, mark: Mark::Both, points, bands: Vec::new() });
        }
    }
    let x = Axis { label: "members", from: 0.0, to: 140.0, scale: Scale::Linear };
    let y = Axis { label: "% of what is offered", from: 0.0, to: most, scale: Scale::Linear };
    Panel { title: format!("25 % paused with p = 0.9: {title}"), x, y, series }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_that_waits_follows_the_slowest_member() {
        let schedule = Schedule(vec![vec![false, true, true, false]]);
        let at = |millis| Time::ZERO + Duration::from_millis(millis);
        assert_eq!(schedule.all_awake_since(at(500)), Some(at(500)));
        assert_eq!(schedule.all_awake_since(at(1_250)), Some(at(3_000)));
        let awake = Schedule(vec![vec![false; 8]]);
        assert!(waiting_sender(&awake, 10, 10).share > 0.99);
        // Awake one second in four, a window of one second: one window in the waking second, one after it.
        let seldom = Schedule(vec![(0..400).map(|second| second % 4 != 0).collect()]);
        let share = waiting_sender(&seldom, 10, 10).share;
        assert!((0.2..0.6).contains(&share), "{share}");
    }

    #[test]
    fn healthy_members_receive_everything_beside_paused_ones() {
        for (name, broadcast) in protocols() {
            let of = measure(1, 8, 75, SETTLING + 5, &broadcast);
            assert!(of.share > 0.99 && of.variation < 0.05, "{name}: {of:?}");
        }
    }
}
