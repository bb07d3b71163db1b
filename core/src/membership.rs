//! Membership: the members of the group, and which of them answer (SWIM, Das et al., DSN 2002; Lifeguard, Dadgar
//! et al., 2018; and the rules A and B of `core/RULES.md`).
//!
//! One member is probed in each period. A member that does not answer is suspected, and a suspicion becomes a Down
//! unless its subject refutes it with a higher incarnation. Changes are piggybacked on every datagram; a change that
//! was missed is found by comparing fingerprints.
//!
//! Files: the members are in [`table`], [`rules`] (which news wins, pure), [`verdict`] (what follows from news) and
//! [`tombstone`] (members that are gone). The failure detector is in [`probe`], [`relay`] (pings for others), [`ping`] (pings
//! for the application), [`suspicion`], [`damping`] (members that come and go) and [`health`] (of this node). Which process
//! has an id is decided in [`waiting`] (before it takes the id, pure) and [`identity`] (afterwards, pure); [`name`] does what
//! they ask for. Coming and going is in [`own`] (the own record and incarnation), [`join`], [`heal`] and [`leave`]. Datagrams
//! are in [`sender`] (how far a sender is believed), [`updates`] (what rides along) and [`sync`] (reconciliation). The
//! application's side is [`command`], [`admission`] (what it is told) and [`view`] (what it reads); the other machines read
//! [`peers`].
//!
//! Beyond the papers: an observer that hears nothing, or wakes late, postpones its verdicts (rules B6 and B7); a Down
//! that is heard about a member held Alive is only a suspicion (rule B1); Down members are contacted until they are
//! forgotten (rule B8).

mod admission;
mod command;
mod damping;
mod heal;
mod health;
mod identity;
mod join;
mod leave;
mod name;
mod own;
mod peers;
mod ping;
mod probe;
mod relay;
mod rules;
mod sender;
mod suspicion;
mod sync;
mod table;
mod tombstone;
mod updates;
mod verdict;
mod view;
mod waiting;

#[cfg(test)]
mod adversity;
#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod name_tests;
#[cfg(test)]
mod rule_tests;
#[cfg(test)]
mod suspicion_tests;
#[cfg(test)]
mod test_support;
#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::boot::{Boot, Phase};
use crate::config::Config;
use crate::context::Ctx;
use crate::deadlines::{Deadlines, soonest};
use crate::id::{MemberState, NodeId};
use crate::reconcile::{MEMBERS, Sync};
use crate::rng::{Rng, Stream};
use crate::time::Time;
use crate::wire::{Ack, Alive, Message, Nack, Ping, Swim};

use damping::Returns;
use heal::Healing;
use health::Health;
use join::Contacts;
use leave::{Departure, Goodbye};
use name::{NameRelays, Redraw, Rivals};
use own::Own;
use probe::Prober;
use rules::{Claim, Visibility};
use sender::{Reply, Source, Turns};
use suspicion::Suspicion;
use table::Table;
use updates::Updates;
use waiting::Waiting;

pub(crate) use peers::Peers;
pub(crate) use sender::Arrival;
pub use suspicion::Obituary;

/// The kinds of deadlines. Deadlines that are due together fire in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Timer {
    /// The next probe begins.
    Probe,
    /// The target of the probe has not answered in time.
    ProbeTimeout,
    /// A relayed ping must be nacked, or its relay forgotten.
    Relay,
    /// A ping of the application must be tried again, or it has failed.
    Ping(u64),
    /// The last word to a suspect begins (see [`suspicion`]), or the verdict on the suspect is due.
    Suspicion(NodeId),
    /// A suspect of which this node has heard is pinged again, or has not answered.
    Hearer(NodeId),
    /// A round of gossip sends queued updates.
    Gossip,
    /// A Down member and a silent seed are contacted.
    Heal,
    /// The seeds are contacted.
    Join,
    /// A question about the own id is repeated, or was not answered in time.
    Name,
    /// A leaving node announces its leave again.
    Leave,
    /// The time allowed for a leave is over.
    Departure,
    /// A tombstone must be held back or forgotten.
    Expiry,
    /// The application has not answered the question of admission in time, so the member is admitted.
    Admit(NodeId),
    /// A member on probation has been quiet for long enough.
    Probation(NodeId),
}

