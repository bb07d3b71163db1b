//! The operations on processes and on the network.

use core::time::Duration;

use bruit_core::{Boot, Command, NodeId, Slot, Time};

use super::check::Violation;
use super::cluster::Place;
use super::happening::{Happening, Memory};
use super::op::Release;
use super::sim::Sim;
use crate::base::{Index, Purpose, Random, mix};
use crate::network::{Cut, CutId, DatagramId, DropReason, Flap, Gray, InFlight, NetworkConfig};
use crate::process::clock::Clock;
use crate::process::host::{Disk, Host, Inbox};
use crate::process::queue::Due;
use crate::process::{Epochs, Input, Join, Process, Spawn, Status, WallClock, digest};

impl<P: Process> Sim<P> {
    /// Starts a new process.
    ///
    /// # Errors
    /// A check objects.
    pub fn spawn(&mut self, spawn: Spawn) -> Result<Index, Violation> {
        let index = self.place(spawn);
        self.applied.late_starts += u64::from(self.cluster.now > Time::ZERO);
        self.start(index, Vec::new(), Memory::Amnesia)?;
        self.cluster.changes += 1;
        self.observe(&Happening::Started { node: index })?;
        self.join_after_start(index)?;
        Ok(index)
    }

    /// Starts `count` new processes with all defaults; they join through the first process of the run.
    ///
    /// # Errors
    /// A check objects.
    pub fn spawn_many(&mut self, count: u32) -> Result<(), Violation> {
        (0..count).try_for_each(|_| self.spawn(Spawn::new()).map(drop))
    }

    pub(super) fn place(&mut self, spawn: Spawn) -> Index {
        let index = Index::new(self.cluster.places.len());
        let id = spawn.id.unwrap_or(NodeId(u64::from(index.0) + 1));
        self.cluster.network.add_node(&spawn.zone);
        let mut clock = Clock::TRUE;
        clock.set_rate(self.cluster.now, spawn.clock_ppm);
        let host = Host {
            status: Status::Crashed,
            scheduled: Time::MAX,
            wanted: Time::MAX,
            clock,
            late_max: Duration::ZERO,
            address: self.cluster.addresses.assign(index),
            pushed: 0,
            boots: 0,
            started: self.cluster.now,
            id,
            name: spawn.name.unwrap_or_else(|| id.to_string()),
            zone: spawn.zone,
            meta: spawn.meta,
            tags: spawn.tags,
            join: spawn.join,
            disk: Disk::default(),
            confirmed: Vec::new(),
            inbox: Inbox::default(),
            entropy: Random::of(self.seed, Purpose::Entropy, index.0.into()),
            wall: WallClock::Right,
            answers: None,
            saved: None,
        };
        self.cluster.places.push(Place { process: None, host });
        index
    }

    /// Creates the process of a new boot and gives it [`Input::Start`].
    pub(super) fn start(
        &mut self,
        index: Index,
        restored: Vec<(Slot, Vec<u8>)>,
        memory: Memory,
    ) -> Result<(), Violation> {
        let boot = self.boot(index, restored, memory);
        let process = (self.factory)(boot);
        let place = &mut self.cluster.places[index.get()];
        place.process = Some(process);
        place.host.status = Status::Running;
        place.host.started = self.cluster.now;
        place.host.unschedule();
        self.input(index, 4, Input::Start)
    }

    /// The boot information that a driver would provide: an epoch that rises with each boot, and fresh randomness.
    fn boot(&mut self, index: Index, restored: Vec<(Slot, Vec<u8>)>, memory: Memory) -> Boot {
        let host = &mut self.cluster.places[index.get()].host;
        host.boots += 1;
        let number = u64::from(index.0) << 32 | u64::from(host.boots);
        let epoch = match (memory, self.epochs) {
            (Memory::AmnesiaClockBack, Epochs::Clock) => 1,
            (Memory::AmnesiaClockBack, Epochs::Boots) => Epochs::of_boot(1),
            (_, Epochs::Boots) => Epochs::of_boot(host.boots.into()),
            (_, Epochs::Clock) => host.wall.nanos(self.cluster.now, host.boots),
        };
        Boot {
            id: host.id,
            name: host.name.clone(),
            addr: host.address.addr(),
            zone: host.zone.clone(),
            meta: host.meta.clone(),
            tags: host.tags.clone(),
            epoch,
            seed: Random::of(self.seed, Purpose::Boot, number).seed(),
            restored,
        }
    }

