//! The failure detector: one member a period, directly, then again and through k helpers (SWIM §3.1), timed by
//! Lifeguard's local health (LHA-Probe), with nacks from the helpers; and the suspicions that follow.
//!
//! ```text
//! period ─► ping ── probe_timeout ─► ping again, k × ping-req ── … ─► ping again ── end of period ─► suspect
//!                                          └► helper: ping ─► relayed ack, or a nack at 80 % of the timeout
//! ```

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::table::Entry;
use super::{Membership, Source, Timer};
use crate::action::{MemberState, Notice};
use crate::command::Answer;
use crate::context::Ctx;
use crate::error::{Field, Rejected};
use crate::id::{Incarnation, NodeId, PingId};
use crate::limits::{PINGS_MAX, RELAYS_MAX};
use crate::time::Time;
use crate::wire::{self, Message, Nack, PingReq, RelayedAck, Verdict};

/// Tries of a ping that the application asked for, and the time between them.
const PING_TRIES: u8 = 3;
const PING_PAUSE: Duration = Duration::from_millis(100);

/// What is being probed, for us, for others, and for the application.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Prober {
    seq: u32,
    current: Option<Probe>,
    /// Probes in others' place, the oldest first.
    relays: VecDeque<Relay>,
    pings: Vec<Ping>,
    ping_serial: u64,
}

/// The probe of this period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Probe {
    target: NodeId,
    seq: u32,
    answered: bool,
    /// Retries that are left, and the time between them.
    retries: u8,
    pause: Duration,
    helpers: u8,
    nacks: u8,
}

/// A probe that somebody asked us for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Relay {
    seq: u32,
    target: NodeId,
    asker: NodeId,
    asker_addr: SocketAddr,
    asker_seq: u32,
    /// When to say that nobody answered; later, when to forget it.
    due: Time,
    nacked: bool,
}

/// A ping that the application asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Ping {
    ping: PingId,
    id: NodeId,
    addr: SocketAddr,
    tries: u8,
    /// The sequence number of the first try; the others follow it.
    seq: u32,
    sent: [Time; PING_TRIES as usize],
}

impl Prober {
    pub(super) const fn new() -> Self {
        Self { seq: 0, current: None, relays: VecDeque::new(), pings: Vec::new(), ping_serial: 0 }
    }

    pub(super) const fn next_seq(&mut self) -> u32 {
        self.seq = self.seq.wrapping_add(1);
        self.seq
    }
}

impl Membership {
    /// Ends the period's probe and starts the next one.
    pub(super) fn start_probe(&mut self, cx: &mut Ctx<'_>) {
        self.finish_probe(cx);
        let settings = &cx.config.membership;
        let stretch = u32::from(self.health());
        let (interval, timeout) = (settings.probe_interval * stretch, settings.probe_timeout * stretch);
        self.deadlines.arm(Timer::Probe, cx.now + interval, cx.now);
        let Some(target) = self.table.next_probed(&mut self.rng) else { return };
        let seq = self.prober.next_seq();
        let retries = settings.probe_retries;
        let pause = (interval.saturating_sub(timeout)) / u32::from(retries.max(1));
        self.prober.current =
            Some(Probe { target, seq, answered: false, retries, pause, helpers: 0, nacks: 0 });
        self.deadlines.arm(Timer::ProbeTimeout, cx.now + timeout, cx.now);
        cx.stats.probes += 1;
        self.ping_member(target, seq, cx);
    }

    fn finish_probe(&mut self, cx: &mut Ctx<'_>) {
        self.deadlines.cancel(Timer::ProbeTimeout);
        let Some(probe) = self.prober.current.take().filter(|probe| !probe.answered) else { return };
        let Some(entry) = self.table.get(probe.target).filter(|entry| entry.is_live()) else { return };
        let incarnation = entry.incarnation();
        cx.stats.probes_failed += 1;
        // Helpers that did not even say no are a sign that the fault is here (Lifeguard §IV-A).
        let blame = if probe.helpers > 0 { probe.helpers.saturating_sub(probe.nacks) } else { 1 };
        self.worsen_health(blame, cx);
        self.suspect(probe.target, incarnation, self.me.id, false, cx);
    }

