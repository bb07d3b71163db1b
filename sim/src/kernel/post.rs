//! How a datagram leaves a process: past the filter, to one address or to a group, and into the queue.

use core::net::SocketAddr;
use core::time::Duration;

use super::desk::{Desk, Noted};
use super::queue::Due;
use crate::happening::Fate;
use crate::hash::of_bytes;
use crate::network::{AddressNumber, Damage, Datagram, DropReason, Verdict};
use crate::process::{BRUIT_PORT, Port};

/// A datagram that is about to be sent.
#[derive(Clone, Copy)]
struct Letter<'a> {
    port: Port,
    bytes: &'a [u8],
    digest: u64,
}

impl Desk<'_> {
    pub(crate) fn send(&mut self, port: Port, to: SocketAddr, bytes: &[u8]) {
        let digest = of_bytes(bytes);
        let letter = Letter { port, bytes, digest };
        let filter = self.engine.filter.clone().filter(|_| port == BRUIT_PORT);
        let fate = match filter {
            None => self.post(letter, to),
            Some(filter) => {
                let owner = self.addresses.number(to).and_then(|number| self.addresses.owner(number));
                match filter.apply(self.me, owner, bytes) {
                    Some(left) => self.post(Letter { port, digest: of_bytes(&left), bytes: &left }, to),
                    None => {
                        self.network.filtered(bytes.len());
                        Fate::Dropped(DropReason::Filtered)
                    }
                }
            }
        };
        self.engine.hash.add(digest ^ port.0 as u64);
        if self.engine.journal.on {
            let journal = &mut self.engine.journal;
            let start = journal.bytes.len();
            journal.bytes.extend_from_slice(bytes);
            journal.entries.push(Noted::Sent { to, port, bytes: start..journal.bytes.len(), fate });
        }
    }

    fn post(&mut self, letter: Letter<'_>, to: SocketAddr) -> Fate {
        if to.ip().is_multicast() {
            return self.post_to_group(letter);
        }
        let target = self.addresses.number(to);
        let owner = target.and_then(|target| self.addresses.owner(target));
        let verdict = self.network.send(self.now, self.me, owner, letter.bytes.len());
        match (verdict, target) {
            (Verdict::Drop(reason), _) => Fate::Dropped(reason),
            (Verdict::Carry { .. }, None) => unreachable!("what has no address is not carried"),
            (Verdict::Carry { delay, again, damage }, Some(target)) => {
                self.carry(letter, target, delay, again, damage);
                let arrives = self.now + Duration::from_nanos(delay);
                Fate::Carried { arrives, copies: 1 + u8::from(again.is_some()), damaged: damage.is_some() }
            }
        }
    }

    /// One copy for each other process, each over its own link. All processes are in all groups.
    fn post_to_group(&mut self, letter: Letter<'_>) -> Fate {
        let (addresses, me) = (self.addresses, self.me);
        let (mut carried, mut dropped) = (0, 0);
        for (target, owner) in addresses.owned().filter(|(_, owner)| *owner != me) {
            let verdict = if carried + dropped == 0 {
                self.network.send(self.now, me, Some(owner), letter.bytes.len())
            } else {
                self.network.fan_out(self.now, me, owner, letter.bytes.len())
            };
            match verdict {
                Verdict::Drop(_) => dropped += 1,
                Verdict::Carry { delay, again, damage } => {
                    carried += 1;
                    self.carry(letter, target, delay, again, damage);
                }
            }
        }
        if carried + dropped == 0 {
            self.network.send(self.now, me, None, letter.bytes.len());
            return Fate::Dropped(DropReason::Unreachable);
        }
        Fate::Group { carried, dropped }
    }

    fn carry(
        &mut self,
        letter: Letter<'_>,
        target: AddressNumber,
        delay: u64,
        again: Option<u64>,
        damage: Option<Damage>,
    ) {
        self.dispatch(letter, target, delay, damage);
        if let Some(delay) = again {
            self.dispatch(letter, target, delay, damage);
        }
    }

    fn dispatch(&mut self, letter: Letter<'_>, target: AddressNumber, delay: u64, damage: Option<Damage>) {
        let Letter { port, bytes, digest } = letter;
        let mut buffer = self.datagrams.buffer();
        buffer.extend_from_slice(bytes);
        let (mut target, mut digest) = (target, digest);
        if let Some(damage) = damage {
            damage.apply(&mut buffer);
            digest = of_bytes(&buffer);
            if let Damage::Misdeliver(word) = damage {
                target = self.addresses.nth(crate::random::scale(word, self.addresses.len() as u64));
            }
        }
        let datagram = Datagram {
            from: self.me,
            source: self.station.address,
            target,
            port,
            damaged: damage.is_some(),
            sent: self.now,
            digest,
            bytes: buffer,
        };
        let slip = self.datagrams.insert(datagram);
        let arrives = self.now + Duration::from_nanos(delay);
        self.engine.push(arrives, self.me, self.station, Due::Deliver(slip));
    }
}

