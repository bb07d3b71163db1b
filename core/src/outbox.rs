//! What a node wants done: actions, and one arena for their bytes.
//!
//! A cleared outbox keeps its capacity, so a settled node's [`Node::handle_into`](crate::Node::handle_into)
//! allocates nothing.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::ops::Range;

use crate::action::{Action, Member, MemberChange, MemberState, Notice};
use crate::command::Answer;
use crate::error::Rejected;
use crate::event::Slot;
use crate::id::{Incarnation, MessageId, NodeId};
use crate::wire::{self, Letterhead, Message, Put as _, Record};

/// The actions of one or more calls of [`Node::handle_into`](crate::Node::handle_into), in order.
///
/// A driver carries them out and clears the outbox, which keeps its memory for the next call:
///
/// ```
/// use bruit_core::{Action, Boot, Command, Config, Event, Node, NodeId, Outbox, Time};
///
/// let boot = Boot::new(NodeId::from_name("web-1"), "web-1", "127.0.0.1:7000".parse()?, 1, [7; 32]);
/// let mut node = Node::new(boot, Config::lan("docs"), Time::ZERO)?;
/// let seeds = vec!["127.0.0.1:7001".parse()?];
///
/// let mut out = Outbox::new();
/// node.handle_into(Event::Command(Command::Join { seeds }), Time::ZERO, &mut out);
/// let mut sent = 0;
/// for action in out.iter() {
///     match action {
///         Action::Send { bytes, .. } => sent += bytes.len(), // socket.send_to(&bytes, to)
///         Action::Answer(answer) => assert!(answer.is_ok()),
///         Action::Notify(_) | Action::Store { .. } | Action::WakeAt(_) => {}
///     }
/// }
/// assert!(sent > 0);
/// out.clear();
/// assert!(out.is_empty() && node.next_wake().is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A handler that needs `&mut self` while it walks its outbox takes it out first, with [`core::mem::take`].
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    entries: Vec<Entry>,
    arena: Vec<u8>,
    sent: Sent,
    drafts: Vec<Draft>,
}

/// A datagram that is not sealed yet.
#[derive(Clone, Copy, Debug)]
struct Draft {
    entry: usize,
    receiver: NodeId,
    /// The letterhead's checksum.
    head: u32,
    /// Bytes of messages that still fit.
    room: usize,
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
    Member { change: MemberChange, record: Range<usize>, incarnation: Incarnation, state: MemberState },
    Delivered { id: MessageId, topic: Range<usize>, payload: Range<usize>, hops: u8 },
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
            Entry::Delivered { id, topic, payload, hops } => Action::Notify(Notice::Delivered {
                id: *id,
                topic: Cow::Borrowed(core::str::from_utf8(&self.arena[topic.clone()]).expect(TOPIC)),
                payload: self.bytes(payload),
                hops: *hops,
            }),
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
        change: MemberChange,
        record: &[u8],
        incarnation: Incarnation,
        state: MemberState,
    ) {
        let record = self.keep(record);
        self.entries.push(Entry::Member { change, record, incarnation, state });
    }

    pub(crate) fn deliver(&mut self, id: MessageId, topic: &str, payload: &[u8], hops: u8) {
        let (topic, payload) = (self.keep(topic.as_bytes()), self.keep(payload));
        self.entries.push(Entry::Delivered { id, topic, payload, hops });
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
    pub(crate) fn letter(
        &mut self,
        to: SocketAddr,
        receiver: NodeId,
        head: &Letterhead,
        sequence: u64,
        mtu: u16,
    ) -> Letter<'_> {
        let start = self.arena.len();
        head.begin(receiver, sequence, &mut self.arena);
        let end = start + usize::from(mtu) - (wire::ENVELOPE_BYTES_MAX - wire::HEADER_BYTES);
        Letter { out: self, to, receiver, start, end, head: head.checksum() }
    }

    /// How many datagrams of this call are not sealed yet.
    pub(crate) const fn drafts(&self) -> usize {
        self.drafts.len()
    }

    /// Opens a datagram of this call again, to fill what is left of it: nothing if there is no room worth the name.
    pub(crate) fn reopen(&mut self, draft: usize) -> Option<Refill<'_>> {
        let Draft { entry, receiver, room, .. } = self.drafts[draft];
        if room < REFILL_BYTES_MIN {
            return None;
        }
        let Entry::Send { bytes, .. } = &self.entries[entry] else { return None };
        let (start, old) = (self.arena.len(), bytes.start..bytes.end - wire::CRC_BYTES);
        self.arena.extend_from_within(old);
        let filled = self.arena.len();
        Some(Refill { out: self, draft, receiver, start, filled, end: filled + room })
    }

    /// Puts the checksum under every datagram of this call.
    pub(crate) fn seal(&mut self) {
        for Draft { entry, head, .. } in self.drafts.drain(..) {
            let Entry::Send { bytes, .. } = &self.entries[entry] else { continue };
            wire::finish(&mut self.arena[bytes.clone()], head);
            self.sent.datagrams += 1;
            self.sent.bytes += bytes.len() as u64;
        }
    }
}

