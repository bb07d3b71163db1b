//! Datagrams for people: one line a message, for traces, hooks by message kind, and the simulator's timeline.

use core::fmt;

use super::envelope::{Header, Messages, open};
use super::fragment::ItemId;
use super::gossip::Gossip;
use super::message::Message;
use crate::action::MemberState;
use crate::error::DecodeError;

/// The kind of a message, for counting and filtering.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is the variant of `Message` with the same name")]
pub enum Kind {
    Ping,
    Ack,
    PingReq,
    Nack,
    RelayedAck,
    Alive,
    Verdict,
    Accused,
    Join,
    JoinEcho,
    JoinAnswer,
    Compare,
    Items,
    Want,
    Delta,
    Publish,
    Part,
    IHave,
    Request,
    RequestParts,
    Digest,
    Gone,
    Lack,
    PushAck,
    Prune,
    Receipt,
    ReceiptRequest,
    Mark,
    Unknown,
}

impl Kind {
    /// Every kind, in the order of the tags.
    pub const ALL: [Self; 29] = [
        Self::Ping,
        Self::Ack,
        Self::PingReq,
        Self::Nack,
        Self::RelayedAck,
        Self::Alive,
        Self::Verdict,
        Self::Accused,
        Self::Join,
        Self::JoinEcho,
        Self::JoinAnswer,
        Self::Compare,
        Self::Items,
        Self::Want,
        Self::Delta,
        Self::Publish,
        Self::Part,
        Self::IHave,
        Self::Request,
        Self::RequestParts,
        Self::Digest,
        Self::Gone,
        Self::Lack,
        Self::PushAck,
        Self::Prune,
        Self::Receipt,
        Self::ReceiptRequest,
        Self::Mark,
        Self::Unknown,
    ];

    /// Its name in lower case, as commands and traces spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Ack => "ack",
            Self::PingReq => "ping-req",
            Self::Nack => "nack",
            Self::RelayedAck => "relayed-ack",
            Self::Alive => "alive",
            Self::Verdict => "verdict",
            Self::Accused => "accused",
            Self::Join => "join",
            Self::JoinEcho => "join-echo",
            Self::JoinAnswer => "join-answer",
            Self::Compare => "compare",
            Self::Items => "items",
            Self::Want => "want",
            Self::Delta => "delta",
            Self::Publish => "publish",
            Self::Part => "part",
            Self::IHave => "i-have",
            Self::Request => "request",
            Self::RequestParts => "request-parts",
            Self::Digest => "digest",
            Self::Gone => "gone",
            Self::Lack => "lack",
            Self::PushAck => "push-ack",
            Self::Prune => "prune",
            Self::Receipt => "receipt",
            Self::ReceiptRequest => "receipt-request",
            Self::Mark => "mark",
            Self::Unknown => "unknown",
        }
    }
}

impl Message<'_> {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Ping { .. } => Kind::Ping,
            Self::Ack { .. } => Kind::Ack,
            Self::PingReq { .. } => Kind::PingReq,
            Self::Nack { .. } => Kind::Nack,
            Self::RelayedAck { .. } => Kind::RelayedAck,
            Self::Alive(_) => Kind::Alive,
            Self::Verdict(_) => Kind::Verdict,
            Self::Accused(_) => Kind::Accused,
            Self::Join(_) => Kind::Join,
            Self::JoinEcho { .. } => Kind::JoinEcho,
            Self::JoinAnswer(_) => Kind::JoinAnswer,
            Self::Compare(_) => Kind::Compare,
            Self::Items(_) => Kind::Items,
            Self::Want(_) => Kind::Want,
            Self::Delta { .. } => Kind::Delta,
            Self::Gossip(gossip) => gossip.kind(),
            Self::Unknown { .. } => Kind::Unknown,
        }
    }
}

impl Gossip<'_> {
    const fn kind(&self) -> Kind {
        match self {
            Self::Publish { .. } => Kind::Publish,
            Self::Part { .. } => Kind::Part,
            Self::IHave(_) => Kind::IHave,
            Self::Request { .. } => Kind::Request,
            Self::RequestParts { .. } => Kind::RequestParts,
            Self::Digest(_) => Kind::Digest,
            Self::Gone(_) => Kind::Gone,
            Self::Lack(_) => Kind::Lack,
            Self::PushAck(_) => Kind::PushAck,
            Self::Prune => Kind::Prune,
            Self::Receipt(_) => Kind::Receipt,
            Self::ReceiptRequest(_) => Kind::ReceiptRequest,
            Self::Mark { .. } => Kind::Mark,
        }
    }
}

