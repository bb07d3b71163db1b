//! The node: one entry, one order of work. This file routes; the sub-machines decide.

use alloc::vec::Vec;
use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::action::{Action, Member};
use crate::boot::{Boot, Phase};
use crate::broadcast::{Broadcast, Mark, Pending, Report, Usage};
use crate::command::{Answer, Command};
use crate::config::Config;
use crate::context::{Ctx, Post, Signal, Signals};
use crate::deadlines::soonest;
use crate::error::{ConfigError, Rejected};
use crate::event::{Event, Slot};
use crate::id::{Incarnation, MessageId, NodeId};
use crate::membership::{Arrival, Membership, Obituary};
use crate::outbox::Outbox;
use crate::reconcile::{MARKS, MEMBERS};
use crate::shares::{Class, Packed, Shares};
use crate::stats::Stats;
use crate::time::Time;
use crate::wire::{Message, cluster_tag};

/// One member of a cluster, as a pure state machine.
///
/// Serialising it at any event and resuming it elsewhere changes nothing in what it does next.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Node {
    config: Config,
    now: Time,
    stats: Stats,
    membership: Membership,
    broadcast: Broadcast,
    post: Post,
    signals: Signals,
    shares: Shares,
}

impl Node {
    /// A node that has not started. It is silent until [`Command::Join`].
    ///
    /// # Errors
    /// A setting is out of its range or contradicts another one; the error names both.
    pub fn new(boot: Boot, config: Config, now: Time) -> Result<Self, ConfigError> {
        config.validate()?;
        boot.validate()?;
        let epoch = boot.epoch()?;
        let broadcast = Broadcast::new(&boot, epoch, &config, now)?;
        let membership = Membership::new(boot, epoch, &config, now);
        let (id, number) = (membership.id(), membership.boot());
        let post = Post::new(cluster_tag(&config.cluster), id, membership.incarnation(), number);
        let (stats, signals, shares) = (Stats::default(), Signals::default(), Shares::default());
        Ok(Self { config, now, stats, membership, broadcast, post, signals, shares })
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
        let Self { config, now: last, stats, membership, broadcast, post, signals, shares } = self;
        let now = now.max(*last);
        let sent = out.sent();
        post.marks_root = broadcast.root();
        post.others = membership.others();
        let mut cx = Ctx { now, config, out, stats, post, signals };
        membership.before_event(Self::wake(membership, broadcast), &mut cx);
        *last = now;
        match event {
            Event::Datagram { from, bytes } => Self::on_datagram(membership, broadcast, from, bytes, &mut cx),
            Event::Tick => {
                membership.on_tick(&mut cx);
                Self::drain(membership, broadcast, &mut cx);
                broadcast.on_tick(membership, &mut cx);
            }
            Event::Command(command) => {
                let answer = Self::on_command(membership, broadcast, command, &mut cx);
                cx.out.answer(answer);
            }
            // Nothing waits for the epoch to be durable: a boot that loses it jumps above it when it hears
            // of it (rule A1).
            Event::Stored { slot: Slot::SeenSet, serial } => broadcast.on_stored(serial, &mut cx),
            Event::Stored { .. } => {}
        }
        Self::drain(membership, broadcast, &mut cx);
        if broadcast.has_parcels() {
            broadcast.flush(membership, &mut cx);
        }
        if membership.has_updates() || broadcast.has_parcels() {
            Self::fill(membership, broadcast, shares, &mut cx);
        }
        out.seal();
        stats.datagrams_sent += out.sent().datagrams - sent.datagrams;
        stats.bytes_sent += out.sent().bytes - sent.bytes;
    }

    fn on_datagram(
        membership: &mut Membership,
        broadcast: &mut Broadcast,
        from: SocketAddr,
        bytes: &[u8],
        cx: &mut Ctx<'_>,
    ) {
        let Some((mut arrival, messages)) = membership.on_envelope(from, bytes, cx) else { return };
        for message in messages {
            match message {
                Ok(message) => Self::on_message(membership, broadcast, &mut arrival, &message, cx),
                Err(error) => cx.stats.count_undecodable(error),
            }
            Self::drain(membership, broadcast, cx);
            if !membership.is_running() {
                return;
            }
        }
        membership.answer(&arrival, cx);
    }

