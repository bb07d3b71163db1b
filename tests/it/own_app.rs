//! An application of one's own in the simulator. The README shows what follows.

use core::time::Duration;

use bruit_core::{Broadcast, Command, Config, Node, Notice, Outbox, Time};
use bruit_sim::{BRUIT_PORT, Cluster, Cut, Index, Input, Io, Process, Sim, Violation};

/// The application: it counts the votes that it hears of.
struct Voter {
    node: Node,
    out: Outbox,
    votes: usize,
}

impl Process for Voter {
    fn handle(&mut self, input: Input<'_>, now: Time, io: &mut Io<'_>) {
        let Some(event) = input.into_event() else { return };
        self.node.handle_into(event, now, &mut self.out);
        for notice in io.perform(BRUIT_PORT, &self.out) {
            if let Notice::Delivered { .. } = notice {
                self.votes += 1;
            }
        }
        self.out.clear();
    }

    fn next_wake(&self) -> Option<Time> {
        self.node.next_wake()
    }

    fn node(&self) -> Option<&Node> {
        Some(&self.node)
    }
}

#[test]
fn all_count_all_votes_across_a_cut() -> Result<(), Violation> {
    for seed in 0..20 {
        let mut sim = Sim::new(seed, |boot| {
            let node = Node::new(boot, Config::lan("votes"), Time::ZERO).expect("a preset is valid");
            Voter { node, out: Outbox::new(), votes: 0 }
        });
        sim.spawn_many(5)?;
        assert!(sim.run_until(Duration::from_secs(10), Cluster::all_know_all)?.is_some());

        let cut = sim.cut(&Cut::Isolate { nodes: vec![Index(3), Index(4)] })?;
        for index in 0..5 {
            sim.command(Index(index), Command::Broadcast(Broadcast::new("vote", "yes")))?;
        }
        sim.run_for(Duration::from_secs(60))?;
        sim.heal(cut)?;

        let complete = |cluster: &Cluster<Voter>| {
            cluster.running().all(|i| cluster.process(i).is_some_and(|v| v.votes == 5))
        };
        assert!(sim.run_until(Duration::from_secs(60), complete)?.is_some(), "seed {seed}");
    }
    Ok(())
}