    /// Pings a member. A suspected one is told so in the same datagram (Lifeguard's buddy system).
    pub(super) fn ping_member(&self, id: NodeId, seq: u32, cx: &mut Ctx<'_>) {
        let Some(to) = self.table.get(id).and_then(Entry::addr) else { return };
        let ping = wire::Ping { seq, roots: self.roots(cx) }.into();
        let accusation = if cx.config.membership.buddy { self.accusation(id) } else { None };
        match accusation {
            Some(verdict) => self.send(to, id, &[verdict.into(), ping], cx),
            None => self.send(to, id, &[ping], cx),
        }
    }

    /// The suspicion that is held of a member.
    fn accusation(&self, id: NodeId) -> Option<Verdict> {
        let suspicion = self.suspicions.get(&id)?;
        let author = *suspicion.authors.last()?;
        let incarnation = suspicion.incarnation;
        Some(Verdict { id, incarnation, state: MemberState::Suspect, removed: false, age: 0, author })
    }

    /// The direct ping has not been answered in time: once more, and through helpers.
    pub(super) fn on_probe_timeout(&mut self, cx: &mut Ctx<'_>) {
        let Some(probe) = self.prober.current.filter(|probe| !probe.answered) else { return };
        let Probe { target, seq, retries, pause, helpers, .. } = probe;
        if retries > 0 {
            self.ping_member(target, seq, cx);
            if retries > 1 {
                self.deadlines.arm(Timer::ProbeTimeout, cx.now + pause, cx.now);
            }
        }
        let asked = if helpers == 0 { self.ask_helpers(target, seq, cx) } else { helpers };
        if let Some(probe) = &mut self.prober.current {
            probe.retries = retries.saturating_sub(1);
            probe.helpers = asked;
        }
    }

    /// Asks k random others to probe the target; how many were asked.
    fn ask_helpers(&mut self, target: NodeId, seq: u32, cx: &mut Ctx<'_>) -> u8 {
        let Some(addr) = self.table.get(target).and_then(Entry::addr) else { return 0 };
        let mut chosen = core::mem::take(&mut self.chosen);
        chosen.clear();
        self.table.choose(cx.config.membership.indirect_probes.into(), target, &mut self.rng, &mut chosen);
        for helper in &chosen {
            if let Some(to) = self.table.get(*helper).and_then(Entry::addr) {
                self.send(to, *helper, &[PingReq { seq, target, addr }.into()], cx);
            }
        }
        let asked = u8::try_from(chosen.len()).unwrap_or(u8::MAX);
        self.chosen = chosen;
        asked
    }

    /// Probes somebody in another's place.
    pub(super) fn on_ping_req(
        &mut self,
        source: &Source,
        asker_seq: u32,
        target: NodeId,
        addr: SocketAddr,
        cx: &mut Ctx<'_>,
    ) {
        if self.prober.relays.len() >= RELAYS_MAX {
            cx.stats.ignored_relays_full += 1;
            return;
        }
        let seq = self.prober.next_seq();
        let due = cx.now + cx.config.membership.probe_timeout * 4 / 5;
        let (asker, asker_addr) = (source.sender, source.from);
        self.prober.relays.push_back(Relay { seq, target, asker, asker_addr, asker_seq, due, nacked: false });
        self.arm_relays(cx);
        let ping = wire::Ping { seq, roots: self.roots(cx) }.into();
        let accusation = if cx.config.membership.buddy { self.accusation(target) } else { None };
        // No updates ride on it: the asker names the address, and could name a stranger's (rule F6).
        let mut letter = cx.letter(addr, target);
        accusation.into_iter().map(Message::from).chain([ping]).for_each(|message| {
            letter.push(&message);
        });
        letter.send_alone();
    }

    fn arm_relays(&mut self, cx: &Ctx<'_>) {
        match self.prober.relays.iter().map(|relay| relay.due).min() {
            Some(due) => self.deadlines.arm(Timer::Relay, due, cx.now),
            None => self.deadlines.cancel(Timer::Relay),
        }
    }

