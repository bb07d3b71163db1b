//! Tests of the kernel and of the network, with a toy process.

mod disk;
mod identity;
mod operator;
mod purity;
mod transmit;

use core::cell::RefCell;
use core::net::SocketAddr;
use core::time::Duration;
use std::rc::Rc;

use bruit_core::{Boot, Time, virtual_addr};

use super::{Check, Cluster, Happening, Memory, Op, Release, Sim, Violation};
use crate::base::{Index, Random};
use crate::checks::Checks;
use crate::network::{
    Cut, Delay, DropReason, Flap, InFlight, Link, Loss, NetworkConfig, Port, Reorder, Verdict,
};
use crate::process::{Input, Io, Join, Process, Spawn};

const TOY: Port = Port(9);
const MS: Duration = Duration::from_millis(1);

/// A process that sends a numbered datagram to a random peer at each interval, and records the datagrams that it receives.
#[derive(Clone, Debug)]
struct Toy {
    random: Random,
    peers: Vec<SocketAddr>,
    next: Time,
    interval: Duration,
    sent: u64,
    heard: Vec<(SocketAddr, u64, Time)>,
    ticks: Vec<Time>,
}

impl Process for Toy {
    fn handle(&mut self, input: Input<'_>, now: Time, io: &mut Io<'_>) {
        match input {
            Input::Start => self.next = now + self.interval,
            Input::Tick if now >= self.next => {
                self.ticks.push(now);
                self.next = now + self.interval;
                self.sent += 1;
                let peer = self.peers[self.random.position(self.peers.len())];
                let mut payload = [0; 64];
                payload[..8].copy_from_slice(&self.sent.to_le_bytes());
                io.send(TOY, peer, &payload);
            }
            Input::Datagram { from, bytes, .. } => {
                let number = bytes.first_chunk().map_or(u64::MAX, |word| u64::from_le_bytes(*word));
                self.heard.push((from, number, now));
            }
            Input::Tick | Input::Command(_) | Input::Stored { .. } => {}
        }
    }

    fn next_wake(&self) -> Option<Time> {
        Some(self.next)
    }
}

fn address(index: u32) -> SocketAddr {
    let [_, a, b, c] = (index + 1).to_be_bytes();
    SocketAddr::from(([10, a, b, c], 7_569))
}

/// A simulation of `nodes` toys that send every 10 ms. The first `peers` of them are the peers of all.
fn toys(seed: u64, nodes: u32, peers: u32) -> Sim<Toy> {
    let peers: Vec<SocketAddr> = (0..peers).map(address).collect();
    let mut sim = Sim::new(seed, move |boot: Boot| Toy {
        random: Random::new(u64::from_le_bytes(*boot.seed.first_chunk().expect("32 bytes")), 50, 0),
        peers: peers.clone(),
        next: Time::MAX,
        interval: 10 * MS,
        sent: 0,
        heard: Vec::new(),
        ticks: Vec::new(),
    });
    sim.check(Checks::of_the_simulator());
    for _ in 0..nodes {
        sim.spawn(Spawn::new().join(Join::Never)).expect("no check objects");
    }
    sim
}

fn with_link(seed: u64, nodes: u32, link: Link) -> Sim<Toy> {
    let mut sim = toys(seed, nodes, nodes);
    sim.set_network(NetworkConfig::uniform(link)).expect("no check objects");
    sim
}

fn constant(millis: u32) -> Link {
    Link::with_delay(Delay::Constant(millis * MS))
}

#[track_caller]
fn run(sim: &mut Sim<Toy>, seconds: u64) {
    sim.run_for(Duration::from_secs(seconds)).expect("no check objects");
}

#[track_caller]
fn within_4_sigma(hits: u64, draws: u64, ppm: u32) {
    let (n, p) = (draws as f64, f64::from(ppm) / 1e6);
    let (expected, sigma) = (n * p, (n * p * (1.0 - p)).sqrt());
    assert!(
        (hits as f64 - expected).abs() <= 4.0 * sigma,
        "{hits} of {draws}, expected {expected:.0} ± {sigma:.1}"
    );
}

fn wild() -> Link {
    Link {
        delay: Delay::Exponential { floor: MS, mean: 5 * MS },
        pair_offset: 3 * MS,
        loss: Loss::Bursts { ppm: 100_000, mean_burst: 4 },
        duplicate_ppm: 50_000,
        reorder: Reorder { ppm: 20_000, by: 40 * MS },
        corrupt_ppm: 30_000,
        mtu: 1_500,
        fifo: false,
    }
}

