//! Carrying out the operations of plans and scenarios.

use bruit_core::{Broadcast, Command};

use super::check::Violation;
use super::op::Op;
use super::payload::payload;
use super::sim::Sim;
use crate::base::Index;
use crate::process::{Join, Process, Spawn};

impl<P: Process> Sim<P> {
    /// Carries out an operation now.
    ///
    /// # Errors
    /// A check objects.
    pub fn apply(&mut self, op: Op) -> Result<(), Violation> {
        match op {
            Op::Spawn { count, through } => self.spawn_some(count, through),
            Op::Cut { cut, in_flight, flap, lasts, gray } => {
                let id = self.cut_with(&cut, in_flight, flap, gray)?;
                if let Some(lasts) = lasts {
                    self.schedule(self.cluster.now + lasts, Op::Heal { cut: id });
                }
                Ok(())
            }
            Op::Heal { cut } => self.heal(cut),
            Op::HealAll => self.heal_all(),
            Op::Crash { node } => self.crash(node),
            Op::Restart { node, memory } => self.restart(node, memory),
            Op::Pause { node } => self.pause(node),
            Op::Resume { node, release } => self.resume(node, release),
            Op::Move { node } => self.move_to_new_address(node),
            Op::Clone { node } => self.clone_process(node).map(drop),
            Op::ClockRate { node, ppm } => self.set_clock_rate(node, ppm),
            Op::LateTicks { node, by } => {
                self.set_late_ticks(node, by);
                Ok(())
            }
            Op::Leave { node, within } => self.command(node, Command::Leave { within }),
            Op::Network { network } => self.set_network(network),
            Op::Broadcast { node, topic, text, bytes, count, report } => (0..count).try_for_each(|_| {
                let payload = text.as_ref().map(|text| text.clone().into_bytes());
                let payload = payload.unwrap_or_else(|| self.made_up(node, bytes as usize));
                let first = None;
                let broadcast = Broadcast { topic: topic.clone(), payload, report, first };
                self.command(node, Command::Broadcast(broadcast))
            }),
            Op::AddPeer { node, peer } => {
                let addr = self.cluster.addr(peer);
                self.command(node, Command::AddPeer(addr))
            }
            Op::Command { node, command } => self.command(node, command),
        }
    }

    fn spawn_some(&mut self, count: u32, through: Option<Index>) -> Result<(), Violation> {
        let join = through.map_or_else(Join::default, Join::Through);
        (0..count).try_for_each(|_| self.spawn(Spawn::new().join(join.clone())).map(drop))
    }

    /// Makes up a payload that is unique in this run.
    fn made_up(&mut self, node: Index, bytes: usize) -> Vec<u8> {
        self.serial += 1;
        payload(self.cluster.id(node), self.serial, bytes)
    }

    /// Lets a process broadcast a made-up payload of this length; at least that of its stamp, 24 bytes.
    ///
    /// # Errors
    /// A check objects.
    pub fn broadcast(&mut self, node: Index, bytes: usize) -> Result<(), Violation> {
        let payload = self.made_up(node, bytes);
        self.command(node, Command::Broadcast(Broadcast::new("", payload)))
    }
}