    /// Says no for the relays that are due, and forgets those that have said it a period ago.
    pub(super) fn on_relay_due(&mut self, cx: &mut Ctx<'_>) {
        self.prober.relays.retain(|relay| !relay.nacked || relay.due > cx.now);
        for i in 0..self.prober.relays.len() {
            let relay = &mut self.prober.relays[i];
            if relay.due <= cx.now {
                relay.nacked = true;
                relay.due = cx.now + cx.config.membership.probe_interval;
                let Relay { asker, asker_addr, asker_seq, .. } = *relay;
                self.send(asker_addr, asker, &[Nack { seq: asker_seq }.into()], cx);
            }
        }
        self.arm_relays(cx);
    }

    pub(super) fn on_ack(&mut self, source: &Source, seq: u32, cx: &mut Ctx<'_>) {
        self.answer_probe(source.sender, seq);
        self.answer_ping(source.sender, seq, cx);
        self.answer_goodbye(source.sender, seq, cx);
        let relay =
            self.prober.relays.iter().position(|relay| (relay.seq, relay.target) == (seq, source.sender));
        let Some(relay) = relay.and_then(|place| self.prober.relays.remove(place)) else { return };
        self.arm_relays(cx);
        // Of a stranger's ack only the id is known; its incarnation stands in the table if it has one.
        let Some(incarnation) = self.table.get(source.sender).map(Entry::incarnation) else { return };
        let message = RelayedAck { seq: relay.asker_seq, author: source.sender, incarnation }.into();
        self.send(relay.asker_addr, relay.asker, &[message], cx);
    }

    fn answer_probe(&mut self, author: NodeId, seq: u32) {
        let probe = self.prober.current.as_mut().filter(|probe| (probe.target, probe.seq) == (author, seq));
        if let Some(probe) = probe.filter(|probe| !probe.answered) {
            probe.answered = true;
            self.deadlines.cancel(Timer::ProbeTimeout);
            self.improve_health();
        }
    }

    pub(super) fn on_relayed_ack(
        &mut self,
        seq: u32,
        author: NodeId,
        incarnation: Incarnation,
        cx: &mut Ctx<'_>,
    ) {
        if !incarnation.is_sane() {
            return cx.stats.count_misbehavior(crate::error::Misbehavior::Incarnation);
        }
        self.answer_probe(author, seq);
        let revives = self.table.get(author).is_some_and(|entry| incarnation > entry.incarnation());
        if revives && author != self.me.id {
            self.hold(author, incarnation, MemberState::Alive, cx.now.as_nanos(), true, cx);
        }
    }

    pub(super) fn on_nack(&mut self, seq: u32) {
        if let Some(probe) = self.prober.current.as_mut().filter(|probe| probe.seq == seq) {
            probe.nacks = probe.nacks.saturating_add(1).min(probe.helpers);
        }
    }

    /// The verdict on a suspect is due, or the last word before it.
    pub(super) fn on_suspicion_due(&mut self, id: NodeId, cx: &mut Ctx<'_>) {
        if let Some(until) = self.frozen_until(cx) {
            cx.stats.verdicts_postponed += 1;
            return self.deadlines.arm(Timer::Suspicion(id), until, cx.now);
        }
        let settings = &cx.config.membership;
        let Some(suspicion) = self.suspicions.get_mut(&id) else { return };
        let heard = self.table.get(id).map_or(Time::ZERO, Entry::last_heard);
        if let Some(until) =
            suspicion.waits_until(heard).filter(|until| settings.last_word && *until > cx.now)
        {
            suspicion.last_word = None;
            return self.deadlines.arm(Timer::Suspicion(id), until, cx.now);
        }
        let asked = suspicion.last_word.unwrap_or(0);
        if settings.last_word && asked < LAST_WORDS {
            suspicion.last_word = Some(asked + 1);
            self.deadlines.arm(
                Timer::Suspicion(id),
                cx.now + settings.probe_timeout / LAST_WORDS.into(),
                cx.now,
            );
            self.ask_suspect(id, cx);
        } else {
            self.declare_down(id, cx);
        }
    }

    /// Asks a suspect itself, outside the round-robin.
    pub(super) fn ask_suspect(&mut self, id: NodeId, cx: &mut Ctx<'_>) {
        let seq = self.prober.next_seq();
        self.ping_member(id, seq, cx);
    }

