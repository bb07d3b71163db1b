//! An exhaustive model of the processes of one id, over the functions of [`Identity`] themselves.
//!
//! There are three processes: the old one, a newcomer that takes the id at any time (it may be told wrongly that the id is
//! free), and a copy that is resumed from a saved state of the old one. The wire is a bag: whatever was ever sent may arrive at
//! any time, any number of times, or never. Every order of these happenings is explored, breadth first, to a bound on the
//! number of states. From every state a *fair* ending is run, in which all that run hear each other.
//!
//! - **Safe**: a process stops only if another one of the id has run beside it, and never do all of them stop.
//! - **Live**: in the fair ending exactly one is left, within a few epochs.
//!
//! `BRUIT_MODEL_STATES=2000000 cargo test --release -p bruit-core model -- --nocapture` explores deeper.

use alloc::collections::{BTreeSet, VecDeque};
use core::net::SocketAddr;
use std::collections::HashSet;
use std::string::String;
use std::vec::Vec;
use std::{format, println};

use super::*;

/// The places of the processes: the old one, the newcomer, the copy.
const OLD: usize = 0;
const NEW: usize = 1;
const COPY: usize = 2;

/// The place with this address.
fn place_of(addr: SocketAddr) -> usize {
    usize::from(addr.port() - 7_000)
}

fn addr(place: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 7_000 + u16::try_from(place).expect("three places")))
}

/// Whatever is on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Sent {
    Record {
        place: usize,
        incarnation: Incarnation,
        rank: Rank,
    },
    /// A question of one place, sent to the address of another.
    Ask {
        place: usize,
        to: usize,
        nonce: u64,
    },
    /// An answer from one place to the question of another.
    Claim {
        from: usize,
        place: usize,
        nonce: u64,
        rank: Rank,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Status {
    Absent,
    Running,
    Stopped,
    Crashed,
}

/// A process, with its time normalised to zero.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    identity: Identity,
    status: Status,
    /// Whether another process of the id has run beside this one.
    met: bool,
}

/// What may still happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Budget {
    newcomer: bool,
    copies: bool,
    crashes: u8,
    refutations: u8,
    waits: u8,
    nonces: u64,
    epochs: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    places: [Place; 3],
    wire: BTreeSet<Sent>,
    saved: Option<Identity>,
    /// Whether a process crashed after it met another one: then all may be gone.
    late_crash: bool,
    boots: u64,
    nonces: u64,
    budget: Budget,
}

/// Makes all times of an identity count from `by` on.
fn shift(identity: &mut Identity, by: Duration) {
    if let Some(doubt) = &mut identity.doubt {
        doubt.due = Time::ZERO + doubt.due.since(Time::ZERO + by);
    }
    if let Some(ask) = &mut identity.self_ask {
        ask.until = Time::ZERO + ask.until.since(Time::ZERO + by);
    }
    identity.self_ask = identity.self_ask.filter(|ask| ask.until > Time::ZERO);
}

impl World {
    fn new(old_epoch: u64, new_epoch: u64, boots: [u64; 2], budget: Budget) -> Self {
        let place = |epoch, boot, status| {
            let mut identity = Identity::new(epoch, boot);
            identity.take(None);
            Place { identity, status, met: false }
        };
        let places = [
            place(old_epoch, boots[0], Status::Running),
            place(new_epoch, boots[1], Status::Absent),
            place(0, 0, Status::Absent),
        ];
        let (wire, saved) = (BTreeSet::new(), None);
        let mut world = Self { places, wire, saved, late_crash: false, boots: 100, nonces: 0, budget };
        world.publish(OLD);
        world
    }

    fn runs(&self, place: usize) -> bool {
        self.places[place].status == Status::Running
    }

    fn running(&self) -> Vec<usize> {
        (0..3).filter(|place| self.runs(*place)).collect()
    }

