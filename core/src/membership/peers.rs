//! The questions that other machines may ask of membership: which members can be sent something, where, and what this
//! node may do.
//!
//! Every machine beside membership takes a [`Peers`] and never the membership itself, so this file holds all that they
//! know of it. The answers come from the local view and not from the table (rule B5): a member that is hidden from the
//! application is sent nothing.

use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use super::Membership;
use super::table::Entry;
use crate::boot::Phase;
use crate::config::Config;
use crate::error::Rejected;
use crate::estimate::Estimate;
use crate::id::{MemberState, NodeId};
use crate::rng::Rng;

/// The other members, as a machine beside membership sees them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peers<'a> {
    membership: &'a Membership,
}

impl Membership {
    /// The members as the other machines see them.
    pub(crate) const fn peers(&self) -> Peers<'_> {
        Peers { membership: self }
    }
}

impl<'a> Peers<'a> {
    /// The address of another member; `None` if the member is not live, or hidden.
    pub(crate) fn receiver(self, id: NodeId) -> Option<SocketAddr> {
        let entry = self.membership.table.get(id).filter(|entry| self.is_receiver(entry));
        entry.and_then(Entry::addr)
    }

    /// The other members that can be sent something, in the order of their ids.
    pub(crate) fn receivers(self) -> impl Iterator<Item = NodeId> + 'a {
        self.membership.table.iter().filter(move |entry| self.is_receiver(entry)).map(|entry| entry.id)
    }

    /// The receivers that are not suspected, in the order of their ids.
    pub(crate) fn receivers_alive(self) -> impl Iterator<Item = NodeId> + 'a {
        let alive = |entry: &&Entry| entry.state() == MemberState::Alive;
        self.membership
            .table
            .iter()
            .filter(move |entry| self.is_receiver(entry))
            .filter(alive)
            .map(|entry| entry.id)
    }

    /// Draws up to `count` distinct receivers for which `welcome` is true, at random, and appends them to `chosen`.
    pub(crate) fn choose(
        self,
        count: usize,
        rng: &mut Rng,
        chosen: &mut Vec<NodeId>,
        welcome: impl Fn(NodeId) -> bool,
    ) {
        let table = &self.membership.table;
        table.choose_where(count, rng, chosen, |entry| self.is_receiver(entry) && welcome(entry.id));
    }

    /// The number of other members that are alive or suspected and within the protocol range, hidden ones included.
    pub(crate) fn others(self) -> usize {
        self.membership.table.probed()
    }

    /// The root of the member table. A value derived from the set of members is valid as long as the root stays the
    /// same.
    pub(crate) const fn root(self) -> u64 {
        self.membership.root()
    }

    /// Whether the member's record is known and still spread, so that broadcasts of the member are accepted (rule C1).
    pub(crate) fn is_origin(self, id: NodeId) -> bool {
        self.membership.table.get(id).is_some_and(|entry| entry.record().is_some())
    }

    /// Whether the application may see the data of this member.
    pub(crate) fn is_visible(self, id: NodeId) -> bool {
        self.membership.table.get(id).is_some_and(Entry::is_visible)
    }

    /// The zone of a member; empty if it has none or is not known.
    pub(crate) fn zone(self, id: NodeId) -> &'a str {
        self.membership.table.get(id).and_then(Entry::record).map_or("", |record| record.fields().zone)
    }

    /// The time in which a fresh update reaches every member.
    pub(crate) fn spread_time(self, config: &Config) -> Duration {
        spread_time(config, self.membership.group_size())
    }

    /// Whether this node runs: it has started, and it is neither leaving nor stopped.
    pub(crate) const fn is_in_group(self) -> bool {
        matches!(self.membership.phase, Phase::Running)
    }

    /// Whether this node may issue data of its own.
    ///
    /// # Errors
    /// The node does not run, or no member knows its epoch yet although there are addresses to join through (rule A1).
    pub(crate) fn may_publish(self) -> Result<(), Rejected> {
        self.membership.must_run()?;
        let Membership { contacts, own, .. } = self.membership;
        if contacts.joined || contacts.only(own.addr) { Ok(()) } else { Err(Rejected::NotJoined) }
    }

    fn is_receiver(self, entry: &Entry) -> bool {
        entry.id != self.membership.own.id && entry.is_live() && entry.is_shown()
    }
}

/// The time in which a fresh update reaches every member of a group of `members`.
pub(super) fn spread_time(config: &Config, members: u32) -> Duration {
    Estimate::new(config, members).spread + config.membership.gossip_interval * 2
}
