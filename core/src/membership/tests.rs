//! Membership in a group of a few nodes on a network without loss: without faults, and with single faults. Loss,
//! partitions and load are tested in the simulator.

use core::time::Duration;

use super::*;
use crate::action::{MemberChange, Notice};
use crate::command::{Admission, Command};
use crate::config::AdmissionPolicy;
use crate::event::Event;
use crate::id::Incarnation;
use crate::lan::{Lan, addr, boot};
use crate::node::Node;
use crate::wire::{self, Header, Kind, Want};

#[test]
fn nodes_that_join_through_one_seed_know_each_other_within_a_second() {
    let mut lan = Lan::new(20);
    lan.run(1_000);
    let all: Vec<_> = (1..=20).map(|id| (id, MemberState::Alive)).collect();
    for id in 1..=20 {
        assert_eq!(lan.states(id), all, "at {id}");
    }
    assert!(lan.agree());
    assert_eq!(lan.changes(3, 17), [MemberChange::Up]);
}

#[test]
fn a_settled_group_suspects_nobody_and_sends_a_ping_and_an_ack_a_period_for_each_member() {
    let mut lan = Lan::new(8);
    lan.run(30_000);
    let count = |lan: &Lan, kind| lan.kinds.get(&kind).copied().unwrap_or(0);
    let (before, asks) = (lan.sent, count(&lan, Kind::Ask));
    lan.run(90_000);
    let asks = count(&lan, Kind::Ask) - asks;
    assert!(asks <= 8 * 20, "{asks}: each asks for itself each 10 s, through another member");
    let periods = 90_000 / 850 + 1;
    assert_eq!((lan.sent - before - asks).div_ceil(periods * 8), 2, "a ping, and an ack, each 850 ms");
    assert!(lan.nodes.values().all(|node| node.stats().suspicions == 0));
}

#[test]
fn a_crash_is_noticed_by_all_and_explained() {
    let mut lan = Lan::new(5);
    lan.run(2_000);
    lan.nodes.remove(&3);
    lan.run(15_000);
    for id in [1, 2, 4, 5] {
        assert_eq!(
            lan.changes(id, 3),
            [MemberChange::Up, MemberChange::Suspected, MemberChange::Down],
            "at {id}"
        );
        let why = lan.nodes[&id].why_down(NodeId(3)).expect("it is explained");
        assert!(why.suspected.is_some() && !why.suspected_by.is_empty());
    }
}

#[test]
fn a_member_is_found_by_id_and_by_name_and_the_live_ones_are_told_apart() {
    let (config, mut lan) = (Config::lan("test"), Lan::new(2));
    for id in [3, 4] {
        let named = Boot { name: "db".into(), ..boot(id, 1_000_000) };
        lan.start(named, &config);
        lan.run(2_000);
    }
    let found = |lan: &Lan| lan.nodes[&1].member_by_name("db").map(|member| (member.id.0, member.state));
    assert_eq!(found(&lan), Some((3, MemberState::Alive)), "the smaller id of two");
    lan.nodes.remove(&3);
    lan.run(20_000);
    assert_eq!(found(&lan), Some((4, MemberState::Alive)), "the live one of two");
    lan.nodes.remove(&4);
    lan.run(20_000);
    assert_eq!(found(&lan), Some((3, MemberState::Down)));
    let node = &lan.nodes[&1];
    assert_eq!(node.member_by_name("nobody"), None);
    assert_eq!(node.me(), node.member(NodeId(1)));
    let live: Vec<u64> = node.live_members().map(|member| member.id.0).collect();
    assert_eq!((live, node.members().count(), node.member_count()), (vec![1, 2], 4, 2));
}

#[test]
fn a_leave_is_no_failure() {
    let mut lan = Lan::new(5);
    lan.run(2_000);
    lan.command(3, Command::Leave { within: Duration::from_secs(2) });
    lan.run(2_000);
    assert!(lan.notices.contains(&(3, Notice::Departed { acknowledged: true, alone: false })));
    for id in [1, 2, 4, 5] {
        assert_eq!(lan.changes(id, 3), [MemberChange::Up, MemberChange::Left], "at {id}");
    }
    lan.command(3, Command::Join { seeds: vec![] });
    lan.run(2_000);
    assert_eq!(lan.changes(1, 3), [MemberChange::Up, MemberChange::Left, MemberChange::Up]);
    assert!(lan.agree());
}

