//! CS5: a process that does not run does nothing, and no boot of a process sees the timers and writes of an earlier one.

use std::collections::BTreeMap;

use bruit_core::{Node, Slot, Time};

use crate::base::Index;
use crate::checks::scene::Scene;
use crate::kernel::{Check, Happening, Violation};
use crate::process::Status;

/// CS5: judges each input and output of a process by its status, each tick by the time that the node asked for, and each
/// confirmed write by those that the present boot has begun.
///
/// A tick that comes when a process is resumed may be early, because the kernel always gives one then.
#[derive(Clone, Debug, Default)]
pub(crate) struct Silence {
    /// The time at which each process was last resumed.
    resumed: BTreeMap<Index, Time>,
    /// The writes that the present boot of each process has begun and that are not durable yet.
    writing: BTreeMap<Index, Vec<(Slot, u64)>>,
}

impl Silence {
    fn active(happening: &Happening<'_>) -> Option<Index> {
        if let Happening::Delivered { to: node, .. }
        | Happening::Sent { from: node, .. }
        | Happening::Ticked { node }
        | Happening::Handled { node }
        | Happening::Notice { node, .. }
        | Happening::Storing { node, .. }
        | Happening::Answered { node, .. } = happening
        {
            return Some(*node);
        }
        None
    }

    fn ticked(&self, node: Index, scene: &Scene<'_>) -> Result<(), Violation> {
        let Some(inside) = scene.node(node) else { return Ok(()) };
        let (wanted, local) = (Node::next_wake(inside), scene.nodes.local_now(node));
        if wanted.is_some_and(|wanted| wanted <= local) || self.resumed.get(&node) == Some(&scene.at) {
            return Ok(());
        }
        let text = match wanted {
            Some(wanted) => format!("it gets a tick at {local} of its clock, and asked for one at {wanted}"),
            None => format!("it gets a tick at {local} of its clock, and asked for none"),
        };
        Err(scene.violation(node, text))
    }

    fn durable(&mut self, node: Index, write: (Slot, u64), scene: &Scene<'_>) -> Result<(), Violation> {
        let writing = self.writing.entry(node).or_default();
        match writing.iter().position(|begun| *begun == write) {
            Some(position) => {
                writing.remove(position);
                Ok(())
            }
            None => {
                let text = format!(
                    "write {} of {:?} becomes durable, and this boot did not begin it",
                    write.1, write.0
                );
                Err(scene.violation(node, text))
            }
        }
    }
}

impl Check<Scene<'_>> for Silence {
    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        match Self::active(happening).map(|node| (node, scene.nodes.status(node))) {
            Some((node, status @ (Status::Crashed | Status::Paused))) => {
                return Err(scene.violation(node, format!("it is {status:?} and does something")));
            }
            Some((_, Status::Running)) => scene.judges(),
            None => {}
        }
        match *happening {
            Happening::Ticked { node } => self.ticked(node, scene),
            Happening::Resumed { node } => {
                self.resumed.insert(node, scene.at);
                Ok(())
            }
            Happening::Storing { node, slot, serial } => {
                self.writing.entry(node).or_default().push((slot, serial));
                Ok(())
            }
            Happening::Durable { node, slot, serial } => self.durable(node, (slot, serial), scene),
            Happening::Crashed { node } => {
                self.writing.remove(&node);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use bruit_core::{Command, Event, Time};

    use crate::checks::fixture::{Fixture, config, node};

    #[test]
    fn a_crashed_process_that_sends_is_found() {
        let mut history = Fixture::new(2, "CS5");
        history.sends(1, b"?").is_silent();
        history.crashes(1).sends(1, b"?").fires("it is Crashed and does something");
    }

    #[test]
    fn a_paused_process_that_receives_or_stores_is_found() {
        let mut history = Fixture::new(2, "CS5");
        history.pauses(1).delivers(0, 1, b"?").fires("it is Paused and does something");
        let mut history = Fixture::new(2, "CS5");
        history.pauses(1).resumes(1).stores(1, 1).is_silent();
        history.pauses(1).stores(1, 2).fires("it is Paused and does something");
    }

    #[test]
    fn a_tick_that_nobody_asked_for_is_found() {
        let mut asleep = Fixture::new(2, "CS5");
        asleep.ticks(1).fires("and asked for none");
        // The timer of an earlier life: the present one wants its first tick later.
        let mut joined = node(2, 2, config());
        joined.handle(Event::Command(Command::Join { seeds: Vec::new() }), Time::ZERO);
        let wake = joined.next_wake().expect("a member probes").since(Time::ZERO);
        let mut history = Fixture::new(2, "CS5");
        history.crashes(1).restarts(1, joined.clone()).ticks(1).fires("and asked for one at");
        let mut history = Fixture::new(2, "CS5");
        history.crashes(1).restarts(1, joined).after(wake).ticks(1).is_silent();
    }

    #[test]
    fn a_write_of_an_earlier_boot_that_becomes_durable_is_found() {
        let mut history = Fixture::new(2, "CS5");
        history.stores(1, 1).stores(1, 2).is_durable(1, 1).is_silent();
        history.crashes(1).restarts(1, node(2, 2, config())).is_durable(1, 2).fires("did not begin it");
    }

    #[test]
    fn a_write_that_becomes_durable_during_a_pause_and_a_tick_when_it_ends_are_fine() {
        let mut history = Fixture::new(2, "CS5");
        history.stores(1, 1).pauses(1).is_durable(1, 1).after(Duration::from_secs(1)).resumes(1).ticks(1);
        history.is_silent();
    }
}
