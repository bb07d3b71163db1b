//! (being built)
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use crate::action::Member;
use crate::command::{Admission, Answer};
use crate::config::Config;
use crate::context::Ctx;
use crate::error::Rejected;
use crate::id::{Incarnation, NodeId};
use crate::node::{Boot, Phase};
use crate::time::Time;

/// Why a member is held Down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obituary {
    /// The incarnation that was judged.
    pub incarnation: Incarnation,
    /// Who passed the verdict: this node, or the author of the one that was heard.
    pub author: NodeId,
    /// When it was passed, as far as this node can tell.
    pub declared: Time,
    /// When this node began to suspect the member, if it did.
    pub suspected: Option<Time>,
    /// Who suspected it, the first one first.
    pub suspected_by: Vec<NodeId>,
    /// When this node had heard it last, if ever.
    pub last_heard: Option<Time>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Membership { boot: Boot, epoch: u64 }
#[allow(clippy::all, unused)]
impl Membership {
    pub(crate) fn new(boot: Boot, epoch: u64, config: &Config, now: Time) -> Self { Self { boot, epoch } }
    pub(crate) fn before_event(&mut self, cx: &mut Ctx<'_>) {}
    pub(crate) fn on_datagram(&mut self, from: SocketAddr, bytes: &[u8], cx: &mut Ctx<'_>) {}
    pub(crate) fn on_tick(&mut self, cx: &mut Ctx<'_>) {}
    pub(crate) fn join(&mut self, seeds: &[SocketAddr], cx: &mut Ctx<'_>) -> Result<Answer, Rejected> { Ok(Answer::Done) }
    pub(crate) fn leave(&mut self, within: Duration, cx: &mut Ctx<'_>) -> Result<Answer, Rejected> { Ok(Answer::Done) }
    pub(crate) fn set_meta(&mut self, meta: Vec<u8>, cx: &mut Ctx<'_>) -> Result<Answer, Rejected> { Ok(Answer::Done) }
    pub(crate) fn set_addr(&mut self, addr: SocketAddr, cx: &mut Ctx<'_>) -> Result<Answer, Rejected> { Ok(Answer::Done) }
    pub(crate) fn ping(&mut self, id: NodeId, addr: SocketAddr, cx: &mut Ctx<'_>) -> Result<Answer, Rejected> { Ok(Answer::Done) }
    pub(crate) fn add_peer(&mut self, addr: SocketAddr, cx: &mut Ctx<'_>) -> Result<Answer, Rejected> { Ok(Answer::Done) }
    pub(crate) fn set_peers(&mut self, peers: &[SocketAddr], cx: &mut Ctx<'_>) -> Result<Answer, Rejected> { Ok(Answer::Done) }
    pub(crate) fn remove_peer(&mut self, id: NodeId, cx: &mut Ctx<'_>) -> Result<Answer, Rejected> { Ok(Answer::Done) }
    pub(crate) fn admit(&mut self, id: NodeId, admission: Admission, cx: &mut Ctx<'_>) -> Result<Answer, Rejected> { Ok(Answer::Done) }
    pub(crate) fn next_wake(&self) -> Option<Time> { None }
    pub(crate) const fn id(&self) -> NodeId { self.boot.id }
    pub(crate) const fn incarnation(&self) -> Incarnation { Incarnation::first(self.epoch) }
    pub(crate) const fn boot(&self) -> u64 { 0 }
    pub(crate) const fn addr(&self) -> SocketAddr { self.boot.addr }
    pub(crate) const fn phase(&self) -> Phase { Phase::Idle }
    pub(crate) const fn is_joined(&self) -> bool { false }
    pub(crate) fn members(&self) -> impl Iterator<Item = Member<'_>> { core::iter::empty() }
    pub(crate) fn member(&self, id: NodeId) -> Option<Member<'_>> { None }
    pub(crate) fn member_count(&self) -> usize { 0 }
    pub(crate) fn last_heard(&self, id: NodeId) -> Option<Time> { None }
    pub(crate) fn why_down(&self, id: NodeId) -> Option<&Obituary> { None }
    pub(crate) const fn roots(&self) -> [u64; 2] { [0; 2] }
    pub(crate) const fn health(&self) -> u8 { 1 }
    pub(crate) fn check(&self, now: Time, config: &Config) {}
}
