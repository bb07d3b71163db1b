//! One member of a settled group crashes: the experiment measures when the first member and when all members hold it Down,
//! and how many running members are called Down at different rates of loss. Then large groups start at once, and heal after a
//! cut.
//!
//! SWIM §4.3 expects the first *suspicion* after e/(e−1) = 1.58 periods. The last column has the times of foca, serf and
//! chitchat for the same work, measured on one machine.

use core::fmt::Write as _;
use core::time::Duration;

use bruit_core::{Config, MemberChange, MemberState, Time};

use super::subject::{Begins, Subject};
use super::{Options, in_parallel, percentile, seconds, subject};
use bruit_sim::{Cluster, Delay, Link, NetworkConfig, Random, Sim};

const MEMBERS: u32 = 128;
const CRASHES: u64 = 500;
const STRAGGLER: Duration = Duration::from_secs(20);
/// The length of a run that counts false alarms.
const WATCH: Duration = Duration::from_secs(600);
const WATCHES: u64 = 60;
/// The sizes of the groups that start at once, and how often each does.
const STARTS: [(u32, u64); 2] = [(1_000, 12), (4_000, 1)];
/// The size of the group that is cut into two halves, and the length of the cut.
const HALVES: (u32, Duration) = (1_000, Duration::from_secs(600));
/// The size of a large group under loss, for how long it is watched, and the loss.
const LOSSY: (u32, Duration, u32) = (1_000, Duration::from_secs(60), 250_000);

struct Case {
    name: &'static str,
    config: Config,
    loss_ppm: u32,
    begins: Begins,
    peers: &'static str,
}

fn cases() -> Vec<Case> {
    let case = |name, config: fn(&'static str) -> Config, loss_ppm, peers| Case {
        name,
        config: config("detection"),
        loss_ppm,
        begins: Begins::AtStart,
        peers,
    };
    vec![
        case("lan()", Config::lan, 0, "foca 10.9 s, serf 10.2 s (n = 100), chitchat 8.1 s (n = 64)"),
        case("lan()", Config::lan, 50_000, ""),
        case("lan()", Config::lan, 250_000, "foca 3.1 false Downs a node-hour, stragglers > 120 s"),
        case("memberlist_lan()", Config::memberlist_lan, 0, ""),
        case("memberlist_lan()", Config::memberlist_lan, 250_000, ""),
        case("local()", Config::local, 0, ""),
    ]
}

fn network(loss_ppm: u32) -> NetworkConfig {
    let delay = Delay::Uniform { min: Duration::from_millis(1), max: Duration::from_millis(10) };
    NetworkConfig::uniform(Link::with_delay(delay).with_loss(loss_ppm))
}

pub(super) fn run(options: &Options) -> String {
    let members = options.members.unwrap_or(MEMBERS);
    let cases = cases();
    let share = |whole: u64| (whole / u64::from(options.one_in.max(1))).max(2);
    let product = |count: u64| -> Vec<(usize, u64)> {
        (0..cases.len()).flat_map(|case| (0..count).map(move |seed| (case, seed))).collect()
    };
    let crashes = product(share(CRASHES));
    let times = in_parallel(&crashes, options, "detection, crashes", |(case, seed)| {
        let Case { config, loss_ppm, begins, .. } = &cases[*case];
        let sim =
            subject::settled(options.seed.wrapping_add(*seed), members, config, network(*loss_ppm), *begins);
        crash(sim, options.seed.wrapping_add(*seed), 180)
    });
    let watches = product(share(WATCHES));
    let alarms = in_parallel(&watches, options, "detection, false alarms", |(case, seed)| {
        let Case { config, loss_ppm, begins, .. } = &cases[*case];
        let sim =
            subject::settled(options.seed.wrapping_add(*seed), members, config, network(*loss_ppm), *begins);
        false_alarms(sim, WATCH)
    });

    let mut text = String::new();
    let _ = writeln!(
        text,
        "One crash among {members}: {} crashes a row; {} s of watching in {} runs a row",
        share(CRASHES),
        WATCH.as_secs(),
        share(WATCHES)
    );
    let _ = writeln!(
        text,
        "{:<18} {:>5} | {:>9} {:>9} {:>9} {:>9} | {:>12} {:>12} | peers",
        "", "loss", "first", "all", "all 99 %", "> 20 s", "false/node-h", "B/node/s"
    );
    for (number, case) in cases.iter().enumerate() {
        let of_case = |which: usize| {
            let of = crashes.iter().zip(&times).filter(|((case, _), _)| *case == number);
            let mut times: Vec<Duration> =
                of.map(|(_, times)| times[which].unwrap_or(Duration::MAX)).collect();
            times.sort_unstable();
            times
        };
        let (first, all) = (of_case(0), of_case(1));
        let known = |duration: Option<Duration>| duration.filter(|duration| *duration != Duration::MAX);
        let stragglers = all.iter().filter(|time| **time > STRAGGLER).count();
        let of = watches.iter().zip(&alarms).filter(|((case, _), _)| *case == number);
        let (runs, downs, bytes) =
            of.fold((0, 0, 0), |sum, (_, alarms)| (sum.0 + 1, sum.1 + alarms.0, sum.2 + alarms.1));
        let node_seconds = runs * u64::from(members) * WATCH.as_secs();
        let _ = writeln!(
            text,
            "{:<18} {:>3} % | {:>9} {:>9} {:>9} {:>9} | {:>12} {:>12} | {}",
            case.name,
            case.loss_ppm / 10_000,
            seconds(known(percentile(&first, 50))),
            seconds(known(percentile(&all, 50))),
            seconds(known(percentile(&all, 99))),
            stragglers,
            thousandths(downs * 3_600_000 / node_seconds.max(1)),
            bytes / node_seconds.max(1),
            case.peers
        );
    }
    if options.members.is_none() {
        large_groups(options, &mut text);
    }
    text
}

