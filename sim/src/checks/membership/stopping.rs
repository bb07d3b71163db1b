//! CM14: a node stops for good only for a reason: another process with its id runs or ran just before (rules A2a and A2b), or an
//! operator has removed it (rule A7). Its application is told.

use core::time::Duration;
use std::collections::BTreeSet;

use bruit_core::{Command, Notice};

use crate::base::Index;
use crate::checks::scene::Scene;
use crate::kernel::{Check, Happening, Violation};

/// The time for which a process that no longer runs may still be reported as a running one with the same id: what it sent
/// is under way, or others hold it alive.
const RECENTLY: Duration = Duration::from_secs(60);
/// The time since which another process must have run for a process to stop because of it: twice the time in which its
/// claim must come (rule A2b), because clocks run fast and slow.
const JUST_NOW: Duration = Duration::from_secs(2);

/// CM14: judges each notice that a node has stopped, and each node that is not a member any more.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stopping {
    /// The processes that were told to join and have handled that.
    running: BTreeSet<Index>,
}

impl Stopping {
    fn notified(node: Index, notice: &Notice<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        let id = scene.world.id(node);
        match notice {
            Notice::IdentityConflict { other, stopped } => {
                scene.judges();
                let lately = if *stopped { JUST_NOW } else { RECENTLY };
                if scene.world.has_rival_since(node, scene.at - lately) {
                    return Ok(());
                }
                let verb = if *stopped { "stops because of" } else { "reports" };
                let text = format!(
                    "it {verb} another process with the id {id}, whose boot is {other:x}, and none has run in the last {lately:?}"
                );
                Err(scene.violation(node, text))
            }
            Notice::NameTaken { .. } => {
                scene.judges();
                if scene.world.has_rival_since(node, scene.at - RECENTLY) {
                    return Ok(());
                }
                Err(scene.violation(node, format!("it gives up {id}, and nobody has that id")))
            }
            Notice::Removed => {
                scene.judges();
                if scene.world.is_removed(id) {
                    return Ok(());
                }
                Err(scene.violation(node, format!("it stops as removed, and nobody has removed {id}")))
            }
            _ => Ok(()),
        }
    }

    /// Whether a node that was a member has stopped being one although no notice said so.
    fn handled(&mut self, node: Index, scene: &Scene<'_>) -> Result<(), Violation> {
        if scene.nodes.is_member(node) {
            self.running.insert(node);
            return Ok(());
        }
        if self.running.remove(&node) && scene.world.joined(node).is_some() {
            return Err(scene.violation(node, "it has stopped, and its application was not told why"));
        }
        Ok(())
    }
}

impl Check<Scene<'_>> for Stopping {
    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        match *happening {
            Happening::Notice { node, notice } => Self::notified(node, notice, scene),
            Happening::Handled { node } => self.handled(node, scene),
            Happening::Crashed { node } | Happening::Command { node, command: Command::Leave { .. } } => {
                self.running.remove(&node);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::JUST_NOW;
    use crate::checks::fixture::Fixture;
    use bruit_core::{Command, NodeId, Notice};
    use core::time::Duration;

    const STOPPED: Notice<'_> = Notice::IdentityConflict { other: 7, stopped: true };

    #[test]
    fn a_member_that_stops_without_another_process_of_its_id_is_found() {
        let mut history = Fixture::new(2, "CM14");
        history.notices(1, &STOPPED).fires("none has run in the last 2s");
        let mut history = Fixture::new(2, "CM14");
        history.cloned(1).crashes(2).after(JUST_NOW + Duration::from_secs(1)).notices(1, &STOPPED);
        history.fires("it stops because of another process with the id n2");
    }

    #[test]
    fn a_conflict_with_nobody_is_found() {
        let mut history = Fixture::new(2, "CM14");
        history
            .notices(0, &Notice::IdentityConflict { other: 7, stopped: false })
            .fires("it reports another");
    }

    #[test]
    fn a_member_that_stops_as_removed_and_was_not_is_found() {
        let mut history = Fixture::new(3, "CM14");
        history.commanded(0, &Command::RemovePeer(NodeId(3))).notices(2, &Notice::Removed).is_silent();
        history.notices(1, &Notice::Removed).fires("nobody has removed n2");
    }

    #[test]
    fn a_member_that_stops_without_a_notice_is_found() {
        let mut history = Fixture::new(2, "CM14");
        history.handles(1).stops(1).fires("was not told why");
    }

    #[test]
    fn a_member_that_stops_for_a_twin_or_leaves_is_fine() {
        let mut history = Fixture::new(2, "CM14");
        history.handles(0).handles(1).cloned(1).notices(2, &STOPPED).stops(2).is_silent();
        let mut history = Fixture::new(2, "CM14");
        history.handles(1).cloned(1).crashes(2).after(JUST_NOW / 2).notices(1, &STOPPED).stops(1);
        history.commanded(0, &Command::Leave { within: Duration::from_secs(1) }).stops(0).is_silent();
    }
}