    pub(super) fn join_after_start(&mut self, index: Index) -> Result<(), Violation> {
        let seeds = match &self.cluster.places[index.get()].host.join {
            Join::Never => return Ok(()),
            Join::Through(member) => vec![self.cluster.addr(*member)],
            Join::Seeds(seeds) => seeds.clone(),
            Join::First(count) => {
                self.cluster.indices().take(*count).map(|first| self.cluster.addr(first)).collect()
            }
        };
        self.command(index, Command::Join { seeds })
    }

    /// Gives a command to a process. A paused or crashed process ignores it.
    ///
    /// # Errors
    /// A check objects.
    pub fn command(&mut self, index: Index, command: Command) -> Result<(), Violation> {
        if self.cluster.status(index) != Status::Running {
            return Ok(());
        }
        self.observe(&Happening::Command { node: index, command: &command })?;
        let counted = self.counted(index, &command);
        self.engine.accepted = false;
        self.input(index, digest::command(&command), Input::Command(command))?;
        if let Some(counter) = counted.filter(|_| self.engine.accepted) {
            *counter(&mut self.applied) += 1;
        }
        Ok(())
    }

    /// Crashes a process. Datagrams that it has sent stay under way.
    ///
    /// # Errors
    /// A check objects.
    pub fn crash(&mut self, index: Index) -> Result<(), Violation> {
        let Place { process, host } = &mut self.cluster.places[index.get()];
        if host.status == Status::Crashed {
            return Ok(());
        }
        *process = None;
        host.status = Status::Crashed;
        host.unschedule();
        host.disk.forget_refused();
        host.confirmed.clear();
        let waiting = host.inbox.drain();
        self.applied.crashes += 1;
        self.mark(1, index);
        for id in waiting {
            self.lose(id, Some(index), DropReason::Crashed)?;
        }
        self.observe(&Happening::Crashed { node: index })
    }

    /// Restarts a crashed process at its address, and lets it join as before.
    ///
    /// # Errors
    /// A check objects.
    pub fn restart(&mut self, index: Index, memory: Memory) -> Result<(), Violation> {
        let host = &mut self.cluster.places[index.get()].host;
        if host.status != Status::Crashed {
            return Ok(());
        }
        let restored = match memory {
            Memory::Disk => host.disk.latest(),
            Memory::StaleDisk => host.disk.stale(),
            Memory::Amnesia | Memory::AmnesiaClockBack => Vec::new(),
            Memory::Snapshot => return self.resume_snapshot(index),
        };
        match memory {
            Memory::Disk => self.applied.restarts_with_disk += 1,
            Memory::StaleDisk => self.applied.restarts_with_stale_disk += 1,
            Memory::Amnesia | Memory::AmnesiaClockBack => {
                host.disk.wipe();
                self.applied.restarts_without_memory += 1;
            }
            Memory::Snapshot => unreachable!("a snapshot is not started again"),
        }
        self.mark(2, index);
        self.start(index, restored, memory)?;
        self.observe(&Happening::Restarted { node: index, memory })?;
        self.join_after_start(index)
    }

    /// Pauses a process: it handles nothing, while its clock runs on and its inbox fills.
    ///
    /// # Errors
    /// A check objects.
    pub fn pause(&mut self, index: Index) -> Result<(), Violation> {
        let host = &mut self.cluster.places[index.get()].host;
        if host.status != Status::Running {
            return Ok(());
        }
        host.status = Status::Paused;
        host.unschedule();
        self.applied.pauses += 1;
        self.mark(3, index);
        self.observe(&Happening::Paused { node: index })
    }

    /// Resumes a paused process. `release` says whether it handles its inbox or its timers first.
    ///
    /// # Errors
    /// A check objects.
    pub fn resume(&mut self, index: Index, release: Release) -> Result<(), Violation> {
        let host = &mut self.cluster.places[index.get()].host;
        if host.status != Status::Paused {
            return Ok(());
        }
        host.status = Status::Running;
        let (waiting, confirmed) = (host.inbox.drain(), core::mem::take(&mut host.confirmed));
        self.mark(4, index);
        self.observe(&Happening::Resumed { node: index })?;
        for (slot, serial) in confirmed {
            self.input(index, serial, Input::Stored { slot, serial })?;
        }
        let timers_at = match release {
            Release::TimersFirst => 0,
            Release::InboxFirst => waiting.len(),
            Release::Random => self.release.of(index.get()).position(waiting.len() + 1),
        };
        for id in &waiting[..timers_at] {
            self.deliver(*id, index)?;
        }
        self.tick(index)?;
        for id in &waiting[timers_at..] {
            self.deliver(*id, index)?;
        }
        self.tell_address(index)
    }

