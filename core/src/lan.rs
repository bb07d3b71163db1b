//! A few nodes on a perfect wire, for unit tests: what happens when nothing goes wrong, and at single faults. Loss,
//! cuts and storms are the simulator's.

use std::collections::BTreeMap;
use std::vec::Vec;

use core::net::SocketAddr;
use core::time::Duration;

use crate::action::{Action, MemberChange, Notice};
use crate::boot::Boot;
use crate::command::{Answer, Command};
use crate::config::Config;
use crate::error::Rejected;
use crate::event::Event;
use crate::id::Slot;
use crate::id::{MemberState, NodeId};
use crate::node::Node;
use crate::time::Time;
use crate::wire::{Kind, describe};

/// Nodes `1..=n`, node i at `10.0.0.i:7`, one millisecond apart.
pub(crate) struct Lan {
    pub(crate) nodes: BTreeMap<u64, Node>,
    pub(crate) now: Time,
    pub(crate) wires: BTreeMap<(Time, u64), (SocketAddr, SocketAddr, Vec<u8>)>,
    pub(crate) sent: u64,
    pub(crate) notices: Vec<(u64, Notice<'static>)>,
    pub(crate) deaf: Vec<u64>,
    /// Datagrams that hold a message of one of these kinds are lost.
    pub(crate) lost: Vec<Kind>,
    /// How many messages of each kind were sent.
    pub(crate) kinds: BTreeMap<Kind, u64>,
    pub(crate) answers: Vec<(u64, Result<Answer, Rejected>)>,
    pub(crate) stored: Vec<(u64, Slot, u64, Vec<u8>)>,
}

pub(crate) fn addr(id: u64) -> SocketAddr {
    format!("10.0.0.{id}:7").parse().expect("an address")
}

pub(crate) fn boot(id: u64, epoch: u64) -> Boot {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&id.to_le_bytes());
    seed[8..16].copy_from_slice(&epoch.to_le_bytes());
    Boot::new(NodeId(id), format!("node-{id}"), addr(id), epoch, seed)
}

impl Lan {
    pub(crate) fn new(n: u64) -> Self {
        Self::with(n, &Config::lan("test"))
    }

    pub(crate) fn with(n: u64, config: &Config) -> Self {
        let now = Time::ZERO;
        let (wires, notices) = (BTreeMap::new(), Vec::new());
        let mut lan = Self {
            nodes: BTreeMap::new(),
            now,
            wires,
            sent: 0,
            notices,
            deaf: Vec::new(),
            lost: Vec::new(),
            kinds: BTreeMap::new(),
            answers: Vec::new(),
            stored: Vec::new(),
        };
        for id in 1..=n {
            lan.start(boot(id, 1), config);
        }
        lan
    }

    pub(crate) fn start(&mut self, boot: Boot, config: &Config) {
        let id = boot.id.0;
        self.nodes.insert(id, Node::new(boot, config.clone(), self.now).expect("a good configuration"));
        self.command(id, Command::Join { seeds: vec![addr(1)] });
    }

    pub(crate) fn command(&mut self, id: u64, command: Command) {
        self.event(id, Event::Command(command));
        let (_, answer) = self.answers.last().expect("a command is answered");
        assert!(answer.is_ok(), "{answer:?}");
    }

    /// Gives a node a command that it must refuse, and returns the reason.
    pub(crate) fn refused(&mut self, id: u64, command: Command) -> Rejected {
        self.event(id, Event::Command(command));
        let (_, answer) = self.answers.pop().expect("a command is answered");
        answer.expect_err("the command is to be refused")
    }

    pub(crate) fn event(&mut self, id: u64, event: Event<'_>) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let ticks = matches!(event, Event::Tick);
        let actions = node.handle(event, self.now);
        node.check();
        let mut reseed = false;
        for action in actions {
            match action {
                Action::Send { to, bytes } => {
                    self.sent += 1;
                    let described = describe(&bytes).expect("nodes write what can be read");
                    let kinds: Vec<Kind> = described.kinds().collect();
                    kinds.iter().for_each(|kind| *self.kinds.entry(*kind).or_insert(0) += 1);
                    if kinds.iter().any(|kind| self.lost.contains(kind)) {
                        continue;
                    }
                    let at = (self.now + Duration::from_millis(1), self.sent);
                    self.wires.insert(at, (node.addr(), to, bytes.into_owned()));
                }
                Action::Notify(notice) => self.notices.push((id, notice)),
                Action::Answer(answer) => self.answers.push((id, answer)),
                Action::Store { slot, serial, bytes } => {
                    self.stored.push((id, slot, serial, bytes.into_owned()));
                }
                Action::Reseed => reseed = true,
                Action::WakeAt(at) => {
                    assert!(!ticks || at > self.now, "after a tick the next one lies ahead")
                }
            }
        }
        if reseed {
            self.sent += 1;
            self.event(id, Event::Seed([u8::try_from(self.sent % 251).expect("a byte"); 32]));
        }
    }

    pub(crate) fn run(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        loop {
            let wake = self.nodes.iter().filter_map(|(id, node)| Some((node.next_wake()?, *id))).min();
            let wire = self.wires.first_key_value().map(|(at, _)| at.0);
            match (wire, wake) {
                (Some(at), wake) if at <= end && wake.is_none_or(|(wake, _)| at <= wake) => {
                    self.now = at;
                    let (_, (from, to, bytes)) = self.wires.pop_first().expect("just seen");
                    let id = self.nodes.iter().find(|(_, node)| node.addr() == to).map(|(id, _)| *id);
                    if let Some(id) = id.filter(|id| !self.deaf.contains(id)) {
                        self.event(id, Event::Datagram { from, bytes: &bytes });
                    }
                }
                (_, Some((at, id))) if at <= end => {
                    self.now = at;
                    self.event(id, Event::Tick);
                }
                _ => break,
            }
        }
        self.now = end;
    }

    pub(crate) fn states(&self, id: u64) -> Vec<(u64, MemberState)> {
        self.nodes[&id].members().map(|member| (member.id.0, member.state)).collect()
    }

    pub(crate) fn changes(&self, observer: u64, subject: u64) -> Vec<MemberChange> {
        let of = |(id, notice): &(u64, Notice<'static>)| {
            let Notice::Member { change, member } = notice else { return None };
            (*id == observer && member.id.0 == subject).then_some(*change)
        };
        self.notices.iter().filter_map(of).collect()
    }

    pub(crate) fn agree(&self) -> bool {
        let mut roots: Vec<_> = self.nodes.values().map(Node::roots).collect();
        roots.dedup();
        roots.len() == 1
    }
}
