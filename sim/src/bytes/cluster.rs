//! A small cluster whose network takes each of its decisions from a byte.

use core::net::SocketAddr;
use core::time::Duration;

use bruit_core::{Action, Boot, Broadcast, Command, Config, Event, Node, NodeId, Outbox, Time};

use super::choices::Choices;
use crate::base::Index;
use crate::checks::{Bounds, Checks, Nodes};
use crate::kernel::payload::payload;
use crate::kernel::{Check, Happening, Memory, held_alive};
use crate::process::Epochs;

/// The body of the fuzz target `cluster`. The datagrams of three to five nodes are delivered in any order, lost, copied or
/// delayed, while the nodes crash, restart, leave, change and broadcast, all as the bytes say. Then nothing is lost any
/// more, and the nodes must agree within the bound of their configuration. The checks CB1, CB2, CB3, CB4 and CB7 hold all
/// the time.
///
/// # Panics
/// One of these promises, or an invariant of a node, is broken.
pub fn cluster(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let count = 3 + choices.byte() % 3;
    let mut world = World::new(count);
    while !choices.is_empty() {
        world.step(&mut choices);
    }
    world.heal();
}

struct Member {
    node: Option<Node>,
    epoch: u64,
    /// Whether the member was told to leave.
    left: bool,
}

/// The members as the checks look at them. There are no cuts between them.
struct View<'a> {
    now: Time,
    members: &'a [Member],
}

impl Nodes for View<'_> {
    fn now(&self) -> Time {
        self.now
    }

    fn len(&self) -> usize {
        // Members that were not started yet do not count.
        self.members.iter().take_while(|member| member.epoch > 0).count()
    }

    fn node(&self, index: Index) -> Option<&Node> {
        self.members.get(index.get())?.node.as_ref()
    }

    fn connected(&self, _: Index, _: Index) -> bool {
        true
    }

    fn loss_ppm(&self) -> u32 {
        0
    }
}

struct Datagram {
    from: SocketAddr,
    to: SocketAddr,
    bytes: Vec<u8>,
}

struct World {
    config: Config,
    checks: Checks,
    members: Vec<Member>,
    /// The number of payloads made up so far.
    serial: u64,
    datagrams: Vec<Datagram>,
    out: Outbox,
    now: Time,
}

/// Datagrams that may be under way; the oldest are lost.
const DATAGRAMS_MAX: usize = 256;
/// The round trip of the healed network.
const ROUND_TRIP: Duration = Duration::from_millis(2);

fn addr(number: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, u8::try_from(number + 1).expect("a few")], 7_569))
}

fn number(addr: SocketAddr) -> Option<usize> {
    (0..5).find(|number| self::addr(*number) == addr)
}

impl World {
    fn new(count: u8) -> Self {
        let members = (0..count).map(|_| Member { node: None, epoch: 0, left: false }).collect();
        let config = Config::local("fuzz");
        let checks = Checks::new(&config, ROUND_TRIP, 0).only(&["CB1", "CB2", "CB3", "CB4", "CB7"]);
        let (datagrams, out, now) = (Vec::new(), Outbox::new(), Time::ZERO);
        let mut world = Self { config, checks, members, serial: 0, datagrams, out, now };
        (0..world.members.len()).for_each(|member| world.start(member));
        world
    }

    /// Starts a new boot of a member; all other members are its seeds.
    fn start(&mut self, member: usize) {
        let state = &mut self.members[member];
        state.epoch += 1;
        state.left = false;
        let mut seed = [0; 32];
        seed[0] = u8::try_from(member).expect("a few");
        seed[1..9].copy_from_slice(&state.epoch.to_le_bytes());
        let id = NodeId(member as u64 + 1);
        let boot = Boot::new(id, id.to_string(), addr(member), Epochs::of_boot(state.epoch), seed);
        state.node = Some(Node::new(boot, self.config.clone(), self.now).expect("a preset is valid"));
        let (node, first) = (Index::new(member), state.epoch == 1);
        self.see(&if first {
            Happening::Started { node }
        } else {
            Happening::Restarted { node, memory: Memory::Amnesia }
        });
        let seeds = (0..self.members.len()).filter(|other| *other != member).map(addr).collect();
        self.give(member, Event::Command(Command::Join { seeds }));
    }

    fn see(&mut self, happening: &Happening<'_>) {
        let Self { checks, members, now, .. } = self;
        let seen = checks.observe(happening, &View { now: *now, members });
        seen.unwrap_or_else(|violation| panic!("{violation}"));
    }

    fn give(&mut self, member: usize, event: Event<'_>) {
        let (node, index) = (self.members[member].node.is_some(), Index::new(member));
        if !node {
            return;
        }
        if let Event::Command(command) = &event {
            self.see(&Happening::Command { node: index, command });
        }
        let Some(node) = self.members[member].node.as_mut() else { return };
        let mut out = core::mem::take(&mut self.out);
        out.clear();
        node.handle_into(event, self.now, &mut out);
        node.check();
        for action in out.iter() {
            match action {
                Action::Send { to, bytes } => {
                    assert!(bytes.len() <= usize::from(self.config.mtu), "a datagram fits the mtu");
                    self.datagrams.push(Datagram { from: addr(member), to, bytes: bytes.into_owned() });
                }
                Action::Answer(answer) => self.see(&Happening::Answered { node: index, answer: &answer }),
                Action::Notify(notice) => self.see(&Happening::Notice { node: index, notice: &notice }),
                Action::Store { .. } | Action::Reseed | Action::WakeAt(_) => {}
            }
        }
        self.out = out;
        self.see(&Happening::Handled { node: index });
        if self.datagrams.len() > DATAGRAMS_MAX {
            self.datagrams.drain(..self.datagrams.len() - DATAGRAMS_MAX);
        }
    }

