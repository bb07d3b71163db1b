//! Membership: who is in the group, who answers, who has gone (SWIM, Das et al., DSN 2002; Lifeguard, Dadgar
//! et al., 2018; and the rules A and B of `core/RULES.md`).
//!
//! One member is probed a period; silence becomes a suspicion, a suspicion becomes Down unless its subject
//! refutes it with a higher incarnation. What changes rides on every datagram; what was missed is found by
//! comparing fingerprints. Files: [`me`] (the own record and incarnation), [`table`] (everyone), [`merge`]
//! (which news wins), [`suspicion`], [`probe`] (the failure detector), [`contact`] (joining, healing, leaving),
//! [`sync`] (reconciliation), [`updates`] (what waits to be spread), [`command`] and [`view`] (the application's side).
//!
//! Beyond the papers: an observer that hears nothing, or wakes late, postpones its verdicts (rules B6, B7); a
//! Down heard about a member one holds Alive is only a suspicion (rule B1); Down members are contacted until
//! they are forgotten (rule B8).

mod command;
mod contact;
mod me;
mod merge;
mod peers;
mod probe;
mod suspicion;
mod sync;
mod table;
mod updates;
mod view;

#[cfg(test)]
mod tests;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::action::MemberState;
use crate::boot::{Boot, Phase};
use crate::config::Config;
use crate::context::Ctx;
use crate::deadlines::{Deadlines, soonest};
use crate::id::NodeId;
use crate::reconcile::{MEMBERS, Partner, Sync};
use crate::rng::{Rng, Stream};
use crate::time::Time;
use crate::wire::{
    self, Accused, Ack, Alive, Header, JoinEcho, Message, Nack, Ping, PingReq, Record, RelayedAck, Standing,
    Swim, Verdict, Want,
};

use contact::Contacts;
use me::Me;
use probe::Prober;
use suspicion::Suspicion;
use table::{Entry, Table};
use updates::{Fate, Updates};

pub use merge::Obituary;
pub(crate) use peers::Peers;

/// Senders whose last accusation is remembered, so that each gets one a probe interval (rule A4).
const ACCUSED_MAX: usize = 64;

/// What is due at a deadline. Due together, they fire in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Timer {
    /// The next protocol period.
    Probe,
    /// The probed member has not answered yet.
    ProbeTimeout,
    /// A helper's turn to say that it got no answer either, or to forget the request.
    Relay,
    /// A ping of the application.
    Ping(u64),
    /// A suspicion has run out, or its last word has.
    Suspicion(NodeId),
    /// Send what waits.
    Gossip,
    /// Contact a Down member and a silent seed.
    Heal,
    /// Contact the seeds.
    Join,
    /// Say goodbye again.
    Leave,
    /// The leave has taken its time.
    Departure,
    /// A terminal entry fades or is forgotten.
    Fade,
    /// An unanswered question of admission counts as yes.
    Admit(NodeId),
}

impl Timer {
    /// Whether a late wake-up shifts it (rule B7).
    const fn is_verdict(self) -> bool {
        matches!(self, Self::Probe | Self::ProbeTimeout | Self::Relay | Self::Ping(_) | Self::Suspicion(_))
    }
}

/// The membership of one node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Membership {
    me: Me,
    phase: Phase,
    joined: bool,
    table: Table,
    updates: Updates,
    suspicions: BTreeMap<NodeId, Suspicion>,
    obituaries: BTreeMap<NodeId, Obituary>,
    prober: Prober,
    contacts: Contacts,
    sync: Sync,
    health: Health,
    accused: VecDeque<(NodeId, Time)>,
    deadlines: Deadlines<Timer>,
    gossiped: Time,
    rng: Rng,
    /// Reused by whoever chooses members.
    chosen: Vec<NodeId>,
}

/// How well this node itself does: Lifeguard's local health, and when it last heard anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Health {
    /// Lifeguard's local health multiplier, less one.
    score: u8,
    /// The last valid datagram from a member.
    heard: Time,
    /// The last event of any kind.
    event: Time,
}

/// Where a datagram came from, and how far its sender is believed.
#[derive(Clone, Copy, Debug)]
struct Source {
    from: SocketAddr,
    sender: NodeId,
    standing: Standing,
    /// Its updates answer a reconciliation.
    delta: bool,
}

