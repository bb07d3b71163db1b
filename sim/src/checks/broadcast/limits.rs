//! CB7: the resources that a node uses for broadcasts stay within their limits at every event.

use bruit_core::limits::{GAPS_MAX, QUEUE_MAX, REASSEMBLIES_MAX};

use crate::checks::scene::Scene;
use crate::kernel::{Check, Happening, Violation};

/// The number of epochs of one origin that are open (rule C1).
const EPOCHS_OPEN: usize = 2;

/// CB7: judges the usage of a node after each event.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits;

impl Check<Scene<'_>> for Limits {
    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        let Happening::Handled { node } = *happening else { return Ok(()) };
        scene.judges();
        let (usage, pending) = (scene.nodes.usage(node), scene.nodes.pending(node));
        let settings = &scene.config.broadcast;
        let counted = [
            ("cached bytes", usage.cached_bytes, settings.cache_bytes_max as usize),
            ("pending bytes", pending.bytes, settings.pending_bytes_max as usize),
            ("unfinished reassemblies", usage.reassemblies, REASSEMBLIES_MAX),
            ("transmissions in the queue", usage.queued, QUEUE_MAX),
            ("gaps", usage.gaps, GAPS_MAX * EPOCHS_OPEN * scene.nodes.len()),
        ];
        match counted.iter().find(|(_, count, most)| count > most) {
            Some((what, count, most)) => {
                Err(scene.violation(node, format!("it holds {count} {what}, and the limit is {most}")))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use bruit_core::broadcast::{Pending, Usage};

    use crate::checks::fixture::{Fixture, config};

    #[test]
    fn a_limit_that_is_exceeded_is_found() {
        let most = config().broadcast.cache_bytes_max as usize;
        let mut history = Fixture::new(2, "CB7");
        history.uses(1, Usage { cached_bytes: most, ..Usage::default() }, Pending::default()).is_silent();
        history.uses(1, Usage { cached_bytes: most + 1, ..Usage::default() }, Pending::default());
        history.fires("cached bytes");
        let mut history = Fixture::new(2, "CB7");
        let pending = Pending { messages: 1, bytes: config().broadcast.pending_bytes_max as usize + 1 };
        history.uses(0, Usage::default(), pending).fires("pending bytes");
        let mut history = Fixture::new(2, "CB7");
        history.uses(0, Usage { reassemblies: 17, ..Usage::default() }, Pending::default());
        history.fires("17 unfinished reassemblies");
        let mut history = Fixture::new(2, "CB7");
        history.uses(0, Usage { gaps: 257, ..Usage::default() }, Pending::default()).fires("257 gaps");
    }
}