#[test]
fn a_node_is_told_of_itself_what_the_others_are_told_of_it() {
    let mut lan = Lan::new(3);
    lan.run(2_000);
    lan.command(3, Command::SetMeta(vec![1]));
    lan.run(2_000);
    lan.command(3, Command::SetMeta(vec![1]));
    lan.command(3, Command::SetAddr(addr(33)));
    lan.command(3, Command::SetAddr(addr(3)));
    lan.command(3, Command::Leave { within: Duration::from_secs(2) });
    lan.run(2_000);
    lan.command(3, Command::Join { seeds: vec![] });
    lan.run(2_000);
    use MemberChange::{Left, Up, Updated};
    assert_eq!(lan.changes(3, 3), [Up, Updated, Updated, Updated, Left, Up]);
    let own = |(id, notice): &(u64, Notice<'static>)| {
        let Notice::Member { member, .. } = notice else { return None };
        let is_own = *id == 3 && member.id.0 == 3;
        is_own.then(|| (member.state, member.meta.to_vec(), member.addr))
    };
    let told: Vec<_> = lan.notices.iter().filter_map(own).collect();
    let at = |state, meta: &[u8], key| (state, meta.to_vec(), addr(key));
    let alive = MemberState::Alive;
    assert_eq!(
        told,
        [
            at(alive, &[], 3),
            at(alive, &[1], 3),
            at(alive, &[1], 33),
            at(alive, &[1], 3),
            at(MemberState::Left, &[1], 3),
            at(alive, &[1], 3),
        ]
    );
    lan.command(1, Command::RemovePeer(NodeId(3)));
    lan.run(2_000);
    assert_eq!(lan.changes(3, 3).last(), Some(&Left));
    assert_eq!(lan.nodes[&3].me().map(|me| me.state), Some(MemberState::Left));
}

/// The failures to join that a node has reported, with their times in seconds.
fn failures(lan: &mut Lan, id: u64, secs: u64) -> Vec<(u64, Notice<'static>)> {
    let mut failures = Vec::new();
    for _ in 0..secs {
        lan.run(1_000);
        let of = |(by, notice): &(u64, Notice<'static>)| {
            let is_failure = matches!(notice, Notice::SeedSilent { .. } | Notice::SeedOfOtherCluster { .. });
            (*by == id && is_failure).then(|| notice.clone())
        };
        failures
            .extend(lan.notices.iter().filter_map(of).map(|notice| (lan.now.as_millis() / 1_000, notice)));
        lan.notices.clear();
    }
    failures
}

#[test]
fn an_address_that_does_not_answer_is_reported_ever_more_rarely_until_the_first_contact() {
    let mut lan = Lan::new(0);
    lan.start(boot(2, 1), &Config::lan("test"));
    let told = failures(&mut lan, 2, 100);
    let tries = told.iter().map(|(at, notice)| {
        let Notice::SeedSilent { addr: silent, tries } = notice else { panic!("{notice:?}") };
        assert_eq!(*silent, addr(1));
        (*at, u64::from(*tries) > 2 * at - 2)
    });
    assert_eq!(tries.collect::<Vec<_>>(), [(5, true), (15, true), (35, true), (75, true)]);
    lan.start(boot(1, 1), &Config::lan("test"));
    assert_eq!(failures(&mut lan, 2, 900), []);
    assert!(lan.nodes[&2].is_joined());
}

#[test]
fn a_seed_of_another_cluster_is_reported_at_once_and_an_answer_is_never_answered() {
    let mut lan = Lan::new(2);
    lan.run(2_000);
    lan.start(boot(3, 1), &Config::lan("other"));
    let told = failures(&mut lan, 3, 40);
    let of_other = Notice::SeedOfOtherCluster { addr: addr(1) };
    assert_eq!(told, [3, 7, 17, 37].map(|at| (at, of_other.clone())));
    lan.run(100);
    let stats = |id| lan.nodes[&id].stats();
    assert_eq!(stats(1).dropped_other_cluster, stats(3).dropped_other_cluster, "one answer to each Join");
    assert_eq!(
        (stats(3).datagrams_sent, stats(2).dropped_other_cluster),
        (stats(1).dropped_other_cluster, 0)
    );
}