impl Timer {
    /// Whether the deadline is postponed when this node is called late (rule B7).
    const fn is_verdict(self) -> bool {
        matches!(
            self,
            Self::Probe
                | Self::ProbeTimeout
                | Self::Relay
                | Self::Ping(_)
                | Self::Suspicion(_)
                | Self::Hearer(_)
                | Self::Probation(_)
        )
    }
}

/// The membership of one node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Membership {
    own: Own,
    phase: Phase,
    table: Table,
    suspicions: BTreeMap<NodeId, Suspicion>,
    obituaries: BTreeMap<NodeId, Obituary>,
    returns: Returns,
    prober: Prober,
    health: Health,
    contacts: Contacts,
    healing: Healing,
    goodbye: Option<Goodbye>,
    /// Present while this node waits for its id.
    waiting: Option<Waiting>,
    /// Present while this node waits for a new seed.
    redraw: Option<Redraw>,
    /// Whether this process has published a record, now or before it left.
    has_published: bool,
    rivals: Rivals,
    name_relays: NameRelays,
    accusations: Turns,
    /// The members whose echo was lately answered by a Join (rule B10).
    introductions: Turns,
    updates: Updates,
    sync: Sync,
    deadlines: Deadlines<Timer>,
    rng: Rng,
    /// A buffer that is reused for each choice of members.
    chosen: Vec<NodeId>,
}

impl Membership {
    pub(crate) fn new(boot: Boot, epoch: u64, config: &Config, now: Time) -> Self {
        let mut secrets = Rng::new(boot.seed, Stream::Boot);
        let number = secrets.next_u64();
        let key = secrets.next_u64();
        let rng = Rng::new(boot.seed, Stream::Membership);
        let own = Own::new(boot, epoch, number, config);
        let mut table = Table::new(own.id, key);
        table.insert(own.id, Claim::new(own.incarnation(), MemberState::Alive), now.as_nanos());
        table.set_content(own.id, &own.record(), false);
        table.set_visibility(own.id, Visibility::Hidden);
        Self {
            phase: Phase::Idle,
            table,
            suspicions: BTreeMap::new(),
            obituaries: BTreeMap::new(),
            returns: Returns::default(),
            prober: Prober::default(),
            health: Health::new(now),
            contacts: Contacts::new(secrets.next_u64()),
            healing: Healing::new(secrets.below(1 << 16)),
            goodbye: None,
            waiting: None,
            redraw: None,
            has_published: false,
            rivals: Rivals::default(),
            name_relays: NameRelays::default(),
            accusations: Turns::default(),
            introductions: Turns::default(),
            updates: Updates::new(key),
            sync: Sync::new(MEMBERS),
            deadlines: Deadlines::new(),
            chosen: Vec::new(),
            own,
            rng,
        }
    }

