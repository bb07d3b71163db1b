//! The cases of bruit. Tables are filled by datagrams as members would send them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bruit_core::wire::{
    self, Ack, Alive, Delta, Header, Join, Message, Ping, Record, RecordFields, Swim, Verdict,
};
use bruit_core::{
    Action, Boot, Command, Config, Event, Incarnation, MemberState, Node, NodeId, Outbox, Rank, Time,
};

use crate::{Case, Drains, count};

const CLUSTER: &str = "peers";
/// The distance between the counters of two records; the numbers between them count refutations.
const RECORD_STEP: u32 = 1 << 16;

fn addr(id: u64) -> SocketAddr {
    let [_, _, _, _, _, b, c, d] = id.to_be_bytes();
    SocketAddr::from(([10, b, c, d], 7000))
}

fn fields(id: u64, counter: u32, name: &str) -> RecordFields<'_> {
    RecordFields {
        id: NodeId(id),
        incarnation: Incarnation { epoch: 1, counter },
        rank: Rank { seniority: 1, draws: 0, boot: id },
        shared: 0,
        roster: 0,
        priority: 0,
        protocol: (1, 1),
        eligible: true,
        addr: addr(id),
        name,
        zone: "",
        meta: &[],
        tags: &[],
    }
}

fn record(id: u64, counter: u32) -> Vec<u8> {
    fields(id, counter, &format!("node-{id:05}")).encode()
}

fn datagram(sender: u64, receiver: u64, messages: &[Message<'_>]) -> Vec<u8> {
    let header = Header {
        cluster: wire::cluster_tag(CLUSTER),
        sender: NodeId(sender),
        incarnation: Incarnation::first(1),
        boot: sender,
        receiver: NodeId(receiver),
        sequence: 1,
    };
    let mut encoded = Vec::new();
    messages.iter().for_each(|message| message.encode(&mut encoded));
    wire::compose(&header, &encoded)
}

fn boot(id: u64) -> Boot {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&id.to_le_bytes());
    Boot::new(NodeId(id), format!("node-{id:05}"), addr(id), 1, seed)
}

/// The id of the measured node.
const ME: u64 = 1;
/// The id of the member that fills its table.
const PEER: u64 = 2;

/// The cookie in a datagram, if it begins with one.
fn echoed(action: Action<'_>) -> Option<u64> {
    let Action::Send { bytes, .. } = action else { return None };
    match wire::open(&bytes, wire::cluster_tag(CLUSTER)).ok()?.messages.next()? {
        Ok(Message::Swim(Swim::JoinEcho(echo))) => Some(echo.cookie),
        _ => None,
    }
}

struct Subject {
    node: Node,
    out: Outbox,
    now: Time,
}

impl Subject {
    /// The measured node with `n` members in its table, itself included, and no updates to pass on.
    fn new(n: u32) -> Self {
        let mut node = Node::new(boot(ME), Config::lan(CLUSTER), Time::ZERO).expect("a good configuration");
        let now = Time::ZERO;
        let mut out = Outbox::new();
        node.handle_into(Event::Command(Command::Join { seeds: Vec::new() }), now, &mut out);
        // The peer joins, so its record and the own one travel as fresh news; all others come by reconciliation.
        let peer = record(PEER, 0);
        let record_of_peer = Record::read(&peer).expect("just written");
        let mut cookie = 0;
        for _ in 0..2 {
            let join = Join { cookie, cluster: CLUSTER, record: record_of_peer }.into();
            let bytes = datagram(PEER, 0, &[join]);
            node.handle_into(Event::Datagram { from: addr(PEER), bytes: &bytes }, now, &mut out);
            cookie = out.iter().find_map(echoed).expect("the number of the echo");
        }
        let records: Vec<Vec<u8>> = (3..=u64::from(n)).map(|id| record(id, 0)).collect();
        for some in records.chunks(12) {
            let mut messages = vec![Delta { table: 0 }.into()];
            messages
                .extend(some.iter().map(|bytes| Message::from(Alive(Record::read(bytes).expect("good")))));
            let bytes = datagram(PEER, ME, &messages);
            node.handle_into(Event::Datagram { from: addr(PEER), bytes: &bytes }, now, &mut out);
            out.clear();
        }
        assert_eq!(node.member_count(), n as usize, "everyone is in the table");
        let mut subject = Self { node, out, now };
        // The two pieces of news leave on acks.
        subject.drain();
        subject
    }

    /// Answers pings until no update waits to be sent any more.
    fn drain(&mut self) {
        let ping = self.ping(PEER, 7);
        for _ in 0..400 {
            self.out.clear();
            let event = Event::Datagram { from: addr(PEER), bytes: &ping };
            self.node.handle_into(event, self.now, &mut self.out);
            let bare = |action: Action<'_>| matches!(action, Action::Send { bytes, .. } if bytes.len() == ping.len());
            if self.out.iter().any(bare) {
                return;
            }
        }
        panic!("the updates are never sent often enough");
    }

    fn ping(&self, from: u64, seq: u32) -> Vec<u8> {
        datagram(from, ME, &[Ping { seq, roots: self.node.roots() }.into()])
    }

