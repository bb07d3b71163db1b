//! Set-ups of one line: a simulated cluster under every check, with its notices and a capture of its datagrams; and a bench of
//! bare nodes.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bruit_core::{
    Action, Answer, Boot, Command, Config, Event, MemberChange, MemberState, Node, NodeId, Notice, Phase,
    Rejected, Time, virtual_addr,
};
use bruit_sim::checks::Checks;
use bruit_sim::{
    Bounds, Check, Cluster, Delay, Happening, Index, Link, NetworkConfig, Process, Sim, Violation,
};

/// The result of a test. The first check that objects ends the test.
pub(crate) type Checked = Result<(), Violation>;

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(crate) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The greatest round trip of most tests, over links of 0.5 to 10 ms.
pub(crate) const ROUND_TRIP: Duration = millis(20);

/// The loss that the checks assume.
pub(crate) const DECLARED_LOSS_PPM: u32 = 100_000;

pub(crate) fn lan() -> Config {
    Config::lan("test")
}

pub(crate) fn link() -> Link {
    Link::with_delay(Delay::Uniform { min: Duration::from_micros(500), max: millis(10) })
}

/// A simulated cluster under checks, with its notices.
pub(crate) struct Lan {
    pub(crate) sim: Sim<Node>,
    pub(crate) notices: Notices,
    pub(crate) config: Config,
}

impl Lan {
    /// An empty cluster under every check.
    pub(crate) fn new(seed: u64, config: &Config) -> Result<Self, Violation> {
        let config_of = config.clone();
        Self::mixed(seed, config, move |_| config_of.clone())
    }

    /// An empty cluster in which each boot has its own configuration. The checks use `config`.
    pub(crate) fn mixed(
        seed: u64,
        config: &Config,
        config_of: impl Fn(&Boot) -> Config + Send + Sync + 'static,
    ) -> Result<Self, Violation> {
        Self::judged(seed, config, config_of, Checks::new(config, ROUND_TRIP, DECLARED_LOSS_PPM))
    }

    /// An empty cluster under these checks.
    pub(crate) fn judged(
        seed: u64,
        config: &Config,
        config_of: impl Fn(&Boot) -> Config + Send + Sync + 'static,
        checks: Checks,
    ) -> Result<Self, Violation> {
        let mut sim = Sim::new(seed, move |boot: Boot| {
            let config = config_of(&boot);
            Node::new(boot, config, Time::ZERO).expect("the tests' boots are valid")
        });
        sim.set_network(NetworkConfig::uniform(link()))?;
        sim.check(checks);
        let notices = Notices::default();
        sim.check(notices.clone());
        Ok(Self { sim, notices, config: config.clone() })
    }

    /// A cluster of this many members, which know each other.
    pub(crate) fn of(seed: u64, members: u32) -> Result<Self, Violation> {
        Self::configured(seed, members, &lan())
    }

    pub(crate) fn configured(seed: u64, members: u32, config: &Config) -> Result<Self, Violation> {
        let mut lan = Self::new(seed, config)?;
        lan.sim.spawn_many(members)?;
        let within = lan.bounds().join;
        lan.until_all_know_all(within)?;
        Ok(lan)
    }

    pub(crate) fn bounds(&self) -> Bounds {
        let members = u32::try_from(self.sim.cluster().len()).expect("few");
        Bounds::new(&self.config, members.max(1), ROUND_TRIP, DECLARED_LOSS_PPM)
    }

    /// Runs until all members know each other. A process that waits for its id is no member yet, and is waited for.
    #[track_caller]
    pub(crate) fn until_all_know_all(&mut self, within: Duration) -> Result<Duration, Violation> {
        let waits = |(_, node): (Index, &Node)| node.phase() == Phase::Waiting;
        self.until(within, |cluster| !cluster.nodes().any(waits) && cluster.all_know_all())
    }

    /// Runs until a condition holds, which must happen within a time. Returns how long it took.
    #[track_caller]
    pub(crate) fn until(
        &mut self,
        within: Duration,
        reached: impl FnMut(&Cluster<Node>) -> bool,
    ) -> Result<Duration, Violation> {
        let took = self.sim.run_until(within, reached)?;
        Ok(took.unwrap_or_else(|| panic!("not within {within:?}; now {}\n{}", self.sim.now(), self.views())))
    }

    /// Runs without a disturbance until the bound of agreement has passed, and lets every check conclude.
    pub(crate) fn rest(mut self) -> Checked {
        let bound = self.bounds().agreement;
        self.sim.run_for(bound)?;
        self.sim.conclude()
    }

