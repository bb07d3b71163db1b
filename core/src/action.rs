//! The actions and notices that come out of a node. Plain data.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use crate::command::Answer;
use crate::error::Rejected;
use crate::id::{Incarnation, MemberState, MessageId, NodeId, PingId, Slot};
use crate::tags::Tags;
use crate::time::Time;
use crate::wire::Record;

/// An action that the driver carries out. The enum is exhaustive on purpose: a driver handles every kind, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// Send this datagram. Losing it is not an error: whatever matters is sent again.
    Send {
        /// The destination; a multicast group where `broadcast.first` names one.
        to: SocketAddr,
        /// The payload of the datagram, at most `mtu` bytes.
        bytes: Cow<'a, [u8]>,
    },
    /// The answer to the command that this call was given.
    Answer(Result<Answer, Rejected>),
    /// Pass this notice to the application.
    Notify(Notice<'a>),
    /// Make these bytes the durable content of `slot`, then confirm it with
    /// [`Event::Stored`](crate::Event::Stored). A driver without a disk ignores it; with
    /// `PersistSeen::BeforeDelivery` nothing is then ever delivered.
    Store {
        /// The slot to overwrite.
        slot: Slot,
        /// The number of this write. It rises with each write of the slot, and the confirmation names it.
        serial: u64,
        /// The whole new content of the slot.
        bytes: Cow<'a, [u8]>,
    },
    /// Give the node new randomness from the operating system, with [`Event::Seed`](crate::Event::Seed): it has found a
    /// copy of itself, which draws the same random numbers. Until then it sends nothing (rule A2c).
    Reseed,
    /// Call the node again at this time at the latest. Only [`Node::handle`](crate::Node::handle) returns it; loops
    /// that use `handle_into` ask [`Node::next_wake`](crate::Node::next_wake) instead.
    WakeAt(Time),
}

impl Action<'_> {
    /// This action with its bytes copied, so that it borrows nothing.
    #[must_use]
    pub fn into_owned(self) -> Action<'static> {
        match self {
            Self::Send { to, bytes } => Action::Send { to, bytes: Cow::Owned(bytes.into_owned()) },
            Self::Answer(answer) => Action::Answer(answer),
            Self::Notify(notice) => Action::Notify(notice.into_owned()),
            Self::Store { slot, serial, bytes } => {
                Action::Store { slot, serial, bytes: Cow::Owned(bytes.into_owned()) }
            }
            Self::Reseed => Action::Reseed,
            Self::WakeAt(time) => Action::WakeAt(time),
        }
    }
}

/// A member as the local view shows it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Member<'a> {
    /// The member's id.
    pub id: NodeId,
    /// The name that the member chose, at most 64 bytes.
    pub name: Cow<'a, str>,
    /// The address to which datagrams for the member are sent.
    pub addr: SocketAddr,
    /// The failure zone of the member, at most 32 bytes; empty if it has none.
    pub zone: Cow<'a, str>,
    /// Opaque bytes of the member's application, at most 512.
    pub meta: Cow<'a, [u8]>,
    /// The tags of the member, such as `role=db`.
    pub tags: Tags<'a>,
    /// The highest incarnation of the member that is known here.
    pub incarnation: Incarnation,
    /// The random number of the member's process. If it changes, the member has restarted ([`MemberChange::Restarted`]).
    pub boot: u64,
    /// The state of the member in the local view.
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
            tags: Tags::trusted(fields.tags),
            incarnation,
            boot: fields.rank.boot,
            state,
        }
    }

    /// This member with its fields copied, so that it borrows nothing.
    #[must_use]
    pub fn into_owned(self) -> Member<'static> {
        Member {
            id: self.id,
            name: Cow::Owned(self.name.into_owned()),
            addr: self.addr,
            zone: Cow::Owned(self.zone.into_owned()),
            meta: Cow::Owned(self.meta.into_owned()),
            tags: self.tags.into_owned(),
            incarnation: self.incarnation,
            boot: self.boot,
            state: self.state,
        }
    }
}

