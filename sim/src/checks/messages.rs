//! The broadcasts of a run, and the deliveries and losses that each application was told of: the truth that the checks of the
//! broadcast judge by.

use core::ops::RangeInclusive;
use std::collections::{BTreeMap, VecDeque};

use bruit_core::{
    Answer, Broadcast, Command, Config, MemberState, MessageId, Node, NodeId, Notice, Slot, Time,
    broadcast::PersistSeen,
};

use super::nodes::Nodes;
use crate::base::Index;
use crate::kernel::{Happening, Memory};

/// A message that a node has accepted.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// The time at which it was accepted.
    pub(crate) at: Time,
    /// The process that accepted it.
    pub(crate) by: Index,
    /// The number of the boot that accepted it, the latest one if an id was used more than once.
    pub(crate) boot: u32,
    /// The topics and payloads of the message. There are several if an id was used more than once.
    pub(crate) contents: Vec<(String, Vec<u8>)>,
    /// The processes that held its origin alive in this epoch when it was sent, by index.
    pub(crate) audience: Vec<Index>,
}

/// The deliveries and losses that an application was told of in the present boot, and the deliveries of earlier boots that it
/// must remember.
#[derive(Clone, Debug, Default)]
pub(crate) struct Receiver {
    /// The start of the present boot.
    pub(crate) since: Time,
    /// The number of the present boot, counted from 0. It tells two boots apart that begin at the same time.
    pub(crate) boot: u32,
    /// The time of the first delivery of each message, and how often it was delivered.
    delivered: BTreeMap<MessageId, (Time, u32)>,
    /// The deliveries since the disk was last empty, in order.
    log: Vec<MessageId>,
    /// For each write of the seen set that is under way: its number, and how many entries of `log` it contains.
    storing: VecDeque<(u64, usize)>,
    /// How many entries of `log` are in the seen set on the disk.
    durable: usize,
    /// The ranges that were reported as lost in the present boot.
    lost: BTreeMap<(NodeId, u64), Vec<RangeInclusive<u64>>>,
    /// The latest delivery of each origin in the present boot.
    latest: BTreeMap<NodeId, MessageId>,
    /// The latest message that this process has sent in any boot.
    issued: Option<MessageId>,
    /// The start of the present boot, if an earlier boot left a seen set to it.
    remembers: Option<Time>,
    /// Whether the present boot began without the latest content of its disk.
    lost_disk: bool,
}

impl Receiver {
    /// How often the message was delivered.
    pub(crate) fn times(&self, id: MessageId) -> u32 {
        self.delivered.get(&id).map_or(0, |(_, times)| *times)
    }

    /// Whether the message was reported as lost.
    pub(crate) fn is_lost(&self, id: MessageId) -> bool {
        self.lost(id.origin, id.epoch).iter().any(|range| range.contains(&id.seq))
    }

    /// The ranges of an origin's epoch that were reported as lost.
    pub(crate) fn lost(&self, origin: NodeId, epoch: u64) -> &[RangeInclusive<u64>] {
        self.lost.get(&(origin, epoch)).map_or(&[], Vec::as_slice)
    }

    /// The numbers of an origin's epoch from `first` on that were delivered, in ascending order.
    pub(crate) fn of(&self, origin: NodeId, epoch: u64, first: u64) -> impl Iterator<Item = u64> {
        let id = |seq| MessageId { origin, epoch, seq };
        self.delivered.range(id(first)..=id(u64::MAX)).map(|(id, _)| id.seq)
    }

    /// The latest delivery of an origin.
    pub(crate) fn latest(&self, origin: NodeId) -> Option<MessageId> {
        self.latest.get(&origin).copied()
    }

    /// The start of the present boot, if it remembers deliveries of earlier boots.
    pub(crate) const fn remembers(&self) -> Option<Time> {
        self.remembers
    }

    /// Whether the present boot began without the latest content of its disk, so that it does not know its earlier epochs.
    pub(crate) const fn has_lost_disk(&self) -> bool {
        self.lost_disk
    }

