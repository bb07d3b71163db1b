//! What can be done to processes and to the network: the acts of scenarios and fault plans.

use core::time::Duration;

use bruit_core::{Boot, Command, NodeId, Slot, Time};

use super::Sim;
use super::queue::Due;
use crate::check::Violation;
use crate::clock::Clock;
use crate::cluster::{Index, Place, Status};
use crate::happening::{Happening, Memory};
use crate::hash::mix;
use crate::network::{Cut, CutId, Flap, Gray, InFlight, NetworkConfig};
use crate::op::Release;
use crate::process::{Input, Process};
use crate::random::{Purpose, Random};
use crate::spawn::{Join, Spawn};
use crate::station::{Disk, Inbox, Station};

impl<P: Process> Sim<P> {
    /// Starts a process.
    ///
    /// # Errors
    /// A check objects.
    pub fn spawn(&mut self, spawn: Spawn) -> Result<Index, Violation> {
        let index = self.place(spawn);
        self.start(index, Vec::new(), Memory::Amnesia)?;
        self.cluster.changes += 1;
        self.observe(&Happening::Started { node: index })?;
        self.join_after_start(index)?;
        Ok(index)
    }

    /// Starts so many processes with all defaults: they join through the first one.
    ///
    /// # Errors
    /// A check objects.
    pub fn spawn_many(&mut self, count: u32) -> Result<(), Violation> {
        (0..count).try_for_each(|_| self.spawn(Spawn::new()).map(drop))
    }

    fn place(&mut self, spawn: Spawn) -> Index {
        let index = Index::new(self.cluster.places.len());
        let id = spawn.id.unwrap_or(NodeId(u64::from(index.0) + 1));
        self.cluster.network.add_node(&spawn.zone);
        let mut clock = Clock::TRUE;
        clock.set_rate(self.cluster.now, spawn.clock_ppm);
        let station = Station {
            status: Status::Crashed,
            scheduled: Time::MAX,
            wanted: Time::MAX,
            clock,
            late_max: Duration::ZERO,
            address: self.cluster.addresses.assign(index),
            pushed: 0,
            life: 0,
            started: self.cluster.now,
            id,
            name: spawn.name.unwrap_or_else(|| id.to_string()),
            zone: spawn.zone,
            meta: spawn.meta,
            join: spawn.join,
            disk: Disk::default(),
            inbox: Inbox::default(),
        };
        self.cluster.places.push(Place { process: None, station });
        index
    }

    /// Makes the process of a new life and tells it so.
    fn start(
        &mut self,
        index: Index,
        restored: Vec<(Slot, Vec<u8>)>,
        memory: Memory,
    ) -> Result<(), Violation> {
        let boot = self.boot(index, restored, memory);
        let process = (self.factory)(boot);
        let place = &mut self.cluster.places[index.get()];
        place.process = Some(process);
        place.station.status = Status::Running;
        place.station.started = self.cluster.now;
        place.station.unschedule();
        self.input(index, 4, Input::Start)
    }

    /// What a driver would bring: an epoch that rises with each life, and fresh randomness.
    fn boot(&mut self, index: Index, restored: Vec<(Slot, Vec<u8>)>, memory: Memory) -> Boot {
        let station = &mut self.cluster.places[index.get()].station;
        station.life += 1;
        let number = u64::from(index.0) << 32 | u64::from(station.life);
        Boot {
            id: station.id,
            name: station.name.clone(),
            addr: station.address.addr(),
            zone: station.zone.clone(),
            meta: station.meta.clone(),
            epoch: if memory == Memory::AmnesiaClockBack { 1 } else { station.life.into() },
            seed: Random::of(self.seed, Purpose::Boot, number).seed(),
            restored,
        }
    }

    fn join_after_start(&mut self, index: Index) -> Result<(), Violation> {
        let seeds = match &self.cluster.places[index.get()].station.join {
            Join::Never => return Ok(()),
            Join::Through(member) => vec![self.cluster.addr(*member)],
            Join::Seeds(seeds) => seeds.clone(),
            Join::First(count) => {
                self.cluster.indices().take(*count).map(|first| self.cluster.addr(first)).collect()
            }
        };
        self.command(index, Command::Join { seeds })
    }

