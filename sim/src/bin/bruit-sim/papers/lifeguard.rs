//! Lifeguard (Dadgar, Phillips, Currey; arXiv 1707.00788v2), §V: C of 128 members stand still for a time D, run for a time I,
//! and so on for two minutes. A false positive (FP) is an event "X has failed" at any member about a healthy X; FP⁻ counts
//! those at healthy members.
//!
//! The gate of [`subject`] blocks the loops of a member as the paper does. The links are like those of a loopback interface:
//! 0.05 to 0.3 ms, without loss. The first five detectors have the settings of memberlist, so they believe a Down that they
//! hear. They differ from memberlist as it ran for the paper in these points:
//!
//! - Roots on each ping replace push-pull over TCP every 30 s. There is no TCP ping after a failed UDP probe.
//! - A member that is wrongly held Down is told so in the answer to its next ping (rule A4). memberlist goes on gossiping to
//!   a member for 30 s after its death, which it learns from as well.
//! - With LHA-Probe the whole protocol period grows with the health multiplier, as the paper says; in memberlist only the wait
//!   for an answer grows, and a probe that is answered is followed by the next one after 1 s. So LHA-Probe sends less here.
//! - A member that has had nothing to gossip for 200 ms sends an update at once, and memberlist waits for its next tick. So a
//!   refutation may come back within milliseconds here, and not within several ticks.
//! - S is 8, as in memberlist's code; the paper's text has 9.
//! - The inbox is read in no time, and a member runs on in the moment in which an anomaly ends. The paper ran 128 agents in
//!   one virtual machine, whose scheduler may well need longer than the shortest intervals of 1 to 4 ms.
//!
//! `lan()` stands still behind the same gate. Its rule B7 is on, so it notices that it is called late. memberlist has no such
//! rule, and the first five detectors are without it.

use core::fmt::Write as _;
use core::time::Duration;

use bruit_core::{Config, MemberChange};

use super::{Options, in_parallel, percentile, seconds, subject};
use bruit_sim::{Delay, Index, Link, NetworkConfig, Random};

const MEMBERS: u32 = 128;
const CONCURRENT: [u32; 9] = [1, 4, 8, 12, 16, 20, 24, 28, 32];
const DURATIONS_MS: [u64; 6] = [128, 512, 2_048, 8_192, 16_384, 32_768];
const INTERVALS_MS: [u64; 8] = [1, 4, 16, 64, 256, 1_024, 4_096, 16_384];
const REPEATS: u64 = 10;
const LENGTH: Duration = Duration::from_secs(120);

/// A detector, and its numbers in tables IV and VI of the paper: FP, FP⁻, millions of messages, GiB.
struct Detector {
    name: &'static str,
    config: Config,
    paper: Option<(u32, u32, f64, f64)>,
}

/// The settings of memberlist in the paper: α = 5, β = 6, K = 3, and each of the three parts on or off.
fn memberlist(probe: bool, suspicion: bool, buddy: bool) -> Config {
    let mut config = Config::memberlist_lan("lifeguard");
    let settings = &mut config.membership;
    settings.suspicion_mult = 5;
    settings.suspicion_confirmations = 3;
    settings.suspicion_max_mult = if suspicion { 6 } else { 1 };
    settings.health_max = if probe { 8 } else { 1 };
    settings.buddy = buddy;
    // memberlist does not notice that its process stood still.
    settings.late_slack = Duration::from_secs(24 * 3_600);
    config
}

fn detectors() -> Vec<Detector> {
    let paper = |name, config, fp, fp_healthy, messages, gib| Detector {
        name,
        config,
        paper: Some((fp, fp_healthy, messages, gib)),
    };
    vec![
        paper("SWIM", memberlist(false, false, false), 339_002, 1_326, 435.33, 149.15),
        paper("LHA-Probe", memberlist(true, false, false), 229_574, 436, 428.62, 134.28),
        paper("LHA-Suspicion", memberlist(false, true, false), 10_174, 89, 484.55, 158.87),
        paper("Buddy System", memberlist(false, false, true), 318_935, 591, 435.62, 147.67),
        paper("Lifeguard", memberlist(true, true, true), 5_193, 25, 481.42, 146.13),
        Detector { name: "lan()", config: Config::lan("lifeguard"), paper: None },
    ]
}

