//! The outbox: the actions that a node wants done, and one buffer (arena) for their bytes.
//!
//! A cleared outbox keeps its capacity, so a settled node's [`Node::handle_into`](crate::Node::handle_into)
//! allocates nothing.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::ops::Range;

use crate::action::{Action, Member, MemberChange, Notice};
use crate::command::Answer;
use crate::error::Rejected;
use crate::id::{Incarnation, MessageId, NodeId};
use crate::id::{MemberState, Slot};
use crate::wire::Record;

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
///         Action::Notify(_) | Action::Store { .. } | Action::Reseed | Action::WakeAt(_) => {}
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
    pub(super) entries: Vec<Entry>,
    pub(super) arena: Vec<u8>,
    pub(super) sent: Sent,
    pub(super) unfinished: Vec<Unfinished>,
}

/// A datagram of this call that is not finished: it has no checksum yet and can be filled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unfinished {
    /// The index of its action in the outbox.
    pub(super) entry: usize,
    pub(super) receiver: NodeId,
    /// The checksum of the bytes that all datagrams of this node begin with.
    pub(super) prefix: u32,
    /// The number of message bytes that still fit.
    pub(super) room: usize,
}

/// The numbers of datagrams and bytes since the outbox was made.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) datagrams: u64,
    pub(crate) bytes: u64,
}

/// One action. Its parts of variable length are ranges of the arena.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    Send { to: SocketAddr, bytes: Range<usize> },
    Answer(Result<Answer, Rejected>),
    Notify(Notice<'static>),
    Member { change: MemberChange, record: Range<usize>, incarnation: Incarnation, state: MemberState },
    Delivered { id: MessageId, topic: Range<usize>, payload: Range<usize>, hops: u8 },
    Store { slot: Slot, serial: u64, bytes: Range<usize> },
    Reseed,
}

impl Outbox {
    /// Makes an empty outbox.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Removes all actions, and keeps the memory.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.arena.clear();
    }

    /// Whether the outbox holds no actions.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The number of actions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Iterates over the actions in order. They borrow their bytes from the outbox.
    pub fn iter(&self) -> impl Iterator<Item = Action<'_>> {
        self.entries.iter().map(|entry| match entry {
            Entry::Send { to, bytes } => Action::Send { to: *to, bytes: self.bytes(bytes) },
            Entry::Answer(answer) => Action::Answer(answer.clone()),
            Entry::Notify(notice) => Action::Notify(notice.clone()),
            Entry::Member { change, record, incarnation, state } => {
                let record = Record::trusted(&self.arena[record.clone()]);
                Action::Notify(Notice::Member {
                    change: *change,
                    member: Member::new(record, *incarnation, *state),
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
            Entry::Reseed => Action::Reseed,
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

    pub(crate) fn ask_for_seed(&mut self) {
        self.entries.push(Entry::Reseed);
    }

    /// Removes the datagrams of this call.
    pub(crate) fn discard_datagrams(&mut self) {
        for unfinished in self.unfinished.drain(..).rev() {
            self.entries.remove(unfinished.entry);
        }
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.arena.len();
        self.arena.extend_from_slice(bytes);
        start..self.arena.len()
    }
}

const TOPIC: &str = "a topic was text when it was taken";
