//! What a node wants done: actions, and one arena for their bytes.
//!
//! A cleared outbox keeps its capacity, so a settled node's [`Node::handle_into`](crate::Node::handle_into)
//! allocates nothing.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::ops::Range;

use crate::action::{Action, Change, Member, Notice, State};
use crate::command::Answer;
use crate::error::Rejected;
use crate::event::Slot;
use crate::id::{Incarnation, NodeId};
use crate::wire::{self, Letterhead, Message, Record};

/// Collects the actions of one or more calls of `handle_into`, in order.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    entries: Vec<Entry>,
    arena: Vec<u8>,
    sent: Sent,
}

/// Datagrams and bytes since the outbox was made.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) datagrams: u64,
    pub(crate) bytes: u64,
}

#[derive(Clone, Debug)]
enum Entry {
    Send { to: SocketAddr, bytes: Range<usize> },
    Answer(Result<Answer, Rejected>),
    Notify(Notice<'static>),
    Member { change: Change, record: Range<usize>, incarnation: Incarnation, state: State },
    Store { slot: Slot, serial: u64, bytes: Range<usize> },
}

impl Outbox {
    /// An empty outbox.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets all actions, and keeps the memory.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.arena.clear();
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many actions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The actions in order, borrowing their bytes.
    pub fn iter(&self) -> impl Iterator<Item = Action<'_>> {
        self.entries.iter().map(|entry| match entry {
            Entry::Send { to, bytes } => Action::Send { to: *to, bytes: self.bytes(bytes) },
            Entry::Answer(answer) => Action::Answer(answer.clone()),
            Entry::Notify(notice) => Action::Notify(notice.clone()),
            Entry::Member { change, record, incarnation, state } => {
                let record = Record::trusted(&self.arena[record.clone()]);
                Action::Notify(Notice::Member {
                    change: *change,
                    member: member(record, *incarnation, *state),
                })
            }
            Entry::Store { slot, serial, bytes } => {
                Action::Store { slot: *slot, serial: *serial, bytes: self.bytes(bytes) }
            }
        })
    }

    fn bytes(&self, range: &Range<usize>) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.arena[range.clone()])
    }

    pub(crate) const fn sent(&self) -> Sent {
        self.sent
    }

    pub(crate) fn answer(&mut self, answer: Result<Answer, Rejected>) {
        self.entries.push(Entry::Answer(answer));
    }

    pub(crate) fn notify(&mut self, notice: Notice<'static>) {
        self.entries.push(Entry::Notify(notice));
    }

    pub(crate) fn notify_member(
        &mut self,
        change: Change,
        record: &[u8],
        incarnation: Incarnation,
        state: State,
    ) {
        let record = self.keep(record);
        self.entries.push(Entry::Member { change, record, incarnation, state });
    }

    pub(crate) fn store(&mut self, slot: Slot, serial: u64, bytes: &[u8]) {
        let bytes = self.keep(bytes);
        self.entries.push(Entry::Store { slot, serial, bytes });
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.arena.len();
        self.arena.extend_from_slice(bytes);
        start..self.arena.len()
    }

    /// Opens a datagram of at most `mtu` bytes.
    pub(crate) fn letter(&mut self, to: SocketAddr, envelope: Envelope<'_>, mtu: u16) -> Letter<'_> {
        let start = self.arena.len();
        envelope.head.begin(envelope.receiver, envelope.sequence, &mut self.arena);
        let end = start + usize::from(mtu) - (wire::ENVELOPE_BYTES_MAX - wire::HEADER_BYTES);
        Letter { out: self, to, start, end, head: envelope.head.checksum() }
    }
}

/// What stands around the messages of one datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Envelope<'a> {
    pub(crate) head: &'a Letterhead,
    pub(crate) receiver: NodeId,
    pub(crate) sequence: u64,
}

pub(crate) fn member(record: Record<'_>, incarnation: Incarnation, state: State) -> Member<'_> {
    let fields = record.fields();
    Member {
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

/// A datagram being packed. Dropped unsent it leaves nothing behind but unused arena bytes.
#[derive(Debug)]
pub(crate) struct Letter<'a> {
    out: &'a mut Outbox,
    to: SocketAddr,
    start: usize,
    end: usize,
    /// The letterhead's checksum.
    head: u32,
}

impl Letter<'_> {
    /// Bytes of messages that still fit.
    pub(crate) const fn room(&self) -> usize {
        self.end - self.out.arena.len()
    }

    /// No more than so many bytes of messages from here on.
    pub(crate) fn limit(&mut self, bytes: usize) {
        self.end = self.end.min(self.out.arena.len() + bytes);
    }

    /// Bytes of messages so far.
    pub(crate) const fn len(&self) -> usize {
        self.out.arena.len() - self.start - wire::HEADER_BYTES
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a message if it fits.
    pub(crate) fn push(&mut self, message: &Message<'_>) -> bool {
        let before = self.out.arena.len();
        message.encode(&mut self.out.arena);
        if self.out.arena.len() > self.end {
            self.out.arena.truncate(before);
            return false;
        }
        true
    }

    pub(crate) fn send(self) {
        wire::finish(&mut self.out.arena, self.start, self.head);
        let bytes = self.start..self.out.arena.len();
        self.out.sent.datagrams += 1;
        self.out.sent.bytes += bytes.len() as u64;
        self.out.entries.push(Entry::Send { to: self.to, bytes });
    }
}