/// One cell of the grid, for one detector.
struct Job {
    detector: usize,
    concurrent: u32,
    duration: Duration,
    interval: Duration,
    seed: u64,
}

#[derive(Clone, Debug, Default)]
struct Tally {
    runs: u64,
    positives: u64,
    positives_healthy: u64,
    datagrams: u64,
    bytes: u64,
}

pub(super) fn run(options: &Options) -> String {
    let members = options.members.unwrap_or(MEMBERS);
    let detectors = detectors();
    let jobs = jobs(&detectors, options, members);
    let results =
        in_parallel(&jobs, options, "lifeguard", |job| one(&detectors[job.detector].config, members, job));
    let mut tallies = vec![Tally::default(); detectors.len()];
    for (job, result) in jobs.iter().zip(results) {
        let tally = &mut tallies[job.detector];
        tally.runs += 1;
        tally.positives += result.positives;
        tally.positives_healthy += result.positives_healthy;
        tally.datagrams += result.datagrams;
        tally.bytes += result.bytes;
    }
    let crashes = crash_times(&detectors, options, members);
    report(&detectors, &tallies, &crashes, members)
}

/// The jobs: an even selection of the cells of the grid, the same for every detector.
fn jobs(detectors: &[Detector], options: &Options, members: u32) -> Vec<Job> {
    let (mut jobs, mut cell) = (Vec::new(), 0_u64);
    for repeat in 0..REPEATS {
        for concurrent in CONCURRENT.into_iter().filter(|concurrent| *concurrent < members / 2) {
            for (d, duration) in (0_u64..).zip(DURATIONS_MS) {
                for (i, interval) in (0_u64..).zip(INTERVALS_MS) {
                    cell += 1;
                    // A diagonal order, so that a tenth of the cells still has every C, D and I equally often.
                    if (cell + 3 * d + 7 * i + repeat) % u64::from(options.one_in.max(1)) != 0 {
                        continue;
                    }
                    let (duration, interval) =
                        (Duration::from_millis(duration), Duration::from_millis(interval));
                    let seed = options.seed.wrapping_mul(1_000_003) + cell;
                    let job = |detector| Job { detector, concurrent, duration, interval, seed };
                    jobs.extend((0..detectors.len()).map(job));
                }
            }
        }
    }
    jobs
}

fn loopback() -> NetworkConfig {
    let delay = Delay::Uniform { min: Duration::from_micros(50), max: Duration::from_micros(300) };
    NetworkConfig::uniform(Link::with_delay(delay))
}

fn one(config: &Config, members: u32, job: &Job) -> Tally {
    const UNCHECKED: &str = "no check is there to object";
    let mut sim = subject::group(job.seed, members, config, loopback());
    let mut random = Random::new(job.seed, 0x4c47, 0);
    let mut order: Vec<Index> = sim.cluster().indices().collect();
    random.shuffle(&mut order);
    let anomalous = &order[..job.concurrent as usize];
    let sent = |sim: &bruit_sim::Sim<subject::Subject>| {
        let stats = sim.cluster().nodes().map(|(_, node)| *node.stats());
        stats.fold((0, 0), |sum, stats| (sum.0 + stats.datagrams_sent, sum.1 + stats.bytes_sent))
    };
    let before = sent(&sim);
    let end = sim.now() + LENGTH;
    while sim.now() < end {
        anomalous.iter().for_each(|index| subject::close(&mut sim, *index));
        sim.run_for(job.duration).expect(UNCHECKED);
        anomalous.iter().for_each(|index| subject::open(&mut sim, *index));
        sim.run_for(job.interval).expect(UNCHECKED);
    }
    let after = sent(&sim);
    let mut tally =
        Tally { runs: 1, datagrams: after.0 - before.0, bytes: after.1 - before.1, ..Tally::default() };
    let healthy: Vec<_> =
        order[job.concurrent as usize..].iter().map(|index| sim.cluster().id(*index)).collect();
    for index in sim.cluster().indices() {
        let changes = &sim.cluster().process(index).expect("no member crashes").changes;
        let wrong = changes
            .iter()
            .filter(|(_, change, id)| *change == MemberChange::Down && healthy.contains(id))
            .count();
        tally.positives += wrong as u64;
        if !anomalous.contains(&index) {
            tally.positives_healthy += wrong as u64;
        }
    }
    tally
}

