//! Datagrams that are being written. A machine begins one and adds its messages; at the end of the call the free room
//! is filled with queued messages, and the checksum is added.

use alloc::vec::Vec;
use core::net::SocketAddr;

use super::outbox::{Entry, Outbox, Unfinished};
use crate::id::NodeId;
use crate::wire::{self, HeaderPrefix, Message, Put as _};

/// A datagram with fewer free bytes than this is not filled.
const FILLED_BYTES_MIN: usize = 16;

impl Outbox {
    /// Begins a datagram of at most `mtu` bytes.
    pub(super) fn datagram(
        &mut self,
        to: SocketAddr,
        receiver: NodeId,
        prefix: &HeaderPrefix,
        sequence: u64,
        mtu: u16,
    ) -> DatagramWriter<'_> {
        let start = self.arena.len();
        prefix.begin(receiver, sequence, &mut self.arena);
        let end = start + usize::from(mtu) - (wire::ENVELOPE_BYTES_MAX - wire::HEADER_BYTES);
        DatagramWriter { out: self, to, receiver, start, end, prefix: prefix.checksum() }
    }

    /// The number of datagrams of this call that are not finished.
    pub(crate) const fn unfinished(&self) -> usize {
        self.unfinished.len()
    }

    /// Opens a datagram of this call again, to fill it; `None` if fewer than 16 bytes are left.
    pub(crate) fn reopen(&mut self, place: usize) -> Option<DatagramFiller<'_>> {
        let Unfinished { entry, receiver, room, .. } = self.unfinished[place];
        let Entry::Send { bytes, .. } = &self.entries[entry] else { return None };
        if room < FILLED_BYTES_MIN {
            return None;
        }
        let start = if bytes.end == self.arena.len() {
            // The last datagram in the arena is extended in place.
            self.arena.truncate(bytes.end - wire::CRC_BYTES);
            bytes.start
        } else {
            let start = self.arena.len();
            self.arena.extend_from_within(bytes.start..bytes.end - wire::CRC_BYTES);
            start
        };
        let end = self.arena.len() + room;
        Some(DatagramFiller { out: self, entry, receiver, start, end })
    }

    /// Adds the checksum to every datagram of this call.
    pub(crate) fn finish(&mut self) {
        for Unfinished { entry, prefix, .. } in self.unfinished.drain(..) {
            let Entry::Send { bytes, .. } = &self.entries[entry] else { continue };
            wire::finish(&mut self.arena[bytes.clone()], prefix);
            self.sent.datagrams += 1;
            self.sent.bytes += bytes.len() as u64;
        }
    }
}

/// A datagram that is being written. If it is dropped without being sent, it leaves only unused bytes in the arena.
#[derive(Debug)]
pub(crate) struct DatagramWriter<'a> {
    out: &'a mut Outbox,
    to: SocketAddr,
    receiver: NodeId,
    start: usize,
    end: usize,
    prefix: u32,
}

impl DatagramWriter<'_> {
    /// The number of message bytes that still fit.
    pub(crate) const fn room(&self) -> usize {
        self.end - self.out.arena.len()
    }

    /// Allows at most `bytes` further bytes of messages.
    pub(crate) fn limit(&mut self, bytes: usize) {
        self.end = self.end.min(self.out.arena.len() + bytes);
    }

    /// The number of message bytes so far.
    pub(crate) const fn len(&self) -> usize {
        self.out.arena.len() - self.start - wire::HEADER_BYTES
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes all messages after the first `len` bytes.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.out.arena.truncate(self.start + wire::HEADER_BYTES + len);
    }

    /// Adds a message. Returns false, and adds nothing, if it does not fit.
    pub(crate) fn push(&mut self, message: &Message<'_>) -> bool {
        push(&mut self.out.arena, self.end, message)
    }

    /// Sends the datagram. At the end of the call its free room is filled with queued messages.
    pub(crate) fn send(self) {
        let room = self.room();
        self.close(room);
    }

    /// Sends the datagram without filling it: because the address may not be its receiver's (rule F6), or because
    /// updates behind its messages would be taken for part of them.
    pub(crate) fn send_alone(self) {
        self.close(0);
    }

    fn close(self, room: usize) {
        let Self { out, to, receiver, start, prefix, .. } = self;
        out.arena.put(&[0; wire::CRC_BYTES]);
        out.unfinished.push(Unfinished { entry: out.entries.len(), receiver, prefix, room });
        out.entries.push(Entry::Send { to, bytes: start..out.arena.len() });
    }
}

/// A datagram of this call whose free room is being filled.
#[derive(Debug)]
pub(crate) struct DatagramFiller<'a> {
    out: &'a mut Outbox,
    entry: usize,
    receiver: NodeId,
    start: usize,
    end: usize,
}

impl DatagramFiller<'_> {
    /// The member that receives the datagram.
    pub(crate) const fn receiver(&self) -> NodeId {
        self.receiver
    }

    /// The number of message bytes that still fit.
    pub(crate) const fn room(&self) -> usize {
        self.end - self.out.arena.len()
    }

    /// Adds a message if it fits into `allowance` bytes, and then subtracts its length from `allowance`.
    pub(crate) fn push(&mut self, message: &Message<'_>, allowance: &mut usize) -> bool {
        let before = self.out.arena.len();
        let fits = push(&mut self.out.arena, self.end.min(before + *allowance), message);
        *allowance -= self.out.arena.len() - before;
        fits
    }

    /// Closes the datagram with the messages that were added.
    pub(crate) fn close(self) {
        let Self { out, entry, start, .. } = self;
        out.arena.put(&[0; wire::CRC_BYTES]);
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
