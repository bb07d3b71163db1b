//! What the application asks of membership. Each command is answered in the call that takes it.

use alloc::vec::Vec;
use core::net::SocketAddr;

use super::contact::Contact;
use super::table::Entry;
use super::{Membership, Timer};
use crate::action::{MemberChange, MemberState};
use crate::boot::Phase;
use crate::command::{Admission, Answer};
use crate::context::{Ctx, Signal};
use crate::error::{Field, Rejected};
use crate::id::NodeId;
use crate::limits::{META_BYTES_MAX, SEEDS_MAX};
use crate::wire::Verdict;

impl Membership {
    /// Refuses what only a running node can do.
    pub(super) const fn must_run(&self) -> Result<(), Rejected> {
        match self.phase {
            Phase::Running => Ok(()),
            Phase::Idle => Err(Rejected::NotStarted),
            Phase::Leaving => Err(Rejected::Leaving),
            Phase::Left | Phase::Ended => Err(Rejected::Stopped),
        }
    }

    pub(crate) fn join(&mut self, seeds: &[SocketAddr], cx: &mut Ctx<'_>) -> Result<Answer, Rejected> {
        match self.phase {
            Phase::Leaving => return Err(Rejected::Leaving),
            Phase::Ended => return Err(Rejected::Stopped),
            Phase::Idle | Phase::Running | Phase::Left => {}
        }
        let seeds = merged(&self.contacts.seeds, seeds);
        self.bound_contacts(seeds.len() + self.contacts.peers.len(), Field::Seeds)?;
        seeds.iter().try_for_each(|contact| must_be_reachable(contact.addr))?;
        self.contacts.seeds = seeds;
        if self.phase != Phase::Running {
            self.start(cx);
        }
        self.contact_seeds(cx);
        Ok(Answer::Done)
    }

    fn start(&mut self, cx: &mut Ctx<'_>) {
        let rejoins = self.phase == Phase::Left;
        self.phase = Phase::Running;
        self.joined = false;
        self.health.heard = cx.now;
        self.health.event = cx.now;
        if rejoins {
            // Others hold us Left at the old incarnation.
            self.speak_up(cx);
            self.resume_suspicions(cx);
        } else {
            self.store_epoch(cx);
        }
        self.sync.start(cx);
        cx.signals.push(Signal::Started);
        // A random phase, so that a group that starts together does not probe in step.
        let phase = self.rng.jitter(cx.config.membership.probe_interval);
        self.deadlines.arm(Timer::Probe, cx.now + phase, cx.now);
        self.arm_heal(cx);
    }

    /// The deadlines of what was suspected, anew after a leave had dropped them.
    fn resume_suspicions(&mut self, cx: &mut Ctx<'_>) {
        let suspects: Vec<NodeId> = self.suspicions.keys().copied().collect();
        suspects.into_iter().for_each(|id| self.arm_suspicion(id, cx));
        self.fade(cx);
    }

    pub(crate) fn set_meta(&mut self, meta: Vec<u8>, cx: &mut Ctx<'_>) -> Result<Answer, Rejected> {
        if meta.len() > META_BYTES_MAX {
            return Err(Rejected::Oversized { what: Field::Meta, len: meta.len(), max: META_BYTES_MAX });
        }
        self.must_run()?;
        if self.me.meta != meta {
            self.me.meta = meta;
            self.speak_up(cx);
        }
        Ok(Answer::Done)
    }

    pub(crate) fn set_addr(&mut self, addr: SocketAddr, cx: &mut Ctx<'_>) -> Result<Answer, Rejected> {
        self.must_run()?;
        must_be_reachable(addr)?;
        if self.me.addr != addr {
            self.me.addr = addr;
            self.speak_up(cx);
        }
        Ok(Answer::Done)
    }

    pub(crate) fn add_peer(&mut self, addr: SocketAddr, cx: &mut Ctx<'_>) -> Result<Answer, Rejected> {
        self.must_run()?;
        must_be_reachable(addr)?;
        let seeds = merged(&self.contacts.seeds, &[addr]);
        self.bound_contacts(seeds.len() + self.contacts.peers.len(), Field::Peers)?;
        self.contacts.seeds = seeds;
        self.contact_new(&[addr], cx);
        Ok(Answer::Done)
    }

