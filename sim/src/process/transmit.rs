//! How a datagram leaves a process: through the filter, to one address or to a group, and into the queue.

use core::net::SocketAddr;
use core::time::Duration;

use super::io::Io;
use super::queue::Due;
use crate::base::{of_bytes, scale};
use crate::network::{AddressNumber, BRUIT_PORT, Damage, Datagram, DropReason, Fate, Port, Verdict};

/// A datagram that is about to be sent.
#[derive(Clone, Copy)]
struct Outgoing<'a> {
    port: Port,
    bytes: &'a [u8],
    digest: u64,
}

impl Io<'_> {
    pub(super) fn transmit(&mut self, port: Port, to: SocketAddr, bytes: &[u8]) {
        let digest = of_bytes(bytes);
        let filter = self.engine.filter.clone().filter(|_| port == BRUIT_PORT);
        let fate = match filter {
            None => self.route(Outgoing { port, bytes, digest }, to),
            Some(filter) => {
                let owner = self.addresses.number(to).and_then(|number| self.addresses.owner(number));
                match filter.apply(self.me, owner, bytes) {
                    Some(left) => self.route(Outgoing { port, digest: of_bytes(&left), bytes: &left }, to),
                    None => {
                        self.network.filtered(bytes.len());
                        Fate::Dropped(DropReason::Filtered)
                    }
                }
            }
        };
        self.engine.hash.add(digest ^ port.0 as u64);
        self.engine.outputs.record_datagram(to, port, bytes, fate);
    }

    fn route(&mut self, datagram: Outgoing<'_>, to: SocketAddr) -> Fate {
        if to.ip().is_multicast() {
            return self.send_to_group(datagram);
        }
        let target = self.addresses.number(to);
        let owner = target.and_then(|target| self.addresses.owner(target));
        let verdict = self.network.send(self.now, self.me, owner, datagram.bytes.len());
        match (verdict, target) {
            (Verdict::Drop(reason), _) => Fate::Dropped(reason),
            (Verdict::Carry { .. }, None) => unreachable!("a datagram to an unknown address is not carried"),
            (Verdict::Carry { delay, again, damage }, Some(target)) => {
                self.carry(datagram, target, delay, again, damage);
                let arrives = self.now + Duration::from_nanos(delay);
                Fate::Carried { arrives, copies: 1 + u8::from(again.is_some()), damaged: damage.is_some() }
            }
        }
    }

    /// Sends one copy to each other process, each over its own link. Every process is in every group.
    fn send_to_group(&mut self, datagram: Outgoing<'_>) -> Fate {
        let (addresses, me) = (self.addresses, self.me);
        let (mut carried, mut dropped) = (0, 0);
        for (target, owner) in addresses.owned().filter(|(_, owner)| *owner != me) {
            let verdict = if carried + dropped == 0 {
                self.network.send(self.now, me, Some(owner), datagram.bytes.len())
            } else {
                self.network.fan_out(self.now, me, owner, datagram.bytes.len())
            };
            match verdict {
                Verdict::Drop(_) => dropped += 1,
                Verdict::Carry { delay, again, damage } => {
                    carried += 1 + u32::from(again.is_some());
                    self.carry(datagram, target, delay, again, damage);
                }
            }
        }
        if carried + dropped == 0 {
            self.network.send(self.now, me, None, datagram.bytes.len());
            return Fate::Dropped(DropReason::Unreachable);
        }
        Fate::Group { carried, dropped }
    }

    fn carry(
        &mut self,
        datagram: Outgoing<'_>,
        target: AddressNumber,
        delay: u64,
        again: Option<u64>,
        damage: Option<Damage>,
    ) {
        for delay in core::iter::once(delay).chain(again) {
            self.enqueue(datagram, target, delay, damage);
        }
    }

    fn enqueue(
        &mut self,
        outgoing: Outgoing<'_>,
        mut target: AddressNumber,
        delay: u64,
        damage: Option<Damage>,
    ) {
        let Outgoing { port, bytes, mut digest } = outgoing;
        let mut buffer = self.datagrams.buffer();
        buffer.extend_from_slice(bytes);
        if let Some(damage) = damage {
            damage.apply(&mut buffer);
            digest = of_bytes(&buffer);
            if let Damage::Misdeliver(word) = damage {
                target = self.addresses.nth(scale(word, self.addresses.len() as u64));
            }
        }
        let datagram = Datagram {
            from: self.me,
            source: self.host.address,
            target,
            port,
            damaged: damage.is_some(),
            sent: self.now,
            digest,
            bytes: buffer,
        };
        let id = self.datagrams.insert(datagram);
        let arrives = self.now + Duration::from_nanos(delay);
        self.engine.push(arrives, self.me, self.host, Due::Deliver(id));
    }
}
