//! CS3 and CS5: no datagram arrives too early, and a process that does not run does nothing.

use bruit_core::Time;

use crate::base::Index;
use crate::checks::scene::Scene;
use crate::kernel::{Check, Happening, Violation};
use crate::process::Status;

/// CS3: a datagram takes at least the shortest delay of its link.
///
/// A datagram that was sent before the settings of the network last changed is not judged, because its link may have been
/// faster then.
#[derive(Clone, Debug, Default)]
pub(crate) struct Causality {
    network_changed: Option<Time>,
}

impl Check<Scene<'_>> for Causality {
    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        if let Happening::NetworkChanged = happening {
            self.network_changed = Some(scene.at);
        }
        let Happening::Delivered { from, to, sent, damaged: false, .. } = happening else { return Ok(()) };
        let comparable = self.network_changed.is_none_or(|changed| *sent > changed);
        let least = scene.nodes.delay_min(*from, *to);
        if !comparable || scene.at.since(*sent) >= least {
            return Ok(());
        }
        let text =
            format!("it got a datagram of {from} sent at {sent}, sooner than the {least:?} of the link");
        Err(scene.violation(*to, text))
    }
}

/// CS5: a process that is crashed or paused receives nothing and does nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Silence;

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

impl Check<Scene<'_>> for Silence {
    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        match Self::active(happening).map(|node| (node, scene.nodes.status(node))) {
            Some((node, status @ (Status::Crashed | Status::Paused))) => {
                Err(scene.violation(node, format!("it is {status:?} and does something")))
            }
            Some((_, Status::Running)) | None => Ok(()),
        }
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
    fn a_datagram_sent_before_the_network_changed_is_not_judged() {
        let mut history = Fixture::new(2, "CS3");
        history.link_takes(Duration::ZERO).delivers(0, 1, b"?").is_silent();
        history.link_takes(Duration::from_millis(1)).network_changes().delivers(0, 1, b"?").is_silent();
    }

    #[test]
    fn a_crashed_process_that_sends_is_found() {
        let mut history = Fixture::new(2, "CS5");
        history.sends(1, b"?").is_silent();
        history.crashes(1).sends(1, b"?").fires("it is Crashed and does something");
    }
}
