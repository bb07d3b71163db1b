//! The cases of foca: the postcard codec that its documentation recommends, an xorshift generator, `Config::new_lan`,
//! and a runtime that reacts directly into reused buffers, as its documentation advises. The identity is the one
//! of its agent example (an address, and a number that makes it renewable) in 12 bytes.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use foca::{
    Codec as _, Config, Foca, Header, Identity, Member, Message, NoCustomBroadcast, Notification,
    PostcardCodec, Runtime, State, Timer,
};
use rand::SeedableRng as _;
use rand_xorshift::XorShiftRng;
use serde::{Deserialize, Serialize};

use crate::{Case, Drains, count};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Id {
    ip: u32,
    port: u16,
    bump: u16,
}

impl Identity for Id {
    type Addr = (u32, u16);

    fn renew(&self) -> Option<Self> {
        Some(Self { bump: self.bump + 1, ..*self })
    }

    fn addr(&self) -> (u32, u16) {
        (self.ip, self.port)
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.bump > adversary.bump
    }
}

type Node = Foca<Id, PostcardCodec, XorShiftRng, NoCustomBroadcast>;

fn id(number: u32) -> Id {
    Id { ip: 10 << 24 | number, port: 7000, bump: 1 }
}

fn node(number: u32, n: u32) -> Node {
    let config = Config::new_lan(NonZeroU32::new(n).expect("not empty"));
    Foca::new(id(number), config, XorShiftRng::seed_from_u64(number.into()), PostcardCodec)
}

