//! CB10: without new broadcasts and disturbances the traffic of the broadcast ends. No message causes others forever.

use bruit_core::broadcast::Repair;
use bruit_core::wire::{self, Kind};

use super::is_of_broadcast;
use crate::checks::scene::Scene;
use crate::kernel::{Check, Happening, Violation};
use crate::network::BRUIT_PORT;

/// CB10: decodes every datagram that is sent after the bound, when none should be for a broadcast.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Quiet;

impl Check<Scene<'_>> for Quiet {
    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        let Happening::Sent { from, bytes, port: BRUIT_PORT, .. } = *happening else { return Ok(()) };
        let (Some(last), Some(calm)) = (scene.messages.last(), scene.world.calm()) else { return Ok(()) };
        if !scene.world.is_whole() || scene.quiet_from(calm) > scene.at {
            return Ok(());
        }
        scene.judges();
        let Ok(datagram) = wire::describe(bytes) else { return Ok(()) };
        // The digests of a pull never end; everything else does.
        let pulls = matches!(scene.config.broadcast.repair, Repair::Pull { .. });
        let ends = |kind: &Kind| is_of_broadcast(*kind) && !(pulls && *kind == Kind::Digest);
        match datagram.kinds().find(ends) {
            Some(kind) => {
                let text = format!(
                    "it sends {}, and the last broadcast was {:.0?} ago",
                    kind.name(),
                    scene.at.since(last)
                );
                Err(scene.violation(from, text))
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

    use crate::checks::fixture::{Fixture, config, message};
    use crate::network::forge;

    fn fragment() -> Vec<u8> {
        let part = Fragment { item: message(1, 1, 1).into(), index: 0, count: 1, bytes: b"a" };
        let fragment = Part { hops: 1, flags: 0, part }.into();
        forge::datagram(&forge::header(&config().cluster, NodeId(1), NodeId(2)), &[fragment])
    }

    #[test]
    fn traffic_after_the_bound_is_found() {
        let mut history = Fixture::new(2, "CB10");
        let bound = history.bounds().broadcast.quiet;
        history.acquainted().broadcasts(0, 1, b"a").after(bound).sends(0, &fragment()).is_silent();
        history.after(Duration::from_secs(1)).sends(0, &fragment()).fires("it sends part");
    }

    #[test]
    fn a_new_broadcast_and_a_disturbance_restart_the_bound() {
        let mut history = Fixture::new(2, "CB10");
        let bound = history.bounds().broadcast.quiet + Duration::from_secs(1);
        history.broadcasts(0, 1, b"a").after(bound).broadcasts(0, 2, b"b").sends(0, &fragment()).is_silent();
        history.gets(1, message(1, 1, 2), b"b").after(bound).crashes(1).sends(0, &fragment()).is_silent();
    }
}
