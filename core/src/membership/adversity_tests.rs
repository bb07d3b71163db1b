//! The promises of the rules, each in the order of events that is hardest on it: clones, cuts, long sleeps, wrong clocks and
//! forged datagrams.

use core::time::Duration;
use std::string::ToString as _;
use std::vec;

use super::rule_tests::letter;
use super::*;
use crate::action::{MemberChange, Notice};
use crate::command::Command;
use crate::event::Event;
use crate::id::{Incarnation, Rank};
use crate::lan::{Lan, addr, boot};
use crate::node::Node;
use crate::rng::Stream;
use crate::wire::{Accused, PingReq, Record, RecordFields};

fn record(id: u64, incarnation: Incarnation, rank: Rank, at: SocketAddr) -> Vec<u8> {
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
    };
    fields.encode()
}

/// Gives node 1 these datagrams, runs, and counts (datagrams, bytes) that were sent to `victim`.
fn to_victim(
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

// F6: one forged record of the receiver's own id, from a stranger.
#[test]
fn a_forged_record_of_the_own_id_makes_a_node_ask_no_victim() {
    let mut lan = Lan::new(3);
    lan.run(3_000);
    let victim = addr(200);
    let rank = Rank { seniority: 0, draws: 0, boot: 5 };
    let (mut sent, mut got) = (0, (0, 0));
    for round in 0..6 {
        let above = Incarnation::first(lan.nodes[&1].incarnation().epoch + 1);
        let forged = record(1, above, rank, victim);
        let bytes = letter(50, Incarnation::first(1), 99, 1, &[Alive(Record::trusted(&forged)).into()]);
        sent += bytes.len();
        let (count, total) = to_victim(&mut lan, &[(victim, bytes.clone())], victim, 70_000);
        std::println!(
            "round {round}: sent {} bytes, the victim got {count} datagrams, {total} bytes",
            bytes.len()
        );
        got = (got.0 + count, got.1 + total);
    }
    assert!(got.1 <= sent, "{got:?} for {sent} bytes");
}

// F6: one forged Accused from a stranger.
#[test]
fn a_forged_accusation_makes_a_node_ask_no_victim() {
    let mut lan = Lan::new(3);
    lan.run(3_000);
    let victim = addr(200);
    let (mut sent, mut got) = (0, (0, 0));
    for _ in 0..6 {
        let incarnation = Incarnation::first(lan.nodes[&1].incarnation().epoch + 1);
        let accused = Accused { incarnation, state: MemberState::Down, removed: false, boot: 5 };
        let bytes = letter(50, Incarnation::first(1), 99, 1, &[accused.into()]);
        sent += bytes.len();
        let (count, total) = to_victim(&mut lan, &[(victim, bytes)], victim, 70_000);
        std::println!("{count} datagrams, {total} bytes");
        got = (got.0 + count, got.1 + total);
    }
    assert!(got.1 <= sent, "{got:?} for {sent} bytes");
}

// F6 / SECURITY.md ("The victim is always a member"): ping-reqs in the name of a member, for a stranger and its address.
#[test]
fn ping_reqs_in_a_members_name_reach_nobody_else() {
    let mut lan = Lan::new(3);
    lan.run(3_000);
    let victim = addr(200);
    let reqs: Vec<Message<'_>> = (0..50).map(|seq| PingReq { seq, target: NodeId(200) }.into()).collect();
    let (incarnation, boot) = (lan.nodes[&2].incarnation(), lan.nodes[&2].boot());
    let bytes = letter(2, incarnation, boot, 1, &reqs);
    let len = bytes.len();
    let got = to_victim(&mut lan, &[(addr(2), bytes)], victim, 3_000);
    assert!(got.1 <= len, "{got:?} for {len} bytes");
}

// F6: a header at a higher incarnation from an address that is not validated starts an exchange with that address.
#[test]
fn a_forged_header_starts_no_exchange_with_a_victim() {
    let mut lan = Lan::new(30);
    lan.run(5_000);
    let victim = addr(200);
    let (incarnation, boot) = (lan.nodes[&2].incarnation(), lan.nodes[&2].boot());
    let ping = Ping { seq: 1, roots: [1; 3] };
    let first = letter(2, incarnation, boot, 1, &[ping.into()]);
    let second =
        letter(2, Incarnation { counter: incarnation.counter + 1, ..incarnation }, boot, 1, &[ping.into()]);
    for datagram in [first, second] {
        let len = datagram.len();
        let got = to_victim(&mut lan, &[(victim, datagram)], victim, 0);
        assert!(got.1 <= len, "{got:?} for {len} bytes");
    }
}

fn comparisons(lan: &Lan) -> u64 {
    lan.nodes.values().map(|node| node.stats().reconciliations).sum()
}

// B3: the operator removes a member that has left already.
#[test]
fn a_removal_of_a_member_that_has_left_leaves_roots_equal() {
    let mut config = Config::lan("test");
    config.membership.forget_after = Duration::from_secs(400);
    let mut lan = Lan::with(4, &config);
    lan.run(3_000);
    lan.command(4, Command::Leave { within: Duration::from_secs(1) });
    lan.run(2_000);
    lan.nodes.remove(&4);
    lan.run(190_000);
    assert!(lan.agree());
    lan.command(1, Command::RemovePeer(NodeId(4)));
    lan.run(20_000);
    // The others hold the verdict back now.
    let before = comparisons(&lan);
    let mut differ = 0;
    for _ in 0..150 {
        lan.run(1_000);
        differ += u64::from(!lan.agree());
    }
    let after = comparisons(&lan);
    assert_eq!((differ, after - before), (0, 0), "seconds of different roots, comparisons");
}

// B3, as above with a verdict that all hold back already: it comes back to life.
#[test]
fn a_removal_of_a_held_back_member_is_refused() {
    let mut config = Config::lan("test");
    config.membership.forget_after = Duration::from_secs(400);
    let mut lan = Lan::with(4, &config);
    lan.run(3_000);
    lan.command(4, Command::Leave { within: Duration::from_secs(1) });
    lan.run(2_000);
    lan.nodes.remove(&4);
    lan.run(250_000);
    assert!(lan.agree());
    lan.start(boot(5, 1), &config);
    lan.run(5_000);
    assert!(lan.agree());
    let refused = lan.refused(1, Command::RemovePeer(NodeId(4)));
    assert_eq!(refused, crate::Rejected::UnknownMember(NodeId(4)), "the view does not show it any more");
}

// MemberChange: "Up, then ..., then Down, Left, or Down and then Left; then Up again, or Forgotten".
#[test]
fn a_member_that_left_during_a_long_sleep_is_told_to_have_left() {
    let mut config = Config::lan("test");
    config.membership.forget_after = Duration::from_secs(100);
    let mut lan = Lan::with(4, &config);
    lan.run(3_000);
    let asleep = lan.nodes.remove(&2).expect("it runs");
    lan.run(100);
    lan.command(4, Command::Leave { within: Duration::from_secs(1) });
    lan.run(2_000);
    lan.nodes.remove(&4);
    lan.run(60_000);
    lan.nodes.insert(2, asleep);
    lan.event(2, Event::Tick);
    lan.run(30_000);
    let changes = lan.changes(2, 4);
    let gone = changes.iter().position(|change| matches!(change, MemberChange::Left | MemberChange::Down));
    let forgotten = changes.iter().position(|change| *change == MemberChange::Forgotten);
    assert!(forgotten.is_none() || gone.is_some(), "{changes:?}");
}

// A2a: "The id is free if nobody knows it": one contact that has just restarted knows nothing, another one knows all.
#[test]
fn one_fresh_seed_gives_no_id_in_use_away() {
    let config = Config::lan("test");
    let mut lan = Lan::with(0, &config);
    for id in 1..=4 {
        lan.start(boot(id, 1_000_000), &config);
    }
    lan.run(20_000);
    // The seed restarts. It has its own address as its only seed, so it runs at once and knows nobody.
    lan.nodes.remove(&1);
    lan.wires.clear();
    let mut seed = boot(1, 2_000_000);
    seed.seed = [9; 32];
    lan.start(seed, &config);
    // A process is started by mistake under the id 2. Its clock is at 1970.
    let mut other = boot(2, 1);
    (other.addr, other.seed) = (addr(101), [77; 32]);
    lan.nodes.insert(101, Node::new(other, config, lan.now).expect("good"));
    lan.command(101, Command::Join { seeds: vec![addr(1), addr(3), addr(4)] });
    lan.run(60_000);
    assert_eq!(
        lan.nodes[&2].phase(),
        Phase::Running,
        "it has served for months: {:?}",
        lan.nodes[&101].phase()
    );
}

// B12: "A deadline or a question from before the leave proves nothing after it."
#[test]
fn a_claim_to_a_question_from_before_a_leave_stops_nobody() {
    let mut lan = Lan::new(3);
    lan.run(3_000);
    let rank = Rank { seniority: 0, draws: 0, boot: 5 };
    let above = Incarnation::first(lan.nodes[&2].incarnation().epoch + 1);
    let forged = record(2, above, rank, addr(200));
    let bytes = letter(
        3,
        lan.nodes[&3].incarnation(),
        lan.nodes[&3].boot(),
        2,
        &[Alive(Record::trusted(&forged)).into()],
    );
    lan.event(2, Event::Datagram { from: addr(3), bytes: &bytes });
    let asked = lan.wires.values().find(|(_, to, _)| *to == addr(200)).cloned().expect("it asks");
    lan.command(2, Command::Leave { within: Duration::ZERO });
    lan.run(30_000);
    lan.command(2, Command::Join { seeds: vec![addr(1)] });
    lan.run(10);
    assert_eq!(lan.nodes[&2].phase(), Phase::Running);
    let described = crate::wire::describe(&asked.2).expect("ours");
    std::println!("{described}");
    let nonce = lan.nodes[&2].machines().membership.own.identity.question();
    let Some(nonce) = nonce else { return };
    let claim = crate::wire::Claim { id: NodeId(2), nonce, rank };
    let claim = letter(2, above, 5, 2, &[claim.into()]);
    lan.event(2, Event::Datagram { from: addr(200), bytes: &claim });
    assert_eq!(lan.nodes[&2].phase(), Phase::Running, "the question is 30 s old and from before the leave");
}

// A2c: a founder without contacts that leaves in doubt never asks for itself again.
#[test]
fn a_doubt_ends_with_a_leave() {
    let mut lan = Lan::new(0);
    let founder = Node::new(boot(1, 1), Config::lan("test"), lan.now).expect("good");
    lan.nodes.insert(1, founder);
    lan.command(1, Command::Join { seeds: vec![] });
    for id in 2..=3 {
        lan.start(boot(id, 1), &Config::lan("test"));
    }
    lan.run(5_000);
    lan.event(1, Event::Seed([8; 32]));
    lan.command(1, Command::Leave { within: Duration::ZERO });
    lan.run(5_000);
    lan.command(1, Command::Join { seeds: vec![] });
    lan.run(1_000);
    lan.kinds.clear();
    lan.run(100_000);
    assert!(lan.nodes[&1].phase() == Phase::Running);
    let identity = &lan.nodes[&1].machines().membership.own.identity;
    assert!(identity.has_asked_self(lan.now) || lan.kinds.contains_key(&crate::wire::Kind::Ask));
    let own = lan.nodes.get_mut(&1).expect("runs");
    let text = std::format!("{:?}", own.machines().membership.own.identity);
    assert!(text.contains("doubt: None"), "{text}");
}

// Node::handle_into: "never panics on what a clock does"; next_wake "after a tick lies in the future".
#[test]
fn a_tick_at_the_end_of_time_ends() {
    let mut lan = Lan::new(2);
    lan.run(3_000);
    let mut node = lan.nodes.remove(&1).expect("runs");
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        drop(node.handle(Event::Tick, Time::MAX));
        done.send(()).expect("it is waited for");
    });
    assert!(ended.recv_timeout(Duration::from_secs(5)).is_ok(), "the tick does not end");
    lan.run(1);
}

