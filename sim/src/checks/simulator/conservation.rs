//! CS2: every datagram is counted by what happened to it.

use crate::checks::scene::Scene;
use crate::kernel::{Check, Happening, Violation};

/// CS2: after every input, `sent + fanned out + duplicated` equals `delivered + dropped + under way`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Conservation;

impl Check<Scene<'_>> for Conservation {
    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        if !matches!(happening, Happening::Handled { .. } | Happening::Lost { .. }) {
            return Ok(());
        }
        let Some(traffic) = scene.nodes.traffic() else { return Ok(()) };
        let counters = traffic.counters;
        let came = counters.sent + counters.fanned_out + counters.duplicated;
        let went = counters.delivered + counters.dropped_all() + traffic.under_way as u64;
        if came == went {
            return Ok(());
        }
        let text = format!("{came} datagrams came into the network, and {went} are accounted for");
        Err(scene.violation_of_cluster(text))
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::Traffic;
    use crate::checks::fixture::{Fixture, config, node};
    use crate::network::Counters;

    #[test]
    fn a_datagram_that_disappears_is_found() {
        let mut counters = Counters::default();
        (counters.sent, counters.delivered) = (2, 1);
        let mut history = Fixture::new(1, "CS2");
        history.carries(Traffic { counters, under_way: 1 }).becomes(0, node(1, 1, config())).is_silent();
        history.carries(Traffic { counters, under_way: 0 }).becomes(0, node(1, 1, config()));
        history.fires("2 datagrams came into the network, and 1 are accounted for");
    }
}
