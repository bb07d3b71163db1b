//! The time, hops, bytes and redundancy of a broadcast, beside the goals of the design.
//!
//! A *round* of a push is a hop: each relay sends at once and all links of that row take the same 5 ms, so that hops
//! correspond to the rounds of the synchronous model, in which each member that has the message sends it to three others. A
//! *repair round* is the period of the digests of the preset, and a tenth of it.

use core::fmt::Write as _;
use core::time::Duration;

use bruit_core::{BroadcastConfig, Config, broadcast::Repair};
use indicatif::{ProgressBar, ProgressStyle};

use super::collapse::{self, Aftermath};
use super::recorder;
use super::spread::{self, Outcome, Talk};
use super::{Options, Report, in_parallel, percentile, seconds};
use bruit_sim::{Delay, Link, NetworkConfig, ZoneLink};

/// The sizes of the small group and of the large one.
const MEMBERS: [u32; 2] = [1_000, 10_000];
const ZONES: u64 = 5;
const ZONE_LEN: u64 = 20;
/// The result of foca 2.0 for the same work.
const FOCA: &str = "foca: 0.87 s, 1 001 B; at 25 % loss some never";

/// One row of the table.
#[derive(Clone, Debug)]
struct Row {
    name: String,
    members: u32,
    cells: String,
    numbers: serde_json::Value,
    /// The goal, and whether it is met.
    goal: String,
    met: Option<bool>,
}

fn lan(loss_ppm: u32) -> NetworkConfig {
    let delay = Delay::Uniform { min: Duration::from_millis(1), max: Duration::from_millis(10) };
    NetworkConfig::uniform(Link::with_delay(delay).with_loss(loss_ppm))
}

fn steady() -> NetworkConfig {
    NetworkConfig::uniform(Link::with_delay(Delay::Constant(Duration::from_millis(5))))
}

fn config(broadcast: BroadcastConfig) -> Config {
    Config { broadcast, ..Config::lan("broadcast") }
}

const fn talk(warm_up: usize, messages: usize, one_origin: bool) -> Talk {
    let (every, patience) = (Duration::from_secs(3), Duration::from_secs(10));
    Talk { warm_up, messages, every, payload: 64, one_origin, patience }
}

pub(super) fn run(options: &Options) -> Report {
    let [small, large] = MEMBERS.map(|members| match options.members {
        Some(most) => most.min(members),
        None => members / if members > 1_000 { options.one_in.clamp(1, 10) } else { 1 },
    });
    let mut rows = thousand(options, small);
    rows.extend(zones(options));
    rows.extend(large_tree(options, large));
    rows.extend(large_push(options, large));
    report(&rows)
}

/// A row for a measurement of [`spread`].
fn row(name: &str, members: u32, outcome: &Outcome, measured: bool, goal: &str, met: Option<bool>) -> Row {
    let (last, most) = (outcome.last(), outcome.most());
    let (mean, deepest) = outcome.hops();
    let (middle, worst) = (percentile(&last, 50), last.last().copied());
    let mut cells = format!(
        "{:>7} {:>7} {:>7} | {mean:>5.1} {deepest:>3} | {:>7.4} {:>6} |",
        seconds(percentile(&most, 50)),
        seconds(middle),
        seconds(worst),
        outcome.redundancy(),
        outcome.missed(),
    );
    let _ = if measured {
        write!(cells, " {:>7.0} {:>5.2}", outcome.bytes(), outcome.datagrams())
    } else {
        write!(cells, " {:>7} {:>5}", "-", "-")
    };
    let millis = |duration: Option<Duration>| duration.map(|duration| duration.as_secs_f64() * 1e3);
    let numbers = serde_json::json!({
        "name": name, "members": members, "most_ms": millis(percentile(&most, 50)), "all_ms": millis(middle),
        "worst_ms": millis(worst), "hops": mean, "hops_max": deepest, "redundancy": outcome.redundancy(),
        "missed": outcome.missed(), "bytes": measured.then(|| outcome.bytes()),
        "kinds": measured.then(|| outcome.kinds()), "goal": goal, "met": met,
    });
    Row { name: name.to_owned(), members, cells, numbers, goal: goal.to_owned(), met }
}

