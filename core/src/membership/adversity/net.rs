//! Processes on a network that loses datagrams, cuts processes off and rewrites sources: for tests in which a process, its id
//! and its address are three things.

use core::time::Duration;
use std::collections::BTreeSet;
use std::string::String;

use super::super::*;
use crate::action::{Action, MemberChange, Notice};
use crate::command::Command;
use crate::event::Event;
use crate::id::{Incarnation, Rank};
use crate::lan::{Lan, addr, boot};
use crate::node::Node;
use crate::rng::Stream;
use crate::wire::{Kind, RecordFields, describe};

/// The record of a member without a name.
pub(super) fn record(id: u64, incarnation: Incarnation, rank: Rank, at: SocketAddr) -> Vec<u8> {
    let fields = RecordFields {
        id: NodeId(id),
        incarnation,
        rank,
        shared: 0,
        roster: 0,
        priority: 0,
        protocol: (1, 1),
        eligible: true,
        addr: at,
        name: "",
        zone: "",
        meta: &[],
        tags: &[],
    };
    fields.encode()
}

/// Gives node 1 these datagrams, runs, and counts (datagrams, bytes) that were sent to `victim`.
pub(super) fn at_victim(
    lan: &mut Lan,
    datagrams: &[(SocketAddr, Vec<u8>)],
    victim: SocketAddr,
    millis: u64,
) -> (usize, usize) {
    let (mut count, mut total) = (0, 0);
    let mut take = |lan: &mut Lan| {
        lan.wires.retain(|_, (_, to, bytes)| {
            if *to == victim {
                count += 1;
                total += bytes.len();
            }
            *to != victim
        });
    };
    for (from, bytes) in datagrams {
        lan.event(1, Event::Datagram { from: *from, bytes });
        take(lan);
    }
    for _ in 0..millis {
        lan.run(1);
        take(lan);
    }
    (count, total)
}

/// The last change of each member that each observer was told of, and the state that it was shown since.
pub(super) type Told = BTreeMap<(u64, u64), (MemberChange, Option<MemberState>)>;

/// Processes by their keys: process k is at `addr(k)` unless it has moved, whatever its id is and whatever it announces.
pub(super) struct Net {
    pub(super) nodes: BTreeMap<u64, Node>,
    /// Datagrams by the time of their arrival: sender, address, bytes.
    wires: BTreeMap<(Time, u64), (u64, SocketAddr, Vec<u8>)>,
    pub(super) now: Time,
    serial: u64,
    pub(super) rng: Rng,
    /// Of a hundred datagrams so many are lost.
    pub(super) loss: usize,
    /// The side of a cut on which a process is; 0 if it is not named.
    pub(super) side: BTreeMap<u64, u8>,
    /// Pairs of processes that do not reach each other, the lower key first.
    pub(super) cuts: BTreeSet<(u64, u64)>,
    /// The sources that others see of these processes. What is sent there arrives, too.
    pub(super) translated: BTreeMap<u64, SocketAddr>,
    /// Where processes are that have moved.
    pub(super) moved: BTreeMap<u64, SocketAddr>,
    pub(super) notices: Vec<(u64, Time, Notice<'static>)>,
    /// The processes that have stopped for another one while no other one of the id ran.
    pub(super) orphans: Vec<(u64, Time, u64)>,
    pub(super) kinds: BTreeMap<Kind, u64>,
}

impl Net {
    pub(super) fn new() -> Self {
        Self {
            nodes: BTreeMap::new(),
            wires: BTreeMap::new(),
            now: Time::from_secs(1),
            serial: 0,
            rng: Rng::new([4; 32], Stream::Membership),
            loss: 0,
            side: BTreeMap::new(),
            cuts: BTreeSet::new(),
            translated: BTreeMap::new(),
            moved: BTreeMap::new(),
            notices: Vec::new(),
            orphans: Vec::new(),
            kinds: BTreeMap::new(),
        }
    }

    /// Starts a process whose id is its key.
    pub(super) fn begin(&mut self, key: u64, announced: SocketAddr, seeds: Vec<SocketAddr>, config: &Config) {
        self.start(key, key, 10 + self.serial, announced, seeds, config);
    }

    pub(super) fn start(
        &mut self,
        key: u64,
        id: u64,
        epoch: u64,
        announced: SocketAddr,
        seeds: Vec<SocketAddr>,
        config: &Config,
    ) {
        let mut boot = boot(id, epoch);
        boot.addr = announced;
        self.serial += 1;
        boot.seed[16..24].copy_from_slice(&self.serial.to_le_bytes());
        boot.seed[24] = 1;
        // Another process, another history.
        self.notices.retain(|(of, ..)| *of != key);
        self.nodes.insert(key, Node::new(boot, config.clone(), self.now).expect("a good configuration"));
        self.event(key, Event::Command(Command::Join { seeds }));
    }

    /// The address at which a process is.
    pub(super) fn place(&self, key: u64) -> SocketAddr {
        self.moved.get(&key).copied().unwrap_or(addr(key))
    }

