//! Rapid (Suresh et al., USENIX ATC 2018), §7: ten of a thousand members have a bad link. (i) Everything sent to them is lost
//! for 20 s, then nothing for 20 s, and so on. (ii) 80 % of what they send, or of what is sent to them, is lost. memberlist
//! oscillates for the whole experiment; Rapid removes exactly the ten, once.
//!
//! bruit has no consensus on its views, and it contacts Down members forever, so the ten may come and go here too. Two
//! settings limit that (rule B14): damping (`flap_half_life`) makes the verdict on a member slower each time that it has
//! returned, and probation (`probation_returns`) shows a member that goes on returning as Down until it is quiet. The
//! experiment runs with both, without probation, and without both. It counts how many changes a healthy member reports a
//! minute, when it reports the last one, how often views have different sizes, and the healthy members that are called Down.

use core::fmt::Write as _;
use core::time::Duration;

use bruit_core::{Config, MemberChange, Time};

use super::{Options, in_parallel, subject};
use bruit_sim::{Cut, Delay, Flap, Gray, InFlight, Index, Link, NetworkConfig};

const MEMBERS: u32 = 1_000;
const LENGTH: Duration = Duration::from_secs(900);
/// The time within which all members know each other after the fault: longer than the longest probation (rule B14).
const QUIET: Duration = Duration::from_secs(720);

