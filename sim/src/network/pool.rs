//! The datagrams under way. Slots and buffers are reused, so that a settled run allocates nothing.

use bruit_core::Time;

use super::address::{AddressNumber, Port};
use crate::base::Index;

/// A datagram under way.
#[derive(Clone, Debug)]
pub(crate) struct Datagram {
    pub(crate) from: Index,
    pub(crate) source: AddressNumber,
    pub(crate) target: AddressNumber,
    pub(crate) port: Port,
    pub(crate) damaged: bool,
    pub(crate) sent: Time,
    /// The hash of the bytes as they arrive.
    pub(crate) digest: u64,
    pub(crate) bytes: Vec<u8>,
}

/// The number of a datagram under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DatagramId(pub(crate) u32);

/// All datagrams under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Datagrams {
    slots: Vec<Option<Datagram>>,
    free: Vec<u32>,
    buffers: Vec<Vec<u8>>,
}

impl Datagrams {
    /// An empty buffer for the bytes of the next datagram.
    pub(crate) fn buffer(&mut self) -> Vec<u8> {
        self.buffers.pop().unwrap_or_default()
    }

    pub(crate) fn insert(&mut self, datagram: Datagram) -> DatagramId {
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = Some(datagram);
            return DatagramId(slot);
        }
        self.slots.push(Some(datagram));
        DatagramId(u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 datagrams under way"))
    }

    pub(crate) fn get(&self, id: DatagramId) -> &Datagram {
        self.slots[id.0 as usize].as_ref().expect("the id is that of a datagram under way")
    }

    pub(crate) fn take(&mut self, id: DatagramId) -> Datagram {
        let datagram = self.slots[id.0 as usize].take().expect("a datagram is taken once");
        self.free.push(id.0);
        datagram
    }

    /// Returns the buffer of a datagram to the pool.
    pub(crate) fn recycle(&mut self, datagram: Datagram) {
        let mut bytes = datagram.bytes;
        bytes.clear();
        self.buffers.push(bytes);
    }

    /// The number of datagrams under way.
    pub(crate) const fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}
