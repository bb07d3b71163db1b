//! Which news of a member wins: pure functions over values, so that each rule can be read and tested alone.
//!
//! A record is merged by (incarnation, boot, bytes) and the state of its member by (incarnation, state). The two are
//! separate lattices (rule B2), so neither the order nor the number of deliveries matters. There is one exception: a Down
//! that is heard about a member held Alive becomes a suspicion first, so that the member can refute it (rule B1), unless
//! the settings say that it is believed.

use serde::{Deserialize, Serialize};

use crate::action::MemberChange;
use crate::id::{Incarnation, MemberState};
use crate::wire::Record;

/// The state of a member at an incarnation, as this node holds it or as another one tells it. The order is the one in
/// which claims override each other (SWIM §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Claim {
    pub(super) incarnation: Incarnation,
    pub(super) state: MemberState,
}

impl Claim {
    pub(super) const fn new(incarnation: Incarnation, state: MemberState) -> Self {
        Self { incarnation, state }
    }
}

/// The reason, if any, to believe a Down about a member that this node does not hold terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Witness {
    /// There is no reason: the Down may be wrong, or be from a time before a partition healed.
    Nothing,
    /// This node suspects the member itself, and has done so for long enough (rule B1).
    Silence,
    /// The settings say that a Down is believed, whoever tells it (`Hearsay::Believe`).
    Hearsay,
    /// The member uses no protocol version of this node, so this node does not judge it and accepts the verdicts of
    /// others (rule B5).
    Foreign,
}

/// The timeout with which a suspicion begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timeout {
    /// The timeout begins at the greatest value and shrinks with each confirmation (Lifeguard §IV-B).
    Shrinking,
    /// The timeout has the least value from the start, because a member has passed a Down already (rule B1).
    Least,
}

/// The effect of a heard claim on the one that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The held claim stays.
    Ignored,
    /// The heard claim equals the held one, which is terminal. The greater of the two ages counts (rule B3).
    Repeated,
    /// The heard claim replaces the held one.
    Taken,
    /// The member is to be suspected at the heard incarnation, or the suspicion of it is confirmed.
    Suspected(Timeout),
}

/// Decides the effect of a claim that was heard about another member on the claim that is held.
pub(super) fn merge(held: Claim, heard: Claim, witness: Witness) -> Outcome {
    let held_is_live = held.state.is_live();
    match heard.state {
        MemberState::Alive if heard.incarnation > held.incarnation => Outcome::Taken,
        MemberState::Suspect if witness == Witness::Foreign => Outcome::Ignored,
        MemberState::Suspect
            if heard.incarnation > held.incarnation
                || (heard.incarnation == held.incarnation && held_is_live) =>
        {
            Outcome::Suspected(Timeout::Shrinking)
        }
        MemberState::Alive | MemberState::Suspect => Outcome::Ignored,
        MemberState::Down | MemberState::Left if held == heard => Outcome::Repeated,
        MemberState::Down | MemberState::Left if heard < held => Outcome::Ignored,
        MemberState::Down if held_is_live && witness == Witness::Nothing => {
            Outcome::Suspected(Timeout::Least)
        }
        MemberState::Down | MemberState::Left => Outcome::Taken,
    }
}

/// Whether a record replaces the one that is held: by its version, then by its bytes (rules A2, B2 and B4).
pub(super) fn is_newer(heard: Record<'_>, held: Option<Record<'_>>) -> bool {
    held.is_none_or(|held| (version(heard), heard) > (version(held), held))
}

/// Whether two records have the same version and differ. No correct member publishes both (rule B4).
pub(super) fn are_two_contents(one: Record<'_>, other: Record<'_>) -> bool {
    version(one) == version(other) && one != other
}

/// The change that the application sees when the record of a live member is replaced.
pub(super) fn content_change(held: Record<'_>, new: Record<'_>) -> Option<MemberChange> {
    if held.boot() != new.boot() {
        Some(MemberChange::Restarted)
    } else if held.described() != new.described() {
        Some(MemberChange::Updated)
    } else {
        None
    }
}