/// The times, for each detector, until the first member and until all members hold a crashed one Down.
fn crash_times(detectors: &[Detector], options: &Options, members: u32) -> Vec<[Option<Duration>; 2]> {
    let seeds = (200 / u64::from(options.one_in.max(1))).max(3);
    let jobs: Vec<(usize, u64)> =
        (0..detectors.len()).flat_map(|detector| (0..seeds).map(move |seed| (detector, seed))).collect();
    let results = in_parallel(&jobs, options, "lifeguard, crashes", |(detector, seed)| {
        let config = &detectors[*detector].config;
        let seed = options.seed.wrapping_add(*seed);
        super::detection::crash(subject::group(seed, members, config, loopback()), seed, 180)
    });
    let median = |detector: usize, which: usize| {
        let of = jobs.iter().zip(&results).filter(|((d, _), _)| *d == detector);
        let mut times: Vec<Duration> = of.filter_map(|(_, times)| times[which]).collect();
        times.sort_unstable();
        percentile(&times, 50)
    };
    (0..detectors.len()).map(|detector| [median(detector, 0), median(detector, 1)]).collect()
}

#[expect(clippy::cast_precision_loss, reason = "percentages for people")]
fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{:.2}", part as f64 * 100.0 / whole as f64) }
}

fn report(
    detectors: &[Detector],
    tallies: &[Tally],
    crashes: &[[Option<Duration>; 2]],
    members: u32,
) -> String {
    let mut text = String::new();
    let (base, runs) = (&tallies[0], tallies[0].runs);
    let paper_base = detectors[0].paper.expect("the paper's baseline comes first");
    let _ = writeln!(
        text,
        "Lifeguard, tables IV and VI: {members} members, {runs} of the paper's 4320 runs each"
    );
    let _ = writeln!(
        text,
        "{:<14} {:>8} {:>8} | {:>8} {:>8} | {:>8} {:>8} | {:>8} {:>8} | {:>8} {:>8}",
        "", "FP", "FP-", "FP %", "paper", "FP- %", "paper", "msgs %", "paper", "bytes %", "paper"
    );
    for (detector, tally) in detectors.iter().zip(tallies) {
        let paper = |of: fn(&(u32, u32, f64, f64)) -> f64| {
            let ratio = detector.paper.as_ref().map(|paper| of(paper) * 100.0 / of(&paper_base));
            ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"))
        };
        let _ = writeln!(
            text,
            "{:<14} {:>8} {:>8} | {:>8} {:>8} | {:>8} {:>8} | {:>8} {:>8} | {:>8} {:>8}",
            detector.name,
            tally.positives,
            tally.positives_healthy,
            percent(tally.positives, base.positives),
            paper(|paper| f64::from(paper.0)),
            percent(tally.positives_healthy, base.positives_healthy),
            paper(|paper| f64::from(paper.1)),
            percent(tally.datagrams, base.datagrams),
            paper(|paper| paper.2),
            percent(tally.bytes, base.bytes),
            paper(|paper| paper.3),
        );
    }
    let _ = writeln!(text, "\nOne crash, median over seeds (table V of the paper is not available)");
    let _ = writeln!(text, "{:<14} {:>10} {:>10}", "", "first", "all");
    for (detector, times) in detectors.iter().zip(crashes) {
        let _ = writeln!(text, "{:<14} {:>10} {:>10}", detector.name, seconds(times[0]), seconds(times[1]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn healthy_members_fail_at_the_paused_ones_and_less_with_the_suspicion_time_of_lifeguard() {
        let (duration, interval) = (Duration::from_millis(16_384), Duration::from_millis(1));
        let job = Job { detector: 0, concurrent: 8, duration, interval, seed: 1 };
        let tally = |config: Config| one(&config, 64, &job);
        let swim = tally(memberlist(false, false, false));
        let suspicion = tally(memberlist(false, true, false));
        let lifeguard = tally(memberlist(true, true, true));
        assert!(swim.positives >= 10, "{swim:?}");
        assert!(swim.positives_healthy * 10 <= swim.positives, "{swim:?}");
        assert!(suspicion.positives * 4 <= swim.positives, "{suspicion:?} {swim:?}");
        assert!(lifeguard.positives * 4 <= swim.positives, "{lifeguard:?} {swim:?}");
    }
}