    /// Gives the node its new address if its process moved while it was paused.
    pub(super) fn tell_address(&mut self, index: Index) -> Result<(), Violation> {
        let addr = self.cluster.addr(index);
        let known = self.cluster.node(index).is_none_or(|node| node.addr() == addr);
        if known { Ok(()) } else { self.command(index, Command::SetAddr(addr)) }
    }

    /// Moves a process to a new address. A running one is told by `Command::SetAddr`.
    ///
    /// # Errors
    /// A check objects.
    pub fn move_to_new_address(&mut self, index: Index) -> Result<(), Violation> {
        let address = self.cluster.addresses.assign(index);
        let host = &mut self.cluster.places[index.get()].host;
        self.cluster.addresses.release(host.address);
        host.address = address;
        self.applied.moves += 1;
        self.mark(5, index);
        let addr = address.addr();
        self.observe(&Happening::Moved { node: index, addr })?;
        self.command(index, Command::SetAddr(addr))
    }

    /// Lets the clock of a process run fast (above zero) or slow from now on, by this many parts per million.
    ///
    /// # Errors
    /// A check objects.
    pub fn set_clock_rate(&mut self, index: Index, ppm: i32) -> Result<(), Violation> {
        let now = self.cluster.now;
        let host = &mut self.cluster.places[index.get()].host;
        host.clock.set_rate(now, ppm);
        host.unschedule();
        self.applied.clock_changes += 1;
        self.mark(6, index);
        self.reschedule(index, now)
    }

    /// Delivers each tick of a process late, by a random time of up to `by`.
    pub fn set_late_ticks(&mut self, index: Index, by: Duration) {
        self.cluster.places[index.get()].host.late_max = by;
    }

    /// Sets the capacity of the inbox that a process has while it is paused, in bytes; 212 992 by default.
    pub fn set_inbox(&mut self, index: Index, bytes: usize) {
        self.cluster.places[index.get()].host.inbox.set_capacity(bytes);
    }

    /// Replaces the settings of the network.
    ///
    /// # Errors
    /// A check objects.
    pub fn set_network(&mut self, config: NetworkConfig) -> Result<(), Violation> {
        self.cluster.network.configure(config);
        self.mark(7, Index(0));
        self.observe(&Happening::NetworkChanged)
    }

    /// Cuts the network. Datagrams that are in flight across the cut are lost.
    ///
    /// # Errors
    /// A check objects.
    pub fn cut(&mut self, cut: &Cut) -> Result<CutId, Violation> {
        self.cut_with(cut, InFlight::Drop, None, None)
    }

    /// Cuts the network. `in_flight` says what happens to datagrams in flight; with `flap` the cut comes and goes, and with
    /// `gray` it loses some datagrams and delays the others.
    ///
    /// # Errors
    /// A check objects.
    pub fn cut_with(
        &mut self,
        cut: &Cut,
        in_flight: InFlight,
        flap: Option<Flap>,
        gray: Option<Gray>,
    ) -> Result<CutId, Violation> {
        let network = &mut self.cluster.network;
        let id = network.cut(self.cluster.now, cut, in_flight);
        if let Some(flap) = flap {
            network.flap(id, flap);
        }
        if let Some(gray) = gray {
            network.gray(id, gray);
        }
        self.mark(8, Index(id.0));
        self.observe(&Happening::CutMade { id, cut })?;
        Ok(id)
    }

    /// Removes a cut. Datagrams that it held arrive now.
    ///
    /// # Errors
    /// A check objects.
    pub fn heal(&mut self, id: CutId) -> Result<(), Violation> {
        if !self.cluster.network.heal(id) {
            return Ok(());
        }
        self.mark(9, Index(id.0));
        let now = self.cluster.now;
        let (released, held) = core::mem::take(&mut self.held).into_iter().partition(|(cut, _)| *cut == id);
        self.held = held;
        let released: Vec<(CutId, DatagramId)> = released;
        for (_, id) in released {
            let from = self.cluster.datagrams.get(id).from;
            let host = &mut self.cluster.places[from.get()].host;
            self.engine.push(now, from, host, Due::Deliver(id));
        }
        self.observe(&Happening::Healed { id })
    }

    /// Removes all cuts.
    ///
    /// # Errors
    /// A check objects.
    pub fn heal_all(&mut self) -> Result<(), Violation> {
        self.cluster.network.cut_ids().into_iter().try_for_each(|id| self.heal(id))
    }

    /// Adds an operation to the trace hash. The numbers must never change, because every trace depends on them.
    pub(super) fn mark(&mut self, operation: u64, subject: Index) {
        self.cluster.changes += 1;
        self.engine.hash.add(self.cluster.now.as_nanos());
        self.engine.hash.add(mix(operation, subject.0.into()));
    }
}