/// A datagram that is being read.
#[derive(Debug)]
pub(crate) struct Arrival {
    source: Source,
    reply: Reply,
    question: usize,
}

impl Arrival {
    pub(crate) const fn standing(&self) -> Standing {
        self.source.standing
    }

    /// The sender, at the address that the datagram came from.
    pub(crate) const fn partner(&self) -> Partner {
        self.source.partner()
    }
}

/// What will be answered to a datagram, in one datagram.
#[derive(Debug, Default)]
struct Reply {
    ack: Option<u32>,
    accused: Option<Accused>,
    /// Ask the sender for its record.
    wants_record: bool,
    /// A verdict that beats an Alive of the sender's (rule B3).
    verdict: Option<NodeId>,
}

impl Membership {
    pub(crate) fn new(boot: Boot, epoch: u64, config: &Config, now: Time) -> Self {
        let mut secrets = Rng::new(boot.seed, Stream::Boot);
        let number = secrets.next_u64();
        let key = secrets.next_u64();
        let rng = Rng::new(boot.seed, Stream::Membership);
        let me = Me::new(boot, epoch, number, config);
        let mut table = Table::new(me.id, key);
        table.insert(me.id, me.incarnation(), MemberState::Alive, now);
        table.set_content(me.id, &me.record(), false);
        Self {
            phase: Phase::Idle,
            joined: false,
            table,
            updates: Updates::new(key),
            suspicions: BTreeMap::new(),
            obituaries: BTreeMap::new(),
            prober: Prober::new(),
            contacts: Contacts::new(secrets.next_u64(), secrets.below(1 << 16)),
            sync: Sync::new(MEMBERS),
            health: Health { score: 0, heard: now, event: now },
            accused: VecDeque::new(),
            deadlines: Deadlines::new(),
            gossiped: Time::ZERO,
            chosen: Vec::new(),
            me,
            rng,
        }
    }

