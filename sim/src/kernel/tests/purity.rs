//! CS6: a clone of a node handles a sample of the events as well, and must do the same.

use core::time::Duration;

use bruit_core::{Command, Config, Event, Node, Outbox, Time};

use crate::base::Index;
use crate::kernel::Sim;
use crate::process::is_same;

fn two() -> Sim<Node> {
    let mut sim =
        Sim::new(1, |boot| Node::new(boot, Config::lan("purity"), Time::ZERO).expect("a preset is valid"));
    sim.check_purity(1);
    sim.spawn_many(2).expect("CS6 does not object");
    sim
}

#[test]
fn nodes_that_do_the_same_are_fine() {
    two().run_for(Duration::from_secs(10)).expect("CS6 does not object");
}

#[test]
fn a_clone_that_does_something_else_is_found() {
    let mut sim = two();
    sim.engine.impure = true;
    let violation = sim.run_for(Duration::from_secs(10)).expect_err("CS6 objects");
    assert_eq!(violation.check, "CS6");
}

#[test]
fn another_state_and_another_action_are_found() {
    let sim = two();
    let node = sim.cluster().node(Index(0)).expect("it runs");
    let (mut other, mut out) = (node.clone(), Outbox::new());
    assert!(is_same((node, &Outbox::new()), (&other, &Outbox::new())));
    other.handle_into(Event::Command(Command::SetMeta(vec![1])), Time::from_secs(1), &mut out);
    assert!(!is_same((node, &Outbox::new()), (&other, &Outbox::new())), "another state");
    assert!(!is_same((node, &Outbox::new()), (node, &out)), "another action");
}
