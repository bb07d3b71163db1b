//! CS3: no datagram arrives sooner than its link allows, and none is carried across a cut.

use bruit_core::Time;

use crate::checks::scene::Scene;
use crate::kernel::{Check, Happening, Violation};
use crate::network::Fate;

/// CS3: a datagram takes at least the shortest delay of its link, and is dropped if a cut blocks the link when it is sent.
///
/// The delay of a datagram that was sent before the settings of the network last changed is not judged, because its link
/// may have been faster then. A datagram that is in flight when a cut is made follows the setting of the cut; tests of the
/// kernel judge that.
#[derive(Clone, Debug, Default)]
pub(crate) struct Causality {
    network_changed: Option<Time>,
}

impl Check<Scene<'_>> for Causality {
    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        match *happening {
            Happening::NetworkChanged => self.network_changed = Some(scene.at),
            Happening::Sent { from, to, fate: Fate::Carried { .. }, .. } => {
                let Some(owner) = scene.nodes.owner(to) else { return Ok(()) };
                scene.judges();
                if !scene.nodes.passes(from, owner) {
                    let text = format!("a datagram of it to {owner} is carried across a cut");
                    return Err(scene.violation(from, text));
                }
            }
            Happening::Delivered { from, to, sent, damaged: false, .. } => {
                let comparable = self.network_changed.is_none_or(|changed| sent > changed);
                let least = scene.nodes.delay_min(from, to);
                if comparable && scene.at.since(sent) < least {
                    let text = format!(
                        "it got a datagram of {from} sent at {sent}, sooner than the {least:?} of the link"
                    );
                    return Err(scene.violation(to, text));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use crate::checks::fixture::Fixture;

    #[test]
    fn a_datagram_that_arrives_too_early_is_found() {
        let mut history = Fixture::new(2, "CS3");
        history.link_takes(Duration::from_millis(1)).delivers(0, 1, b"?").fires("sooner than the 1ms");
    }

    #[test]
    fn a_datagram_that_is_carried_across_a_cut_is_found() {
        let mut history = Fixture::new(2, "CS3");
        history.sends(1, b"?").is_silent();
        history.cut(0, 1).sends(1, b"?").fires("to n1 is carried across a cut");
    }

    #[test]
    fn a_datagram_sent_before_the_network_changed_is_not_judged() {
        let mut history = Fixture::new(2, "CS3");
        history.link_takes(Duration::ZERO).delivers(0, 1, b"?").is_silent();
        history.link_takes(Duration::from_millis(1)).network_changes().delivers(0, 1, b"?").is_silent();
    }
}
