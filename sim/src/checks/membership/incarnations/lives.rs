//! The lives of a process: what members have heard of the earlier ones, and whether the present one is told apart from them.

use std::collections::{BTreeMap, BTreeSet};

use bruit_core::{Incarnation, NodeId};

use crate::base::Index;
use crate::checks::scene::Scene;
use crate::kernel::{Memory, Violation};

/// The incarnations of ended lives, as far as any other member has reported them to its application.
///
/// An incarnation belongs to an ended life if no running process with the id has issued it in its present life at the time
/// of the report, or at the time of the crash.
#[derive(Clone, Debug, Default)]
pub(super) struct Lives {
    /// The processes that were restarted.
    restarted: BTreeSet<Index>,
    /// Those of which only the members that hold a former life can tell it: they went on from a snapshot, or without memory
    /// and with the same clock once more.
    unaware: BTreeSet<Index>,
    /// The greatest counter of each epoch that the present life of each process has used.
    issued: BTreeMap<Index, BTreeMap<u64, u32>>,
    /// All incarnations that any observer has ever reported of each id.
    reported: BTreeMap<NodeId, BTreeSet<Incarnation>>,
    /// Those that belong to ended lives.
    ended: BTreeMap<NodeId, BTreeSet<Incarnation>>,
    /// The highest incarnation that each running observer has reported of each id.
    held: BTreeMap<(Index, NodeId), Incarnation>,
    /// The highest one of an ended life that each running observer has reported.
    held_ended: BTreeMap<(Index, NodeId), Incarnation>,
}

impl Lives {
    /// A process uses an incarnation in its present life.
    pub(super) fn issue(&mut self, node: Index, incarnation: Incarnation) {
        let counter = self.issued.entry(node).or_default().entry(incarnation.epoch).or_insert(0);
        *counter = incarnation.counter.max(*counter);
    }

    fn is_present(&self, id: NodeId, incarnation: Incarnation, scene: &Scene<'_>) -> bool {
        scene.world.processes(id).iter().any(|process| {
            let used = self.issued.get(process).and_then(|epochs| epochs.get(&incarnation.epoch).copied());
            // A node that has not handled any event yet has issued the incarnation that it started with.
            let now = scene.node(*process).map(bruit_core::Node::incarnation);
            let now = now.filter(|now| now.epoch == incarnation.epoch).map(|now| now.counter);
            used.max(now).is_some_and(|counter| incarnation.counter <= counter)
        })
    }

    /// An observer reports an incarnation of another member.
    pub(super) fn report(
        &mut self,
        observer: Index,
        id: NodeId,
        incarnation: Incarnation,
        scene: &Scene<'_>,
    ) {
        self.reported.entry(id).or_default().insert(incarnation);
        let held = self.held.entry((observer, id)).or_insert(incarnation);
        *held = incarnation.max(*held);
        if !self.is_present(id, incarnation, scene) {
            self.end(observer, id, incarnation);
        }
    }

    fn end(&mut self, observer: Index, id: NodeId, incarnation: Incarnation) {
        self.ended.entry(id).or_default().insert(incarnation);
        let held = self.held_ended.entry((observer, id)).or_insert(incarnation);
        *held = incarnation.max(*held);
    }

    /// An observer has forgotten a member.
    pub(super) fn forget(&mut self, observer: Index, id: NodeId) {
        self.held.remove(&(observer, id));
        self.held_ended.remove(&(observer, id));
    }

    /// The life of a process ends, as does all that it knows of others.
    pub(super) fn crash(&mut self, node: Index, scene: &Scene<'_>) {
        self.issued.remove(&node);
        self.held.retain(|(observer, _), _| *observer != node);
        self.held_ended.retain(|(observer, _), _| *observer != node);
        let id = scene.world.id(node);
        let of_it: Vec<_> = self.reported.get(&id).into_iter().flatten().copied().collect();
        for incarnation in of_it {
            if !self.is_present(id, incarnation, scene) {
                self.ended.entry(id).or_default().insert(incarnation);
            }
        }
        let holders: Vec<_> =
            self.held.iter().filter(|((_, of), _)| *of == id).map(|(key, held)| (*key, *held)).collect();
        for ((observer, _), held) in holders {
            if !self.is_present(id, held, scene) {
                self.end(observer, id, held);
            }
        }
    }

    pub(super) fn restart(&mut self, node: Index, memory: Memory) {
        self.restarted.insert(node);
        if memory == Memory::AmnesiaClockBack {
            self.unaware.insert(node);
        } else {
            self.unaware.remove(&node);
        }
    }

    /// A process goes on from a snapshot: the life that was saved has not ended, up to the incarnation that it was at.
    pub(super) fn resume(&mut self, node: Index, scene: &Scene<'_>) {
        self.restarted.insert(node);
        self.unaware.insert(node);
        let Some(process) = scene.node(node) else { return };
        let (id, saved) = (process.id(), process.incarnation());
        self.issue(node, saved);
        let goes_on = |ended: &Incarnation| ended.epoch == saved.epoch && ended.counter <= saved.counter;
        if let Some(ended) = self.ended.get_mut(&id) {
            ended.retain(|ended| !goes_on(ended));
        }
        self.held_ended.retain(|(_, of), held| *of != id || !goes_on(held));
    }

    /// Judges the present life of each restarted process: it is above every ended life that a running process holds, and
    /// equal to none that any process ever held, unless only those who hold the ended life can tell it.
    pub(super) fn judge(&self, scene: &Scene<'_>) -> Result<(), Violation> {
        let is_member = |node: Index| scene.world.joined(node).is_some() && scene.nodes.is_member(node);
        for index in self.restarted.iter().copied().filter(|node| is_member(*node)) {
            let Some(node) = scene.node(index) else { continue };
            let (id, now) = (node.id(), node.incarnation());
            let Some(ended) = self.ended.get(&id) else { continue };
            scene.judges();
            for observer in scene.world.indices().filter(|other| *other != index && is_member(*other)) {
                let connected = scene.world.is_connected(observer, index);
                let Some(held) = self.held_ended.get(&(observer, id)).filter(|_| connected) else { continue };
                if now <= *held {
                    let text = format!(
                        "after a restart it is at {now}, and {observer} held a former life at {held}"
                    );
                    return Err(scene.violation(index, text));
                }
            }
            if ended.contains(&now) && !self.unaware.contains(&index) {
                let text = format!(
                    "after a restart it is at {now}, and a former life was held at the same incarnation"
                );
                return Err(scene.violation(index, text));
            }
        }
        Ok(())
    }
}
