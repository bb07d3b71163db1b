//! What the other sub-machines may know of the group: who can be sent something, and where it lives. The local view
//! counts, not the table (rule B5): nobody who is hidden from the application is sent anything.

use core::net::SocketAddr;

use super::Membership;
use super::table::Entry;
use crate::action::MemberState;
use crate::boot::Phase;
use crate::id::NodeId;
use crate::rng::Rng;

impl Membership {
    /// Where another member is reached; `None` if it is not alive, or hidden.
    pub(crate) fn receiver(&self, id: NodeId) -> Option<SocketAddr> {
        self.table.get(id).filter(|entry| id != self.me.id && is_receiver(entry)).and_then(Entry::addr)
    }

    /// The others that can be sent something, by id.
    pub(crate) fn receivers(&self) -> impl Iterator<Item = NodeId> {
        let others = self.table.iter().filter(|entry| entry.id != self.me.id && is_receiver(entry));
        others.map(|entry| entry.id)
    }

    /// The same of those that nobody doubts.
    pub(crate) fn receivers_alive(&self) -> impl Iterator<Item = NodeId> {
        self.receivers()
            .filter(|id| self.table.get(*id).is_some_and(|entry| entry.state() == MemberState::Alive))
    }

    /// How many there are, hidden ones included.
    pub(crate) fn others(&self) -> usize {
        self.table.probed()
    }

    /// Up to `count` distinct receivers that are `welcome`, at random, appended to `chosen`.
    pub(crate) fn choose_receivers(
        &self,
        count: usize,
        rng: &mut Rng,
        chosen: &mut alloc::vec::Vec<NodeId>,
        welcome: impl Fn(NodeId) -> bool,
    ) {
        self.table.choose_where(count, rng, chosen, |entry| is_receiver(entry) && welcome(entry.id));
    }

    /// Whether the member's record is known and still shared (rule C1).
    pub(crate) fn is_origin(&self, id: NodeId) -> bool {
        self.table.get(id).is_some_and(|entry| entry.record().is_some())
    }

    /// Whether the application may see what it says.
    pub(crate) fn is_visible(&self, id: NodeId) -> bool {
        self.table.get(id).is_some_and(|entry| !entry.flags.hidden && !entry.flags.foreign)
    }

    /// The zone of a member; empty if it has none or is not known.
    pub(crate) fn zone(&self, id: NodeId) -> &str {
        self.table.get(id).and_then(Entry::record).map_or("", |record| record.fields().zone)
    }

    /// Whether somebody knows this node's epoch, or there is nobody to know it (rule A1).
    pub(crate) fn is_admitted(&self) -> bool {
        self.joined || self.contacts.only(self.me.addr)
    }

    pub(crate) const fn is_in_group(&self) -> bool {
        matches!(self.phase, Phase::Running)
    }
}

fn is_receiver(entry: &Entry) -> bool {
    entry.is_live() && entry.is_shown()
}
