//! What was broadcast, and what each application has been told of it: the truth that the promises of the broadcast
//! are held to.

use core::ops::RangeInclusive;
use std::collections::{BTreeMap, VecDeque};

use bruit_core::{
    Answer, Broadcast, Command, Config, MemberState, MessageId, NodeId, Notice, Slot, Time,
    broadcast::PersistSeen,
};

use super::world::Nodes;
use crate::cluster::Index;
use crate::happening::{Happening, Memory};

/// A message that some node has accepted.
#[derive(Clone, Debug)]
pub struct Sent {
    /// When.
    pub at: Time,
    /// By which process.
    pub by: Index,
    /// Topic and payload; more than one if an id was used twice.
    pub contents: Vec<(String, Vec<u8>)>,
    /// The processes that held its origin alive, in this epoch, when it was sent; by index.
    pub audience: Vec<Index>,
}

/// What one process's application has been told in this life, and in those before of which it should remember.
#[derive(Clone, Debug, Default)]
pub struct Receiver {
    /// When this life began.
    pub since: Time,
    /// When each message was delivered, and how often.
    delivered: BTreeMap<MessageId, (Time, u32)>,
    /// Deliveries since the disk was last empty, in order.
    log: Vec<MessageId>,
    /// So many of the log are in each set that is on its way to the disk.
    storing: VecDeque<(u64, usize)>,
    /// So many of the log are in the set on the disk.
    durable: usize,
    /// What was announced as lost in this life.
    lost: BTreeMap<(NodeId, u64), Vec<RangeInclusive<u64>>>,
    /// The latest that was delivered of each origin in this life.
    latest: BTreeMap<NodeId, MessageId>,
    /// What this process has sent last, over all its lives.
    issued: Option<MessageId>,
    /// When it last restarted with a set of delivered messages.
    remembers: Option<Time>,
}

impl Receiver {
    /// How often it was given this message.
    #[must_use]
    pub fn times(&self, id: MessageId) -> u32 {
        self.delivered.get(&id).map_or(0, |(_, times)| *times)
    }

    /// Whether this range or a part of it was announced as lost.
    #[must_use]
    pub fn is_lost(&self, id: MessageId) -> bool {
        self.lost(id.origin, id.epoch).iter().any(|range| range.contains(&id.seq))
    }

    /// What was announced as lost of an origin's epoch.
    #[must_use]
    pub fn lost(&self, origin: NodeId, epoch: u64) -> &[RangeInclusive<u64>] {
        self.lost.get(&(origin, epoch)).map_or(&[], Vec::as_slice)
    }

    /// Everything it was given, by id.
    pub fn delivered(&self) -> impl Iterator<Item = MessageId> {
        self.delivered.keys().copied()
    }

    /// What it was given of an origin's epoch from number `first` on, by number.
    pub fn of(&self, origin: NodeId, epoch: u64, first: u64) -> impl Iterator<Item = u64> {
        let id = |seq| MessageId { origin, epoch, seq };
        self.delivered.range(id(first)..=id(u64::MAX)).map(|(id, _)| id.seq)
    }

    /// The latest that it was given of an origin.
    #[must_use]
    pub fn latest(&self, origin: NodeId) -> Option<MessageId> {
        self.latest.get(&origin).copied()
    }

    /// When it last restarted with a set of messages that an earlier life was given.
    #[must_use]
    pub const fn remembers(&self) -> Option<Time> {
        self.remembers
    }

    /// A new life.
    fn restart(&mut self, at: Time, memory: Memory, persist: PersistSeen) {
        let kept = match (persist, memory) {
            (PersistSeen::BeforeDelivery, Memory::Disk) => self.log.len(),
            (PersistSeen::Every(_), Memory::Disk) => self.durable,
            (PersistSeen::Never, _) | (_, Memory::StaleDisk | Memory::Amnesia | Memory::AmnesiaClockBack) => {
                0
            }
        };
        self.log.truncate(kept);
        self.delivered = self.log.iter().map(|id| (*id, (at, 1))).collect();
        self.durable = kept;
        self.storing.clear();
        self.lost.clear();
        self.latest.clear();
        self.since = at;
        // An older disk remembers something as well, only nobody says what.
        let remembers = persist != PersistSeen::Never && matches!(memory, Memory::Disk | Memory::StaleDisk);
        self.remembers = remembers.then_some(at);
    }
}

/// Everything that was broadcast in a run.
#[derive(Clone, Debug, Default)]
pub struct Messages {
    sent: BTreeMap<MessageId, Sent>,
    receivers: Vec<Receiver>,
    /// Commands that are not answered yet, and the name under which the own application was given the message.
    asked: BTreeMap<Index, (Broadcast, Option<MessageId>)>,
    last: Option<Time>,
    bytes: u64,
}

impl Messages {
    /// A message by its name.
    #[must_use]
    pub fn get(&self, id: MessageId) -> Option<&Sent> {
        self.sent.get(&id)
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = (MessageId, &Sent)> {
        self.sent.iter().map(|(id, sent)| (*id, sent))
    }

    /// The highest number that an origin has used in an epoch; 0 for none.
    #[must_use]
    pub fn highest(&self, origin: NodeId, epoch: u64) -> u64 {
        let id = |seq| MessageId { origin, epoch, seq };
        self.sent.range(id(0)..=id(u64::MAX)).next_back().map_or(0, |(id, _)| id.seq)
    }

    /// What a process was told.
    ///
    /// # Panics
    /// It was never started.
    #[must_use]
    pub fn receiver(&self, node: Index) -> &Receiver {
        &self.receivers[node.get()]
    }

    /// When the last one was accepted.
    #[must_use]
    pub const fn last(&self) -> Option<Time> {
        self.last
    }

    /// Bytes of all payloads that were accepted.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The command that a process has not answered yet.
    pub(crate) fn asked(&self, node: Index) -> Option<&(Broadcast, Option<MessageId>)> {
        self.asked.get(&node)
    }

    /// What a process has sent last, over all its lives.
    pub(crate) fn issued(&self, node: Index) -> Option<MessageId> {
        self.receivers[node.get()].issued
    }

    /// Takes note of a happening that the rules have not seen yet.
    pub(crate) fn before(&mut self, at: Time, happening: &Happening<'_>, nodes: &dyn Nodes) {
        match *happening {
            Happening::Started { node } | Happening::Cloned { node, .. } => {
                self.receivers.resize_with(node.get() + 1, Receiver::default);
                self.receivers[node.get()].since = at;
            }
            Happening::Command { node, command: Command::Broadcast(broadcast) } => {
                self.asked.insert(node, (broadcast.clone(), None));
            }
            Happening::Answered { node, answer: Ok(Answer::Sent(id)) } => self.accept(at, node, *id, nodes),
            Happening::Notice { node, notice: Notice::Delivered { id, payload, .. } } => {
                // The own application hears of it in the call that accepts it.
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

    /// Takes note of a happening that the rules have seen.
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
        let sent = self.sent.entry(id).or_insert_with(|| Sent {
            at,
            by: node,
            contents: Vec::new(),
            audience: audience(id, node, nodes),
        });
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