fn thousand(options: &Options, members: u32) -> Vec<Row> {
    let (tree, push) = (BroadcastConfig::tree(), BroadcastConfig::push_ack());
    let jobs = [
        ("tree, first message", tree.clone(), 0, talk(0, 1, true)),
        ("tree, one origin", tree.clone(), 0, talk(20, 10, true)),
        ("tree, any origin", tree.clone(), 0, talk(20, 10, false)),
        ("tree, 5 % loss", tree.clone(), 50_000, talk(20, 10, false)),
        ("tree, 25 % loss", tree, 250_000, talk(20, 10, false)),
        ("push_ack", push.clone(), 0, talk(0, 10, false)),
        ("push_ack, 25 % loss", push, 250_000, talk(0, 10, false)),
        ("bimodal", BroadcastConfig::bimodal(), 0, talk(0, 10, false)),
        ("pull", BroadcastConfig::pull(), 0, talk(0, 10, false)),
    ];
    let outcomes = in_parallel(&jobs, options, "broadcast, n = 1 000", |(_, broadcast, loss, talk)| {
        let mut sim = spread::settled(options.seed, members, &config(broadcast.clone()), lan(*loss), 0);
        spread::talk(&mut sim, talk, options.seed, true)
    });
    let judge = |(name, _, loss, _): &(&str, BroadcastConfig, u32, Talk), outcome: &Outcome| {
        let worst = outcome.last().last().copied().unwrap_or_default();
        let soon = worst <= Duration::from_millis(600) && outcome.bytes() <= 512.0;
        match (name.starts_with("tree"), loss) {
            (true, 0) => ("all in 0.6 s, <= 512 B", Some(soon && outcome.missed() == 0)),
            (_, 0) => ("none missed", Some(outcome.missed() == 0)),
            _ => ("none missed", Some(outcome.missed() == 0)),
        }
    };
    let rows = jobs.iter().zip(&outcomes).map(|(job, outcome)| {
        let (goal, met) = judge(job, outcome);
        row(job.0, members, outcome, true, goal, met)
    });
    rows.collect()
}

/// Rows for five zones of twenty members: 1 ms inside a zone, 50 ms between zones.
fn zones(options: &Options) -> Vec<Row> {
    let members = u32::try_from(ZONES * ZONE_LEN).expect("a small group");
    let near = |number| {
        let zone = recorder::zone_name(number);
        let link = Link::with_delay(Delay::Constant(Duration::from_millis(1)));
        ZoneLink { from: zone.clone(), to: zone, link }
    };
    let link = Link::with_delay(Delay::Constant(Duration::from_millis(50)));
    let network = NetworkConfig { link, zones: (0..ZONES).map(near).collect(), links: Vec::new() };
    let presets = [("tree", BroadcastConfig::tree()), ("push_ack", BroadcastConfig::push_ack())];
    let mut jobs = Vec::new();
    for (name, preset) in presets {
        for prefer_zone in [false, true] {
            jobs.push((name, BroadcastConfig { prefer_zone, ..preset.clone() }));
        }
    }
    let outcomes = in_parallel(&jobs, options, "broadcast, zones", |(_, broadcast)| {
        let mut sim =
            spread::settled(options.seed, members, &config(broadcast.clone()), network.clone(), ZONE_LEN);
        spread::talk(&mut sim, &talk(20, 20, false), options.seed, true)
    });
    let rows = jobs.iter().zip(&outcomes).map(|((name, broadcast), outcome)| {
        let knob = if broadcast.prefer_zone { "prefer_zone" } else { "no zones" };
        let far = format!("{:.0} B of it between zones", outcome.far_bytes());
        row(&format!("{name}, 5 zones, {knob}"), members, outcome, true, &far, None)
    });
    rows.collect()
}

