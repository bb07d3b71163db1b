//! The first phase: a message that is new here goes on at once, by multicast, push, or the tree; and the queue of all that
//! waits to be sent.
//!
//! Files: [`queue`] (what waits for each receiver, and how fast it may go), [`push`] (acknowledged pushes), [`tree`] with
//! [`neighbours`] and [`roots`] (the tree), [`zones`] (the members to prefer).

mod neighbours;
mod push;
pub(super) mod queue;
mod roots;
mod tree;
mod zones;

use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::log::Log;
use super::log::cache::Cache;
use super::{Received, Shared, Timer};
use crate::config::{Config, FirstPhase};
use crate::context::Ctx;
use crate::id::{MessageId, NodeId};
use crate::membership::Peers;
use crate::wire::{EAGER, MULTICAST, PUSHED, Run, Runs};
use neighbours::Neighbours;
use push::Pushes;
use queue::Queue;
use roots::Roots;
use zones::Zones;

/// The fan-out of the tree in a configuration that has none.
const TREE_FANOUT: u8 = 3;
/// The fan-out of a push in a configuration that has none.
const PUSH_FANOUT: u8 = 3;
/// The number of ids of one announcement that are looked at.
const ANNOUNCED_MAX: u64 = 1_024;
/// The origin that shapes the tree is another one's after so many `quiet_after` of silence.
const SHAPER_WINDOW: u32 = 8;

/// The first phase of one node, and its queue.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Spread {
    neighbours: Neighbours,
    pushes: Pushes,
    zones: Zones,
    roots: Roots,
    pub(super) queue: Queue,
}

/// A message that goes on, and the member that brought it; nobody if it is an own one.
#[derive(Clone, Copy, Debug)]
struct Passing {
    id: MessageId,
    from: Option<NodeId>,
}

/// The address at which one datagram reaches all members, if the configuration names one.
pub(super) const fn group(config: &Config) -> Option<SocketAddr> {
    match config.broadcast.first {
        FirstPhase::Multicast { group } => group,
        FirstPhase::None | FirstPhase::Push { .. } | FirstPhase::Tree { .. } => None,
    }
}

/// How a message that came with these flags goes on; `None` if not at all. A message that the repair brought goes on as
/// an own one would: the members behind this one may lack it too.
const fn first_phase_of(flags: u8, own: FirstPhase) -> Option<FirstPhase> {
    if flags & MULTICAST != 0 {
        None
    } else if flags & EAGER != 0 {
        Some(FirstPhase::Tree { fanout: tree_fanout(own) })
    } else {
        match own {
            FirstPhase::Push { .. } | FirstPhase::Tree { .. } => Some(own),
            FirstPhase::None | FirstPhase::Multicast { .. } if flags & PUSHED != 0 => {
                Some(FirstPhase::Push { fanout: PUSH_FANOUT })
            }
            FirstPhase::None | FirstPhase::Multicast { .. } => None,
        }
    }
}

const fn tree_fanout(own: FirstPhase) -> u8 {
    match own {
        FirstPhase::Tree { fanout } => fanout,
        FirstPhase::None | FirstPhase::Multicast { .. } | FirstPhase::Push { .. } => TREE_FANOUT,
    }
}

impl Spread {
    pub(super) fn new(me: NodeId, config: &Config) -> Self {
        Self {
            neighbours: Neighbours::default(),
            pushes: Pushes::default(),
            zones: Zones::new(me),
            roots: Roots::default(),
            queue: Queue::new(&config.broadcast),
        }
    }

    /// Sends an own message.
    pub(super) fn start(
        &mut self,
        id: MessageId,
        first: FirstPhase,
        log: &mut Log,
        shared: &mut Shared,
        peers: Peers<'_>,
        cx: &mut Ctx<'_>,
    ) {
        self.pass_on(Passing { id, from: None }, first, log, shared, peers, cx);
    }

    /// Acknowledges a message that is new here, learns the tree from it, and sends it on as it came.
    pub(super) fn on_new(
        &mut self,
        received: &Received<'_>,
        log: &mut Log,
        shared: &mut Shared,
        peers: Peers<'_>,
        cx: &mut Ctx<'_>,
    ) {
        let Received { from, id, flags, .. } = *received;
        self.neighbours.hear(id.origin, cx.config.broadcast.quiet_after * SHAPER_WINDOW, cx.now);
        if flags & PUSHED != 0 {
            self.queue.acknowledge(from.id, id, cx.now);
        }
        if flags & EAGER != 0 && !self.make_eager(from.id, cx) {
            self.queue.prune(from.id, cx.now);
        }
        if let Some(first) = first_phase_of(flags, cx.config.broadcast.first) {
            self.pass_on(Passing { id, from: Some(from.id) }, first, log, shared, peers, cx);
        }
    }