    /// Begins a new boot.
    fn restart(&mut self, at: Time, memory: Memory, persist: PersistSeen) {
        let kept = match (persist, memory) {
            (PersistSeen::BeforeDelivery, Memory::Disk) => self.log.len(),
            (PersistSeen::Every(_), Memory::Disk) => self.durable,
            (PersistSeen::Never, _)
            | (_, Memory::StaleDisk | Memory::Amnesia | Memory::AmnesiaClockBack | Memory::Snapshot) => 0,
        };
        self.log.truncate(kept);
        self.delivered = self.log.iter().map(|id| (*id, (at, 1))).collect();
        self.durable = kept;
        self.storing.clear();
        self.lost.clear();
        self.latest.clear();
        self.since = at;
        self.boot += 1;
        // An old disk also contains a seen set, but it is not known which one.
        let remembers = persist != PersistSeen::Never && matches!(memory, Memory::Disk | Memory::StaleDisk);
        self.remembers = remembers.then_some(at);
        self.lost_disk = memory != Memory::Disk;
    }
}

/// All broadcasts of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Messages {
    sent: BTreeMap<MessageId, Sent>,
    receivers: Vec<Receiver>,
    /// The receiver in the latest snapshot of each id.
    saved: BTreeMap<NodeId, Receiver>,
    /// The broadcast commands that are not answered yet, each with the id of the message once the process has delivered it
    /// to its own application.
    asked: BTreeMap<Index, (Broadcast, Option<MessageId>)>,
    last: Option<Time>,
    bytes: u64,
}

impl Messages {
    /// The message with this id.
    pub(crate) fn get(&self, id: MessageId) -> Option<&Sent> {
        self.sent.get(&id)
    }

