//! Addresses and ports. Addresses have the form `10.a.b.c:7569` and are numbered in the order in which they are assigned;
//! each belongs to at most one process.

use core::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

use crate::base::Index;

/// A port of a process: it tells kinds of datagrams apart, as a UDP port does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(pub u16);

/// The port of the node. An application uses any others for its own datagrams.
pub const BRUIT_PORT: Port = Port(0);

/// The number of an address: its lower 24 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AddressNumber(u32);

const NETWORK: u8 = 10;
const SOCKET_PORT: u16 = 7_569;

impl AddressNumber {
    pub(crate) const fn addr(self) -> SocketAddr {
        let [_, a, b, c] = self.0.to_be_bytes();
        SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(NETWORK, a, b, c), SOCKET_PORT))
    }

    const fn of(addr: SocketAddr) -> Option<Self> {
        let IpAddr::V4(ip) = addr.ip() else { return None };
        let [network, a, b, c] = ip.octets();
        if network != NETWORK || addr.port() != SOCKET_PORT {
            return None;
        }
        Some(Self(u32::from_be_bytes([0, a, b, c])))
    }

    const fn position(self) -> usize {
        self.0 as usize - 1
    }
}

/// The owner of each address.
#[derive(Clone, Debug, Default)]
pub(crate) struct AddressBook {
    owners: Vec<Option<Index>>,
}

impl AddressBook {
    /// Assigns a new address. Addresses are numbered from 1.
    pub(crate) fn assign(&mut self, owner: Index) -> AddressNumber {
        self.owners.push(Some(owner));
        let number = u32::try_from(self.owners.len()).ok().filter(|number| *number < 1 << 24);
        AddressNumber(number.expect("at most 2^24 addresses in a run"))
    }

    pub(crate) fn release(&mut self, number: AddressNumber) {
        self.owners[number.position()] = None;
    }

    /// Gives an address that was assigned before to another owner.
    pub(crate) fn give(&mut self, number: AddressNumber, owner: Index) {
        self.owners[number.position()] = Some(owner);
    }

    pub(crate) fn owner(&self, number: AddressNumber) -> Option<Index> {
        self.owners[number.position()]
    }

    /// The number of an address; `None` if it was never assigned.
    pub(crate) fn number(&self, addr: SocketAddr) -> Option<AddressNumber> {
        AddressNumber::of(addr).filter(|number| number.0 > 0 && number.position() < self.owners.len())
    }

    /// The address at this position among all that were ever assigned.
    pub(crate) fn nth(&self, position: u64) -> AddressNumber {
        let position = u32::try_from(position).expect("below the number of addresses");
        AddressNumber(position + 1)
    }

    /// Every address that has an owner, in the order in which they were assigned.
    pub(crate) fn owned(&self) -> impl Iterator<Item = (AddressNumber, Index)> {
        (1..).zip(&self.owners).filter_map(|(number, owner)| Some((AddressNumber(number), (*owner)?)))
    }

    pub(crate) const fn len(&self) -> usize {
        self.owners.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_owner_until_it_is_released() {
        let mut book = AddressBook::default();
        let numbers: Vec<_> = (0..300).map(|i| book.assign(Index(i))).collect();
        assert_eq!(numbers[255].addr().to_string(), "10.0.1.0:7569");
        assert_eq!(book.number(numbers[255].addr()), Some(numbers[255]));
        assert_eq!(book.owner(numbers[255]), Some(Index(255)));
        book.release(numbers[255]);
        assert_eq!(book.owner(numbers[255]), None);
        for unknown in ["10.0.0.0:7569", "10.0.9.0:7569", "10.0.0.1:1", "11.0.0.1:7569", "[::1]:7569"] {
            assert_eq!(book.number(unknown.parse().expect("an address")), None, "{unknown}");
        }
    }
}
