//! A hash ring over the live members. The README shows what follows the tests.

use core::time::Duration;

use bruit_core::{Config, Member, Node, NodeId, Time};
use bruit_sim::{Cut, Index, Sim};

use crate::support::Checked;

const KEYS: usize = 200;

/// The owners of all keys, as this member sees them.
fn owners(sim: &Sim<Node>, index: u32) -> Vec<NodeId> {
    let node = sim.cluster().node(Index(index)).expect("it runs");
    (0..KEYS).map(|key| owner(node, &format!("key {key}")).expect("a member sees itself")).collect()
}

#[test]
fn owners_change_only_with_the_members_that_go_and_return() -> Checked {
    for seed in 0..5 {
        let mut sim = Sim::new(seed, |boot| {
            Node::new(boot, Config::lan("ring"), Time::ZERO).expect("a preset is valid")
        });
        sim.spawn_many(6)?;
        assert!(sim.run_until(Duration::from_secs(10), bruit_sim::Cluster::all_know_all)?.is_some());
        let whole = owners(&sim, 0);
        (1..6).for_each(|index| assert_eq!(owners(&sim, index), whole, "seed {seed}, n{}", index + 1));
        let shares = (1..=6).map(|id| whole.iter().filter(|owner| owner.0 == id).count());
        assert!(shares.min() > Some(KEYS / 20), "each has a share");

        // The sides of a cut share the keys anew, each among its own members.
        let cut = sim.cut(&Cut::Split { groups: vec![vec![Index(4), Index(5)]] })?;
        sim.run_for(Duration::from_secs(60))?;
        let sides: [(&[u32], &[u64]); 2] = [(&[0, 1, 2, 3], &[1, 2, 3, 4]), (&[4, 5], &[5, 6])];
        for (side, ids) in sides {
            let here = owners(&sim, side[0]);
            for index in side {
                assert_eq!(owners(&sim, *index), here, "seed {seed}, n{}", index + 1);
            }
            for (now, before) in here.iter().zip(&whole) {
                assert!(ids.contains(&now.0), "a member of this side");
                assert!(now == before || !ids.contains(&before.0), "no other key moves");
            }
        }
        sim.heal(cut)?;
        assert!(sim.run_until(Duration::from_secs(60), bruit_sim::Cluster::all_know_all)?.is_some());
        (0..6).for_each(|index| assert_eq!(owners(&sim, index), whole, "seed {seed}, n{}", index + 1));

        sim.crash(Index(5))?;
        sim.run_for(Duration::from_secs(20))?;
        let here = owners(&sim, 0);
        (1..5).for_each(|index| assert_eq!(owners(&sim, index), here, "seed {seed}, n{}", index + 1));
        for (now, before) in here.iter().zip(&whole) {
            assert!(now.0 != 6 && (now == before || before.0 == 6));
        }
    }
    Ok(())
}

/// The member that owns a key: of the live ones that with the greatest hash of its id and the key (rendezvous hashing). If a
/// member goes, only its own keys move.
fn owner(node: &Node, key: &str) -> Option<NodeId> {
    let weight = |member: &Member<'_>| NodeId::from_name(&format!("{} {key}", member.id));
    node.live_members().max_by_key(weight).map(|member| member.id)
}
