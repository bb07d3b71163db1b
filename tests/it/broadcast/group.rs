//! A cluster that broadcasts, under every check, with a record of all deliveries.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bruit_core::wire::{self, Gossip, Message};
use bruit_core::{
    Answer, Broadcast, BroadcastConfig, Command, Config, MessageId, Node, NodeId, Notice, Rejected, Time,
};
use bruit_sim::checks::Checks;
use bruit_sim::checks::costs::Costs;
use bruit_sim::{Check, Cluster, Happening, Index, Process, Violation};

use crate::support::{Checked, Lan, lan, millis, secs};

/// A check that records the deliveries and losses of each application, over all its boots. Clones share their records.
#[derive(Clone, Debug, Default)]
pub(super) struct Deliveries(Arc<Mutex<Records>>);

#[derive(Debug, Default)]
struct Records {
    given: BTreeMap<(Index, MessageId), Vec<Time>>,
    in_order: Vec<(Index, MessageId, Vec<u8>)>,
    lost: Vec<(Index, NodeId, u64, u64)>,
}

impl Deliveries {
    fn records(&self) -> MutexGuard<'_, Records> {
        self.0.lock().expect("no test panics while it holds the records")
    }

    /// The times at which a message was delivered to a process.
    pub(super) fn times(&self, index: u32, id: MessageId) -> Vec<Time> {
        self.records().given.get(&(Index(index), id)).cloned().unwrap_or_default()
    }

    pub(super) fn has(&self, index: u32, id: MessageId) -> bool {
        self.records().given.contains_key(&(Index(index), id))
    }

    /// The messages that were delivered to a process, in order.
    pub(super) fn of(&self, index: u32) -> Vec<MessageId> {
        let records = self.records();
        records.in_order.iter().filter(|(by, ..)| by.0 == index).map(|(_, id, _)| *id).collect()
    }

    /// The payloads that were delivered to a process as text, sorted.
    pub(super) fn texts(&self, index: u32) -> Vec<String> {
        let records = self.records();
        let own = records.in_order.iter().filter(|(by, ..)| by.0 == index);
        let mut texts: Vec<String> =
            own.map(|(_, _, payload)| String::from_utf8_lossy(payload).into_owned()).collect();
        texts.sort();
        texts
    }

    /// The losses that were reported to a process: origin, first and last number.
    pub(super) fn lost(&self, index: u32) -> Vec<(NodeId, u64, u64)> {
        let records = self.records();
        records.lost.iter().filter(|lost| lost.0.0 == index).map(|lost| (lost.1, lost.2, lost.3)).collect()
    }

    pub(super) fn is_lost(&self, index: u32, id: MessageId) -> bool {
        self.lost(index)
            .iter()
            .any(|(origin, first, last)| *origin == id.origin && (*first..=*last).contains(&id.seq))
    }
}

impl<P: Process> Check<Cluster<P>> for Deliveries {
    fn observe(&mut self, happening: &Happening<'_>, cluster: &Cluster<P>) -> Checked {
        let Happening::Notice { node, notice } = *happening else { return Ok(()) };
        let mut records = self.records();
        if let Notice::Delivered { id, payload, .. } = notice {
            records.given.entry((node, *id)).or_default().push(cluster.now());
            records.in_order.push((node, *id, payload.to_vec()));
        }
        if let Notice::Lost { origin, first, last, .. } = notice {
            records.lost.push((node, *origin, *first, *last));
        }
        Ok(())
    }
}

/// A cluster that broadcasts.
pub(super) struct Group {
    pub(super) lan: Lan,
    pub(super) deliveries: Deliveries,
    pub(super) costs: Costs,
}

pub(super) fn with(broadcast: BroadcastConfig) -> Config {
    Config { broadcast, ..lan() }
}