/// How a member changed in the local view.
///
/// For each member the order is `Up`, then any of `Suspected`, `Refuted`, `Updated` and `Restarted`, then `Down`, `Left`, or
/// `Down` and then `Left` (an operator has removed it, or its leave was heard of late); then `Up` again if the member returns,
/// or `Forgotten`. Of several changes at once, such as `Up` and `Suspected` of one that returns under suspicion, each shows the
/// state to which it leads. A member that returns after a Down may have restarted, too: then its `Up` has another [`Member::boot`], or `Restarted`
/// follows.
///
/// This node itself is `Up` when it takes its id, `Updated` when its own record changes, and `Left` when it leaves or is
/// removed. What other members believe of it is not reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum MemberChange {
    /// The node is a member now, for the first time or again.
    Up,
    /// The address, metadata, tags, zone or name of the member changed.
    Updated,
    /// Another process has taken over before anybody missed the former one: what that process kept in memory is lost. Its
    /// address, metadata and tags may differ, too. It is also reported when a copied process draws a new boot number (rule A2c).
    Restarted,
    /// The member is suspected to have failed.
    Suspected,
    /// The suspicion was refuted: the member is alive.
    Refuted,
    /// The member is taken to have failed.
    Down,
    /// The member has left, or was removed.
    Left,
    /// The Down or Left member is removed from the table (`membership.forget_after`).
    Forgotten,
}

/// How far an own broadcast has spread among the members that were alive when it was submitted. Members that joined
/// later do not count (rule C6).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum Reached {
    /// More than half of them have it, this node included.
    Majority,
    /// All of them have it, except those that have failed or left since.
    All {
        /// The members that failed or left before they acknowledged the message, by id.
        without: Vec<NodeId>,
    },
    /// The time that the submission named has passed.
    TimedOut {
        /// The members that have not acknowledged the message, by id. They may have it nevertheless.
        missing: Vec<NodeId>,
    },
}

