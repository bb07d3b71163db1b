//! The digests of notices and commands: each enters the trace hash as one 64-bit word.

use bruit_core::{Command, MemberChange, MemberState, Notice};

use crate::base::{mix, of_bytes};

/// The word of a command: the hash of its text. Payloads can be long, so those of broadcasts are hashed as bytes.
pub(crate) fn command(command: &Command) -> u64 {
    if let Command::Broadcast(broadcast) = command {
        let how = format!("{} {:?} {:?}", broadcast.topic, broadcast.report, broadcast.first);
        return mix(of_bytes(how.as_bytes()), of_bytes(&broadcast.payload));
    }
    of_bytes(format!("{command:?}").as_bytes())
}

/// The word of a notice: frequent notices mix their kind and numbers, rare ones hash their text.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other notice has a text")]
pub(crate) fn notice(notice: &Notice<'_>) -> u64 {
    match notice {
        Notice::Member { change, member } => {
            let incarnation = mix(member.incarnation.epoch, member.incarnation.counter.into());
            mix(mix(20 + change_code(*change), member.id.0), incarnation ^ state_code(member.state))
        }
        Notice::Joined { via } => mix(40, via.0),
        Notice::Reincarnated { incarnation } => mix(41 + incarnation.epoch, incarnation.counter.into()),
        Notice::NameHeld { boot, incarnation, .. } => mix(49 + incarnation.epoch, *boot),
        Notice::NameTaken { boot, incarnation, .. } => mix(50 + incarnation.epoch, *boot),
        Notice::IdentityConflict { other, stopped } => mix(42 + u64::from(*stopped), *other),
        Notice::Pong { ping, round_trip, .. } => mix(44 + ping.0, u64::from(round_trip.subsec_nanos())),
        Notice::Delivered { id, topic, payload, hops } => {
            let name = mix(mix(45 + u64::from(*hops), id.origin.0), mix(id.epoch, id.seq));
            mix(name, mix(of_bytes(topic.as_bytes()), of_bytes(payload)))
        }
        other => of_bytes(format!("{other:?}").as_bytes()),
    }
}

fn change_code(change: MemberChange) -> u64 {
    match change {
        MemberChange::Up => 0,
        MemberChange::Updated => 1,
        MemberChange::Suspected => 2,
        MemberChange::Refuted => 3,
        MemberChange::Down => 4,
        MemberChange::Left => 5,
        MemberChange::Forgotten => 6,
        MemberChange::Restarted => 7,
        _ => 8,
    }
}

const fn state_code(state: MemberState) -> u64 {
    match state {
        MemberState::Alive => 0,
        MemberState::Suspect => 1 << 60,
        MemberState::Down => 2 << 60,
        MemberState::Left => 3 << 60,
    }
}