    fn hear(&mut self, from: u64, bytes: &[u8]) -> u64 {
        self.out.clear();
        handle(&mut self.node, Event::Datagram { from: addr(from), bytes }, self.now, &mut self.out);
        self.sum()
    }

    /// A value that depends on every datagram that was sent.
    fn sum(&self) -> u64 {
        let sum = |bytes: &[u8]| bytes.len() as u64 ^ u64::from(bytes[bytes.len() - 1]) << 32;
        let of = |action| if let Action::Send { bytes, .. } = action { sum(&bytes) } else { 0 };
        self.out.iter().map(of).fold(0, |all, one| all.wrapping_mul(31) ^ one)
    }
}

/// The function in which callgrind collects.
#[inline(never)]
fn measured(node: &mut Node, event: Event<'_>, now: Time, out: &mut Outbox) {
    node.handle_into(event, now, out);
}

fn handle(node: &mut Node, event: Event<'_>, now: Time, out: &mut Outbox) {
    if crate::counts() { measured(node, event, now, out) } else { node.handle_into(event, now, out) }
}

struct Hear {
    subject: Subject,
    datagrams: Vec<(u64, Vec<u8>)>,
    next: usize,
    units: u64,
    drains: Drains,
    spent: Duration,
}

impl Case for Hear {
    fn round(&mut self) -> u64 {
        if self.drains == Drains::First {
            crate::outside(|| self.subject.drain());
        }
        let (from, bytes) = &self.datagrams[self.next];
        self.next = (self.next + 1) % self.datagrams.len();
        let start = Instant::now();
        let sum = self.subject.hear(*from, bytes);
        self.spent += start.elapsed();
        assert!(!self.subject.out.is_empty(), "it was answered");
        sum
    }

    fn spent(&mut self) -> Option<Duration> {
        let spent = std::mem::take(&mut self.spent);
        (self.drains == Drains::First).then_some(spent)
    }

    fn units(&self) -> u64 {
        self.units
    }
}

/// Sixteen members from all parts of the table.
fn senders(n: u32) -> Vec<u64> {
    (0..16).map(|i| 2 + i * (u64::from(n) - 2) / 16).collect()
}

fn pings(n: u32) -> Hear {
    let subject = Subject::new(n);
    let datagrams = senders(n).into_iter().map(|from| (from, subject.ping(from, 7))).collect();
    Hear { subject, datagrams, next: 0, units: 1, drains: Drains::Never, spent: Duration::ZERO }
}

/// Pings with new updates: as many as fit, or a fixed number.
fn updates(n: u32, most: usize, rounds: usize, drains: Drains) -> Hear {
    let subject = Subject::new(n);
    let senders = senders(n);
    let mut counters: BTreeMap<u64, u32> = BTreeMap::new();
    let others: Vec<u64> = (3..=u64::from(n)).filter(|id| !senders.contains(id)).collect();
    let take = most.min(others.len()).min(15);
    let mut subjects = others.into_iter().cycle();
    let datagrams = (0..rounds)
        .map(|i| {
            let from = senders[i % senders.len()];
            let fresh: Vec<Vec<u8>> = subjects
                .by_ref()
                .take(take)
                .map(|id| {
                    let counter = counters.entry(id).or_default();
                    *counter += RECORD_STEP;
                    record(id, *counter)
                })
                .collect();
            let mut messages = vec![Ping { seq: 7, roots: subject.node.roots() }.into()];
            messages
                .extend(fresh.iter().map(|bytes| Message::from(Alive(Record::read(bytes).expect("good")))));
            let bytes = datagram(from, ME, &messages);
            assert!(bytes.len() <= 1_400 - 28, "{} bytes", bytes.len());
            (from, bytes)
        })
        .collect();
    Hear { subject, datagrams, next: 0, units: take as u64, drains, spent: Duration::ZERO }
}

/// Pings with five suspicions, and then with the refutations of the same five members, in turn.
fn doubts(n: u32, rounds: usize) -> Hear {
    let subject = Subject::new(n);
    let senders = senders(n);
    let mut incarnations: BTreeMap<u64, Incarnation> = BTreeMap::new();
    let others: Vec<u64> = (3..=u64::from(n)).filter(|id| !senders.contains(id)).collect();
    let datagrams = (0..rounds)
        .map(|i| {
            let from = senders[i % senders.len()];
            let mut messages = vec![Ping { seq: 7, roots: subject.node.roots() }.into()];
            for place in 0..5 {
                let id = others[(i / 2 * 5 + place) % others.len()];
                let incarnation = incarnations.entry(id).or_insert(Incarnation::first(1));
                let (state, author) = if i % 2 == 0 {
                    (MemberState::Suspect, NodeId(from))
                } else {
                    *incarnation = incarnation.refuted();
                    (MemberState::Alive, NodeId::NOBODY)
                };
                let incarnation = *incarnation;
                let verdict = Verdict { id: NodeId(id), incarnation, state, removed: false, age: 0, author };
                messages.push(verdict.into());
            }
            (from, datagram(from, ME, &messages))
        })
        .collect();
    Hear { subject, datagrams, next: 0, units: 5, drains: Drains::Never, spent: Duration::ZERO }
}

