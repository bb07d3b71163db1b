//! What comes out of a node. Plain data.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use crate::command::Answer;
use crate::error::Rejected;
use crate::event::Slot;
use crate::id::{Incarnation, MessageId, NodeId, PingId};
use crate::time::Time;
use crate::wire::Record;

pub(crate) use crate::id::MemberState;

/// Something for the driver to do. Exhaustive: a driver handles every kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// Send this datagram. Losing it is no error.
    Send {
        /// The destination.
        to: SocketAddr,
        /// The payload, at most `mtu` bytes.
        bytes: Cow<'a, [u8]>,
    },
    /// The answer to the command of this call.
    Answer(Result<Answer, Rejected>),
    /// Tell the application.
    Notify(Notice<'a>),
    /// Make these bytes the durable content of `slot`, then say [`Event::Stored`](crate::Event::Stored).
    /// A driver without a disk ignores it.
    Store {
        /// Which slot.
        slot: Slot,
        /// Rises with each store of the slot; the confirmation names it.
        serial: u64,
        /// The new content.
        bytes: Cow<'a, [u8]>,
    },
    /// Call again at this time at the latest. Only [`Node::handle`](crate::Node::handle) says it; loops that
    /// use `handle_into` pull [`Node::next_wake`](crate::Node::next_wake).
    WakeAt(Time),
}

impl Action<'_> {
    /// The same action, owning its bytes.
    #[must_use]
    pub fn into_owned(self) -> Action<'static> {
        match self {
            Self::Send { to, bytes } => Action::Send { to, bytes: Cow::Owned(bytes.into_owned()) },
            Self::Answer(answer) => Action::Answer(answer),
            Self::Notify(notice) => Action::Notify(notice.into_owned()),
            Self::Store { slot, serial, bytes } => {
                Action::Store { slot, serial, bytes: Cow::Owned(bytes.into_owned()) }
            }
            Self::WakeAt(time) => Action::WakeAt(time),
        }
    }
}

/// A member as the local view shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// Who.
    pub id: NodeId,
    /// The name it chose.
    pub name: Cow<'a, str>,
    /// Where its datagrams go.
    pub addr: SocketAddr,
    /// Its failure zone; empty if it has none.
    pub zone: Cow<'a, str>,
    /// Opaque bytes of its application.
    pub meta: Cow<'a, [u8]>,
    /// Its incarnation, as far as known.
    pub incarnation: Incarnation,
    /// The random number of its process.
    pub boot: u64,
    /// What is held of it.
    pub state: MemberState,
}

impl<'a> Member<'a> {
    pub(crate) fn new(record: Record<'a>, incarnation: Incarnation, state: MemberState) -> Self {
        let fields = record.fields();
        Self {
            id: fields.id,
            name: Cow::Borrowed(fields.name),
            addr: fields.addr,
            zone: Cow::Borrowed(fields.zone),
            meta: Cow::Borrowed(fields.meta),
            incarnation,
            boot: fields.boot,
            state,
        }
    }

    /// The same member, owning its fields.
    #[must_use]
    pub fn into_owned(self) -> Member<'static> {
        Member {
            id: self.id,
            name: Cow::Owned(self.name.into_owned()),
            addr: self.addr,
            zone: Cow::Owned(self.zone.into_owned()),
            meta: Cow::Owned(self.meta.into_owned()),
            incarnation: self.incarnation,
            boot: self.boot,
            state: self.state,
        }
    }
}

/// How a member changed in the local view. Per member the order is `Up`, then any of `Suspected`, `Refuted`
/// and `Updated`, then `Down` or `Left`; then `Up` again if it returns, or `Forgotten`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum MemberChange {
    /// It is a member now, for the first time or again.
    Up,
    /// Its address, metadata, zone or name changed.
    Updated,
    /// It is doubted.
    Suspected,
    /// It has cleared itself.
    Refuted,
    /// It is taken to have failed.
    Down,
    /// It left.
    Left,
    /// Nothing is remembered of it any more.
    Forgotten,
}

/// How far an own broadcast has spread among the members that were alive when it was submitted; who joined
/// later does not count (rule C6).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum Reached {
    /// More than half of them have it, this node included.
    Majority,
    /// All of them have it that have not failed or left since.
    All {
        /// Who failed or left without having said that it has the message, by id.
        without: Vec<NodeId>,
    },
    /// The time that the submission named has passed.
    TimedOut {
        /// Who has not said that it has the message, by id.
        missing: Vec<NodeId>,
    },
}