/// All presets with their names.
pub(super) fn presets() -> [(&'static str, BroadcastConfig); 4] {
    [
        ("bimodal", BroadcastConfig::bimodal()),
        ("push-ack", BroadcastConfig::push_ack()),
        ("pull", BroadcastConfig::pull()),
        ("tree", BroadcastConfig::tree()),
    ]
}

impl Group {
    /// An empty cluster under every check.
    pub(super) fn empty(seed: u64, config: &Config) -> Result<Self, Violation> {
        Self::around(Lan::new(seed, config)?)
    }

    fn around(mut lan: Lan) -> Result<Self, Violation> {
        let (deliveries, costs) = (Deliveries::default(), Costs::default());
        lan.sim.check(deliveries.clone());
        lan.sim.check(costs.clone());
        Ok(Self { lan, deliveries, costs })
    }

    /// A cluster of this many members, which know each other.
    pub(super) fn of(seed: u64, members: u32, broadcast: BroadcastConfig) -> Result<Self, Violation> {
        Self::configured(seed, members, &with(broadcast))
    }

    pub(super) fn configured(seed: u64, members: u32, config: &Config) -> Result<Self, Violation> {
        let mut group = Self::empty(seed, config)?;
        group.lan.sim.spawn_many(members)?;
        let within = group.lan.bounds().join;
        group.lan.until_all_know_all(within)?;
        Ok(group)
    }

    /// A cluster of this many members, which know each other, under these checks.
    pub(super) fn judged(
        seed: u64,
        members: u32,
        config: &Config,
        checks: Checks,
    ) -> Result<Self, Violation> {
        let own = config.clone();
        let mut group = Self::around(Lan::judged(seed, config, move |_| own.clone(), checks)?)?;
        group.lan.sim.spawn_many(members)?;
        let within = group.lan.bounds().join;
        group.lan.until_all_know_all(within)?;
        Ok(group)
    }

    pub(super) fn submit(
        &mut self,
        index: u32,
        broadcast: Broadcast,
    ) -> Result<Result<Answer, Rejected>, Violation> {
        self.lan.command(index, Command::Broadcast(broadcast))
    }

    #[track_caller]
    pub(super) fn accepted(&mut self, index: u32, broadcast: Broadcast) -> Result<MessageId, Violation> {
        match self.submit(index, broadcast)? {
            Ok(Answer::Sent(id)) => Ok(id),
            other => panic!("it is accepted: {other:?}"),
        }
    }

    /// Lets a member broadcast a text.
    #[track_caller]
    pub(super) fn broadcasts(&mut self, index: u32, text: &str) -> Result<MessageId, Violation> {
        self.accepted(index, Broadcast::new("", text.as_bytes()))
    }

    /// Lets a member broadcast a payload of this length.
    #[track_caller]
    pub(super) fn broadcasts_bytes(&mut self, index: u32, bytes: usize) -> Result<MessageId, Violation> {
        let payload = bruit_sim::payload(self.lan.sim.cluster().id(Index(index)), u64::MAX, bytes);
        self.accepted(index, Broadcast::new("", payload))
    }

    /// Runs until these messages were delivered to every running member. Returns how long it took.
    #[track_caller]
    pub(super) fn until_all_have(
        &mut self,
        ids: &[MessageId],
        within: Duration,
    ) -> Result<Duration, Violation> {
        let deliveries = self.deliveries.clone();
        let has_all = move |index: Index| ids.iter().all(|id| deliveries.has(index.0, *id));
        match self.lan.sim.run_until(within, |cluster| cluster.running().all(&has_all))? {
            Some(took) => Ok(took),
            None => panic!("not within {within:?}; {}", self.missing(ids)),
        }
    }

    fn missing(&self, ids: &[MessageId]) -> String {
        let cluster = self.lan.sim.cluster();
        let lacks = |index: Index| {
            let lacking: Vec<String> = ids
                .iter()
                .filter(|id| !self.deliveries.has(index.0, **id))
                .map(MessageId::to_string)
                .collect();
            let marks: Vec<_> = cluster.node(index).into_iter().flat_map(Node::marks).collect();
            (!lacking.is_empty()).then(|| format!("{index} lacks {} and knows {marks:?}", lacking.join(", ")))
        };
        cluster.running().filter_map(lacks).take(5).collect::<Vec<_>>().join("\n")
    }

    /// The number of processes to which a message was delivered exactly once.
    pub(super) fn given_once(&self, id: MessageId) -> usize {
        let indices = self.lan.sim.cluster().indices();
        indices.filter(|index| self.deliveries.times(index.0, id).len() == 1).count()
    }

    /// Runs without a disturbance until all bounds have passed, and lets every check conclude.
    pub(super) fn rest(mut self) -> Checked {
        let members = u32::try_from(self.lan.sim.cluster().len()).expect("few");
        let bounds = self.lan.bounds().broadcast;
        // More bytes than any of these tests broadcasts.
        self.lan.sim.run_for(bounds.quiet + bounds.transfer(4 << 20, members) + secs(10))?;
        self.lan.sim.conclude()
    }
}

/// The messages for broadcasts in a datagram, in order.
pub(super) fn gossip(bytes: &[u8]) -> Vec<Gossip<'_>> {
    let Ok(described) = wire::describe(bytes) else { return Vec::new() };
    let Ok(datagram) = wire::open(bytes, described.header.cluster) else { return Vec::new() };
    datagram.messages.map_while(Result::ok).filter_map(of_broadcast).collect()
}

/// A time in which a datagram arrives if nothing is lost.
pub(super) const SOON: Duration = millis(100);

const fn of_broadcast(message: Message<'_>) -> Option<Gossip<'_>> {
    if let Message::Gossip(gossip) = message { Some(gossip) } else { None }
}