    fn record(&self, place: usize) -> Sent {
        let identity = &self.places[place].identity;
        // A copy does not know that it is elsewhere: its record names the address of the old process.
        let place = if place == COPY { OLD } else { place };
        Sent::Record { place, incarnation: identity.incarnation(), rank: identity.rank() }
    }

    fn publish(&mut self, place: usize) {
        let record = self.record(place);
        self.wire.insert(record);
    }

    fn own_addr(place: usize) -> SocketAddr {
        addr(if place == COPY { OLD } else { place })
    }

    fn react(&mut self, place: usize, reaction: Reaction) {
        let boot = self.boots + 1;
        let identity = &mut self.places[place].identity;
        match reaction {
            Reaction::Nothing => return,
            Reaction::Refute => identity.refute(),
            Reaction::Jump(heard) | Reaction::Outrank { above: Some(heard), .. } => {
                assert!(identity.jump(heard, 0), "epochs are few here");
            }
            Reaction::Outrank { above: None, .. } => return,
            Reaction::Redraw { heard, below, route } => {
                identity.redraw(boot, below, route, Time::ZERO);
                assert!(identity.jump(heard, 0), "epochs are few here");
                self.boots = boot;
            }
            Reaction::Stop { .. } => {
                self.places[place].status = Status::Stopped;
                return;
            }
        }
        self.publish(place);
    }

    /// Takes the steps that are due now.
    fn steps(&mut self, place: usize) {
        while self.runs(place) {
            let nonce = self.nonces + 1;
            match self.places[place].identity.step(Time::ZERO, nonce) {
                Step::Sleep(_) | Step::Done => return,
                Step::Jump(heard) => self.react(place, Reaction::Jump(heard)),
                Step::Ask { nonce, route } => {
                    self.nonces = self.nonces.max(nonce);
                    let to = place_of(route.addr.unwrap_or(Self::own_addr(place)));
                    self.wire.insert(Sent::Ask { place, to, nonce });
                }
            }
        }
    }

    fn deliver(&mut self, place: usize, sent: Sent) {
        let own = Self::own_addr(place);
        let identity = &mut self.places[place].identity;
        let reaction = match sent {
            Sent::Record { place, incarnation, rank } => {
                let route = Route { addr: Some(addr(place)), via: None };
                let boot = rank.boot;
                let news = Signed {
                    boot,
                    incarnation,
                    rank: Some(rank),
                    state: MemberState::Alive,
                    differs: false,
                    route,
                };
                identity.on_signed(news, own, Time::ZERO)
            }
            Sent::Ask { place: asker, nonce, .. } => match identity.on_ask(nonce, Time::ZERO) {
                Answer::Own(reaction) => reaction,
                Answer::Claim => {
                    let rank = identity.rank();
                    self.wire.insert(Sent::Claim { from: place, place: asker, nonce, rank });
                    Reaction::Nothing
                }
            },
            Sent::Claim { from, nonce, rank, .. } => {
                let route = Route { addr: Some(addr(from)), via: None };
                identity.on_claim(nonce, rank, route, own, Time::ZERO)
            }
        };
        self.react(place, reaction);
        self.steps(place);
    }

    /// Lets the time pass until the next step of a process.
    fn wait(&mut self, place: usize) {
        let identity = &mut self.places[place].identity;
        let due = identity.doubt.map_or(NAME_ASK, |doubt| doubt.due.since(Time::ZERO));
        shift(identity, due.max(Duration::from_nanos(1)));
        self.steps(place);
    }

    /// A process asks its own address: who is there answers.
    fn ask_self(&mut self, place: usize) {
        let nonce = self.nonces + 1;
        let Some(nonce) = self.places[place].identity.ask_self(Time::ZERO, nonce) else { return };
        self.nonces = nonce;
        if place == COPY
            && self.runs(OLD)
            && self.places[OLD].identity.on_ask(nonce, Time::ZERO) == Answer::Claim
        {
            let rank = self.places[OLD].identity.rank();
            self.deliver(place, Sent::Claim { from: OLD, place, nonce, rank });
        }
    }

