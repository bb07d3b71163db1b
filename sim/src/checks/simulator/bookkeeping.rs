//! CS10: the bookkeeping of every node is consistent and within its bounds.

use core::any::Any;
use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use bruit_core::Node;

use crate::checks::scene::Scene;
use crate::kernel::{Check, Happening, Violation};

/// The number of members up to which a node is checked after every second event. With twice as many members it is checked
/// half as often, because the time of a check grows with them.
const MEMBERS_MAX: usize = 8;

/// CS10: calls `Node::check`, which counts the entries, dates and sets of a node against their bounds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bookkeeping {
    events: usize,
}

/// The text of a panic.
fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panics").to_owned()
}

/// Calls `check` and returns the text of the assertion that fails.
fn failing(check: impl FnOnce()) -> Option<String> {
    catch_unwind(AssertUnwindSafe(check)).err().map(|panic| text(&*panic))
}

impl Bookkeeping {
    fn judge(node: &Node) -> Option<String> {
        failing(|| node.check())
    }
}

impl Check<Scene<'_>> for Bookkeeping {
    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        let Happening::Handled { node: index } = *happening else { return Ok(()) };
        let Some(node) = scene.node(index) else { return Ok(()) };
        self.events += 1;
        if !self.events.is_multiple_of(2 + 2 * (node.member_count() / MEMBERS_MAX)) {
            return Ok(());
        }
        scene.judges();
        match Self::judge(node) {
            Some(text) => Err(scene.violation(index, format!("its bookkeeping is wrong: {text}"))),
            None => Ok(()),
        }
    }

    fn conclude(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        for index in scene.world.indices() {
            let failed = scene.node(index).and_then(Self::judge);
            if let Some(text) = failed {
                return Err(scene.violation(index, format!("its bookkeeping is wrong: {text}")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::failing;
    use crate::checks::fixture::{Fixture, config, node};

    #[test]
    fn an_assertion_of_a_node_that_fails_is_found() {
        let count = 3;
        let text = failing(|| assert!(count < 3, "{count} entries are within the bound of 3"));
        assert_eq!(text.as_deref(), Some("3 entries are within the bound of 3"));
        assert_eq!(failing(|| panic!("tombstones are bounded")).as_deref(), Some("tombstones are bounded"));
    }

    #[test]
    fn nodes_with_good_books_are_fine() {
        let mut history = Fixture::new(2, "CS10");
        history.becomes(0, node(1, 1, config())).becomes(1, node(2, 1, config())).ends().is_silent();
    }
}