    pub(super) fn event(&mut self, key: u64, event: Event<'_>) {
        let Some(node) = self.nodes.get_mut(&key) else { return };
        let actions = node.handle(event, self.now);
        node.check();
        let id = node.id().0;
        let (mut stopped, mut reseed) = (false, false);
        for action in actions {
            match action {
                Action::Send { to, bytes } => {
                    for kind in describe(&bytes).expect("nodes write what can be read").kinds() {
                        *self.kinds.entry(kind).or_insert(0) += 1;
                    }
                    self.serial += 1;
                    let to = if to.ip().is_unspecified() { self.place(key) } else { to };
                    let at = (self.now + Duration::from_millis(1), self.serial);
                    self.wires.insert(at, (key, to, bytes.into_owned()));
                }
                Action::Notify(notice) => {
                    stopped |= matches!(notice, Notice::IdentityConflict { stopped: true, .. });
                    self.notices.push((key, self.now, notice));
                }
                Action::Reseed => reseed = true,
                Action::Answer(_) | Action::Store { .. } | Action::WakeAt(_) => {}
            }
        }
        if stopped && self.running(id).is_empty() {
            self.orphans.push((key, self.now, id));
        }
        if reseed {
            self.seed(key);
        }
    }

    pub(super) fn seed(&mut self, key: u64) {
        self.serial += 1;
        let mut seed = [3; 32];
        seed[..8].copy_from_slice(&self.serial.to_le_bytes());
        self.event(key, Event::Seed(seed));
    }

    /// Whether a datagram from one process reaches the other.
    fn passes(&mut self, from: u64, to: u64) -> bool {
        let side = |key| self.side.get(&key).copied().unwrap_or(0);
        let cut = side(from) != side(to) || self.cuts.contains(&(from.min(to), from.max(to)));
        !cut && (self.loss == 0 || self.rng.below(100) >= self.loss)
    }

    pub(super) fn run(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        loop {
            let wake = self.nodes.iter().filter_map(|(key, node)| Some((node.next_wake()?, *key))).min();
            let wire = self.wires.first_key_value().map(|(at, _)| at.0);
            match (wire, wake) {
                (Some(at), wake) if at <= end && wake.is_none_or(|(wake, _)| at <= wake) => {
                    self.now = self.now.max(at);
                    let (_, (key, to, bytes)) = self.wires.pop_first().expect("just seen");
                    let is_at =
                        |other: &u64| self.place(*other) == to || self.translated.get(other) == Some(&to);
                    let Some(other) = self.nodes.keys().copied().find(|other| is_at(other)) else { continue };
                    if self.passes(key, other) {
                        let from = self.translated.get(&key).copied().unwrap_or(self.place(key));
                        self.event(other, Event::Datagram { from, bytes: &bytes });
                    }
                }
                (_, Some((at, key))) if at <= end => {
                    self.now = self.now.max(at);
                    self.event(key, Event::Tick);
                }
                _ => break,
            }
        }
        self.now = self.now.max(end);
    }

    /// The processes with this id that run.
    pub(super) fn running(&self, id: u64) -> Vec<u64> {
        let runs = |node: &Node| node.id().0 == id && node.phase() == Phase::Running;
        self.nodes.iter().filter(|(_, node)| runs(node)).map(|(key, _)| *key).collect()
    }

    pub(super) fn state(&self, observer: u64, subject: u64) -> Option<MemberState> {
        self.nodes[&observer].member(NodeId(subject)).map(|member| member.state)
    }

    pub(super) fn changes(&self, observer: u64, subject: u64) -> Vec<MemberChange> {
        let of = |(key, _, notice): &(u64, Time, Notice<'static>)| {
            let Notice::Member { change, member } = notice else { return None };
            (*key == observer && member.id.0 == subject).then_some(*change)
        };
        self.notices.iter().filter_map(of).collect()
    }

    /// What each observer was told last of each member. Processes from `resumed` on may go on with the history of another one.
    ///
    /// # Errors
    /// The first notice that the order in `MemberChange` excludes.
    pub(super) fn told(&self, resumed: u64) -> Result<Told, String> {
        use MemberChange as C;
        let mut told = Told::new();
        for (key, at, notice) in &self.notices {
            let Notice::Member { change, member } = notice else { continue };
            let before = told.get(&(*key, member.id.0)).copied();
            let was = before.map(|(change, _)| change);
            let live = matches!(was, Some(C::Up | C::Updated | C::Restarted | C::Suspected | C::Refuted));
            let (good, shown) = match change {
                C::Up => (!live, Some(MemberState::Alive)),
                C::Refuted => (live, Some(MemberState::Alive)),
                C::Updated | C::Restarted => (live, before.and_then(|(_, state)| state)),
                C::Suspected => (live, Some(MemberState::Suspect)),
                C::Down => (live, Some(MemberState::Down)),
                C::Left => (live || was == Some(C::Down), Some(MemberState::Left)),
                C::Forgotten => (matches!(was, Some(C::Down | C::Left)), None),
            };
            if !good && (was.is_some() || *key < resumed) {
                return Err(std::format!("{at} at {key}: {change:?} of {} after {was:?}", member.id));
            }
            told.insert((*key, member.id.0), (*change, shown));
        }
        Ok(told)
    }
}
