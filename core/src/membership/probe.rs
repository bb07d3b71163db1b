//! The failure detector: one member a period is pinged directly, then again and through k helpers (SWIM §3.1). The timing
//! follows Lifeguard's local health (LHA-Probe), and the helpers send nacks.
//!
//! SWIM probes all members in shuffled rounds, so for some periods after a failure nobody may have the turn of the member
//! that failed. Here most probes go to the next living member in the order of ids (`ring_probes`): every member is watched
//! by one other nearly all the time.
//!
//! ```text
//! period ─► ping ── probe_timeout ─► ping again, k × ping-req ── … ─► ping again ── end of period ─► suspect
//!                                          └► helper: ping ─► relayed ack, or a nack at 80 % of the timeout
//! ```

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::ping::Pings;
use super::relay::Relays;
use super::rules::{Claim, Timeout};
use super::sender::accusation_of;
use super::table::Entry;
use super::updates::Update;
use super::{Membership, Source, Timer, send};
use crate::context::Ctx;
use crate::error::Misbehavior;
use crate::id::{MemberState, NodeId};
use crate::wire::{Accused, Ping, PingReq, RelayedAck, Standing};

/// The probe of this period, the pings for other members, and the pings of the application. All of them share one
/// series of sequence numbers, so that the number of an ack names the ping that it answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Prober {
    seq: u32,
    /// The probes of the next living member on the ring since the last one of the shuffled round.
    on_ring: u8,
    current: Option<Probe>,
    pub(super) relays: Relays,
    pub(super) pings: Pings,
}

/// The probe of this period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Probe {
    target: NodeId,
    seq: u32,
    answered: bool,
    /// The number of direct pings that may follow the first one.
    retries: u8,
    /// The time between direct pings after the first retry.
    pause: Duration,
    helpers: u8,
    nacks: u8,
}

/// The steps to take when a probe is not answered in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Retry {
    target: NodeId,
    seq: u32,
    pings: bool,
    asks_helpers: bool,
    /// The time until the next retry; `None` if this is the last one.
    next: Option<Duration>,
}

impl Prober {
    pub(super) const fn next_seq(&mut self) -> u32 {
        self.seq = self.seq.wrapping_add(1);
        self.seq
    }

    /// Takes `count` consecutive sequence numbers and returns the first one.
    pub(super) fn next_seqs(&mut self, count: u8) -> u32 {
        let first = self.next_seq();
        self.seq = self.seq.wrapping_add(u32::from(count) - 1);
        first
    }

    /// Begins the probe of `target`; returns the sequence number of its pings.
    const fn begin(&mut self, target: NodeId, retries: u8, pause: Duration) -> u32 {
        let seq = self.next_seq();
        self.current = Some(Probe { target, seq, answered: false, retries, pause, helpers: 0, nacks: 0 });
        seq
    }

    /// Gives up the probe and the relayed pings, because the node stops.
    pub(super) fn stop(&mut self) {
        self.current = None;
        self.relays = Relays::default();
    }

    #[cfg(test)]
    pub(super) fn is_open(&self) -> bool {
        self.current.is_some_and(|probe| !probe.answered)
    }

    /// Ends the probe. If it was not answered, returns its target and the number of failures that count against the health
    /// of this node: a helper that did not even send a nack is a sign that the fault is here (Lifeguard §IV-A).
    fn finish(&mut self) -> Option<(NodeId, u8)> {
        let probe = self.current.take().filter(|probe| !probe.answered)?;
        let blame = if probe.helpers > 0 { probe.helpers.saturating_sub(probe.nacks) } else { 1 };
        Some((probe.target, blame))
    }

    /// Spends one retry of the probe, unless it was answered.
    fn on_timeout(&mut self) -> Option<Retry> {
        let probe = self.current.as_mut().filter(|probe| !probe.answered)?;
        let Probe { target, seq, retries, pause, helpers, .. } = *probe;
        probe.retries = retries.saturating_sub(1);
        let next = (retries > 1).then_some(pause);
        Some(Retry { target, seq, pings: retries > 0, asks_helpers: helpers == 0, next })
    }