    pub(crate) const fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Leaving)
    }

    /// Notices that we were not called when we should have been, and gives others the time back (rule B7).
    /// `wake` is when the node was to be called at the latest.
    pub(crate) fn before_event(&mut self, wake: Option<Time>, cx: &mut Ctx<'_>) {
        let since = core::mem::replace(&mut self.health.event, cx.now);
        let Some(wake) = wake else { return };
        let late = cx.now.since(wake.max(since));
        if late > cx.config.membership.late_slack {
            self.deadlines.postpone(late, Timer::is_verdict);
            self.worsen_health(1, cx);
            cx.stats.late_wakes += 1;
        }
    }

    pub(crate) fn next_wake(&self) -> Option<Time> {
        soonest(self.deadlines.next(), self.sync.next_wake())
    }

    /// Fires what is due. Each deadline that a handler sets lies behind `now`, so this ends.
    pub(crate) fn on_tick(&mut self, cx: &mut Ctx<'_>) {
        while let Some(timer) = self.deadlines.pop_due(cx.now) {
            match timer {
                Timer::Probe => self.start_probe(cx),
                Timer::ProbeTimeout => self.on_probe_timeout(cx),
                Timer::Relay => self.on_relay_due(cx),
                Timer::Ping(ping) => self.on_ping_due(ping, cx),
                Timer::Suspicion(id) => self.on_suspicion_due(id, cx),
                Timer::Gossip => self.gossip(cx),
                Timer::Heal => self.heal(cx),
                Timer::Join => self.contact_seeds(cx),
                Timer::Leave => self.say_goodbye(cx),
                Timer::Departure => self.depart(false, cx),
                Timer::Fade => self.fade(cx),
                Timer::Admit(id) => self.accept(id, cx),
            }
        }
        if self.sync.pop_due(cx) {
            self.go_on_reconciling(cx);
        }
    }

    /// Takes the header of a datagram of `len` bytes: what it alone proves, and how far its sender is believed. `None` if
    /// the messages behind it are not to be used.
    pub(crate) fn on_header(
        &mut self,
        header: &Header,
        from: SocketAddr,
        len: usize,
        cx: &mut Ctx<'_>,
    ) -> Option<Arrival> {
        if header.sender == self.me.id {
            self.on_own_id(header, from, len, cx);
            return None;
        }
        let mut reply = Reply::default();
        let standing = self.weigh(header, from, &mut reply, cx);
        let source = Source { from, sender: header.sender, standing, delta: false };
        Some(Arrival { source, reply, question: len })
    }

    /// Answers what was in a datagram, after all of it.
    pub(crate) fn answer(&self, arrival: &Arrival, cx: &mut Ctx<'_>) {
        self.send_reply(&arrival.source, arrival.question, &arrival.reply, cx);
    }

    /// A datagram under our own id: our own one came back, or a twin speaks. A twin that stands below us is told, as
    /// everybody would be: it may know nobody else (rules A2 and A4).
    fn on_own_id(&mut self, header: &Header, from: SocketAddr, question: usize, cx: &mut Ctx<'_>) {
        if header.boot == self.me.boot {
            cx.stats.dropped_own += 1;
            return;
        }
        self.on_self(header.incarnation, Some(header.boot), MemberState::Alive, cx);
        let (incarnation, id) = (self.me.incarnation(), self.me.id);
        if self.phase == Phase::Running && header.incarnation < incarnation && self.may_accuse(id, cx) {
            let accused =
                Accused { incarnation, state: MemberState::Alive, removed: false, boot: self.me.boot };
            let source = Source { from, sender: id, standing: Standing::Unknown, delta: false };
            self.send_reply(&source, question, &Reply { accused: Some(accused), ..Reply::default() }, cx);
        }
    }

    /// Takes what the envelope alone proves: that its sender lives, and at which incarnation (rules A4, B2).
    fn weigh(&mut self, header: &Header, from: SocketAddr, reply: &mut Reply, cx: &mut Ctx<'_>) -> Standing {
        let Some(entry) = self.table.get(header.sender) else { return Standing::Unknown };
        let held = entry.incarnation();
        if header.incarnation != held
            || entry.state() != MemberState::Alive
            || entry.boot() != Some(header.boot)
        {
            let standing = self.weigh_difference(header, from, reply, cx);
            if standing != Standing::Member {
                return standing;
            }
        }
        let Some(addr) = self.table.heard(header.sender, cx.now) else { return Standing::Unknown };
        self.hear_somebody(cx);
        self.first_contact(header.sender, cx);
        if addr == Some(from) { Standing::Validated } else { Standing::Member }
    }

    /// The sender is not what we hold of it: one of the two has news.
    fn weigh_difference(
        &mut self,
        header: &Header,
        from: SocketAddr,
        reply: &mut Reply,
        cx: &mut Ctx<'_>,
    ) -> Standing {
        let Some(entry) = self.table.get(header.sender) else { return Standing::Unknown };
        let (incarnation, state, removed) = (entry.incarnation(), entry.state(), entry.flags.removed);
        let boot = entry.boot().unwrap_or(0);
        let same = entry.record().is_some_and(|record| record.incarnation() == header.incarnation);
        let other_boot = same && boot != header.boot;
        let accuses = header.incarnation < incarnation
            || other_boot
            || (header.incarnation == incarnation && state != MemberState::Alive);
        if accuses && self.may_accuse(header.sender, cx) {
            reply.accused = Some(Accused { incarnation, state, removed, boot });
        }
        if header.incarnation.epoch < incarnation.epoch {
            return Standing::Stale;
        }
        if header.incarnation > incarnation {
            self.hold(header.sender, header.incarnation, MemberState::Alive, cx.now.as_nanos(), true, cx);
            self.sync_with_returned(header.sender, from, cx);
            reply.wants_record = true;
        }
        let live = self.table.get(header.sender).is_some_and(Entry::is_live);
        if live { Standing::Member } else { Standing::Unknown }
    }

    /// Whether the sender has not been told within a probe interval what we hold of it.
    fn may_accuse(&mut self, id: NodeId, cx: &Ctx<'_>) -> bool {
        let interval = cx.config.membership.probe_interval;
        self.accused.retain(|(_, at)| cx.now.since(*at) < interval);
        if self.accused.len() == ACCUSED_MAX || self.accused.iter().any(|(other, _)| *other == id) {
            return false;
        }
        self.accused.push_back((id, cx.now));
        true
    }

    pub(crate) fn on_message(&mut self, arrival: &mut Arrival, message: &Swim<'_>, cx: &mut Ctx<'_>) {
        let Arrival { source, reply, .. } = arrival;
        match *message {
            Swim::Ping(Ping { seq, roots }) => {
                reply.ack = Some(seq);
                self.compare_root(source, roots, cx);
            }
            Swim::Ack(Ack { seq, roots }) => {
                self.on_ack(source, seq, cx);
                match roots {
                    Some(roots) => self.compare_root(source, roots, cx),
                    None => self.introduce(source, cx),
                }
            }
            Swim::Alive(Alive(record)) => self.on_record(record, source, reply, cx),
            Swim::Verdict(verdict) => self.on_verdict(&verdict, source, cx),
            Swim::Accused(accused) => self.on_accused(source, &accused, cx),
            Swim::Join(join) => self.on_join(source, &join, cx),
            Swim::JoinEcho(JoinEcho { cookie, seen }) => self.on_join_echo(source.from, cookie, seen, cx),
            Swim::JoinAnswer(answer) => {
                self.on_join_answer(source, &answer, cx);
                // The records behind it are news to the joiner alone.
                source.delta = true;
            }
            Swim::PingReq(PingReq { seq, target, addr }) => self.on_ping_req(source, seq, target, addr, cx),
            Swim::Nack(Nack { seq }) => self.on_nack(seq),
            Swim::RelayedAck(RelayedAck { seq, author, incarnation }) => {
                self.on_relayed_ack(seq, author, incarnation, cx);
            }
        }
    }

    /// Answers a datagram of `question` bytes, in no more than that to an address that has not echoed (rule F6).
    fn send_reply(&self, source: &Source, question: usize, reply: &Reply, cx: &mut Ctx<'_>) {
        let Reply { ack, accused, wants_record, verdict } = *reply;
        if ack.is_none() && accused.is_none() && !wants_record && verdict.is_none() {
            return;
        }
        let validated = source.standing == Standing::Validated;
        let known = accused.is_none() && matches!(source.standing, Standing::Member | Standing::Validated);
        let roots = known.then(|| self.roots(cx));
        let (credit, now) = (cx.config.membership.reconcile_credit, cx.now);
        let mut letter = cx.letter(source.from, source.sender);
        if !validated {
            letter.limit(question - wire::HEADER_BYTES - wire::CRC_BYTES);
        }
        if let Some(seq) = ack {
            letter.push(&Ack { seq, roots }.into());
        }
        if let Some(accused) = accused {
            letter.push(&accused.into());
        }
        if validated {
            if wants_record && self.table.get(source.sender).is_some_and(Entry::lacks_content) {
                let id = source.sender.0.to_le_bytes();
                letter.push(&Want::of(MEMBERS, credit, &id).into());
            }
            if let Some(verdict) = verdict.and_then(|id| self.verdict_of(id, now)) {
                letter.push(&verdict.into());
            }
        }
        if letter.is_empty() {
            return;
        }
        if validated { letter.send() } else { letter.send_alone() }
    }

    /// Sends a datagram to a member: what it is about, then what waits to be spread.
    fn send(&self, to: SocketAddr, receiver: NodeId, about: &[Message<'_>], cx: &mut Ctx<'_>) {
        let mut letter = cx.letter(to, receiver);
        for message in about {
            let fits = letter.push(message);
            debug_assert!(fits, "what a datagram is about fits the least mtu");
        }
        letter.send();
    }

    /// A member has answered like one that does not know us: it gets our record.
    fn introduce(&self, source: &Source, cx: &mut Ctx<'_>) {
        if source.standing == Standing::Validated && self.phase == Phase::Running {
            let record = self.me.record();
            self.send(source.from, source.sender, &[Alive(Record::trusted(&record)).into()], cx);
        }
    }

    /// Whether updates wait to ride on a datagram.
    pub(crate) fn has_updates(&self) -> bool {
        !self.updates.is_empty()
    }

    /// Offers a datagram to `receiver` the updates that wait; `push` says whether one has fitted.
    pub(crate) fn pack(
        &mut self,
        receiver: NodeId,
        config: &Config,
        now: Time,
        mut push: impl FnMut(&Message<'_>) -> bool,
    ) {
        let Self { updates, table, suspicions, .. } = self;
        let members = u32::try_from(table.live()).unwrap_or(u32::MAX);
        let limit = crate::estimate::retransmissions(config, members);
        updates.pack(limit, |id| {
            let Some(entry) = table.get(id) else { return Fate::Gone };
            let Some(message) = update_of(entry, suspicions, now) else { return Fate::Gone };
            if id == receiver && entry.state() == MemberState::Alive {
                return Fate::Useless;
            }
            if push(&message) { Fate::Packed } else { Fate::TooLong }
        });
    }

    /// One round of dissemination to random members, beside what rides on pings.
    fn gossip(&mut self, cx: &mut Ctx<'_>) {
        self.gossiped = cx.now;
        let settings = &cx.config.membership;
        let mut chosen = core::mem::take(&mut self.chosen);
        chosen.clear();
        self.table.choose(settings.gossip_fanout.into(), self.me.id, &mut self.rng, &mut chosen);
        for id in &chosen {
            let Some(to) = self.table.get(*id).and_then(Entry::addr) else { continue };
            let (config, now) = (cx.config, cx.now);
            let mut letter = cx.letter(to, *id);
            self.pack(*id, config, now, |message| letter.push(message));
            if !letter.is_empty() {
                letter.send();
            }
        }
        let alone = chosen.is_empty();
        self.chosen = chosen;
        if !self.updates.is_empty() && !alone {
            self.deadlines.arm(Timer::Gossip, cx.now + settings.gossip_interval, cx.now);
        }
    }

    /// Something is to be spread: at once if there has been no round for an interval, else at its end.
    fn spread(&mut self, id: NodeId, cx: &Ctx<'_>) {
        self.updates.push(id);
        if self.deadlines.at(Timer::Gossip).is_none() {
            self.deadlines.arm(Timer::Gossip, self.gossiped + cx.config.membership.gossip_interval, cx.now);
        }
    }

    /// What is held of a member that is not alive.
    fn verdict_of(&self, id: NodeId, now: Time) -> Option<Verdict> {
        let update = update_of(self.table.get(id)?, &self.suspicions, now)?;
        if let Message::Swim(Swim::Verdict(verdict)) = update { Some(verdict) } else { None }
    }

    fn hear_somebody(&mut self, cx: &Ctx<'_>) {
        let silent = core::mem::replace(&mut self.health.heard, cx.now);
        if cx.now.since(silent) > Self::isolation(cx.config) {
            self.extend_suspicions(cx);
        }
    }

    /// How long a silence means that the fault may be here (rule B6).
    fn isolation(config: &Config) -> Duration {
        let settings = &config.membership;
        match settings.isolation_periods {
            0 => Duration::MAX,
            periods => settings.probe_interval * periods.into(),
        }
    }

    fn worsen_health(&mut self, by: u8, cx: &Ctx<'_>) {
        let most = cx.config.membership.health_max - 1;
        self.health.score = self.health.score.saturating_add(by).min(most);
    }

    const fn improve_health(&mut self) {
        self.health.score = self.health.score.saturating_sub(1);
    }

    /// Everyone alive or suspected, oneself included: the n of the formulas.
    fn group(&self) -> u32 {
        u32::try_from(self.table.live()).unwrap_or(u32::MAX)
    }
}

/// What there is to say of a member: its record while it is alive, else the verdict.
fn update_of<'a>(
    entry: &'a Entry,
    suspicions: &BTreeMap<NodeId, Suspicion>,
    now: Time,
) -> Option<Message<'a>> {
    let (id, incarnation) = (entry.id, entry.incarnation());
    let age = || u32::try_from(entry.age(now) / 1_000_000).unwrap_or(u32::MAX);
    let verdict = |state, age, author| {
        Some(Verdict { id, incarnation, state, removed: entry.flags.removed, age, author }.into())
    };
    match entry.state() {
        MemberState::Alive if entry.lacks_content() => None,
        MemberState::Alive => entry.record().map(|record| Alive(record).into()),
        MemberState::Suspect => verdict(MemberState::Suspect, 0, *suspicions.get(&id)?.authors.last()?),
        MemberState::Down | MemberState::Left => verdict(entry.state(), age(), NodeId::NOBODY),
    }
}
