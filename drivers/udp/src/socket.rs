//! The socket, with one spelling of each address: an IPv6 socket that also takes IPv4 reports those senders as
//! mapped addresses (`::ffff:10.0.0.1`), which nobody else in the cluster would recognise.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, Type};

/// Asked of the kernel, which may grant less: what arrives while the process is paused waits here.
const RECEIVE_BUFFER_BYTES: usize = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    V4,
    V6,
    Both,
}

/// A bound datagram socket that never blocks.
#[derive(Debug)]
pub(crate) struct Socket {
    socket: UdpSocket,
    local: SocketAddr,
    family: Family,
}

impl Socket {
    pub(crate) fn bind(addr: SocketAddr) -> io::Result<Self> {
        let socket = socket2::Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
        if addr.is_ipv6() {
            // Some systems have no such sockets; then IPv4 is out of reach, and sends to it are counted.
            let _ = socket.set_only_v6(false);
        }
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
        socket.set_nonblocking(true)?;
        socket.bind(&addr.into())?;
        let family = match addr {
            SocketAddr::V4(_) => Family::V4,
            SocketAddr::V6(v6) if v6.ip().is_unspecified() && !socket.only_v6().unwrap_or(true) => {
                Family::Both
            }
            SocketAddr::V6(_) => Family::V6,
        };
        let socket: std::net::UdpSocket = socket.into();
        let local = plain(socket.local_addr()?);
        Ok(Self { socket: UdpSocket::from_std(socket), local, family })
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.socket, token, Interest::READABLE)
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

    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (len, from) = self.socket.recv_from(buffer)?;
        Ok((len, plain(from)))
    }
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

/// Any address of this machine, any port.
pub(crate) const ANYWHERE: [SocketAddr; 2] = [
    SocketAddr::new(std::net::IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0),
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
];

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
        let v4 = Socket::bind(addr("127.0.0.1:0")).expect("bound");
        assert!(v4.reaches(addr("10.0.0.1:1")) && !v4.reaches(addr("[::1]:1")));
        assert_ne!(v4.local().port(), 0);
        assert!(v4.send(addr("[::1]:1"), b"x").is_err());
    }
}
