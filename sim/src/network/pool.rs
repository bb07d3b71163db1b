//! Datagrams under way. Slots and their buffers are used again, so a settled run allocates nothing.

use bruit_core::Time;

use super::address::AddressNumber;
use crate::cluster::Index;
use crate::process::Port;

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

/// Names a datagram under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slip(pub(crate) u32);

/// All of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Datagrams {
    slots: Vec<Option<Datagram>>,
    free: Vec<u32>,
    buffers: Vec<Vec<u8>>,
}

impl Datagrams {
    /// A buffer for the bytes of the next datagram, empty.
    pub(crate) fn buffer(&mut self) -> Vec<u8> {
        self.buffers.pop().unwrap_or_default()
    }

    pub(crate) fn insert(&mut self, datagram: Datagram) -> Slip {
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = Some(datagram);
            return Slip(slot);
        }
        self.slots.push(Some(datagram));
        Slip(u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 datagrams under way"))
    }

    pub(crate) fn get(&self, slip: Slip) -> &Datagram {
        self.slots[slip.0 as usize].as_ref().expect("the slip is of a datagram under way")
    }

    pub(crate) fn take(&mut self, slip: Slip) -> Datagram {
        let datagram = self.slots[slip.0 as usize].take().expect("a datagram is taken once");
        self.free.push(slip.0);
        datagram
    }

    /// Gives the buffer back.
    pub(crate) fn recycle(&mut self, datagram: Datagram) {
        let mut bytes = datagram.bytes;
        bytes.clear();
        self.buffers.push(bytes);
    }

    /// How many are under way.
    pub(crate) const fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}