    const fn set_helpers(&mut self, helpers: u8) {
        if let Some(probe) = &mut self.current {
            probe.helpers = helpers;
        }
    }

    /// Notes an ack of `author`. Returns whether it is the first that answers the probe.
    fn on_ack(&mut self, author: NodeId, seq: u32) -> bool {
        let probe = self.current.as_mut().filter(|probe| (probe.target, probe.seq) == (author, seq));
        probe.is_some_and(|probe| !core::mem::replace(&mut probe.answered, true))
    }

    pub(super) fn on_nack(&mut self, seq: u32) {
        if let Some(probe) = self.current.as_mut().filter(|probe| probe.seq == seq) {
            probe.nacks = probe.nacks.saturating_add(1).min(probe.helpers);
        }
    }
}

impl Membership {
    /// Ends the probe of the last period and starts the next one.
    pub(super) fn start_probe(&mut self, cx: &mut Ctx<'_>) {
        self.finish_probe(cx);
        let settings = &cx.config.membership;
        let stretch = u32::from(self.health.multiplier());
        let (interval, timeout) = (settings.probe_interval * stretch, settings.probe_timeout * stretch);
        self.deadlines.arm(Timer::Probe, cx.now + interval, cx.now);
        let Some(target) = self.next_target(cx.config.membership.ring_probes) else { return };
        let retries = settings.probe_retries;
        let pause = interval.saturating_sub(timeout) / u32::from(retries.max(1));
        let seq = self.prober.begin(target, retries, pause);
        self.deadlines.arm(Timer::ProbeTimeout, cx.now + timeout, cx.now);
        cx.stats.probes += 1;
        self.ping_member(target, seq, cx);
    }

    /// The member to probe: the next living one on the ring, and after so many probes of it the next of the shuffled round.
    fn next_target(&mut self, ring_probes: u8) -> Option<NodeId> {
        if self.prober.on_ring < ring_probes {
            self.prober.on_ring += 1;
            return self.table.next_on_ring();
        }
        self.prober.on_ring = 0;
        self.table.next_probed(&mut self.rng)
    }

    /// Suspects the target of the last probe if it has not answered.
    fn finish_probe(&mut self, cx: &mut Ctx<'_>) {
        self.deadlines.cancel(Timer::ProbeTimeout);
        let Some((target, blame)) = self.prober.finish() else { return };
        let Some(entry) = self.table.get(target).filter(|entry| entry.is_live()) else { return };
        let incarnation = entry.incarnation();
        cx.stats.probes_failed += 1;
        self.health.worsen(blame, cx.config);
        self.suspect(target, incarnation, self.own.id, Timeout::Shrinking, cx);
    }

    /// Pings a member. If the member is suspected, the same datagram carries the suspicion (Lifeguard's buddy system).
    pub(super) fn ping_member(&self, id: NodeId, seq: u32, cx: &mut Ctx<'_>) {
        let Some(to) = self.table.get(id).and_then(Entry::addr) else { return };
        let ping = Ping { seq, roots: self.roots(cx) }.into();
        match self.suspicion_to_tell(id, cx) {
            Some(verdict) => send(to, id, &[verdict.into(), ping], cx),
            None => send(to, id, &[ping], cx),
        }
    }

    /// The suspicion of a member, if the member is suspected and the settings say that it is told.
    pub(super) fn suspicion_to_tell(&self, id: NodeId, cx: &Ctx<'_>) -> Option<Accused> {
        self.suspicions.get(&id).filter(|_| cx.config.membership.buddy)?;
        self.table.get(id).map(accusation_of)
    }

    /// Pings the target of the probe once more, and through helpers: it has not answered in time.
    pub(super) fn on_probe_timeout(&mut self, cx: &mut Ctx<'_>) {
        let Some(Retry { target, seq, pings, asks_helpers, next }) = self.prober.on_timeout() else { return };
        if pings {
            self.ping_member(target, seq, cx);
        }
        if let Some(pause) = next {
            self.deadlines.arm(Timer::ProbeTimeout, cx.now + pause, cx.now);
        }
        if asks_helpers {
            self.ask_helpers(target, seq, cx);
        }
    }