#[test]
fn an_answer_of_another_cluster_that_was_not_asked_for_is_not_reported() {
    let mut lan = Lan::new(0);
    lan.start(boot(3, 1), &Config::lan("test"));
    lan.run(1_000);
    let header = |receiver| Header {
        cluster: wire::cluster_tag("other"),
        sender: NodeId(1),
        incarnation: Incarnation::first(1),
        boot: 1,
        receiver: NodeId(receiver),
        sequence: 1,
    };
    for (from, receiver) in [(7, 3), (1, 4), (1, 0)] {
        lan.event(3, Event::Datagram { from: addr(from), bytes: &wire::compose(&header(receiver), &[]) });
    }
    assert_eq!(
        lan.notices.iter().filter(|(_, notice)| matches!(notice, Notice::SeedOfOtherCluster { .. })).count(),
        0
    );
    for _ in 0..2 {
        lan.event(3, Event::Datagram { from: addr(1), bytes: &wire::compose(&header(3), &[]) });
    }
    assert_eq!(lan.notices.last(), Some(&(3, Notice::SeedOfOtherCluster { addr: addr(1) })));
}

#[test]
fn a_leave_says_whether_there_was_anybody_to_tell() {
    let mut lan = Lan::new(2);
    lan.run(2_000);
    for (id, alone) in [(2, false), (1, true)] {
        lan.command(id, Command::Leave { within: Duration::from_secs(2) });
        lan.run(2_000);
        assert!(lan.notices.contains(&(id, Notice::Departed { acknowledged: true, alone })), "{id}");
    }
}

#[test]
fn a_node_is_no_member_before_it_has_its_id() {
    let node = Node::new(boot(1, 1), Config::lan("test"), Time::ZERO).expect("valid");
    assert_eq!((node.me(), node.members().count(), node.member_count()), (None, 0, 0));
}

#[test]
fn a_restart_that_nobody_has_missed_is_told_and_one_after_a_down_comes_with_its_return() {
    use MemberChange::{Down, Restarted, Suspected, Up};
    let mut lan = Lan::new(3);
    lan.run(2_000);
    let boots = |lan: &Lan| lan.nodes[&1].member(NodeId(3)).map(|member| member.boot);
    let first = boots(&lan);
    lan.start(boot(3, 2_000_000), &Config::lan("test"));
    lan.run(2_000);
    assert_eq!(lan.changes(1, 3), [Up, Restarted]);
    assert_ne!(boots(&lan), first);
    lan.nodes.remove(&3);
    lan.run(20_000);
    assert_eq!(lan.changes(1, 3), [Up, Restarted, Suspected, Down]);
    lan.start(boot(3, 3_000_000), &Config::lan("test"));
    lan.run(2_000);
    assert_eq!(lan.changes(1, 3)[4..], [Up, Restarted], "its return was heard of before its record");
}

#[test]
fn a_restarted_node_is_back_at_once_also_with_its_clock_set_back() {
    for epoch in [2, 1, 0] {
        let mut lan = Lan::new(4);
        lan.run(2_000);
        let mut again = boot(3, 1);
        again.epoch = epoch;
        again.seed = [9; 32];
        lan.start(again, &Config::lan("test"));
        lan.run(3_000);
        assert!(lan.agree(), "epoch {epoch}");
        let member = lan.nodes[&1].member(NodeId(3)).expect("it is known");
        assert_eq!((member.state, member.boot), (MemberState::Alive, lan.nodes[&3].boot()), "epoch {epoch}");
        assert!(member.incarnation.epoch >= epoch.max(1));
    }
}

#[test]
fn metadata_and_addresses_reach_everybody() {
    let mut lan = Lan::new(6);
    lan.run(2_000);
    lan.command(2, Command::SetMeta(b"blue".to_vec()));
    lan.run(1_000);
    for node in lan.nodes.values() {
        assert_eq!(&*node.member(NodeId(2)).expect("known").meta, b"blue");
    }
    assert_eq!(lan.changes(5, 2), [MemberChange::Up, MemberChange::Updated]);
    lan.command(2, Command::SetAddr("10.9.9.9:1".parse().expect("an address")));
    lan.run(5_000);
    assert!(
        lan.nodes.values().all(|node| node.member(NodeId(2)).is_some_and(|member| member.addr.port() == 1))
    );
    assert!(lan.agree());
}

#[test]
fn a_removed_member_stops_and_says_so() {
    let mut lan = Lan::new(4);
    lan.run(2_000);
    lan.command(1, Command::RemovePeer(NodeId(2)));
    lan.run(2_000);
    assert!(lan.notices.contains(&(2, Notice::Removed)));
    assert_eq!(lan.nodes[&2].phase(), Phase::Ended);
    assert_eq!(lan.changes(4, 2), [MemberChange::Up, MemberChange::Left]);
}