// B7: a node with an open Reseed is resumed after a minute; its verdicts must move by the delay.
#[test]
fn a_pause_while_a_seed_is_awaited_is_given_back() {
    let mut lan = Lan::with(5, &Config::memberlist_lan("test"));
    lan.run(5_000);
    let verdict = crate::wire::Verdict {
        id: NodeId(3),
        incarnation: lan.nodes[&3].incarnation(),
        state: MemberState::Suspect,
        removed: false,
        age: 0,
        author: NodeId(4),
    };
    let bytes = letter(2, lan.nodes[&2].incarnation(), lan.nodes[&2].boot(), 1, &[verdict.into()]);
    let now = lan.now;
    let mut node = lan.nodes.remove(&1).expect("runs");
    drop(node.handle(Event::Datagram { from: addr(2), bytes: &bytes }, now));
    // News of its own boot above its incarnation: a copy.
    let own = Incarnation { counter: node.incarnation().counter + 1, ..node.incarnation() };
    let copy = letter(1, own, node.boot(), 1, &[Ping { seq: 1, roots: [0; 3] }.into()]);
    let actions = node.handle(Event::Datagram { from: addr(1), bytes: &copy }, now);
    assert!(actions.contains(&crate::action::Action::Reseed));
    lan.run(60_000);
    lan.wires.clear();
    let resumed = node.handle(Event::Seed([5; 32]), lan.now);
    drop(resumed);
    let actions = node.handle(Event::Tick, lan.now);
    let down = |action: &crate::action::Action<'_>| {
        matches!(action, crate::action::Action::Notify(Notice::Member { change: MemberChange::Down, .. }))
    };
    assert!(
        !actions.iter().any(down),
        "it could not be heard for a minute: late wakes {}",
        node.stats().late_wakes
    );
}