/// Information from a node to its application: a change of the group, a broadcast, or an event of the node itself.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub enum Notice<'a> {
    /// This node has its first contact: a member has answered its join, or has joined through it.
    Joined {
        /// The member of the first contact.
        via: NodeId,
    },
    /// No join has succeeded yet, and this address has not answered. It comes after 5 s, then after twice the last time up to
    /// ten minutes, until the first contact. The address is tried on.
    SeedSilent {
        /// The address that was given.
        addr: SocketAddr,
        /// The number of Joins that were sent there since the last answer.
        tries: u32,
    },
    /// No join has succeeded yet, and a member of another cluster has answered at this address: `cluster` differs there. It
    /// comes at once, and then again as [`Notice::SeedSilent`] does.
    SeedOfOtherCluster {
        /// The address that was given.
        addr: SocketAddr,
    },
    /// A member changed in the local view. This node is one of the members.
    Member {
        /// How the member changed.
        change: MemberChange,
        /// The member after the change.
        member: Member<'a>,
    },
    /// This node has a new incarnation: after a refutation, after a change of its address or metadata, or because
    /// an earlier process of this member had used a higher one (rule A1).
    Reincarnated {
        /// The new incarnation of this node.
        incarnation: Incarnation,
    },
    /// This node was started without an address and has learnt it from the member that it joined through (rule A6).
    AddressLearnt {
        /// The address that this node now announces.
        addr: SocketAddr,
    },
    /// Another process holds the id of this node, and the node waits for the id: until that process leaves or fails, or
    /// until `membership.name_wait` has passed (rule A2a). Nothing was published under the id. It comes once.
    NameHeld {
        /// The address of the process that holds the id.
        addr: SocketAddr,
        /// The boot number of that process; 0 if the member that was asked does not know it.
        boot: u64,
        /// The incarnation of that process.
        incarnation: Incarnation,
    },
    /// Another process still holds the id of this node after `membership.name_wait`. The node has stopped for good, and
    /// has published nothing (rule A2a).
    NameTaken {
        /// The address of the process that holds the id.
        addr: SocketAddr,
        /// The boot number of that process; 0 if the member that was asked does not know it.
        boot: u64,
        /// The incarnation of that process.
        incarnation: Incarnation,
    },
    /// Another running process uses the id of this node. The one with the greater [`Rank`](crate::Rank) stops (rule A2b).
    IdentityConflict {
        /// The boot number of the other process.
        other: u64,
        /// `true` if it is this node that has stopped.
        stopped: bool,
    },
    /// An operator has removed this member, and the node has stopped for good (rule A7).
    Removed,
    /// The leave is complete, or its time has passed, and the node has stopped.
    Departed {
        /// `true` if `membership.leave_acks` members, or all, have acknowledged the leave.
        acknowledged: bool,
        /// `true` if there was nobody to tell: no other member was alive here, or this node never had its id.
        alone: bool,
    },
    /// A member has another value of a setting that all members must share (rule G4). It stays a member.
    ConfigMismatch {
        /// The member that differs.
        id: NodeId,
        /// The name of the setting.
        field: &'static str,
    },
    /// A member is new, and `membership.admission` says to ask. Without an answer in time it is accepted.
    AdmissionAsked {
        /// The new member; the answer is [`Command::Admit`](crate::Command::Admit) with this id.
        id: NodeId,
    },
    /// A broadcast has arrived, or was submitted here. It comes at most once for each message in one boot of this
    /// node (rules C1, C2).
    Delivered {
        /// The id of the message.
        id: MessageId,
        /// The topic of the message.
        topic: Cow<'a, str>,
        /// The payload of the message.
        payload: Cow<'a, [u8]>,
        /// Over how many hops the message came; 0 at its origin.
        hops: u8,
    },
    /// These broadcasts of one origin exist, and no reachable member could serve them. They will not be delivered
    /// here (rule C1).
    Lost {
        /// The member that sent the broadcasts.
        origin: NodeId,
        /// The epoch of the origin in which it sent them.
        epoch: u64,
        /// The number of the first broadcast that is lost.
        first: u64,
        /// The number of the last broadcast that is lost; all between are lost, too.
        last: u64,
    },
    /// The first phase of an own broadcast in `Push` mode has ended: a majority of its receivers acknowledged it as
    /// new, or `broadcast.ack_timeout` has passed and more members were told that it exists.
    Pushed {
        /// The id of the message.
        id: MessageId,
        /// How many receivers acknowledged it as new to them.
        acked: u8,
        /// How many members it was pushed to.
        contacted: u8,
    },
    /// How far an own broadcast has spread, if its submission asked for reports (rule C6).
    Report {
        /// The id of the message.
        id: MessageId,
        /// The stage that it has reached.
        reached: Reached,
    },
    /// A [`Command::Ping`](crate::Command::Ping) was answered.
    Pong {
        /// The id from the command's answer.
        ping: PingId,
        /// The node that answered.
        id: NodeId,
        /// The time from the try that was answered to its answer.
        round_trip: Duration,
    },
    /// No try of a [`Command::Ping`](crate::Command::Ping) was answered.
    PingFailed {
        /// The id from the command's answer.
        ping: PingId,
        /// The node that was to answer.
        id: NodeId,
    },
}

impl Notice<'_> {
    /// This notice with its fields copied, so that it borrows nothing.
    #[must_use]
    pub fn into_owned(self) -> Notice<'static> {
        match self {
            Self::Member { change, member } => Notice::Member { change, member: member.into_owned() },
            Self::SeedSilent { addr, tries } => Notice::SeedSilent { addr, tries },
            Self::SeedOfOtherCluster { addr } => Notice::SeedOfOtherCluster { addr },
            Self::Joined { via } => Notice::Joined { via },
            Self::Reincarnated { incarnation } => Notice::Reincarnated { incarnation },
            Self::AddressLearnt { addr } => Notice::AddressLearnt { addr },
            Self::NameHeld { addr, boot, incarnation } => Notice::NameHeld { addr, boot, incarnation },
            Self::NameTaken { addr, boot, incarnation } => Notice::NameTaken { addr, boot, incarnation },
            Self::IdentityConflict { other, stopped } => Notice::IdentityConflict { other, stopped },
            Self::Removed => Notice::Removed,
            Self::Departed { acknowledged, alone } => Notice::Departed { acknowledged, alone },
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