/// A run with every kind of fault.
fn wild_run(seed: u64, checks: bool) -> Sim<Toy> {
    let mut sim = with_link(seed, 6, wild());
    if !checks {
        sim.checks.clear();
        sim.engine.outputs.on = false;
    }
    let at = Time::from_millis;
    let cut = Cut::Split { groups: vec![vec![Index(0), Index(1)]] };
    sim.schedule(at(500), Op::Cut { cut, in_flight: InFlight::Hold, flap: None, lasts: None, gray: None });
    sim.schedule(at(900), Op::HealAll);
    sim.schedule(at(1_000), Op::Crash { node: Index(2) });
    sim.schedule(at(1_200), Op::Restart { node: Index(2), memory: Memory::Amnesia });
    sim.schedule(at(1_300), Op::Pause { node: Index(3) });
    sim.schedule(at(1_700), Op::Resume { node: Index(3), release: Release::Random });
    sim.schedule(at(1_800), Op::ClockRate { node: Index(4), ppm: 30_000 });
    sim.schedule(at(1_900), Op::LateTicks { node: Index(5), by: 7 * MS });
    sim.schedule(at(2_000), Op::Move { node: Index(0) });
    sim.schedule(at(2_100), Op::Spawn { count: 1, through: None, seeds: 1 });
    run(&mut sim, 4);
    sim
}

#[test]
fn the_same_seed_gives_the_same_trace_with_and_without_checks() {
    let one = wild_run(7, true);
    let two = wild_run(7, true);
    let bare = wild_run(7, false);
    assert_eq!(one.trace_hash(), two.trace_hash());
    assert_eq!(one.trace().diverges(bare.trace()), None);
    assert_eq!(one.trace_hash(), bare.trace_hash());
    assert_ne!(one.trace_hash(), wild_run(8, true).trace_hash());
}

#[test]
fn the_trace_is_frozen() {
    // The same on any machine, in debug and in release.
    assert_eq!(wild_run(1, false).trace_hash(), 500195081760260899);
}

#[test]
fn a_fork_goes_on_as_the_original_does() {
    let mut sim = wild_run(3, false);
    let mut fork = sim.clone();
    run(&mut sim, 2);
    run(&mut fork, 2);
    assert_eq!(sim.trace_hash(), fork.trace_hash());
}

#[test]
fn one_more_node_does_not_change_what_the_others_draw() {
    let sent_by_first = |nodes| {
        let mut sim = toys(5, nodes, 3);
        run(&mut sim, 1);
        let toy = sim.cluster().process(Index(0)).expect("it runs").clone();
        (toy.ticks, toy.heard.into_iter().filter(|(from, ..)| *from != address(3)).collect::<Vec<_>>())
    };
    assert_eq!(sent_by_first(3), sent_by_first(4));
}

#[test]
fn every_kind_of_fault_is_counted_when_it_has_an_effect() {
    let applied = wild_run(7, true).applied();
    let counts = [
        applied.crashes,
        applied.restarts_without_memory,
        applied.pauses,
        applied.moves,
        applied.clock_changes,
        applied.late_ticks,
        applied.lost,
        applied.duplicated,
        applied.reordered,
        applied.damaged,
        applied.held,
        applied.cuts[0].1,
    ];
    assert!(counts.iter().all(|count| *count > 0), "{applied:?}");
}

#[test]
fn losses_and_copies_have_their_nominal_rates() {
    let link = Link { duplicate_ppm: 70_000, corrupt_ppm: 20_000, ..constant(1).with_loss(250_000) };
    let mut sim = with_link(11, 10, link);
    run(&mut sim, 60);
    let counters = *sim.cluster().counters();
    within_4_sigma(counters.dropped(DropReason::Loss), counters.sent, 250_000);
    let survivors = counters.sent - counters.dropped_all();
    within_4_sigma(counters.duplicated, survivors, 70_000);
    within_4_sigma(counters.damaged, survivors, 20_000);
}

