//! The tree: messages go along eager edges, and announcements along lazy ones (Plumtree).

use alloc::vec::Vec;

use super::super::{Timer, Tools};
use super::{Passing, Spread, roots, tree_fanout};
use crate::config::{Config, FirstPhase};
use crate::context::Ctx;
use crate::id::{MessageId, NodeId};
use crate::wire::{EAGER, GRAFT, Request, Runs};

/// The edges along which a message is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edges {
    Lazy,
    All,
}

/// The greatest number of neighbours: those that this node picks, and three times as many that pick this node.
fn neighbours_max(config: &Config) -> usize {
    usize::from(tree_fanout(config.broadcast.first)) * 4
}

impl Spread {
    pub(super) fn send_along_tree(&mut self, message: Passing, fanout: usize, tools: &mut Tools<'_, '_>) {
        self.fill_neighbours(fanout, tools);
        if message.from.is_none() && !self.give_to_roots(message.id, tools) {
            return self.announce(message, Edges::All, tools);
        }
        self.send_eagerly(message, tools);
        self.announce(message, Edges::Lazy, tools);
    }

    /// Gives an own message to the roots. Returns whether the message goes out from this node as well.
    fn give_to_roots(&mut self, id: MessageId, tools: &mut Tools<'_, '_>) -> bool {
        if tools.settings().prefer_zone {
            return true;
        }
        let (me, due) = (tools.log.me(), tools.cx.now + tools.settings().batch);
        let roots = self.roots.all(me, tools.peers);
        for root in roots.iter().filter(|root| **root != me) {
            // The message is sent like one that was requested: the root sends it on like its own, and no edge changes.
            self.queue.send(*root, id, 0, due, tools);
        }
        roots.is_empty() || roots.contains(&me)
    }

    /// Handles an own message that has come back from the roots: it is sent to the members behind this node.
    pub(crate) fn on_own_back(&mut self, id: MessageId, from: NodeId, hops: u8, tools: &mut Tools<'_, '_>) {
        let Some(cached) = tools.log.cache.get_mut(id).filter(|cached| cached.hops == 0) else { return };
        cached.hops = hops.max(1);
        self.send_eagerly(Passing { id, from: Some(from) }, tools);
    }

    fn send_eagerly(&mut self, message: Passing, tools: &mut Tools<'_, '_>) {
        let Passing { id, from } = message;
        let due = tools.cx.now + tools.settings().batch;
        // If there are roots, the origin waits for its message as every member does.
        let rooted = !tools.settings().prefer_zone && roots::count(tools.peers.others() + 1) > 0;
        let eager = self.neighbours.eager();
        for to in eager.filter(|to| Some(*to) != from && (rooted || *to != id.origin)) {
            self.queue.forget_announcement(to, id);
            self.queue.send(to, id, EAGER, due, tools);
        }
    }

    /// Announces a message to neighbours, after the tree has had time to bring it.
    fn announce(&mut self, message: Passing, edges: Edges, tools: &mut Tools<'_, '_>) {
        let Passing { id, from } = message;
        let patience = tools.settings().request_delay;
        let eager = self.neighbours.eager().filter(|_| edges == Edges::All);
        let to = self.neighbours.lazy().chain(eager);
        for to in to.filter(|to| Some(*to) != from && *to != id.origin) {
            // The times are random: of two members that would announce to each other, usually only one has to.
            let after = patience / 2 + tools.rng.jitter(patience / 2);
            self.queue.announce(to, id, tools.cx.now + after);
        }
    }

    /// Schedules the search for neighbours, some time after the group may have changed.
    pub(crate) fn arm_neighbours(&self, tools: &mut Tools<'_, '_>) {
        let FirstPhase::Tree { fanout } = tools.settings().first else { return };
        if self.neighbours.picked() < fanout.into() && !tools.stopped {
            let after = tools.settings().quiet_after;
            let jitter = tools.rng.jitter(after / 2);
            tools.arm_by(Timer::Neighbours, tools.cx.now + after / 2 + jitter);
        }
    }

    pub(crate) fn on_neighbours_due(&mut self, tools: &mut Tools<'_, '_>) {
        if let FirstPhase::Tree { fanout } = tools.settings().first {
            self.fill_neighbours(fanout.into(), tools);
        }
    }

    /// Picks the neighbours that are missing, and sends each a graft.
    fn fill_neighbours(&mut self, fanout: usize, tools: &mut Tools<'_, '_>) {
        let others = tools.peers.others();
        let missing = fanout.min(others).saturating_sub(self.neighbours.picked());
        if missing > 0 && self.neighbours.len() < others {
            let welcome = |id| !self.neighbours.has(id);
            let picks: Vec<NodeId> = self.zones.choose(missing, tools, welcome);
            for id in picks {
                self.neighbours.pick(id);
                tools.send(id, &Request { round: 0, flags: GRAFT, runs: Runs::of(&[]) }.into());
            }
        }
        if self.neighbours.eager().next().is_none()
            && let Some(id) = self.neighbours.nth(tools.rng.below(self.neighbours.len()))
        {
            self.neighbours.make_eager(id, usize::MAX);
        }
    }

    /// Handles a graft: the edge to the member turns eager. If there was no edge before, the latest messages are
    /// announced to it, because no other member may have done so.
    pub(crate) fn on_graft(&mut self, to: NodeId, hot: impl Iterator<Item = MessageId>, cx: &Ctx<'_>) {
        let is_new = !self.neighbours.has(to);
        if self.make_eager(to, cx) && is_new {
            hot.for_each(|id| self.queue.announce(to, id, cx.now));
        }
    }

    /// Makes the edge to a member eager, if there is room for it.
    pub(crate) fn make_eager(&mut self, id: NodeId, cx: &Ctx<'_>) -> bool {
        self.neighbours.make_eager(id, neighbours_max(cx.config))
    }

    /// Handles a prune: the member already had a message that this node sent over an eager edge, so the edge turns
    /// lazy.
    pub(crate) fn on_prune(&mut self, from: NodeId, cx: &Ctx<'_>) {
        self.neighbours.make_lazy(from, neighbours_max(cx.config));
    }
}
