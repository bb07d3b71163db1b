//! One step of the queue: ticks, arriving datagrams, writes that become durable; and the handling of one input.

use core::time::Duration;

use bruit_core::Time;

use super::check::Violation;
use super::cluster::{Cluster, Place};
use super::happening::Happening;
use super::sim::Sim;
use crate::base::Index;
use crate::network::{Arrival, DatagramId, DropReason};
use crate::process::engine::Output;
use crate::process::queue::Due;
use crate::process::{Input, Io, Process, Status};

impl<P: Process> Sim<P> {
    /// Processes the next entry of the queue that is due at `until` or before. Returns false if there is none.
    ///
    /// # Errors
    /// A check objects.
    pub fn step(&mut self, until: Time) -> Result<bool, Violation> {
        let Some((time, due)) = self.engine.queue.pop(until) else { return Ok(false) };
        self.advance(time);
        match due {
            Due::Wake(index) => self.wake(index)?,
            Due::Deliver(id) => self.arrive(id)?,
            Due::Durable(number) => self.durable(number)?,
            Due::Op(number) => {
                let op = self.plan[number as usize].take().expect("an operation is carried out once");
                self.apply(op)?;
            }
        }
        Ok(true)
    }

    pub(super) fn advance(&mut self, now: Time) {
        self.cluster.now = now;
        self.engine.hash.advance(now);
    }

    fn wake(&mut self, index: Index) -> Result<(), Violation> {
        let now = self.cluster.now;
        let Place { process, host } = &mut self.cluster.places[index.get()];
        if host.scheduled != now {
            return Ok(());
        }
        host.unschedule();
        let (Status::Running, Some(process)) = (host.status, process) else { return Ok(()) };
        let due = process.next_wake().is_some_and(|wake| host.clock.true_at(wake) <= now);
        if due { self.tick(index) } else { self.reschedule(index, now) }
    }

    pub(super) fn tick(&mut self, index: Index) -> Result<(), Violation> {
        self.observe(&Happening::Ticked { node: index })?;
        self.input(index, 3, Input::Tick)?;
        let place = &self.cluster.places[index.get()];
        let wake = place.process.as_ref().and_then(P::next_wake);
        if wake.is_some_and(|wake| wake <= place.host.clock.local(self.cluster.now)) {
            let text = "after a tick the next one is due at once";
            return Err(Violation::new("wake", self.cluster.now, text).at_node(index));
        }
        Ok(())
    }

    fn arrive(&mut self, id: DatagramId) -> Result<(), Violation> {
        let now = self.cluster.now;
        let datagram = self.cluster.datagrams.get(id);
        let Some(to) = self.cluster.addresses.owner(datagram.target) else {
            return self.lose(id, None, DropReason::Unreachable);
        };
        let (from, sent, len) = (datagram.from, datagram.sent, datagram.bytes.len());
        match self.cluster.network.arrival(now, sent, from, to) {
            Arrival::Passes => {}
            Arrival::Lost => return self.lose(id, Some(to), DropReason::CutInFlight),
            Arrival::Held(cut) => {
                self.cluster.network.counters_mut().held += 1;
                self.held.push((cut, id));
                return Ok(());
            }
        }
        let host = &mut self.cluster.places[to.get()].host;
        match host.status {
            Status::Running => self.deliver(id, to),
            Status::Crashed => self.lose(id, Some(to), DropReason::Crashed),
            Status::Paused if host.inbox.push(id, len) => Ok(()),
            Status::Paused => self.lose(id, Some(to), DropReason::InboxFull),
        }
    }

    pub(super) fn lose(
        &mut self,
        id: DatagramId,
        to: Option<Index>,
        reason: DropReason,
    ) -> Result<(), Violation> {
        let datagram = self.cluster.datagrams.take(id);
        self.cluster.network.counters_mut().count_drop(reason);
        let (from, port) = (datagram.from, datagram.port);
        self.cluster.datagrams.recycle(datagram);
        self.observe(&Happening::Lost { from, to, port, reason })
    }

    pub(super) fn deliver(&mut self, id: DatagramId, to: Index) -> Result<(), Violation> {
        let datagram = self.cluster.datagrams.take(id);
        self.cluster.network.counters_mut().delivered += 1;
        let (port, bytes) = (datagram.port, datagram.bytes.as_slice());
        if self.engine.outputs.on {
            let (from, sent, damaged) = (datagram.from, datagram.sent, datagram.damaged);
            self.observe(&Happening::Delivered { from, to, port, bytes, sent, damaged })?;
        }
        let from = datagram.source.addr();
        let result = self.input(to, datagram.digest, Input::Datagram { from, port, bytes });
        self.cluster.datagrams.recycle(datagram);
        result
    }

