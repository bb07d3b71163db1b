//! Multicast groups, and filters.

use core::net::SocketAddr;
use core::time::Duration;

use bruit_core::wire::Kind;
use bruit_core::{Config, Node, Time};

use crate::base::Index;
use crate::checks::Checks;
use crate::kernel::{Cluster, Sim};
use crate::network::{Cut, DropReason, Filter, Link, NetworkConfig, Port};
use crate::process::{Input, Io, Join, Process, Spawn};

/// A process that counts the datagrams that it receives.
#[derive(Clone, Debug, Default)]
struct Counter(usize);

impl Process for Counter {
    fn handle(&mut self, input: Input<'_>, _: Time, _: &mut Io<'_>) {
        self.0 += usize::from(matches!(input, Input::Datagram { .. }));
    }

    fn next_wake(&self) -> Option<Time> {
        None
    }
}

fn counters(link: Link) -> Sim<Counter> {
    let mut sim = Sim::new(1, |_| Counter::default());
    sim.check(Checks::of_the_simulator());
    sim.set_network(NetworkConfig::uniform(link)).expect("no check objects");
    for _ in 0..5 {
        sim.spawn(Spawn::new().join(Join::Never)).expect("no check objects");
    }
    sim
}

fn sends(sim: &mut Sim<Counter>, from: u32, times: usize) -> Vec<usize> {
    let group: SocketAddr = "239.7.5.69:7569".parse().expect("an address");
    sim.at(Index(from), |_, _, io| (0..times).for_each(|_| io.send(Port(9), group, b"hello")))
        .expect("no check objects");
    sim.run_for(Duration::from_secs(1)).expect("no check objects");
    sim.cluster().indices().map(|index| sim.cluster().process(index).map_or(0, |counter| counter.0)).collect()
}

#[test]
fn a_datagram_to_a_group_reaches_all_other_processes() {
    let mut sim = counters(Link::default());
    assert_eq!(sends(&mut sim, 2, 1), [1, 1, 0, 1, 1]);
    assert_eq!((sim.cluster().counters().sent, sim.cluster().counters().fanned_out), (1, 3));
    sim.cut(&Cut::Split { groups: vec![vec![Index(0), Index(2)]] }).expect("no check objects");
    assert_eq!(sends(&mut sim, 2, 1), [2, 1, 0, 1, 1]);
    sim.crash(Index(0)).expect("no check objects");
    sends(&mut sim, 2, 1);
    assert_eq!(sim.cluster().counters().dropped(DropReason::Crashed), 1);
}

#[test]
fn each_copy_to_a_group_is_lost_independently() {
    let mut sim = counters(Link::default().with_loss(500_000));
    let received = sends(&mut sim, 0, 1_000);
    assert!(received[1..].iter().all(|count| (400..600).contains(count)), "{received:?}");
}

#[test]
fn a_filter_removes_messages_from_datagrams() {
    let node = |boot| Node::new(boot, Config::lan("filter"), Time::ZERO).expect("valid");
    let mut sim = Sim::new(2, node);
    sim.check(Checks::of_the_simulator());
    sim.set_filter(Some(Filter::without(&[Kind::JoinEcho])));
    sim.spawn_many(3).expect("no check objects");
    let joined = sim.run_until(Duration::from_secs(10), Cluster::all_know_all);
    assert_eq!(joined.expect("no check objects"), None, "no address is validated");
    assert!(sim.cluster().counters().dropped(DropReason::Filtered) > 0);
    sim.set_filter(None);
    let joined = sim.run_until(Duration::from_secs(10), Cluster::all_know_all);
    assert!(joined.expect("no check objects").is_some());
}