#[test]
fn bursts_have_their_mean_loss_and_length() {
    let link = Link { loss: Loss::Bursts { ppm: 100_000, mean_burst: 5 }, ..constant(1) };
    let (mut sim, n) = (with_link(12, 1, link), 400_000_u64);
    let network = &mut sim.cluster.network;
    let lost: Vec<bool> = (0..n)
        .map(|i| {
            let verdict = network.send(Time::from_millis(i), Index(0), Some(Index(0)), 10);
            matches!(verdict, Verdict::Drop(DropReason::Loss))
        })
        .collect();
    let total = lost.iter().filter(|lost| **lost).count() as f64;
    let bursts = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count() as f64;
    let (length, rate) = (total / bursts, total / n as f64);
    // The variance of a two-state chain is that of single draws times (1 + c)/(1 − c), c = 1 − p − r.
    let correlation = 1.0 - 0.2 - 0.2 * 0.1 / 0.9;
    let sigma = (0.09 / n as f64 * (1.0 + correlation) / (1.0 - correlation)).sqrt();
    assert!((rate - 0.1).abs() < 4.0 * sigma, "rate {rate}");
    assert!((length - 5.0).abs() < 4.0 * 20_f64.sqrt() / bursts.sqrt(), "length {length}");
}

#[test]
fn delays_stay_in_their_bounds_and_spread_evenly() {
    let (min, max) = (10 * MS, 50 * MS);
    let mut sim = with_link(13, 1, Link::with_delay(Delay::Uniform { min, max }));
    let network = &mut sim.cluster.network;
    let n = 100_000_u64;
    let delays = (0..n).map(|_| match network.send(Time::ZERO, Index(0), Some(Index(0)), 1) {
        Verdict::Carry { delay, .. } => delay,
        Verdict::Drop(reason) => panic!("lost by {reason}"),
    });
    let mut below_quarter = 0;
    for delay in delays {
        assert!((10_000_000..=50_000_000).contains(&delay));
        below_quarter += u64::from(delay < 20_000_000);
    }
    within_4_sigma(below_quarter, n, 250_000);
}

#[test]
fn a_fifo_link_keeps_the_order() {
    let delay = Delay::Uniform { min: MS, max: 100 * MS };
    let heard = |fifo| {
        let mut sim = toys(2, 2, 1);
        sim.set_network(NetworkConfig::uniform(Link { delay, fifo, ..Link::default() })).expect("no check");
        run(&mut sim, 5);
        let toy = sim.cluster().process(Index(0)).expect("it runs");
        toy.heard
            .iter()
            .filter(|(from, ..)| *from == address(1))
            .map(|(_, number, _)| *number)
            .collect::<Vec<_>>()
    };
    assert!(heard(true).is_sorted());
    assert!(!heard(false).is_sorted());
}

/// The number of datagrams between the two halves of four nodes that arrived in [from, to) milliseconds.
fn crossings(sim: &Sim<Toy>, from: u64, to: u64) -> usize {
    let is_left = |addr: SocketAddr| addr == address(0) || addr == address(1);
    let window = Time::from_millis(from)..Time::from_millis(to);
    let heard = sim.cluster().indices().flat_map(|index| {
        let toy = sim.cluster().process(index).expect("it runs");
        toy.heard.iter().map(move |(peer, _, at)| (index, *peer, *at))
    });
    heard
        .filter(|(index, peer, at)| is_left(address(index.0)) != is_left(*peer) && window.contains(at))
        .count()
}

#[test]
fn a_cut_blocks_everything_and_its_setting_decides_about_datagrams_in_flight() {
    let split = Cut::Split { groups: vec![vec![Index(0), Index(1)]] };
    let run_with = |in_flight| {
        let mut sim = with_link(4, 4, constant(30));
        run(&mut sim, 1);
        let id = sim.cut_with(&split, in_flight, None, None).expect("no check objects");
        assert!(!sim.cluster().connected(Index(0), Index(2)));
        assert!(sim.cluster().connected(Index(2), Index(3)));
        run(&mut sim, 1);
        sim.heal(id).expect("no check objects");
        run(&mut sim, 1);
        [(1_001, 1_031), (1_031, 2_000), (2_000, 2_030), (2_030, 3_000)]
            .map(|(a, b)| crossings(&sim, a, b) > 0)
    };
    assert_eq!(run_with(InFlight::Drop), [false, false, false, true]);
    assert_eq!(run_with(InFlight::Deliver), [true, false, false, true]);
    assert_eq!(run_with(InFlight::Hold), [false, false, true, true]);
}

