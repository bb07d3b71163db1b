//! The multicast group that a node receives from. Datagrams to the group are sent by the node's own socket, because a
//! receiver compares their source with the sender's address. They go one hop far, and members on the same machine
//! receive them too.
//!
//! A socket receives from a group only on the port it is bound to, and only if its bound address accepts the group. So
//! the node's own socket is enough if it is bound to the group's port on every address. Otherwise a second socket is
//! bound to the group, in such a way that other processes of this machine can do so too.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};

use crate::udp::socket::{NodeSocket, datagram_socket};

/// The network interface of this machine on which a multicast group is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interface {
    /// The interface with this address, for an IPv4 group.
    Addr(Ipv4Addr),
    /// The interface with this index, as `ip link` lists it, for an IPv6 group.
    Index(u32),
}

/// A multicast group, and the interface on which it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Multicast {
    /// The group's address and port.
    pub group: SocketAddr,
    /// The interface. Without it, an IPv4 group uses the interface of the node's own address, and an IPv6 group the
    /// one that its scope names; if there is none, the operating system chooses.
    pub interface: Option<Interface>,
}

impl Multicast {
    /// Joins the group, and makes the node's own socket send to it on the interface. Returns a second socket if the own
    /// socket cannot receive from the group.
    pub(crate) fn join(&self, own: &NodeSocket) -> io::Result<Option<UdpSocket>> {
        if !self.group.ip().is_multicast() || self.group.port() == 0 {
            return Err(invalid("a group needs a multicast address and a port"));
        }
        if !own.reaches(self.group) {
            return Err(invalid("the node is bound to an address of the other family"));
        }
        match self.group {
            SocketAddr::V4(group) => join_v4(group, self.interface_v4(own.local())?, own),
            SocketAddr::V6(group) => join_v6(group, self.interface_v6(group)?, own),
        }
    }

    fn interface_v4(&self, local: SocketAddr) -> io::Result<Ipv4Addr> {
        match (self.interface, local) {
            (Some(Interface::Addr(addr)), _) => Ok(addr),
            (Some(Interface::Index(_)), _) => {
                Err(invalid("the interface of an IPv4 group is named by its address"))
            }
            (None, SocketAddr::V4(local)) => Ok(*local.ip()),
            (None, SocketAddr::V6(_)) => Ok(Ipv4Addr::UNSPECIFIED),
        }
    }

    fn interface_v6(&self, group: SocketAddrV6) -> io::Result<u32> {
        match self.interface {
            Some(Interface::Index(index)) => Ok(index),
            Some(Interface::Addr(_)) => Err(invalid("the interface of an IPv6 group is named by its index")),
            None => Ok(group.scope_id()),
        }
    }
}

fn join_v4(group: SocketAddrV4, interface: Ipv4Addr, own: &NodeSocket) -> io::Result<Option<UdpSocket>> {
    let sending = own.options();
    if !interface.is_unspecified() {
        sending.set_multicast_if_v4(&interface)?;
    }
    sending.set_multicast_ttl_v4(1)?;
    sending.set_multicast_loop_v4(true)?;
    if receives_from_port(own.local(), group.port()) {
        sending.join_multicast_v4(group.ip(), &interface)?;
        return Ok(None);
    }
    let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, group.port());
    let socket = shared_socket(if BINDS_TO_GROUP { group } else { any }.into())?;
    socket.join_multicast_v4(group.ip(), &interface)?;
    Ok(Some(socket.into()))
}

fn join_v6(group: SocketAddrV6, interface: u32, own: &NodeSocket) -> io::Result<Option<UdpSocket>> {
    let sending = own.options();
    if interface != 0 {
        sending.set_multicast_if_v6(interface)?;
    }
    sending.set_multicast_hops_v6(1)?;
    sending.set_multicast_loop_v6(true)?;
    if receives_from_port(own.local(), group.port()) {
        sending.join_multicast_v6(group.ip(), interface)?;
        return Ok(None);
    }
    // A link-local group cannot be bound without its interface.
    let binds = BINDS_TO_GROUP && interface != 0;
    let ip = if binds { *group.ip() } else { Ipv6Addr::UNSPECIFIED };
    let socket = shared_socket(SocketAddrV6::new(ip, group.port(), 0, interface).into())?;
    socket.join_multicast_v6(group.ip(), interface)?;
    Ok(Some(socket.into()))
}

/// True if a socket bound to `local` receives datagrams to a group's `port`.
const fn receives_from_port(local: SocketAddr, port: u16) -> bool {
    local.port() == port && local.ip().is_unspecified()
}

/// True if a socket can be bound to the group itself, and so does not receive other datagrams to its port. Windows does
/// not allow it.
const BINDS_TO_GROUP: bool = cfg!(unix);

/// Creates a socket whose address other sockets may be bound to as well. Each of them receives a copy of a datagram to
/// the group.
fn shared_socket(addr: SocketAddr) -> io::Result<socket2::Socket> {
    let socket = datagram_socket(addr)?;
    socket.set_reuse_address(true)?;
    // Where both options exist, another process may have set only one of them.
    #[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos"))))]
    socket.set_reuse_port(true)?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&addr.into())?;
    Ok(socket)
}

fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(group: &str, interface: Option<Interface>, reason: &str) {
        let own = NodeSocket::bind("127.0.0.1:0".parse().expect("an address")).expect("bound");
        let multicast = Multicast { group: group.parse().expect("an address"), interface };
        let error = multicast.join(&own).expect_err("refused").to_string();
        assert!(error.contains(reason), "{error}");
    }

    #[test]
    fn an_unusable_group_is_refused() {
        refused("10.0.0.1:7000", None, "multicast address");
        refused("239.1.2.3:0", None, "port");
        refused("[ff02::1]:7000", None, "family");
        refused("239.1.2.3:7000", Some(Interface::Index(1)), "by its address");
    }

    #[test]
    fn the_own_socket_is_enough_only_if_bound_to_the_groups_port_on_every_address() {
        let addr = |text: &str| text.parse().expect("an address");
        assert!(
            receives_from_port(addr("0.0.0.0:7000"), 7000) && receives_from_port(addr("[::]:7000"), 7000)
        );
        assert!(
            !receives_from_port(addr("0.0.0.0:7001"), 7000)
                && !receives_from_port(addr("10.0.0.1:7000"), 7000)
        );
    }
}
