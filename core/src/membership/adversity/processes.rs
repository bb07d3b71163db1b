//! Which process has an id, in the orders of events that are hardest on that (rules A1 to A2c, A6), and what is asked of a
//! process at odd moments.

use core::time::Duration;
use std::vec;

use super::super::test_support::letter;
use super::super::*;
use super::net::{Net, record};
use crate::action::{Action, MemberChange, Notice};
use crate::command::{Admission, Command};
use crate::event::Event;
use crate::id::{Incarnation, Rank};
use crate::lan::{Lan, addr, boot};
use crate::node::Node;
use crate::wire::{self, Record};

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
    let described = wire::describe(&asked.2).expect("ours");
    std::println!("{described}");
    let nonce = lan.nodes[&2].machines().membership.own.identity.question();
    let Some(nonce) = nonce else { return };
    let claim = wire::Claim { id: NodeId(2), nonce, rank };
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
    assert!(identity.has_asked_self(lan.now) || lan.kinds.contains_key(&wire::Kind::Ask));
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
    let verdict = wire::Verdict {
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
    assert!(actions.contains(&Action::Reseed));
    lan.run(60_000);
    lan.wires.clear();
    let resumed = node.handle(Event::Seed([5; 32]), lan.now);
    drop(resumed);
    let actions = node.handle(Event::Tick, lan.now);
    let down = |action: &Action<'_>| {
        matches!(action, Action::Notify(Notice::Member { change: MemberChange::Down, .. }))
    };
    assert!(
        !actions.iter().any(down),
        "it could not be heard for a minute: late wakes {}",
        node.stats().late_wakes
    );
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
        |key: u64| -> Vec<_> { net.nodes[&key].members().map(|m| (m.id.0, m.addr, m.state)).collect() };
    let changes: Vec<_> = net
        .notices
        .iter()
        .filter_map(|(key, at, notice)| {
            let Notice::Member { change, member } = notice else { return None };
            (*key == 2 && member.id.0 == 1).then(|| (at.as_millis(), *change))
        })
        .collect();
    assert!(!net.nodes[&1].addr().ip().is_unspecified(), "{:?}\n{changes:?}", view(2));
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
    net.nodes.remove(&1);
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
        assert_eq!(net.nodes[&20].phase(), Phase::Waiting, "base {base}: {told:?}, {:?}", net.running(2));
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
    assert!(actions.contains(&Action::Reseed));
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
        net.nodes.remove(&1);
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
        assert_eq!(net.nodes[&20].phase(), Phase::Left);
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

// A6: "A node that knows no address to ask asks its first joiner": this one knows an address, and nobody is there.
#[test]
fn a_member_without_an_address_and_with_a_dead_seed_learns_it_from_a_joiner() {
    let config = Config::lan("test");
    let mut net = Net::new();
    net.begin(1, "0.0.0.0:7".parse().expect("an address"), vec![addr(9)], &config);
    net.run(30_000);
    net.begin(2, addr(2), vec![addr(1)], &config);
    net.begin(3, addr(3), vec![addr(1)], &config);
    net.run(300_000);
    let own = net.nodes[&1].addr();
    assert!(!own.ip().is_unspecified(), "{own} {:?} {:?}", net.changes(2, 1), net.state(2, 1));
    assert_eq!(net.state(2, 1), Some(MemberState::Alive));
}

