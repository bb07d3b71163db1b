//! The first phase: a message that is new here goes on, by multicast, push, or the tree.

use alloc::collections::BTreeMap;
use core::net::SocketAddr;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::{Broadcast, Timer, roots};
use crate::action::Notice;
use crate::config::{Config, FirstPhase};
use crate::context::Ctx;
use crate::id::{MessageId, NodeId};
use crate::membership::Peers;
use crate::time::Time;
use crate::wire::{EAGER, GRAFT, MULTICAST, PUSHED, Request, Runs};

/// Neighbours of the tree in a configuration that has none.
const TREE_FANOUT: u8 = 3;
/// Pushes whose acknowledgements are counted; of further ones nobody is told.
const PUSHES_MAX: usize = 4_096;

/// Pushes that wait for acknowledgements.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Pushes {
    open: BTreeMap<MessageId, Push>,
}

/// A message that was pushed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Push {
    contacted: SmallVec<[NodeId; 4]>,
    acked: SmallVec<[NodeId; 4]>,
    due: Time,
}

impl Push {
    /// The sender counts acknowledgements until a majority of those it contacted has given one (gogossip).
    fn is_done(&self) -> bool {
        self.acked.len() > self.contacted.len() / 2
    }
}

/// Which neighbours a message is announced to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whom {
    Lazy,
    All,
}

/// Where one datagram reaches all, if the configuration names such an address.
pub(super) const fn group(config: &Config) -> Option<SocketAddr> {
    match config.broadcast.first {
        FirstPhase::Multicast { group } => group,
        FirstPhase::None | FirstPhase::Push { .. } | FirstPhase::Tree { .. } => None,
    }
}

