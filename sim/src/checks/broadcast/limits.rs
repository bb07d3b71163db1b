//! CB7: what a node holds for broadcasts stays within its limits at every event, whatever arrives.

use bruit_core::limits::{GAPS_MAX, QUEUE_MAX, REASSEMBLIES_MAX};

use super::super::{Rule, Scene};
use crate::check::Violation;
use crate::happening::Happening;

/// Epochs of one origin that are open (rule C1).
const EPOCHS_OPEN: usize = 2;

/// CB7.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits;

impl Rule for Limits {
    fn id(&self) -> &'static str {
        "CB7"
    }

    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        let Happening::Handled { node } = *happening else { return Ok(()) };
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
                Err(scene.violation("CB7", node, format!("it holds {count} {what}, and may hold {most}")))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use bruit_core::broadcast::{Pending, Usage};

    use super::super::super::fixture::{Fixture, config};

    #[test]
    fn whoever_holds_too_much_is_found() {
        let most = config().broadcast.cache_bytes_max as usize;
        let mut history = Fixture::new(2, "CB7");
        history.uses(1, Usage { cached_bytes: most, ..Usage::default() }, Pending::default()).is_silent();
        history.uses(1, Usage { cached_bytes: most + 1, ..Usage::default() }, Pending::default());
        history.fires("CB7", "cached bytes");
        let mut history = Fixture::new(2, "CB7");
        let pending = Pending { messages: 1, bytes: config().broadcast.pending_bytes_max as usize + 1 };
        history.uses(0, Usage::default(), pending).fires("CB7", "pending bytes");
        let mut history = Fixture::new(2, "CB7");
        history.uses(0, Usage { reassemblies: 17, ..Usage::default() }, Pending::default());
        history.fires("CB7", "17 unfinished reassemblies");
        let mut history = Fixture::new(2, "CB7");
        history.uses(0, Usage { gaps: 257, ..Usage::default() }, Pending::default()).fires("CB7", "257 gaps");
    }
}
