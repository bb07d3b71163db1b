use super::*;
use crate::id::Rank;
use crate::wire::RecordFields;
use core::time::Duration;

const NOW: Time = Time::from_secs(100);

fn claim(epoch: u64, state: MemberState) -> Claim {
    Claim::new(Incarnation::first(epoch), state)
}

fn record(id: NodeId) -> Vec<u8> {
    record_of(id, 0, Incarnation::first(1))
}

fn record_of(id: NodeId, boot: u64, incarnation: Incarnation) -> Vec<u8> {
    let fields = RecordFields {
        id,
        incarnation,
        rank: Rank { boot, ..Rank::default() },
        shared: 0,
        roster: 0,
        priority: 0,
        protocol: (1, 1),
        eligible: true,
        addr: "10.0.0.2:7".parse().expect("an address"),
        name: "two",
        zone: "",
        meta: &[],
        tags: &[],
    };
    fields.encode()
}

#[test]
fn the_members_of_the_local_view_are_counted_at_every_change() {
    let (two, mut table) = (NodeId(2), Table::new(NodeId(1), 7));
    let shown = |table: &Table, count, after: &str| {
        table.check();
        assert_eq!(table.shown(), count, "{after}");
    };
    let mut rng = Rng::new([0; 32], crate::rng::Stream::Membership);
    table.insert(two, claim(1, MemberState::Alive), NOW.as_nanos());
    table.enter_order(two, &mut rng);
    shown(&table, 0, "without a record");
    table.set_content(two, &record(two), false);
    shown(&table, 1, "with its record");
    table.set_visibility(two, Visibility::Hidden);
    shown(&table, 0, "hidden");
    table.set_visibility(two, Visibility::Announced);
    shown(&table, 1, "announced");
    table.set_content(two, &record(two), true);
    shown(&table, 0, "foreign");
    table.set_content(two, &record(two), false);
    table.set_verdict(two, claim(1, MemberState::Down), NOW.as_nanos());
    shown(&table, 0, "down");
    table.hold_back(two);
    shown(&table, 0, "held back");
    assert_eq!(
        table.get(two).map(|entry| entry.flags.visibility),
        Some(Visibility::Admitted),
        "known before"
    );
    table.expire_at(two, NOW);
    assert!(table.choose_down(0).is_some(), "its address is kept for healing");
    table.set_verdict(two, claim(2, MemberState::Alive), NOW.as_nanos());
    table.enter_order(two, &mut rng);
    shown(&table, 0, "back, and its record is to come");
    table.set_content(two, &record(two), false);
    shown(&table, 1, "back");
    table.remove(two);
    shown(&table, 0, "removed");
}

#[test]
fn a_removal_ends_with_the_next_verdict_so_that_tables_agree() {
    let [one, other] = [true, false].map(|removed| {
        let mut table = Table::new(NodeId(1), 7);
        table.insert(NodeId(2), claim(1, MemberState::Left), NOW.as_nanos());
        if removed {
            table.set_removed(NodeId(2));
            table.set_verdict(NodeId(2), claim(1, MemberState::Left), NOW.as_nanos());
            assert!(table.get(NodeId(2)).is_some_and(|entry| entry.flags.removed), "repeated, not replaced");
        }
        table.set_verdict(NodeId(2), claim(2, MemberState::Down), NOW.as_nanos());
        table.check();
        table.tree().root()
    });
    assert_eq!(one, other);
}

#[test]
fn an_entry_has_one_expiry_and_down_members_take_turns() {
    let (two, three, mut table) = (NodeId(2), NodeId(3), Table::new(NodeId(1), 7));
    for id in [two, three] {
        table.insert(id, claim(1, MemberState::Left), NOW.as_nanos());
        table.set_content(id, &record(id), false);
    }
    for epoch in 1..50 {
        table.set_verdict(two, claim(epoch, MemberState::Down), NOW.as_nanos());
        table.expire_at(two, NOW + Duration::from_secs(epoch));
    }
    table.set_verdict(three, claim(1, MemberState::Down), NOW.as_nanos());
    table.expire_at(three, NOW + Duration::from_secs(9));
    assert_eq!(table.expiries.len(), 2);
    let turns: Vec<_> = (0..4).filter_map(|turn| table.choose_down(turn)).map(|(id, _)| id).collect();
    assert_eq!(turns, [two, three, two, three]);
    table.remove(two);
    assert_eq!(table.expiries.len(), 1);
}

#[test]
fn only_a_member_that_is_held_back_may_be_forgotten_early() {
    let mut table = Table::new(NodeId(1), 7);
    for (id, state, was_live, held_back) in [
        (2, MemberState::Down, true, false),
        (3, MemberState::Down, true, true),
        (4, MemberState::Left, true, true),
        (5, MemberState::Left, false, true),
    ] {
        let first = if was_live { MemberState::Suspect } else { state };
        table.insert(NodeId(id), claim(1, first), NOW.as_nanos());
        table.set_verdict(NodeId(id), claim(1, state), NOW.as_nanos());
        if held_back {
            table.hold_back(NodeId(id));
        }
        table.expire_at(NodeId(id), NOW + Duration::from_secs(id));
        table.check();
    }
    assert_eq!((table.members(), table.guards()), (3, 1));
    for id in [4, 3] {
        assert_eq!(table.first_to_spare(), Some(NodeId(id)));
        table.remove(NodeId(id));
    }
    assert_eq!(table.first_to_spare(), None);
}

// The record of the second process replaces that of the first, and the verdict was about the first.
#[test]
fn of_two_processes_with_one_number_each_is_told_of_the_other() {
    let (two, mut table) = (NodeId(2), Table::new(NodeId(1), 7));
    let beside = |table: &Table, boot| table.get(two).map(|entry| entry.process_beside(boot));
    table.insert(two, claim(1, MemberState::Alive), NOW.as_nanos());
    table.set_content(two, &record_of(two, 5, Incarnation::first(1)), false);
    assert_eq!(beside(&table, 5), Some(5));
    table.set_verdict(two, claim(1, MemberState::Down), NOW.as_nanos());
    table.set_content(two, &record_of(two, 6, Incarnation::first(1)), false);
    assert_eq!((beside(&table, 6), beside(&table, 5)), (Some(5), Some(6)));
    let refuted = Claim::new(Incarnation::first(1).refuted(), MemberState::Alive);
    table.set_verdict(two, refuted, NOW.as_nanos());
    assert_eq!(beside(&table, 6), Some(5), "a refutation is of the same record");
    table.set_verdict(two, claim(2, MemberState::Alive), NOW.as_nanos());
    table.set_content(two, &record_of(two, 6, Incarnation::first(2)), false);
    assert_eq!(beside(&table, 6), Some(6), "it has moved above the other one");
    assert!(table.get(two).is_some_and(|entry| entry.is_alone(6)));
}
