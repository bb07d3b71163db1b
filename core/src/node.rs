//! The node: its one entry, [`Node::handle_into`], and everything that can be read from it. How an event is routed
//! to the parts of the node is in [`machines`](crate::machines).

use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

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

/// One member of a cluster, as a pure state machine: state, event and `now` decide everything that it does.
///
/// A node can be serialised between any two events and resumed elsewhere, and does the same from there on. The
/// format of the serialised bytes may change with each release.
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
    /// Makes a node that has not started. It sends nothing until [`Command::Join`](crate::Command::Join).
    ///
    /// # Errors
    /// A setting or a part of the boot is out of its range, or contradicts another setting; the error names both.
    pub fn new(boot: Boot, config: Config, now: Time) -> Result<Self, ConfigError> {
        config.validate()?;
        boot.validate()?;
        let machines = Machines::new(boot, &config, now)?;
        let Machines { membership, .. } = &machines;
        let tag = cluster_tag(&config.cluster);
        let link = Link::new(tag, membership.id(), membership.incarnation(), membership.boot());
        Ok(Self { config, now, stats: Stats::default(), link, signals: Signals::default(), machines })
    }

    /// Takes one event and returns the actions to carry out, the next wake-up last. For tests and simple loops; it
    /// allocates at each call. A driver uses [`Node::handle_into`].
    pub fn handle(&mut self, event: Event<'_>, now: Time) -> Vec<Action<'static>> {
        let mut out = Outbox::new();
        self.handle_into(event, now, &mut out);
        let mut actions: Vec<_> = out.iter().map(Action::into_owned).collect();
        actions.extend(self.next_wake().map(Action::WakeAt));
        actions
    }

    /// Takes one event and appends the actions to carry out to an outbox that the caller reuses. A node of a
    /// settled cluster allocates nothing here.
    ///
    /// It never fails, and never panics on what a peer sends or a clock does: a `now` before the latest one is
    /// taken as the latest one.
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
            Event::Seed(seed) => machines.on_seed(seed, &mut cx),
        }
        machines.after_event(&mut cx);
        out.finish();
        stats.datagrams_sent += out.sent().datagrams - sent.datagrams;
        stats.bytes_sent += out.sent().bytes - sent.bytes;
    }

    /// The time at which the node must get its next [`Event::Tick`] at the latest, or `None` while nothing is due.
    /// After a tick it lies in the future. Ask after each event.
    #[must_use]
    pub fn next_wake(&self) -> Option<Time> {
        self.machines.next_wake()
    }

    /// The id of this node.
    #[must_use]
    pub const fn id(&self) -> NodeId {
        self.machines.membership.id()
    }

    /// The incarnation of this node.
    #[must_use]
    pub const fn incarnation(&self) -> Incarnation {
        self.machines.membership.incarnation()
    }

    /// The random number of this boot, which tells it from other processes with the same id.
    #[must_use]
    pub const fn boot(&self) -> u64 {
        self.machines.membership.boot()
    }

    /// The address that this node announces to the others.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.machines.membership.addr()
    }

    /// The phase of the life cycle: idle, running, leaving, left or ended.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.machines.membership.phase()
    }

    /// Whether this node has been in contact with a member since it started.
    #[must_use]
    pub const fn is_joined(&self) -> bool {
        self.machines.membership.is_joined()
    }

    /// The settings that this node was made with.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The latest `now` that this node was given.
    #[must_use]
    pub const fn now(&self) -> Time {
        self.now
    }

    /// The counters of this node.
    #[must_use]
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The members of the local view, ordered by id: this node, the Alive and Suspect members, **and the Down and
    /// Left ones until they are forgotten**. Filter by [`Member::state`] to find members that can be used. Members
    /// that admission hides are left out.
    pub fn members(&self) -> impl Iterator<Item = Member<'_>> {
        self.machines.membership.members()
    }

    /// The members that can be used: those of [`members`](Self::members) that are Alive or Suspect.
    pub fn live_members(&self) -> impl Iterator<Item = Member<'_>> {
        self.members().filter(|member| member.state.is_live())
    }

    /// This node as the others see it, once it has its name; `None` before.
    #[must_use]
    pub fn me(&self) -> Option<Member<'_>> {
        self.member(self.id())
    }

    /// The member of the local view with this name, in whatever state. If several ids have used the name, one that is live
    /// comes first, and then the one with the smallest id.
    #[must_use]
    pub fn member_by_name(&self, name: &str) -> Option<Member<'_>> {
        let of_name = self.members().filter(|member| member.name == name);
        of_name.min_by_key(|member| !member.state.is_live())
    }

    /// The member of the local view with this id, in whatever state.
    #[must_use]
    pub fn member(&self, id: NodeId) -> Option<Member<'_>> {
        self.machines.membership.member(id)
    }

    /// How many members of the local view are Alive or Suspect, this node included once it has its id.
    #[must_use]
    pub fn member_count(&self) -> usize {
        self.machines.membership.member_count()
    }

    /// When this node received the latest valid datagram from the member; `None` for an unknown member.
    #[must_use]
    pub fn last_heard(&self, id: NodeId) -> Option<Time> {
        self.machines.membership.last_heard(id)
    }

    /// For how long a member of the local view has been Down or Left, as far as the group knows: members pass the age of a
    /// verdict on. `None` for a live or unknown member.
    #[must_use]
    pub fn gone_for(&self, id: NodeId) -> Option<Duration> {
        self.machines.membership.gone_for(id, self.now)
    }

    /// Why a member is Down: who suspected it, who confirmed it, and when. Kept for the latest 64 members that went
    /// Down.
    #[must_use]
    pub fn why_down(&self, id: NodeId) -> Option<&Obituary> {
        self.machines.membership.why_down(id)
    }

    /// The time at which a member that is alive again, and still shown as Down because it has returned too often, is shown as
    /// Up, unless it is suspected before (rule B14); `None` for every other member.
    #[must_use]
    pub fn probation(&self, id: NodeId) -> Option<Time> {
        self.machines.membership.probation(id)
    }

    /// The broadcasts of one topic that are still cached, as id and payload. The one delivered here last comes
    /// first.
    pub fn recent(&self, topic: &str) -> impl Iterator<Item = (MessageId, &[u8])> {
        self.machines.broadcast.recent(topic)
    }

    /// The broadcasts of all topics that are still cached, as id, topic and payload. The one delivered here last
    /// comes first.
    pub fn recent_all(&self) -> impl Iterator<Item = (MessageId, &str, &[u8])> {
        self.machines.broadcast.recent_all()
    }

    /// How many own broadcasts, and bytes of them, the first phase has not sent yet.
    #[must_use]
    pub fn pending(&self) -> Pending {
        self.machines.broadcast.pending()
    }

    /// How far an own broadcast has spread; `None` if its submission asked for no reports, or they have ended.
    #[must_use]
    pub fn report(&self, id: MessageId) -> Option<Report> {
        self.machines.broadcast.report(id)
    }

    /// The marks: what this node knows of the broadcasts of each origin. There is one for each open epoch of an
    /// origin, ordered by id and epoch.
    pub fn marks(&self) -> impl Iterator<Item = Mark> {
        self.machines.broadcast.marks()
    }

    /// The payload of a broadcast, if it is still cached.
    #[must_use]
    pub fn cached(&self, id: MessageId) -> Option<&[u8]> {
        self.machines.broadcast.cached(id)
    }

    /// How much the broadcast keeps in memory at present, to compare with its limits.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.machines.broadcast.usage()
    }

    /// The roots of the three tables: members, store (always zero, because there is no store yet) and marks of the
    /// broadcast. Two nodes have equal roots when their tables are equal.
    #[must_use]
    pub fn roots(&self) -> [u64; 3] {
        self.machines.roots()
    }

    /// Lifeguard's health multiplier: 1 for a healthy node, up to `membership.health_max` for one that misses
    /// answers.
    #[must_use]
    pub const fn health(&self) -> u8 {
        self.machines.membership.health()
    }

    #[cfg(test)]
    pub(crate) const fn machines(&self) -> &Machines {
        &self.machines
    }

    /// Checks the invariants between fields, for simulations and fuzzing. It costs time in proportion to the
    /// tables.
    ///
    /// # Panics
    /// An invariant is broken, which is a bug in this crate.
    pub fn check(&self) {
        self.machines.membership.check(self.now, &self.config);
        self.machines.broadcast.check(&self.config);
    }
}

const _: () = {
    const fn crosses_threads<T: Send + Clone>() {}
    crosses_threads::<Node>();
};