/// Shows the progress of a run that takes minutes.
fn stage(options: &Options, text: String) -> ProgressBar {
    let bar = if options.progress { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    bar.set_style(
        ProgressStyle::with_template("{spinner} {msg} {elapsed}").expect("the template is well formed"),
    );
    bar.set_message(text);
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

fn large_tree(options: &Options, members: u32) -> Vec<Row> {
    let bar = stage(options, format!("broadcast, tree: {members} members join"));
    let config = config(BroadcastConfig::tree());
    let mut sim = spread::settled(options.seed, members, &config, lan(0), 0);
    bar.set_message(format!("broadcast, tree: messages to {members} members"));
    let quick = |warm_up, one_origin| Talk { every: Duration::from_secs(1), ..talk(warm_up, 20, one_origin) };
    let one = spread::talk(&mut sim, &quick(20, true), options.seed, false);
    let any = spread::talk(&mut sim, &quick(20, false), options.seed + 1, false);
    let mut rows = Vec::new();
    for (name, outcome) in [("tree, one origin", one), ("tree, any origin", any)] {
        let met = outcome.redundancy() <= 0.01 && outcome.hops().1 <= 12 && outcome.missed() == 0;
        rows.push(row(name, members, &outcome, false, "RMR <= 0.01, <= 12 hops", Some(met)));
    }
    bar.set_message(format!("broadcast, tree: 30 % of {members} members crash"));
    let promised = repair_round(&config.broadcast) * 2;
    let after = collapse::collapse(&mut sim, 30, options.seed, promised);
    bar.finish_and_clear();
    rows.push(aftermath(members, &after, promised));
    rows
}

/// The greatest period of the repair.
fn repair_round(broadcast: &BroadcastConfig) -> Duration {
    let period = match broadcast.repair {
        Repair::Rounds(rounds) => rounds.period,
        Repair::Pull { period, .. } => period,
        Repair::None => Duration::ZERO,
    };
    period + period / 10
}

fn aftermath(members: u32, after: &Aftermath, goal: Duration) -> Row {
    let met = after.missing == 0 && after.late == 0;
    let cells = format!(
        "last of {}: {} after the crash, or {} after the first; late {} of {}, missed {}",
        after.survivors,
        seconds(Some(after.slowest[0])),
        seconds(Some(after.slowest[1])),
        after.late,
        after.survivors * after.messages,
        after.missing,
    );
    let numbers = serde_json::json!({
        "name": "crash", "members": members, "missing": after.missing, "late": after.late, "messages": after.messages,
        "before_ms": after.slowest[0].as_secs_f64() * 1e3, "after_ms": after.slowest[1].as_secs_f64() * 1e3,
        "goal_ms": goal.as_secs_f64() * 1e3, "met": met,
    });
    let goal = format!("all in two repair rounds, {}", seconds(Some(goal)));
    Row { name: "tree, 30 % crash".to_owned(), members, cells, numbers, goal, met: Some(met) }
}

fn large_push(options: &Options, members: u32) -> Vec<Row> {
    let bar = stage(options, format!("broadcast, push: {members} members join"));
    let mut sim = spread::settled(options.seed, members, &config(BroadcastConfig::push_ack()), steady(), 0);
    bar.set_message(format!("broadcast, push: messages to {members} members"));
    let outcome = spread::talk(&mut sim, &talk(0, 20, false), options.seed, false);
    bar.finish_and_clear();
    // The simulated rounds of the synchronous model until all members have the message, with a fan-out of 3.
    let model = [(1_000, 8.16), (10_000, 10.53)].iter().find(|(size, _)| *size == members);
    let goal = model.map_or("-".to_owned(), |(_, rounds)| format!("hops <= {rounds} + 1 rounds"));
    let met = model.map(|(_, rounds)| outcome.hops().0 <= rounds + 1.0 && outcome.missed() == 0);
    vec![row("push_ack, links of 5 ms", members, &outcome, false, &goal, met)]
}

fn report(rows: &[Row]) -> Report {
    let mut text = format!("A broadcast of 64 B on links of 1 to 10 ms. {FOCA}.\n");
    let _ = writeln!(
        text,
        "{:<29} {:>6} | {:>7} {:>7} {:>7} | {:>5} {:>3} | {:>7} {:>6} | {:>7} {:>5} | goal",
        "", "n", "99 %", "all", "worst", "hops", "max", "RMR", "missed", "B/node", "dg"
    );
    for row in rows {
        let verdict = match row.met {
            Some(true) => "met: ",
            Some(false) => "MISSED: ",
            None => "",
        };
        let Row { name, members, cells, goal, .. } = row;
        let _ = writeln!(text, "{name:<29} {members:>6} | {cells} | {verdict}{goal}");
    }
    let _ = writeln!(
        text,
        "99 %, all: time until that share of the members has a message, median of the messages; worst: the slowest one.\n\
         hops: of the deepest delivery, mean of the messages, and the greatest. RMR: payloads received for each\n\
         receiver, less one. B/node, dg: bytes and datagrams for each member and message beyond what the same group\n\
         sends in silence. missed: deliveries that did not come within ten seconds of the last message."
    );
    for row in rows {
        let Some(kinds) = row.numbers.get("kinds").and_then(serde_json::Value::as_array) else { continue };
        let kinds: Vec<String> = kinds
            .iter()
            .filter_map(|kind| {
                let bytes = kind.get(2)?.as_f64().filter(|bytes| *bytes >= 0.5)?;
                Some(format!("{} {:.2} ({bytes:.0} B)", kind.get(0)?.as_str()?, kind.get(1)?.as_f64()?))
            })
            .collect();
        let _ = writeln!(text, "{:<29} {:>6} : {}", row.name, row.members, kinds.join(", "));
    }
    let numbers: Vec<_> = rows.iter().map(|row| row.numbers.clone()).collect();
    Report { text, figure: None, numbers: Some(serde_json::json!({ "paper": "broadcast", "rows": numbers })) }
}