    /// Until when verdicts wait, if nothing has been heard for so long that the fault may be here (rule B6). It
    /// only postpones: one maximal suspicion time after the last word from anybody, verdicts fall.
    fn frozen_until(&self, cx: &Ctx<'_>) -> Option<Time> {
        let silence = cx.now.since(self.health.heard);
        let longest = crate::estimate::suspicion_min(cx.config, self.group())
            * u32::from(cx.config.membership.suspicion_max_mult);
        let until = self.health.heard + longest;
        if silence > Self::isolation(cx.config) && cx.now < until { Some(until) } else { None }
    }

    /// We hear again: the suspects get the least suspicion time to be heard as well (rule B6).
    pub(super) fn extend_suspicions(&mut self, cx: &Ctx<'_>) {
        let least = cx.now + crate::estimate::suspicion_min(cx.config, self.group());
        let mut chosen = core::mem::take(&mut self.chosen);
        chosen.clear();
        chosen.extend(self.suspicions.keys());
        for id in &chosen {
            if let Some(suspicion) = self.suspicions.get_mut(id) {
                suspicion.last_word = None;
            }
            if self.deadlines.at(Timer::Suspicion(*id)).is_some_and(|at| at < least) {
                self.deadlines.arm(Timer::Suspicion(*id), least, cx.now);
            }
        }
        self.chosen = chosen;
    }

    pub(crate) fn ping(
        &mut self,
        id: NodeId,
        addr: SocketAddr,
        cx: &mut Ctx<'_>,
    ) -> Result<Answer, Rejected> {
        self.must_run()?;
        if id == self.me.id {
            return Err(Rejected::Oneself);
        }
        super::command::must_be_reachable(addr)?;
        let len = self.prober.pings.len() + 1;
        if len > PINGS_MAX {
            return Err(Rejected::TooMany { what: Field::Pings, len, max: PINGS_MAX });
        }
        self.prober.ping_serial += 1;
        let ping = PingId(self.prober.ping_serial);
        let seq = self.prober.next_seq();
        self.prober.seq = self.prober.seq.wrapping_add(u32::from(PING_TRIES) - 1);
        self.prober.pings.push(Ping { ping, id, addr, tries: 0, seq, sent: [cx.now; PING_TRIES as usize] });
        self.on_ping_due(ping.0, cx);
        Ok(Answer::Pinging(ping))
    }

    /// The next try of an application's ping, or its end.
    pub(super) fn on_ping_due(&mut self, serial: u64, cx: &mut Ctx<'_>) {
        let Some(place) = self.prober.pings.iter().position(|ping| ping.ping.0 == serial) else { return };
        let ping = &mut self.prober.pings[place];
        if ping.tries == PING_TRIES {
            let Ping { ping, id, .. } = self.prober.pings.swap_remove(place);
            return cx.out.notify(Notice::PingFailed { ping, id });
        }
        let (id, addr, seq) = (ping.id, ping.addr, ping.seq.wrapping_add(ping.tries.into()));
        ping.sent[usize::from(ping.tries)] = cx.now;
        ping.tries += 1;
        let last = ping.tries == PING_TRIES;
        let pause = if last { PING_PAUSE.max(cx.config.membership.probe_timeout) } else { PING_PAUSE };
        self.deadlines.arm(Timer::Ping(serial), cx.now + pause, cx.now);
        let message = wire::Ping { seq, roots: self.roots(cx) }.into();
        self.send(addr, id, &[message], cx);
    }

    fn answer_ping(&mut self, author: NodeId, seq: u32, cx: &mut Ctx<'_>) {
        let matches = |ping: &Ping| ping.id == author && seq.wrapping_sub(ping.seq) < ping.tries.into();
        let Some(place) = self.prober.pings.iter().position(matches) else { return };
        let Ping { ping, id, seq: first, sent, .. } = self.prober.pings.swap_remove(place);
        self.deadlines.cancel(Timer::Ping(ping.0));
        let round_trip = cx.now.since(sent[seq.wrapping_sub(first) as usize]);
        cx.out.notify(Notice::Pong { ping, id, round_trip });
    }
}

/// Pings within the last `probe_timeout` before a verdict.
const LAST_WORDS: u8 = 2;