    fn on_message(
        membership: &mut Membership,
        broadcast: &mut Broadcast,
        arrival: &mut Arrival,
        message: &Message<'_>,
        cx: &mut Ctx<'_>,
    ) {
        if let Message::Gossip(gossip) = message {
            return match arrival.member() {
                Some((from, validated)) => broadcast.on_message(from, validated, gossip, membership, cx),
                None => cx.stats.ignored_stranger += 1,
            };
        }
        match message.table() {
            Some(MARKS) if !matches!(message, Message::Delta { .. }) => {
                return match arrival.member() {
                    Some((from, true)) => broadcast.on_reconcile(from, message, cx),
                    Some(_) | None => cx.stats.ignored_stranger += 1,
                };
            }
            Some(MEMBERS | MARKS) | None => {}
            Some(_) => {
                cx.stats.ignored_unknown += 1;
                return;
            }
        }
        membership.on_message(arrival, message, cx);
        if let Some(roots) = message.roots()
            && broadcast.is_interested(roots[usize::from(MARKS)])
            && let Some((from, true)) = arrival.member()
        {
            broadcast.compare_root(from, roots[usize::from(MARKS)], membership, cx);
        }
    }

    /// Passes on what one sub-machine has told the others.
    #[inline]
    fn drain(membership: &mut Membership, broadcast: &mut Broadcast, cx: &mut Ctx<'_>) {
        if !cx.signals.is_empty() {
            Self::pass_on(membership, broadcast, cx);
        }
    }

    fn pass_on(membership: &mut Membership, broadcast: &mut Broadcast, cx: &mut Ctx<'_>) {
        while let Some(signal) = cx.signals.pop() {
            match signal {
                Signal::Started => broadcast.on_started(cx),
                Signal::MemberKnown(id) => broadcast.on_member_known(id, membership, cx),
                Signal::MemberGone(id) => broadcast.on_member_gone(id, cx),
                Signal::MemberFaded(id) => broadcast.on_member_faded(id),
                Signal::EpochUsed(epoch) => membership.leave_epoch(epoch, cx),
                Signal::NewEpoch(epoch) => broadcast.on_new_epoch(epoch),
                Signal::Stopped => broadcast.on_stopped(cx),
            }
        }
    }

    /// Fills the datagrams of this call with what waits to be spread.
    fn fill(membership: &mut Membership, broadcast: &mut Broadcast, shares: &mut Shares, cx: &mut Ctx<'_>) {
        for draft in 0..cx.out.drafts() {
            let (config, now) = (cx.config, cx.now);
            let Some(mut letter) = cx.out.reopen(draft) else { continue };
            let receiver = letter.receiver();
            let has_some = [membership.has_updates(), broadcast.has_parcels_for(receiver)];
            shares.fill(letter.room(), has_some, |class, allowance| {
                let mut left = allowance;
                match class {
                    Class::Membership => {
                        membership.pack(receiver, config, now, |message| letter.push(message, &mut left));
                    }
                    Class::Broadcast => {
                        broadcast.pack(receiver, |message| letter.push(message, &mut left));
                    }
                }
                let wants_more = match class {
                    Class::Membership => membership.has_updates(),
                    Class::Broadcast => broadcast.has_parcels_for(receiver),
                };
                Packed { bytes: allowance - left, wants_more }
            });
            letter.close();
        }
    }

    fn on_command(
        membership: &mut Membership,
        broadcast: &mut Broadcast,
        command: Command,
        cx: &mut Ctx<'_>,
    ) -> Result<Answer, Rejected> {
        match command {
            Command::Join { seeds } => membership.join(&seeds, cx),
            Command::Leave { within } => {
                // Who has heard that we left takes nothing from us any more.
                broadcast.hurry();
                broadcast.flush(membership, cx);
                membership.leave(within, cx)
            }
            Command::SetMeta(meta) => membership.set_meta(meta, cx),
            Command::SetAddr(addr) => membership.set_addr(addr, cx),
            Command::Ping { id, addr } => membership.ping(id, addr, cx),
            Command::AddPeer(addr) => membership.add_peer(addr, cx),
            Command::SetPeers(peers) => membership.set_peers(&peers, cx),
            Command::RemovePeer(id) => membership.remove_peer(id, cx),
            Command::Broadcast(message) => broadcast.submit(&message, membership, cx),
            Command::Admit { id, admission } => membership.admit(id, admission, cx),
        }
    }

