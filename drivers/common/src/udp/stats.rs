//! What can be said of a running node in a few plain numbers.

use std::net::SocketAddr;

use bruit_core::{Incarnation, Phase};

use crate::driven::Driven;

/// What happened around the node, as plain numbers since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DriverStats {
    /// Datagrams that the operating system refused to send: no route, buffer full, another address family.
    pub send_errors: u64,
    /// Errors on receiving.
    pub receive_errors: u64,
    /// News that no reader took in time.
    pub notices_missed: u64,
}

impl DriverStats {
    /// Every counter with its name and its meaning, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64, &'static str)> {
        [
            ("send_errors", self.send_errors, "Datagrams that the operating system refused to send."),
            ("receive_errors", self.receive_errors, "Errors on receiving."),
            ("notices_missed", self.notices_missed, "News that no reader took in time."),
        ]
        .into_iter()
    }
}

/// Where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Where it stands in its life.
    pub phase: Phase,
    /// Whether it has been in contact with a member since it started.
    pub joined: bool,
    /// Members of the local view that are alive or suspected, oneself included.
    pub members: usize,
    /// The announced address.
    pub addr: SocketAddr,
    /// The own incarnation.
    pub incarnation: Incarnation,
    /// News told so far. It rises with every change of a member, so what was read of the members before may be old.
    pub news: u64,
    /// Whether it takes no more commands: it was stopped, or a bug ended it.
    pub stopped: bool,
}

impl Status {
    /// The status at this moment. It counts the members, one by one.
    #[must_use]
    pub fn of(driven: &Driven) -> Self {
        let node = driven.node();
        Self {
            phase: node.phase(),
            joined: node.is_joined(),
            members: node.member_count(),
            addr: node.addr(),
            incarnation: node.incarnation(),
            news: driven.told(),
            stopped: driven.is_stopped(),
        }
    }
}