    fn durable(&mut self, number: u32) -> Result<(), Violation> {
        let write = self.engine.writes.take(number);
        let host = &mut self.cluster.places[write.node.get()].host;
        if host.status == Status::Crashed || host.boots != write.boot {
            return Ok(());
        }
        let (node, slot, serial) = (write.node, write.slot, write.serial);
        if host.disk.fails() {
            host.disk.refuse(slot, serial, write.bytes);
            self.applied.refused_writes += 1;
            return Ok(());
        }
        host.disk.write(slot, write.bytes);
        if host.status == Status::Paused {
            host.confirmed.push((slot, serial));
            return self.observe(&Happening::Durable { node, slot, serial });
        }
        self.observe(&Happening::Durable { node, slot, serial })?;
        self.input(node, serial, Input::Stored { slot, serial })
    }

    /// Gives an input to a process. `digest` is the word of the input in the trace hash.
    pub(super) fn input(&mut self, index: Index, digest: u64, input: Input<'_>) -> Result<(), Violation> {
        self.with(index, digest, |process, now, io| process.handle(input, now, io));
        self.after_input(index)
    }

    /// Calls `f` on a process. `None` if the process is crashed.
    pub(super) fn with<R>(
        &mut self,
        index: Index,
        digest: u64,
        f: impl FnOnce(&mut P, Time, &mut Io<'_>) -> R,
    ) -> Option<R> {
        let Self { cluster, engine, .. } = self;
        let Cluster { now, places, network, addresses, datagrams, changes, .. } = cluster;
        let Place { process, host } = &mut places[index.get()];
        let process = process.as_mut()?;
        engine.hash.add(now.as_nanos());
        engine.hash.add(digest ^ u64::from(index.0).rotate_left(32));
        let local = host.clock.local(*now);
        let mut io = Io { me: index, now: *now, host, engine, network, addresses, datagrams, changes };
        Some(f(process, local, &mut io))
    }

    pub(super) fn after_input(&mut self, index: Index) -> Result<(), Violation> {
        if core::mem::take(&mut self.engine.impure) {
            let text = "a clone of the node was given the same event and did something else";
            return Err(Violation::new("CS6", self.cluster.now, text).at_node(index));
        }
        if !self.engine.asked.is_empty() {
            self.answer_questions(index);
        }
        if self.engine.outputs.on {
            self.report_outputs(index)?;
            self.observe(&Happening::Handled { node: index })?;
        }
        self.reschedule(index, self.cluster.now)
    }

    /// Adds a wake-up to the queue if the process wants one earlier than the queue has.
    #[expect(clippy::unnecessary_wraps, reason = "it is the last of several fallible steps")]
    pub(super) fn reschedule(&mut self, index: Index, now: Time) -> Result<(), Violation> {
        let Place { process: Some(process), host } = &mut self.cluster.places[index.get()] else {
            return Ok(());
        };
        if host.status != Status::Running {
            return Ok(());
        }
        let Some(wake) = process.next_wake() else { return Ok(()) };
        let wake = host.clock.true_at(wake).max(now);
        if wake >= host.wanted {
            return Ok(());
        }
        let late = match host.late_max {
            Duration::ZERO => Duration::ZERO,
            most => {
                let most = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
                self.applied.late_ticks += 1;
                Duration::from_nanos(self.late.of(index.get()).between(0, most))
            }
        };
        host.wanted = wake;
        host.scheduled = wake + late;
        let scheduled = host.scheduled;
        if scheduled < Time::MAX {
            self.engine.push(scheduled, index, host, Due::Wake(index));
        }
        Ok(())
    }

    fn report_outputs(&mut self, node: Index) -> Result<(), Violation> {
        let entries = core::mem::take(&mut self.engine.outputs.entries);
        let bytes = core::mem::take(&mut self.engine.outputs.bytes);
        let result = entries.iter().try_for_each(|output| match output {
            Output::Sent { to, port, bytes: range, fate } => {
                let bytes = &bytes[range.clone()];
                self.observe(&Happening::Sent { from: node, to: *to, port: *port, bytes, fate: *fate })
            }
            Output::Answered(answer) => self.observe(&Happening::Answered { node, answer }),
            Output::Notice(notice) => self.observe(&Happening::Notice { node, notice }),
            Output::Storing { slot, serial } => {
                self.observe(&Happening::Storing { node, slot: *slot, serial: *serial })
            }
        });
        let outputs = &mut self.engine.outputs;
        (outputs.entries, outputs.bytes) = (entries, bytes);
        outputs.entries.clear();
        outputs.bytes.clear();
        result
    }

    pub(super) fn observe(&mut self, happening: &Happening<'_>) -> Result<(), Violation> {
        let cluster = &self.cluster;
        self.checks.iter_mut().try_for_each(|check| check.observe(happening, cluster))
    }
}
