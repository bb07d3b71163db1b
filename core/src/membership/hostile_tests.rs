//! Attempts to break what the documents promise: odd orders of commands, pauses, and forged datagrams.

use core::time::Duration;

use super::test_support::{letter, table};
use super::*;
use crate::action::{Action, Notice};
use crate::command::{Admission, Command};
use crate::config::AdmissionPolicy;
use crate::event::Event;
use crate::id::{Incarnation, Rank};
use crate::lan::{Lan, addr, boot};
use crate::node::Node;
use crate::rng::Stream;
use crate::wire::{self, Ask, Join, JoinEcho, Kind, NameState, Record, Verdict};

/// The key at which the second process of an id is kept.
const OTHER: u64 = 101;

/// Adds a second process of an id, at another address, which has not started.
fn add_other(lan: &mut Lan, id: u64, at: SocketAddr) {
    let mut other = boot(id, 7);
    other.addr = at;
    other.seed = [77; 32];
    let node = Node::new(other, Config::lan("test"), lan.now).expect("a good configuration");
    lan.nodes.insert(OTHER, node);
}

/// The datagrams that a node sends on this event.
fn sent(lan: &mut Lan, id: u64, event: Event<'_>) -> Vec<(SocketAddr, usize)> {
    let now = lan.now;
    let actions = lan.nodes.get_mut(&id).expect("it runs").handle(event, now);
    let sends = actions.into_iter().filter_map(|action| match action {
        Action::Send { to, bytes } => Some((to, bytes.len())),
        Action::Answer(_) | Action::Notify(_) | Action::Store { .. } | Action::Reseed | Action::WakeAt(_) => {
            None
        }
    });
    sends.collect()
}

