//! Ids and addresses that get another process: clones with wrong clocks, snapshots, copies, and addresses of crashed
//! processes.

use core::time::Duration;

use bruit_core::{Command, Config, Node, Phase, Time};

use crate::base::Index;
use crate::kernel::{Memory, Op, Sim, Violation};
use crate::process::{Epochs, WallClock};

type Checked = Result<(), Violation>;

const SECOND: Duration = Duration::from_secs(1);

/// A cluster of four nodes that have met.
fn cluster(epochs: Epochs) -> Result<Sim<Node>, Violation> {
    let config = Config::lan("identity");
    let mut sim = Sim::new(3, move |boot| Node::new(boot, config.clone(), Time::ZERO).expect("valid"));
    sim.set_epochs(epochs);
    sim.spawn_many(4)?;
    sim.run_for(5 * SECOND)?;
    Ok(sim)
}

fn node(sim: &Sim<Node>, index: u32) -> &Node {
    sim.cluster().node(Index(index)).expect("the process is not crashed")
}

#[test]
fn a_snapshot_goes_on_from_what_the_process_was() -> Checked {
    let mut sim = cluster(Epochs::Boots)?;
    let n3 = Index(2);
    sim.apply(Op::Save { node: n3 })?;
    let (boot, saved) = (node(&sim, 2).boot(), node(&sim, 2).incarnation());
    sim.apply(Op::SetMeta { node: n3, bytes: 30 })?;
    assert!(node(&sim, 2).incarnation() > saved, "the original goes on");
    sim.crash(n3)?;
    sim.restart(n3, Memory::Snapshot)?;
    assert_eq!((node(&sim, 2).boot(), node(&sim, 2).incarnation()), (boot, saved));
    assert_eq!(node(&sim, 2).phase(), Phase::Running);
    assert_eq!((sim.applied().snapshots, sim.applied().meta_changes), (1, 1));
    Ok(())
}

#[test]
fn a_process_without_a_snapshot_stays_crashed() -> Checked {
    let mut sim = cluster(Epochs::Boots)?;
    sim.crash(Index(2))?;
    sim.restart(Index(2), Memory::Snapshot)?;
    assert!(sim.cluster().node(Index(2)).is_none());
    assert_eq!(sim.applied().snapshots, 0);
    Ok(())
}

#[test]
fn a_copy_runs_beside_the_original_at_an_address_that_it_is_told() -> Checked {
    let mut sim = cluster(Epochs::Boots)?;
    sim.apply(Op::Save { node: Index(1) })?;
    sim.apply(Op::Copy { node: Index(1) })?;
    let (original, copy) = (node(&sim, 1), node(&sim, 4));
    assert_eq!((original.id(), original.boot()), (copy.id(), copy.boot()));
    assert_ne!(original.addr(), copy.addr());
    assert_eq!(copy.addr(), sim.cluster().addr(Index(4)));
    assert_eq!(sim.applied().copies, 1);
    Ok(())
}

#[test]
fn a_new_process_at_the_address_of_a_crashed_one_has_another_id() -> Checked {
    let mut sim = cluster(Epochs::Boots)?;
    let addr = sim.cluster().addr(Index(3));
    sim.crash(Index(3))?;
    sim.apply(Op::Replace { former: Index(3) })?;
    assert_eq!(node(&sim, 4).addr(), addr);
    assert_ne!(node(&sim, 4).id(), sim.cluster().id(Index(3)));
    assert_ne!(sim.cluster().addr(Index(3)), addr);
    sim.crash(Index(0))?;
    sim.apply(Op::TakeOver { node: Index(1), former: Index(0) })?;
    sim.apply(Op::TakeOver { node: Index(1), former: Index(2) })?;
    assert_eq!(sim.applied().addresses_taken, 1, "n3 runs and keeps its address");
    Ok(())
}

#[test]
fn the_wall_clock_decides_the_epoch_of_the_next_boot() -> Checked {
    let mut sim = cluster(Epochs::Clock)?;
    let hour = Duration::from_secs(3_600);
    let epoch = |sim: &Sim<Node>, index| node(sim, index).incarnation().epoch;
    let first = epoch(&sim, 3);
    sim.set_wall_clock(Index(3), WallClock::Ahead(hour))?;
    assert_eq!(epoch(&sim, 3), first, "a running process does not look at the clock");
    sim.crash(Index(3))?;
    sim.restart(Index(3), Memory::Amnesia)?;
    // Each boot begins less than 2²⁰ above its clock.
    let passed = epoch(&sim, 3) - first;
    assert!(passed.abs_diff(3_605_000_000_000) < 1 << 20, "five seconds later, an hour ahead: {passed}");
    let twin = sim.clone_with_clock(Index(3), WallClock::Behind(hour))?;
    assert!(epoch(&sim, twin.0) < first);
    let twin = sim.clone_with_clock(Index(3), WallClock::Year1970)?;
    assert!(epoch(&sim, twin.0) < 1_000_000_000_000);
    Ok(())
}

#[test]
fn a_member_leaves_and_joins_again_in_one_process() -> Checked {
    let mut sim = cluster(Epochs::Boots)?;
    sim.apply(Op::Leave { node: Index(2), within: SECOND })?;
    sim.run_for(2 * SECOND)?;
    assert_eq!(node(&sim, 2).phase(), Phase::Left);
    sim.apply(Op::Join { node: Index(2) })?;
    sim.run_for(3 * SECOND)?;
    assert!(sim.cluster().all_know_all());
    assert_eq!((sim.applied().leaves, sim.applied().rejoins), (1, 1));
    Ok(())
}

#[test]
fn a_removed_member_stops_and_an_unknown_one_is_not_counted() -> Checked {
    let mut sim = cluster(Epochs::Boots)?;
    sim.apply(Op::RemovePeer { node: Index(0), peer: Index(3) })?;
    sim.run_for(SECOND)?;
    assert_eq!(node(&sim, 3).phase(), Phase::Ended);
    sim.apply(Op::Spawn { count: 1, through: Some(Index(4)), seeds: 1 })?;
    sim.apply(Op::RemovePeer { node: Index(0), peer: Index(4) })?;
    assert_eq!(sim.applied().peers_removed, 1);
    sim.command(Index(4), Command::AddPeer(sim.cluster().addr(Index(0))))?;
    sim.run_for(3 * SECOND)?;
    assert_eq!(node(&sim, 4).member_count(), 4);
    assert_eq!((sim.applied().peers_added, sim.applied().late_starts), (1, 1));
    Ok(())
}
