//! The tree: messages go along eager edges, and announcements along lazy ones (Plumtree).

use alloc::vec::Vec;

use super::super::log::Log;
use super::super::log::cache::Cache;
use super::super::{Shared, Timer};
use super::{Passing, Spread, roots, tree_fanout};
use crate::config::{Config, FirstPhase};
use crate::context::Ctx;
use crate::id::{MessageId, NodeId};
use crate::membership::Peers;
use crate::wire::{EAGER, GRAFT, Request, Runs};

/// The edges along which a message is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edges {
    Lazy,
    All,
}

/// The number of neighbours at the most: those that one picks, and room for three times as many that pick one.
fn neighbours_max(config: &Config) -> usize {
    usize::from(tree_fanout(config.broadcast.first)) * 4
}

impl Spread {
    pub(super) fn send_along_tree(
        &mut self,
        message: Passing,
        fanout: usize,
        log: &mut Log,
        shared: &mut Shared,
        peers: Peers<'_>,
        cx: &mut Ctx<'_>,
    ) {
        self.fill_neighbours(fanout, shared, peers, cx);
        if message.from.is_none() && !self.give_to_roots(message.id, log, peers, cx) {
            return self.announce(message, Edges::All, shared, cx);
        }
        self.send_eagerly(message, &mut log.cache, peers, cx);
        self.announce(message, Edges::Lazy, shared, cx);
    }

    /// Gives an own message to the roots; whether it goes out from here as well.
    fn give_to_roots(&mut self, id: MessageId, log: &mut Log, peers: Peers<'_>, cx: &mut Ctx<'_>) -> bool {
        if cx.config.broadcast.prefer_zone {
            return true;
        }
        let (me, due) = (log.me(), cx.now + cx.config.broadcast.batch);
        let roots = self.roots.all(me, peers);
        for root in roots.iter().filter(|root| **root != me) {
            // Sent like a message that was asked for: it goes on as the root's own would, and teaches no edge.
            self.queue.send(*root, id, 0, due, &mut log.cache, cx);
        }
        roots.is_empty() || roots.contains(&me)
    }

    /// An own message has come back from the roots: now the members behind this one get it.
    pub(crate) fn on_own_back(
        &mut self,
        id: MessageId,
        from: NodeId,
        hops: u8,
        cache: &mut Cache,
        peers: Peers<'_>,
        cx: &mut Ctx<'_>,
    ) {
        let Some(cached) = cache.get_mut(id).filter(|cached| cached.hops == 0) else { return };
        cached.hops = hops.max(1);
        self.send_eagerly(Passing { id, from: Some(from) }, cache, peers, cx);
    }

    fn send_eagerly(&mut self, message: Passing, cache: &mut Cache, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        let Passing { id, from } = message;
        let due = cx.now + cx.config.broadcast.batch;
        // Where there are roots, the origin waits for its message as every member does.
        let rooted = !cx.config.broadcast.prefer_zone && roots::count(peers.others() + 1) > 0;
        let eager = self.neighbours.eager();
        for to in eager.filter(|to| Some(*to) != from && (rooted || *to != id.origin)) {
            self.queue.forget_announcement(to, id);
            self.queue.send(to, id, EAGER, due, cache, cx);
        }
    }

    /// Announces a message to neighbours, when the tree has had its time.
    fn announce(&mut self, message: Passing, edges: Edges, shared: &mut Shared, cx: &Ctx<'_>) {
        let Passing { id, from } = message;
        let patience = cx.config.broadcast.request_delay;
        let eager = self.neighbours.eager().filter(|_| edges == Edges::All);
        let to = self.neighbours.lazy().chain(eager);
        for to in to.filter(|to| Some(*to) != from && *to != id.origin) {
            // At different times: of two members that would tell each other, one is spared.
            let after = patience / 2 + shared.rng.jitter(patience / 2);
            self.queue.announce(to, id, cx.now + after);
        }
    }

    /// Makes it due to look for neighbours, some time after the group may have changed.
    pub(crate) fn arm_neighbours(&mut self, shared: &mut Shared, cx: &Ctx<'_>) {
        let FirstPhase::Tree { fanout } = cx.config.broadcast.first else { return };
        if self.neighbours.picked() < fanout.into() && !shared.stopped {
            let after = cx.config.broadcast.quiet_after;
            let jitter = shared.rng.jitter(after / 2);
            shared.deadlines.arm_by(Timer::Neighbours, cx.now + after / 2 + jitter, cx.now);
        }
    }

    pub(crate) fn on_neighbours_due(&mut self, shared: &mut Shared, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        if let FirstPhase::Tree { fanout } = cx.config.broadcast.first {
            self.fill_neighbours(fanout.into(), shared, peers, cx);
        }
    }

    /// Picks the neighbours that are missing, and tells them.
    fn fill_neighbours(&mut self, fanout: usize, shared: &mut Shared, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        let others = peers.others();
        let missing = fanout.min(others).saturating_sub(self.neighbours.picked());
        if missing > 0 && self.neighbours.len() < others {
            let welcome = |id| !self.neighbours.has(id);
            let picks: Vec<NodeId> = self.zones.choose(missing, &mut shared.rng, peers, cx, welcome);
            for id in picks {
                self.neighbours.pick(id);
                let Some(addr) = peers.receiver(id) else { continue };
                let mut letter = cx.letter(addr, id);
                let graft = Request { round: 0, flags: GRAFT, runs: Runs::of(&[]) };
                letter.push(&graft.into());
                letter.send();
            }
        }
        if self.neighbours.eager().next().is_none()
            && let Some(id) = self.neighbours.nth(shared.rng.below(self.neighbours.len()))
        {
            self.neighbours.make_eager(id, usize::MAX);
        }
    }

    /// A member asks for messages without being asked: the edge to it turns eager. If there was no edge, nobody may have
    /// announced to it the messages that came just before.
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

    /// A member had a message already that this node sent along an eager edge: the edge turns lazy.
    pub(crate) fn on_prune(&mut self, from: NodeId, cx: &Ctx<'_>) {
        self.neighbours.make_lazy(from, neighbours_max(cx.config));
    }
}
