//! Equal seeds give equal traces: twice in one process, on every machine (the golden hashes), with and without checks, and
//! from a fork.

use core::ops::Range;
use core::time::Duration;

use bruit_core::broadcast::{Order, PersistSeen};
use bruit_core::{BroadcastConfig, Config, Node, Time};
use bruit_sim::{Cut, Index, Memory, NetworkConfig, Random, Release, Sim, Violation};

use crate::support::{Checked, Notices, indices, link, millis, secs};

const GOLDEN: &str = include_str!("golden.txt");
const GOLDEN_BROADCAST: &str = include_str!("golden-broadcast.txt");

fn sim(seed: u64) -> Result<Sim<Node>, Violation> {
    sim_with(seed, Config::lan("golden"))
}

fn sim_with(seed: u64, config: Config) -> Result<Sim<Node>, Violation> {
    let mut sim = Sim::new(seed, move |boot| Node::new(boot, config.clone(), Time::ZERO).expect("valid"));
    sim.set_network(NetworkConfig::uniform(link().with_loss(30_000)))?;
    sim.spawn_many(8)?;
    Ok(sim)
}

/// A minute of faults, drawn from the seed.
fn faults(sim: &mut Sim<Node>) -> Checked {
    let mut random = Random::new(sim.seed(), 9, 0);
    for _ in 0..12 {
        let index = Index(u32::try_from(random.below(8)).expect("small"));
        match random.below(5) {
            0 => sim.crash(index)?,
            1 => sim.restart(index, Memory::Disk)?,
            2 => sim.pause(index)?,
            3 => sim.resume(index, Release::Random)?,
            _ => {
                let half = u32::try_from(random.between(1, 7)).expect("small");
                sim.cut(&Cut::Split { groups: vec![indices(0..half)] })?;
            }
        }
        sim.run_for(millis(random.between(100, 8_000)))?;
        sim.heal_all()?;
    }
    sim.run_for(secs(10))
}

fn hash(seed: u64) -> Result<u64, Violation> {
    let mut sim = sim(seed)?;
    faults(&mut sim)?;
    Ok(sim.trace_hash())
}

#[test]
fn equal_seeds_equal_hashes_and_others_differ() -> Checked {
    let first = hash(500)?;
    assert_eq!(first, hash(500)?);
    assert_ne!(first, hash(501)?);
    Ok(())
}

#[test]
fn checks_do_not_change_the_trace() -> Checked {
    let plain = hash(502)?;
    let mut sim = sim(502)?;
    sim.check(Notices::default());
    sim.check_purity(7);
    faults(&mut sim)?;
    assert_eq!(sim.trace_hash(), plain);
    Ok(())
}

#[test]
fn a_fork_goes_on_as_the_original() -> Checked {
    let mut original = sim(503)?;
    original.run_for(Duration::from_millis(4_321))?;
    let mut fork = original.clone();
    faults(&mut original)?;
    faults(&mut fork)?;
    assert_eq!(original.trace_hash(), fork.trace_hash());
    Ok(())
}

#[test]
fn threads_change_nothing() -> Checked {
    let straight: Vec<u64> = (504..508).map(hash).collect::<Result<_, _>>()?;
    let threads: Vec<_> = (504..508).map(|seed| std::thread::spawn(move || hash(seed))).collect();
    let parallel: Vec<u64> =
        threads.into_iter().map(|t| t.join().expect("no panic")).collect::<Result<_, _>>()?;
    assert_eq!(straight, parallel);
    Ok(())
}

/// Each preset of the broadcast under trouble: messages of one datagram and of many, in both orders, and a twin.
fn hash_of_broadcasts(seed: u64) -> Result<u64, Violation> {
    let preset = match seed % 4 {
        0 => BroadcastConfig::tree(),
        1 => BroadcastConfig::bimodal(),
        2 => BroadcastConfig::push_ack(),
        _ => BroadcastConfig::pull(),
    };
    let order = if seed % 8 < 4 { Order::Arrival } else { Order::Origin };
    let persist_seen = if seed.is_multiple_of(3) { PersistSeen::BeforeDelivery } else { PersistSeen::Never };
    let broadcast = BroadcastConfig { order, persist_seen, prefer_zone: seed.is_multiple_of(5), ..preset };
    let mut sim = sim_with(seed, Config { broadcast, ..Config::lan("golden") })?;
    let mut random = Random::new(seed, 10, 0);
    for _ in 0..30 {
        sim.run_for(millis(random.between(50, 2_000)))?;
        let running: Vec<Index> = sim.cluster().running().collect();
        let node = running[usize::try_from(random.below(running.len() as u64)).expect("small")];
        let index = Index(u32::try_from(random.below(8)).expect("small"));
        match random.below(12) {
            0 => sim.crash(index)?,
            1 => sim.restart(index, Memory::Amnesia)?,
            2 => _ = sim.clone_process(node)?,
            3 => _ = sim.cut(&Cut::Split { groups: vec![indices(0..4)] })?,
            4 => sim.heal_all()?,
            5 => sim.broadcast(node, 9_000)?,
            _ => sim.broadcast(node, 200)?,
        }
    }
    sim.heal_all()?;
    sim.run_for(secs(20))?;
    Ok(sim.trace_hash())
}

#[test]
fn golden_hashes() -> Checked {
    golden("golden.txt", GOLDEN, 600..624, hash)
}

#[test]
fn golden_hashes_of_broadcasts() -> Checked {
    golden("golden-broadcast.txt", GOLDEN_BROADCAST, 700..740, hash_of_broadcasts)
}

/// A change here invalidates every recorded trace. BRUIT_GOLDEN=write writes the new hashes to the file.
fn golden(
    file: &str,
    expected: &str,
    seeds: Range<u64>,
    hash: impl Fn(u64) -> Result<u64, Violation>,
) -> Checked {
    let lines: Vec<String> =
        seeds.map(|seed| Ok(format!("{seed} {:016x}", hash(seed)?))).collect::<Result<_, Violation>>()?;
    let now = lines.join("\n") + "\n";
    if std::env::var_os("BRUIT_GOLDEN").is_some_and(|word| word == "write") {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("it").join(file);
        std::fs::write(path, &now).expect("the file can be written");
        return Ok(());
    }
    assert!(now == expected, "the hashes of {file} differ:\n{now}");
    Ok(())
}
