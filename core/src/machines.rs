//! The machines of a node, and the one order in which they work. This file only routes: it says which machine handles
//! which event, and in which order.
//!
//! Every event is one pass: the event goes to its machine, the signals that it caused go to the siblings, and at the
//! end the free room in the datagrams of the call is filled with queued updates and broadcasts. Each machine owns its
//! state, its deadlines and its random numbers. Machines beside membership see the group through
//! [`Peers`](crate::membership::Peers) and never hold a sibling.

use core::net::SocketAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::boot::Boot;
use crate::broadcast::Broadcast;
use crate::command::{Answer, Command};
use crate::config::Config;
use crate::context::{Ctx, Signal};
use crate::deadlines::soonest;
use crate::error::{ConfigError, Rejected};
use crate::id::Slot;
use crate::link::{Packed, Shares};
use crate::membership::{Arrival, Membership};
use crate::reconcile::{MARKS, MEMBERS, TABLES};
use crate::rng::{Rng, Stream};
use crate::time::Time;
use crate::wire::{Message, Standing};

/// The machines, and the shares of a datagram that each of them is owed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Machines {
    pub(crate) membership: Membership,
    pub(crate) broadcast: Broadcast,
    shares: Shares,
}

/// The classes that share the room of a datagram: the machines that queue messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Membership,
    Broadcast,
}

impl Class {
    const ALL: [Self; 2] = [Self::Membership, Self::Broadcast];
}

impl Machines {
    pub(crate) fn new(boot: Boot, config: &Config, now: Time) -> Result<Self, ConfigError> {
        let epoch = boot.epoch(Rng::new(boot.seed, Stream::Epoch).next_u64())?;
        let broadcast = Broadcast::new(&boot, epoch, config, now)?;
        let membership = Membership::new(boot, epoch, config, now);
        Ok(Self { membership, broadcast, shares: Shares::new(Class::ALL.len()) })
    }

    /// The roots (fingerprints) of all tables that are reconciled, by table number; 0 for a table that does not exist.
    pub(crate) const fn roots(&self) -> [u64; TABLES] {
        [self.membership.root(), 0, self.broadcast.marks_root()]
    }

    /// The time at which the next deadline of any machine is due.
    pub(crate) fn next_wake(&self) -> Option<Time> {
        let broadcast = if self.membership.awaits_seed() { None } else { self.broadcast.next_wake() };
        soonest(self.membership.next_wake(), broadcast)
    }

    /// Lets membership detect that this call comes late, before the event itself is handled (rule B7).
    pub(crate) fn before_event(&mut self, cx: &mut Ctx<'_>) {
        let wake = self.next_wake();
        self.membership.before_event(wake, cx);
    }

    pub(crate) fn on_datagram(&mut self, from: SocketAddr, bytes: &[u8], cx: &mut Ctx<'_>) {
        cx.stats.datagrams_received += 1;
        cx.stats.bytes_received += bytes.len() as u64;
        if !self.membership.is_listening() {
            cx.stats.dropped_stopped += 1;
            return;
        }
        let Some(datagram) = cx.link.open(bytes, cx.stats) else {
            if let Some(datagram) = cx.link.open_foreign(bytes) {
                self.membership.on_other_cluster(datagram, from, cx);
            }
            return;
        };
        if self.membership.is_about_name(datagram.header.sender) {
            return self.membership.on_name_datagram(&datagram, from, bytes.len(), cx);
        }
        let mut arrival = self.membership.on_header(&datagram.header, from, bytes.len(), cx);
        for (place, message) in datagram.messages.enumerate() {
            let alone = message.as_ref().is_ok_and(|message| message.kind().stands_alone());
            match message {
                Ok(_) if alone && place > 0 => cx.stats.dropped_invalid += 1,
                Ok(message) => self.on_message(&mut arrival, &message, cx),
                Err(error) => cx.stats.count_undecodable(error),
            }
            self.drain(cx);
            if (alone && place == 0) || !self.membership.is_listening() {
                return;
            }
        }
        self.membership.answer(&arrival, cx);
    }

    /// Passes a message to its machine, or counts and ignores it if its sender is not trusted enough for this kind of
    /// message.
    fn on_message(&mut self, arrival: &mut Arrival, message: &Message<'_>, cx: &mut Ctx<'_>) {
        let standing = arrival.standing();
        if standing < message.kind().standing() {
            let counter = match standing {
                Standing::Stale => &mut cx.stats.ignored_stale,
                Standing::Unknown | Standing::Member | Standing::Validated => {
                    &mut cx.stats.ignored_unknown_sender
                }
            };
            *counter += 1;
            return;
        }
        let Self { membership, broadcast, .. } = self;
        let from = arrival.partner();
        match message {
            Message::Swim(message) => membership.on_message(arrival, message, cx),
            Message::Reconcile(message) => match message.table() {
                MEMBERS => membership.on_reconcile(arrival, message, cx),
                MARKS => broadcast.on_reconcile(from, message, cx),
                _ => cx.stats.ignored_unknown += 1,
            },
            Message::Gossip(message) => broadcast.on_message(from, message, membership.peers(), cx),
            Message::Unknown { .. } => cx.stats.ignored_unknown += 1,
        }
        if let Some(roots) = message.roots().filter(|_| standing == Standing::Validated) {
            broadcast.on_marks_root(from, roots[usize::from(MARKS)], membership.peers(), cx);
        }
    }