    /// A message came that is known here: the edge it came over is one too many for a tree.
    pub(super) fn on_duplicate(&mut self, id: MessageId, from: NodeId, flags: u8, cx: &Ctx<'_>) {
        self.queue.forget_announcement(from, id);
        if flags & EAGER != 0 && self.neighbours.is_shaped_by(id.origin) {
            self.on_prune(from, cx);
            self.queue.prune(from, cx.now);
        }
    }

    fn pass_on(
        &mut self,
        message: Passing,
        first: FirstPhase,
        log: &mut Log,
        shared: &mut Shared,
        peers: Peers<'_>,
        cx: &mut Ctx<'_>,
    ) {
        match first {
            FirstPhase::None => {}
            FirstPhase::Multicast { .. } if message.from.is_some() => {}
            FirstPhase::Multicast { .. } => self.multicast(message.id, &mut log.cache, peers, cx),
            FirstPhase::Push { fanout } => {
                self.push(message, fanout.into(), &mut log.cache, shared, peers, cx);
            }
            FirstPhase::Tree { fanout } => {
                self.send_along_tree(message, fanout.into(), log, shared, peers, cx);
            }
        }
    }

    /// Sends a message to the group address, or to every member, once (pbcast's first phase).
    fn multicast(&mut self, id: MessageId, cache: &mut Cache, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        let due = cx.now + cx.config.broadcast.batch;
        if group(cx.config).is_some() {
            return self.queue.send(NodeId::NOBODY, id, MULTICAST, due, cache, cx);
        }
        for to in peers.receivers() {
            self.queue.send(to, id, MULTICAST, due, cache, cx);
        }
    }

    fn push(
        &mut self,
        message: Passing,
        fanout: usize,
        cache: &mut Cache,
        shared: &mut Shared,
        peers: Peers<'_>,
        cx: &mut Ctx<'_>,
    ) {
        let Passing { id, from } = message;
        let due = cx.now + cx.config.broadcast.batch;
        let welcome = |to| Some(to) != from && to != id.origin;
        let chosen = self.zones.choose(fanout, &mut shared.rng, peers, cx, welcome);
        chosen.iter().for_each(|to| self.queue.send(*to, id, PUSHED, due, cache, cx));
        let late = due + cx.config.broadcast.ack_timeout;
        if self.pushes.open(id, &chosen, late) {
            shared.deadlines.arm_by(Timer::Push, late, cx.now);
        }
    }

    /// A member acknowledges that it had these from this node first.
    pub(super) fn on_push_ack(&mut self, from: NodeId, runs: Runs<'_>, me: NodeId, cx: &mut Ctx<'_>) {
        self.pushes.on_ack(from, runs, me, cx);
    }

    /// Announces the messages whose pushes were acknowledged by too few to more members (gogossip's PullSync).
    pub(super) fn on_push_due(
        &mut self,
        me: NodeId,
        shared: &mut Shared,
        peers: Peers<'_>,
        cx: &mut Ctx<'_>,
    ) {
        for (id, push) in self.pushes.end_late(me, cx) {
            let wider = push.contacted.len() * 2;
            let welcome = |to| to != id.origin && !push.contacted.contains(&to);
            let mut chosen = self.zones.choose(wider, &mut shared.rng, peers, cx, welcome);
            if chosen.is_empty() {
                // All members were contacted: they are told again.
                chosen.extend(push.contacted.iter().filter(|to| !push.acked.contains(to)));
            }
            chosen.iter().for_each(|to| self.queue.announce(*to, id, cx.now));
        }
        if let Some(due) = self.pushes.next() {
            shared.deadlines.arm_by(Timer::Push, due, cx.now);
        }
    }

    /// Drops the announcements of these to a member that has them.
    pub(super) fn forget_announcement(&mut self, to: NodeId, run: Run) {
        for seq in run.first..=run.last.min(run.first.saturating_add(ANNOUNCED_MAX)) {
            self.queue.forget_announcement(to, MessageId { origin: run.origin, epoch: run.epoch, seq });
        }
    }

    pub(super) fn on_member_gone(
        &mut self,
        id: NodeId,
        cache: &mut Cache,
        shared: &mut Shared,
        cx: &Ctx<'_>,
    ) {
        self.queue.drop_receiver(id, cache);
        self.neighbours.remove(id);
        self.arm_neighbours(shared, cx);
    }

    /// The node has stopped: nothing waits to be sent any more.
    pub(super) fn stop(&mut self, cache: &mut Cache) {
        self.pushes = Pushes::default();
        self.queue.clear(cache);
    }

    /// Up to `count` distinct receivers at random.
    pub(super) fn choose(
        &mut self,
        count: usize,
        shared: &mut Shared,
        peers: Peers<'_>,
        cx: &Ctx<'_>,
    ) -> alloc::vec::Vec<NodeId> {
        self.zones.choose(count, &mut shared.rng, peers, cx, |_| true)
    }

    /// Sends the transmissions that are due.
    pub(super) fn flush(&mut self, cache: &mut Cache, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        let group = group(cx.config);
        self.queue.flush(cache, |id| if id == NodeId::NOBODY { group } else { peers.receiver(id) }, cx);
    }
}