const TOPIC: &str = "a topic was text when it was taken";

/// Less room than this in a datagram is left empty.
const REFILL_BYTES_MIN: usize = 16;

pub(crate) fn member(record: Record<'_>, incarnation: Incarnation, state: MemberState) -> Member<'_> {
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
    receiver: NodeId,
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

    /// Takes back all but the first so many bytes of messages.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.out.arena.truncate(self.start + wire::HEADER_BYTES + len);
    }

    /// Adds a message if it fits.
    pub(crate) fn push(&mut self, message: &Message<'_>) -> bool {
        push(&mut self.out.arena, self.end, message)
    }

    /// Sends it; at the end of the call it is filled with what waits to be spread.
    pub(crate) fn send(self) {
        let room = self.room();
        self.close(room);
    }

    /// Sends it as it is: to somebody who is not known to be who it claims (rule F6).
    pub(crate) fn send_alone(self) {
        self.close(0);
    }

    fn close(self, room: usize) {
        let Self { out, to, receiver, start, head, .. } = self;
        out.arena.put(&[0; wire::CRC_BYTES]);
        out.drafts.push(Draft { entry: out.entries.len(), receiver, head, room });
        out.entries.push(Entry::Send { to, bytes: start..out.arena.len() });
    }
}

/// A datagram of this call that is opened again, to be filled.
#[derive(Debug)]
pub(crate) struct Refill<'a> {
    out: &'a mut Outbox,
    draft: usize,
    receiver: NodeId,
    start: usize,
    filled: usize,
    end: usize,
}

impl Refill<'_> {
    /// Who will read it.
    pub(crate) const fn receiver(&self) -> NodeId {
        self.receiver
    }

    /// Bytes of messages that still fit.
    pub(crate) const fn room(&self) -> usize {
        self.end - self.out.arena.len()
    }

    /// Adds a message if no more than `allowance` bytes have been added before and with it.
    pub(crate) fn push(&mut self, message: &Message<'_>, allowance: &mut usize) -> bool {
        let before = self.out.arena.len();
        let fits = push(&mut self.out.arena, self.end.min(before + *allowance), message);
        *allowance -= self.out.arena.len() - before;
        fits
    }

    /// Puts it back in its place.
    pub(crate) fn close(self) {
        let Self { out, draft, start, filled, .. } = self;
        if out.arena.len() == filled {
            return out.arena.truncate(start);
        }
        out.arena.put(&[0; wire::CRC_BYTES]);
        let entry = out.drafts[draft].entry;
        if let Entry::Send { bytes, .. } = &mut out.entries[entry] {
            *bytes = start..out.arena.len();
        }
    }
}

fn push(arena: &mut Vec<u8>, end: usize, message: &Message<'_>) -> bool {
    let before = arena.len();
    message.encode(arena);
    if arena.len() > end {
        arena.truncate(before);
        return false;
    }
    true
}
