//! The first phase: a message that is new here is sent on at once, by multicast, push, or the tree; and the queue of
//! everything that waits to be sent.
//!
//! Files: [`queue`] (what waits for each receiver, and how fast it may go), [`push`] (acknowledged pushes), [`tree`] with
//! [`neighbours`] and [`roots`] (the tree), [`zones`] (the members to prefer).

mod neighbours;
mod push;
pub(super) mod queue;
mod roots;
mod tree;
mod zones;

use alloc::vec::Vec;
use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::log::cache::Cache;
use super::{Received, Timer, Tools};
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
/// The greatest number of ids in one run for which announcements are dropped.
const ANNOUNCED_MAX: u64 = 1_024;
/// An origin stops shaping the tree once it has been silent for this many times `quiet_after`.
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

/// A message to be sent on, and the member that sent it here; `None` if it is an own message.
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

/// The first phase in which a message that came with these flags is sent on; `None` if it is not sent on. A message
/// that the repair brought is sent on like an own one, because the members behind this one may lack it too.
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

    /// Starts the first phase of an own message.
    pub(super) fn start(&mut self, id: MessageId, first: FirstPhase, tools: &mut Tools<'_, '_>) {
        self.pass_on(Passing { id, from: None }, first, tools);
    }

    /// Acknowledges a message that is new here, learns the tree from it, and sends it on as it came.
    pub(super) fn on_new(&mut self, received: &Received<'_>, tools: &mut Tools<'_, '_>) {
        let Received { from, id, flags, .. } = *received;
        self.neighbours.hear(id.origin, tools.settings().quiet_after * SHAPER_WINDOW, tools.cx.now);
        if flags & PUSHED != 0 {
            self.queue.acknowledge(from.id, id, tools.cx.now);
        }
        if flags & EAGER != 0 && !self.make_eager(from.id, tools.cx) {
            self.queue.prune(from.id, tools.cx.now);
        }
        if let Some(first) = first_phase_of(flags, tools.settings().first) {
            self.pass_on(Passing { id, from: Some(from.id) }, first, tools);
        }
    }

    /// Handles a message that is known here already: the edge over which it came is superfluous in a tree.
    pub(super) fn on_duplicate(&mut self, id: MessageId, from: NodeId, flags: u8, cx: &Ctx<'_>) {
        self.queue.forget_announcement(from, id);
        if flags & EAGER != 0 && self.neighbours.is_shaped_by(id.origin) {
            self.on_prune(from, cx);
            self.queue.prune(from, cx.now);
        }
    }

    /// Sends a message by one of the first phases.
    fn pass_on(&mut self, message: Passing, first: FirstPhase, tools: &mut Tools<'_, '_>) {
        match first {
            FirstPhase::None => {}
            FirstPhase::Multicast { .. } if message.from.is_some() => {}
            FirstPhase::Multicast { .. } => self.multicast(message.id, tools),
            FirstPhase::Push { fanout } => self.push(message, fanout.into(), tools),
            FirstPhase::Tree { fanout } => self.send_along_tree(message, fanout.into(), tools),
        }
    }

    /// Sends a message to the group address, or to every member, once (pbcast's first phase).
    fn multicast(&mut self, id: MessageId, tools: &mut Tools<'_, '_>) {
        let due = tools.cx.now + tools.settings().batch;
        if group(tools.cx.config).is_some() {
            return self.queue.send(NodeId::NOBODY, id, MULTICAST, due, tools);
        }
        for to in tools.peers.receivers() {
            self.queue.send(to, id, MULTICAST, due, tools);
        }
    }

    /// Sends a message to a few random members, and waits for their acknowledgements (gogossip).
    fn push(&mut self, message: Passing, fanout: usize, tools: &mut Tools<'_, '_>) {
        let Passing { id, from } = message;
        let due = tools.cx.now + tools.settings().batch;
        let welcome = |to| Some(to) != from && to != id.origin;
        let chosen = self.zones.choose(fanout, tools, welcome);
        chosen.iter().for_each(|to| self.queue.send(*to, id, PUSHED, due, tools));
        let late = due + tools.settings().ack_timeout;
        if self.pushes.open(id, &chosen, late) {
            tools.arm_by(Timer::Push, late);
        }
    }

    /// Handles acknowledgements: `from` received these messages from this node first.
    pub(super) fn on_push_ack(&mut self, from: NodeId, runs: Runs<'_>, tools: &mut Tools<'_, '_>) {
        self.pushes.on_ack(from, runs, tools.log.me(), tools.cx);
    }

    /// Ends the pushes that are late, and announces to more members the messages that too few have acknowledged
    /// (gogossip's PullSync).
    pub(super) fn on_push_due(&mut self, tools: &mut Tools<'_, '_>) {
        for (id, push) in self.pushes.end_late(tools.log.me(), tools.cx) {
            let wider = push.contacted.len() * 2;
            let welcome = |to| to != id.origin && !push.contacted.contains(&to);
            let mut chosen = self.zones.choose(wider, tools, welcome);
            if chosen.is_empty() {
                // All members were contacted: those that have not acknowledged are sent an announcement.
                chosen.extend(push.contacted.iter().filter(|to| !push.acked.contains(to)));
            }
            chosen.iter().for_each(|to| self.queue.announce(*to, id, tools.cx.now));
        }
        if let Some(due) = self.pushes.next() {
            tools.arm_by(Timer::Push, due);
        }
    }

    /// Drops the announcements of these messages to a member that has them.
    pub(super) fn forget_announcement(&mut self, to: NodeId, run: Run) {
        for seq in run.first..=run.last.min(run.first.saturating_add(ANNOUNCED_MAX)) {
            self.queue.forget_announcement(to, MessageId { origin: run.origin, epoch: run.epoch, seq });
        }
    }

    pub(super) fn on_member_gone(&mut self, id: NodeId, tools: &mut Tools<'_, '_>) {
        self.queue.drop_receiver(id, &mut tools.log.cache);
        self.neighbours.remove(id);
        self.arm_neighbours(tools);
    }

    /// Stops the first phase when the node stops: everything that waits to be sent is dropped.
    pub(super) fn stop(&mut self, cache: &mut Cache) {
        self.pushes = Pushes::default();
        self.queue.clear(cache);
    }

    /// Draws up to `count` distinct receivers at random.
    pub(super) fn choose(&mut self, count: usize, tools: &mut Tools<'_, '_>) -> Vec<NodeId> {
        self.zones.choose(count, tools, |_| true)
    }

    /// Sends the transmissions that are due.
    pub(super) fn flush(&mut self, cache: &mut Cache, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        let group = group(cx.config);
        self.queue.flush(cache, |id| if id == NodeId::NOBODY { group } else { peers.receiver(id) }, cx);
    }
}
