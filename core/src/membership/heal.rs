//! Healing: two parts of a group that have been cut off from each other find together again, however long the cut has
//! lasted (rule B8).

use alloc::vec::Vec;
use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::join::Contact;
use super::sender::accusation_of;
use super::table::Entry;
use super::{Membership, Timer, send};
use crate::context::Ctx;
use crate::id::NodeId;
use crate::wire::{Alive, Ping, Record};

/// The order in which Down members and silent seeds are contacted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Healing {
    /// Counts the rounds of healing, from a random start, so that every Down member and every silent seed gets its
    /// turn.
    turn: usize,
}

impl Healing {
    pub(super) const fn new(turn: usize) -> Self {
        Self { turn }
    }
}

impl Membership {
    /// Contacts one Down member, and one seed that is not the address of a live member.
    pub(super) fn heal(&mut self, cx: &mut Ctx<'_>) {
        self.arm_heal(cx);
        if !self.own.identity.has_asked_self(cx.now) {
            self.ask_self(cx);
        }
        self.healing.turn = self.healing.turn.wrapping_add(1);
        let turn = self.healing.turn;
        if let Some((id, addr)) = self.table.choose_down(turn) {
            self.contact_down(id, addr, cx);
        }
        let silent: Vec<Contact> = self.contacts.all().filter(|contact| !self.is_answered(contact)).collect();
        if let Some(contact) = silent.get(turn % silent.len().max(1)) {
            self.send_join(contact.addr, contact.cookie, cx);
        }
    }

    /// Pings a Down member, and tells it how this node holds it, with this node's own record: the member may have forgotten
    /// this node, or never have known it.
    fn contact_down(&mut self, id: NodeId, addr: SocketAddr, cx: &mut Ctx<'_>) {
        let record = self.own.record();
        let ping = Ping { seq: self.prober.next_seq(), roots: self.roots(cx) }.into();
        let own = Alive(Record::trusted(&record)).into();
        match self.table.get(id).map(accusation_of) {
            Some(accused) => send(addr, id, &[own, accused.into(), ping], cx),
            None => send(addr, id, &[own, ping], cx),
        }
    }

    /// Whether a contact needs no healing: its address is that of this node, or of a live member that has answered from
    /// there.
    fn is_answered(&self, contact: &Contact) -> bool {
        let member = self.table.get(contact.member).filter(|entry| entry.is_live());
        contact.addr == self.own.addr || member.and_then(Entry::addr) == Some(contact.addr)
    }

    /// Sets the next healing at a random time within a tenth of the interval around it, so that the members of a group
    /// do not heal at the same moments.
    pub(super) fn arm_heal(&mut self, cx: &Ctx<'_>) {
        let interval = cx.config.membership.heal_interval;
        let jitter = self.rng.jitter(interval / 5);
        self.deadlines.arm(Timer::Heal, cx.now + interval * 9 / 10 + jitter, cx.now);
    }
}
