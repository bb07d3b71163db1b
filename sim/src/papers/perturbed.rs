//! Bimodal multicast (Birman et al., TOCS 17(2), 1999), §6: a quarter of the members sleeps with probability 0.9 in
//! each second, one member sends 75 to 200 messages a second. What do the healthy ones receive? Beside it a sender
//! that waits until everybody has acknowledged, as virtual synchrony does.
//!
//! A sleeping process stands still: its timers do not run, and its inbox fills as a socket buffer would. Messages have
//! 1 kB (the paper's 7 kB would be seven fragments each). The first phase of `bimodal()` goes to each member by
//! itself, for there is no multicast group here; so that this is no bottleneck, the bound on the bytes a second is
//! lifted. The sender that waits is a model of a few lines: at most a second's worth of messages is not yet
//! acknowledged by all, and who is awake acknowledges at once.

use core::fmt::Write as _;
use core::time::Duration;

use bruit_core::{Broadcast, BroadcastConfig, Command, Config};

use super::listener::{self, Listener, UNCHECKED};
use super::{Options, Report, in_parallel};
use crate::cluster::{Cluster, Index};
use crate::kernel::Sim;
use crate::network::{Delay, Link, NetworkConfig};
use crate::op::Release;
use crate::random::Random;
use crate::svg::{self, Axis, Mark, Panel, Scale, Series};

const SIZES: [u32; 6] = [8, 16, 32, 64, 96, 128];
const RATES: [u32; 3] = [75, 150, 200];
const ASLEEP_PPM: u32 = 900_000;
const PAYLOAD: usize = 1_024;
const SECONDS: usize = 60;
/// Seconds at the start that do not count: the tree is learnt, and who sleeps is noticed.
const SETTLING: usize = 5;
/// The sender that waits is watched for so long; it is only a model.
const MODEL_SECONDS: usize = 3_600;

/// In which seconds each perturbed member is asleep.
struct Schedule(Vec<Vec<bool>>);

impl Schedule {
    fn new(seed: u64, perturbed: u32, seconds: usize) -> Self {
        let of = |number: u32| {
            let mut random = Random::new(seed, 0x5045, number.into());
            (0..seconds).map(|_| random.chance(ASLEEP_PPM)).collect()
        };
        Self((0..perturbed).map(of).collect())
    }

    /// When all are or have been awake since `at`, in seconds; infinite if not while the schedule lasts.
    fn all_awake_since(&self, at: f64) -> f64 {
        let wakes = |seconds: &Vec<bool>| {
            let now = at as usize;
            let waking = (now..seconds.len()).find(|second| !seconds[*second]);
            waking.map_or(f64::INFINITY, |second| at.max(second as f64))
        };
        self.0.iter().map(wakes).fold(at, f64::max)
    }
}

/// What healthy members receive: a share of what was offered, and its coefficient of variation over members and
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

/// A sender that has at most `window` messages under way that not all have acknowledged.
fn waiting_sender(schedule: &Schedule, rate: u32, window: usize) -> Throughput {
    let seconds = schedule.0.first().map_or(MODEL_SECONDS, Vec::len);
    let mut counts = vec![0.0; seconds];
    let mut sent: Vec<f64> = Vec::new();
    let mut at = 0.0;
    while at < seconds as f64 {
        counts[at as usize] += 1.0;
        sent.push(at);
        let free =
            sent.len().checked_sub(window).map_or(0.0, |oldest| schedule.all_awake_since(sent[oldest]));
        at = (at + 1.0 / f64::from(rate)).max(free);
    }
    Throughput::of(&counts, rate.into())
}

