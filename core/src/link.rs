//! The link between a node and the network: how datagrams come in, and how they go out.
//!
//! On the way in the link checks the frame of a datagram: length, version, cluster, checksum and receiver (rules A3 and
//! A5). Membership then decides how far the sender is believed. On the way out the link begins every datagram with the
//! header of this process and gives it a number. Files: [`outbox`] (the actions of a call, and one arena for their
//! bytes), [`writer`] (datagrams being written), [`shares`] (the part of a datagram that each machine may fill).

mod outbox;
mod shares;
mod writer;

pub use outbox::Outbox;
pub(crate) use shares::{Packed, Shares};
pub(crate) use writer::DatagramWriter;

use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::error::Misbehavior;
use crate::id::{Incarnation, NodeId};
use crate::stats::Stats;
use crate::wire::{self, Datagram, HeaderPrefix};

/// The header with which this process begins its datagrams, and the number of its latest datagram.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Link {
    cluster: u64,
    id: NodeId,
    boot: u64,
    prefix: HeaderPrefix,
    sequence: u64,
}

impl Link {
    pub(crate) fn new(cluster: u64, id: NodeId, incarnation: Incarnation, boot: u64) -> Self {
        let prefix = HeaderPrefix::new(cluster, id, incarnation, boot);
        Self { cluster, id, boot, prefix, sequence: 0 }
    }

    /// Makes every datagram from now on carry this incarnation of the node.
    pub(crate) fn set_incarnation(&mut self, incarnation: Incarnation) {
        self.prefix = HeaderPrefix::new(self.cluster, self.id, incarnation, self.boot);
    }

    /// Makes every datagram from now on carry this boot number.
    pub(crate) fn set_boot(&mut self, boot: u64) {
        self.boot = boot;
    }

    /// Opens a received datagram. Returns `None`, and counts the reason, if nothing in it is to be used.
    pub(crate) fn open<'a>(&self, bytes: &'a [u8], stats: &mut Stats) -> Option<Datagram<'a>> {
        let datagram = match wire::open(bytes, self.cluster) {
            Ok(datagram) => datagram,
            Err(error) => {
                stats.count_undecodable(error);
                return None;
            }
        };
        let header = &datagram.header;
        if !header.incarnation.is_sane() {
            stats.count_misbehavior(Misbehavior::Incarnation);
            return None;
        }
        // A datagram under this node's own id reveals another process of the id, whoever its receiver is.
        if ![NodeId::NOBODY, self.id].contains(&header.receiver) && header.sender != self.id {
            stats.dropped_wrong_receiver += 1;
            return None;
        }
        Some(datagram)
    }

    /// Opens a datagram of another cluster that [`open`](Self::open) has refused.
    #[cold]
    pub(crate) fn open_foreign<'a>(&self, bytes: &'a [u8]) -> Option<Datagram<'a>> {
        wire::open_any(bytes).ok().filter(|datagram| datagram.header.cluster != self.cluster)
    }

    /// Begins a datagram to the address `to`, for the member `receiver`.
    pub(crate) fn datagram<'a>(
        &mut self,
        to: SocketAddr,
        receiver: NodeId,
        mtu: u16,
        out: &'a mut Outbox,
    ) -> DatagramWriter<'a> {
        self.sequence += 1;
        out.datagram(to, receiver, &self.prefix, self.sequence, mtu)
    }
}
