//! The driver's counters, and the status of a running node.

use std::net::SocketAddr;

use bruit_core::{Incarnation, Phase};

use crate::driver::Driver;

/// The driver's counters since the start of the node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DriverStats {
    /// Datagrams that the operating system refused to send: no route, buffer full, another address family.
    pub send_errors: u64,
    /// Errors of the operating system on receiving.
    pub receive_errors: u64,
    /// Notices that were dropped because they were not read in time.
    pub notices_missed: u64,
}

impl DriverStats {
    /// Every counter as its name, its value and its meaning, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64, &'static str)> {
        [
            ("send_errors", self.send_errors, "Datagrams that the operating system refused to send."),
            ("receive_errors", self.receive_errors, "Errors of the operating system on receiving."),
            (
                "notices_missed",
                self.notices_missed,
                "Notices that were dropped because they were not read in time.",
            ),
        ]
        .into_iter()
    }
}

/// The status of a node at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The phase of its life cycle: idle, running, leaving, left or ended.
    pub phase: Phase,
    /// True once it has been in contact with another member since it started.
    pub joined: bool,
    /// The number of members in the local view that are alive or suspected, this one included once it has its id.
    pub members: usize,
    /// The address that the member announces.
    pub addr: SocketAddr,
    /// The member's own incarnation.
    pub incarnation: Incarnation,
    /// The number of notices sent so far. It rises with every change of a member, so members that were read at a
    /// lower number may have changed since.
    pub notices_sent: u64,
    /// True if the node takes no more commands: it was stopped, or a bug ended it.
    pub stopped: bool,
}

impl Status {
    /// The status now. It takes time proportional to the number of members, which it counts.
    #[must_use]
    pub fn of(driver: &Driver) -> Self {
        let node = driver.node();
        Self {
            phase: node.phase(),
            joined: node.is_joined(),
            members: node.member_count(),
            addr: node.addr(),
            incarnation: node.incarnation(),
            notices_sent: driver.notices_sent(),
            stopped: driver.is_stopped(),
        }
    }
}