fn datagram(src: u32, message: Message<Id>, updates: &[Member<Id>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let header = Header { src: id(src), src_incarnation: 0, dst: id(ME), message };
    PostcardCodec.encode_header(&header, &mut bytes).expect("it encodes");
    if !updates.is_empty() {
        bytes.extend_from_slice(&u16::try_from(updates.len()).expect("few").to_be_bytes());
        for update in updates {
            PostcardCodec.encode_member(update, &mut bytes).expect("it encodes");
        }
    }
    bytes
}

const ME: u32 = 1;

/// The requests of foca, in reused buffers.
#[derive(Default)]
struct Buffers {
    arena: Vec<u8>,
    sends: Vec<(Id, usize)>,
    timers: Vec<(Duration, Timer<Id>)>,
    notifications: u64,
}

impl Buffers {
    fn clear(&mut self) {
        self.arena.clear();
        self.sends.clear();
    }

    fn datagrams(&self) -> impl Iterator<Item = (Id, &[u8])> {
        let mut start = 0;
        self.sends.iter().map(move |(to, end)| {
            let bytes = &self.arena[start..*end];
            start = *end;
            (*to, bytes)
        })
    }

    fn sum(&self) -> u64 {
        let sum = |bytes: &[u8]| bytes.len() as u64 ^ u64::from(bytes[bytes.len() - 1]) << 32;
        self.datagrams().map(|(_, bytes)| sum(bytes)).fold(0, |all, one| all.wrapping_mul(31) ^ one)
    }
}

impl Runtime<Id> for Buffers {
    fn notify(&mut self, _: Notification<'_, Id>) {
        self.notifications += 1;
    }

    fn send_to(&mut self, to: Id, data: &[u8]) {
        self.arena.extend_from_slice(data);
        self.sends.push((to, self.arena.len()));
    }

    fn submit_after(&mut self, event: Timer<Id>, after: Duration) {
        self.timers.push((after, event));
    }
}

struct Subject {
    node: Node,
    out: Buffers,
}

impl Subject {
    fn new(n: u32) -> Self {
        let mut node = node(ME, n);
        let mut out = Buffers::default();
        let members = (2..=n).map(|number| Member::alive(id(number)));
        node.apply_many(members, false, &mut out).expect("it takes them");
        assert_eq!(node.num_members(), n as usize - 1);
        assert_eq!(node.updates_backlog(), 0);
        out.clear();
        Self { node, out }
    }

    /// Answers pings until no update waits to be sent any more.
    fn drain(&mut self) {
        let ping = datagram(2, Message::Ping(7), &[]);
        for _ in 0..400 {
            if self.node.updates_backlog() == 0 {
                return;
            }
            self.out.clear();
            self.node.handle_data(&ping, &mut self.out).expect("a good datagram");
            self.out.timers.clear();
        }
        panic!("the updates are never sent often enough");
    }

    fn hear(&mut self, bytes: &[u8]) -> u64 {
        self.out.clear();
        data(&mut self.node, bytes, &mut self.out);
        self.out.sum()
    }
}

/// A function in which callgrind collects.
#[inline(never)]
fn measured_data(node: &mut Node, bytes: &[u8], out: &mut Buffers) {
    node.handle_data(bytes, out).expect("a good datagram");
}

fn data(node: &mut Node, bytes: &[u8], out: &mut Buffers) {
    if crate::counts() {
        measured_data(node, bytes, out);
    } else {
        node.handle_data(bytes, out).expect("a good datagram");
    }
}

/// The other function in which callgrind collects.
#[inline(never)]
fn measured_timer(node: &mut Node, timer: Timer<Id>, out: &mut Buffers) {
    node.handle_timer(timer, out).expect("in order");
}

fn timer(node: &mut Node, timer: Timer<Id>, out: &mut Buffers) {
    if crate::counts() {
        measured_timer(node, timer, out);
    } else {
        node.handle_timer(timer, out).expect("in order");
    }
}

struct Hear {
    subject: Subject,
    datagrams: Vec<Vec<u8>>,
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
        let start = Instant::now();
        let sum = self.subject.hear(&self.datagrams[self.next]);
        self.spent += start.elapsed();
        self.next = (self.next + 1) % self.datagrams.len();
        assert!(!self.subject.out.sends.is_empty(), "it was answered");
        self.subject.out.timers.clear();
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

fn senders(n: u32) -> Vec<u32> {
    (0..16).map(|i| 2 + i * (n - 2) / 16).collect()
}

fn pings(n: u32) -> Hear {
    let subject = Subject::new(n);
    let datagrams = senders(n).into_iter().map(|from| datagram(from, Message::Ping(7), &[])).collect();
    Hear { subject, datagrams, next: 0, units: 1, drains: Drains::Never, spent: Duration::ZERO }
}

fn updates(n: u32, most: usize, rounds: usize, drains: Drains) -> Hear {
    let subject = Subject::new(n);
    let senders = senders(n);
    let mut incarnations: BTreeMap<u32, u16> = BTreeMap::new();
    let distinct = n as usize - 1 - senders.len();
    let mut subjects = (2..=n).filter(|id| !senders.contains(id)).collect::<Vec<_>>().into_iter().cycle();
    let take = most.min(distinct).min(93);
    let datagrams = (0..rounds)
        .map(|i| {
            let fresh: Vec<Member<Id>> = subjects
                .by_ref()
                .take(take)
                .map(|number| {
                    let incarnation = incarnations.entry(number).or_default();
                    *incarnation += 1;
                    Member::new(id(number), *incarnation, State::Alive)
                })
                .collect();
            let bytes = datagram(senders[i % senders.len()], Message::Ping(7), &fresh);
            assert!(bytes.len() <= 1_400, "{} bytes", bytes.len());
            bytes
        })
        .collect();
    Hear { subject, datagrams, next: 0, units: take as u64, drains, spent: Duration::ZERO }
}

/// Pings with five suspicions, and then with the refutations of the same five members, in turn.
fn doubts(n: u32, rounds: usize) -> Hear {
    let subject = Subject::new(n);
    let senders = senders(n);
    let mut incarnations: BTreeMap<u32, u16> = BTreeMap::new();
    let others: Vec<u32> = (2..=n).filter(|id| !senders.contains(id)).collect();
    let datagrams = (0..rounds)
        .map(|i| {
            let doubts: Vec<Member<Id>> = (0..5)
                .map(|place| {
                    let number = others[(i / 2 * 5 + place) % others.len()];
                    let incarnation = incarnations.entry(number).or_default();
                    *incarnation += u16::from(i % 2 == 1);
                    let state = if i % 2 == 0 { State::Suspect } else { State::Alive };
                    Member::new(id(number), *incarnation, state)
                })
                .collect();
            datagram(senders[i % senders.len()], Message::Ping(7), &doubts)
        })
        .collect();
    Hear { subject, datagrams, next: 0, units: 5, drains: Drains::Never, spent: Duration::ZERO }
}

struct Period {
    subject: Subject,
    now: Duration,
    serial: u64,
    timers: BTreeMap<(Duration, u64), Timer<Id>>,
    spent: Duration,
}

impl Period {
    fn new(n: u32) -> Self {
        let subject = Subject::new(n);
        let (now, spent, timers) = (Duration::ZERO, Duration::ZERO, BTreeMap::new());
        let mut period = Self { subject, now, serial: 0, timers, spent };
        period.keep_timers();
        period
    }

    fn keep_timers(&mut self) {
        for (after, timer) in self.subject.out.timers.drain(..) {
            self.serial += 1;
            self.timers.insert((self.now + after, self.serial), timer);
        }
    }
}

impl Case for Period {
    fn round(&mut self) -> u64 {
        let mut sum = 0;
        loop {
            let ((at, _), timer) = self.timers.pop_first().expect("it runs");
            self.now = at;
            let probes = matches!(timer, Timer::ProbeRandomMember(_));
            self.subject.out.clear();
            let start = Instant::now();
            self::timer(&mut self.subject.node, timer, &mut self.subject.out);
            self.spent += start.elapsed();
            sum ^= self.subject.out.sum();
            crate::outside(|| self.keep_timers());
            if probes {
                break;
            }
        }
        let ack = crate::outside(|| {
            let (to, bytes) = self.subject.out.datagrams().next().expect("a ping went out");
            let header: Header<Id> = PostcardCodec.decode_header(bytes).expect("its own");
            let Message::Ping(number) = header.message else { panic!("a ping went out") };
            datagram(to.ip & 0x00ff_ffff, Message::Ack(number), &[])
        });
        let start = Instant::now();
        sum ^= self.subject.hear(&ack);
        self.spent += start.elapsed();
        crate::outside(|| self.keep_timers());
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
        "period" => Box::new(Period::new(n)),
        other => panic!("no case {other}"),
    }
}

enum What {
    Timer(Id, Timer<Id>),
    Data(Id, Vec<u8>),
}

/// The bytes that one node of a settled cluster sends in a second, simulated with links of 1 ms.
pub fn settled_bytes(n: u32) -> String {
    let mut nodes: BTreeMap<Id, Node> = (1..=n).map(|number| (id(number), node(number, n))).collect();
    let mut queue: BTreeMap<(Duration, u64), What> = BTreeMap::new();
    let (mut serial, mut bytes_sent) = (0, 0);
    let mut out = Buffers::default();
    let mut drain = |who: Id, out: &mut Buffers, now: Duration, queue: &mut BTreeMap<_, _>| {
        let mut total = 0;
        for (to, bytes) in out.datagrams() {
            serial += 1;
            total += bytes.len();
            queue.insert((now + Duration::from_millis(1), serial), What::Data(to, bytes.to_vec()));
        }
        for (after, timer) in out.timers.drain(..) {
            serial += 1;
            queue.insert((now + after, serial), What::Timer(who, timer));
        }
        out.clear();
        total
    };
    for (who, node) in nodes.iter_mut().skip(1) {
        node.announce(id(1), &mut out).expect("it starts");
        drain(*who, &mut out, Duration::ZERO, &mut queue);
    }
    let end = Duration::from_secs(420);
    while let Some(((now, _), what)) = queue.pop_first().filter(|((at, _), _)| *at < end) {
        let who = match what {
            What::Timer(who, timer) => {
                nodes.get_mut(&who).expect("known").handle_timer(timer, &mut out).expect("in order");
                who
            }
            What::Data(who, bytes) => {
                nodes.get_mut(&who).expect("known").handle_data(&bytes, &mut out).expect("good");
                who
            }
        };
        let total = drain(who, &mut out, now, &mut queue);
        bytes_sent += if now >= Duration::from_secs(300) { total } else { 0 };
    }
    assert!(nodes.values().all(|node| node.num_members() == n as usize - 1), "all members know each other");
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
    let each = ((end - middle) as f64 - (middle - start) as f64) / f64::from(n - few);
    drop((small, large));
    format!("bytes_per_entry {each:.1} less_name {each:.1}")
}
