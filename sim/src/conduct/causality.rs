//! CS3 and CS5: nothing arrives too early, through a cut, or at a process that does not run.

use bruit_core::Time;

use crate::check::{Check, Violation};
use crate::cluster::{Cluster, Index, Status};
use crate::happening::Happening;
use crate::process::Process;

/// CS3: a datagram takes at least the least delay of its link, and one sent while a cut stood never arrives.
///
/// It assumes that the settings of a link are not made slower while datagrams are under way on it: it stops
/// looking at delays when they change.
#[derive(Clone, Debug, Default)]
pub struct Causality {
    network_changed: Option<Time>,
}

impl<P: Process> Check<P> for Causality {
    fn id(&self) -> &'static str {
        "CS3"
    }

    fn observe(
        &mut self,
        at: Time,
        happening: &Happening<'_>,
        cluster: &Cluster<P>,
    ) -> Result<(), Violation> {
        if let Happening::NetworkChanged = happening {
            self.network_changed = Some(at);
        }
        let Happening::Delivered { from, to, sent, damaged: false, .. } = happening else { return Ok(()) };
        let comparable = self.network_changed.is_none_or(|changed| *sent > changed);
        let least = cluster.delay_min(*from, *to);
        if !comparable || at.since(*sent) >= least {
            return Ok(());
        }
        let text = format!("from {from}, sent at {sent}: less than {least:?} on the way");
        Err(Violation::new("CS3", at, text).at_node(*to))
    }
}

/// CS5: a process that is crashed or paused gets nothing and does nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silence;

impl Silence {
    fn active(happening: &Happening<'_>) -> Option<Index> {
        if let Happening::Delivered { to: node, .. }
        | Happening::Sent { from: node, .. }
        | Happening::Handled { node }
        | Happening::Notice { node, .. }
        | Happening::Answered { node, .. } = happening
        {
            return Some(*node);
        }
        None
    }
}

impl<P: Process> Check<P> for Silence {
    fn id(&self) -> &'static str {
        "CS5"
    }

    fn observe(
        &mut self,
        at: Time,
        happening: &Happening<'_>,
        cluster: &Cluster<P>,
    ) -> Result<(), Violation> {
        match Self::active(happening) {
            Some(node) if cluster.status(node) != Status::Running => {
                Err(Violation::new("CS5", at, "it does not run, and acts").at_node(node))
            }
            Some(_) | None => Ok(()),
        }
    }
}