fn protocols() -> [(&'static str, BroadcastConfig); 2] {
    let unbound = |broadcast| BroadcastConfig { rate_bytes_max: u32::MAX, ..broadcast };
    [("bimodal()", unbound(BroadcastConfig::bimodal())), ("tree()", unbound(BroadcastConfig::tree()))]
}

#[derive(Clone, Copy)]
struct Job {
    protocol: usize,
    members: u32,
    rate: u32,
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
    let mut rows: Vec<(&str, u32, u32, Throughput)> = Vec::new();
    for (job, result) in jobs.iter().zip(results) {
        rows.push((protocols[job.protocol].0, job.members, job.rate, result));
    }
    for members in &sizes {
        let schedule = Schedule::new(options.seed, members / 4, MODEL_SECONDS);
        for rate in RATES {
            rows.push((WAITS, *members, rate, waiting_sender(&schedule, rate, rate as usize)));
        }
    }
    report(&sizes, seconds - SETTLING, &rows)
}

const WAITS: &str = "waits for all";

/// One run: what the healthy members receive.
fn measure(seed: u64, members: u32, rate: u32, seconds: usize, broadcast: &BroadcastConfig) -> Throughput {
    let perturbed = members / 4;
    let schedule = Schedule::new(seed, perturbed, seconds);
    let config = Config { broadcast: broadcast.clone(), ..Config::lan("perturbed") };
    let mut sim = listener::audience(seed, members, &config, 0);
    let delay = Delay::Uniform { min: Duration::from_millis(1), max: Duration::from_millis(10) };
    sim.set_network(NetworkConfig::uniform(Link::with_delay(delay))).expect(UNCHECKED);
    sim.run_for(Duration::from_secs(5)).expect(UNCHECKED);
    listener::forget(&mut sim);
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
    // A message belongs to the second in which it came; the sender itself is no receiver.
    let mut counts = Vec::new();
    for listener in (1..healthy).filter_map(|index| sim.cluster().process(Index(index))) {
        let mut of_member = vec![0.0; seconds + 2];
        for heard in &listener.heard {
            of_member[usize::try_from(heard.at.since(start).as_secs()).expect("a short run")] += 1.0;
        }
        counts.extend_from_slice(&of_member[SETTLING..seconds]);
    }
    Throughput::of(&counts, rate.into())
}

/// The first member sends; what it is refused counts as offered.
fn send_for_a_second(sim: &mut Sim<Listener>, rate: u32) {
    let end = sim.now() + Duration::from_secs(1);
    for _ in 0..rate {
        let message = Broadcast::new("", vec![0; PAYLOAD]);
        sim.command(Index(0), Command::Broadcast(message)).expect(UNCHECKED);
        sim.run_for(Duration::from_secs(1) / rate).expect(UNCHECKED);
    }
    sim.run_for(end.since(sim.now())).expect(UNCHECKED);
    debug_assert!(Cluster::status(sim.cluster(), Index(0)) == crate::cluster::Status::Running);
}

fn report(sizes: &[u32], seconds: usize, rows: &[(&'static str, u32, u32, Throughput)]) -> Report {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "A quarter of the members asleep with p = 0.9 in each second; what the healthy ones receive in {seconds} s,\n\
         in % of what one member offers, and the coefficient of variation over members and seconds, in %.\n\
         Goal: at least 99 % and at most 5 %. The paper: pbcast holds the rate, virtual synchrony collapses."
    );
    let _ = write!(text, "{:>4} |", "n");
    let columns: Vec<(&str, u32)> = {
        let mut columns: Vec<(&str, u32)> = rows.iter().map(|row| (row.0, row.2)).collect();
        columns.dedup();
        let mut seen = Vec::new();
        columns.retain(|column| {
            !seen.contains(column) && {
                seen.push(*column);
                true
            }
        });
        columns
    };
    for (name, rate) in &columns {
        let _ = write!(text, " {:>17} |", format!("{name} {rate}/s"));
    }
    let _ = writeln!(text);
    for members in sizes {
        let _ = write!(text, "{members:>4} |");
        for (name, rate) in &columns {
            let of = rows.iter().find(|row| (row.0, row.1, row.2) == (name, *members, *rate));
            let Throughput { share, variation } = of.expect("every cell was measured").3;
            let _ = write!(text, " {:>8.2} {:>8.2} |", 100.0 * share, 100.0 * variation);
        }
        let _ = writeln!(text);
    }
    let numbers: Vec<_> = rows
        .iter()
        .map(|(name, members, rate, of)| {
            serde_json::json!({
                "protocol": name, "members": members, "rate": rate, "share": of.share, "variation": of.variation,
            })
        })
        .collect();
    let panels = [
        panel("received by healthy members", rows, 110.0, |of| of.share),
        panel("its coefficient of variation", rows, 100.0, |of| of.variation),
    ];
    let numbers = serde_json::json!({ "paper": "perturbed", "seconds": seconds, "rows": numbers });
    Report { text, figure: Some(svg::figure(&panels)), numbers: Some(numbers) }
}

/// The least and the greatest rate of each protocol, over the size of the group.
fn panel(
    title: &str,
    rows: &[(&'static str, u32, u32, Throughput)],
    most: f64,
    value: impl Fn(&Throughput) -> f64,
) -> Panel {
    let mut series = Vec::new();
    for name in [protocols()[0].0, protocols()[1].0, WAITS] {
        for rate in [RATES[0], RATES[RATES.len() - 1]] {
            let of = rows.iter().filter(|row| row.0 == name && row.2 == rate);
            let points = of.map(|row| (f64::from(row.1), (100.0 * value(&row.3)).min(most))).collect();
            let name = format!("{name} {rate}/s");
            series.push(Series { name, mark: Mark::Both, points, bands: Vec::new() });
        }
    }
    let x = Axis { label: "members", from: 0.0, to: 140.0, scale: Scale::Linear };
    let y = Axis { label: "% of what is offered", from: 0.0, to: most, scale: Scale::Linear };
    Panel { title: format!("25 % asleep with p = 0.9: {title}"), x, y, series }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_a_sleeper_sends_as_seldom_as_it_wakes() {
        let schedule = Schedule(vec![vec![false, true, true, false]]);
        assert_eq!(schedule.all_awake_since(0.5), 0.5);
        assert_eq!(schedule.all_awake_since(1.25), 3.0);
        let awake = Schedule(vec![vec![false; 8]]);
        assert!(waiting_sender(&awake, 10, 10).share > 0.99);
        // Awake one second in four, a window of one second: one window in the waking second, one after it.
        let seldom = Schedule(vec![(0..400).map(|second| second % 4 != 0).collect()]);
        let share = waiting_sender(&seldom, 10, 10).share;
        assert!((0.2..0.6).contains(&share), "{share}");
    }

    #[test]
    fn healthy_members_receive_everything_beside_sleepers() {
        for (name, broadcast) in protocols() {
            let of = measure(1, 8, 75, SETTLING + 5, &broadcast);
            assert!(of.share > 0.99 && of.variation < 0.05, "{name}: {of:?}");
        }
    }
}
