//! Processes that share an id: newcomers that wait for it, twins, and copies (rules A2a, A2b and A2c).

use core::net::SocketAddr;

use bruit_core::{Command, Incarnation, MemberState, Node, NodeId, Notice, Phase};
use bruit_sim::{Cluster, Cut, Epochs, Index, Memory, NetworkConfig, Op, Release, WallClock};

use crate::support::{Checked, Lan, all_hold, lan, link, millis, secs, state};

/// The process that has the id first, and the id.
const OLD: Index = Index(3);
const ID: NodeId = NodeId(4);
/// The process that is started, or resumed, under the same id.
const NEW: Index = Index(4);

/// Four members whose epochs come from clocks; the id of the last one is to be shared.
fn four(seed: u64) -> Result<Lan, bruit_sim::Violation> {
    let mut lan = Lan::new(seed, &lan())?;
    lan.sim.set_epochs(Epochs::Clock);
    lan.sim.spawn_many(4)?;
    let within = lan.bounds().join;
    lan.until_all_know_all(within)?;
    Ok(lan)
}

fn phase(cluster: &Cluster<Node>, index: Index) -> Option<Phase> {
    cluster.node(index).map(Node::phase)
}

fn runs(cluster: &Cluster<Node>, index: Index) -> bool {
    phase(cluster, index) == Some(Phase::Running)
}

/// The address and the incarnation at which a member shows the id.
fn shown(cluster: &Cluster<Node>, observer: u32) -> Option<(SocketAddr, Incarnation)> {
    let member = cluster.node(Index(observer))?.member(ID)?;
    Some((member.addr, member.incarnation))
}

/// Whether all three other members hold the id alive at the address of this process.
fn all_show(cluster: &Cluster<Node>, process: Index) -> bool {
    let addr = Some(cluster.addr(process));
    let here = |observer| shown(cluster, observer).map(|(addr, _)| addr) == addr;
    (0..3).all(|observer| here(observer) && state(cluster, observer, OLD.0) == Some(MemberState::Alive))
}

fn is_conflict(notice: &Notice<'_>) -> bool {
    matches!(notice, Notice::IdentityConflict { stopped: true, .. })
}

/// Starts a newcomer whose clock has this error, and checks that the old process is left alone until the newcomer gives up.
fn a_newcomer_gives_up(seed: u64, clock: WallClock, loss_ppm: u32) -> Checked {
    let mut lan = four(seed)?;
    lan.sim.set_network(NetworkConfig::uniform(link().with_loss(loss_ppm)))?;
    lan.sim.run_for(secs(2))?;
    let epoch = lan.node(OLD.0).incarnation().epoch;
    let held = shown(lan.sim.cluster(), 0).expect("all know all");
    lan.sim.apply(Op::Clone { node: OLD, clock })?;
    let what = format!("seed {seed}, clock {clock:?}, {loss_ppm} ppm of loss");
    let wait = lan.config.membership.name_wait + lan.config.membership.probe_interval * 10;
    lan.until(wait, |cluster| {
        for observer in 0..4 {
            let (addr, incarnation) = shown(cluster, observer).expect("the id stays known");
            assert_eq!((addr, incarnation.epoch), (held.0, epoch), "{what}: n{}", observer + 1);
            // With losses the old process may be suspected, and refutes.
            assert!(incarnation == held.1 || loss_ppm > 0, "{what}: n{}", observer + 1);
        }
        assert!(!runs(cluster, NEW), "{what}");
        phase(cluster, NEW) == Some(Phase::Ended)
    })?;
    let boot = lan.node(OLD.0).boot();
    let told = |notice: &Notice<'_>| matches!(notice, Notice::NameHeld { addr, boot: by, .. } if (*addr, *by) == (held.0, boot));
    assert!(lan.notices.has(NEW.0, told), "{what}");
    let taken = |notice: &Notice<'_>| matches!(notice, Notice::NameTaken { addr, boot: by, .. } if (*addr, *by) == (held.0, boot));
    assert!(lan.notices.has(NEW.0, taken), "{what}");
    assert!(runs(lan.sim.cluster(), OLD) && !lan.notices.has(OLD.0, is_conflict), "{what}");
    assert_eq!(lan.node(OLD.0).incarnation().epoch, epoch, "{what}");
    Ok(())
}

