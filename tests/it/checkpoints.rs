//! A node can be serialized before any event and resumed, and does the same afterwards.

use bruit_core::{Config, Event, Node, Time};
use bruit_sim::{Index, Input, Io, Link, NetworkConfig, Process, Random, Sim, Violation};

use crate::support::{Checked, link, secs};

/// A node that is serialized and resumed before some of its events.
struct Resumed {
    node: Node,
    random: Random,
    ppm: u32,
    times: u64,
}

impl Process for Resumed {
    fn handle(&mut self, input: Input<'_>, now: Time, io: &mut Io<'_>) {
        let Some(event) = input.into_event() else { return };
        if self.random.chance(self.ppm) {
            let bytes = postcard::to_allocvec(&self.node).expect("a node is plain data");
            self.node = postcard::from_bytes(&bytes).expect("and reads back");
            self.times += 1;
        }
        io.drive(&mut self.node, event, now);
    }

    fn next_wake(&self) -> Option<Time> {
        self.node.next_wake()
    }

    fn node(&self) -> Option<&Node> {
        Some(&self.node)
    }
}

fn run(seed: u64, ppm: u32) -> Result<(u64, u64), Violation> {
    let mut sim = Sim::new(seed, move |boot: bruit_core::Boot| Resumed {
        random: Random::new(seed, 77, boot.id.0),
        node: Node::new(boot, Config::lan("test"), Time::ZERO).expect("valid"),
        ppm,
        times: 0,
    });
    let link: Link = link().with_loss(50_000);
    sim.set_network(NetworkConfig::uniform(link))?;
    sim.spawn_many(12)?;
    sim.run_for(secs(10))?;
    sim.crash(Index(5))?;
    sim.pause(Index(6))?;
    sim.run_for(secs(20))?;
    sim.resume(Index(6), bruit_sim::Release::TimersFirst)?;
    sim.restart(Index(5), bruit_sim::Memory::Disk)?;
    sim.run_for(secs(20))?;
    let times =
        sim.cluster().indices().filter_map(|index| sim.cluster().process(index)).map(|p| p.times).sum();
    Ok((sim.trace_hash(), times))
}

#[test]
fn a_node_resumed_at_any_event_does_the_same() -> Checked {
    for seed in 400..404 {
        let (straight, never) = run(seed, 0)?;
        let (resumed, often) = run(seed, 50_000)?;
        assert_eq!(never, 0);
        assert!(often > 100, "{often} times");
        assert_eq!(straight, resumed, "seed {seed}");
    }
    Ok(())
}

#[test]
fn a_corrupt_checkpoint_is_an_error_or_a_node() {
    let boot = bruit_core::Boot::new(
        bruit_core::NodeId(1),
        "n1",
        "10.0.0.1:1".parse().expect("an address"),
        1,
        [1; 32],
    );
    let mut node = Node::new(boot, Config::lan("test"), Time::ZERO).expect("valid");
    node.handle(Event::Command(bruit_core::Command::Join { seeds: Vec::new() }), Time::ZERO);
    let bytes = postcard::to_allocvec(&node).expect("a node is plain data");
    for len in 0..bytes.len() {
        assert!(postcard::from_bytes::<Node>(&bytes[..len]).is_err(), "a truncated one is refused");
    }
}
