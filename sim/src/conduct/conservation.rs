//! CS2: no datagram appears or disappears without a name for it.

use bruit_core::Time;

use crate::check::{Check, Violation};
use crate::cluster::Cluster;
use crate::happening::Happening;
use crate::process::Process;

/// CS2: `sent + fanned out + duplicated = delivered + dropped + under way`, after every input.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conservation;

impl<P: Process> Check<P> for Conservation {
    fn id(&self) -> &'static str {
        "CS2"
    }

    fn observe(
        &mut self,
        at: Time,
        happening: &Happening<'_>,
        cluster: &Cluster<P>,
    ) -> Result<(), Violation> {
        if !matches!(happening, Happening::Handled { .. } | Happening::Lost { .. }) {
            return Ok(());
        }
        let counters = cluster.counters();
        let came = counters.sent + counters.fanned_out + counters.duplicated;
        let went = counters.delivered + counters.dropped_all() + cluster.under_way() as u64;
        if came == went {
            return Ok(());
        }
        Err(Violation::new(
            "CS2",
            at,
            format!("{came} datagrams came into the network and {went} are accounted for"),
        ))
    }
}
