//! Multicast: each member receives from the group, and sends to it by its own socket.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::sync::mpsc::channel;
use std::time::Duration;

use bruit_tokio::StartError;
use bruit_tokio::core::wire::Kind as MessageKind;
use bruit_tokio::{Direction, Interface};
use socket2::{Domain, SockRef, Type};

use crate::support::{Kind, Node, Options, SOON, spare_port, until};

pub(crate) const GROUP_V4: Ipv4Addr = Ipv4Addr::new(239, 255, 66, 117);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0x6272, 0x7569);
/// The greatest index of an interface that is tried for IPv6.
const INTERFACES_MAX: u32 = 16;

fn in_group(group: SocketAddr, interface: Option<Interface>) -> Options {
    Options { multicast: Some((group, interface)), ..Options::default() }
}

/// Creates a socket that sends to a group on this interface.
fn sender(interface: Interface) -> io::Result<UdpSocket> {
    let (any, domain): (SocketAddr, _) = match interface {
        Interface::Addr(_) => ((Ipv4Addr::UNSPECIFIED, 0).into(), Domain::IPV4),
        Interface::Index(_) => ((Ipv6Addr::UNSPECIFIED, 0).into(), Domain::IPV6),
    };
    let socket = socket2::Socket::new(domain, Type::DGRAM, None)?;
    socket.bind(&any.into())?;
    match interface {
        Interface::Addr(addr) => socket.set_multicast_if_v4(&addr)?,
        Interface::Index(index) => socket.set_multicast_if_v6(index)?,
    }
    Ok(socket.into())
}

/// Checks that this machine delivers datagrams to a group on this interface to itself.
pub(crate) fn is_carried(group: SocketAddr, interface: Interface) -> io::Result<()> {
    let receiver = match (group, interface) {
        (SocketAddr::V4(group), Interface::Addr(addr)) => {
            let receiver = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            receiver.join_multicast_v4(group.ip(), &addr)?;
            receiver
        }
        (SocketAddr::V6(group), Interface::Index(index)) => {
            let receiver = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?;
            receiver.join_multicast_v6(group.ip(), index)?;
            receiver
        }
        _ => return Err(io::ErrorKind::Unsupported.into()),
    };
    receiver.set_read_timeout(Some(Duration::from_secs(2)))?;
    let to = SocketAddr::new(group.ip(), receiver.local_addr()?.port());
    sender(interface)?.send_to(b"?", to)?;
    receiver.recv_from(&mut [0; 8]).map(drop)
}

/// Lets b ping a at the group's address. The ping leaves b's own socket and every member of the group receives it. Only a
/// is addressed, and answers to the ping's source.
#[track_caller]
fn ping_through(group: SocketAddr, [a, b, c]: [&Node; 3]) {
    let (heard, hears) = channel();
    for node in [a, c] {
        let (id, heard) = (node.id(), heard.clone());
        node.trace([MessageKind::Ping], move |datagram| {
            if datagram.direction == Direction::In {
                let _ = heard.send((id, datagram.peer));
            }
        });
        node.join(Vec::<SocketAddr>::new()).expect("joins");
    }
    b.join(Vec::<SocketAddr>::new()).expect("joins");
    let round_trip = b.ping(a.id(), group).expect("accepted");
    assert!(round_trip.is_some(), "a answered");
    let mut missing = vec![a.id(), c.id()];
    while !missing.is_empty() {
        let (id, from) = hears.recv_timeout(SOON).expect("both hear the group");
        assert_eq!(from.port(), b.local_addr().port(), "it came from b's own socket");
        missing.retain(|member| *member != id);
    }
    assert_eq!(b.driver_stats().send_errors, 0);
}

pub(crate) fn a_group_is_received_and_the_answer_goes_to_the_senders_own_address(kinds: [Kind; 3]) {
    let group = SocketAddr::from((GROUP_V4, spare_port()));
    if let Err(error) = is_carried(group, Interface::Addr(Ipv4Addr::LOCALHOST)) {
        return eprintln!("skipped: the loopback of this machine carries no multicast: {error}");
    }
    // A node that is bound to a loopback address uses the group on loopback. A node that is bound to every address must
    // be given the interface.
    let loopback = Some(Interface::Addr(Ipv4Addr::LOCALHOST));
    let a = kinds[0].start_with("a", in_group(group, None));
    let b = kinds[1].start_at("0.0.0.0:0", "b", in_group(group, loopback)).expect("it starts");
    let c = kinds[2].start_with("c", in_group(group, None));
    ping_through(group, [&a, &b, &c]);
}

pub(crate) fn a_group_over_ipv6(kinds: [Kind; 3]) {
    let group = SocketAddr::V6(SocketAddrV6::new(GROUP_V6, spare_port(), 0, 0));
    let carries = |index: &u32| is_carried(group, Interface::Index(*index)).is_ok();
    let Some(index) = (1..=INTERFACES_MAX).find(carries) else {
        return eprintln!("skipped: no interface of this machine carries IPv6 multicast");
    };
    let options = in_group(group, Some(Interface::Index(index)));
    let mut names = ["a", "b", "c"].into_iter();
    let [a, b, c] = kinds.map(|kind| {
        let name = names.next().expect("three names");
        kind.start_at("[::]:0", name, options.clone()).expect("it starts")
    });
    ping_through(group, [&a, &b, &c]);
}

pub(crate) fn a_group_on_the_nodes_own_port_needs_no_second_socket(kinds: [Kind; 3]) {
    let loopback = Interface::Addr(Ipv4Addr::LOCALHOST);
    let group = SocketAddr::from((GROUP_V4, spare_port()));
    if let Err(error) = is_carried(group, loopback) {
        return eprintln!("skipped: the loopback of this machine carries no multicast: {error}");
    }
    let addr = format!("0.0.0.0:{}", group.port());
    let a = match kinds[0].start_at(&addr, "a", in_group(group, Some(loopback))) {
        Ok(a) => a,
        Err(StartError::Bind { .. }) => return eprintln!("skipped: {addr} was taken meanwhile"),
        Err(error) => panic!("{error}"),
    };
    a.join(Vec::<SocketAddr>::new()).expect("joins");
    let sender = sender(loopback).expect("bound");
    assert_eq!(SockRef::from(&sender).multicast_ttl_v4().ok(), Some(1));
    sender.send_to(&[0x5a; 100], group).expect("sent");
    until("a hears the group", || a.stats().dropped_version > 0);
}

pub(crate) fn a_group_that_cannot_be_used_fails_the_start(kinds: [Kind; 3]) {
    for kind in kinds {
        let refused = |group: &str, interface| {
            let options = in_group(group.parse().expect("an address"), interface);
            let error = kind.start_at("127.0.0.1:0", "a", options).err().expect("it cannot start");
            assert!(matches!(error, StartError::Multicast { .. }), "{error}");
            assert!(error.to_string().contains(group), "{error}");
        };
        refused("10.0.0.1:7000", None);
        refused("[ff02::1]:7000", None);
        refused("239.255.66.117:7000", Some(Interface::Index(1)));
        refused("239.255.66.117:7000", Some(Interface::Addr(Ipv4Addr::new(203, 0, 113, 7))));
    }
}
