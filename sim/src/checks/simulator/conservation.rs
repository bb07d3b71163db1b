//! CS2: every datagram is counted by what happened to it, and each sender's datagrams arrive as often as they were sent.

use std::collections::BTreeMap;

use crate::base::Index;
use crate::checks::scene::Scene;
use crate::kernel::{Check, Happening, Violation};
use crate::network::Fate;

/// CS2: after every input, `sent + fanned out + duplicated` equals `delivered + dropped + under way`. The copies that
/// arrive from a sender, or are lost on their way, are never more than those that it has under way, and at the end those
/// of all senders together are what the network still carries.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conservation {
    /// The copies of each sender that are under way.
    under_way: BTreeMap<Index, u64>,
    /// Whether the first happening of the run was observed, with no datagram under way before it. Otherwise only the
    /// counters are judged.
    complete: Option<bool>,
}

impl Conservation {
    fn carried(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        match *happening {
            Happening::Sent { from, fate, .. } => {
                let copies = match fate {
                    Fate::Dropped(_) => 0,
                    Fate::Group { carried, .. } => u64::from(carried),
                    Fate::Carried { copies, .. } => u64::from(copies),
                };
                *self.under_way.entry(from).or_insert(0) += copies;
            }
            Happening::Delivered { from, .. } | Happening::Lost { from, .. } => {
                let under_way = self.under_way.entry(from).or_insert(0);
                let Some(rest) = under_way.checked_sub(1) else {
                    let text = format!("a datagram of {from} arrives or is lost, and none is under way");
                    return Err(scene.violation(from, text));
                };
                *under_way = rest;
            }
            _ => {}
        }
        Ok(())
    }
}

impl Check<Scene<'_>> for Conservation {
    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        let Some(traffic) = scene.nodes.traffic() else { return Ok(()) };
        if *self.complete.get_or_insert(traffic.counters.sent == 0) {
            self.carried(happening, scene)?;
        }
        if !matches!(happening, Happening::Handled { .. } | Happening::Lost { .. }) {
            return Ok(());
        }
        scene.judges();
        let counters = traffic.counters;
        let came = counters.sent + counters.fanned_out + counters.duplicated;
        let went = counters.delivered + counters.dropped_all() + traffic.under_way as u64;
        if came == went {
            return Ok(());
        }
        let text = format!("{came} datagrams came into the network, and {went} are accounted for");
        Err(scene.violation_of_cluster(text))
    }

    fn conclude(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        let Some(traffic) = scene.nodes.traffic().filter(|_| self.complete == Some(true)) else {
            return Ok(());
        };
        let of_all: u64 = self.under_way.values().sum();
        if of_all == traffic.under_way as u64 {
            return Ok(());
        }
        let text =
            format!("{of_all} datagrams should be under way, and the network has {}", traffic.under_way);
        Err(scene.violation_of_cluster(text))
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::Traffic;
    use crate::checks::fixture::{Fixture, config, node};
    use crate::network::Counters;

    fn traffic(sent: u64, delivered: u64, under_way: usize) -> Traffic {
        let mut counters = Counters::default();
        (counters.sent, counters.delivered) = (sent, delivered);
        Traffic { counters, under_way }
    }

    #[test]
    fn a_datagram_that_disappears_is_found() {
        let mut history = Fixture::new(1, "CS2");
        history.carries(traffic(2, 1, 1)).becomes(0, node(1, 1, config())).is_silent();
        history.carries(traffic(2, 1, 0)).becomes(0, node(1, 1, config()));
        history.fires("2 datagrams came into the network, and 1 are accounted for");
    }

    #[test]
    fn a_datagram_of_another_sender_than_the_one_that_sent_is_found() {
        let mut history = Fixture::new(3, "CS2");
        history
            .carries(traffic(0, 0, 0))
            .sends(1, b"?")
            .carries(traffic(1, 1, 0))
            .delivers(1, 0, b"?")
            .is_silent();
        history
            .sends(1, b"?")
            .delivers(2, 0, b"?")
            .fires("a datagram of n3 arrives or is lost, and none is under way");
    }

    #[test]
    fn a_datagram_that_neither_arrives_nor_is_under_way_at_the_end_is_found() {
        let mut history = Fixture::new(2, "CS2");
        history.carries(traffic(0, 0, 0)).sends(1, b"?").carries(traffic(1, 0, 1)).ends().is_silent();
        history
            .carries(traffic(1, 1, 0))
            .ends()
            .fires("1 datagrams should be under way, and the network has 0");
    }
}