/// Processes at physical addresses, which may differ from those that they announce.
struct Proc {
    node: Node,
    at: SocketAddr,
}

struct Net {
    procs: BTreeMap<u64, Proc>,
    wires: BTreeMap<(Time, u64), (SocketAddr, SocketAddr, Vec<u8>)>,
    now: Time,
    serial: u64,
    /// Side of a cut, by process; absent: 0.
    side: BTreeMap<u64, u8>,
    notices: Vec<(u64, Time, Notice<'static>)>,
    /// The processes that have stopped for another one while no other one of the id ran.
    orphans: Vec<(u64, Time, u64)>,
}

impl Net {
    fn new() -> Self {
        Self {
            procs: Default::default(),
            wires: Default::default(),
            now: Time::from_secs(1),
            serial: 0,
            side: Default::default(),
            notices: Vec::new(),
            orphans: Vec::new(),
        }
    }

    fn start(
        &mut self,
        key: u64,
        id: u64,
        epoch: u64,
        announced: SocketAddr,
        seeds: Vec<SocketAddr>,
        config: &Config,
    ) {
        let mut b = boot(id, epoch);
        b.addr = announced;
        self.serial += 1;
        b.seed[16..24].copy_from_slice(&self.serial.to_le_bytes());
        b.seed[24] = 1;
        let node = Node::new(b, config.clone(), self.now).expect("good");
        // Another process, another history.
        self.notices.retain(|(of, _, _)| *of != key);
        self.procs.insert(key, Proc { node, at: addr(key) });
        self.event(key, Event::Command(Command::Join { seeds }));
    }

    fn event(&mut self, key: u64, event: Event<'_>) {
        let Some(proc) = self.procs.get_mut(&key) else { return };
        let actions = proc.node.handle(event, self.now);
        proc.node.check();
        let (at, id) = (proc.at, proc.node.id().0);
        let mut stopped = false;
        let mut reseed = false;
        for action in actions {
            match action {
                crate::action::Action::Send { to, bytes } => {
                    self.serial += 1;
                    let to = if to.ip().is_unspecified() { at } else { to };
                    let when = (self.now + Duration::from_millis(1), self.serial);
                    self.wires.insert(when, (at, to, bytes.into_owned()));
                }
                crate::action::Action::Notify(notice) => {
                    stopped |= matches!(notice, Notice::IdentityConflict { stopped: true, .. });
                    self.notices.push((key, self.now, notice));
                }
                crate::action::Action::Reseed => reseed = true,
                crate::action::Action::Answer(_)
                | crate::action::Action::Store { .. }
                | crate::action::Action::WakeAt(_) => {}
            }
        }
        if stopped && self.running(id).is_empty() {
            self.orphans.push((key, self.now, id));
        }
        if reseed {
            self.seed(key);
        }
    }

    fn seed(&mut self, key: u64) {
        self.serial += 1;
        let mut seed = [3; 32];
        seed[..8].copy_from_slice(&self.serial.to_le_bytes());
        self.event(key, Event::Seed(seed));
    }

    fn side(&self, at: SocketAddr) -> u8 {
        let key = self.procs.iter().find(|(_, proc)| proc.at == at).map(|(key, _)| *key);
        key.and_then(|key| self.side.get(&key).copied()).unwrap_or(0)
    }