    pub(crate) fn node(&self, index: u32) -> &Node {
        self.sim.cluster().node(Index(index)).expect("it runs")
    }

    /// The state in which `observer` shows `subject`.
    pub(crate) fn state(&self, observer: u32, subject: u32) -> Option<MemberState> {
        state(self.sim.cluster(), observer, subject)
    }

    /// The views of the first members as text, for failures.
    pub(crate) fn views(&self) -> String {
        let view = |(index, node): (Index, &Node)| {
            let members: Vec<_> =
                node.members().map(|m| format!("{}@{} {:?}", m.id, m.incarnation, m.state)).collect();
            format!("{index} {:?}: {}", node.phase(), members.join(", "))
        };
        self.sim.cluster().nodes().take(12).map(view).collect::<Vec<_>>().join("\n")
    }

    /// Gives a node a command and returns its answer.
    pub(crate) fn command(
        &mut self,
        index: u32,
        command: Command,
    ) -> Result<Result<Answer, Rejected>, Violation> {
        self.sim.command(Index(index), command)?;
        Ok(self.notices.last_answer(Index(index)))
    }
}

pub(crate) fn state(cluster: &Cluster<Node>, observer: u32, subject: u32) -> Option<MemberState> {
    let id = cluster.id(Index(subject));
    cluster.node(Index(observer))?.member(id).map(|member| member.state)
}

/// Whether `held` is true of the state in which every running node shows the subject, that of the subject left out.
pub(crate) fn all_hold(
    cluster: &Cluster<Node>,
    subject: u32,
    held: impl Fn(Option<MemberState>) -> bool,
) -> bool {
    let mut others = cluster.running().filter(|index| index.0 != subject);
    others.all(|index| held(state(cluster, index.0, subject)))
}

pub(crate) fn is_gone(state: Option<MemberState>) -> bool {
    matches!(state, None | Some(MemberState::Down | MemberState::Left))
}

pub(crate) fn indices(range: core::ops::Range<u32>) -> Vec<Index> {
    range.map(Index).collect()
}

/// A check that records every notice and answer. Clones share their records.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notices(Arc<Mutex<Records>>);

#[derive(Debug, Default)]
struct Records {
    notices: Vec<(Time, Index, Notice<'static>)>,
    answers: BTreeMap<Index, Result<Answer, Rejected>>,
}

/// A change of a member that was reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) at: Time,
    pub(crate) by: Index,
    pub(crate) change: MemberChange,
    pub(crate) of: NodeId,
}

impl Notices {
    fn records(&self) -> std::sync::MutexGuard<'_, Records> {
        self.0.lock().expect("no test panics while it holds the records")
    }

    pub(crate) fn all(&self) -> Vec<(Time, Index, Notice<'static>)> {
        self.records().notices.clone()
    }

    /// Every change of a member, in order.
    pub(crate) fn changes(&self) -> Vec<Change> {
        let change = |(at, by, notice): &(Time, Index, Notice<'static>)| {
            let Notice::Member { change, member } = notice else { return None };
            Some(Change { at: *at, by: *by, change: *change, of: member.id })
        };
        self.records().notices.iter().filter_map(change).collect()
    }

    pub(crate) fn downs(&self) -> Vec<Change> {
        self.changes().into_iter().filter(|change| change.change == MemberChange::Down).collect()
    }

    /// Whether a process has given such a notice.
    pub(crate) fn has(&self, by: u32, is: impl Fn(&Notice<'static>) -> bool) -> bool {
        self.records().notices.iter().any(|(_, index, notice)| index.0 == by && is(notice))
    }

    pub(crate) fn clear(&self) {
        self.records().notices.clear();
    }

    fn last_answer(&self, index: Index) -> Result<Answer, Rejected> {
        self.records().answers.remove(&index).expect("a command is answered in the call that takes it")
    }
}

impl<P: Process> Check<Cluster<P>> for Notices {
    fn observe(&mut self, happening: &Happening<'_>, cluster: &Cluster<P>) -> Checked {
        if let Happening::Notice { node, notice } = *happening {
            self.records().notices.push((cluster.now(), node, notice.clone().into_owned()));
        }
        if let Happening::Answered { node, answer } = *happening {
            self.records().answers.insert(node, answer.clone());
        }
        Ok(())
    }
}

/// A datagram of a capture.
#[derive(Clone, Debug)]
pub(crate) struct Captured {
    pub(crate) from: Index,
    pub(crate) bytes: Vec<u8>,
}