    /// Asks k random other members to ping the target.
    fn ask_helpers(&mut self, target: NodeId, seq: u32, cx: &mut Ctx<'_>) {
        let chosen = self.choose(cx.config.membership.indirect_probes.into(), target);
        for helper in &chosen {
            if let Some(to) = self.table.get(*helper).and_then(Entry::addr) {
                send(to, *helper, &[PingReq { seq, target }.into()], cx);
            }
        }
        self.prober.set_helpers(u8::try_from(chosen.len()).unwrap_or(u8::MAX));
        self.chosen = chosen;
    }

    /// Passes an ack to everything that may have sent its ping: the probe, the application's pings, a leave, and the
    /// relays.
    pub(super) fn on_ack(&mut self, source: &Source, seq: u32, cx: &mut Ctx<'_>) {
        self.answer_probe(source.sender, seq);
        self.answer_ping(source.sender, seq, cx);
        if source.standing == Standing::Validated {
            self.answer_goodbye(source.sender, seq, cx);
        }
        self.answer_relay(source, seq, cx);
    }

    fn answer_probe(&mut self, author: NodeId, seq: u32) {
        if self.prober.on_ack(author, seq) {
            self.deadlines.cancel(Timer::ProbeTimeout);
            self.health.improve();
        }
    }

    /// Handles an ack of the probe's target that a helper has relayed.
    pub(super) fn on_relayed_ack(&mut self, ack: RelayedAck, cx: &mut Ctx<'_>) {
        let RelayedAck { seq, author, incarnation } = ack;
        if !self.is_credible(author, incarnation) {
            return cx.stats.count_misbehavior(Misbehavior::Incarnation);
        }
        self.answer_probe(author, seq);
        let revives = self.table.get(author).is_some_and(|entry| incarnation > entry.incarnation());
        if revives && author != self.own.id && self.may_be_live(author, cx) {
            self.set_verdict(author, Claim::new(incarnation, MemberState::Alive), cx.now.as_nanos(), cx);
            self.enqueue_update(author, Update::Verdict, cx);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_millis(100);

    #[test]
    fn a_probe_asks_helpers_once_and_pings_until_its_retries_are_spent() {
        let mut prober = Prober::default();
        let (target, seq) = (NodeId(7), prober.begin(NodeId(7), 2, PAUSE));
        let retry = |pings, asks_helpers, next| Some(Retry { target, seq, pings, asks_helpers, next });
        assert_eq!(prober.on_timeout(), retry(true, true, Some(PAUSE)));
        prober.set_helpers(3);
        assert_eq!(prober.on_timeout(), retry(true, false, None));
        assert_eq!(prober.on_timeout(), retry(false, false, None));
        assert_eq!(prober.finish(), Some((target, 3)), "no helper sent a nack");
        assert_eq!(prober.finish(), None);
    }

    #[test]
    fn missing_nacks_count_against_the_health_of_this_node() {
        let mut prober = Prober::default();
        let seq = prober.begin(NodeId(7), 0, PAUSE);
        prober.set_helpers(3);
        prober.on_nack(seq + 1);
        (0..2).for_each(|_| prober.on_nack(seq));
        assert_eq!(prober.finish(), Some((NodeId(7), 1)));
    }

    #[test]
    fn only_the_targets_first_ack_with_the_right_number_answers_a_probe() {
        let mut prober = Prober::default();
        let seq = prober.begin(NodeId(7), 1, PAUSE);
        assert!(!prober.on_ack(NodeId(8), seq) && !prober.on_ack(NodeId(7), seq + 1));
        assert!(prober.on_ack(NodeId(7), seq) && !prober.on_ack(NodeId(7), seq));
        assert_eq!((prober.on_timeout(), prober.finish()), (None, None));
    }
}
