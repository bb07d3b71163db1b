//! Broadcast among a few nodes on a network without loss, and with single faults.

use core::time::Duration;
use std::format;
use std::string::String;
use std::vec::Vec;

use crate::action::{Notice, Reached};
use crate::command::{Broadcast, Command};
use crate::config::{BroadcastConfig, Config, FirstPhase, History, Order, PersistSeen, Repair};
use crate::error::{Field, Rejected};
use crate::event::Event;
use crate::id::NodeId;
use crate::id::Slot;
use crate::lan::{Lan, boot};
use crate::node::Node;
use crate::wire::Kind;

fn presets() -> [BroadcastConfig; 4] {
    [
        BroadcastConfig::bimodal(),
        BroadcastConfig::push_ack(),
        BroadcastConfig::pull(),
        BroadcastConfig::tree(),
    ]
}

fn config(broadcast: BroadcastConfig) -> Config {
    Config { broadcast, ..Config::lan("test") }
}

/// Makes `members` nodes that know each other.
fn lan(members: u64, broadcast: BroadcastConfig) -> Lan {
    let mut lan = Lan::with(members, &config(broadcast));
    lan.run(2_000);
    lan
}

impl Lan {
    fn say(&mut self, id: u64, text: &str) {
        self.command(id, Command::Broadcast(Broadcast::new("t", text)));
    }

    /// The notices that one node gave its application, in order: deliveries as their texts, a loss as `lost 3-5`.
    fn heard(&self, id: u64) -> Vec<String> {
        let heard = |(at, notice): &(u64, Notice<'static>)| {
            if *at != id {
                None
            } else if let Notice::Delivered { payload, .. } = notice {
                Some(String::from_utf8_lossy(payload).into_owned())
            } else if let Notice::Lost { first, last, .. } = notice {
                Some(format!("lost {first}-{last}"))
            } else {
                None
            }
        };
        self.notices.iter().filter_map(heard).collect()
    }

    fn reached(&self, id: u64) -> Vec<Reached> {
        let reached = |(at, notice): &(u64, Notice<'static>)| {
            let Notice::Report { reached, .. } = notice else { return None };
            (*at == id).then(|| reached.clone())
        };
        self.notices.iter().filter_map(reached).collect()
    }

    fn sent_of(&self, kind: Kind) -> u64 {
        self.kinds.get(&kind).copied().unwrap_or(0)
    }
}

#[test]
fn every_preset_delivers_once_to_all_and_at_the_origin() {
    for (preset, broadcast) in presets().into_iter().enumerate() {
        let mut lan = lan(10, broadcast);
        lan.say(3, "a");
        assert_eq!(lan.heard(3), ["a"], "in the call");
        lan.say(7, "b");
        lan.run(5_000);
        for id in 1..=10 {
            let mut heard = lan.heard(id);
            heard.sort();
            assert_eq!(heard, ["a", "b"], "preset {preset} at {id}");
        }
        assert!(lan.agree(), "the marks are equal");
    }
}

#[test]
fn a_tree_settles_on_one_copy_for_each_member() {
    let mut lan = lan(20, BroadcastConfig::tree());
    for round in 0..10 {
        lan.say(1 + round % 3, "warm");
        lan.run(1_000);
    }
    let copies = |lan: &Lan| lan.nodes.values().map(|node| node.stats().broadcasts_received).sum::<u64>();
    let before = copies(&lan);
    lan.say(5, "one");
    lan.run(3_000);
    assert_eq!(copies(&lan) - before, 19);
}

#[test]
fn a_multicast_is_one_datagram_to_each_and_none_beyond() {
    let broadcast = BroadcastConfig { repair: Repair::None, ..BroadcastConfig::bimodal() };
    let mut lan = lan(9, broadcast);
    lan.say(1, "a");
    lan.run(1_000);
    assert_eq!(lan.sent_of(Kind::Publish), 8);
}

