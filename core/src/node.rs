//! The node: the one type of the library, its one entry, and everything that can be read of it.

use alloc::vec::Vec;
use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::action::{Action, Member};
use crate::boot::{Boot, Phase};
use crate::broadcast::{Mark, Pending, Report, Usage};
use crate::config::Config;
use crate::context::{Ctx, Signals};
use crate::error::ConfigError;
use crate::event::Event;
use crate::id::{Incarnation, MessageId, NodeId};
use crate::link::{Link, Outbox};
use crate::machines::Machines;
use crate::membership::Obituary;
use crate::stats::Stats;
use crate::time::Time;
use crate::wire::cluster_tag;

/// One member of a cluster, as a pure state machine.
///
/// Serialising it at any event and resuming it elsewhere changes nothing in what it does next.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Node {
    config: Config,
    now: Time,
    stats: Stats,
    link: Link,
    signals: Signals,
    machines: Machines,
}

impl Node {
    /// A node that has not started. It is silent until [`Command::Join`].
    ///
    /// # Errors
    /// A setting is out of its range or contradicts another one; the error names both.
    pub fn new(boot: Boot, config: Config, now: Time) -> Result<Self, ConfigError> {
        config.validate()?;
        boot.validate()?;
        let machines = Machines::new(boot, &config, now)?;
        let Machines { membership, .. } = &machines;
        let tag = cluster_tag(&config.cluster);
        let link = Link::new(tag, membership.id(), membership.incarnation(), membership.boot());
        Ok(Self { config, now, stats: Stats::default(), link, signals: Signals::default(), machines })
    }

    /// Takes one event; what is to be done comes back, the next wake-up last.
    pub fn handle(&mut self, event: Event<'_>, now: Time) -> Vec<Action<'static>> {
        let mut out = Outbox::new();
        self.handle_into(event, now, &mut out);
        let mut actions: Vec<_> = out.iter().map(Action::into_owned).collect();
        actions.extend(self.next_wake().map(Action::WakeAt));
        actions
    }

    /// The same, adding to an outbox that the caller reuses. A settled node allocates nothing here.
    ///
    /// `now` going backwards is taken as the last one seen.
    pub fn handle_into(&mut self, event: Event<'_>, now: Time, out: &mut Outbox) {
        let Self { config, now: last, stats, link, signals, machines } = self;
        let now = now.max(*last);
        *last = now;
        let sent = out.sent();
        let (roots, others) = (machines.roots(), machines.membership.peers().others());
        let mut cx = Ctx { now, config, roots, others, out, stats, link, signals };
        machines.before_event(&mut cx);
        match event {
            Event::Datagram { from, bytes } => machines.on_datagram(from, bytes, &mut cx),
            Event::Tick => machines.on_tick(&mut cx),
            Event::Command(command) => {
                let answer = machines.on_command(command, &mut cx);
                cx.out.answer(answer);
            }
            Event::Stored { slot, serial } => machines.on_stored(slot, serial, &mut cx),
        }
        machines.after_event(&mut cx);
        out.finish();
        stats.datagrams_sent += out.sent().datagrams - sent.datagrams;
        stats.bytes_sent += out.sent().bytes - sent.bytes;
    }

    /// When a tick is due at the latest; `None` while nothing is. After a tick it lies in the future.
    #[must_use]
    pub fn next_wake(&self) -> Option<Time> {
        self.machines.next_wake()
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> NodeId {
        self.machines.membership.id()
    }

    /// Its own incarnation.
    #[must_use]
    pub const fn incarnation(&self) -> Incarnation {
        self.machines.membership.incarnation()
    }

    /// The random number of this process.
    #[must_use]
    pub const fn boot(&self) -> u64 {
        self.machines.membership.boot()
    }

    /// The address it announces.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.machines.membership.addr()
    }

    /// Where it stands in its life.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.machines.membership.phase()
    }

    /// Whether it has been in contact with a member since it started.
    #[must_use]
    pub const fn is_joined(&self) -> bool {
        self.machines.membership.is_joined()
    }

    /// Its settings.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The latest `now` it has seen.
    #[must_use]
    pub const fn now(&self) -> Time {
        self.now
    }

    /// What it has done and refused.
    #[must_use]
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The local view, by id: oneself, the living, the suspects, and the terminal ones until they are
    /// forgotten; without those that admission hides.
    pub fn members(&self) -> impl Iterator<Item = Member<'_>> {
        self.machines.membership.members()
    }

    /// One member of the local view.
    #[must_use]
    pub fn member(&self, id: NodeId) -> Option<Member<'_>> {
        self.machines.membership.member(id)
    }

    /// Members of the local view that are alive or suspected, oneself included.
    #[must_use]
    pub fn member_count(&self) -> usize {
        self.machines.membership.member_count()
    }

    /// When the member was last heard: the receipt of its latest valid datagram.
    #[must_use]
    pub fn last_heard(&self, id: NodeId) -> Option<Time> {
        self.machines.membership.last_heard(id)
    }

    /// Why a member is held Down: kept for the latest 64.
    #[must_use]
    pub fn why_down(&self, id: NodeId) -> Option<&Obituary> {
        self.machines.membership.why_down(id)
    }

    /// The broadcasts of one topic that are still cached, the newest first: id and payload. Newest is what was
    /// delivered here last.
    pub fn recent(&self, topic: &str) -> impl Iterator<Item = (MessageId, &[u8])> {
        self.machines.broadcast.recent(topic)
    }

    /// The same of all topics: id, topic and payload.
    pub fn recent_all(&self) -> impl Iterator<Item = (MessageId, &str, &[u8])> {
        self.machines.broadcast.recent_all()
    }

    /// Own broadcasts whose first phase has not ended.
    #[must_use]
    pub fn pending(&self) -> Pending {
        self.machines.broadcast.pending()
    }

    /// How far an own broadcast has spread; `None` if it is not reported on, or no longer.
    #[must_use]
    pub fn report(&self, id: MessageId) -> Option<Report> {
        self.machines.broadcast.report(id)
    }

    /// What is known of the broadcasts of each origin, the open epochs of each, by id and epoch.
    pub fn marks(&self) -> impl Iterator<Item = Mark> {
        self.machines.broadcast.marks()
    }

    /// The bytes of a cached broadcast.
    #[must_use]
    pub fn cached(&self, id: MessageId) -> Option<&[u8]> {
        self.machines.broadcast.cached(id)
    }

    /// What the broadcast holds at present.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.machines.broadcast.usage()
    }

    /// The roots of the fingerprint trees (members, store, broadcasts): equal at two nodes when their tables are.
    #[must_use]
    pub fn roots(&self) -> [u64; 3] {
        self.machines.roots()
    }

    /// Lifeguard's health multiplier: 1 when well, up to `health_max`.
    #[must_use]
    pub const fn health(&self) -> u8 {
        self.machines.membership.health()
    }

    /// Checks the invariants between fields. For simulations and fuzzing; it costs the size of the table.
    ///
    /// # Panics
    /// An invariant is broken: a bug in this crate.
    pub fn check(&self) {
        self.machines.membership.check(self.now, &self.config);
        self.machines.broadcast.check(&self.config);
    }
}

const _: () = {
    const fn crosses_threads<T: Send + Clone>() {}
    crosses_threads::<Node>();
};
