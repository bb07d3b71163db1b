//! The node's socket, which gives every address one form. An IPv6 socket that also takes IPv4 reports IPv4 senders as
//! mapped addresses (`::ffff:10.0.0.1`), which no other member would recognise; they are turned into IPv4 addresses.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};

use socket2::{Domain, Protocol, Type};

/// The size of the receive buffer, in which datagrams wait while the process is paused. The kernel may grant less.
const RECEIVE_BUFFER_BYTES: usize = 1 << 20;

/// Every address of this machine and any port, for IPv6 and for IPv4.
const ANYWHERE: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0),
    SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    V4,
    V6,
    Both,
}

/// A bound datagram socket in non-blocking mode. It is used for sending; the loop receives on a clone of it.
#[derive(Debug)]
pub(crate) struct NodeSocket {
    socket: UdpSocket,
    local: SocketAddr,
    family: Family,
}

impl NodeSocket {
    pub(crate) fn bind(addr: SocketAddr) -> io::Result<Self> {
        let socket = datagram_socket(addr)?;
        if addr.is_ipv6() {
            // Some systems have no such sockets. IPv4 is then out of reach, and each send to it counts as an error.
            let _ = socket.set_only_v6(false);
        }
        socket.bind(&addr.into())?;
        let family = match addr {
            SocketAddr::V4(_) => Family::V4,
            SocketAddr::V6(v6) if v6.ip().is_unspecified() && !socket.only_v6().unwrap_or(true) => {
                Family::Both
            }
            SocketAddr::V6(_) => Family::V6,
        };
        let socket: UdpSocket = socket.into();
        let local = plain(socket.local_addr()?);
        Ok(Self { socket, local, family })
    }

    /// Binds any free port on every address of this machine.
    pub(crate) fn bind_anywhere() -> Result<Self, (SocketAddr, io::Error)> {
        let [v6, v4] = ANYWHERE;
        Self::bind(v6).or_else(|_| Self::bind(v4)).map_err(|source| (v4, source))
    }

    /// A second handle of the socket, for the loop to receive from.
    pub(crate) fn receiver(&self) -> io::Result<UdpSocket> {
        self.socket.try_clone()
    }

    /// The socket's options.
    pub(crate) fn options(&self) -> socket2::SockRef<'_> {
        socket2::SockRef::from(&self.socket)
    }

    /// The address that it is bound to; unspecified if it was bound to every address.
    pub(crate) const fn local(&self) -> SocketAddr {
        self.local
    }

    /// True if the socket can send to the address's family.
    pub(crate) const fn reaches(&self, addr: SocketAddr) -> bool {
        match self.family {
            Family::V4 => addr.is_ipv4(),
            Family::V6 => addr.is_ipv6(),
            Family::Both => true,
        }
    }

    pub(crate) fn send(&self, to: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        let to = match (to, self.family) {
            (SocketAddr::V4(v4), Family::Both) => {
                SocketAddr::V6(SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0))
            }
            _ => to,
        };
        self.socket.send_to(bytes, to).map(drop)
    }
}

/// Creates an unbound, non-blocking socket of the address's family.
pub(crate) fn datagram_socket(addr: SocketAddr) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// The one form of an address: a mapped IPv4 address becomes IPv4, and an IPv6 address loses its flow label.
pub(crate) fn plain(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V4(_) => addr,
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => SocketAddr::from((v4, v6.port())),
            None => SocketAddr::V6(SocketAddrV6::new(*v6.ip(), v6.port(), 0, v6.scope_id())),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn mapped_addresses_become_ipv4() {
        assert_eq!(plain(addr("[::ffff:10.0.0.1]:7000")), addr("10.0.0.1:7000"));
        assert_eq!(plain(addr("[::1]:7000")), addr("[::1]:7000"));
        assert_eq!(plain(addr("10.0.0.1:7000")), addr("10.0.0.1:7000"));
    }

    #[test]
    fn a_socket_knows_which_addresses_it_reaches() {
        let v4 = NodeSocket::bind(addr("127.0.0.1:0")).expect("bound");
        assert!(v4.reaches(addr("10.0.0.1:1")) && !v4.reaches(addr("[::1]:1")));
        assert_ne!(v4.local().port(), 0);
        assert!(v4.send(addr("[::1]:1"), b"x").is_err());
    }
}