#[test]
fn a_ping_is_measured_or_fails_after_three_tries() {
    let mut lan = Lan::new(2);
    lan.run(2_000);
    lan.command(1, Command::Ping { id: NodeId(2), addr: addr(2) });
    lan.command(1, Command::Ping { id: NodeId(9), addr: addr(2) });
    lan.run(2_000);
    let is_answer = |notice: &&Notice<'_>| matches!(notice, Notice::Pong { .. } | Notice::PingFailed { .. });
    let answers: Vec<_> = lan.notices.iter().map(|(_, notice)| notice).filter(is_answer).collect();
    let round_trip = Duration::from_millis(2);
    assert_eq!(*answers[0], Notice::Pong { ping: crate::PingId(1), id: NodeId(2), round_trip });
    assert_eq!(*answers[1], Notice::PingFailed { ping: crate::PingId(2), id: NodeId(9) });
}

#[test]
fn the_application_is_asked_and_may_veto() {
    let mut config = Config::lan("test");
    config.membership.admission = AdmissionPolicy::Ask(Duration::from_secs(60));
    let mut lan = Lan::with(3, &config);
    lan.run(3_000);
    assert_eq!(lan.states(1).len(), 1, "nobody is shown yet");
    lan.command(1, Command::Admit { id: NodeId(2), admission: Admission::Accept });
    lan.command(1, Command::Admit { id: NodeId(3), admission: Admission::Veto });
    assert_eq!(lan.changes(1, 2), [MemberChange::Up]);
    lan.run(70_000);
    assert_eq!(lan.states(1), [(1, MemberState::Alive), (2, MemberState::Alive)], "a veto stays");
    assert_eq!(lan.states(2).len(), 3, "an unanswered question counts as yes");
    assert!(lan.agree(), "the table below is not touched");
}

#[test]
fn a_member_of_another_protocol_range_is_held_unseen_and_forgotten_in_the_end() {
    let mut lan = Lan::new(3);
    let mut config = Config::lan("test");
    config.membership.protocol = (2, 2);
    lan.start(boot(4, 1), &config);
    lan.run(3_000);
    assert_eq!(lan.states(2).len(), 3, "it is not shown");
    assert!(lan.agree(), "the table below holds it");
    lan.nodes.remove(&4);
    lan.run(23 * 3_600_000);
    assert!(lan.nodes[&2].stats().suspicions == 0 && lan.changes(2, 4).is_empty(), "nor judged");
    let held = lan.nodes[&2].roots();
    lan.run(2 * 3_600_000);
    assert_ne!(lan.nodes[&2].roots(), held, "gone");
    assert!(lan.agree());
}

#[test]
fn a_member_gets_its_share_of_records_and_no_more() {
    let mut lan = Lan::new(2);
    lan.run(2_000);
    lan.command(1, Command::SetMeta(vec![7; 512]));
    lan.run(2_000);
    let ids = [1_u64.to_le_bytes(); 100].concat();
    let mut body = Vec::new();
    Message::from(Want::of(MEMBERS, u32::MAX, &ids)).encode(&mut body);
    let two = &lan.nodes[&2];
    let header = Header {
        cluster: wire::cluster_tag("test"),
        sender: two.id(),
        incarnation: two.incarnation(),
        boot: two.boot(),
        receiver: NodeId(1),
        sequence: 1 << 40,
    };
    let request = wire::compose(&header, &body);
    let before = lan.nodes[&1].stats().bytes_sent;
    (0..50).for_each(|_| lan.event(1, Event::Datagram { from: addr(2), bytes: &request }));
    let sent = lan.nodes[&1].stats().bytes_sent - before;
    assert!((60_000..80_000).contains(&sent), "{sent} bytes for fifty requests at once");
}

#[test]
fn other_settings_are_noticed_by_name() {
    let mut lan = Lan::new(1);
    let mut config = Config::lan("test");
    config.membership.forget_after = Duration::from_secs(3_600);
    lan.start(boot(2, 1), &config);
    lan.run(2_000);
    let mismatch = Notice::ConfigMismatch { id: NodeId(2), field: "forget_after" };
    assert!(lan.notices.contains(&(1, mismatch)));
}

#[test]
fn a_checkpoint_resumes_where_it_was_taken() {
    let mut lan = Lan::new(5);
    lan.run(1_537);
    let bytes = postcard::to_allocvec(&lan.nodes[&2]).expect("plain data");
    let resumed: Node = postcard::from_bytes(&bytes).expect("just written");
    let mut twin = Lan::new(5);
    twin.run(1_537);
    twin.nodes.insert(2, resumed);
    lan.run(20_000);
    twin.run(20_000);
    assert_eq!(lan.sent, twin.sent);
    assert_eq!(lan.notices, twin.notices);
}