/// The version of a record: its incarnation, and then its boot, which orders two processes with one incarnation (rule
/// A2).
fn version(record: Record<'_>) -> (Incarnation, u64) {
    (record.incarnation(), record.boot())
}

/// The knowledge that the application has of a member, and whether it may be told more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Visibility {
    /// The application has not been told of the member, nor asked about it.
    #[default]
    New,
    /// The application has been asked to admit the member and has not answered, or it has vetoed it. The local view does
    /// not show the member.
    Hidden,
    /// The application has admitted the member, or knew it until its tombstone was held back; it has not been told of
    /// the member since.
    Admitted,
    /// The application has been told that the member is up, and is told of each change.
    Announced,
    /// The application has been told that the member is Down. The member is alive again, and the local view goes on showing
    /// it as Down, because it has returned too often (rule B14).
    Probation,
}

/// The notices that report a member's change from the state `before` to the state `now`.
pub(super) fn changes(
    before: MemberState,
    now: MemberState,
    visibility: Visibility,
) -> &'static [MemberChange] {
    let known = visibility == Visibility::Announced;
    let was_live = before.is_live();
    match now {
        MemberState::Alive if !known || !was_live => &[MemberChange::Up],
        MemberState::Suspect if !known || !was_live => &[MemberChange::Up, MemberChange::Suspected],
        MemberState::Alive if before == MemberState::Suspect => &[MemberChange::Refuted],
        MemberState::Suspect if before == MemberState::Alive => &[MemberChange::Suspected],
        MemberState::Down if known && was_live => &[MemberChange::Down],
        // It has returned, and has failed, while this node did not hear of it.
        MemberState::Down if known && before == MemberState::Left => &[MemberChange::Up, MemberChange::Down],
        MemberState::Left if known && before != MemberState::Left => &[MemberChange::Left],
        MemberState::Alive | MemberState::Suspect | MemberState::Down | MemberState::Left => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a claim such as `down 3`.
    fn claim(text: &str) -> Claim {
        let (state, epoch) = text.split_once(' ').expect("a state and an epoch");
        let state = match state {
            "alive" => MemberState::Alive,
            "suspect" => MemberState::Suspect,
            "down" => MemberState::Down,
            "left" => MemberState::Left,
            other => panic!("no state is called {other}"),
        };
        Claim::new(Incarnation::first(epoch.parse().expect("a number")), state)
    }

    #[track_caller]
    fn check_with(witness: Witness, held: &str, heard: &str, kept: &str) {
        let (held, heard) = (claim(held), claim(heard));
        let after = match merge(held, heard, witness) {
            Outcome::Ignored | Outcome::Repeated => held,
            Outcome::Taken => heard,
            Outcome::Suspected(_) => Claim::new(heard.incarnation, MemberState::Suspect),
        };
        assert_eq!(after, claim(kept));
    }

    #[track_caller]
    fn check(held: &str, heard: &str, kept: &str) {
        check_with(Witness::Nothing, held, heard, kept);
    }

    #[test]
    fn precedence_of_claims() {
        //    we hold      we hear      we keep
        check("alive 1", "alive 2", "alive 2");
        check("alive 2", "alive 1", "alive 2");
        check("alive 1", "suspect 1", "suspect 1");
        check("alive 2", "suspect 1", "alive 2");
        check("suspect 1", "alive 1", "suspect 1");
        check("suspect 1", "alive 2", "alive 2");
        check("suspect 1", "left 1", "left 1");
        check("alive 1", "left 1", "left 1");
        check("alive 2", "left 1", "alive 2");
        check("down 3", "alive 3", "down 3");
        check("down 3", "suspect 3", "down 3");
        check("down 3", "alive 4", "alive 4");
        check("down 3", "suspect 4", "suspect 4");
        check("down 3", "left 3", "left 3");
        check("left 3", "down 3", "left 3");
        check("left 3", "down 4", "down 4");
        check("left 3", "alive 3", "left 3");
    }

    #[test]
    fn a_heard_down_is_a_suspicion_unless_this_node_has_a_reason_to_believe_it() {
        check("alive 1", "down 1", "suspect 1");
        check("alive 1", "down 2", "suspect 2");
        check("suspect 1", "down 1", "suspect 1");
        check("alive 2", "down 1", "alive 2");
        check_with(Witness::Silence, "suspect 1", "down 1", "down 1");
        check_with(Witness::Hearsay, "alive 1", "down 1", "down 1");
        check_with(Witness::Hearsay, "alive 1", "down 2", "down 2");
        check_with(Witness::Hearsay, "alive 2", "down 1", "alive 2");
        check_with(Witness::Foreign, "alive 1", "down 1", "down 1");
        check_with(Witness::Foreign, "alive 1", "suspect 1", "alive 1");
        let heard = |text| merge(claim("alive 1"), claim(text), Witness::Nothing);
        assert_eq!(heard("down 1"), Outcome::Suspected(Timeout::Least));
        assert_eq!(heard("suspect 1"), Outcome::Suspected(Timeout::Shrinking));
    }

    #[test]
    fn only_a_repeated_terminal_claim_is_told_apart_from_an_ignored_one() {
        let outcome = |text| merge(claim(text), claim(text), Witness::Silence);
        assert_eq!(["alive 1", "down 1", "left 1"].map(outcome), {
            [Outcome::Ignored, Outcome::Repeated, Outcome::Repeated]
        });
    }

    #[test]
    fn claims_that_are_taken_are_greater_so_any_order_ends_the_same() {
        let all = ["alive 1", "suspect 1", "down 1", "left 1", "alive 2", "suspect 2", "down 2", "left 2"];
        for (held, heard) in all.iter().flat_map(|held| all.iter().map(move |heard| (held, heard))) {
            let (held, heard) = (claim(held), claim(heard));
            for witness in [Witness::Nothing, Witness::Silence, Witness::Hearsay, Witness::Foreign] {
                match merge(held, heard, witness) {
                    Outcome::Taken => assert!(heard > held, "{held:?} {heard:?}"),
                    Outcome::Repeated => assert_eq!(heard, held),
                    Outcome::Ignored if witness == Witness::Silence => assert!(heard <= held),
                    Outcome::Ignored | Outcome::Suspected(_) => {}
                }
            }
        }
    }

    #[test]
    fn the_application_is_told_each_change_once() {
        use MemberState::{Alive, Down, Left, Suspect};
        use Visibility::{Admitted, Announced, New};
        let check = |before, now, visibility, told: &[MemberChange]| {
            assert_eq!(changes(before, now, visibility), told, "{before:?} {now:?} {visibility:?}");
        };
        //    before   now      the application   is told
        check(Alive, Alive, New, &[MemberChange::Up]);
        check(Alive, Alive, Announced, &[]);
        check(Alive, Suspect, Announced, &[MemberChange::Suspected]);
        check(Suspect, Alive, Announced, &[MemberChange::Refuted]);
        check(Suspect, Suspect, Announced, &[]);
        check(Suspect, Suspect, Admitted, &[MemberChange::Up, MemberChange::Suspected]);
        check(Suspect, Down, Announced, &[MemberChange::Down]);
        check(Alive, Left, Announced, &[MemberChange::Left]);
        check(Down, Left, Announced, &[MemberChange::Left]);
        check(Left, Down, Announced, &[MemberChange::Up, MemberChange::Down]);
        check(Alive, Down, New, &[]);
        check(Down, Alive, Announced, &[MemberChange::Up]);
        check(Left, Suspect, Admitted, &[MemberChange::Up, MemberChange::Suspected]);
    }
}