    pub(crate) fn set_peers(&mut self, peers: &[SocketAddr], cx: &mut Ctx<'_>) -> Result<Answer, Rejected> {
        self.must_run()?;
        peers.iter().try_for_each(|addr| must_be_reachable(*addr))?;
        let peers = merged(&[], peers);
        self.bound_contacts(self.contacts.seeds.len() + peers.len(), Field::Peers)?;
        let known = |contact: &&Contact| self.contacts.peers.iter().any(|old| old.addr == contact.addr);
        let new: Vec<SocketAddr> = peers.iter().filter(|peer| !known(peer)).map(|peer| peer.addr).collect();
        self.contacts.peers = peers;
        self.contact_new(&new, cx);
        Ok(Answer::Done)
    }

    /// Contacts addresses that are no member's yet.
    fn contact_new(&mut self, addrs: &[SocketAddr], cx: &mut Ctx<'_>) {
        let own = self.me.addr;
        addrs.iter().filter(|addr| **addr != own).for_each(|addr| self.send_join(*addr, 0, cx));
        if !self.joined && self.deadlines.at(Timer::Join).is_none() {
            self.deadlines.arm(Timer::Join, cx.now + cx.config.membership.join_interval, cx.now);
        }
    }

    const fn bound_contacts(&self, len: usize, what: Field) -> Result<(), Rejected> {
        if len > SEEDS_MAX { Err(Rejected::TooMany { what, len, max: SEEDS_MAX }) } else { Ok(()) }
    }

    pub(crate) fn remove_peer(&mut self, id: NodeId, cx: &mut Ctx<'_>) -> Result<Answer, Rejected> {
        self.must_run()?;
        if id == self.me.id {
            return Err(Rejected::Oneself);
        }
        let entry = self.table.get(id).ok_or(Rejected::UnknownMember(id))?;
        let (incarnation, addr) = (entry.incarnation(), entry.addr());
        self.hold(id, incarnation, MemberState::Left, cx.now.as_nanos(), true, cx);
        self.table.set_removed(id);
        if let Some(to) = addr {
            let verdict = Verdict {
                id,
                incarnation,
                state: MemberState::Left,
                removed: true,
                age: 0,
                author: self.me.id,
            };
            self.send(to, id, &[verdict.into()], cx);
        }
        Ok(Answer::Done)
    }

    pub(crate) fn admit(
        &mut self,
        id: NodeId,
        admission: Admission,
        cx: &mut Ctx<'_>,
    ) -> Result<Answer, Rejected> {
        self.must_run()?;
        if self.table.get(id).is_none() {
            return Err(Rejected::UnknownMember(id));
        }
        match admission {
            Admission::Accept => self.accept(id, cx),
            Admission::Veto => {
                self.deadlines.cancel(Timer::Admit(id));
                if self.table.get(id).is_some_and(Entry::is_live) {
                    self.notify(id, MemberChange::Left, cx);
                }
                cx.signals.push(Signal::MemberGone(id));
                self.table.set_hidden(id, true);
                self.table.set_announced(id, false);
            }
        }
        Ok(Answer::Done)
    }

    /// Shows a member that was hidden.
    pub(super) fn accept(&mut self, id: NodeId, cx: &mut Ctx<'_>) {
        self.deadlines.cancel(Timer::Admit(id));
        let Some(state) = self.table.get(id).filter(|entry| entry.flags.hidden).map(Entry::state) else {
            return;
        };
        self.table.set_hidden(id, false);
        self.announce(id, state, cx);
    }
}

/// The contacts, and one for each address that is new; in order.
fn merged(old: &[Contact], new: &[SocketAddr]) -> Vec<Contact> {
    let mut all = old.to_vec();
    for addr in new {
        if !all.iter().any(|contact| contact.addr == *addr) {
            all.push(Contact::new(*addr));
        }
    }
    all
}

/// Refuses addresses that no datagram can be sent to.
pub(super) const fn must_be_reachable(addr: SocketAddr) -> Result<(), Rejected> {
    if addr.ip().is_unspecified() || addr.port() == 0 { Err(Rejected::Unreachable(addr)) } else { Ok(()) }
}
