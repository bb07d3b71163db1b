//! The loads of the benchmark: processes that only send datagrams, and real members.

use core::net::SocketAddr;
use core::time::Duration;
use std::time::Instant;

use bruit_core::{Boot, Config, Node, Time};
use bruit_sim::{Delay, Input, Io, Join, Link, NetworkConfig, Port, Process, Random, Sim, Spawn, Violation};

/// The result of one load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// The number of processes.
    pub(crate) nodes: u32,
    /// The simulated time.
    pub(crate) simulated: Duration,
    /// The datagrams that were sent in that time.
    pub(crate) datagrams: u64,
    /// The CPU time of this thread, or the wall-clock time if the system does not provide it.
    pub(crate) cpu: Duration,
    /// The trace hash, as a checksum of the work.
    pub(crate) hash: u64,
}

impl Measured {
    /// The datagrams per second of CPU time.
    pub(crate) fn rate(&self) -> u64 {
        let nanos = self.cpu.as_nanos().max(1);
        u64::try_from(u128::from(self.datagrams) * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
    }
}

/// A process that sends 64 bytes to a random peer every 200 ms.
#[derive(Clone, Debug)]
struct Chatter {
    random: Random,
    nodes: u32,
    next: Time,
    heard: u64,
}

const CHATTER_PORT: Port = Port(1);
const CHATTER_INTERVAL: Duration = Duration::from_millis(200);

impl Process for Chatter {
    fn handle(&mut self, input: Input<'_>, now: Time, io: &mut Io<'_>) {
        match input {
            Input::Start => self.next = now + Duration::from_nanos(self.random.below(200_000_000)),
            Input::Tick => {
                self.next = now + CHATTER_INTERVAL;
                let peer = self.random.below(self.nodes.into()) + 1;
                let [.., a, b, c] = peer.to_be_bytes();
                io.send(CHATTER_PORT, SocketAddr::from(([10, a, b, c], 7_569)), &[0x5a; 64]);
            }
            Input::Datagram { bytes, .. } => self.heard += bytes.len() as u64,
            Input::Command(_) | Input::Stored { .. } => {}
        }
    }

    fn next_wake(&self) -> Option<Time> {
        Some(self.next)
    }
}

/// Runs processes that only send datagrams, over links of 10 to 50 ms.
pub(crate) fn chatter(nodes: u32, simulated: Duration) -> Result<Measured, Violation> {
    let mut sim = Sim::new(1, move |boot: Boot| {
        let random = Random::new(u64::from_le_bytes(*boot.seed.first_chunk().expect("32 bytes")), 1, 0);
        Chatter { random, nodes, next: Time::MAX, heard: 0 }
    });
    let delay = Delay::Uniform { min: Duration::from_millis(10), max: Duration::from_millis(50) };
    sim.set_network(NetworkConfig::uniform(Link::with_delay(delay)))?;
    for _ in 0..nodes {
        sim.spawn(Spawn::new().join(Join::Never))?;
    }
    sim.run_for(Duration::from_secs(1))?;
    measure(&mut sim, nodes, simulated)
}

/// Runs a settled cluster of real members with the preset `lan`, over links of 1 to 10 ms.
pub(crate) fn members(nodes: u32, simulated: Duration) -> Result<Measured, Violation> {
    let config = Config::lan("bench");
    let mut sim =
        Sim::new(1, move |boot| Node::new(boot, config.clone(), Time::ZERO).expect("a preset is valid"));
    sim.spawn_many(nodes)?;
    sim.run_until(Duration::from_secs(60), |cluster| cluster.all_know_all())?;
    sim.run_for(Duration::from_secs(5))?;
    measure(&mut sim, nodes, simulated)
}

fn measure<P: Process>(sim: &mut Sim<P>, nodes: u32, simulated: Duration) -> Result<Measured, Violation> {
    let before = sim.cluster().counters().sent;
    let started = CpuClock::start();
    sim.run_for(simulated)?;
    let cpu = started.elapsed();
    let datagrams = sim.cluster().counters().sent - before;
    Ok(Measured { nodes, simulated, datagrams, cpu, hash: sim.trace_hash() })
}

/// Measures the CPU time of the current thread as Linux reports it, or else the wall-clock time.
struct CpuClock {
    wall: Instant,
    cpu: Option<u64>,
}

impl CpuClock {
    fn start() -> Self {
        Self { wall: Instant::now(), cpu: Self::thread_nanos() }
    }

    fn thread_nanos() -> Option<u64> {
        let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        schedstat.split_whitespace().next()?.parse().ok()
    }

    fn elapsed(&self) -> Duration {
        let nanos = self.cpu.zip(Self::thread_nanos()).map(|(start, now)| now - start);
        nanos.map_or_else(|| self.wall.elapsed(), Duration::from_nanos)
    }
}
