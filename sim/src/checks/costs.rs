//! CB8: the costs of broadcasts as numbers: copies and bytes of payloads, hops, delays, and messages of each kind.
//!
//! [`Costs`] is a check that never objects. Give one clone of it to the simulation and read the report from another.
//!
//! The redundancy and the last hop are RMR and LDH of Leitão et al. (SRDS 2007): the payloads received for each payload that
//! was needed, less one; and the greatest number of hops of any delivery.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bruit_core::wire::{self, Gossip, Kind, Message};
use bruit_core::{Answer, MessageId, Notice, Time};

use super::broadcast::is_of_broadcast;
use crate::base::Index;
use crate::kernel::{Check, Cluster, Happening, Violation};
use crate::network::BRUIT_PORT;
use crate::process::Process;

/// Counts the costs of broadcasts. Clones share their counts.
#[derive(Clone, Debug, Default)]
pub struct Costs(Arc<Mutex<Ledger>>);

#[derive(Debug, Default)]
struct Ledger {
    /// The time at which each broadcast was accepted.
    accepted: BTreeMap<MessageId, Time>,
    /// The deliveries at members other than the origin, and the bytes of their payloads.
    delivered: (u64, u64),
    /// The payload bytes that arrived, all copies counted.
    received: u64,
    hops: u8,
    delays: Vec<Duration>,
    /// The messages sent by kind, and their bytes.
    kinds: BTreeMap<Kind, (u64, u64)>,
    /// The payload bytes that arrived from another zone.
    across: u64,
    /// The datagrams sent that contain a message for a broadcast, and all their bytes.
    datagrams: (u64, u64),
}

/// The costs of the broadcasts of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CostReport {
    /// The broadcasts that were accepted.
    pub broadcasts: u64,
    /// The deliveries at members other than the origin.
    pub deliveries: u64,
    /// The payload bytes received for each byte that was needed, less one.
    pub redundancy: f64,
    /// The greatest number of hops of any delivery.
    pub last_hop: u8,
    /// The datagrams that contain a message for a broadcast, divided by the broadcasts.
    pub datagrams_per_broadcast: f64,
    /// The bytes of these datagrams, divided by the broadcasts.
    pub bytes_per_broadcast: f64,
    /// The payload bytes that arrived from another zone.
    pub bytes_across_zones: u64,
    /// The time from submission to delivery: the median, the 99th percentile and the maximum.
    pub delay: [Duration; 3],
}

impl Costs {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().expect("no thread panics while it holds the ledger")
    }

    /// The messages of a kind that were sent so far, and their bytes.
    #[must_use]
    pub fn sent(&self, kind: Kind) -> (u64, u64) {
        self.ledger().kinds.get(&kind).copied().unwrap_or_default()
    }

    /// Sets all counts to zero.
    pub fn clear(&self) {
        *self.ledger() = Ledger::default();
    }

    /// The costs so far.
    #[must_use]
    pub fn report(&self) -> CostReport {
        let ledger = self.ledger();
        let broadcasts = ledger.accepted.len() as u64;
        let each = |count: u64| count as f64 / broadcasts.max(1) as f64;
        let mut delays = ledger.delays.clone();
        delays.sort_unstable();
        let quantile = |percent: usize| {
            delays
                .get((delays.len() * percent / 100).min(delays.len().saturating_sub(1)))
                .copied()
                .unwrap_or_default()
        };
        CostReport {
            broadcasts,
            deliveries: ledger.delivered.0,
            redundancy: ledger.received as f64 / ledger.delivered.1.max(1) as f64 - 1.0,
            last_hop: ledger.hops,
            datagrams_per_broadcast: each(ledger.datagrams.0),
            bytes_per_broadcast: each(ledger.datagrams.1),
            bytes_across_zones: ledger.across,
            delay: [50, 99, 100].map(quantile),
        }
    }
}

impl Ledger {
    fn sent(&mut self, bytes: &[u8]) {
        let Some(messages) = messages(bytes) else { return };
        let mut encoded = Vec::new();
        let mut any = false;
        for message in messages {
            encoded.clear();
            message.encode(&mut encoded);
            let (count, bytes) = self.kinds.entry(message.kind()).or_default();
            *count += 1;
            *bytes += encoded.len() as u64;
            any |= is_of_broadcast(message.kind());
        }
        if any {
            self.datagrams.0 += 1;
            self.datagrams.1 += bytes.len() as u64;
        }
    }

    fn arrived(&mut self, bytes: &[u8], crosses: bool) {
        for message in messages(bytes).into_iter().flatten() {
            let len = match message {
                Message::Gossip(Gossip::Publish(publish)) => publish.item.payload().len(),
                Message::Gossip(Gossip::Part(part)) => part.part.bytes.len(),
                _ => 0,
            };
            self.received += len as u64;
            self.across += if crosses { len as u64 } else { 0 };
        }
    }

    fn delivered(&mut self, at: Time, id: MessageId, len: usize, hops: u8) {
        self.hops = self.hops.max(hops);
        if hops > 0 {
            self.delivered.0 += 1;
            self.delivered.1 += len as u64;
            self.delays.extend(self.accepted.get(&id).map(|since| at.since(*since)));
        }
    }
}

fn messages(bytes: &[u8]) -> Option<impl Iterator<Item = Message<'_>>> {
    let header = wire::describe(bytes).ok()?.header;
    let datagram = wire::open(bytes, header.cluster).ok()?;
    Some(datagram.messages.map_while(Result::ok))
}

impl<P: Process> Check<Cluster<P>> for Costs {
    fn observe(&mut self, happening: &Happening<'_>, cluster: &Cluster<P>) -> Result<(), Violation> {
        let (at, mut ledger) = (cluster.now(), self.ledger());
        match *happening {
            Happening::Sent { bytes, port: BRUIT_PORT, .. } => ledger.sent(bytes),
            Happening::Delivered { from, to, bytes, port: BRUIT_PORT, .. } => {
                let crosses = |a: Index, b: Index| cluster.zone(a) != cluster.zone(b);
                ledger.arrived(bytes, crosses(from, to));
            }
            Happening::Answered { answer: Ok(Answer::Sent(id)), .. } => {
                ledger.accepted.entry(*id).or_insert(at);
            }
            Happening::Notice { notice: Notice::Delivered { id, payload, hops, .. }, .. } => {
                ledger.delivered(at, *id, payload.len(), *hops);
            }
            _ => {}
        }
        Ok(())
    }
}
