//! The updates: what members say of each other. They ride on any datagram that has room for them (SWIM §4.1).

use alloc::vec::Vec;
use core::fmt;

use super::codec::{Body, Put, Reader};
use super::error::DecodeError;
use super::record::Record;
use crate::id::{Incarnation, MemberState, NodeId};

/// Carries the record of a live member. The receiver takes it into its table if it is newer than the one held, and holds
/// the member alive unless a verdict of the same or a higher incarnation says otherwise (rule B2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alive<'a>(
    /// The record of the member that is alive at the record's incarnation.
    pub Record<'a>,
);

/// Carries a verdict about a member. The receiver compares it with what it holds of the member, and gossips it on if it
/// takes it (SWIM §4.2).
///
/// A Down about a member that the receiver holds alive is only a suspicion (rule B1). A verdict about the receiver
/// itself is refuted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The member that the verdict is about; never 0.
    pub id: NodeId,
    /// The incarnation of that member at which it was judged.
    pub incarnation: Incarnation,
    /// The state that the member is said to be in. `Alive` says that the member was heard at this incarnation, and that
    /// the sender lacks its record (rule B2).
    pub state: MemberState,
    /// Whether an operator removed the member; only of a `Left` (rule A7).
    pub removed: bool,
    /// The milliseconds since the verdict was passed; 0 for a suspicion (rule B3).
    pub age: u32,
    /// The member that passed the verdict, or 0 where the sender has it from others and does not know.
    pub author: NodeId,
}

/// Tells the receiver that the sender holds it at a higher incarnation, not alive, or in another process. The receiver
/// moves to an incarnation above that and answers with its record (rule A4); if it was removed at its present incarnation,
/// it stops (rule A7).
///
/// A node sends each sender at most one accusation in a probe interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accused {
    /// The incarnation at which the sender holds the receiver.
    pub incarnation: Incarnation,
    /// The state in which the sender holds the receiver.
    pub state: MemberState,
    /// Whether an operator removed the receiver; only of a `Left`.
    pub removed: bool,
    /// The process (boot) that was at this incarnation, from its own record; 0 if no record proves it (rule A1).
    pub boot: u64,
}

/// The bit of a code that says that an operator removed the member.
const REMOVED: u8 = 0x80;

pub(super) const fn code(state: MemberState, removed: bool) -> u8 {
    let state = match state {
        MemberState::Alive => 0,
        MemberState::Suspect => 1,
        MemberState::Down => 2,
        MemberState::Left => 3,
    };
    if removed { state | REMOVED } else { state }
}

pub(super) const fn read_code(code: u8) -> Result<(MemberState, bool), DecodeError> {
    let state = match code & 0x0f {
        0 => MemberState::Alive,
        1 => MemberState::Suspect,
        2 => MemberState::Down,
        3 => MemberState::Left,
        _ => return Err(DecodeError::Invalid("state")),
    };
    Ok((state, code & REMOVED != 0))
}

impl<'a> Body<'a> for Alive<'a> {
    fn decode(mut body: Reader<'a>) -> Result<Self, DecodeError> {
        Record::read(body.rest()).map(Self)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put(self.0.bytes());
    }

    fn print(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{name} {}@{}", self.0.id(), self.0.incarnation())
    }
}

impl Body<'_> for Verdict {
    fn decode(mut body: Reader<'_>) -> Result<Self, DecodeError> {
        let (id, incarnation) = (body.id()?, body.incarnation()?);
        let (state, removed) = read_code(body.u8()?)?;
        if id == NodeId::NOBODY {
            return Err(DecodeError::Invalid("verdict"));
        }
        Ok(Self { id, incarnation, state, removed, age: body.u32()?, author: body.id()? })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_id(self.id);
        out.put_incarnation(self.incarnation);
        out.put_u8(code(self.state, self.removed));
        out.put_u32(self.age);
        out.put_id(self.author);
    }

    /// A verdict is printed under the name of its state.
    fn print(&self, _name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let removed = if self.removed { " (removed)" } else { "" };
        write!(f, "{} {}@{} by {}{removed}", self.state.name(), self.id, self.incarnation, self.author)
    }
}

impl Body<'_> for Accused {
    fn decode(mut body: Reader<'_>) -> Result<Self, DecodeError> {
        let incarnation = body.incarnation()?;
        let (state, removed) = read_code(body.u8()?)?;
        Ok(Self { incarnation, state, removed, boot: body.u64()? })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_incarnation(self.incarnation);
        out.put_u8(code(self.state, self.removed));
        out.put_u64(self.boot);
    }

    fn print(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{name} {}@{}", self.state.name(), self.incarnation)
    }
}