/// The settings that are compared.
fn configs() -> [(&'static str, Config); 4] {
    let lan = Config::lan("rapid");
    let mut no_probation = lan.clone();
    no_probation.membership.probation_returns = 0;
    let mut neither = no_probation.clone();
    neither.membership.flap_half_life = Duration::ZERO;
    [
        ("lan()", lan),
        ("  without probation", no_probation),
        ("  without both", neither),
        ("memberlist_lan()", Config::memberlist_lan("rapid")),
    ]
}

struct Fault {
    name: &'static str,
    paper: &'static str,
    cut: fn(Vec<Index>) -> Cut,
    flap: Option<Flap>,
    gray: Option<Gray>,
}

fn faults() -> [Fault; 4] {
    let flap = Flap { down: Duration::from_secs(20), up: Duration::from_secs(20) };
    let gray = Gray { loss_ppm: 800_000, delay: Duration::ZERO };
    let (ingress, egress) = (|nodes| Cut::Ingress { nodes }, |nodes| Cut::Egress { nodes });
    [
        Fault {
            name: "ingress lost 20 s of 40",
            paper: "memberlist: 991 to 1000 for 900 s, never all removed; Rapid: the ten, once",
            cut: ingress,
            flap: Some(flap),
            gray: None,
        },
        Fault {
            name: "80 % of egress lost",
            paper: "memberlist: 992 to 1000, inconsistent views; Rapid: the ten, once",
            cut: egress,
            flap: None,
            gray: Some(gray),
        },
        Fault {
            name: "80 % of ingress lost",
            paper: "the caption's variant",
            cut: ingress,
            flap: None,
            gray: Some(gray),
        },
        Fault {
            name: "all ingress lost",
            paper: "a control: gone once, and for good",
            cut: ingress,
            flap: None,
            gray: None,
        },
    ]
}

/// The result of one run.
struct Seen {
    /// The changes of faulty members at healthy observers.
    changes: u64,
    /// The notices of Down about healthy members, at healthy and at faulty observers.
    wrong: [u64; 2],
    /// How often a healthy member holds a healthy one Down at the end of the faults.
    lost: usize,
    /// The least and the greatest size of a view at the end of the faults.
    sizes: [usize; 2],
    /// The seconds in which two healthy members had views of different sizes.
    unequal: u64,
    /// The time from the start to the last change before the end.
    last: Duration,
    /// The time from the end of the faults until all members know each other, if that happened.
    healed: Option<Duration>,
}

pub(super) fn run(options: &Options) -> String {
    let members = options.members.unwrap_or(MEMBERS);
    let faulty = (members / 100).max(1);
    let length = if options.one_in <= 1 { LENGTH } else { LENGTH / options.one_in.min(5) };
    let (faults, configs) = (faults(), configs());
    let jobs: Vec<(usize, usize)> =
        (0..faults.len()).flat_map(|f| (0..configs.len()).map(move |c| (f, c))).collect();
    let results = in_parallel(&jobs, options, "rapid", |(fault, config)| {
        one(options.seed, members, faulty, length, &configs[*config].1, &faults[*fault])
    });

    let mut text = String::new();
    let _ = writeln!(
        text,
        "Rapid, figures 9 and 10: {faulty} of {members} members have a bad link for {} s",
        length.as_secs()
    );
    let _ = writeln!(
        text,
        "{:<20} | {:>8} {:>9} {:>9} | {:>6} {:>6} {:>5} | {:>9} {:>8}",
        "", "chg/min", "last", "unequal s", "wrong", "at bad", "lost", "sizes", "healed"
    );
    for ((fault, config), seen) in jobs.iter().zip(results) {
        if *config == 0 {
            let Fault { name, paper, .. } = &faults[*fault];
            let _ = writeln!(text, "{name} ({paper})");
        }
        let healthy = u64::from(members - faulty).max(1);
        let tenths = seen.changes * 600 / healthy / length.as_secs().max(1);
        let _ = writeln!(
            text,
            "{:<20} | {:>8} {:>9} {:>9} | {:>6} {:>6} {:>5} | {:>9} {:>8}",
            configs[*config].0,
            format!("{}.{}", tenths / 10, tenths % 10),
            super::seconds(Some(seen.last)),
            seen.unequal,
            seen.wrong[0],
            seen.wrong[1],
            seen.lost,
            format!("{}-{}", seen.sizes[0], seen.sizes[1]),
            super::seconds(seen.healed),
        );
    }
    let _ = writeln!(
        text,
        "chg/min: changes of faulty members that a healthy one reports a minute. last: time of the last change.\n\
         wrong: Downs about healthy members at healthy ones; at bad: at faulty ones.\n\
         lost: healthy members held Down by a healthy one at the end. sizes: least and greatest view then.\n\
         healed: from the end of the fault until all members know each other."
    );
    text
}

fn one(seed: u64, members: u32, faulty: u32, length: Duration, config: &Config, fault: &Fault) -> Seen {
    const UNCHECKED: &str = "no check is there to object";
    let delay = Delay::Uniform { min: Duration::from_micros(200), max: Duration::from_millis(2) };
    let mut sim = subject::group(seed, members, config, NetworkConfig::uniform(Link::with_delay(delay)));
    let healthy = members - faulty;
    let bad: Vec<Index> = (healthy..members).map(Index).collect();
    let start = sim.now();
    sim.cut_with(&(fault.cut)(bad), InFlight::Drop, fault.flap, fault.gray).expect(UNCHECKED);
    let mut unequal = 0;
    let mut sizes = [0, 0];
    for _ in 0..length.as_secs() {
        sim.run_for(Duration::from_secs(1)).expect(UNCHECKED);
        let cluster = sim.cluster();
        let counts =
            (0..healthy).filter_map(|index| cluster.node(Index(index))).map(bruit_core::Node::member_count);
        let (least, greatest) = counts.fold((usize::MAX, 0), |(low, high), n| (low.min(n), high.max(n)));
        sizes = [least, greatest];
        unequal += u64::from(least != greatest);
    }
    let end = sim.now();
    let is_healthy = |id: bruit_core::NodeId| id.0 <= u64::from(healthy);
    let changes_at = |range: core::ops::Range<u32>| {
        let subjects = range.filter_map(|index| sim.cluster().process(Index(index)));
        subjects.flat_map(|subject| subject.changes.iter().copied())
    };
    let wrong = |range| {
        changes_at(range).filter(|(_, change, id)| *change == MemberChange::Down && is_healthy(*id)).count()
            as u64
    };
    let changes = changes_at(0..healthy).filter(|(_, _, id)| !is_healthy(*id)).count() as u64;
    let last = changes_at(0..healthy).map(|(at, ..)| at).max().unwrap_or(start);
    let wrong = [wrong(0..healthy), wrong(healthy..members)];
    let lost = (0..healthy)
        .filter_map(|index| sim.cluster().node(Index(index)))
        .flat_map(bruit_core::Node::members)
        .filter(|member| is_healthy(member.id) && member.state == bruit_core::MemberState::Down)
        .count();
    sim.heal_all().expect(UNCHECKED);
    let healed = sim.run_until(QUIET, bruit_sim::Cluster::all_know_all).expect(UNCHECKED);
    debug_assert!(end > Time::ZERO);
    Seen { changes, wrong, lost, sizes, unequal, last: last.since(start), healed }
}