#[test]
fn the_first_phase_may_be_another_for_one_message() {
    let mut lan = lan(9, BroadcastConfig::tree());
    let first = Some(FirstPhase::Multicast { group: None });
    lan.command(1, Command::Broadcast(Broadcast { first, ..Broadcast::new("t", "a") }));
    lan.run(100);
    assert_eq!(lan.sent_of(Kind::Publish), 8);
    assert!((1..=9).all(|id| lan.heard(id) == ["a"]));
}

#[test]
fn long_payloads_go_in_pieces_and_only_what_is_missing_is_asked_for_again() {
    let mut lan = lan(2, BroadcastConfig::tree());
    lan.kinds.clear();
    let text = "0123456789abcdef".repeat(4 << 10);
    assert_eq!(text.len(), 64 << 10);
    lan.run(3_000);
    let grafts = lan.sent_of(Kind::Request);
    lan.say(1, &text);
    let wires: Vec<_> = lan.wires.keys().copied().collect();
    let lost = wires[wires.len() / 2];
    lan.wires.remove(&lost);
    lan.run(3_000);
    assert_eq!(lan.heard(2), [text]);
    assert_eq!(lan.sent_of(Kind::Part), 65 + 1);
    assert_eq!((lan.sent_of(Kind::RequestParts), lan.sent_of(Kind::Request) - grafts), (1, 0));
}

#[test]
fn in_order_mode_a_message_waits_for_those_before_it() {
    let broadcast = BroadcastConfig { order: Order::Origin, ..BroadcastConfig::bimodal() };
    let mut lan = lan(3, broadcast);
    lan.say(1, "a");
    lan.run(500);
    lan.lost.push(Kind::Publish);
    lan.say(1, "b");
    lan.lost.clear();
    lan.say(1, "c");
    lan.run(20);
    assert_eq!(lan.heard(2), ["a"], "c waits for b");
    lan.run(2_000);
    assert_eq!(lan.heard(2), ["a", "b", "c"]);
}

#[test]
fn the_last_message_of_a_silent_origin_is_found_by_the_marks() {
    let broadcast = BroadcastConfig { repair: Repair::None, ..BroadcastConfig::bimodal() };
    let mut lan = lan(4, broadcast);
    lan.lost.push(Kind::Publish);
    lan.say(1, "last");
    lan.lost.clear();
    lan.run(1_000);
    assert!(lan.heard(2).is_empty());
    lan.run(9_000);
    assert!((1..=4).all(|id| lan.heard(id) == ["last"]));
}

#[test]
fn what_nobody_holds_any_more_is_told_as_lost_and_never_delivered() {
    let broadcast = BroadcastConfig {
        repair: Repair::None,
        lost_after: Duration::from_secs(5),
        order: Order::Origin,
        ..BroadcastConfig::bimodal()
    };
    let mut lan = lan(3, broadcast);
    lan.say(1, "a");
    lan.run(500);
    // There are so many messages that the origin itself cannot keep all, and nobody else hears of any.
    lan.lost.extend([Kind::Publish, Kind::Part]);
    for _ in 0..100 {
        lan.say(1, &"big".repeat(21_000));
        lan.run(100);
    }
    lan.lost.clear();
    lan.say(1, "z");
    lan.run(40_000);
    let heard: Vec<String> = lan.heard(2).into_iter().map(|text| text.chars().take(9).collect()).collect();
    assert_eq!(heard[..1], ["a"]);
    assert!(heard[1].starts_with("lost 2-"), "{heard:?}");
    assert_eq!(heard.last().map(String::as_str), Some("z"));
    let lost = usize::try_from(lan.nodes[&2].stats().broadcasts_lost).expect("few");
    assert!(lost > 30, "{lost}");
    let told = heard.iter().filter(|text| text.starts_with("lost")).count();
    assert_eq!(lost + heard.len() - told, 102, "each is delivered or told");
}