// "never panics on what a clock does": every command at the end of time.
#[test]
fn commands_at_the_end_of_time_end() {
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for phase in 0..3 {
            for command in 0..9 {
                let mut lan = Lan::new(3);
                lan.run(3_000);
                if phase == 2 {
                    lan.command(1, Command::Leave { within: Duration::ZERO });
                }
                let mut node = lan.nodes.remove(&1).expect("runs");
                let now = if phase == 0 { Time::MAX } else { Time::from_nanos(u64::MAX - 1_000_000) };
                let id = NodeId(2);
                let command = match command {
                    0 => Command::Join { seeds: vec![addr(2)] },
                    1 => Command::Leave { within: Duration::MAX },
                    2 => Command::SetMeta(vec![1]),
                    3 => Command::SetAddr(addr(77)),
                    4 => Command::Ping { id, addr: addr(2) },
                    5 => Command::AddPeer(addr(9)),
                    6 => Command::RemovePeer(id),
                    7 => Command::Broadcast(crate::Broadcast::new("a", "b").report(Duration::MAX)),
                    _ => Command::Admit { id, admission: Admission::Veto },
                };
                drop(node.handle(Event::Command(command), now));
                drop(node.handle(Event::Seed([1; 32]), now));
                drop(node.handle(Event::Tick, now));
                drop(node.handle(Event::Tick, Time::ZERO));
                drop(node.handle(Event::Tick, Time::MAX));
                node.check();
            }
        }
        done.send(()).expect("it is waited for");
    });
    assert!(ended.recv_timeout(Duration::from_secs(60)).is_ok(), "it does not end");
}

// A2c: whatever the application asks while a seed is awaited.
#[test]
fn commands_while_a_seed_is_awaited_are_kept_or_refused() {
    for round in 0..10 {
        let mut lan = Lan::new(4);
        lan.run(5_000);
        let now = lan.now;
        let mut node = lan.nodes.remove(&2).expect("runs");
        let above = Incarnation { counter: node.incarnation().counter + 1, ..node.incarnation() };
        let copy = letter(2, above, node.boot(), 2, &[Ping { seq: 1, roots: [0; 3] }.into()]);
        let mut all = node.handle(Event::Datagram { from: addr(2), bytes: &copy }, now);
        assert!(all.contains(&Action::Reseed));
        let id = NodeId(3);
        let commands = match round {
            0 => vec![Command::Broadcast(crate::Broadcast::new("a", "b").report(Duration::from_secs(30)))],
            1 => vec![Command::Ping { id, addr: addr(3) }],
            2 => vec![Command::SetMeta(vec![7; 100])],
            3 => vec![Command::SetAddr(addr(2))],
            4 => vec![Command::RemovePeer(id)],
            5 => vec![Command::Admit { id, admission: Admission::Veto }],
            6 => vec![Command::Join { seeds: vec![addr(3)] }, Command::AddPeer(addr(4))],
            7 => vec![
                Command::Leave { within: Duration::from_secs(1) },
                Command::Broadcast(crate::Broadcast::new("a", "b")),
            ],
            8 => vec![
                Command::Leave { within: Duration::from_secs(1) },
                Command::Join { seeds: vec![addr(3)] },
            ],
            _ => vec![Command::SetMeta(vec![1]), Command::SetMeta(vec![2]), Command::SetMeta(vec![3])],
        };
        for command in commands {
            all.extend(node.handle(Event::Command(command), now + Duration::from_millis(5)));
            all.extend(node.handle(Event::Tick, now + Duration::from_millis(900)));
        }
        assert!(!all.iter().any(|action| matches!(action, Action::Send { .. })), "round {round}: it sends");
        let notices: Vec<_> = all
            .into_iter()
            .filter_map(|action| match action.into_owned() {
                Action::Notify(notice) => Some((2, notice)),
                Action::Send { .. }
                | Action::Answer(_)
                | Action::Store { .. }
                | Action::Reseed
                | Action::WakeAt(_) => None,
            })
            .collect();
        lan.notices.extend(notices);
        lan.run(1_000);
        lan.nodes.insert(2, node);
        lan.event(2, Event::Seed([9; 32]));
        lan.event(2, Event::Seed([8; 32]));
        lan.run(90_000);
        let delivered = |of: u64| {
            lan.notices.iter().filter(|(key, n)| *key == of && matches!(n, Notice::Delivered { .. })).count()
        };
        match round {
            0 => assert_eq!([1, 2, 3, 4].map(delivered), [1; 4]),
            1 => assert!(
                lan.notices.iter().any(|(_, n)| matches!(n, Notice::Pong { .. } | Notice::PingFailed { .. }))
            ),
            2 => assert_eq!(lan.nodes[&1].member(NodeId(2)).expect("known").meta.len(), 100),
            4 => assert_eq!(lan.nodes[&3].phase(), Phase::Ended),
            7 => {
                assert_eq!(lan.nodes[&2].phase(), Phase::Left);
                assert_eq!(lan.states(1)[1].1, MemberState::Left);
                assert_eq!([1, 2, 3, 4].map(delivered), [1; 4], "it was accepted before the leave");
            }
            9 => assert_eq!(*lan.nodes[&1].member(NodeId(2)).expect("known").meta, [3]),
            _ => {}
        }
        if round < 7 && round != 4 {
            assert!(lan.agree(), "round {round}");
        }
    }
}