/// A check that records every datagram that is sent. Clones share their records.
#[derive(Clone, Debug, Default)]
pub(crate) struct Capture(Arc<Mutex<Vec<Captured>>>);

impl Capture {
    pub(crate) fn datagrams(&self) -> Vec<Captured> {
        self.0.lock().expect("no test panics while it holds the capture").clone()
    }

    pub(crate) fn clear(&self) {
        self.0.lock().expect("no test panics while it holds the capture").clear();
    }
}

impl<P: Process> Check<Cluster<P>> for Capture {
    fn observe(&mut self, happening: &Happening<'_>, _: &Cluster<P>) -> Checked {
        if let Happening::Sent { from, bytes, .. } = *happening {
            let captured = Captured { from, bytes: bytes.to_vec() };
            self.0.lock().expect("no test panics while it holds the capture").push(captured);
        }
        Ok(())
    }
}

/// Bare nodes `n1..` at `virtual_addr(1..)`. Datagrams arrive at once and in order, and nothing else happens unless a test
/// does it.
#[derive(Debug, Default)]
pub(crate) struct Bench {
    pub(crate) now: Time,
    nodes: Vec<Node>,
    /// Every datagram so far: sender, receiver and bytes.
    pub(crate) sent: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
    pub(crate) notices: Vec<(NodeId, Notice<'static>)>,
}

impl Bench {
    pub(crate) fn of(nodes: u64, config: &Config) -> Self {
        let mut bench = Self::default();
        (1..=nodes).for_each(|id| bench.add(id, config));
        bench
    }

    /// Adds a node, which must have the next number.
    pub(crate) fn add(&mut self, id: u64, config: &Config) {
        let boot = Boot::new(NodeId(id), format!("n{id}"), virtual_addr(id), 1, [id.to_le_bytes()[0]; 32]);
        self.nodes.push(Node::new(boot, config.clone(), self.now).expect("the tests' boots are valid"));
    }

    pub(crate) fn node(&self, id: u64) -> &Node {
        let at = usize::try_from(id - 1).expect("small");
        &self.nodes[at]
    }

    pub(crate) fn node_mut(&mut self, id: u64) -> &mut Node {
        let at = usize::try_from(id - 1).expect("small");
        &mut self.nodes[at]
    }

    /// Gives an event to a node, and delivers datagrams until none is left. Returns the answer of the node, if there is one.
    pub(crate) fn give(&mut self, id: u64, event: Event<'_>) -> Option<Result<Answer, Rejected>> {
        let (answer, mut queue) = self.handle(id, event);
        while !queue.is_empty() {
            let (from, to, bytes) = queue.remove(0);
            let Some(node) = self.nodes.iter().find(|node| node.addr() == to).map(Node::id) else { continue };
            let (_, more) = self.handle(node.0, Event::Datagram { from, bytes: &bytes });
            queue.extend(more);
        }
        answer
    }

    #[expect(clippy::type_complexity, reason = "an answer, and datagrams as (from, to, bytes)")]
    pub(crate) fn handle(
        &mut self,
        id: u64,
        event: Event<'_>,
    ) -> (Option<Result<Answer, Rejected>>, Vec<(SocketAddr, SocketAddr, Vec<u8>)>) {
        let at = usize::try_from(id - 1).expect("small");
        let node = &mut self.nodes[at];
        let (mut answer, mut sent) = (None, Vec::new());
        for action in node.handle(event, self.now) {
            match action {
                Action::Send { to, bytes } => sent.push((node.addr(), to, bytes.into_owned())),
                Action::Answer(given) => answer = Some(given),
                Action::Notify(notice) => self.notices.push((NodeId(id), notice)),
                Action::Store { .. } | Action::Reseed | Action::WakeAt(_) => {}
            }
        }
        node.check();
        self.sent.extend(sent.iter().cloned());
        (answer, sent)
    }

    pub(crate) fn join(&mut self, id: u64, through: u64) {
        let seeds = if id == through { Vec::new() } else { vec![virtual_addr(through)] };
        self.give(id, Event::Command(Command::Join { seeds }));
    }

    pub(crate) fn datagram(&mut self, id: u64, from: SocketAddr, bytes: &[u8]) {
        self.give(id, Event::Datagram { from, bytes });
    }

    /// Runs for this long, with every tick that is due.
    pub(crate) fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            let wakes = self.nodes.iter().filter_map(|node| Some((node.next_wake()?, node.id())));
            let Some((wake, id)) = wakes.min().filter(|(wake, _)| *wake <= end) else { break };
            self.now = self.now.max(wake);
            self.give(id.0, Event::Tick);
        }
        self.now = end;
    }
}