#[test]
fn an_id_in_use_stays_with_its_process() -> Checked {
    let hour = secs(3_600);
    for clock in [WallClock::Right, WallClock::Ahead(hour), WallClock::Behind(hour), WallClock::Year1970] {
        for loss_ppm in [0, 250_000] {
            for seed in 500..510 {
                a_newcomer_gives_up(seed, clock, loss_ppm)?;
            }
        }
    }
    Ok(())
}

#[test]
fn a_waiting_process_takes_over_when_the_old_one_leaves() -> Checked {
    for seed in 510..520 {
        let mut lan = four(seed)?;
        lan.sim.clone_process(OLD)?;
        lan.sim.run_for(secs(5))?;
        assert_eq!(lan.node(NEW.0).phase(), Phase::Waiting, "seed {seed}");
        lan.command(OLD.0, Command::Leave { within: secs(5) })?.expect("it may leave");
        lan.until(secs(1), |cluster| runs(cluster, NEW))?;
        lan.until(secs(1), |cluster| all_show(cluster, NEW))?;
        assert_eq!(lan.notices.downs(), [], "seed {seed}");
        assert!(!lan.notices.has(NEW.0, is_conflict), "seed {seed}");
        lan.rest()?;
    }
    Ok(())
}

#[test]
fn a_waiting_process_takes_over_when_the_old_one_is_down() -> Checked {
    for seed in 520..530 {
        let mut lan = four(seed)?;
        lan.sim.clone_process(OLD)?;
        lan.sim.run_for(secs(5))?;
        lan.sim.crash(OLD)?;
        let is_down =
            |cluster: &Cluster<Node>, observer| state(cluster, observer, OLD.0) == Some(MemberState::Down);
        lan.until(secs(20), |cluster| {
            assert!(!runs(cluster, NEW), "seed {seed}: nobody holds the old one Down yet");
            (0..3).any(|observer| is_down(cluster, observer))
        })?;
        // The next question to the members, and two to the address of the old process.
        let within = lan.config.membership.probe_interval + lan.config.membership.probe_timeout + millis(100);
        lan.until(within, |cluster| runs(cluster, NEW))?;
        lan.until(secs(1), |cluster| all_show(cluster, NEW))?;
        lan.rest()?;
    }
    Ok(())
}

/// Runs until exactly one of two processes of the id is left, and all hold that one alive; checks that the other one has said
/// why it has stopped.
fn one_goes_on(mut lan: Lan, first: Index, second: Index, what: &str) -> Checked {
    // A copy asks itself after `heal_interval`, and the other one a second later.
    let within = lan.config.membership.heal_interval * 2 + secs(5);
    lan.sim.run_for(within)?;
    let left: Vec<Index> =
        [first, second].into_iter().filter(|index| runs(lan.sim.cluster(), *index)).collect();
    assert_eq!(left.len(), 1, "{what}: {left:?}\n{}", lan.views());
    assert!(all_show(lan.sim.cluster(), left[0]), "{what}\n{}", lan.views());
    for index in [first, second].into_iter().filter(|index| *index != left[0]) {
        assert_eq!(lan.node(index.0).phase(), Phase::Ended, "{what}");
        assert!(lan.notices.has(index.0, is_conflict), "{what}");
    }
    assert!(!lan.notices.has(left[0].0, is_conflict), "{what}");
    lan.sim.run_for(secs(60))?;
    assert!(all_show(lan.sim.cluster(), left[0]), "{what}: {}", lan.views());
    lan.rest()
}