fn large_groups(options: &Options, text: &mut String) {
    for (members, runs) in STARTS {
        let seeds: Vec<u64> = (0..runs).map(|run| options.seed.wrapping_add(run)).collect();
        let times = in_parallel(&seeds, options, "detection, starts", |seed| start(*seed, members));
        let (least, most) = (times.iter().min().copied(), times.iter().max().copied());
        let (least, most) = (seconds(least), seconds(most));
        let _ = writeln!(
            text,
            "{members} members start and join through one, {runs} runs: all list all after {least} to {most}"
        );
    }
    let (members, lasts, loss_ppm) = LOSSY;
    let sim = subject::group(options.seed, members, &Config::lan("detection"), network(loss_ppm));
    let (downs, bytes) = false_alarms(sim, lasts);
    let _ = writeln!(
        text,
        "{members} members at {} % loss, {} s: {} bytes a second from each, {downs} false Downs",
        loss_ppm / 10_000,
        lasts.as_secs(),
        bytes / (u64::from(members) * lasts.as_secs())
    );
    let (members, lasts) = HALVES;
    let (merged, wrong) = halves(options.seed, members, lasts);
    let _ = writeln!(
        text,
        "a cut of {} s into two halves of {members}: all list all after {}; {wrong} of the own side were called Down",
        lasts.as_secs(),
        seconds(Some(merged))
    );
}

/// The time in which a group that starts at once lists itself on every member.
fn start(seed: u64, members: u32) -> Duration {
    const UNCHECKED: &str = "no check is there to object";
    let mut sim = subject::nobody(seed, &Config::lan("detection"));
    sim.set_network(network(0)).expect(UNCHECKED);
    sim.spawn_many(members).expect(UNCHECKED);
    let all = sim.run_until(Duration::from_secs(120), Cluster::all_know_all).expect(UNCHECKED);
    all.expect("a group of healthy members joins")
}

/// The time from the end of a cut into two halves until all list all, and how often a member was called Down on its own side.
fn halves(seed: u64, members: u32, lasts: Duration) -> (Duration, usize) {
    const UNCHECKED: &str = "no check is there to object";
    let mut sim = subject::group(seed, members, &Config::lan("detection"), network(0));
    let is_first = |index: bruit_sim::Index| index.0 < members / 2;
    let first = sim.cluster().indices().filter(|index| is_first(*index)).collect();
    let cut = sim.cut(&bruit_sim::Cut::Split { groups: vec![first] }).expect(UNCHECKED);
    sim.run_for(lasts).expect(UNCHECKED);
    sim.heal(cut).expect(UNCHECKED);
    let merged = sim.run_until(Duration::from_secs(600), Cluster::all_know_all).expect(UNCHECKED);
    let cluster = sim.cluster();
    let side = |id| cluster.indices().find(|index| cluster.id(*index) == id).map(is_first);
    let wrong = |index| {
        let changes = cluster.process(index).map(|subject| subject.changes.as_slice()).unwrap_or_default();
        let downs = changes.iter().filter(|(_, change, _)| *change == MemberChange::Down);
        downs.filter(|(.., id)| side(*id) == Some(is_first(index))).count()
    };
    (merged.expect("the halves merge"), cluster.indices().map(wrong).sum())
}

fn thousandths(value: u64) -> String {
    format!("{}.{:03}", value / 1_000, value % 1_000)
}

/// Crashes one member of a settled group at a random time. Returns the times until the first member and until all members hold
/// it Down; `None` if that takes more than `patience` seconds.
pub(super) fn crash(mut sim: Sim<Subject>, seed: u64, patience: u64) -> [Option<Duration>; 2] {
    const UNCHECKED: &str = "no check is there to object";
    let members = sim.cluster().len();
    let mut random = Random::new(seed, 0x4352, 0);
    sim.run_for(Duration::from_millis(random.below(2_000))).expect(UNCHECKED);
    let victim = bruit_sim::Index::new(random.position(members));
    let id = sim.cluster().id(victim);
    sim.crash(victim).expect(UNCHECKED);
    let crashed = sim.now();
    let holds = |cluster: &Cluster<Subject>, index: bruit_sim::Index| {
        let state = cluster.node(index).and_then(|node| node.member(id)).map(|member| member.state);
        matches!(state, None | Some(MemberState::Down | MemberState::Left))
    };
    let all = |cluster: &Cluster<Subject>| cluster.running().all(|index| holds(cluster, index));
    let all = sim.run_until(Duration::from_secs(patience), all).expect(UNCHECKED);
    let first: Option<Time> = sim
        .cluster()
        .running()
        .filter_map(|index| {
            let changes = &sim.cluster().process(index)?.changes;
            changes
                .iter()
                .find(|(at, change, of)| *at >= crashed && *change == MemberChange::Down && *of == id)
                .map(|change| change.0)
        })
        .min();
    [first.map(|first| first.since(crashed)), all]
}

/// The notices of Down in a group without failures, and the bytes that the group sent.
fn false_alarms(mut sim: Sim<Subject>, watch: Duration) -> (u64, u64) {
    let bytes =
        |sim: &Sim<Subject>| sim.cluster().nodes().map(|(_, node)| node.stats().bytes_sent).sum::<u64>();
    let before = bytes(&sim);
    sim.run_for(watch).expect("no check is there to object");
    let changes =
        sim.cluster().indices().filter_map(|index| sim.cluster().process(index)).flat_map(|s| &s.changes);
    let downs = changes.filter(|(_, change, _)| *change == MemberChange::Down).count();
    (downs as u64, bytes(&sim) - before)
}