    /// When a tick is due at the latest; `None` while nothing is. After a tick it lies in the future.
    #[must_use]
    pub fn next_wake(&self) -> Option<Time> {
        Self::wake(&self.membership, &self.broadcast)
    }

    fn wake(membership: &Membership, broadcast: &Broadcast) -> Option<Time> {
        soonest(membership.next_wake(), broadcast.next_wake())
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> NodeId {
        self.membership.id()
    }

    /// Its own incarnation.
    #[must_use]
    pub const fn incarnation(&self) -> Incarnation {
        self.membership.incarnation()
    }

    /// The random number of this process.
    #[must_use]
    pub const fn boot(&self) -> u64 {
        self.membership.boot()
    }

    /// The address it announces.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.membership.addr()
    }

    /// Where it stands in its life.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.membership.phase()
    }

    /// Whether it has been in contact with a member since it started.
    #[must_use]
    pub const fn is_joined(&self) -> bool {
        self.membership.is_joined()
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
        self.membership.members()
    }

    /// One member of the local view.
    #[must_use]
    pub fn member(&self, id: NodeId) -> Option<Member<'_>> {
        self.membership.member(id)
    }

    /// Members of the local view that are alive or suspected, oneself included.
    #[must_use]
    pub fn member_count(&self) -> usize {
        self.membership.member_count()
    }

    /// When the member was last heard: the receipt of its latest valid datagram.
    #[must_use]
    pub fn last_heard(&self, id: NodeId) -> Option<Time> {
        self.membership.last_heard(id)
    }

    /// Why a member is held Down: kept for the latest 64.
    #[must_use]
    pub fn why_down(&self, id: NodeId) -> Option<&Obituary> {
        self.membership.why_down(id)
    }

    /// The broadcasts of one topic that are still cached, the newest first: id and payload. Newest is what was
    /// delivered here last.
    pub fn recent(&self, topic: &str) -> impl Iterator<Item = (MessageId, &[u8])> {
        self.broadcast.recent(topic)
    }

    /// The same of all topics: id, topic and payload.
    pub fn recent_all(&self) -> impl Iterator<Item = (MessageId, &str, &[u8])> {
        self.broadcast.recent_all()
    }

    /// Own broadcasts whose first phase has not ended.
    #[must_use]
    pub fn pending(&self) -> Pending {
        self.broadcast.pending()
    }

    /// How far an own broadcast has spread; `None` if it is not reported on, or no longer.
    #[must_use]
    pub fn report(&self, id: MessageId) -> Option<Report> {
        self.broadcast.report(id)
    }

    /// What is known of the broadcasts of each origin, the open epochs of each, by id and epoch.
    pub fn marks(&self) -> impl Iterator<Item = Mark> {
        self.broadcast.marks()
    }

    /// The bytes of a cached broadcast.
    #[must_use]
    pub fn cached(&self, id: MessageId) -> Option<&[u8]> {
        self.broadcast.cached(id)
    }

    /// What the broadcast holds at present.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.broadcast.usage()
    }

    /// The roots of the fingerprint trees (members, store, broadcasts): equal at two nodes when their tables are.
    #[must_use]
    pub fn roots(&self) -> [u64; 3] {
        [self.membership.root(), 0, self.broadcast.root()]
    }

    /// Lifeguard's health multiplier: 1 when well, up to `health_max`.
    #[must_use]
    pub const fn health(&self) -> u8 {
        self.membership.health()
    }

    /// Checks the invariants between fields. For simulations and fuzzing; it costs the size of the table.
    ///
    /// # Panics
    /// An invariant is broken: a bug in this crate.
    pub fn check(&self) {
        self.membership.check(self.now, &self.config);
        self.broadcast.check(&self.config);
    }
}

const _: () = {
    const fn crosses_threads<T: Send + Clone>() {}
    crosses_threads::<Node>();
};