#[test]
fn a_flapping_cut_is_open_in_between() {
    let mut sim = with_link(4, 4, constant(1));
    let split = Cut::Split { groups: vec![vec![Index(0), Index(1)]] };
    let flap = Flap { down: 500 * MS, up: 500 * MS };
    sim.cut_with(&split, InFlight::Drop, Some(flap), None).expect("no check objects");
    run(&mut sim, 2);
    let crossed =
        [(0, 500), (502, 1_000), (1_001, 1_500), (1_502, 2_000)].map(|(a, b)| crossings(&sim, a, b) > 0);
    assert_eq!(crossed, [false, true, false, true]);
}

#[test]
fn a_resumed_process_gets_its_inbox_and_one_tick() {
    let mut sim = with_link(6, 2, constant(1));
    run(&mut sim, 1);
    let index = Index(1);
    let before = sim.cluster().process(index).expect("it runs").clone();
    sim.set_inbox(index, 64 * 10);
    sim.pause(index).expect("no check objects");
    run(&mut sim, 1);
    assert_eq!(sim.cluster().process(index).expect("it is there").heard.len(), before.heard.len());
    sim.resume(index, Release::InboxFirst).expect("no check objects");
    let after = sim.cluster().process(index).expect("it runs");
    assert_eq!(after.heard.len(), before.heard.len() + 10);
    assert_eq!(after.ticks.len(), before.ticks.len() + 1);
    assert!(sim.applied().inbox_full > 0);
}

#[test]
fn a_crashed_process_gets_nothing_and_a_moved_one_only_at_its_new_address() {
    let mut sim = with_link(9, 2, constant(1));
    sim.crash(Index(0)).expect("no check objects");
    run(&mut sim, 1);
    assert!(sim.cluster().process(Index(0)).is_none());
    assert!(sim.cluster().counters().dropped(DropReason::Crashed) > 0);
    sim.move_to_new_address(Index(1)).expect("no check objects");
    assert_eq!(sim.cluster().addr(Index(1)), address(2));
    run(&mut sim, 1);
    assert!(sim.cluster().counters().dropped(DropReason::Unreachable) > 0);
}

#[test]
fn a_datagram_to_an_unknown_address_is_counted() {
    let mut sim = toys(1, 1, 1);
    sim.at(Index(0), |_, _, io| io.send(TOY, virtual_addr(5), b"?")).expect("no check objects");
    assert_eq!(sim.cluster().counters().dropped(DropReason::Unreachable), 1);
}

#[test]
fn a_fast_clock_ticks_more_often_and_late_ticks_are_late() {
    let mut sim = with_link(1, 3, constant(1));
    sim.set_clock_rate(Index(1), 100_000).expect("no check objects");
    sim.set_late_ticks(Index(2), 10 * MS);
    run(&mut sim, 10);
    let ticks = |index| sim.cluster().process(Index(index)).expect("it runs").ticks.len();
    assert_eq!((ticks(0), ticks(1)), (1_000, 1_099));
    assert!((640..700).contains(&ticks(2)), "{}", ticks(2));
}

#[test]
fn run_until_returns_the_time_it_took() {
    let mut sim = with_link(1, 2, constant(1));
    let heard = |cluster: &Cluster<Toy>| cluster.process(Index(0)).is_some_and(|toy| !toy.heard.is_empty());
    let took = sim.run_until(Duration::from_secs(1), heard).expect("no check objects");
    assert!(took.is_some_and(|took| took <= Duration::from_millis(200)));
    assert_eq!(sim.run_until(50 * MS, |_| false).expect("no check objects"), None);
}

/// A check that counts happenings, and objects to the one with the number `at`.
struct Objector {
    seen: Rc<RefCell<usize>>,
    at: usize,
}

impl Check<Cluster<Toy>> for Objector {
    fn observe(&mut self, _: &Happening<'_>, cluster: &Cluster<Toy>) -> Result<(), Violation> {
        *self.seen.borrow_mut() += 1;
        if *self.seen.borrow() < self.at {
            return Ok(());
        }
        Err(Violation::new("T1", cluster.now(), "enough"))
    }
}

#[test]
fn an_objection_stops_the_run() {
    let seen = Rc::new(RefCell::new(0));
    let mut sim = toys(1, 3, 3);
    sim.check(Objector { seen: Rc::clone(&seen), at: 20 });
    let violation = sim.run_for(Duration::from_secs(1)).expect_err("the check objects");
    assert_eq!((violation.check, *seen.borrow()), ("T1", 20));
    assert_eq!(violation.to_string(), format!("T1 at {}: enough", sim.now()));
}