#[test]
fn of_two_copies_exactly_one_goes_on() -> Checked {
    for seed in 530..540 {
        // The original runs on; the copy is told its address.
        let mut lan = four(seed)?;
        lan.sim.save(OLD)?;
        lan.sim.run_for(secs(3))?;
        lan.sim.copy(OLD)?;
        one_goes_on(lan, OLD, NEW, &format!("seed {seed}, beside the original"))?;
        // The original has changed its record since.
        let mut lan = four(seed)?;
        lan.sim.save(OLD)?;
        lan.command(OLD.0, Command::SetMeta(b"later".to_vec()))?.expect("it fits");
        lan.sim.run_for(secs(3))?;
        lan.sim.copy(OLD)?;
        one_goes_on(lan, OLD, NEW, &format!("seed {seed}, beside a changed original"))?;
        // The original crashes; it is resumed twice, here and elsewhere.
        let mut lan = four(seed)?;
        lan.sim.save(OLD)?;
        lan.sim.run_for(secs(3))?;
        lan.sim.crash(OLD)?;
        lan.sim.restart(OLD, Memory::Snapshot)?;
        lan.sim.copy(OLD)?;
        one_goes_on(lan, OLD, NEW, &format!("seed {seed}, resumed twice"))?;
        // The original crashes and moves. Both copies publish the same incarnation, until one of them has other news.
        let mut lan = four(seed)?;
        lan.sim.save(OLD)?;
        lan.sim.run_for(secs(3))?;
        lan.sim.crash(OLD)?;
        lan.sim.move_to_new_address(OLD)?;
        lan.sim.copy(OLD)?;
        lan.sim.run_for(millis(700))?;
        lan.sim.restart(OLD, Memory::Snapshot)?;
        lan.sim.run_for(secs(1))?;
        let changes = if seed % 2 == 0 { OLD } else { NEW };
        lan.command(changes.0, Command::SetMeta(b"later".to_vec()))?.expect("it fits");
        one_goes_on(lan, OLD, NEW, &format!("seed {seed}, both elsewhere"))?;
    }
    Ok(())
}

#[test]
fn halves_that_each_gave_out_one_id_keep_one_process() -> Checked {
    for seed in 540..550 {
        let mut lan = four(seed)?;
        let split = Cut::Split { groups: vec![vec![OLD]] };
        lan.sim.cut(&split)?;
        lan.until(secs(30), |cluster| {
            (0..3).all(|observer| state(cluster, observer, OLD.0) == Some(MemberState::Down))
        })?;
        lan.sim.clone_process(OLD)?;
        lan.until(secs(5), |cluster| runs(cluster, NEW))?;
        lan.sim.run_for(secs(60))?;
        assert!(runs(lan.sim.cluster(), OLD), "seed {seed}: it is alone");
        lan.sim.heal_all()?;
        lan.notices.clear();
        let what = format!("seed {seed}, after a cut");
        lan.until(secs(30), |cluster| phase(cluster, OLD) == Some(Phase::Ended))?;
        let is_epoch = |notice: &Notice<'_>| matches!(notice, Notice::Reincarnated { incarnation } if incarnation.counter == 0);
        let epochs = lan.notices.all().iter().filter(|(_, _, notice)| is_epoch(notice)).count();
        assert!(epochs <= 3, "{what}: {epochs} epochs until the conflict was settled");
        one_goes_on(lan, OLD, NEW, &what)?;
    }
    Ok(())
}

#[test]
fn a_snapshot_of_a_dead_process_goes_on() -> Checked {
    for seed in 550..560 {
        for elsewhere in [false, true] {
            for down in [false, true] {
                let what = format!("seed {seed}, elsewhere {elsewhere}, down {down}");
                let mut lan = four(seed)?;
                lan.sim.save(OLD)?;
                // It goes on: it refutes, changes its record, and crashes.
                lan.sim.pause(OLD)?;
                lan.until(secs(10), |cluster| {
                    (0..3).any(|observer| state(cluster, observer, OLD.0) == Some(MemberState::Suspect))
                })?;
                lan.sim.resume(OLD, Release::InboxFirst)?;
                lan.command(OLD.0, Command::SetMeta(b"later".to_vec()))?.expect("it fits");
                lan.sim.run_for(secs(5))?;
                lan.sim.crash(OLD)?;
                if down {
                    lan.until(secs(30), |cluster| {
                        all_hold(cluster, OLD.0, |state| state == Some(MemberState::Down))
                    })?;
                }
                let resumed = if elsewhere { lan.sim.copy(OLD)? } else { OLD };
                if !elsewhere {
                    lan.sim.restart(OLD, Memory::Snapshot)?;
                }
                lan.until(secs(30), |cluster| {
                    assert!(runs(cluster, resumed), "{what}");
                    all_show(cluster, resumed)
                })?;
                lan.sim.run_for(secs(60))?;
                assert!(runs(lan.sim.cluster(), resumed), "{what}");
                assert!(all_show(lan.sim.cluster(), resumed), "{what}\n{}", lan.views());
                assert!(!lan.notices.has(resumed.0, is_conflict), "{what}");
                lan.rest()?;
            }
        }
    }
    Ok(())
}