    fn note_meetings(&mut self) {
        let running = self.running();
        if running.len() > 1 {
            running.into_iter().for_each(|place| self.places[place].met = true);
        }
    }

    fn take_name(&mut self, heard: Option<(Incarnation, u64)>) {
        let newcomer = &mut self.places[NEW];
        newcomer.status = Status::Running;
        newcomer.identity.take(heard.map(|(_, seniority)| seniority));
        if let Some((incarnation, _)) = heard.filter(|(heard, _)| *heard >= newcomer.identity.incarnation()) {
            assert!(newcomer.identity.jump(incarnation, 0), "epochs are few here");
        }
        self.publish(NEW);
    }

    /// Every world that can follow this one.
    fn next(&self) -> Vec<(String, Self)> {
        let mut all = Vec::new();
        let mut add = |what: String, change: &dyn Fn(&mut Self)| {
            let mut world = self.clone();
            change(&mut world);
            world.note_meetings();
            if world != *self {
                all.push((what, world));
            }
        };
        if self.budget.newcomer && self.places[NEW].status == Status::Absent {
            add("the newcomer takes the id, told nothing".into(), &|world| world.take_name(None));
            for sent in &self.wire {
                if let Sent::Record { incarnation, rank, .. } = *sent {
                    let what = format!("the newcomer takes the id above {incarnation}");
                    add(what, &|world| world.take_name(Some((incarnation, rank.seniority))));
                }
            }
        }
        if self.budget.copies && self.saved.is_none() && self.runs(OLD) {
            add("the old one is saved".into(), &|world| {
                world.saved = Some(world.places[OLD].identity.clone());
            });
        }
        if let Some(saved) = self.saved.as_ref().filter(|_| self.places[COPY].status == Status::Absent) {
            add("the copy is resumed".into(), &|world| {
                let mut identity = saved.clone();
                // Its first event is late.
                identity.void();
                world.places[COPY] = Place { identity, status: Status::Running, met: false };
                world.publish(COPY);
            });
        }
        for place in self.running() {
            for sent in &self.wire {
                match *sent {
                    Sent::Claim { place: to, .. } if to != place => {}
                    // Only who is at the address that it asks hears its own question.
                    Sent::Ask { place: from, to, .. } if from == place && to != place => {}
                    sent @ (Sent::Record { .. } | Sent::Ask { .. } | Sent::Claim { .. }) => {
                        add(format!("{place} gets {sent:?}"), &|world| world.deliver(place, sent));
                    }
                }
            }
            if self.budget.waits > 0 {
                add(format!("{place} waits"), &|world| {
                    world.budget.waits -= 1;
                    world.wait(place);
                });
            }
            add(format!("{place} asks itself"), &|world| world.ask_self(place));
            if self.budget.refutations > 0 {
                add(format!("{place} refutes"), &|world| {
                    world.budget.refutations -= 1;
                    world.react(place, Reaction::Refute);
                });
            }
            if self.budget.crashes > 0 {
                add(format!("{place} crashes"), &|world| {
                    world.budget.crashes -= 1;
                    world.late_crash |= world.places[place].met;
                    world.places[place].status = Status::Crashed;
                });
            }
        }
        all
    }

    fn highest(&self) -> u64 {
        self.places.iter().map(|place| place.identity.incarnation().epoch).max().expect("three places")
    }

    /// Delivers every question to the process at its address, and every answer.
    fn carry_questions(&mut self) {
        while let Some(sent) = self.wire.pop_first() {
            match sent {
                Sent::Ask { to, .. } if self.runs(to) => self.deliver(to, sent),
                Sent::Claim { place, .. } if self.runs(place) => self.deliver(place, sent),
                Sent::Record { .. } | Sent::Ask { .. } | Sent::Claim { .. } => {}
            }
        }
    }