    /// Gives a process a command; to a paused or crashed one nothing happens.
    ///
    /// # Errors
    /// A check objects.
    pub fn command(&mut self, index: Index, command: Command) -> Result<(), Violation> {
        if self.cluster.status(index) != Status::Running {
            return Ok(());
        }
        self.observe(&Happening::Command { node: index, command: &command })?;
        self.input(index, super::digest::command(&command), Input::Command(command))
    }

    /// Stops a process without a word. What it sent is still under way.
    ///
    /// # Errors
    /// A check objects.
    pub fn crash(&mut self, index: Index) -> Result<(), Violation> {
        let Place { process, station } = &mut self.cluster.places[index.get()];
        if station.status == Status::Crashed {
            return Ok(());
        }
        *process = None;
        station.status = Status::Crashed;
        station.unschedule();
        let waiting = station.inbox.drain();
        self.applied.crashes += 1;
        self.mark(1, index);
        for slip in waiting {
            self.lose(slip, Some(index), crate::network::DropReason::Crashed)?;
        }
        self.observe(&Happening::Crashed { node: index })
    }

    /// Starts a crashed process again at its address, and lets it join as before.
    ///
    /// # Errors
    /// A check objects.
    pub fn restart(&mut self, index: Index, memory: Memory) -> Result<(), Violation> {
        let station = &mut self.cluster.places[index.get()].station;
        if station.status != Status::Crashed {
            return Ok(());
        }
        let restored = match memory {
            Memory::Disk => station.disk.latest(),
            Memory::StaleDisk => station.disk.stale(),
            Memory::Amnesia | Memory::AmnesiaClockBack => Vec::new(),
        };
        match memory {
            Memory::Disk => self.applied.restarts_with_disk += 1,
            Memory::StaleDisk => self.applied.restarts_with_stale_disk += 1,
            Memory::Amnesia | Memory::AmnesiaClockBack => {
                station.disk.wipe();
                self.applied.restarts_without_memory += 1;
            }
        }
        self.mark(2, index);
        self.start(index, restored, memory)?;
        self.observe(&Happening::Restarted { node: index, memory })?;
        self.join_after_start(index)
    }

    /// Lets a process stand still. Its clock runs on, its inbox fills.
    ///
    /// # Errors
    /// A check objects.
    pub fn pause(&mut self, index: Index) -> Result<(), Violation> {
        let station = &mut self.cluster.places[index.get()].station;
        if station.status != Status::Running {
            return Ok(());
        }
        station.status = Status::Paused;
        station.unschedule();
        self.applied.pauses += 1;
        self.mark(3, index);
        self.observe(&Happening::Paused { node: index })
    }

    /// Lets a paused process run again.
    ///
    /// # Errors
    /// A check objects.
    pub fn resume(&mut self, index: Index, release: Release) -> Result<(), Violation> {
        let station = &mut self.cluster.places[index.get()].station;
        if station.status != Status::Paused {
            return Ok(());
        }
        station.status = Status::Running;
        let waiting = station.inbox.drain();
        self.mark(4, index);
        self.observe(&Happening::Resumed { node: index })?;
        let timers_at = match release {
            Release::TimersFirst => 0,
            Release::InboxFirst => waiting.len(),
            Release::Random => self.release.of(index.get()).position(waiting.len() + 1),
        };
        for slip in &waiting[..timers_at] {
            self.deliver(*slip, index)?;
        }
        self.tick(index)?;
        for slip in &waiting[timers_at..] {
            self.deliver(*slip, index)?;
        }
        self.tell_address(index)
    }

    /// Tells a node that was paused when its process moved.
    fn tell_address(&mut self, index: Index) -> Result<(), Violation> {
        let addr = self.cluster.addr(index);
        let known = self.cluster.node(index).is_none_or(|node| node.addr() == addr);
        if known { Ok(()) } else { self.command(index, Command::SetAddr(addr)) }
    }