/// What follows the name of its kind.
impl fmt::Display for Gossip<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Publish { id, hops, .. } => write!(f, " {id} hop {hops}"),
            Self::Part { part, .. } => {
                let ItemId { owner, epoch, seq } = part.item;
                write!(f, " {owner}:{epoch}:{seq} {}/{}", part.index + 1, part.count)
            }
            Self::RequestParts { id, missing } => write!(f, " {} of {id}", missing.count_ones()),
            Self::Digest(digest) => {
                let kind = if digest.is_pull() { " (pull)" } else { "" };
                write!(f, " {} origins{kind}", digest.entries().count())
            }
            Self::IHave(runs)
            | Self::Request { runs, .. }
            | Self::Gone(runs)
            | Self::Lack(runs)
            | Self::PushAck(runs)
            | Self::Receipt(runs)
            | Self::ReceiptRequest(runs) => runs.iter().try_for_each(|run| {
                write!(f, " {}:{}:{}", run.origin, run.epoch, run.first)?;
                if run.last > run.first { write!(f, "-{}", run.last) } else { Ok(()) }
            }),
            Self::Prune => Ok(()),
            Self::Mark { origin, epoch, top, .. } => write!(f, " {origin}:{epoch}:{top}"),
        }
    }
}

/// A datagram with a good envelope, ready to print: `n1@5.0 -> n2 #9: ping 4, suspect n3@7.1 by n1`.
#[derive(Clone, Copy, Debug)]
pub struct Described<'a> {
    /// The envelope.
    pub header: Header,
    messages: Messages<'a>,
}

impl Described<'_> {
    /// The kinds of its messages, in order; it ends at the first unreadable one.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.messages.map_while(Result::ok).map(|message| message.kind())
    }
}

/// Reads any datagram, of whatever cluster, for printing.
///
/// # Errors
/// The envelope is not readable.
pub fn describe(bytes: &[u8]) -> Result<Described<'_>, DecodeError> {
    let tag = bytes.get(8..16).and_then(|tag| tag.try_into().ok()).map(u64::from_le_bytes);
    let datagram = open(bytes, tag.ok_or(DecodeError::Truncated)?)?;
    Ok(Described { header: datagram.header, messages: datagram.messages })
}

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Header { sender, incarnation, receiver, sequence, .. } = self.header;
        write!(f, "{sender}@{incarnation} -> {receiver} #{sequence}:")?;
        for (i, message) in self.messages.enumerate() {
            f.write_str(if i == 0 { " " } else { ", " })?;
            match message {
                Ok(message) => write!(f, "{message}")?,
                Err(error) => write!(f, "({error})")?,
            }
        }
        Ok(())
    }
}

const fn state_name(state: MemberState) -> &'static str {
    match state {
        MemberState::Alive => "alive",
        MemberState::Suspect => "suspect",
        MemberState::Down => "down",
        MemberState::Left => "left",
    }
}

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.kind().name();
        match self {
            Self::Ping { seq, .. } | Self::Ack { seq, .. } | Self::Nack { seq } => write!(f, "{name} {seq}"),
            Self::PingReq { seq, target, .. } => write!(f, "{name} {seq} for {target}"),
            Self::RelayedAck { seq, author, incarnation } => {
                write!(f, "{name} {seq} of {author}@{incarnation}")
            }
            Self::Alive(record) => write!(f, "{name} {}@{}", record.id(), record.incarnation()),
            Self::Verdict(verdict) => {
                let removed = if verdict.removed { " (removed)" } else { "" };
                let state = state_name(verdict.state);
                write!(f, "{state} {}@{} by {}{removed}", verdict.id, verdict.incarnation, verdict.author)
            }
            Self::Accused(accused) => {
                write!(f, "{name} {}@{}", state_name(accused.state), accused.incarnation)
            }
            Self::Join(join) => write!(f, "{name} {}@{}", join.record.id(), join.record.incarnation()),
            Self::JoinEcho { seen, .. } => write!(f, "{name} to {seen}"),
            Self::JoinAnswer(answer) => write!(f, "{name} ({} members)", answer.members),
            Self::Compare(compare) => write!(f, "{name} {} ranges", compare.ranges().count()),
            Self::Items(items) => {
                write!(f, "{name} {}", items.ranges().flat_map(|range| range.iter()).count())
            }
            Self::Want(want) => write!(f, "{name} {}", want.ids().count()),
            Self::Delta { table } => write!(f, "{name} {table}"),
            Self::Gossip(gossip) => write!(f, "{name}{gossip}"),
            Self::Unknown { tag } => write!(f, "{name} {tag}"),
        }
    }
}
