//! The commands of the application to membership. Each is answered in the call that takes it.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::join::must_be_reachable;
use super::rules::Claim;
use super::sender::accusation_of;
use super::updates::Update;
use super::{Membership, Timer, send};
use crate::boot::Phase;
use crate::command::Answer;
use crate::context::{Ctx, Signal};
use crate::error::{Field, Rejected};
use crate::id::{MemberState, NodeId};
use crate::limits::{META_BYTES_MAX, TAGS_BYTES_MAX};
use crate::tags::{self, TagError};

impl Membership {
    /// Refuses a command unless the node runs.
    pub(super) const fn must_run(&self) -> Result<(), Rejected> {
        match self.phase {
            Phase::Running => Ok(()),
            Phase::Idle => Err(Rejected::NotStarted),
            Phase::Waiting => Err(Rejected::NotJoined),
            Phase::Leaving => Err(Rejected::Leaving),
            Phase::Left | Phase::Ended => Err(Rejected::Stopped),
        }
    }

    /// Refuses a command unless the node runs, or waits for its id.
    const fn must_have_started(&self) -> Result<(), Rejected> {
        if matches!(self.phase, Phase::Waiting) { Ok(()) } else { self.must_run() }
    }

    /// Starts the node if it does not run, and joins the group through the seeds.
    pub(crate) fn join(&mut self, seeds: &[SocketAddr], cx: &mut Ctx<'_>) -> Result<Answer, Rejected> {
        match self.phase {
            Phase::Leaving => return Err(Rejected::Leaving),
            Phase::Ended => return Err(Rejected::Stopped),
            Phase::Idle | Phase::Waiting | Phase::Running | Phase::Left => {}
        }
        self.contacts.add_seeds(seeds, Field::Seeds)?;
        match self.phase {
            Phase::Idle | Phase::Left => self.start_waiting(cx),
            Phase::Waiting => self.contact_new(seeds, cx),
            Phase::Running | Phase::Leaving | Phase::Ended => self.contact_seeds(cx),
        }
        Ok(Answer::Done)
    }

    /// Starts to run, once this node has its id.
    pub(super) fn run(&mut self, rejoins: bool, cx: &mut Ctx<'_>) {
        self.health.start(cx.now);
        if rejoins {
            self.enqueue_update(self.own.id, Update::Record, cx);
            self.restart_suspicions(cx);
            self.expire(cx);
            self.announce_new(cx);
        }
        self.sync.start(cx);
        cx.signals.push(Signal::Started);
        // The first probe comes at a random time, so that a group that starts together does not probe in step.
        let delay = self.rng.jitter(cx.config.membership.probe_interval);
        self.deadlines.arm(Timer::Probe, cx.now + delay, cx.now);
        self.arm_heal(cx);
        self.contact_seeds(cx);
    }

    pub(crate) fn set_meta(&mut self, meta: Vec<u8>, cx: &mut Ctx<'_>) -> Result<Answer, Rejected> {
        if meta.len() > META_BYTES_MAX {
            return Err(Rejected::Oversized { what: Field::Meta, len: meta.len(), max: META_BYTES_MAX });
        }
        self.must_have_started()?;
        if self.own.meta != meta {
            self.own.meta = meta;
            self.publish_change(cx);
        }
        Ok(Answer::Done)
    }

    pub(crate) fn set_tags(
        &mut self,
        tags: &BTreeMap<String, String>,
        cx: &mut Ctx<'_>,
    ) -> Result<Answer, Rejected> {
        let tags = tags::encode(tags).map_err(|error| match error {
            TagError::Invalid { key } => Rejected::InvalidTag { key },
            TagError::TooLong { len } => Rejected::Oversized { what: Field::Tags, len, max: TAGS_BYTES_MAX },
        })?;
        self.must_have_started()?;
        if self.own.tags != tags {
            self.own.tags = tags;
            self.publish_change(cx);
        }
        Ok(Answer::Done)
    }

    pub(crate) fn set_addr(&mut self, addr: SocketAddr, cx: &mut Ctx<'_>) -> Result<Answer, Rejected> {
        self.must_have_started()?;
        must_be_reachable(addr)?;
        if self.own.addr != addr {
            self.own.addr = addr;
            self.publish_change(cx);
        }
        Ok(Answer::Done)
    }

    /// Publishes a change of the own record, unless this node has not published the record yet.
    pub(super) fn publish_change(&mut self, cx: &mut Ctx<'_>) {
        if self.phase == Phase::Running {
            self.bump_incarnation(cx);
        }
    }

    pub(crate) fn add_peer(&mut self, addr: SocketAddr, cx: &mut Ctx<'_>) -> Result<Answer, Rejected> {
        self.must_have_started()?;
        must_be_reachable(addr)?;
        self.contacts.add_seeds(&[addr], Field::Peers)?;
        self.contact_new(&[addr], cx);
        Ok(Answer::Done)
    }

    pub(crate) fn set_peers(&mut self, peers: &[SocketAddr], cx: &mut Ctx<'_>) -> Result<Answer, Rejected> {
        self.must_have_started()?;
        let new = self.contacts.set_peers(peers)?;
        self.contact_new(&new, cx);
        Ok(Answer::Done)
    }

    /// Marks a member as Left because the operator removes it, and sends it this verdict (rule A7).
    pub(crate) fn remove_peer(&mut self, id: NodeId, cx: &mut Ctx<'_>) -> Result<Answer, Rejected> {
        self.must_run()?;
        if id == self.own.id {
            return Err(Rejected::Oneself);
        }
        let entry = self.table.get(id).ok_or(Rejected::UnknownMember(id))?;
        if entry.flags.held_back {
            return Err(Rejected::UnknownMember(id));
        }
        let (left, addr) = (Claim::new(entry.incarnation(), MemberState::Left), entry.addr());
        // All hold a leave at one age.
        if entry.claim() != left {
            self.set_verdict(id, left, cx.now.as_nanos(), cx);
        }
        self.enqueue_update(id, Update::Verdict, cx);
        self.table.set_removed(id);
        if let Some(to) = addr {
            let removed = self.table.get(id).map(accusation_of);
            removed.into_iter().for_each(|accused| send(to, id, &[accused.into()], cx));
        }
        Ok(Answer::Done)
    }
}