    fn run(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        loop {
            let wake = self.procs.iter().filter_map(|(key, p)| Some((p.node.next_wake()?, *key))).min();
            let wire = self.wires.first_key_value().map(|(at, _)| at.0);
            match (wire, wake) {
                (Some(at), wake) if at <= end && wake.is_none_or(|(wake, _)| at <= wake) => {
                    self.now = self.now.max(at);
                    let (_, (from, to, bytes)) = self.wires.pop_first().expect("seen");
                    if self.side(from) != self.side(to) {
                        continue;
                    }
                    let key = self.procs.iter().find(|(_, p)| p.at == to).map(|(key, _)| *key);
                    if let Some(key) = key {
                        self.event(key, Event::Datagram { from, bytes: &bytes });
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

    fn running(&self, id: u64) -> Vec<u64> {
        let runs = |p: &Proc| p.node.id().0 == id && p.node.phase() == Phase::Running;
        self.procs.iter().filter(|(_, p)| runs(p)).map(|(key, _)| *key).collect()
    }
}

// A6: a founder without seeds that is bound to every address (the agent's default --listen) never learns its address.
#[test]
fn a_founder_without_an_address_learns_it_from_a_joiner() {
    let config = Config::lan("test");
    let mut net = Net::new();
    net.start(1, 1, 10, "0.0.0.0:7".parse().expect("an address"), vec![], &config);
    net.run(1_000);
    for key in 2..=4 {
        net.start(key, key, 10, "0.0.0.0:7".parse().expect("an address"), vec![addr(1)], &config);
    }
    net.run(120_000);
    let view =
        |key: u64| -> Vec<_> { net.procs[&key].node.members().map(|m| (m.id.0, m.addr, m.state)).collect() };
    let changes: Vec<_> = net
        .notices
        .iter()
        .filter_map(|(key, at, notice)| {
            let Notice::Member { change, member } = notice else { return None };
            (*key == 2 && member.id.0 == 1).then(|| (at.as_millis(), *change))
        })
        .collect();
    assert!(!net.procs[&1].node.addr().ip().is_unspecified(), "{:?}\n{changes:?}", view(2));
}

/// The first notice of a member that the order in `MemberChange` excludes.
fn disorder(net: &Net) -> Option<std::string::String> {
    use MemberChange as C;
    let mut last: BTreeMap<(u64, u64), C> = BTreeMap::new();
    for (key, at, notice) in &net.notices {
        let Notice::Member { change, member } = notice else { continue };
        let before = last.insert((*key, member.id.0), *change);
        // A resumed copy continues the history of its original.
        if before.is_none() && *key >= 20 {
            continue;
        }
        let live = matches!(before, Some(C::Up | C::Updated | C::Suspected | C::Refuted));
        let good = match change {
            C::Up => !live,
            C::Updated | C::Down | C::Left => live || (*change == C::Left && before == Some(C::Down)),
            C::Suspected => live,
            C::Refuted => live,
            C::Forgotten => matches!(before, Some(C::Down | C::Left)),
        };
        if !good {
            return Some(std::format!("{at} at {key}: {change:?} of {} after {before:?}", member.id));
        }
    }
    None
}

fn fuzz(round: u64, verbose: bool) -> Result<(), std::string::String> {
    let mut seed = [5; 32];
    seed[..8].copy_from_slice(&u64::to_le_bytes(round));
    let mut rng = Rng::new(seed, Stream::Membership);
    let config = Config::lan("test");
    let mut net = Net::new();
    let seeds = vec![addr(1), addr(2)];
    for key in 1..=4 {
        net.start(key, key, 1_000 + rng.below(5) as u64, addr(key), seeds.clone(), &config);
    }
    net.run(5_000);
    let mut next = 20;
    let mut saved: Vec<Node> = Vec::new();
    let mut log: Vec<std::string::String> = Vec::new();
    for _ in 0..25 {
        let keys: Vec<u64> = net.procs.keys().copied().collect();
        let key = keys[rng.below(keys.len())];
        let now = net.now;
        match rng.below(12) {
            0 | 1 => {
                let id = 2 + rng.below(3) as u64;
                let epoch = [1, 1_003, 1 << 40][rng.below(3)];
                log.push(std::format!("{now} start {next} as {id} epoch {epoch}"));
                net.start(next, id, epoch, addr(next), seeds.clone(), &config);
                next += 1;
            }
            2 => saved.extend(net.procs.get(&key).filter(|p| p.node.id().0 != 1).map(|p| p.node.clone())),
            3 if net.procs.len() > 4 && key != 1 => {
                log.push(std::format!("{now} crash {key}"));
                net.procs.remove(&key);
            }
            4 | 5 if !saved.is_empty() => {
                let node = saved[rng.below(saved.len())].clone();
                log.push(std::format!("{now} resume {} {:?} at {next}", node.id(), node.phase()));
                net.procs.insert(next, Proc { node, at: addr(next) });
                net.seed(next);
                if rng.below(2) == 0 {
                    net.run(rng.below(4_000) as u64);
                }
                net.event(next, Event::Command(Command::Join { seeds: seeds.clone() }));
                net.event(next, Event::Command(Command::SetAddr(addr(next))));
                next += 1;
            }
            6 | 7 => {
                for key in keys {
                    net.side.insert(key, u8::from(rng.below(2) == 0));
                }
                log.push(std::format!("{now} cut {:?}", net.side));
            }
            8 => {
                log.push(std::format!("{now} heal"));
                net.side.clear();
            }
            9 if key != 1 => {
                log.push(std::format!("{now} leave and join {key}"));
                let within = [Duration::ZERO, Duration::from_secs(1)][rng.below(2)];
                net.event(key, Event::Command(Command::Leave { within }));
                net.run([0, 100, 3_000][rng.below(3)]);
                net.event(key, Event::Command(Command::Join { seeds: seeds.clone() }));
            }
            10 => net.seed(key),
            _ => {}
        }
        net.run([1, 50, 500, 3_000, 20_000][rng.below(5)]);
    }
    net.side.clear();
    // Who still leaves, or has left, joins again; who announces another address is told its own one.
    for _ in 0..3 {
        let keys: Vec<u64> = net.procs.keys().copied().collect();
        for key in keys {
            if net.procs[&key].node.phase() == Phase::Left {
                net.event(key, Event::Command(Command::Join { seeds: seeds.clone() }));
            }
            if net.procs[&key].node.addr() != addr(key) {
                net.event(key, Event::Command(Command::SetAddr(addr(key))));
            }
        }
        net.run(5_000);
    }
    log.push(std::format!("{} calm", net.now));
    net.run(200_000);
    let mut errors = Vec::new();
    let ids: std::collections::BTreeSet<u64> = net.procs.values().map(|p| p.node.id().0).collect();
    for id in &ids {
        let running = net.running(*id);
        if running.len() > 1 {
            errors.push(std::format!("id {id}: running {running:?}"));
        }
    }
    let runs = || net.procs.iter().filter(|(_, p)| p.node.phase() == Phase::Running);
    errors.extend(disorder(&net));
    for orphan in &net.orphans {
        errors.push(std::format!("stopped alone: {orphan:?}"));
    }
    let mut roots: Vec<_> = runs().map(|(_, p)| p.node.roots()).collect();
    roots.dedup();
    if roots.len() != 1 {
        errors.push("roots differ".into());
    }
    for (key, p) in runs() {
        for (other, q) in runs() {
            let held = p.node.member(q.node.id());
            if !held.as_ref().is_some_and(|m| {
                m.state == MemberState::Alive && m.boot == q.node.boot() && m.addr == addr(*other)
            }) {
                errors.push(std::format!("{key} holds {held:?} of {other}"));
            }
        }
    }
    let before: u64 = runs().map(|(_, p)| p.node.stats().reconciliations).sum();
    let incarnations: Vec<_> = runs().map(|(_, p)| p.node.incarnation()).collect();
    net.run(60_000);
    let runs = || net.procs.iter().filter(|(_, p)| p.node.phase() == Phase::Running);
    let after: u64 = runs().map(|(_, p)| p.node.stats().reconciliations).sum();
    if before != after {
        errors.push(std::format!("{} comparisons in calm", after.saturating_sub(before)));
    }
    if incarnations != runs().map(|(_, p)| p.node.incarnation()).collect::<Vec<_>>() {
        errors.push("incarnations move in calm".into());
    }
    if errors.is_empty() {
        return Ok(());
    }
    if verbose {
        for (key, at, notice) in &net.notices {
            if !matches!(notice, Notice::Member { .. }) {
                log.push(std::format!("   {at} {key} {notice:?}"));
            }
        }
    }
    Err(std::format!("round {round}: {errors:?}\n{}", log.join("\n")))
}

#[test]
fn of_any_processes_of_one_id_one_goes_on() {
    let var = |name: &str, or: u64| std::env::var(name).ok().and_then(|t| t.parse().ok()).unwrap_or(or);
    let (from, to) = (var("FROM", 0), var("TO", 40));
    let failed: Vec<_> = (from..to).filter_map(|round| fuzz(round, to - from == 1).err()).collect();
    for text in failed.iter().take(3) {
        std::println!("{text}\n");
    }
    let first: Vec<_> = failed.iter().map(|t| t.lines().next().unwrap_or("").to_string()).collect();
    assert!(failed.is_empty(), "{} of {}: {first:#?}", failed.len(), to - from);
}

fn fuzz_tables(round: u64, verbose: bool) -> Result<(), std::string::String> {
    let mut seed = [6; 32];
    seed[..8].copy_from_slice(&u64::to_le_bytes(round));
    let mut rng = Rng::new(seed, Stream::Membership);
    let mut config = Config::lan("test");
    let settings = &mut config.membership;
    settings.forget_after = Duration::from_secs([60, 200][rng.below(2)]);
    settings.tombstones_max = [1, 8_192][rng.below(2)];
    settings.name_wait = [Duration::ZERO, Duration::MAX, Duration::from_secs(60)][rng.below(3)];
    if rng.below(3) == 0 {
        settings.admission = crate::config::AdmissionPolicy::Ask(Duration::from_secs(3));
    }
    if rng.below(3) == 0 {
        settings.last_word = false;
    }
    let forget = settings.forget_after;
    let mut net = Net::new();
    let seeds = vec![addr(1), addr(2)];
    for key in 1..=6 {
        net.start(key, key, 1_000, addr(key), seeds.clone(), &config);
    }
    net.run(5_000);
    let mut asleep: BTreeMap<u64, Proc> = BTreeMap::new();
    let mut log: Vec<std::string::String> = Vec::new();
    for _ in 0..40 {
        let keys: Vec<u64> = net.procs.keys().copied().collect();
        let key = keys[rng.below(keys.len())];
        let now = net.now;
        let other = NodeId(1 + rng.below(9) as u64);
        match rng.below(13) {
            0 | 1 => {
                let key = 2 + rng.below(8) as u64;
                if !net.procs.contains_key(&key) && !asleep.contains_key(&key) {
                    let epoch = [1, 1_003, now.as_nanos()][rng.below(3)];
                    log.push(std::format!("{now} start {key} epoch {epoch}"));
                    net.start(key, key, epoch, addr(key), seeds.clone(), &config);
                }
            }
            2 if key != 1 => {
                log.push(std::format!("{now} crash {key}"));
                net.procs.remove(&key);
            }
            3 if key != 1 => {
                log.push(std::format!("{now} sleep {key}"));
                let proc = net.procs.remove(&key).expect("runs");
                asleep.insert(key, proc);
            }
            4 | 5 => {
                if let Some((key, proc)) = asleep.pop_first() {
                    log.push(std::format!("{now} wake {key}"));
                    net.procs.insert(key, proc);
                    net.event(key, Event::Tick);
                }
            }
            6 => {
                for key in keys {
                    net.side.insert(key, u8::from(rng.below(2) == 0));
                }
                log.push(std::format!("{now} cut {:?}", net.side));
            }
            7 => {
                log.push(std::format!("{now} heal"));
                net.side.clear();
            }
            8 if key != 1 => {
                log.push(std::format!("{now} leave {key}"));
                net.event(key, Event::Command(Command::Leave { within: Duration::from_secs(1) }));
            }
            9 => {
                log.push(std::format!("{now} join {key}"));
                net.event(key, Event::Command(Command::Join { seeds: seeds.clone() }));
            }
            10 => {
                let alive = net.procs[&key].node.member(other).is_some_and(|m| m.state != MemberState::Left);
                if alive && other.0 != 1 {
                    log.push(std::format!("{now} {key} removes {other}"));
                    net.event(key, Event::Command(Command::RemovePeer(other)));
                }
            }
            11 => {
                let admission =
                    [crate::command::Admission::Accept, crate::command::Admission::Veto][rng.below(2)];
                if key != other.0 {
                    net.event(key, Event::Command(Command::Admit { id: other, admission }));
                }
            }
            _ => net.event(key, Event::Command(Command::SetMeta(vec![1; rng.below(9)]))),
        }
        net.run([1, 50, 500, 3_000, 20_000, 60_000][rng.below(6)]);
    }
    net.side.clear();
    for (key, proc) in asleep {
        net.procs.insert(key, proc);
        net.event(key, Event::Tick);
    }
    log.push(std::format!("{} calm", net.now));
    net.run(60_000 + u64::try_from(forget.as_millis()).expect("short") * 2);
    let mut errors = Vec::new();
    errors.extend(disorder(&net));
    let runs = || net.procs.iter().filter(|(_, p)| p.node.phase() == Phase::Running);
    let mut roots: Vec<_> = runs().map(|(_, p)| p.node.roots()).collect();
    roots.dedup();
    if roots.len() != 1 {
        errors.push("roots differ".into());
    }
    for (key, p) in runs() {
        for (other, q) in runs() {
            let id = q.node.id();
            let held = p.node.machines().membership.table.get(id);
            if !held.is_some_and(|e| e.state() == MemberState::Alive && e.boot() == Some(q.node.boot())) {
                errors.push(std::format!("{key} holds {held:?} of {other}"));
            }
        }
        let live = p.node.machines().membership.table.live();
        if live != runs().count() {
            errors.push(std::format!("{key} holds {live} live"));
        }
    }
    let before: u64 = runs().map(|(_, p)| p.node.stats().reconciliations).sum();
    let was: Vec<_> = runs().map(|(key, _)| *key).collect();
    net.run(60_000);
    let runs = || net.procs.iter().filter(|(_, p)| p.node.phase() == Phase::Running);
    let after: u64 = runs().map(|(_, p)| p.node.stats().reconciliations).sum();
    if was == runs().map(|(key, _)| *key).collect::<Vec<_>>() && before != after {
        errors.push(std::format!("{} comparisons in calm", after.saturating_sub(before)));
    }
    if errors.is_empty() {
        return Ok(());
    }
    if verbose {
        for (key, at, notice) in &net.notices {
            log.push(std::format!("   {at} {key} {notice:?}"));
        }
    }
    errors.truncate(3);
    Err(std::format!(
        "round {round}: {errors:?} forget {forget:?} tombstones {}\n{}",
        config.membership.tombstones_max,
        log.join("\n")
    ))
}

#[test]
fn any_tables_agree_in_the_end() {
    let var = |name: &str, or: u64| std::env::var(name).ok().and_then(|t| t.parse().ok()).unwrap_or(or);
    let (from, to) = (var("FROM", 0), var("TO", 40));
    let failed: Vec<_> = (from..to).filter_map(|round| fuzz_tables(round, to - from == 1).err()).collect();
    for text in failed.iter().take(4) {
        std::println!("{text}\n");
    }
    let first: Vec<_> = failed.iter().map(|t| t.lines().next().unwrap_or("").to_string()).collect();
    assert!(failed.is_empty(), "{} of {}: {first:#?}", failed.len(), to - from);
}

// README "it takes over when the other one leaves or fails"; A2a: the only contact was the holder itself.
#[test]
fn a_standby_whose_only_seed_was_the_holder_takes_over() {
    let config = Config::lan("test");
    let mut net = Net::new();
    net.start(1, 1, 1_000, addr(1), vec![addr(1)], &config);
    net.run(5_000);
    net.start(20, 1, 2_000, addr(20), vec![addr(1)], &config);
    net.run(5_000);
    net.procs.remove(&1);
    net.run(120_000);
    let told: Vec<_> = net.notices.iter().filter(|(key, _, _)| *key == 20).collect();
    assert_eq!(net.running(1), [20], "{told:?}");
}

// A2a, Boot::epoch ("below 2^63 - 2^32"): the epochs of all members are above 2^62.
#[test]
fn an_id_in_use_at_a_high_epoch_is_seen() {
    let config = Config::lan("test");
    for base in [1_u64 << 61, 1 << 62, (1 << 63) - (1 << 33)] {
        let mut net = Net::new();
        for key in 1..=4 {
            net.start(key, key, base + key, addr(key), vec![addr(1)], &config);
        }
        net.run(5_000);
        net.start(20, 2, base + 10_000, addr(20), vec![addr(1)], &config);
        net.run(30_000);
        let told: Vec<_> = net.notices.iter().filter(|(key, _, _)| *key == 20).collect();
        assert_eq!(
            net.procs[&20].node.phase(),
            Phase::Waiting,
            "base {base}: {told:?}, {:?}",
            net.running(2)
        );
    }
}

// README "A leave is never shown as a failure": the answer to Reseed comes a moment later than the leave.
#[test]
fn a_leave_while_a_seed_is_awaited_is_heard() {
    let mut lan = Lan::new(4);
    lan.run(5_000);
    let node = lan.nodes.get_mut(&2).expect("runs");
    let own = Incarnation { counter: node.incarnation().counter + 1, ..node.incarnation() };
    let copy = letter(2, own, node.boot(), 2, &[Ping { seq: 1, roots: [0; 3] }.into()]);
    let actions = node.handle(Event::Datagram { from: addr(2), bytes: &copy }, lan.now);
    assert!(actions.contains(&crate::action::Action::Reseed));
    let _ = actions;
    lan.command(2, Command::Leave { within: Duration::ZERO });
    lan.event(2, Event::Seed([8; 32]));
    lan.run(60_000);
    assert_eq!(lan.changes(1, 2), [MemberChange::Up, MemberChange::Left]);
}

// A7/A2a: three processes of one id at once (holds).
#[test]
fn three_processes_of_one_id_on_three_sides_of_a_cut() {
    let config = Config::lan("test");
    for order in 0..6 {
        let mut net = Net::new();
        for key in 1..=6 {
            net.start(key, key, 1_000, addr(key), vec![addr(1), addr(3), addr(5)], &config);
        }
        net.run(5_000);
        for key in [1, 2, 3, 4, 5, 6] {
            net.side.insert(key, (key % 3) as u8);
        }
        net.run(60_000);
        for (key, side) in [(20, 0), (21, 1), (22, 2)] {
            net.side.insert(key, side);
            net.start(
                key,
                9,
                [1, 5_000, 1 << 40][((key + order) % 3) as usize],
                addr(key),
                vec![addr(1), addr(3), addr(5)],
                &config,
            );
            net.run(1_000 * order);
        }
        net.run(60_000);
        assert_eq!(net.running(9).len(), 3);
        net.side.clear();
        net.run(120_000);
        assert_eq!(net.running(9).len(), 1, "order {order}");
        assert!(net.orphans.is_empty());
    }
}

// A2a: "of the id ... nobody knows it": a member that has just taken its own id after a restart runs, knows nobody yet,
// and answers "unknown". All processes have one list of seeds; the clock of the newcomer is behind.
#[test]
fn a_seed_that_has_just_restarted_gives_no_id_in_use_away() {
    let config = Config::lan("test");
    let seeds = vec![addr(1), addr(3), addr(4)];
    let mut bad = Vec::new();
    for delay in [0, 1, 2, 3, 4, 6, 8, 12, 20, 50] {
        let mut net = Net::new();
        for key in 1..=30 {
            net.start(key, key, 1_000_000, addr(key), seeds.clone(), &config);
        }
        net.run(10_000);
        net.procs.remove(&1);
        net.run(100);
        net.start(1, 1, 2_000_000, addr(1), seeds.clone(), &config);
        net.run(delay);
        net.start(100, 2, 1, addr(100), seeds.clone(), &config);
        net.run(60_000);
        if net.running(2) != [2] {
            bad.push((delay, net.running(2)));
        }
    }
    assert!(bad.is_empty(), "delay in ms, who runs: {bad:?}");
}

// Notices of forged news: one stranger makes a node tell its application of many rivals (IdentityConflict).
#[test]
fn forged_questions_are_told_once_for_each_boot() {
    let mut lan = Lan::new(2);
    lan.run(3_000);
    for round in 0..100 {
        let rank = Rank { seniority: 1, draws: 0, boot: 5 + round % 2 };
        let ask = crate::wire::Ask { id: NodeId(1), nonce: round + 1, rank };
        let bytes = letter(50, Incarnation::first(1), 99, 1, &[ask.into()]);
        lan.event(1, Event::Datagram { from: addr(200), bytes: &bytes });
    }
    let told =
        lan.notices.iter().filter(|(_, notice)| matches!(notice, Notice::IdentityConflict { .. })).count();
    assert!(told <= 2, "{told} notices of two invented processes");
}

// A2b: two processes of one id, of which the senior has left and rejoins, and the other takes the id meanwhile.
#[test]
fn a_rejoin_while_another_process_has_taken_the_id() {
    let config = Config::lan("test");
    for gap in [0, 1, 10, 100, 1_000, 5_000] {
        let mut net = Net::new();
        let seeds = vec![addr(1), addr(3)];
        for key in 1..=4 {
            net.start(key, key, 1_000, addr(key), seeds.clone(), &config);
        }
        net.run(5_000);
        net.start(20, 2, 5, addr(20), seeds.clone(), &config);
        net.run(3_000);
        net.event(2, Event::Command(Command::Leave { within: Duration::from_secs(1) }));
        net.run(gap);
        net.event(2, Event::Command(Command::Join { seeds: seeds.clone() }));
        net.run(50_000);
        assert_eq!(net.running(2).len(), 1, "gap {gap}");
        assert!(net.orphans.is_empty());
    }
}

// F6 under random forged datagrams from strangers: nothing but what the other tests show (holds for these kinds).
#[test]
fn f6_random_letters_from_strangers() {
    let mut rng = Rng::new([8; 32], Stream::Membership);
    let victim = addr(200);
    for round in 0..400 {
        let mut lan = Lan::new(3);
        lan.run(3_000);
        let held = lan.nodes[&2].incarnation();
        let (mut sent, mut got) = (0, 0);
        for _ in 0..6 {
            let mut messages: Vec<Message<'_>> = Vec::new();
            let rank = Rank { seniority: 1, draws: 0, boot: 5 };
            let about = [2, 3, 50][rng.below(3)];
            // Not the victim's address: see `a_strangers_record_validates_no_address`.
            let at = addr(2);
            let counter = [0, 1, 2][rng.below(3)];
            let bytes = record(about, Incarnation { epoch: held.epoch, counter }, rank, at);
            let joiner = record(50, Incarnation::first(1), rank, victim);
            for _ in 0..1 + rng.below(4) {
                let incarnation = Incarnation { epoch: held.epoch, counter: [0, 1, 2][rng.below(3)] };
                let verdict = crate::wire::Verdict {
                    id: NodeId([2, 3, 50][rng.below(3)]),
                    incarnation,
                    state: [MemberState::Alive, MemberState::Suspect, MemberState::Down, MemberState::Left]
                        [rng.below(4)],
                    removed: false,
                    age: 0,
                    author: NodeId(0),
                };
                messages.push(match rng.below(6) {
                    0 => Ping { seq: 1, roots: [7; 3] }.into(),
                    1 => Ack { seq: [0, 1, 2, 3][rng.below(4)], roots: Some([7; 3]) }.into(),
                    2 => Ack { seq: 1, roots: None }.into(),
                    3 => Alive(Record::trusted(&bytes)).into(),
                    4 => verdict.into(),
                    _ => crate::wire::Join { cookie: 3, cluster: "test", record: Record::trusted(&joiner) }
                        .into(),
                });
            }
            // An unknown sender, or a member at its held incarnation or boot, from the victim's address.
            let (id, boot) = [(50, 5), (2, lan.nodes[&2].boot()), (2, 5)][rng.below(3)];
            let incarnation = if id == 50 { Incarnation::first(1) } else { held };
            let letter = letter(id, incarnation, boot, 1, &messages);
            sent += letter.len();
            // An invented member at the victim's address is probed: known to all who read B10, so only the answers count.
            let now = lan.now;
            let actions = lan
                .nodes
                .get_mut(&1)
                .expect("runs")
                .handle(Event::Datagram { from: victim, bytes: &letter }, now);
            for action in actions {
                if let crate::action::Action::Send { to, bytes } = action {
                    got += if to == victim { bytes.len() } else { 0 };
                }
            }
        }
        assert!(got <= sent, "round {round}: {got} bytes for {sent}");
    }
}

// F6 ("validated when it has echoed a fresh number and is that of a live member"), SECURITY.md ("The victim is always a
// member"): a stranger's record makes the victim's address that of a member, and the next datagram from there is
// `Validated`, although the victim has never echoed anything.
#[test]
fn a_strangers_record_validates_no_address() {
    let mut lan = Lan::new(40);
    lan.run(5_000);
    for id in 2..=40 {
        lan.command(id, Command::SetMeta(vec![1; 512]));
    }
    lan.run(10_000);
    let victim = addr(200);
    let rank = Rank { seniority: 1, draws: 0, boot: 5 };
    let first = Incarnation::first(1);
    let forged = record(60, first, rank, victim);
    let introduction = letter(50, first, 99, 1, &[Alive(Record::trusted(&forged)).into()]);
    let ids: Vec<u8> = (2..=40_u64).flat_map(u64::to_le_bytes).collect();
    let want = crate::wire::Want::of(MEMBERS, 64 * 1024, &ids);
    let request = letter(60, first, 5, 1, &[want.into()]);
    let len = introduction.len() + request.len();
    let got = to_victim(&mut lan, &[(addr(250), introduction), (victim, request)], victim, 0);
    assert!(got.1 <= len, "{got:?} for {len} bytes");
}

// Command::Admit is about members; on the node itself it hides the node from its own view and its own deliveries.
#[test]
fn a_veto_of_oneself_is_refused() {
    let mut lan = Lan::new(3);
    lan.run(3_000);
    let admission = crate::command::Admission::Veto;
    lan.event(1, Event::Command(Command::Admit { id: NodeId(1), admission }));
    lan.run(1_000);
    lan.command(1, Command::Broadcast(crate::Broadcast::new("a", vec![1])));
    lan.run(1_000);
    let delivered: Vec<_> = lan
        .notices
        .iter()
        .filter(|(_, n)| matches!(n, Notice::Delivered { .. }))
        .map(|(id, _)| *id)
        .collect();
    assert!(
        delivered.contains(&1) && lan.nodes[&1].member_count() == 3,
        "{delivered:?} {}",
        lan.nodes[&1].member_count()
    );
}

// The order of commands while it waits: Leave, Join, SetAddr, AddPeer, RemovePeer, in a rejoin too (holds).
#[test]
fn commands_while_waiting() {
    let config = Config::lan("test");
    let mut net = Net::new();
    for key in 1..=4 {
        net.start(key, key, 1_000, addr(key), vec![addr(1)], &config);
    }
    net.run(5_000);
    net.start(20, 2, 2_000, addr(20), vec![addr(1)], &config);
    for _ in 0..20 {
        net.run(700);
        net.event(20, Event::Command(Command::Leave { within: Duration::MAX }));
        assert_eq!(net.procs[&20].node.phase(), Phase::Left);
        net.event(20, Event::Command(Command::SetAddr(addr(21))));
        net.event(20, Event::Command(Command::Join { seeds: vec![addr(3)] }));
        net.event(20, Event::Command(Command::SetMeta(vec![1])));
        net.event(20, Event::Command(Command::SetPeers(vec![addr(20), addr(4)])));
        net.event(20, Event::Command(Command::RemovePeer(NodeId(3))));
        net.seed(20);
    }
    net.run(1_000);
    assert_eq!(net.running(2), [2]);
    let changed = net.notices.iter().any(|(_, _, n)| matches!(n, Notice::IdentityConflict { .. }));
    assert!(!changed, "nothing was published");
}
