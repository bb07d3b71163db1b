//! Random histories: whatever happens, one process of each id goes on, all tables agree, and notices tell what is shown.

use core::time::Duration;
use std::collections::BTreeSet;
use std::string::{String, ToString as _};
use std::vec;

use super::super::*;
use super::net::Net;
use crate::action::Notice;
use crate::command::{Admission, Command};
use crate::config::AdmissionPolicy;
use crate::event::Event;
use crate::lan::addr;
use crate::node::Node;
use crate::rng::Stream;

/// Runs a random history for each round below `rounds`; `FROM` and `TO` choose others, and a single one tells its notices.
fn all_hold(rounds: u64, history: impl Fn(u64, bool) -> Result<(), String>) {
    let var = |name: &str, or: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(or);
    let (from, to) = (var("FROM", 0), var("TO", rounds));
    let failed: Vec<_> = (from..to).filter_map(|round| history(round, to - from == 1).err()).collect();
    failed.iter().take(3).for_each(|text| std::println!("{text}\n"));
    let first: Vec<_> = failed.iter().map(|text| text.lines().next().unwrap_or("").to_string()).collect();
    assert!(failed.is_empty(), "{} of {}: {first:#?}", failed.len(), to - from);
}

/// Processes start, crash, leave, are cut off, copied and resumed, under four ids.
fn fuzz(round: u64, verbose: bool) -> Result<(), String> {
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
    let mut log: Vec<String> = Vec::new();
    for _ in 0..25 {
        let keys: Vec<u64> = net.nodes.keys().copied().collect();
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
            2 => saved.extend(net.nodes.get(&key).filter(|p| p.id().0 != 1).cloned()),
            3 if net.nodes.len() > 4 && key != 1 => {
                log.push(std::format!("{now} crash {key}"));
                net.nodes.remove(&key);
            }
            4 | 5 if !saved.is_empty() => {
                let node = saved[rng.below(saved.len())].clone();
                log.push(std::format!("{now} resume {} {:?} at {next}", node.id(), node.phase()));
                net.nodes.insert(next, node);
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
        let keys: Vec<u64> = net.nodes.keys().copied().collect();
        for key in keys {
            if net.nodes[&key].phase() == Phase::Left {
                net.event(key, Event::Command(Command::Join { seeds: seeds.clone() }));
            }
            if net.nodes[&key].addr() != addr(key) {
                net.event(key, Event::Command(Command::SetAddr(addr(key))));
            }
        }
        net.run(5_000);
    }
    log.push(std::format!("{} calm", net.now));
    net.run(200_000);
    let mut errors = Vec::new();
    let ids: BTreeSet<u64> = net.nodes.values().map(|p| p.id().0).collect();
    for id in &ids {
        let running = net.running(*id);
        if running.len() > 1 {
            errors.push(std::format!("id {id}: running {running:?}"));
        }
    }
    let runs = || net.nodes.iter().filter(|(_, p)| p.phase() == Phase::Running);
    errors.extend(net.told(20).err());
    for orphan in &net.orphans {
        errors.push(std::format!("stopped alone: {orphan:?}"));
    }
    let mut roots: Vec<_> = runs().map(|(_, p)| p.roots()).collect();
    roots.dedup();
    if roots.len() != 1 {
        errors.push("roots differ".into());
    }
    for (key, p) in runs() {
        for (other, q) in runs() {
            let held = p.member(q.id());
            if !held.as_ref().is_some_and(|m| {
                m.state == MemberState::Alive && m.boot == q.boot() && m.addr == addr(*other)
            }) {
                errors.push(std::format!("{key} holds {held:?} of {other}"));
            }
        }
    }
    let before: u64 = runs().map(|(_, p)| p.stats().reconciliations).sum();
    let incarnations: Vec<_> = runs().map(|(_, p)| p.incarnation()).collect();
    net.run(60_000);
    let runs = || net.nodes.iter().filter(|(_, p)| p.phase() == Phase::Running);
    let after: u64 = runs().map(|(_, p)| p.stats().reconciliations).sum();
    if before != after {
        errors.push(std::format!("{} comparisons in calm", after.saturating_sub(before)));
    }
    if incarnations != runs().map(|(_, p)| p.incarnation()).collect::<Vec<_>>() {
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
    all_hold(40, fuzz);
}

/// Members start, sleep, leave, are removed, vetoed and cut off, with small tables and short memories.
fn fuzz_tables(round: u64, verbose: bool) -> Result<(), String> {
    let mut seed = [6; 32];
    seed[..8].copy_from_slice(&u64::to_le_bytes(round));
    let mut rng = Rng::new(seed, Stream::Membership);
    let mut config = Config::lan("test");
    let settings = &mut config.membership;
    settings.forget_after = Duration::from_secs([60, 200][rng.below(2)]);
    settings.tombstones_max = [1, 8_192][rng.below(2)];
    settings.name_wait = [Duration::ZERO, Duration::MAX, Duration::from_secs(60)][rng.below(3)];
    if rng.below(3) == 0 {
        settings.admission = AdmissionPolicy::Ask(Duration::from_secs(3));
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
    let mut asleep: BTreeMap<u64, Node> = BTreeMap::new();
    let mut log: Vec<String> = Vec::new();
    for _ in 0..40 {
        let keys: Vec<u64> = net.nodes.keys().copied().collect();
        let key = keys[rng.below(keys.len())];
        let now = net.now;
        let other = NodeId(1 + rng.below(9) as u64);
        match rng.below(13) {
            0 | 1 => {
                let key = 2 + rng.below(8) as u64;
                if !net.nodes.contains_key(&key) && !asleep.contains_key(&key) {
                    let epoch = [1, 1_003, now.as_nanos()][rng.below(3)];
                    log.push(std::format!("{now} start {key} epoch {epoch}"));
                    net.start(key, key, epoch, addr(key), seeds.clone(), &config);
                }
            }
            2 if key != 1 => {
                log.push(std::format!("{now} crash {key}"));
                net.nodes.remove(&key);
            }
            3 if key != 1 => {
                log.push(std::format!("{now} sleep {key}"));
                let proc = net.nodes.remove(&key).expect("runs");
                asleep.insert(key, proc);
            }
            4 | 5 => {
                if let Some((key, proc)) = asleep.pop_first() {
                    log.push(std::format!("{now} wake {key}"));
                    net.nodes.insert(key, proc);
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
                let alive = net.nodes[&key].member(other).is_some_and(|m| m.state != MemberState::Left);
                if alive && other.0 != 1 {
                    log.push(std::format!("{now} {key} removes {other}"));
                    net.event(key, Event::Command(Command::RemovePeer(other)));
                }
            }
            11 => {
                let admission = [Admission::Accept, Admission::Veto][rng.below(2)];
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
        net.nodes.insert(key, proc);
        net.event(key, Event::Tick);
    }
    log.push(std::format!("{} calm", net.now));
    net.run(60_000 + u64::try_from(forget.as_millis()).expect("short") * 2);
    let mut errors = Vec::new();
    errors.extend(net.told(20).err());
    let runs = || net.nodes.iter().filter(|(_, p)| p.phase() == Phase::Running);
    let mut roots: Vec<_> = runs().map(|(_, p)| p.roots()).collect();
    roots.dedup();
    if roots.len() != 1 {
        errors.push("roots differ".into());
    }
    for (key, p) in runs() {
        for (other, q) in runs() {
            let id = q.id();
            let held = p.machines().membership.table.get(id);
            if !held.is_some_and(|e| e.state() == MemberState::Alive && e.boot() == Some(q.boot())) {
                errors.push(std::format!("{key} holds {held:?} of {other}"));
            }
        }
        let live = p.machines().membership.table.live();
        if live != runs().count() {
            errors.push(std::format!("{key} holds {live} live"));
        }
    }
    let before: u64 = runs().map(|(_, p)| p.stats().reconciliations).sum();
    let was: Vec<_> = runs().map(|(key, _)| *key).collect();
    net.run(60_000);
    let runs = || net.nodes.iter().filter(|(_, p)| p.phase() == Phase::Running);
    let after: u64 = runs().map(|(_, p)| p.stats().reconciliations).sum();
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
    all_hold(40, fuzz_tables);
}

/// The first observer and member of which the last notice and the view do not agree, or whose notices are out of order.
fn disorder(net: &Net, vetoed: &BTreeSet<(u64, u64)>) -> Option<String> {
    let told = match net.told(u64::MAX) {
        Ok(told) => told,
        Err(error) => return Some(error),
    };
    for (observer, node) in &net.nodes {
        for subject in (1..=9_u64).filter(|subject| subject != observer) {
            let view = node.member(NodeId(subject)).map(|member| member.state);
            let told = told.get(&(*observer, subject)).and_then(|(_, state)| *state);
            let is_unseen = told.is_none() || vetoed.contains(&(*observer, subject));
            if view != told && !(is_unseen && view.is_none_or(|state| !state.is_live())) {
                return Some(std::format!("{observer} shows {view:?} of {subject}, told was {told:?}"));
            }
        }
        let live = node.members().filter(|member| member.state.is_live()).count();
        if live != node.member_count() {
            return Some(std::format!("{observer} counts {} of {live}", node.member_count()));
        }
    }
    None
}

/// Two to five members flap, crash, rejoin, sleep, and veto and accept each other.
fn small_group(round: u64) -> Result<(), String> {
    let mut seed = [6; 32];
    seed[..8].copy_from_slice(&round.to_le_bytes());
    let mut rng = Rng::new(seed, Stream::Membership);
    let mut config = Config::lan("test");
    config.membership.forget_after = Duration::from_secs([60, 3_600][rng.below(2)]);
    config.membership.probation_returns = [1, 2, 3][rng.below(3)];
    config.membership.members_max = [5, 20_000][rng.below(2)];
    config.membership.tombstones_max = [1, 8_192][rng.below(2)];
    if rng.below(3) == 0 {
        config.membership.admission = AdmissionPolicy::Ask(Duration::from_secs(3));
    }
    let mut net = Net::new();
    net.rng = Rng::new(seed, Stream::Epoch);
    let members = 2 + rng.below(4);
    let n = members as u64;
    let seeds = vec![addr(1), addr(2)];
    (1..=n).for_each(|key| net.begin(key, addr(key), seeds.clone(), &config));
    net.run(5_000);
    let mut vetoed = BTreeSet::new();
    let mut log: Vec<String> = Vec::new();
    let mut gone: BTreeSet<u64> = BTreeSet::new();
    for _ in 0..40 {
        let key = 1 + rng.below(members) as u64;
        let other = 1 + rng.below(members) as u64;
        match rng.below(12) {
            0..=3 => {
                net.cuts = (1..=n).filter(|k| *k != key).map(|k| (k.min(key), k.max(key))).collect();
                net.run(6_000 + rng.below(15_000) as u64);
                net.cuts.clear();
                log.push(std::format!("{} flap {key}", net.now));
            }
            4 if net.nodes.len() > 2 => {
                log.push(std::format!("{} crash {key}", net.now));
                net.nodes.remove(&key);
                gone.insert(key);
                net.notices.retain(|(of, ..)| *of != key);
                vetoed.retain(|(of, _)| *of != key);
            }
            5 => {
                for key in core::mem::take(&mut gone) {
                    log.push(std::format!("{} start {key}", net.now));
                    net.begin(key, addr(key), seeds.clone(), &config);
                }
            }
            6 => {
                log.push(std::format!("{} leave, join {key}", net.now));
                net.event(key, Event::Command(Command::Leave { within: Duration::from_secs(1) }));
                net.run([100, 5_000, 70_000][rng.below(3)]);
                net.event(key, Event::Command(Command::Join { seeds: seeds.clone() }));
            }
            7 if key != other => {
                log.push(std::format!("{} {key} vetoes {other}", net.now));
                vetoed.insert((key, other));
                let id = NodeId(other);
                net.event(key, Event::Command(Command::Admit { id, admission: Admission::Veto }));
            }
            8 if key != other => {
                log.push(std::format!("{} {key} accepts {other}", net.now));
                let id = NodeId(other);
                net.event(key, Event::Command(Command::Admit { id, admission: Admission::Accept }));
            }
            9 => {
                if let Some(node) = net.nodes.remove(&key) {
                    log.push(std::format!("{} {key} sleeps", net.now));
                    net.run([3_000, 40_000, 700_000][rng.below(3)]);
                    let bytes = postcard::to_allocvec(&node).expect("plain data");
                    net.nodes.insert(key, postcard::from_bytes(&bytes).expect("just written"));
                    net.event(
                        key,
                        Event::Seed(rng.next_u64().to_le_bytes().repeat(4).try_into().expect("32 bytes")),
                    );
                }
            }
            10 => {
                log.push(std::format!("{} meta {key}", net.now));
                let meta = rng.next_u64().to_le_bytes().to_vec();
                net.event(key, Event::Command(Command::SetMeta(meta)));
            }
            _ => net.event(
                key,
                Event::Seed(rng.next_u64().to_le_bytes().repeat(4).try_into().expect("32 bytes")),
            ),
        }
        net.run([10, 500, 5_000, 20_000][rng.below(4)]);
        if let Some(error) = disorder(&net, &vetoed) {
            return Err(std::format!("round {round}, {n} members: {error}\n{}", log.join("\n")));
        }
    }
    for key in 1..=n {
        if net.nodes.get(&key).is_none_or(|node| node.phase() != Phase::Running) {
            net.nodes.remove(&key);
            net.notices.retain(|(of, ..)| *of != key);
            vetoed.retain(|(of, _)| *of != key);
            net.begin(key, addr(key), seeds.clone(), &config);
        }
    }
    net.run(1_000_000);
    if let Some(error) = disorder(&net, &vetoed) {
        return Err(std::format!("round {round}, {n} members, calm: {error}\n{}", log.join("\n")));
    }
    for (a, node) in &net.nodes {
        for b in net.nodes.keys().filter(|b| *b != a && !vetoed.contains(&(*a, **b))) {
            if net.state(*a, *b) != Some(MemberState::Alive) {
                return Err(std::format!(
                    "round {round}: {a} shows {:?} of {b}, probation {:?}\n{}",
                    net.state(*a, *b),
                    node.probation(NodeId(*b)),
                    log.join("\n")
                ));
            }
        }
    }
    Ok(())
}

#[test]
fn view_and_notices_agree_in_small_groups() {
    all_hold(6, |round, _| small_group(round));
}