    /// All messages, by id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (MessageId, &Sent)> {
        self.sent.iter().map(|(id, sent)| (*id, sent))
    }

    /// The highest number that an origin has used in an epoch, or 0.
    pub(crate) fn highest(&self, origin: NodeId, epoch: u64) -> u64 {
        let id = |seq| MessageId { origin, epoch, seq };
        self.sent.range(id(0)..=id(u64::MAX)).next_back().map_or(0, |(id, _)| id.seq)
    }

    /// The deliveries and losses of a process.
    ///
    /// # Panics
    /// The process was never started.
    pub(crate) fn receiver(&self, node: Index) -> &Receiver {
        &self.receivers[node.get()]
    }

    /// The time at which the latest message was accepted.
    pub(crate) const fn last(&self) -> Option<Time> {
        self.last
    }

    /// The bytes of all payloads that were accepted.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The broadcast command that a process has not answered yet, with the id of the message once it is known.
    pub(crate) fn asked(&self, node: Index) -> Option<&(Broadcast, Option<MessageId>)> {
        self.asked.get(&node)
    }

    /// The latest message that a process has sent in any boot.
    pub(crate) fn issued(&self, node: Index) -> Option<MessageId> {
        self.receivers[node.get()].issued
    }

    /// Whether the present boot of a process has sent this message.
    pub(crate) fn is_of_this_boot(&self, node: Index, id: MessageId) -> bool {
        self.get(id).is_some_and(|sent| sent.boot == self.receivers[node.get()].boot)
    }

    fn begin(&mut self, node: Index, at: Time) {
        self.receivers.resize_with(node.get() + 1, Receiver::default);
        self.receivers[node.get()].since = at;
    }

    /// Records that a process goes on from its snapshot: with the deliveries until then, and no later ones.
    fn resume(&mut self, node: Index, nodes: &dyn Nodes) {
        let saved = nodes.node(node).and_then(|node| self.saved.get(&node.id()));
        if let Some(saved) = saved {
            self.receivers[node.get()] = saved.clone();
        }
    }

    /// Records a happening before the checks observe it.
    pub(crate) fn before(&mut self, at: Time, happening: &Happening<'_>, nodes: &dyn Nodes) {
        match *happening {
            Happening::Started { node } => self.begin(node, at),
            Happening::Cloned { node, id } => {
                self.begin(node, at);
                let copied = nodes.node(node).is_some_and(Node::is_joined);
                if let Some(saved) = self.saved.get(&id).filter(|_| copied) {
                    self.receivers[node.get()] = saved.clone();
                }
            }
            Happening::Restarted { node, memory: Memory::Snapshot } => {
                self.asked.remove(&node);
                self.resume(node, nodes);
            }
            Happening::Saved { node } => {
                if let Some(inside) = nodes.node(node) {
                    self.saved.insert(inside.id(), self.receivers[node.get()].clone());
                }
            }
            Happening::Command { node, command: Command::Broadcast(broadcast) } => {
                self.asked.insert(node, (broadcast.clone(), None));
            }
            Happening::Answered { node, answer: Ok(Answer::Sent(id)) } => self.accept(at, node, *id, nodes),
            Happening::Notice { node, notice: Notice::Delivered { id, payload, .. } } => {
                // A broadcast is delivered to its own application in the call that accepts it.
                let asked =
                    self.asked.get(&node).filter(|(asked, id)| id.is_none() && asked.payload == **payload);
                if asked.is_some() && nodes.node(node).is_some_and(|node| node.id() == id.origin) {
                    self.accept(at, node, *id, nodes);
                }
                let (_, times) = self.receivers[node.get()].delivered.entry(*id).or_insert((at, 0));
                *times += 1;
            }
            _ => {}
        }
    }

    /// Records a happening after the checks have observed it.
    pub(crate) fn after(&mut self, at: Time, happening: &Happening<'_>, config: &Config) {
        match *happening {
            Happening::Answered { node, answer } => {
                self.asked.remove(&node);
                if let Ok(Answer::Sent(id)) = answer {
                    self.receivers[node.get()].issued = Some(*id);
                }
            }
            Happening::Notice { node, notice: Notice::Delivered { id, .. } } => {
                let receiver = &mut self.receivers[node.get()];
                receiver.log.push(*id);
                receiver.latest.insert(id.origin, *id);
            }
            Happening::Notice { node, notice: Notice::Lost { origin, epoch, first, last } } => {
                let lost = self.receivers[node.get()].lost.entry((*origin, *epoch)).or_default();
                lost.push(*first..=*last);
            }
            Happening::Storing { node, slot: Slot::SeenSet, serial } => {
                let receiver = &mut self.receivers[node.get()];
                receiver.storing.push_back((serial, receiver.log.len()));
            }
            Happening::Durable { node, slot: Slot::SeenSet, serial } => {
                let receiver = &mut self.receivers[node.get()];
                while let Some((stored, contains)) = receiver.storing.pop_front() {
                    receiver.durable = contains;
                    if stored == serial {
                        break;
                    }
                }
            }
            Happening::Restarted { memory: Memory::Snapshot, .. } => {}
            Happening::Restarted { node, memory } => {
                self.asked.remove(&node);
                self.receivers[node.get()].restart(at, memory, config.broadcast.persist_seen);
            }
            _ => {}
        }
    }

    fn accept(&mut self, at: Time, node: Index, id: MessageId, nodes: &dyn Nodes) {
        let Some((asked, known_as)) = self.asked.get_mut(&node) else { return };
        if known_as.replace(id) == Some(id) {
            return;
        }
        let content = (asked.topic.clone(), asked.payload.clone());
        self.last = Some(at);
        self.bytes += content.1.len() as u64;
        let boot = self.receivers[node.get()].boot;
        let sent = self.sent.entry(id).or_insert_with(|| Sent {
            at,
            by: node,
            boot,
            contents: Vec::new(),
            audience: audience(id, node, nodes),
        });
        sent.boot = boot;
        sent.contents.push(content);
    }
}

fn audience(id: MessageId, by: Index, nodes: &dyn Nodes) -> Vec<Index> {
    let holds_it = |index: &Index| {
        let state = nodes.view(*index, id.origin);
        let alive = matches!(state, Some(MemberState::Alive | MemberState::Suspect));
        *index == by || alive && nodes.epoch(*index, id.origin).is_some_and(|epoch| epoch >= id.epoch)
    };
    (0..nodes.len()).map(Index::new).filter(|index| nodes.is_member(*index)).filter(holds_it).collect()
}
