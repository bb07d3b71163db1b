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
            Op::Spawn { count, through, seeds } => {
                let join = through.map_or(Join::First(seeds as usize), Join::Through);
                (0..count).try_for_each(|_| self.spawn(Spawn::new().join(join.clone())).map(drop))
            }
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
            Op::Clone { node, clock } => self.clone_with_clock(node, clock).map(drop),
            Op::TakeOver { node, former } => self.take_over_if_crashed(node, former),
            Op::Replace { former } => self.replace(former).map(drop),
            Op::Save { node } => self.save(node),
            Op::Copy { node } => self.copy(node).map(drop),
            Op::WallClock { node, clock } => self.set_wall_clock(node, clock),
            Op::Disk { node, fails } => self.set_disk_fails(node, fails),
            Op::Inbox { node, bytes } => {
                self.set_inbox(node, bytes as usize);
                Ok(())
            }
            Op::ClockRate { node, ppm } => self.set_clock_rate(node, ppm),
            Op::LateTicks { node, by } => {
                self.set_late_ticks(node, by);
                Ok(())
            }
            Op::Join { node } => self.join_after_start(node),
            Op::SetMeta { node, bytes } => {
                let meta = self.made_up(node, bytes as usize);
                self.command(node, Command::SetMeta(meta))
            }
            Op::RemovePeer { node, peer } => {
                let id = self.cluster.id(peer);
                self.command(node, Command::RemovePeer(id))
            }
            Op::Answers { node, answers, after } => {
                self.set_answers(node, answers, after);
                Ok(())
            }
            Op::Admit { node, peer, admission } => {
                let id = self.cluster.id(peer);
                self.command(node, Command::Admit { id, admission })
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
