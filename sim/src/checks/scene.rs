//! The view of the checks on a run: the truth about it, and the state of the nodes.

use core::cell::Cell;
use core::time::Duration;

use bruit_core::{Config, Hearsay, Member, MemberChange, Node, Notice, Time};

use super::bounds::Bounds;
use super::messages::Messages;
use super::nodes::Nodes;
use super::world::World;
use crate::base::Index;
use crate::kernel::{Happening, Violation};

/// The view of a check on a run, lent for one happening.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    /// The id of the check that looks.
    pub(super) check: &'static str,
    /// The number of judgements of that check.
    pub(super) judged: &'a Cell<u64>,
    /// The true time.
    pub(crate) at: Time,
    /// The processes, and the faults that they had.
    pub(crate) world: &'a World,
    /// The broadcasts, and the deliveries.
    pub(crate) messages: &'a Messages,
    /// The nodes as they are now.
    pub(crate) nodes: &'a dyn Nodes,
    /// The configuration of the members.
    pub(crate) config: &'a Config,
    /// The bounds of that configuration in a group of the present size.
    pub(crate) bounds: &'a Bounds,
}

impl Scene<'_> {
    /// Counts one judgement of the present check: a case that it would object to if it were bad.
    pub(super) fn judges(&self) {
        self.judged.set(self.judged.get() + 1);
    }

    /// A violation of the present check at one process.
    pub(super) fn violation(&self, node: Index, text: impl Into<String>) -> Violation {
        self.violation_of_cluster(text).at_node(node)
    }

    /// A violation of the present check that concerns the whole cluster.
    pub(super) fn violation_of_cluster(&self, text: impl Into<String>) -> Violation {
        Violation::new(self.check, self.at, text)
    }

    /// As [`World::in_reach`]. If a Down that is heard is believed, the time since which in addition no member at all was
    /// disturbed: one wrong verdict removes a healthy member from the views of all.
    pub(super) fn in_reach(&self, observer: Index, subject: Index) -> Option<Time> {
        let free = self.world.in_reach(observer, subject)?;
        if self.config.membership.hearsay == Hearsay::Believe {
            return self.world.calm().filter(|_| self.world.is_whole()).map(|calm| free.max(calm));
        }
        Some(free)
    }

    pub(super) fn node(&self, index: Index) -> Option<&Node> {
        self.nodes.node(index)
    }

    /// The time from which on no datagram should be sent for broadcasts, if nothing has happened since `calm`.
    pub(super) fn quiet_from(&self, calm: Time) -> Time {
        match self.messages.last() {
            Some(last) => last.max(calm) + self.bounds.broadcast.quiet + self.transfer(),
            None => Time::ZERO,
        }
    }

    /// The time that all payloads of the run may take to reach all members.
    pub(super) fn transfer(&self) -> Duration {
        let members = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        self.bounds.broadcast.transfer(self.messages.bytes(), members)
    }
}

/// The change of a member that a happening reports, with the process that reports it; `None` for other happenings.
pub(super) fn change<'a>(happening: &Happening<'a>) -> Option<(Index, MemberChange, &'a Member<'a>)> {
    match *happening {
        Happening::Notice { node, notice: Notice::Member { change, member } } => {
            Some((node, *change, member))
        }
        _ => None,
    }
}
