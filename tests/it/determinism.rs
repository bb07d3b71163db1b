//! Equal seeds give equal traces: twice in one process, on every machine (the golden hashes), with and without checks, and
//! from a fork.

use core::time::Duration;

use bruit_core::{Config, Node, Time};
use bruit_sim::{Cut, Index, Memory, NetworkConfig, Random, Release, Sim, Violation};

use crate::support::{Checked, Notices, indices, link, millis, secs};

const GOLDEN: &str = include_str!("golden.txt");

fn sim(seed: u64) -> Result<Sim<Node>, Violation> {
    let mut sim = Sim::new(seed, |boot| Node::new(boot, Config::lan("golden"), Time::ZERO).expect("valid"));
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

#[test]
fn golden_hashes() -> Checked {
    // A change here invalidates every recorded trace. BRUIT_GOLDEN=write writes the new hashes to the file.
    let lines: Vec<String> = (600..624)
        .map(|seed| Ok(format!("{seed} {:016x}", hash(seed)?)))
        .collect::<Result<_, Violation>>()?;
    let now = lines.join("\n") + "\n";
    if std::env::var_os("BRUIT_GOLDEN").is_some_and(|word| word == "write") {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/it/golden.txt"), &now)
            .expect("the file can be written");
        return Ok(());
    }
    assert!(now == GOLDEN, "golden hashes differ:\n{now}");
    Ok(())
}
