//! Disks that fail, and operators who answer questions of admission.

use core::time::Duration;

use bruit_core::broadcast::PersistSeen;
use bruit_core::{AdmissionPolicy, Config, Node, Time};

use crate::base::Index;
use crate::kernel::{Answers, Op, Sim, Violation};

type Checked = Result<(), Violation>;

const SECOND: Duration = Duration::from_secs(1);

fn cluster(config: Config) -> Result<Sim<Node>, Violation> {
    let mut sim = Sim::new(3, move |boot| Node::new(boot, config.clone(), Time::ZERO).expect("valid"));
    sim.spawn_many(3)?;
    Ok(sim)
}

/// How many messages a process has delivered.
fn delivered(sim: &Sim<Node>, index: u32) -> usize {
    sim.cluster().node(Index(index)).map_or(0, |node| node.recent_all().count())
}

#[test]
fn a_disk_that_fails_confirms_nothing_until_it_works_again() -> Checked {
    let mut config = Config::lan("disk");
    config.broadcast.persist_seen = PersistSeen::BeforeDelivery;
    let mut sim = cluster(config)?;
    sim.run_for(5 * SECOND)?;
    sim.apply(Op::Disk { node: Index(1), fails: true })?;
    sim.broadcast(Index(0), 30)?;
    sim.run_for(2 * SECOND)?;
    assert_eq!([0, 1, 2].map(|index| delivered(&sim, index)), [1, 0, 1]);
    assert!(sim.applied().refused_writes > 0);
    sim.apply(Op::Disk { node: Index(1), fails: false })?;
    sim.run_for(SECOND)?;
    assert_eq!(delivered(&sim, 1), 1);
    Ok(())
}

#[test]
fn operators_admit_refuse_or_do_not_answer() -> Checked {
    let mut config = Config::lan("admission");
    config.membership.admission = AdmissionPolicy::Ask(Duration::from_secs(60));
    let mut sim = cluster(config)?;
    let after = Duration::from_millis(100);
    sim.apply(Op::Answers { node: Index(0), answers: Answers::Accept, after })?;
    sim.apply(Op::Answers { node: Index(1), answers: Answers::Veto, after })?;
    sim.run_for(5 * SECOND)?;
    let shown =
        |sim: &Sim<Node>| [0, 1, 2].map(|index| sim.cluster().node(Index(index)).map(Node::member_count));
    assert_eq!(shown(&sim), [Some(3), Some(1), Some(1)]);
    assert_eq!((sim.applied().admissions_asked, sim.applied().admitted, sim.applied().vetoed), (6, 2, 2));
    sim.run_for(60 * SECOND)?;
    assert_eq!(shown(&sim), [Some(3), Some(1), Some(3)], "without an answer a member is admitted");
    sim.apply(Op::Admit { node: Index(1), peer: Index(2), admission: bruit_core::Admission::Accept })?;
    assert_eq!(shown(&sim), [Some(3), Some(2), Some(3)]);
    Ok(())
}