    fn deliver(&mut self, datagram: Datagram) {
        if let Some(member) = number(datagram.to).filter(|member| *member < self.members.len()) {
            self.give(member, Event::Datagram { from: datagram.from, bytes: &datagram.bytes });
        }
    }

    fn tick(&mut self, member: usize) {
        self.give(member, Event::Tick);
        let wake = self.members[member].node.as_ref().and_then(Node::next_wake);
        assert!(wake.is_none_or(|wake| wake > self.now), "after a tick the next lies ahead");
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        let verdict = choices.byte();
        match verdict % 16 {
            0..=4 => self.pick(choices, Self::deliver),
            5 => self.pick(choices, |_, _| {}),
            6 => self.pick(choices, |world, datagram| {
                world.datagrams.push(Datagram { bytes: datagram.bytes.clone(), ..datagram });
                world.deliver(datagram);
            }),
            7 => self.now = self.now + Duration::from_millis(u64::from(choices.byte())),
            8..=11 => self.advance(),
            12 => self.deliver_all(),
            _ => self.act(choices),
        }
    }

    fn pick(&mut self, choices: &mut Choices<'_>, verdict: impl FnOnce(&mut Self, Datagram)) {
        if !self.datagrams.is_empty() {
            let position = choices.position(self.datagrams.len());
            let datagram = self.datagrams.remove(position);
            verdict(self, datagram);
        }
    }

    fn act(&mut self, choices: &mut Choices<'_>) {
        let member = choices.position(self.members.len());
        let act = choices.byte();
        if act >= 128 {
            return self.broadcast(member, usize::from(act - 128) * 32);
        }
        match act % 4 {
            0 if self.members[member].node.take().is_some() => {
                self.see(&Happening::Crashed { node: Index::new(member) });
            }
            0 => {}
            1 if self.members[member].node.is_none() => self.start(member),
            2 => {
                self.members[member].left = true;
                self.give(member, Event::Command(Command::Leave { within: Duration::from_secs(1) }));
            }
            _ => self.give(member, Event::Command(Command::SetMeta(choices.bytes(40).to_vec()))),
        }
    }

    fn broadcast(&mut self, member: usize, len: usize) {
        self.serial += 1;
        let payload = payload(NodeId(member as u64 + 1), self.serial, len);
        self.give(member, Event::Command(Command::Broadcast(Broadcast::new("", payload))));
    }

    /// Advances to the next wake-up of any member, which then gets its tick.
    fn advance(&mut self) {
        let wakes = self.members.iter().map(|member| member.node.as_ref().and_then(Node::next_wake));
        let due = wakes.enumerate().filter_map(|(member, wake)| Some((wake?, member))).min();
        if let Some((wake, member)) = due {
            self.now = self.now.max(wake);
            self.tick(member);
        }
    }

    fn deliver_all(&mut self) {
        for datagram in core::mem::take(&mut self.datagrams) {
            self.deliver(datagram);
        }
    }

    /// Restarts the members that crashed or left. From now on nothing is lost, and all members must agree within the bound.
    fn heal(&mut self) {
        for member in 0..self.members.len() {
            let state = &self.members[member];
            if state.left || state.node.is_none() {
                self.start(member);
            }
        }
        let members = u32::try_from(self.members.len()).expect("a few");
        let deadline = self.now + Bounds::new(&self.config, members, ROUND_TRIP, 0).agreement;
        while !self.agree() {
            assert!(self.now < deadline, "no agreement by {deadline} after everything healed");
            self.now = self.now + ROUND_TRIP / 2;
            self.deliver_all();
            let now = self.now;
            let due = |member: &Member| {
                member.node.as_ref().and_then(Node::next_wake).is_some_and(|wake| wake <= now)
            };
            let due: Vec<usize> =
                (0..self.members.len()).filter(|member| due(&self.members[*member])).collect();
            due.into_iter().for_each(|member| self.tick(member));
        }
        self.settle();
        let Self { checks, members, now, .. } = self;
        checks.conclude(&View { now: *now, members }).unwrap_or_else(|violation| panic!("{violation}"));
    }

    /// Runs until every broadcast must have reached all members.
    fn settle(&mut self) {
        let members = u32::try_from(self.members.len()).expect("a few");
        let bounds = Bounds::new(&self.config, members, ROUND_TRIP, 0).broadcast;
        let end = self.now + bounds.repair + bounds.transfer(self.serial * 4_096, members) + ROUND_TRIP;
        while self.now < end {
            let wake = self.members.iter().filter_map(|member| member.node.as_ref()?.next_wake()).min();
            let next =
                if self.datagrams.is_empty() { wake.unwrap_or(end) } else { self.now + ROUND_TRIP / 2 };
            self.now = next.max(self.now).min(end);
            self.deliver_all();
            let now = self.now;
            let is_due = |member: &Member| {
                member.node.as_ref().and_then(Node::next_wake).is_some_and(|wake| wake <= now)
            };
            let due: Vec<usize> = (0..self.members.len()).filter(|at| is_due(&self.members[*at])).collect();
            due.into_iter().for_each(|member| self.tick(member));
        }
    }

    fn agree(&self) -> bool {
        let count = self.members.len();
        let nodes = || self.members.iter().filter_map(|member| member.node.as_ref());
        let mut roots = nodes().map(Node::roots);
        let first = roots.next();
        roots.all(|root| Some(root) == first) && nodes().all(|node| held_alive(node) == count)
    }
}