/// What a stranger at `from` is sent for one datagram with these messages, beside the length of that datagram.
fn stranger(
    lan: &mut Lan,
    sender: u64,
    from: SocketAddr,
    messages: &[Message<'_>],
) -> (usize, Vec<(SocketAddr, usize)>) {
    let bytes = letter(sender, Incarnation::first(1), 99, 1, messages);
    (bytes.len(), sent(lan, 1, Event::Datagram { from, bytes: &bytes }))
}

#[test]
fn a_process_that_lists_itself_does_not_take_its_own_word_for_the_others() {
    // Rule A2a: the seed is deaf for a moment, and the list of the process contains its own address.
    let own = addr(OTHER);
    let commands: [&[Command]; 4] = [
        &[Command::Join { seeds: vec![addr(1), own] }],
        &[Command::Join { seeds: vec![addr(1)] }, Command::Join { seeds: vec![addr(1), own] }],
        &[Command::Join { seeds: vec![addr(1)] }, Command::AddPeer(own)],
        &[Command::Join { seeds: vec![addr(1)] }, Command::SetPeers(vec![own])],
    ];
    for commands in commands {
        let mut lan = Lan::new(3);
        lan.run(3_000);
        add_other(&mut lan, 2, own);
        lan.deaf = vec![1];
        commands.iter().for_each(|command| lan.command(OTHER, command.clone()));
        lan.run(500);
        lan.deaf = vec![];
        lan.run(1_000);
        assert_eq!(lan.nodes[&OTHER].phase(), Phase::Waiting, "{commands:?}");
    }
}

#[test]
fn a_process_without_an_address_does_not_take_its_own_word_for_the_others() {
    // Rule A2a, with the address of the first example of the README: the own echo is the first to come.
    let mut lan = Lan::new(3);
    lan.run(3_000);
    add_other(&mut lan, 2, "0.0.0.0:7".parse().expect("an address"));
    lan.command(OTHER, Command::Join { seeds: vec![addr(1), addr(OTHER)] });
    let own = |wires: &Lan| wires.wires.values().find(|(_, to, _)| *to == addr(OTHER)).cloned();
    let (_, _, bytes) = own(&lan).expect("it asks itself");
    lan.event(OTHER, Event::Datagram { from: addr(OTHER), bytes: &bytes });
    lan.wires.retain(|_, (_, to, bytes)| {
        *to != addr(OTHER) || wire::describe(bytes).expect("ours").kinds().any(|kind| kind == Kind::JoinEcho)
    });
    let (_, _, bytes) = own(&lan).expect("it answers itself");
    lan.event(OTHER, Event::Datagram { from: addr(OTHER), bytes: &bytes });
    assert_eq!(lan.nodes[&OTHER].phase(), Phase::Waiting, "the other seed has not answered");
}

#[test]
fn who_has_not_joined_and_is_no_contact_any_more_has_no_say() {
    let mut lan = Lan::new(3);
    lan.run(3_000);
    add_other(&mut lan, 2, addr(OTHER));
    // Member 9 has not joined either, and is replaced by member 1 before that has answered.
    let waits = Node::new(boot(9, 1), Config::lan("test"), lan.now).expect("a good configuration");
    lan.nodes.insert(9, waits);
    lan.deaf = vec![1];
    lan.command(9, Command::Join { seeds: vec![addr(1)] });
    lan.command(OTHER, Command::Join { seeds: vec![] });
    // Without seeds it has taken its id: start again with seeds of the external source only.
    add_other(&mut lan, 2, addr(OTHER));
    lan.command(OTHER, Command::Join { seeds: vec![addr(8)] });
    lan.command(OTHER, Command::SetPeers(vec![addr(9)]));
    lan.run(100);
    lan.command(OTHER, Command::SetPeers(vec![]));
    lan.run(100);
    assert_eq!(lan.nodes[&OTHER].phase(), Phase::Waiting, "member 8 has not answered");
}

#[test]
fn a_pause_while_it_waits_does_not_make_an_id_free() {
    // Rules A2a and B7: the process stands still right after it has asked, and its answers wait in its inbox.
    let mut lan = Lan::new(3);
    lan.run(3_000);
    add_other(&mut lan, 2, addr(OTHER));
    lan.command(OTHER, Command::Join { seeds: vec![addr(1)] });
    lan.deaf = vec![OTHER];
    let node = lan.nodes.remove(&OTHER).expect("just added");
    lan.run(10_000);
    lan.deaf = vec![];
    lan.nodes.insert(OTHER, node);
    lan.event(OTHER, Event::Tick);
    assert_eq!(lan.nodes[&OTHER].phase(), Phase::Waiting, "nobody could answer while it stood still");
}

#[test]
fn a_pause_after_the_question_to_a_holder_that_is_down_does_not_make_an_id_free() {
    let mut lan = Lan::new(3);
    lan.run(3_000);
    // All hold member 2 Down, although it runs.
    lan.deaf = vec![2];
    lan.lost = vec![Kind::Ping, Kind::Ack];
    let two = lan.nodes.remove(&2).expect("it runs");
    lan.lost.clear();
    lan.run(60_000);
    lan.nodes.insert(2, two);
    add_other(&mut lan, 2, addr(OTHER));
    lan.command(OTHER, Command::Join { seeds: vec![addr(1)] });
    lan.run(2);
    assert!(lan.wires.values().any(|(from, to, _)| *from == addr(OTHER) && *to == addr(2)), "it asks");
    lan.run(160);
    assert_eq!(lan.nodes[&OTHER].phase(), Phase::Waiting);
    let node = lan.nodes.remove(&OTHER).expect("just added");
    lan.now = lan.now + Duration::from_secs(10);
    lan.nodes.insert(OTHER, node);
    lan.event(OTHER, Event::Tick);
    assert_eq!(lan.nodes[&OTHER].phase(), Phase::Waiting, "the answer may wait in its inbox");
}

#[test]
fn a_stranger_gets_one_answer_to_many_questions_in_one_datagram() {
    // Rule F6: at most one answer, which is not larger.
    let mut lan = Lan::new(2);
    lan.run(3_000);
    let victim = addr(200);
    let ask =
        |nonce| Message::from(Ask { id: NodeId(1), nonce, rank: Rank { seniority: 1, draws: 0, boot: 5 } });
    let asks: Vec<Message<'_>> = (1..=30).map(ask).collect();
    for (sender, epoch) in [(1, 0), (50, 1)] {
        let bytes = letter(sender, Incarnation { epoch, counter: 0 }, 99, 1, &asks);
        let (len, answers) =
            (bytes.len(), sent(&mut lan, 1, Event::Datagram { from: victim, bytes: &bytes }));
        let bytes: usize = answers.iter().map(|(_, len)| len).sum();
        assert!(
            answers.len() <= 1 && bytes <= len,
            "{} answers of {bytes} bytes for {len}, sender {sender}",
            answers.len()
        );
    }
}

#[test]
fn a_stranger_gets_one_answer_to_many_joins_in_one_datagram() {
    let mut lan = Lan::new(2);
    lan.run(3_000);
    let mut joiner = boot(50, 1);
    joiner.name.clear();
    joiner.addr = addr(200);
    let own = Own::new(joiner, 1, 99, &Config::lan("test"));
    let record = own.record();
    let join = Message::from(Join { cookie: 0, cluster: "test", record: Record::trusted(&record) });
    let (len, answers) = stranger(&mut lan, 50, addr(200), &[join; 14]);
    let bytes: usize = answers.iter().map(|(_, len)| len).sum();
    assert!(answers.len() <= 1 && bytes <= len, "{} answers of {bytes} bytes for {len}", answers.len());
}

#[test]
fn forged_echoes_do_not_make_a_node_flood_its_seed() {
    // Rule F6: the seed is the address of no live member, and each echo brings another cookie.
    let mut lan = Lan::new(2);
    lan.run(3_000);
    lan.command(1, Command::SetMeta(vec![1; 512]));
    lan.command(1, Command::AddPeer(addr(200)));
    let (mut received, mut bytes) = (0, 0);
    for cookie in 1..=100 {
        let echo = JoinEcho { cookie, seen: addr(1), name: NameState::Unknown };
        let (len, answers) = stranger(&mut lan, 50, addr(200), &[echo.into()]);
        received += len;
        bytes += answers.iter().map(|(_, len)| len).sum::<usize>();
    }
    assert!(bytes <= received, "{bytes} bytes for {received}");
}

#[test]
fn forged_join_answers_do_not_make_a_node_flood_its_seed() {
    let mut lan = Lan::new(3);
    lan.run(3_000);
    lan.command(1, Command::AddPeer(addr(200)));
    let (mut received, mut bytes) = (0, 0);
    for _ in 1..=100 {
        let answer = wire::JoinAnswer { seen: addr(1), shared: 0, members: 9 };
        let (len, answers) = stranger(&mut lan, 50, addr(200), &[answer.into()]);
        received += len;
        bytes += answers.iter().map(|(_, len)| len).sum::<usize>();
    }
    assert!(bytes <= received, "{bytes} bytes for {received}");
}

#[test]
fn a_node_that_moves_after_a_leave_nobody_heard_of_is_not_held_up_by_itself() {
    let mut config = Config::lan("test");
    config.membership.name_wait = Duration::ZERO;
    let mut lan = Lan::with(3, &config);
    lan.run(3_000);
    lan.deaf = vec![1, 3];
    lan.command(2, Command::Leave { within: Duration::ZERO });
    lan.run(100);
    lan.deaf = vec![];
    lan.command(2, Command::Join { seeds: vec![] });
    lan.command(2, Command::SetAddr(addr(20)));
    lan.run(30_000);
    let held = |(id, notice): &(u64, Notice<'static>)| {
        *id == 2 && matches!(notice, Notice::NameHeld { .. } | Notice::NameTaken { .. })
    };
    assert!(!lan.notices.iter().any(held), "no other process has its id");
    assert_eq!(lan.nodes[&2].phase(), Phase::Running);
}

#[test]
fn a_forged_header_under_the_own_id_is_answered_by_no_more_bytes() {
    // Rule F6: the node asks the others, and the address that the header came from once at most.
    for (pings, answers) in [(0, 0), (1, 0), (2, 1), (9, 1)] {
        let mut lan = Lan::new(2);
        lan.run(3_000);
        let ping = Ping { seq: 1, roots: [1; 3] };
        let bytes = letter(1, Incarnation::first(1 << 40), 99, 1, &vec![ping.into(); pings]);
        let victim = addr(200);
        let at_once = sent(&mut lan, 1, Event::Datagram { from: victim, bytes: &bytes });
        let to_victim: Vec<usize> =
            at_once.iter().filter(|(to, _)| *to == victim).map(|(_, len)| *len).collect();
        assert_eq!(to_victim.len(), answers, "{pings} pings");
        assert!(to_victim.iter().sum::<usize>() <= bytes.len());
        let mut later = 0;
        for _ in 0..1_500 {
            lan.run(1);
            later += lan.wires.values().filter(|(_, to, _)| *to == victim).count();
        }
        assert_eq!(later, 0, "nothing is asked again there");
    }
}

#[test]
fn a_header_under_the_own_id_is_answered_only_to_another_process_and_while_it_runs() {
    // The network may return an old datagram of this process, and a leaver has no say (rules A2b and B12).
    let answers = |is_own: bool, leaves: bool| {
        let mut lan = Lan::new(3);
        lan.run(3_000);
        let old = lan.nodes[&2].incarnation();
        lan.command(2, Command::SetMeta(vec![1]));
        if leaves {
            lan.deaf = vec![1, 3];
            lan.command(2, Command::Leave { within: Duration::from_secs(5) });
        }
        let boot = if is_own { lan.nodes[&2].boot() } else { 99 };
        let bytes = letter(2, old, boot, 2, &[Ping { seq: 1, roots: [1; 3] }.into(); 3]);
        let answers = sent(&mut lan, 2, Event::Datagram { from: addr(200), bytes: &bytes });
        answers.iter().filter(|(to, _)| *to == addr(200)).count()
    };
    assert_eq!([answers(false, false), answers(true, false), answers(false, true)], [1, 0, 0]);
}

#[test]
fn two_processes_of_one_id_that_know_only_each_other_end_as_one() {
    // Rule A2b without any member that could pass a question on.
    let mut lan = Lan::new(0);
    let first = Node::new(boot(2, 1), Config::lan("test"), lan.now).expect("a good configuration");
    lan.nodes.insert(2, first);
    add_other(&mut lan, 2, addr(OTHER));
    lan.deaf = vec![2, OTHER];
    lan.command(2, Command::Join { seeds: vec![addr(OTHER)] });
    lan.command(OTHER, Command::Join { seeds: vec![addr(2)] });
    lan.run(11_000);
    let running = |lan: &Lan| lan.nodes.values().filter(|node| node.phase() == Phase::Running).count();
    assert_eq!(running(&lan), 2);
    lan.deaf = vec![];
    lan.run(30_000);
    assert_eq!(running(&lan), 1);
}

#[test]
fn a_single_question_of_a_stale_sender_gets_one_answer() {
    let mut lan = Lan::new(2);
    lan.run(3_000);
    let ask = Ask { id: NodeId(1), nonce: 4, rank: Rank { seniority: 1, draws: 0, boot: 5 } };
    let bytes = letter(2, Incarnation { epoch: 0, counter: 1 }, 99, 1, &[ask.into()]);
    let answers = sent(&mut lan, 1, Event::Datagram { from: addr(200), bytes: &bytes });
    assert!(answers.len() == 1 && answers[0].1 <= bytes.len(), "{answers:?} for {}", bytes.len());
}

#[test]
fn what_a_stranger_says_of_others_is_not_used() {
    // Rule B10: neither about a member nor about an id that is not known.
    let mut lan = Lan::new(3);
    lan.run(3_000);
    let held = lan.nodes[&3].incarnation();
    let said = [
        (3, held, MemberState::Suspect),
        (3, held, MemberState::Down),
        (3, held.next(), MemberState::Alive),
        (60, Incarnation::first(1), MemberState::Down),
    ];
    for (id, incarnation, state) in said {
        let author = NodeId(2);
        let verdict = Verdict { id: NodeId(id), incarnation, state, removed: false, age: 0, author };
        stranger(&mut lan, 50, addr(200), &[verdict.into()]);
    }
    let table = table(&lan, 1);
    let three = table.get(NodeId(3)).expect("a member").claim();
    assert_eq!(three, Claim::new(held, MemberState::Alive));
    assert!(table.get(NodeId(60)).is_none());
}

#[test]
fn a_member_at_another_address_makes_no_further_address_known() {
    // Rule B10: whoever forges the source of a member's datagram could otherwise give it the records of victims.
    let knows = |from: SocketAddr| {
        let mut lan = Lan::new(3);
        lan.run(3_000);
        let own = Own::new(boot(60, 1), 1, 99, &Config::lan("test"));
        let record = own.record();
        let two = &lan.nodes[&2];
        let news = Alive(Record::trusted(&record)).into();
        let bytes = letter(2, two.incarnation(), two.boot(), 1, &[news]);
        lan.event(1, Event::Datagram { from, bytes: &bytes });
        table(&lan, 1).get(NodeId(60)).is_some()
    };
    assert!(knows(addr(2)), "it is where its record says");
    assert!(!knows(addr(200)));
}

#[test]
fn a_member_introduces_itself_to_another_one_once_in_an_interval() {
    // Rule B10: member 1 has asked nobody, and gets the echoes of member 2, each with another number.
    let mut lan = Lan::new(3);
    lan.run(3_000);
    let mut joins = |from: SocketAddr| {
        let before = lan.kinds.get(&Kind::Join).copied().unwrap_or(0);
        for cookie in 1..=20 {
            let echo = JoinEcho { cookie, seen: addr(1), name: NameState::Unknown };
            let two = &lan.nodes[&2];
            let bytes = letter(2, two.incarnation(), two.boot(), 1, &[echo.into()]);
            lan.event(1, Event::Datagram { from, bytes: &bytes });
        }
        let joins = lan.kinds.get(&Kind::Join).copied().unwrap_or(0) - before;
        lan.run(lan.nodes[&1].config().membership.probe_interval.as_millis().try_into().expect("short"));
        joins
    };
    assert_eq!([addr(2), addr(2), addr(200)].map(&mut joins), [1, 1, 0]);
}

/// A configuration at the edges of its ranges.
fn edges(rng: &mut Rng) -> Config {
    let mut config = Config::lan("test");
    let settings = &mut config.membership;
    settings.name_wait = [Duration::ZERO, Duration::MAX, Duration::from_secs(5)][rng.below(3)];
    settings.tombstones_max = [1, 2, 8_192][rng.below(3)];
    settings.members_max = [1, 2, 3, 20_000][rng.below(4)];
    settings.forget_after = [Duration::from_secs(60), Duration::from_secs(24 * 3_600)][rng.below(2)];
    settings.leave_acks = [1, 3][rng.below(2)];
    if rng.below(2) == 1 {
        settings.admission = AdmissionPolicy::Ask(Duration::from_secs(3));
    }
    config
}

fn byte(rng: &mut Rng) -> u8 {
    rng.next_u64().to_le_bytes()[0]
}

/// A random command, also one that is to be refused.
fn any_command(rng: &mut Rng) -> Command {
    let place = |rng: &mut Rng| match rng.below(12) {
        0 => "0.0.0.0:7".parse().expect("an address"),
        1 => addr(200),
        2 => addr(OTHER),
        other => addr(other as u64 % 5 + 1),
    };
    let id = |rng: &mut Rng| NodeId(rng.below(6) as u64);
    match rng.below(12) {
        0 | 1 => Command::Join { seeds: vec![place(rng), addr(1)] },
        2 => Command::Join { seeds: vec![] },
        3 => Command::Leave { within: [Duration::ZERO, Duration::from_secs(2), Duration::MAX][rng.below(3)] },
        4 => Command::SetAddr(place(rng)),
        5 => Command::SetMeta(vec![1; rng.below(600)]),
        6 => Command::AddPeer(place(rng)),
        7 => Command::SetPeers(vec![place(rng), place(rng)]),
        8 => Command::RemovePeer(id(rng)),
        9 => Command::Ping { id: id(rng), addr: place(rng) },
        10 => Command::Broadcast(crate::Broadcast::new("a", vec![7; rng.below(3_000)]).report(Duration::MAX)),
        _ => Command::Admit { id: id(rng), admission: [Admission::Accept, Admission::Veto][rng.below(2)] },
    }
}

#[test]
fn any_order_of_events_keeps_the_invariants() {
    let rounds = std::env::var("BRUIT_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(10);
    for round in 0..rounds {
        let mut seed = [3; 32];
        seed[..8].copy_from_slice(&u64::to_le_bytes(round));
        let mut rng = Rng::new(seed, Stream::Membership);
        let config = edges(&mut rng);
        let mut lan = Lan::with(0, &config);
        let mut saved: Vec<Node> = Vec::new();
        for _ in 0..300 {
            let key = [1, 2, 3, 4, OTHER][rng.below(5)];
            let id = if key == OTHER { 2 } else { key };
            match rng.below(14) {
                0 | 1 => {
                    let mut boot = boot(id, [0, 1, 5, (1 << 63) - (1 << 32) - 2][rng.below(4)]);
                    boot.addr = match rng.below(8) {
                        0 => "0.0.0.0:7".parse().expect("an address"),
                        1 => addr(rng.below(5) as u64 + 1),
                        _ => addr(key),
                    };
                    boot.seed = [byte(&mut rng); 32];
                    if lan.nodes.get(&key).is_none_or(|node| node.phase() == Phase::Ended)
                        || rng.below(4) == 0
                    {
                        lan.nodes.insert(key, Node::new(boot, config.clone(), lan.now).expect("valid"));
                        lan.event(key, Event::Command(Command::Join { seeds: vec![addr(1), addr(2)] }));
                    }
                }
                2..=4 => lan.event(key, Event::Command(any_command(&mut rng))),
                5 if rng.below(3) == 0 => lan.event(key, Event::Seed([byte(&mut rng); 32])),
                6 => saved.extend(lan.nodes.get(&key).cloned()),
                7 if !saved.is_empty() && rng.below(3) == 0 => {
                    let node = saved.swap_remove(rng.below(saved.len()));
                    lan.nodes.insert(key, node);
                    lan.event(key, Event::Seed([byte(&mut rng); 32]));
                }
                8 => lan.wires.retain(|_, _| rng.below(3) > 0),
                9 => {
                    // A datagram goes to a random node, with some bytes changed and its checksum right.
                    let Some((_, _, bytes)) =
                        lan.wires.values().nth(rng.below(lan.wires.len().max(1))).cloned()
                    else {
                        continue;
                    };
                    let mut bytes = bytes;
                    for _ in 0..rng.below(4) {
                        let at = 16 + rng.below(bytes.len() - 20);
                        bytes[at] = [byte(&mut rng), 0, 255][rng.below(3)];
                    }
                    let end = bytes.len() - 4;
                    let crc = crc32c::crc32c(&bytes[..end]).to_le_bytes();
                    bytes[end..].copy_from_slice(&crc);
                    lan.event(key, Event::Datagram { from: addr(rng.below(6) as u64), bytes: &bytes });
                }
                10 => lan.now = lan.now + Duration::from_millis([1, 300, 5_000, 70_000][rng.below(4)]),
                11 => lan.event(key, Event::Tick),
                _ => lan.run([1, 10, 1_000, 20_000][rng.below(4)]),
            }
        }
    }
}
