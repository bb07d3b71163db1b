//! The operations by which an id or an address gets another process: clones, snapshots and their copies, and addresses that
//! are taken over.

use core::net::SocketAddr;

use bruit_core::{Command, Time};

use super::check::Violation;
use super::happening::{Happening, Memory};
use super::sim::Sim;
use crate::base::Index;
use crate::process::engine::Write;
use crate::process::host::Saved;
use crate::process::queue::Due;
use crate::process::{Join, Process, Spawn, Status, WallClock};

impl<P: Process> Sim<P> {
    /// Moves a process to the address of a crashed process, which gets a new address. A running process is told by
    /// `Command::SetAddr`.
    ///
    /// # Errors
    /// A check objects.
    ///
    /// # Panics
    /// `former` is not crashed.
    pub fn take_over_address(&mut self, index: Index, former: Index) -> Result<(), Violation> {
        assert_eq!(
            self.cluster.status(former),
            Status::Crashed,
            "only a crashed process gives its address away"
        );
        let addr = self.swap_address(index, former);
        self.applied.addresses_taken += 1;
        self.mark(10, index);
        self.observe(&Happening::Moved { node: index, addr })?;
        self.command(index, Command::SetAddr(addr))
    }

    /// Starts a second process with the same id, at a new address. It joins through the first three processes of the
    /// run.
    ///
    /// # Errors
    /// A check objects.
    pub fn clone_process(&mut self, index: Index) -> Result<Index, Violation> {
        self.clone_with_clock(index, WallClock::Right)
    }

    /// Starts a second process with the same id, as [`clone_process`](Self::clone_process) does, whose wall clock has this
    /// error.
    ///
    /// # Errors
    /// A check objects.
    pub fn clone_with_clock(&mut self, index: Index, clock: WallClock) -> Result<Index, Violation> {
        let host = &self.cluster.places[index.get()].host;
        let (id, name, zone) = (host.id, host.name.clone(), host.zone.clone());
        let twin = self.place(Spawn::new().id(id).name(name).zone(zone).join(Join::First(3)));
        self.cluster.places[twin.get()].host.wall = clock;
        self.applied.clones += 1;
        self.cluster.has_twins = true;
        self.start(twin, Vec::new(), Memory::Amnesia)?;
        self.observe(&Happening::Cloned { node: twin, id })?;
        self.join_after_start(twin)?;
        Ok(twin)
    }

    /// Moves a process to the address of another one if that is crashed.
    pub(super) fn take_over_if_crashed(&mut self, index: Index, former: Index) -> Result<(), Violation> {
        let possible = index != former && self.cluster.status(former) == Status::Crashed;
        if possible { self.take_over_address(index, former) } else { Ok(()) }
    }

    /// Gives a process the address of another one, which gets a new one. Returns the address.
    fn swap_address(&mut self, index: Index, former: Index) -> SocketAddr {
        let address = self.cluster.places[former.get()].host.address;
        self.cluster.places[former.get()].host.address = self.cluster.addresses.assign(former);
        let host = &mut self.cluster.places[index.get()].host;
        self.cluster.addresses.release(host.address);
        host.address = address;
        self.cluster.addresses.give(address, index);
        address.addr()
    }

    /// Starts a process with a new id, which joins through the first three processes. If `former` is crashed, the new process
    /// has its address, and `former` gets a new one.
    ///
    /// # Errors
    /// A check objects.
    pub fn replace(&mut self, former: Index) -> Result<Index, Violation> {
        let zone = self.cluster.zone(former).to_owned();
        let index = self.place(Spawn::new().zone(zone).join(Join::First(3)));
        if self.cluster.status(former) == Status::Crashed {
            self.swap_address(index, former);
            self.applied.replacements += 1;
        }
        self.mark(11, index);
        self.start(index, Vec::new(), Memory::Amnesia)?;
        self.observe(&Happening::Started { node: index })?;
        self.join_after_start(index)?;
        Ok(index)
    }

    /// Makes a snapshot of a process that is not crashed, and of its disk. It replaces an earlier one.
    ///
    /// # Errors
    /// A check objects.
    pub fn save(&mut self, index: Index) -> Result<(), Violation> {
        let place = &mut self.cluster.places[index.get()];
        let Some(process) = place.process.as_ref().and_then(P::save) else { return Ok(()) };
        let writes = self.engine.writes.of(index, place.host.boots);
        let writes = writes.map(|write| (write.slot, write.serial, write.bytes.clone())).collect();
        place.host.saved = Some(Saved { process, disk: place.host.disk.clone(), writes });
        self.mark(12, index);
        self.observe(&Happening::Saved { node: index })
    }

    /// Lets the latest snapshot of a process go on as another process with the same id, at a new address. The original is
    /// left as it is. Without a snapshot this starts a clone.
    ///
    /// # Errors
    /// A check objects.
    pub fn copy(&mut self, original: Index) -> Result<Index, Violation> {
        let host = &self.cluster.places[original.get()].host;
        let Some(saved) = host.saved.clone() else { return self.clone_process(original) };
        let (id, name, zone, clock) = (host.id, host.name.clone(), host.zone.clone(), host.clock);
        let copy = self.place(Spawn::new().id(id).name(name).zone(zone).join(Join::First(3)));
        self.cluster.places[copy.get()].host.clock = clock;
        self.applied.copies += 1;
        self.cluster.has_twins = true;
        self.mark(13, copy);
        self.go_on(copy, &saved);
        self.observe(&Happening::Cloned { node: copy, id })?;
        self.reschedule(copy, self.cluster.now)?;
        self.tell_address(copy)?;
        Ok(copy)
    }

    /// Lets a crashed process go on from its latest snapshot. Without one it stays as it is.
    pub(super) fn resume_snapshot(&mut self, index: Index) -> Result<(), Violation> {
        let Some(saved) = self.cluster.places[index.get()].host.saved.clone() else { return Ok(()) };
        self.applied.snapshots += 1;
        self.mark(14, index);
        self.go_on(index, &saved);
        self.observe(&Happening::Restarted { node: index, memory: Memory::Snapshot })?;
        self.reschedule(index, self.cluster.now)?;
        self.tell_address(index)
    }

    /// Puts a saved process into its place. Its writes begin anew.
    fn go_on(&mut self, index: Index, saved: &Saved) {
        let now = self.cluster.now;
        let place = &mut self.cluster.places[index.get()];
        place.process = Some(P::resume(&saved.process).expect("a process resumes from what it saved"));
        let host = &mut place.host;
        host.disk = saved.disk.clone();
        (host.status, host.started) = (Status::Running, now);
        host.boots += 1;
        host.unschedule();
        let writes = saved.writes.iter().cloned();
        self.write_all(index, writes.collect());
    }

    /// Adds writes of the present boot of a process to those under way.
    pub(super) fn write_all(&mut self, node: Index, writes: Vec<(bruit_core::Slot, u64, Vec<u8>)>) {
        let due: Time = self.cluster.now + self.engine.disk_delay;
        for (slot, serial, bytes) in writes {
            let host = &mut self.cluster.places[node.get()].host;
            let number = self.engine.writes.insert(Write { node, boot: host.boots, slot, serial, bytes });
            self.engine.push(due, node, host, Due::Durable(number));
        }
    }
}