#[cfg(test)]
mod tests {
    use core::net::SocketAddr;
    use core::time::Duration;

    use bruit_core::wire::Kind;
    use bruit_core::{Config, Node, Time};

    use crate::cluster::{Cluster, Index};
    use crate::conduct;
    use crate::kernel::Sim;
    use crate::network::{Cut, DropReason, Filter, Link, NetworkConfig};
    use crate::process::{Input, Io, Port, Process};
    use crate::spawn::{Join, Spawn};

    /// Counts what it hears.
    #[derive(Clone, Debug, Default)]
    struct Ear(usize);

    impl Process for Ear {
        fn handle(&mut self, input: Input<'_>, _: Time, _: &mut Io<'_>) {
            self.0 += usize::from(matches!(input, Input::Datagram { .. }));
        }

        fn next_wake(&self) -> Option<Time> {
            None
        }
    }

    fn ears(link: Link) -> Sim<Ear> {
        let mut sim = Sim::new(1, |_| Ear::default());
        conduct::all().into_iter().for_each(|check| sim.check_boxed(check));
        sim.set_network(NetworkConfig::uniform(link)).expect("no check objects");
        for _ in 0..5 {
            sim.spawn(Spawn::new().join(Join::Never)).expect("no check objects");
        }
        sim
    }

    fn says(sim: &mut Sim<Ear>, from: u32, times: usize) -> Vec<usize> {
        let group: SocketAddr = "239.7.5.69:7569".parse().expect("an address");
        sim.at(Index(from), |_, _, io| (0..times).for_each(|_| io.send(Port(9), group, b"hear, hear")))
            .expect("no check objects");
        sim.run_for(Duration::from_secs(1)).expect("no check objects");
        sim.cluster().indices().map(|index| sim.cluster().process(index).map_or(0, |ear| ear.0)).collect()
    }

    #[test]
    fn a_group_is_everybody_else() {
        let mut sim = ears(Link::default());
        assert_eq!(says(&mut sim, 2, 1), [1, 1, 0, 1, 1]);
        assert_eq!((sim.cluster().counters().sent, sim.cluster().counters().fanned_out), (1, 3));
        sim.cut(&Cut::Split { groups: vec![vec![Index(0), Index(2)]] }).expect("no check objects");
        assert_eq!(says(&mut sim, 2, 1), [2, 1, 0, 1, 1]);
        sim.crash(Index(0)).expect("no check objects");
        says(&mut sim, 2, 1);
        assert_eq!(sim.cluster().counters().dropped(DropReason::Crashed), 1);
    }

    #[test]
    fn each_copy_for_a_group_is_lost_by_itself() {
        let mut sim = ears(Link::default().with_loss(500_000));
        let heard = says(&mut sim, 0, 1_000);
        assert!(heard[1..].iter().all(|count| (400..600).contains(count)), "{heard:?}");
    }

    #[test]
    fn a_filter_takes_messages_out_of_datagrams() {
        let node = |boot| Node::new(boot, Config::lan("filter"), Time::ZERO).expect("valid");
        let mut sim = Sim::new(2, node);
        conduct::all().into_iter().for_each(|check| sim.check_boxed(check));
        sim.set_filter(Some(Filter::without(&[Kind::JoinEcho])));
        sim.spawn_many(3).expect("no check objects");
        let joined = sim.run_until(Duration::from_secs(10), Cluster::all_know_all);
        assert_eq!(joined.expect("no check objects"), None, "nobody proves where it is");
        assert!(sim.cluster().counters().dropped(DropReason::Filtered) > 0);
        sim.set_filter(None);
        let joined = sim.run_until(Duration::from_secs(10), Cluster::all_know_all);
        assert!(joined.expect("no check objects").is_some());
    }
}