    /// Gives a process another address. A running one is told.
    ///
    /// # Errors
    /// A check objects.
    pub fn move_to_new_address(&mut self, index: Index) -> Result<(), Violation> {
        let address = self.cluster.addresses.assign(index);
        let station = &mut self.cluster.places[index.get()].station;
        self.cluster.addresses.release(station.address);
        station.address = address;
        self.applied.moves += 1;
        self.mark(5, index);
        let addr = address.addr();
        self.observe(&Happening::Moved { node: index, addr })?;
        self.command(index, Command::SetAddr(addr))
    }

    /// Gives a process the address of a crashed one, which finds another when it restarts. A running one is
    /// told.
    ///
    /// # Errors
    /// A check objects.
    ///
    /// # Panics
    /// The former owner is not crashed.
    pub fn take_over_address(&mut self, index: Index, former: Index) -> Result<(), Violation> {
        assert_eq!(
            self.cluster.status(former),
            Status::Crashed,
            "only a dead process gives its address away"
        );
        let address = self.cluster.places[former.get()].station.address;
        self.cluster.places[former.get()].station.address = self.cluster.addresses.assign(former);
        let station = &mut self.cluster.places[index.get()].station;
        self.cluster.addresses.release(station.address);
        station.address = address;
        self.cluster.addresses.give(address, index);
        self.applied.moves += 1;
        self.mark(10, index);
        let addr = address.addr();
        self.observe(&Happening::Moved { node: index, addr })?;
        self.command(index, Command::SetAddr(addr))
    }

    /// Starts a second process with the identity of the first, at an address of its own. It joins through the
    /// first three processes.
    ///
    /// # Errors
    /// A check objects.
    pub fn clone_process(&mut self, index: Index) -> Result<Index, Violation> {
        let station = &self.cluster.places[index.get()].station;
        let (id, name, zone) = (station.id, station.name.clone(), station.zone.clone());
        let twin = self.place(Spawn::new().id(id).name(name).zone(zone).join(Join::First(3)));
        self.applied.clones += 1;
        self.cluster.has_twins = true;
        self.start(twin, Vec::new(), Memory::Amnesia)?;
        self.observe(&Happening::Cloned { node: twin, id })?;
        self.join_after_start(twin)?;
        Ok(twin)
    }

    /// Lets the clock of a process run fast (above zero) or slow from now on, in parts per million.
    ///
    /// # Errors
    /// A check objects.
    pub fn set_clock_rate(&mut self, index: Index, ppm: i32) -> Result<(), Violation> {
        let now = self.cluster.now;
        let station = &mut self.cluster.places[index.get()].station;
        station.clock.set_rate(now, ppm);
        station.unschedule();
        self.applied.clock_changes += 1;
        self.mark(6, index);
        self.reschedule(index, now)
    }

    /// Delivers the ticks of a process late, each by a draw of up to `by`.
    pub fn set_late_ticks(&mut self, index: Index, by: Duration) {
        self.cluster.places[index.get()].station.late_max = by;
    }

    /// Bounds the inbox of a paused process, in bytes; 212 992 by default.
    pub fn set_inbox(&mut self, index: Index, bytes: usize) {
        self.cluster.places[index.get()].station.inbox.set_capacity(bytes);
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

    /// Cuts the network; what is in flight across the cut is lost.
    ///
    /// # Errors
    /// A check objects.
    pub fn cut(&mut self, cut: &Cut) -> Result<CutId, Violation> {
        self.cut_with(cut, InFlight::Drop, None, None)
    }

    /// Cuts the network in any way.
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

    /// Removes a cut; what it held arrives now.
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
        let released: Vec<(CutId, _)> = released;
        for (_, slip) in released {
            let from = self.cluster.datagrams.get(slip).from;
            let station = &mut self.cluster.places[from.get()].station;
            self.engine.push(now, from, station, Due::Deliver(slip));
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

    /// Notes an act in the trace hash.
    fn mark(&mut self, act: u64, subject: Index) {
        self.cluster.changes += 1;
        self.engine.hash.add(self.cluster.now.as_nanos());
        self.engine.hash.add(mix(act, subject.0.into()));
    }
}
