//! A multicast group that the node hears. Datagrams to it leave by the node's own socket, since a receiver compares
//! their source with the sender's address; they go one hop far, and members on the same machine hear them too.
//!
//! A socket hears a group on the port it is bound to, and only if its address lets the group through. So the node's
//! own socket serves when it has the group's port on every address; otherwise a second one is bound to the group,
//! in such a way that other processes of this machine can do the same.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};

use crate::udp::socket::{NodeSocket, datagram_socket};

/// Which of this machine's networks a multicast group is meant on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interface {
    /// The one with this address. For IPv4 groups.
    Addr(Ipv4Addr),
    /// The one with this index, as `ip link` lists it. For IPv6 groups.
    Index(u32),
}

/// A group to hear, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Multicast {
    /// The group's address and port.
    pub group: SocketAddr,
    /// Which network. Without it: the one of the node's own address, if that is an IPv4 one; the interface that an
    /// IPv6 group names as its scope; or else the operating system's choice.
    pub interface: Option<Interface>,
}

impl Multicast {
    /// Joins the group, and makes the node's own socket send to it there. What comes back is the second socket, if
    /// the node's own cannot hear the group.
    pub(crate) fn join(&self, own: &NodeSocket) -> io::Result<Option<UdpSocket>> {
        if !self.group.ip().is_multicast() || self.group.port() == 0 {
            return Err(invalid("it needs a multicast address and a port"));
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
    if hears(own.local(), group.port()) {
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
    if hears(own.local(), group.port()) {
        sending.join_multicast_v6(group.ip(), interface)?;
        return Ok(None);
    }
    // A group of one link cannot be bound without saying which link.
    let binds = BINDS_TO_GROUP && interface != 0;
    let ip = if binds { *group.ip() } else { Ipv6Addr::UNSPECIFIED };
    let socket = shared_socket(SocketAddrV6::new(ip, group.port(), 0, interface).into())?;
    socket.join_multicast_v6(group.ip(), interface)?;
    Ok(Some(socket.into()))
}

/// Whether a socket bound to `local` receives datagrams to a group's `port`.
const fn hears(local: SocketAddr, port: u16) -> bool {
    local.port() == port && local.ip().is_unspecified()
}

/// Bound to the group itself, a socket is spared other datagrams to the same port. Windows allows no such thing.
const BINDS_TO_GROUP: bool = cfg!(unix);

/// A socket bound to an address that others may be bound to as well. Each gets its copy of what goes to the group.
fn shared_socket(addr: SocketAddr) -> io::Result<socket2::Socket> {
    let socket = datagram_socket(addr)?;
    socket.set_reuse_address(true)?;
    // Where both exist, the others may have set either one alone.
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
    fn what_is_no_group_is_refused() {
        refused("10.0.0.1:7000", None, "multicast address");
        refused("239.1.2.3:0", None, "port");
        refused("[ff02::1]:7000", None, "family");
        refused("239.1.2.3:7000", Some(Interface::Index(1)), "by its address");
    }

    #[test]
    fn the_own_socket_serves_on_every_address_with_the_groups_port_alone() {
        let addr = |text: &str| text.parse().expect("an address");
        assert!(hears(addr("0.0.0.0:7000"), 7000) && hears(addr("[::]:7000"), 7000));
        assert!(!hears(addr("0.0.0.0:7001"), 7000) && !hears(addr("10.0.0.1:7000"), 7000));
    }
}
