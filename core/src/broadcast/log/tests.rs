//! Properties of the log, which needs neither members nor a network.

use alloc::string::String;
use alloc::vec::Vec;

use super::cache::Cached;
use super::seen::{Offer, Refusal};
use super::*;
use crate::config::{Config, PersistSeen};
use crate::context::Signals;
use crate::link::{Link, Outbox};
use crate::stats::Stats;
use crate::wire::encode_item;

const ME: NodeId = NodeId(1);
const OTHER: NodeId = NodeId(2);
const TELLER: NodeId = NodeId(3);

/// A log with the settings and the time with which it is called.
struct Harness {
    log: Log,
    config: Config,
    now: Time,
}

impl Harness {
    fn new(order: Order) -> Self {
        let mut config = Config::lan("test");
        config.broadcast.order = order;
        config.broadcast.lost_peers = 2;
        Self { log: Log::new(ME, 7), config, now: Time::from_secs(1) }
    }

    fn with<R>(&mut self, call: impl FnOnce(&mut Log, &Ctx<'_>) -> R) -> R {
        let (mut out, mut stats, mut signals) = (Outbox::new(), Stats::default(), Signals::default());
        let mut link = Link::new(0, ME, Incarnation { epoch: 7, counter: 0 }, 0);
        let cx = Ctx {
            now: self.now,
            config: &self.config,
            roots: [0; crate::reconcile::TABLES],
            others: 9,
            out: &mut out,
            stats: &mut stats,
            link: &mut link,
            signals: &mut signals,
        };
        call(&mut self.log, &cx)
    }

    fn take(&mut self, epoch: u64, seq: u64) -> Taken {
        let cached = Cached::new(&encode_item(0, "t", b"x"), self.now, 0, 1);
        self.with(|log, cx| log.take(id(epoch, seq), cached, TELLER, cx))
    }

    fn learn(&mut self, epoch: u64, top: u64) -> bool {
        self.with(|log, cx| {
            log.open(OTHER, epoch, top, cx).is_some_and(|known| known.seen.learn(top, cx.now, cx.now))
        })
    }

    fn refuse(&mut self, run: (u64, u64), by: u64, why: Refusal) -> Option<Time> {
        let run = Run { origin: OTHER, epoch: 1, first: run.0, last: run.1 };
        self.with(|log, cx| log.refuse(run, NodeId(by), why, cx))
    }

    fn give_up(&mut self, epoch: u64) {
        self.with(|log, cx| log.give_up(OTHER, epoch, |_| true, cx));
    }

    /// The events since the last call, as texts: `1:5` is ready, `lost 1:2-4`, `opened`, `stale`, `used 9`, `store 1`.
    fn events(&mut self) -> Vec<String> {
        let text = |event| match event {
            Event::Opened(_) => "opened".into(),
            Event::Stale => "stale".into(),
            Event::EpochUsed(epoch) => format!("used {epoch}"),
            Event::Lost(run) => format!("lost {}:{}-{}", run.epoch, run.first, run.last),
            Event::Ready(id) => format!("{}:{}", id.epoch, id.seq),
            Event::Store { serial, .. } => format!("store {serial}"),
        };
        let events = core::iter::from_fn(|| self.log.pop_event()).map(text).collect();
        self.log.check();
        events
    }

    fn gaps(&self) -> Vec<(u64, u64)> {
        self.log.gaps(OTHER).map(|gap| (gap.first, gap.last)).collect()
    }
}

fn id(epoch: u64, seq: u64) -> MessageId {
    MessageId { origin: OTHER, epoch, seq }
}

#[test]
fn by_arrival_every_message_is_ready_once_and_when_it_comes() {
    let mut harness = Harness::new(Order::Arrival);
    assert_eq!(
        [3, 1, 3, 1].map(|seq| harness.take(1, seq)),
        [Taken::New, Taken::New, Taken::Known, Taken::Known]
    );
    assert_eq!(harness.events(), ["opened", "1:3", "1:1"]);
    assert_eq!(harness.gaps(), [(2, 2)]);
    assert!(harness.log.has(id(1, 3)) && !harness.log.has(id(1, 2)));
}

#[test]
fn in_order_a_message_is_ready_when_nothing_is_missing_before_it() {
    let mut harness = Harness::new(Order::Origin);
    for seq in [3, 2, 1] {
        harness.take(1, seq);
    }
    assert_eq!(harness.events(), ["opened", "1:1", "1:2", "1:3"]);
}

#[test]
fn the_member_that_brings_a_message_is_asked_for_those_before_it() {
    let mut harness = Harness::new(Order::Arrival);
    harness.take(1, 1);
    harness.take(1, 4);
    let offer = Offer { from: TELLER, round: 0, graft: false };
    assert!(harness.log.gaps(OTHER).all(|gap| gap.sources.as_slice() == [offer]));
}

#[test]
fn a_gap_that_is_given_up_is_reported_before_the_messages_that_waited_for_it() {
    let mut harness = Harness::new(Order::Origin);
    harness.take(1, 1);
    harness.take(1, 4);
    harness.events();
    harness.give_up(1);
    assert_eq!(harness.events(), ["lost 1:2-3", "1:4"]);
    assert_eq!(harness.take(1, 2), Taken::Known, "what was lost is never delivered");
}

#[test]
fn numbers_that_are_learnt_are_missing_until_they_come() {
    let mut harness = Harness::new(Order::Arrival);
    harness.take(1, 1);
    assert!(harness.learn(1, 3) && !harness.learn(1, 3), "they are news once");
    assert_eq!(harness.gaps(), [(2, 3)]);
    harness.take(1, 3);
    assert_eq!(harness.gaps(), [(2, 2)]);
}

#[test]
fn gaps_that_may_predate_this_node_are_dropped_silently_once_enough_members_no_longer_hold_them() {
    let mut harness = Harness::new(Order::Origin);
    harness.config.broadcast.history = History::Cached;
    harness.take(1, 5);
    harness.events();
    assert_eq!(harness.refuse((1, 4), 4, Refusal::Gone), Some(harness.now), "another member may serve it");
    assert!(harness.events().is_empty());
    harness.refuse((1, 4), TELLER.0, Refusal::Gone);
    assert_eq!((harness.events(), harness.gaps()), (vec!["1:5".into()], vec![]));
}

#[test]
fn messages_that_others_lack_too_are_kept_as_a_gap() {
    let mut harness = Harness::new(Order::Arrival);
    harness.take(1, 5);
    harness.events();
    (4..9).for_each(|by| _ = harness.refuse((1, 4), by, Refusal::Lack));
    assert!(harness.events().is_empty());
    assert_eq!(harness.gaps(), [(1, 4)]);
}

#[test]
fn without_history_the_first_message_sets_the_base() {
    let mut harness = Harness::new(Order::Origin);
    harness.config.broadcast.history = History::None;
    harness.take(1, 5);
    assert_eq!(harness.events(), ["opened", "1:5"]);
    assert_eq!((harness.take(1, 4), harness.gaps()), (Taken::Known, vec![]));
}

#[test]
fn by_arrival_two_epochs_are_open_and_a_third_ends_the_oldest() {
    let mut harness = Harness::new(Order::Arrival);
    for (epoch, seq) in [(1, 1), (1, 3), (2, 1), (1, 2), (2, 3)] {
        assert_eq!(harness.take(epoch, seq), Taken::New);
    }
    assert_eq!(harness.events(), ["opened", "1:1", "1:3", "opened", "2:1", "1:2", "2:3"]);
    harness.learn(1, 5);
    harness.take(3, 1);
    assert_eq!(harness.events(), ["lost 1:4-5", "opened", "3:1"]);
    assert_eq!((harness.take(1, 6), harness.events()), (Taken::Refused, vec!["stale".into()]));
    assert_eq!(harness.take(2, 2), Taken::New);
}

#[test]
fn in_order_a_later_epoch_ends_the_one_before_and_releases_what_it_held_back() {
    let mut harness = Harness::new(Order::Origin);
    harness.take(1, 1);
    harness.take(1, 3);
    harness.take(2, 1);
    assert_eq!(harness.events(), ["opened", "1:1", "lost 1:2-2", "1:3", "opened", "2:1"]);
    assert_eq!((harness.take(1, 2), harness.events()), (Taken::Refused, vec!["stale".into()]));
}

#[test]
fn new_numbers_of_an_epoch_that_order_has_ended_are_lost_at_once() {
    let mut harness = Harness::new(Order::Origin);
    harness.take(1, 1);
    harness.take(2, 1);
    harness.events();
    assert!(harness.with(|log, cx| log.note_ended(OTHER, 1, 3, cx)));
    assert_eq!(harness.events(), ["lost 1:2-3"]);
    assert!(!harness.with(|log, cx| log.note_ended(OTHER, 2, 3, cx)), "the latest epoch goes on");
}

#[test]
fn own_messages_that_this_process_has_not_sent_show_a_used_epoch() {
    let mut harness = Harness::new(Order::Arrival);
    let own = harness.log.next_id();
    assert_eq!((own.seq, harness.log.is_own(own)), (1, true));
    assert!(harness.log.is_current(ME, 7, 1) && harness.events().is_empty());
    assert!(harness.log.is_current(ME, 7, 2) && harness.log.is_current(ME, 8, 1));
    assert_eq!(harness.events(), ["used 7", "used 8"]);
    assert!(!harness.log.is_current(ME, 6, 9) && !harness.log.is_current(OTHER, 7, 9));
    harness.log.use_epoch(9);
    assert_eq!(harness.log.next_id(), MessageId { origin: ME, epoch: 9, seq: 1 });
}

#[test]
fn an_epoch_at_the_end_of_its_range_is_never_opened() {
    // Rule A3: the latest epoch ends the ones before, so one forged mark would silence its origin for ever.
    for order in [Order::Arrival, Order::Origin] {
        for epoch in [1 << 63, u64::MAX] {
            let mut harness = Harness::new(order);
            harness.take(1, 1);
            assert!(!harness.learn(epoch, 5) && harness.take(epoch, 1) == Taken::Refused);
            assert_eq!(harness.events(), ["opened", "1:1", "stale", "stale"]);
            assert!(harness.log.is_known(id(epoch, 1)), "nobody is asked for it");
            assert!(harness.log.is_known(MessageId { origin: ME, epoch, seq: 1 }));
            assert_eq!((harness.take(1, 2), harness.events()), (Taken::New, vec!["1:2".into()]));
        }
    }
}

#[test]
fn a_stored_set_with_an_epoch_at_the_end_of_its_range_is_damaged() {
    for (epoch, whole) in [((1_u64 << 63) - 1, Some(())), (1 << 63, None)] {
        let mut bytes = vec![1];
        for word in [OTHER.0, epoch, 1] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.push(0);
        assert_eq!(Log::new(ME, 8).decode_seen(&bytes, Time::ZERO), whole);
    }
}

#[test]
fn a_message_is_ready_when_the_set_that_holds_it_is_durable() {
    let mut harness = Harness::new(Order::Arrival);
    harness.config.broadcast.persist_seen = PersistSeen::BeforeDelivery;
    harness.take(1, 1);
    harness.take(1, 2);
    assert_eq!(harness.events(), ["opened", "store 1"], "one writing is under way at a time");
    harness.with(|log, cx| log.on_stored(1, cx));
    assert_eq!(harness.events(), ["1:1", "store 2"]);
    harness.with(|log, cx| log.on_stored(2, cx));
    assert_eq!(harness.events(), ["1:2"]);
}

#[test]
fn a_set_that_is_written_while_a_third_epoch_begins_can_be_restored() {
    let mut harness = Harness::new(Order::Arrival);
    harness.config.broadcast.persist_seen = PersistSeen::BeforeDelivery;
    for (epoch, seq) in [(1, 2), (2, 1)] {
        harness.take(epoch, seq);
    }
    harness.with(|log, cx| log.on_stored(1, cx));
    harness.with(|log, cx| log.on_stored(2, cx));
    harness.events();
    harness.take(3, 1);
    let stored = core::iter::from_fn(|| harness.log.pop_event());
    let bytes =
        stored.filter_map(|event| if let Event::Store { bytes, .. } = event { Some(bytes) } else { None });
    for bytes in bytes.collect::<Vec<_>>() {
        assert_eq!(Log::new(ME, 8).decode_seen(&bytes, Time::ZERO), Some(()));
    }
}

#[test]
fn a_mark_names_what_is_held_and_the_fingerprint_changes_with_the_top() {
    let mut harness = Harness::new(Order::Arrival);
    assert_eq!(harness.log.fingerprint(OTHER), None);
    harness.take(1, 2);
    let marks: Vec<_> = harness.log.marks_of(OTHER).map(|mark| (mark.epoch, mark.low, mark.top)).collect();
    assert_eq!(marks, [(1, 2, 2)]);
    let before = harness.log.fingerprint(OTHER);
    harness.take(1, 1);
    assert_eq!(harness.log.fingerprint(OTHER), before, "a message below the top changes nothing");
    harness.learn(1, 3);
    assert_ne!(harness.log.fingerprint(OTHER), before);
    harness.log.forget(OTHER);
    assert!(harness.log.fingerprint(OTHER).is_none() && harness.log.cache.len() == 0);
}
