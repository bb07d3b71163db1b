//! Messages that were received before the record of their origin (rule C1). They wait for the record, which is
//! requested from the member that sent them.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Received;
use crate::context::Ctx;
use crate::id::{MessageId, NodeId};
use crate::membership::Peers;
use crate::reconcile::{MEMBERS, Partner};
use crate::time::Time;
use crate::wire::{Item, Want};

/// The number of messages that may wait; beyond it the oldest is dropped, and stays a gap once the origin is known.
const WAITING_MAX: usize = 64;

/// The messages that wait for the record of their origin.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Unattributed {
    oldest_first: VecDeque<Waiting>,
    /// The time at which a record was last requested.
    asked: Option<Time>,
}

/// A message that waits: a [`Received`] that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Waiting {
    from: Partner,
    id: MessageId,
    hops: u8,
    flags: u8,
    item: Box<[u8]>,
}

impl Waiting {
    pub(super) fn received(&self) -> Received<'_> {
        let Self { from, id, hops, flags, .. } = *self;
        let item = Item::read(&self.item).expect("an item was read when it came");
        Received { from, id, hops, flags, item }
    }
}

impl Unattributed {
    /// Keeps a message until the record of its origin is received, and requests the record from the member that sent
    /// the message.
    pub(super) fn add(&mut self, received: &Received<'_>, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        let Received { from, id, hops, flags, item } = *received;
        if self.oldest_first.iter().any(|waiting| waiting.id == id) {
            return;
        }
        self.ask_record(id.origin, from, peers, cx);
        if self.oldest_first.len() == WAITING_MAX {
            self.oldest_first.pop_front();
        }
        self.oldest_first.push_back(Waiting { from, id, hops, flags, item: item.bytes().into() });
    }

    /// Requests the record of an origin from a member, at most once in a call: an answer must not be longer than its
    /// question (rule F6).
    pub(super) fn ask_record(&mut self, id: NodeId, of: Partner, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        if self.asked.replace(cx.now) != Some(cx.now) {
            // The request goes to the address in the member's record, wherever the datagram came from.
            let Some(addr) = peers.receiver(of.id) else { return };
            let (bytes, credit) = (id.0.to_le_bytes(), cx.config.membership.reconcile_credit);
            let mut datagram = cx.datagram(addr, of.id);
            datagram.push(&Want::of(MEMBERS, credit, &bytes).into());
            datagram.send_alone();
        }
    }

    /// Whether messages of this origin wait.
    pub(super) fn has(&self, origin: NodeId) -> bool {
        self.oldest_first.iter().any(|waiting| waiting.id.origin == origin)
    }

    /// Removes and returns the messages of an origin, the oldest first.
    pub(super) fn take(&mut self, origin: NodeId) -> VecDeque<Waiting> {
        let all = core::mem::take(&mut self.oldest_first);
        let (taken, left) = all.into_iter().partition(|waiting| waiting.id.origin == origin);
        self.oldest_first = left;
        taken
    }
}
