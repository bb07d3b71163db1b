//! The node's socket, with one spelling of each address: an IPv6 socket that also takes IPv4 reports those senders
//! as mapped addresses (`::ffff:10.0.0.1`), which nobody else in the cluster would recognise.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};

use socket2::{Domain, Protocol, Type};

/// Asked of the kernel, which may grant less: what arrives while the process is paused waits here.
const RECEIVE_BUFFER_BYTES: usize = 1 << 20;

/// Any address of this machine, any port.
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

/// A bound datagram socket that never blocks. It sends; whoever receives does so on a clone of its own.
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
            // Some systems have no such sockets; then IPv4 is out of reach, and sends to it are counted.
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

    /// On any port of every address of this machine.
    pub(crate) fn bind_anywhere() -> Result<Self, (SocketAddr, io::Error)> {
        let [v6, v4] = ANYWHERE;
        Self::bind(v6).or_else(|_| Self::bind(v4)).map_err(|source| (v4, source))
    }

    /// The same socket again, for a loop to receive from.
    pub(crate) fn receiver(&self) -> io::Result<UdpSocket> {
        self.socket.try_clone()
    }

    /// Its options.
    pub(crate) fn options(&self) -> socket2::SockRef<'_> {
        socket2::SockRef::from(&self.socket)
    }

    /// The address it is bound to; unspecified if it was.
    pub(crate) const fn local(&self) -> SocketAddr {
        self.local
    }

    /// Whether datagrams to the address can leave here.
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

/// An unbound socket of the address's family that never blocks.
pub(crate) fn datagram_socket(addr: SocketAddr) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// The one spelling of an address.
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
    fn mapped_addresses_have_one_spelling() {
        assert_eq!(plain(addr("[::ffff:10.0.0.1]:7000")), addr("10.0.0.1:7000"));
        assert_eq!(plain(addr("[::1]:7000")), addr("[::1]:7000"));
        assert_eq!(plain(addr("10.0.0.1:7000")), addr("10.0.0.1:7000"));
    }

    #[test]
    fn a_socket_knows_whom_it_reaches() {
        let v4 = NodeSocket::bind(addr("127.0.0.1:0")).expect("bound");
        assert!(v4.reaches(addr("10.0.0.1:1")) && !v4.reaches(addr("[::1]:1")));
        assert_ne!(v4.local().port(), 0);
        assert!(v4.send(addr("[::1]:1"), b"x").is_err());
    }
}