/// How a message that came with these flags goes on; `None` if not at all. What the repair brought goes on as a
/// message of our own would: those behind us may lack it too.
pub(super) const fn flags_of(flags: u8, own: FirstPhase) -> Option<FirstPhase> {
    if flags & MULTICAST != 0 {
        None
    } else if flags & EAGER != 0 {
        Some(FirstPhase::Tree { fanout: tree_fanout(own) })
    } else {
        match own {
            FirstPhase::Push { .. } | FirstPhase::Tree { .. } => Some(own),
            FirstPhase::None | FirstPhase::Multicast { .. } if flags & PUSHED != 0 => {
                Some(FirstPhase::Push { fanout: 3 })
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

/// Neighbours at the most: those that one picks, and room for three times as many that pick one.
pub(super) fn neighbours_max(config: &Config) -> usize {
    usize::from(tree_fanout(config.broadcast.first)) * 4
}

impl Broadcast {
    /// Sends a message on that is new here; `from` brought it, unless it is our own.
    pub(super) fn spread_first(
        &mut self,
        id: MessageId,
        first: FirstPhase,
        from: Option<NodeId>,
        peers: Peers<'_>,
        cx: &mut Ctx<'_>,
    ) {
        match first {
            FirstPhase::None => {}
            FirstPhase::Multicast { .. } if from.is_some() => {}
            FirstPhase::Multicast { .. } => self.multicast(id, peers, cx),
            FirstPhase::Push { fanout } => self.push_to(id, fanout.into(), from, peers, cx),
            FirstPhase::Tree { fanout } => self.send_along_tree(id, fanout.into(), from, peers, cx),
        }
        self.arm_repair(cx);
    }

    /// pbcast's first phase, once: to the group, or to every member.
    fn multicast(&mut self, id: MessageId, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        let due = cx.now + cx.config.broadcast.batch;
        if group(cx.config).is_some() {
            return self.queue(NodeId::NOBODY, id, MULTICAST, due, cx);
        }
        let mut chosen = core::mem::take(&mut self.chosen);
        chosen.clear();
        chosen.extend(peers.receivers());
        chosen.iter().for_each(|to| self.queue(*to, id, MULTICAST, due, cx));
        self.chosen = chosen;
    }

    fn push_to(
        &mut self,
        id: MessageId,
        fanout: usize,
        from: Option<NodeId>,
        peers: Peers<'_>,
        cx: &mut Ctx<'_>,
    ) {
        let due = cx.now + cx.config.broadcast.batch;
        let mut chosen = core::mem::take(&mut self.chosen);
        chosen.clear();
        self.choose(fanout, peers, cx, &mut chosen, |to| Some(to) != from && to != id.origin);
        chosen.iter().for_each(|to| self.queue(*to, id, PUSHED, due, cx));
        if !chosen.is_empty() && self.pushes.open.len() < PUSHES_MAX {
            let due = due + cx.config.broadcast.ack_timeout;
            let push = Push { contacted: chosen.iter().copied().collect(), acked: SmallVec::new(), due };
            self.pushes.open.insert(id, push);
            self.arm_by(Timer::Push, due, cx);
        }
        self.chosen = chosen;
    }

    /// They had it from us first.
    pub(super) fn on_push_ack(&mut self, from: NodeId, runs: Runs<'_>, cx: &mut Ctx<'_>) {
        for run in runs.iter() {
            // An acknowledgement names what was pushed one by one: long runs are nothing of ours.
            for seq in (run.first..=run.last).take(1_024) {
                let id = MessageId { origin: run.origin, epoch: run.epoch, seq };
                let Some(push) = self.pushes.open.get_mut(&id) else { continue };
                if push.contacted.contains(&from) && !push.acked.contains(&from) {
                    push.acked.push(from);
                }
                if push.is_done() {
                    self.end_push(id, cx);
                }
            }
        }
    }

    fn end_push(&mut self, id: MessageId, cx: &mut Ctx<'_>) -> Option<Push> {
        let push = self.pushes.open.remove(&id)?;
        if id.origin == self.me {
            let count = |who: &[NodeId]| u8::try_from(who.len()).unwrap_or(u8::MAX);
            let (acked, contacted) = (count(&push.acked), count(&push.contacted));
            cx.out.notify(Notice::Pushed { id, acked, contacted });
        }
        Some(push)
    }

    /// Too few had it from us first: more are told that it exists (gogossip's PullSync).
    pub(super) fn on_push_due(&mut self, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        let due = |(id, push): (&MessageId, &Push)| (push.due <= cx.now).then_some(*id);
        let late: alloc::vec::Vec<MessageId> = self.pushes.open.iter().filter_map(due).collect();
        for id in late {
            let Some(push) = self.end_push(id, cx) else { continue };
            let mut chosen = core::mem::take(&mut self.chosen);
            chosen.clear();
            let wider = push.contacted.len() * 2;
            self.choose(wider, peers, cx, &mut chosen, |to| to != id.origin && !push.contacted.contains(&to));
            if chosen.is_empty() {
                // All were contacted: they are told again.
                chosen.extend(push.contacted.iter().filter(|to| !push.acked.contains(to)));
            }
            chosen.iter().for_each(|to| self.outgoing.have(*to, id, cx.now));
            self.chosen = chosen;
        }
        if let Some(due) = self.pushes.open.values().map(|push| push.due).min() {
            self.arm_by(Timer::Push, due, cx);
        }
    }

    fn send_along_tree(
        &mut self,
        id: MessageId,
        fanout: usize,
        from: Option<NodeId>,
        peers: Peers<'_>,
        cx: &mut Ctx<'_>,
    ) {
        self.fill_neighbours(fanout, peers, cx);
        if from.is_none() && !self.give_to_roots(id, peers, cx) {
            return self.announce(id, None, Whom::All, cx);
        }
        self.send_eagerly(id, from, peers, cx);
        self.announce(id, from, Whom::Lazy, cx);
    }

    /// Gives an own message to the roots; whether it goes out from here as well.
    fn give_to_roots(&mut self, id: MessageId, peers: Peers<'_>, cx: &mut Ctx<'_>) -> bool {
        if cx.config.broadcast.prefer_zone {
            return true;
        }
        let (me, due) = (self.me, cx.now + cx.config.broadcast.batch);
        let roots = self.roots(peers).to_vec();
        // As a message that was asked for goes: it goes on as the root's own would, and teaches no edge.
        roots.iter().filter(|root| **root != me).for_each(|root| self.queue(*root, id, 0, due, cx));
        roots.is_empty() || roots.contains(&me)
    }

    /// An own message has come back from the roots: now those behind us get it.
    pub(super) fn on_own_back(
        &mut self,
        id: MessageId,
        from: NodeId,
        hops: u8,
        peers: Peers<'_>,
        cx: &mut Ctx<'_>,
    ) {
        let Some(cached) = self.cache.get_mut(id).filter(|cached| cached.hops == 0) else { return };
        cached.hops = hops.max(1);
        self.send_eagerly(id, Some(from), peers, cx);
    }

    fn send_eagerly(&mut self, id: MessageId, from: Option<NodeId>, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        let due = cx.now + cx.config.broadcast.batch;
        // Where there are roots, the origin waits for its message as everybody does.
        let rooted = !cx.config.broadcast.prefer_zone && roots::count(peers.others() + 1) > 0;
        let mut chosen = core::mem::take(&mut self.chosen);
        chosen.clear();
        chosen.extend(self.neighbours.eager().filter(|to| Some(*to) != from && (rooted || *to != id.origin)));
        for to in &chosen {
            self.outgoing.forget_have(*to, id);
            self.queue(*to, id, EAGER, due, cx);
        }
        self.chosen = chosen;
    }

    /// Tells neighbours that the message exists, when the tree has had its time.
    fn announce(&mut self, id: MessageId, from: Option<NodeId>, whom: Whom, cx: &Ctx<'_>) {
        let patience = cx.config.broadcast.request_delay;
        let mut chosen = core::mem::take(&mut self.chosen);
        chosen.clear();
        chosen.extend(self.neighbours.lazy());
        if whom == Whom::All {
            chosen.extend(self.neighbours.eager());
        }
        for to in chosen.iter().filter(|to| Some(**to) != from && **to != id.origin) {
            // At different times: of two who would tell each other, one is spared.
            let after = patience / 2 + self.rng.jitter(patience / 2);
            self.outgoing.have(*to, id, cx.now + after);
        }
        self.chosen = chosen;
    }

    /// Makes it due to look for neighbours, some time after the group may have changed.
    pub(super) fn arm_neighbours(&mut self, cx: &Ctx<'_>) {
        let FirstPhase::Tree { fanout } = cx.config.broadcast.first else { return };
        if self.neighbours.picked() < fanout.into() && !self.stopped {
            let after = cx.config.broadcast.quiet_after;
            let jitter = self.rng.jitter(after / 2);
            self.arm_by(Timer::Neighbours, cx.now + after / 2 + jitter, cx);
        }
    }

    pub(super) fn on_neighbours_due(&mut self, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        if let FirstPhase::Tree { fanout } = cx.config.broadcast.first {
            self.fill_neighbours(fanout.into(), peers, cx);
        }
    }

    /// Picks the neighbours that are missing, and tells them.
    fn fill_neighbours(&mut self, fanout: usize, peers: Peers<'_>, cx: &mut Ctx<'_>) {
        let others = peers.others();
        let missing = fanout.min(others).saturating_sub(self.neighbours.picked());
        if missing > 0 && self.neighbours.len() < others {
            let mut picks = alloc::vec::Vec::new();
            let neighbours = core::mem::take(&mut self.neighbours);
            self.choose(missing, peers, cx, &mut picks, |id| !neighbours.has(id));
            self.neighbours = neighbours;
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
            && let Some(id) = self.neighbours.nth(self.rng.below(self.neighbours.len()))
        {
            self.neighbours.make_eager(id, usize::MAX);
        }
    }

    /// Up to `count` distinct receivers at random.
    pub(super) fn choose(
        &mut self,
        count: usize,
        peers: Peers<'_>,
        cx: &Ctx<'_>,
        chosen: &mut alloc::vec::Vec<NodeId>,
        welcome: impl Fn(NodeId) -> bool,
    ) {
        if cx.config.broadcast.prefer_zone {
            self.choose_by_zone(count, peers, chosen, welcome);
        } else {
            peers.choose(count, &mut self.rng, chosen, welcome);
        }
    }
}
