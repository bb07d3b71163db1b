//! Writes to the disk of a process.

use core::time::Duration;

use bruit_core::broadcast::PersistSeen;
use bruit_core::{Config, Node, Time};

use crate::base::Index;
use crate::checks::Checks;
use crate::kernel::{Release, Sim};

#[test]
fn a_write_that_becomes_durable_during_a_pause_is_confirmed_when_it_ends() {
    let mut config = Config::lan("disk");
    config.broadcast.persist_seen = PersistSeen::BeforeDelivery;
    let mut sim = Sim::new(1, move |boot| Node::new(boot, config.clone(), Time::ZERO).expect("it is valid"));
    sim.check(Checks::of_the_simulator());
    sim.set_disk_delay(Duration::from_millis(5));
    sim.spawn_many(2).expect("no check objects");
    let second = Duration::from_secs(1);
    sim.run_for(second).expect("no check objects");
    sim.broadcast(Index(0), 100).expect("no check objects");
    sim.pause(Index(0)).expect("no check objects");
    sim.run_for(second).expect("a paused process is not told of the write");
    let history = |sim: &Sim<Node>| sim.cluster().node(Index(0)).map(|node| node.recent_all().count());
    assert_eq!(history(&sim), Some(0), "it is not delivered before it is durable");
    sim.resume(Index(0), Release::InboxFirst).expect("no check objects");
    assert_eq!(history(&sim), Some(1));
}