/// Something the application may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice<'a> {
    /// First contact: a member has answered our join, or has joined through us.
    Joined {
        /// Who answered.
        via: NodeId,
    },
    /// A member changed in the local view.
    Member {
        /// How.
        change: MemberChange,
        /// The member as it is now.
        member: Member<'a>,
    },
    /// The own record has a new incarnation: a refutation, a change, or a jump over a former life.
    Reincarnated {
        /// The new one.
        incarnation: Incarnation,
    },
    /// The own address was learnt from the join answer (rule A6).
    AddressLearnt {
        /// The address that others now use.
        addr: SocketAddr,
    },
    /// Another process lives under our id. The smaller of the two stops; `stopped` says whether it is us
    /// (rule A2).
    IdentityConflict {
        /// The random number of the other process.
        other: u64,
        /// Whether this node has stopped.
        stopped: bool,
    },
    /// An operator has removed this member; the node has stopped (rule A7).
    Removed,
    /// The leave has ended and the node has stopped.
    Departed {
        /// Whether enough members acknowledged it.
        acknowledged: bool,
    },
    /// A member runs with another value of a setting that all must share (rule G4).
    ConfigMismatch {
        /// Who.
        id: NodeId,
        /// The name of the setting.
        field: &'static str,
    },
    /// A member is new and the settings say to ask. Unanswered it counts as accepted.
    AdmissionAsked {
        /// Answer with [`Command::Admit`](crate::Command::Admit) of this id.
        id: NodeId,
    },
    /// A broadcast has arrived, or was submitted here. At most once for each message in one boot (rules C1, C2).
    Delivered {
        /// Which message.
        id: MessageId,
        /// Its topic.
        topic: Cow<'a, str>,
        /// Its bytes.
        payload: Cow<'a, [u8]>,
        /// How many nodes have passed it on until here; 0 at its origin.
        hops: u8,
    },
    /// These broadcasts exist, and nobody within reach could serve them. They will not be delivered (rule C1).
    Lost {
        /// Of which origin.
        origin: NodeId,
        /// In which epoch of it.
        epoch: u64,
        /// The first one that is missing.
        first: u64,
        /// The last one that is missing.
        last: u64,
    },
    /// The first phase of an own broadcast in `Push` mode has ended: a majority of those it was pushed to had it
    /// from us first, or the time to say so has passed and more members were told of it.
    Pushed {
        /// Which message.
        id: MessageId,
        /// How many acknowledged a first infection.
        acked: u8,
        /// How many it was pushed to.
        contacted: u8,
    },
    /// How far an own broadcast that asked for reports has spread (rule C6).
    Report {
        /// Which message.
        id: MessageId,
        /// How far.
        reached: Reached,
    },
    /// A ping was answered.
    Pong {
        /// Which.
        ping: PingId,
        /// Who.
        id: NodeId,
        /// From the try that was answered to its answer.
        round_trip: Duration,
    },
    /// No try of a ping was answered.
    PingFailed {
        /// Which.
        ping: PingId,
        /// Who.
        id: NodeId,
    },
}

impl Notice<'_> {
    /// The same notice, owning its fields.
    #[must_use]
    pub fn into_owned(self) -> Notice<'static> {
        match self {
            Self::Member { change, member } => Notice::Member { change, member: member.into_owned() },
            Self::Joined { via } => Notice::Joined { via },
            Self::Reincarnated { incarnation } => Notice::Reincarnated { incarnation },
            Self::AddressLearnt { addr } => Notice::AddressLearnt { addr },
            Self::IdentityConflict { other, stopped } => Notice::IdentityConflict { other, stopped },
            Self::Removed => Notice::Removed,
            Self::Departed { acknowledged } => Notice::Departed { acknowledged },
            Self::ConfigMismatch { id, field } => Notice::ConfigMismatch { id, field },
            Self::AdmissionAsked { id } => Notice::AdmissionAsked { id },
            Self::Delivered { id, topic, payload, hops } => Notice::Delivered {
                id,
                topic: Cow::Owned(topic.into_owned()),
                payload: Cow::Owned(payload.into_owned()),
                hops,
            },
            Self::Lost { origin, epoch, first, last } => Notice::Lost { origin, epoch, first, last },
            Self::Pushed { id, acked, contacted } => Notice::Pushed { id, acked, contacted },
            Self::Report { id, reached } => Notice::Report { id, reached },
            Self::Pong { ping, id, round_trip } => Notice::Pong { ping, id, round_trip },
            Self::PingFailed { ping, id } => Notice::PingFailed { ping, id },
        }
    }
}