    /// All that run hear each other's records, and time passes: how many are left, and how many epochs that took.
    fn end_fairly(&self) -> (usize, u64) {
        let mut world = self.clone();
        let before = world.highest();
        world.wire.clear();
        for _ in 0..40 {
            for place in 0..3 {
                for other in 0..3 {
                    if place != other && world.runs(place) && world.runs(other) {
                        let record = world.record(other);
                        world.deliver(place, record);
                        world.carry_questions();
                    }
                }
                if world.runs(place) {
                    world.ask_self(place);
                }
                if world.runs(place) {
                    world.wait(place);
                    world.carry_questions();
                }
            }
        }
        (world.running().len(), world.highest() - before)
    }
}

/// Explores every order of happenings from a start, up to a bound on states. Returns the number of states, whether the
/// space was explored to its end, and the most epochs of a fair ending.
fn explore(start: World, states: usize) -> (usize, bool, u64) {
    let mut seen = HashSet::from([start.clone()]);
    let mut queue = VecDeque::from([(start, Vec::<String>::new())]);
    let mut epochs = 0;
    while let Some((world, trace)) = queue.pop_front() {
        if seen.len() > states {
            return (seen.len(), false, epochs);
        }
        for (what, next) in world.next() {
            let bounded = next.nonces <= next.budget.nonces && next.highest() <= next.budget.epochs;
            if !bounded || !seen.insert(next.clone()) {
                continue;
            }
            let mut trace = trace.clone();
            trace.push(what);
            let stopped = (0..3).find(|place| {
                next.places[*place].status == Status::Stopped
                    && world.places[*place].status == Status::Running
            });
            if let Some(place) = stopped {
                assert!(next.places[place].met, "{place} stops, and no other has run beside it: {trace:#?}");
                assert!(!next.running().is_empty() || next.late_crash, "all have stopped: {trace:#?}");
            }
            if !next.running().is_empty() {
                let (left, took) = next.end_fairly();
                assert_eq!(left, 1, "that many are left in the end: {trace:#?}\n{next:#?}");
                epochs = epochs.max(took);
            }
            queue.push_back((next, trace));
        }
    }
    (seen.len(), true, epochs)
}

#[test]
fn one_process_of_an_id_goes_on_and_none_stops_alone() {
    let states =
        std::env::var("BRUIT_MODEL_STATES").ok().and_then(|states| states.parse().ok()).unwrap_or(3_000);
    let budget =
        Budget { newcomer: true, copies: false, crashes: 0, refutations: 1, waits: 6, nonces: 3, epochs: 14 };
    let copies = Budget { newcomer: false, copies: true, refutations: 2, ..budget };
    let starts = [
        ("a newcomer, its clock set back", World::new(4, 2, [11, 22], budget)),
        ("a newcomer", World::new(4, 6, [11, 22], budget)),
        ("a newcomer, equal clocks", World::new(4, 4, [22, 11], budget)),
        ("a newcomer, a crash", World::new(4, 6, [11, 22], Budget { crashes: 1, ..budget })),
        ("a copy", World::new(4, 0, [11, 22], copies)),
        ("a copy, a crash", World::new(4, 0, [11, 22], Budget { crashes: 1, ..copies })),
        ("a copy and a newcomer", World::new(4, 6, [11, 22], Budget { copies: true, ..budget })),
        (
            "a copy and a newcomer, its clock set back, a crash",
            World::new(4, 2, [11, 22], Budget { copies: true, crashes: 1, ..budget }),
        ),
    ];
    for (name, start) in starts {
        let (states, whole, epochs) = explore(start, states);
        println!(
            "{name}: {states} states{}, fair endings within {epochs} epochs",
            if whole { ", all" } else { "" }
        );
        assert!(epochs <= 4, "{name}: {epochs} epochs");
    }
}