    pub(crate) const fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Leaving)
    }

    /// Whether this node uses some of the datagrams that it receives.
    pub(crate) const fn is_listening(&self) -> bool {
        matches!(self.phase, Phase::Waiting | Phase::Running | Phase::Leaving) && !self.awaits_seed()
    }

    /// Whether a datagram of this sender is only about the own id.
    pub(crate) fn is_about_name(&self, sender: NodeId) -> bool {
        self.phase == Phase::Waiting || sender == self.own.id
    }

    /// Detects a call that comes later than `wake`, the time at which the node had to be called at the latest, and
    /// postpones its verdicts by the delay, so that the other members lose no time (rule B7).
    pub(crate) fn before_event(&mut self, wake: Option<Time>, cx: &mut Ctx<'_>) {
        if let Some(late) = self.health.on_event(wake, cx.config, cx.now) {
            self.postpone_verdicts(late, cx);
            self.ask_self(cx);
        }
    }

    /// Gives the other members the time back in which this node stood still (rule B7).
    fn postpone_verdicts(&mut self, late: Duration, cx: &mut Ctx<'_>) {
        self.deadlines.postpone(late, Timer::is_verdict);
        self.postpone_suspicions(late, cx.config);
        cx.stats.late_wakes += 1;
        // What was answered meanwhile may be of a process that has ended since.
        self.own.identity.void();
        self.name_relays.void(cx.now);
        if let Some(waiting) = &mut self.waiting {
            waiting.postpone(late);
        }
    }

    pub(crate) fn next_wake(&self) -> Option<Time> {
        if self.awaits_seed() {
            return None;
        }
        soonest(self.deadlines.next(), self.sync.next_wake())
    }

    /// Fires the deadlines that are due, in the order of time. A handler sets deadlines only after `now`, so the loop
    /// ends.
    pub(crate) fn on_tick(&mut self, cx: &mut Ctx<'_>) {
        while let Some(due) = self.next_wake().filter(|due| *due <= cx.now) {
            match self.deadlines.pop_due(due) {
                Some(timer) => self.on_timer(timer, cx),
                None if self.sync.pop_due(due) => self.go_on_reconciling(cx),
                None => {}
            }
        }
    }

    fn on_timer(&mut self, timer: Timer, cx: &mut Ctx<'_>) {
        match timer {
            Timer::Probe => self.start_probe(cx),
            Timer::ProbeTimeout => self.on_probe_timeout(cx),
            Timer::Relay => self.on_relay_due(cx),
            Timer::Ping(ping) => self.on_ping_due(ping, cx),
            Timer::Suspicion(id) => self.on_suspicion_due(id, cx),
            Timer::Hearer(id) => self.ask_as_hearer(id, cx),
            Timer::Gossip => self.gossip(cx),
            Timer::Heal => self.heal(cx),
            Timer::Join => self.contact_seeds(cx),
            Timer::Name => self.on_name_due(cx),
            Timer::Leave => self.say_goodbye(cx),
            Timer::Departure => self.depart(Departure { acknowledged: false, alone: false }, cx),
            Timer::Expiry => self.expire(cx),
            Timer::Admit(id) => self.accept(id, cx),
            Timer::Probation(id) => self.on_probation_due(id, cx),
        }
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
            Swim::Verdict(verdict) => {
                self.on_verdict(&verdict, source, cx);
                let heard = Claim::new(verdict.incarnation, verdict.state);
                let agrees = |entry: &table::Entry| !entry.is_live() && entry.claim() == heard;
                reply.gone = self.table.get(verdict.id).filter(|entry| agrees(entry)).map(|entry| entry.id);
            }
            Swim::Accused(accused) => self.on_accused(source, &accused, reply, cx),
            Swim::Join(join) => self.on_join(source, &join, cx),
            Swim::JoinEcho(echo) => self.on_join_echo(source, echo, cx),
            Swim::JoinAnswer(answer) => {
                self.on_join_answer(source, &answer, cx);
                // The records behind the answer are news to the joiner alone, so the joiner does not spread them.
                source.delta = true;
            }
            Swim::Ask(ask) => self.on_ask(source.sender, source.from, ask, cx),
            Swim::Claim(claim) => self.on_claim(source.sender, source.from, claim, cx),
            Swim::PingReq(asked) => self.on_ping_req(source, asked, cx),
            Swim::Nack(Nack { seq }) => self.prober.on_nack(seq),
            Swim::RelayedAck(ack) => self.on_relayed_ack(ack, cx),
        }
    }

    /// Draws up to `count` distinct members that can be probed, none of them `except`. The caller puts the list back into
    /// `chosen` when it is done, so that no draw allocates.
    fn choose(&mut self, count: usize, except: NodeId) -> Vec<NodeId> {
        let mut chosen = core::mem::take(&mut self.chosen);
        chosen.clear();
        self.table.choose(count, except, &mut self.rng, &mut chosen);
        chosen
    }

    /// The number of members that are alive or suspected, this node included: the n of the formulas.
    fn group_size(&self) -> u32 {
        u32::try_from(self.table.live()).unwrap_or(u32::MAX)
    }
}

/// Sends a datagram with these messages to a member. Queued updates fill the room that is left.
fn send(to: SocketAddr, receiver: NodeId, messages: &[Message<'_>], cx: &mut Ctx<'_>) {
    let mut datagram = cx.datagram(to, receiver);
    for message in messages {
        let fits = datagram.push(message);
        debug_assert!(fits, "the messages of one purpose fit the least mtu");
    }
    datagram.send();
}
