//! B10: without submissions and disturbances the traffic of the broadcast ends: no message causes others for ever.

use bruit_core::broadcast::Repair;
use bruit_core::wire::{self, Kind};

use super::super::{Rule, Scene};
use super::is_of_broadcast;
use crate::check::Violation;
use crate::happening::Happening;
use crate::process::BRUIT_PORT;

/// B10. Reads every datagram that is sent so late that none should be for a broadcast.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Rule for Quiet {
    fn id(&self) -> &'static str {
        "B10"
    }

    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        let Happening::Sent { from, bytes, port: BRUIT_PORT, .. } = *happening else { return Ok(()) };
        let (Some(last), Some(calm)) = (scene.messages.last(), scene.world.calm()) else { return Ok(()) };
        if !scene.world.is_whole() || scene.quiet_from(calm) > scene.at {
            return Ok(());
        }
        let Ok(datagram) = wire::describe(bytes) else { return Ok(()) };
        // A pull never ends, by its nature; what it brings does.
        let pulls = matches!(scene.config.broadcast.repair, Repair::Pull { .. });
        let ends = |kind: &Kind| is_of_broadcast(*kind) && !(pulls && *kind == Kind::Digest);
        match datagram.kinds().find(ends) {
            Some(kind) => {
                let text = format!(
                    "it sends {}, and the last broadcast was {:.0?} ago",
                    kind.name(),
                    scene.at.since(last)
                );
                Err(scene.violation("B10", from, text))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use bruit_core::NodeId;
    use bruit_core::wire::{Fragment, Part};

    use super::super::super::fixture::{Fixture, config, message};
    use crate::forge;

    fn fragment() -> Vec<u8> {
        let part = Fragment { item: message(1, 1, 1).into(), index: 0, count: 1, bytes: b"a" };
        let fragment = Part { hops: 1, flags: 0, part }.into();
        forge::datagram(&forge::header(&config().cluster, NodeId(1), NodeId(2)), &[fragment])
    }

    #[test]
    fn traffic_that_does_not_end_is_found() {
        let mut history = Fixture::new(2, "B10");
        let bound = history.bounds().broadcast.quiet;
        history.acquainted().broadcasts(0, 1, b"a").after(bound).sends(0, &fragment()).is_silent();
        history.after(Duration::from_secs(1)).sends(0, &fragment()).fires("B10", "it sends part");
    }

    #[test]
    fn a_new_submission_and_a_disturbance_begin_anew() {
        let mut history = Fixture::new(2, "B10");
        let bound = history.bounds().broadcast.quiet + Duration::from_secs(1);
        history.broadcasts(0, 1, b"a").after(bound).broadcasts(0, 2, b"b").sends(0, &fragment()).is_silent();
        history.gets(1, message(1, 1, 2), b"b").after(bound).crashes(1).sends(0, &fragment()).is_silent();
    }
}
