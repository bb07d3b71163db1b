//! The operations that stand for the machine room and for people: disks, wall clocks, and answers to questions of
//! admission.

use core::time::Duration;

use bruit_core::{Admission, Command, NodeId, Phase};

use super::applied::Applied;
use super::check::Violation;
use super::happening::Happening;
use super::op::{Answers, Op};
use super::sim::Sim;
use crate::base::Index;
use crate::process::{Epochs, Process, WallClock};

/// The counter of a command that was accepted.
pub(super) type Counter = fn(&mut Applied) -> &mut u64;

impl<P: Process> Sim<P> {
    /// Sets where processes take the epochs of their boots from; the numbers of their boots by default. To be called before
    /// the first process is spawned.
    pub const fn set_epochs(&mut self, epochs: Epochs) {
        self.epochs = epochs;
    }

    /// Sets the wall clock of a process. It has an effect at the next start, with [`Epochs::Clock`].
    ///
    /// # Errors
    /// A check objects.
    pub fn set_wall_clock(&mut self, index: Index, clock: WallClock) -> Result<(), Violation> {
        self.cluster.places[index.get()].host.wall = clock;
        self.applied.wall_clock_changes += 1;
        self.mark(15, index);
        self.observe(&Happening::ClockSet { node: index, clock })
    }

    /// Lets the disk of a process refuse all writes, or accept them again. Refused writes are then tried again, of each slot
    /// the latest.
    ///
    /// # Errors
    /// A check objects.
    pub fn set_disk_fails(&mut self, index: Index, fails: bool) -> Result<(), Violation> {
        let again = self.cluster.places[index.get()].host.disk.set_fails(fails);
        self.mark(16, index);
        self.write_all(index, again);
        self.observe(&Happening::DiskChanged { node: index, fails })
    }

    /// Sets how the operator of a member answers questions of admission, and the time until each answer. By default nobody
    /// answers.
    pub fn set_answers(&mut self, index: Index, answers: Answers, after: Duration) {
        self.cluster.places[index.get()].host.answers = Some((answers, after));
    }

    /// Schedules the answers of the operator to what the node has asked in the present input.
    pub(super) fn answer_questions(&mut self, index: Index) {
        for id in core::mem::take(&mut self.engine.asked) {
            self.applied.admissions_asked += 1;
            let Some((answers, after)) = self.cluster.places[index.get()].host.answers else { continue };
            let admission = match answers {
                Answers::Silence => None,
                Answers::Accept => Some(Admission::Accept),
                Answers::Veto => Some(Admission::Veto),
                Answers::Mixed => match self.answers.of(index.get()).below(3) {
                    0 => Some(Admission::Accept),
                    1 => Some(Admission::Veto),
                    _ => None,
                },
            };
            let Some(admission) = admission else { continue };
            let command = Command::Admit { id, admission };
            self.schedule(self.cluster.now + after, Op::Command { node: index, command });
        }
    }

    /// The counter of a command, if it is counted.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the other commands are not counted")]
    pub(super) fn counted(&self, index: Index, command: &Command) -> Option<Counter> {
        let node = self.cluster.node(index)?;
        let knows = |id: NodeId| node.member(id).is_some();
        match command {
            Command::Join { .. } if node.phase() == Phase::Left => Some(|applied| &mut applied.rejoins),
            Command::Leave { .. } => Some(|applied| &mut applied.leaves),
            Command::SetMeta(_) => Some(|applied| &mut applied.meta_changes),
            Command::AddPeer(_) => Some(|applied| &mut applied.peers_added),
            Command::RemovePeer(id) if knows(*id) => Some(|applied| &mut applied.peers_removed),
            Command::Admit { admission: Admission::Veto, .. } => Some(|applied| &mut applied.vetoed),
            Command::Admit { admission: Admission::Accept, .. } => Some(|applied| &mut applied.admitted),
            _ => None,
        }
    }
}