#[test]
fn a_late_joiner_hears_what_is_cached_or_nothing_of_the_past() {
    for (history, expected) in [(History::Cached, vec!["a", "b"]), (History::None, vec![])] {
        let mut lan = lan(3, BroadcastConfig { history, ..BroadcastConfig::tree() });
        lan.say(1, "a");
        lan.say(1, "b");
        lan.run(5_000);
        lan.start(boot(4, 1), &config(BroadcastConfig { history, ..BroadcastConfig::tree() }));
        lan.run(8_000);
        let mut heard = lan.heard(4);
        heard.sort();
        assert_eq!(heard, expected, "{history:?}");
        lan.say(1, "c");
        lan.run(2_000);
        assert_eq!(lan.heard(4).last().map(String::as_str), Some("c"));
        assert!(lan.heard(4).iter().all(|text| !text.starts_with("lost")), "the past is not lost");
    }
}

#[test]
fn a_seen_set_that_was_kept_ends_repetitions_across_a_restart() {
    let broadcast = BroadcastConfig { persist_seen: PersistSeen::BeforeDelivery, ..BroadcastConfig::tree() };
    let mut lan = lan(3, broadcast.clone());
    let confirm = |lan: &mut Lan| {
        for (id, slot, serial, _) in core::mem::take(&mut lan.stored) {
            lan.event(id, Event::Stored { slot, serial });
        }
    };
    lan.say(1, "a");
    lan.run(1_000);
    assert!((1..=3).all(|id| lan.heard(id).is_empty()), "nothing before it is durable");
    let kept = lan.stored.iter().rfind(|(id, slot, ..)| *id == 2 && *slot == Slot::SeenSet);
    let kept = kept.expect("node 2 has asked for it").3.clone();
    confirm(&mut lan);
    assert!((1..=3).all(|id| lan.heard(id) == ["a"]));
    lan.nodes.remove(&2);
    let mut again = boot(2, 2);
    again.restored.push((Slot::SeenSet, kept));
    lan.start(again, &config(broadcast));
    for _ in 0..20 {
        lan.run(500);
        confirm(&mut lan);
    }
    lan.say(1, "b");
    for _ in 0..4 {
        lan.run(500);
        confirm(&mut lan);
    }
    assert_eq!(lan.heard(2), ["a", "b"], "a before the restart, b after it");
}

#[test]
fn a_report_says_majority_then_all_or_who_is_missing() {
    let mut lan = lan(5, BroadcastConfig::tree());
    let report = |text: &str| Command::Broadcast(Broadcast::new("t", text).report(Duration::from_secs(3)));
    lan.command(1, report("a"));
    lan.run(1_000);
    assert_eq!(lan.reached(1), [Reached::Majority, Reached::All { without: vec![] }]);
    lan.notices.clear();
    lan.deaf.push(4);
    lan.command(1, report("b"));
    lan.run(2_000);
    assert_eq!(lan.reached(1), [Reached::Majority]);
    lan.run(2_000);
    assert_eq!(lan.reached(1)[1..], [Reached::TimedOut { missing: vec![NodeId(4)] }]);
}

#[test]
fn a_lost_receipt_is_asked_for() {
    let mut lan = lan(3, BroadcastConfig::tree());
    lan.lost.push(Kind::Receipt);
    lan.command(1, Command::Broadcast(Broadcast::new("t", "a").report(Duration::from_secs(9))));
    lan.run(300);
    lan.lost.clear();
    lan.run(4_000);
    assert_eq!(lan.reached(1), [Reached::Majority, Reached::All { without: vec![] }]);
}

#[test]
fn too_few_acknowledgements_of_a_push_tell_more_members() {
    let mut lan = lan(10, BroadcastConfig { repair: Repair::None, ..BroadcastConfig::push_ack() });
    lan.lost.push(Kind::PushAck);
    lan.say(1, "a");
    lan.run(299);
    assert_eq!(lan.sent_of(Kind::IHave), 0);
    lan.run(1_000);
    assert!(lan.sent_of(Kind::IHave) > 0);
    assert!((1..=10).all(|id| lan.heard(id) == ["a"]));
    let pushed = lan
        .notices
        .iter()
        .any(|(id, notice)| *id == 1 && matches!(notice, Notice::Pushed { acked: 0, contacted: 3, .. }));
    assert!(pushed, "the origin is told");
}