// A2a, A2c: a new seed at every moment of a start, a leave and a rejoin.
#[test]
fn a_seed_at_any_moment_ends_in_one_running_process() {
    for moment in [0, 1, 2, 3, 5, 200, 1_500] {
        for rejoin in [false, true] {
            let mut lan = Lan::new(3);
            lan.run(5_000);
            let config = Config::lan("test");
            if rejoin {
                lan.command(2, Command::Leave { within: Duration::from_secs(1) });
                lan.run(moment);
                lan.event(2, Event::Seed([7; 32]));
                lan.run(3_000);
                lan.command(2, Command::Join { seeds: vec![addr(1)] });
            } else {
                lan.nodes.remove(&2);
                lan.start(boot(2, 1), &config);
            }
            lan.run(moment);
            (0..2).for_each(|number| lan.event(2, Event::Seed([number; 32])));
            lan.run(60_000);
            assert!(lan.agree(), "{moment} {rejoin}");
            assert_eq!(lan.nodes[&2].phase(), Phase::Running);
            let held = lan.nodes[&1].member(NodeId(2)).expect("known");
            assert_eq!((held.state, held.boot), (MemberState::Alive, lan.nodes[&2].boot()));
            let before = lan.nodes[&2].incarnation();
            lan.run(60_000);
            assert_eq!(lan.nodes[&2].incarnation(), before, "it moves in calm: {moment} {rejoin}");
        }
    }
}

/// Node 2 has restarted in the epoch 7 of its former process, of which it knows nothing, and is told that it has joined through
/// node 1, which has just contacted it and knows the former one. The longer they ran, the other the boots.
fn joined_in_a_used_epoch(seconds: u64) -> Net {
    let config = Config::lan("test");
    let mut net = Net::new();
    net.start(1, 1, 10, addr(1), vec![addr(2)], &config);
    net.start(2, 2, 7, addr(2), vec![addr(1)], &config);
    net.run(1_000 * seconds);
    net.nodes.remove(&2);
    net.run(30_000);
    assert_eq!(net.state(1, 2), Some(MemberState::Down));
    net.start(2, 2, 7, addr(2), vec![addr(9)], &config);
    net.notices.clear();
    for _ in 0..120_000 {
        net.run(1);
        let joined = |(key, _, notice): &_| *key == 2 && matches!(notice, Notice::Joined { .. });
        if net.notices.iter().any(joined) {
            return net;
        }
    }
    panic!("node 1 does not contact its seed");
}

// A1: "An *equal* epoch is worse."
#[test]
fn a_process_in_a_used_epoch_that_a_member_contacts_moves_above_it_at_once() {
    for seconds in 5..15 {
        let mut net = joined_in_a_used_epoch(seconds);
        net.run(10);
        assert!(net.nodes[&2].incarnation().epoch > 7, "{:?}", net.nodes[&2].incarnation());
        net.run(1_000);
        assert_eq!((net.state(1, 2), net.state(2, 1)), (Some(MemberState::Alive), Some(MemberState::Alive)));
    }
}