    /// Gives the machines new random numbers, for a process that goes on from the same state as another one (rule A2c).
    pub(crate) fn on_seed(&mut self, seed: [u8; 32], cx: &mut Ctx<'_>) {
        self.broadcast.on_seed(seed);
        if let Some(within) = self.membership.on_seed(seed, cx) {
            self.drain(cx);
            // What was refused while it waited would be refused now: the node does not run any more.
            drop(self.leave(within, cx));
        }
    }

    /// Empties the queue of broadcasts, and then leaves: a member that has heard of the leave ignores what this node sends
    /// afterwards.
    fn leave(&mut self, within: Duration, cx: &mut Ctx<'_>) -> Result<Answer, Rejected> {
        if self.membership.awaits_seed() {
            return self.membership.leave_later(within);
        }
        self.broadcast.flush_all(self.membership.peers(), cx);
        self.membership.leave(within, cx)
    }

    pub(crate) fn on_tick(&mut self, cx: &mut Ctx<'_>) {
        if self.membership.awaits_seed() {
            return;
        }
        self.membership.on_tick(cx);
        self.drain(cx);
        self.broadcast.on_tick(self.membership.peers(), cx);
    }

    pub(crate) fn on_command(&mut self, command: Command, cx: &mut Ctx<'_>) -> Result<Answer, Rejected> {
        let Self { membership, broadcast, .. } = self;
        match command {
            Command::Join { seeds } => membership.join(&seeds, cx),
            Command::Leave { within } => self.leave(within, cx),
            Command::SetMeta(meta) => membership.set_meta(meta, cx),
            Command::SetTags(tags) => membership.set_tags(&tags, cx),
            Command::SetAddr(addr) => membership.set_addr(addr, cx),
            Command::Ping { id, addr } => membership.ping(id, addr, cx),
            Command::AddPeer(addr) => membership.add_peer(addr, cx),
            Command::SetPeers(peers) => membership.set_peers(&peers, cx),
            Command::RemovePeer(id) => membership.remove_peer(id, cx),
            Command::Broadcast(message) => broadcast.submit(&message, membership.peers(), cx),
            Command::Admit { id, admission } => membership.admit(id, admission, cx),
        }
    }

    /// Tells the machine that owns `slot` that its write is durable. No machine waits for the epoch: a boot whose write
    /// was lost moves above that epoch when a member reports it (rule A1).
    pub(crate) fn on_stored(&mut self, slot: Slot, serial: u64, cx: &mut Ctx<'_>) {
        match slot {
            Slot::SeenSet => self.broadcast.on_stored(serial, self.membership.peers(), cx),
            Slot::Epoch | Slot::Roster | Slot::Ballot => {}
        }
    }

    /// Ends the pass of an event: routes the signals, sends the broadcasts that are due, and then fills the datagrams
    /// of the call.
    pub(crate) fn after_event(&mut self, cx: &mut Ctx<'_>) {
        self.drain(cx);
        if self.membership.awaits_seed() {
            return cx.out.discard_datagrams();
        }
        if self.broadcast.has_queued() {
            self.broadcast.flush(self.membership.peers(), cx);
        }
        if self.membership.has_updates() || self.broadcast.has_queued() {
            self.fill(cx);
        }
    }

    /// Delivers the signals of the call to the machines that they concern.
    #[inline]
    fn drain(&mut self, cx: &mut Ctx<'_>) {
        if !cx.signals.is_empty() {
            self.route_signals(cx);
        }
    }

    /// Most events cause no signal: out of line, this leaves one comparison in the way of each.
    #[inline(never)]
    fn route_signals(&mut self, cx: &mut Ctx<'_>) {
        let Self { membership, broadcast, .. } = self;
        while let Some(signal) = cx.signals.pop() {
            match signal {
                Signal::Started => broadcast.on_started(membership.peers(), cx),
                Signal::MemberKnown(id) => broadcast.on_member_known(id, membership.peers(), cx),
                Signal::MemberGone(id) => broadcast.on_member_gone(id, membership.peers(), cx),
                Signal::MemberExpired(id) => broadcast.on_member_expired(id),
                Signal::EpochUsed(epoch) => membership.leave_epoch(epoch, cx),
                Signal::NewEpoch(epoch) => broadcast.on_new_epoch(epoch),
                Signal::Stopped => broadcast.on_stopped(membership.peers(), cx),
            }
        }
    }

    /// Fills the datagrams of this call with queued updates and broadcasts, each class by its share.
    fn fill(&mut self, cx: &mut Ctx<'_>) {
        let Self { membership, broadcast, shares } = self;
        for place in 0..cx.out.unfinished() {
            let (config, now) = (cx.config, cx.now);
            let Some(mut datagram) = cx.out.reopen(place) else { continue };
            let receiver = datagram.receiver();
            let has_some = Class::ALL.map(|class| match class {
                Class::Membership => membership.has_updates(),
                Class::Broadcast => broadcast.has_queued_for(receiver),
            });
            shares.fill(
                datagram.room(),
                |class| has_some[class],
                |class, allowance| {
                    let mut left = allowance;
                    let wants_more = match Class::ALL[class] {
                        Class::Membership => {
                            membership
                                .pack(receiver, config, now, |message| datagram.push(message, &mut left));
                            membership.has_updates()
                        }
                        Class::Broadcast => {
                            broadcast.pack(receiver, |message| datagram.push(message, &mut left));
                            broadcast.has_queued_for(receiver)
                        }
                    };
                    Packed { bytes: allowance - left, wants_more }
                },
            );
            datagram.close();
        }
    }
}

#[cfg(test)]
mod tests;