#[test]
fn a_message_from_a_member_unknown_here_waits_for_its_record() {
    let mut lan = lan(3, BroadcastConfig::bimodal());
    lan.deaf.push(2);
    lan.start(boot(4, 1), &config(BroadcastConfig::bimodal()));
    lan.run(150);
    lan.deaf.clear();
    assert!(lan.nodes[&2].member(NodeId(4)).is_none());
    assert!(lan.nodes[&4].member(NodeId(2)).is_some());
    lan.say(4, "hello");
    lan.run(1_500);
    assert_eq!(lan.heard(2), ["hello"]);
}

#[test]
fn commands_are_refused_with_their_limits() {
    let mut lan = Lan::with(1, &Config::lan("test"));
    let refused = |lan: &mut Lan, broadcast| lan.refused(1, Command::Broadcast(broadcast));
    let long = refused(&mut lan, Broadcast::new("t".repeat(65), ""));
    assert_eq!(long, Rejected::Oversized { what: Field::Topic, len: 65, max: 64 });
    let big = refused(&mut lan, Broadcast::new("", vec![0; 65_537]));
    assert_eq!(big, Rejected::Oversized { what: Field::Payload, len: 65_537, max: 65_536 });
    assert_eq!(refused(&mut lan, Broadcast::new("bruit.x", "")), Rejected::ReservedTopic);
    lan.start(boot(2, 1), &Config::lan("test"));
    assert_eq!(lan.refused(2, Command::Broadcast(Broadcast::new("t", ""))), Rejected::NotJoined);
    lan.say(1, "alone is a cluster of one");
}

#[test]
fn a_flood_is_answered_busy_and_what_was_taken_arrives() {
    let mut lan = lan(3, BroadcastConfig { batch: Duration::from_millis(50), ..BroadcastConfig::bimodal() });
    let mut taken = 0;
    let busy = loop {
        lan.event(1, Event::Command(Command::Broadcast(Broadcast::new("t", vec![b'x'; 1_000]))));
        match lan.answers.pop().expect("answered").1 {
            Ok(_) => taken += 1,
            Err(refused) => break refused,
        }
    };
    let pending = lan.nodes[&1].pending();
    assert_eq!((pending.messages, pending.bytes), (taken, taken * 1_007));
    assert_eq!(busy, Rejected::Busy { pending: pending.bytes + 1_007, max: 1 << 20 });
    lan.run(3_000);
    assert_eq!(lan.nodes[&1].pending().messages, 0);
    assert!((1..=3).all(|id| lan.heard(id).len() == taken));
}

#[test]
fn recent_messages_of_a_topic_come_newest_first() {
    let mut lan = lan(2, BroadcastConfig::tree());
    lan.say(1, "a");
    lan.command(1, Command::Broadcast(Broadcast::new("other", "x")));
    lan.run(100);
    lan.say(2, "b");
    lan.run(100);
    let recent = |node: &Node| {
        let texts = node.recent("t").map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned());
        texts.collect::<Vec<_>>()
    };
    assert!(lan.nodes.values().all(|node| recent(node) == ["b", "a"]));
}

#[test]
fn queued_messages_are_sent_before_a_leave() {
    let mut lan = lan(3, BroadcastConfig { batch: Duration::from_millis(500), ..BroadcastConfig::bimodal() });
    lan.say(1, "bye");
    lan.command(1, Command::Leave { within: Duration::from_secs(1) });
    lan.run(300);
    assert_eq!((lan.heard(2), lan.heard(3)), (vec!["bye".into()], vec!["bye".into()]));
}