struct Period {
    subject: Subject,
    spent: Duration,
}

impl Case for Period {
    fn round(&mut self) -> u64 {
        let probes = self.subject.node.stats().probes;
        let mut sum = 0;
        while self.subject.node.stats().probes == probes {
            self.subject.now = self.subject.node.next_wake().expect("it runs");
            self.subject.out.clear();
            let start = Instant::now();
            handle(&mut self.subject.node, Event::Tick, self.subject.now, &mut self.subject.out);
            self.spent += start.elapsed();
            sum ^= self.subject.sum();
        }
        let (target, ack) = crate::outside(|| {
            let pinged = self.subject.out.iter().find_map(|action| {
                let Action::Send { bytes, .. } = action else { return None };
                let described = wire::describe(&bytes).expect("a good datagram");
                let seq = u32::from_le_bytes(bytes[63..67].try_into().expect("four bytes"));
                Some((described.header.receiver.0, seq))
            });
            let (target, seq) = pinged.expect("a ping went out");
            let roots = Some(self.subject.node.roots());
            (target, datagram(target, ME, &[Ack { seq, roots }.into()]))
        });
        self.subject.now = self.subject.now + Duration::from_millis(1);
        let start = Instant::now();
        sum ^= self.subject.hear(target, &ack);
        self.spent += start.elapsed();
        sum
    }

    fn spent(&mut self) -> Option<Duration> {
        Some(std::mem::take(&mut self.spent))
    }
}

pub fn case(what: &str, n: u32, rounds: usize) -> Box<dyn Case> {
    match what {
        "ping" => Box::new(pings(n)),
        "drained" => Box::new(updates(n, 5, rounds, Drains::First)),
        "five" => Box::new(updates(n, 5, rounds, Drains::Never)),
        "full" => Box::new(updates(n, usize::MAX, rounds, Drains::Never)),
        "doubts" => Box::new(doubts(n, rounds)),
        "period" => Box::new(Period { subject: Subject::new(n), spent: Duration::ZERO }),
        other => panic!("no case {other}"),
    }
}

/// The bytes that one node of a settled cluster sends in a second, simulated with links of 1 ms.
pub fn settled_bytes(n: u32) -> String {
    let mut nodes: BTreeMap<SocketAddr, Node> = BTreeMap::new();
    let mut wires: BTreeMap<(Time, u64), (SocketAddr, SocketAddr, Vec<u8>)> = BTreeMap::new();
    let (mut now, mut sent, mut bytes_sent) = (Time::ZERO, 0_u64, 0_u64);
    let mut step = |node: &mut Node, event: Event<'_>, now: Time, wires: &mut BTreeMap<_, _>| {
        let from = node.addr();
        let mut total = 0;
        for action in node.handle(event, now) {
            if let Action::Send { to, bytes } = action {
                sent += 1;
                total += bytes.len() as u64;
                wires.insert((now + Duration::from_millis(1), sent), (from, to, bytes.into_owned()));
            }
        }
        total
    };
    for id in 1..=u64::from(n) {
        let mut node = Node::new(boot(id), Config::lan(CLUSTER), now).expect("good");
        step(&mut node, Event::Command(Command::Join { seeds: vec![addr(1)] }), now, &mut wires);
        nodes.insert(addr(id), node);
    }
    for (end, measures) in [(60, false), (180, true)] {
        let end = Time::from_secs(end);
        loop {
            let wake = nodes.iter().filter_map(|(addr, node)| Some((node.next_wake()?, *addr))).min();
            let wire = wires.first_key_value().map(|(at, _)| at.0);
            let Some((wake, who)) = wake else { break };
            let mut total = 0;
            if wire.is_some_and(|at| at <= wake) {
                let ((at, _), (from, to, bytes)) = wires.pop_first().expect("just seen");
                if at > end {
                    wires.insert((at, 0), (from, to, bytes));
                    break;
                }
                now = at;
                if let Some(node) = nodes.get_mut(&to) {
                    total = step(node, Event::Datagram { from, bytes: &bytes }, now, &mut wires);
                }
            } else {
                if wake > end {
                    break;
                }
                now = wake;
                total = step(nodes.get_mut(&who).expect("known"), Event::Tick, now, &mut wires);
            }
            bytes_sent += if measures { total } else { 0 };
        }
    }
    assert!(nodes.values().all(|node| node.member_count() == n as usize), "all members know each other");
    assert!(nodes.values().all(|node| node.stats().suspicions == 0), "no member is suspected");
    format!("bytes_per_second {:.1}", bytes_sent as f64 / 120.0 / f64::from(n))
}

/// The bytes of one entry of a table of `n` members.
pub fn memory(n: u32) -> String {
    let few = 100;
    let start = count::read().live;
    let small = Subject::new(few);
    let middle = count::read().live;
    let large = Subject::new(n);
    let end = count::read().live;
    let entries = f64::from(n - few);
    let each = ((end - middle) as f64 - (middle - start) as f64) / entries;
    let name = 10.0;
    drop((small, large));
    format!("bytes_per_entry {each:.1} less_name {:.1}", each - name)
}
