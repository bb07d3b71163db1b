//! The nodes, the network between them, and one clock. Lines travel as in Maelstrom: each waits for its latency, and is
//! dropped if a cut separates its ends at the moment when it would arrive.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bruit_core::{Time, wire};
use bruit_sim::Random;
use serde::{Deserialize, Serialize};

use super::nemesis::Grudges;
use super::options::{LatencyDist, Options};
use super::queue::Queue;
use crate::host::Host;
use crate::output::Output;
use crate::settings::Settings;
use crate::{message, overrides};

/// The streams of random numbers of a run. Changing a number changes the run of every seed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    Boot = 101,
    Tie = 102,
    Latency = 103,
    Clients = 104,
    Nemesis = 105,
}

/// The random numbers for one purpose; `number` tells several users of that purpose apart.
pub(super) fn random(seed: u64, purpose: Purpose, number: u64) -> Random {
    Random::new(seed, purpose as u64, number)
}

/// The numbers of messages of one group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Count {
    /// The number of messages sent.
    pub send_count: u64,
    /// The number of messages received. It is smaller than the number sent if cuts dropped some.
    pub recv_count: u64,
    /// The number of different messages. In this bench each message is sent once.
    pub msg_count: u64,
}

/// The numbers of messages, by their ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NetStats {
    /// All messages.
    pub all: Count,
    /// The messages from or to a client.
    pub clients: Count,
    /// The messages between nodes.
    pub servers: Count,
}

impl NetStats {
    fn sent(&mut self, is_client: bool) {
        for count in [&mut self.all, if is_client { &mut self.clients } else { &mut self.servers }] {
            count.send_count += 1;
            count.msg_count += 1;
        }
    }

    fn received(&mut self, is_client: bool) {
        for count in [&mut self.all, if is_client { &mut self.clients } else { &mut self.servers }] {
            count.recv_count += 1;
        }
    }
}

/// An event in the queue: a wake-up of a node, or the arrival of a line.
#[derive(Debug)]
enum Due {
    Wake(usize),
    Line { from: usize, to: usize, line: String },
}

#[derive(Debug)]
struct Station {
    host: Host,
    /// The time of the node's valid wake-up in the queue. Wake-ups at other times are ignored.
    scheduled: Time,
}

/// The sender and the receiver of a line.
#[derive(Deserialize)]
struct Ends<'a> {
    src: &'a str,
    dest: &'a str,
}

#[derive(Debug)]
pub(super) struct World {
    now: Time,
    queue: Queue<Due>,
    stations: Vec<Station>,
    grudges: Grudges,
    latency: Duration,
    latency_dist: LatencyDist,
    latencies: Random,
    out: Output,
    /// The lines for clients, until `request` returns them.
    replies: Vec<String>,
    stats: NetStats,
    messages: u64,
    /// The lines that Maelstrom would have refused, because they are not JSON or have a wrong sender or receiver.
    pub(super) refused: Vec<String>,
    /// The lines that the nodes log, if they are kept.
    pub(super) log: Option<Vec<String>>,
    /// The number of datagrams with a message of each kind, if they are counted.
    pub(super) kinds: Option<BTreeMap<&'static str, u64>>,
}

impl World {
    pub(super) fn new(options: &Options) -> Result<Self, String> {
        let config = overrides::apply(&options.preset.config(), &options.overrides)?;
        let station = |number| {
            let seed = random(options.seed, Purpose::Boot, number).seed();
            let settings = Settings { config: config.clone(), epoch: 1, seed };
            Station { host: Host::new(settings).expect("it was validated"), scheduled: Time::MAX }
        };
        Ok(Self {
            now: Time::ZERO,
            queue: Queue::new(random(options.seed, Purpose::Tie, 0)),
            stations: (0..options.node_count as u64).map(station).collect(),
            grudges: Grudges::none(options.node_count),
            latency: options.latency,
            latency_dist: options.latency_dist,
            latencies: random(options.seed, Purpose::Latency, 0),
            out: Output::default(),
            replies: Vec::new(),
            stats: NetStats::default(),
            messages: 0,
            refused: Vec::new(),
            log: options.log.then(Vec::new),
            kinds: options.kinds.then(BTreeMap::new),
        })
    }

    pub(super) const fn now(&self) -> Time {
        self.now
    }

    pub(super) const fn stats(&self) -> &NetStats {
        &self.stats
    }

    /// Replaces the cuts of the network.
    pub(super) fn cut(&mut self, grudges: Grudges) {
        self.grudges = grudges;
    }

    /// Runs the nodes until the given time.
    pub(super) fn run_until(&mut self, until: Time) {
        while let Some((time, due)) = self.queue.pop(until) {
            self.now = time;
            match due {
                Due::Wake(node) => self.wake(node),
                Due::Line { from, to, line } => {
                    if !self.grudges.drops(from, to) {
                        self.stats.received(false);
                        self.deliver(to, &line);
                    }
                }
            }
        }
        self.now = until;
    }

    /// Delivers a client's request and returns the answers. They come at once, because clients have no latency.
    pub(super) fn request(&mut self, client: usize, node: usize, body: &str) -> Vec<String> {
        self.stats.sent(true);
        self.stats.received(true);
        self.messages += 1;
        let id = self.messages;
        let line = format!(r#"{{"id":{id},"src":"c{client}","dest":"n{node}","body":{body}}}"#);
        self.deliver(node, &line);
        std::mem::take(&mut self.replies)
    }

    fn wake(&mut self, node: usize) {
        let station = &mut self.stations[node];
        if station.scheduled != self.now {
            return;
        }
        station.scheduled = Time::MAX;
        if station.host.next_wake().is_some_and(|wake| wake <= self.now) {
            station.host.on_tick(self.now, &mut self.out);
            let next = station.host.next_wake();
            assert!(next.is_none_or(|next| next > self.now), "n{node} wants another tick right after a tick");
        }
        self.after(node);
    }

    fn deliver(&mut self, node: usize, line: &str) {
        self.stations[node].host.on_line(line.as_bytes(), self.now, &mut self.out);
        self.after(node);
    }

    /// Sends the lines that a node has written, and queues its next wake-up.
    fn after(&mut self, node: usize) {
        let mut out = std::mem::take(&mut self.out);
        for line in out.lines.drain(..) {
            self.send(node, line);
        }
        if let Some(log) = &mut self.log {
            log.extend(out.log.drain(..).map(|text| format!("{} n{node}: {text}", self.now)));
        }
        out.log.clear();
        self.out = out;
        let station = &mut self.stations[node];
        if let Some(wake) = station.host.next_wake().filter(|wake| *wake < station.scheduled) {
            station.scheduled = wake.max(self.now);
            self.queue.push(station.scheduled, Due::Wake(node));
        }
    }

    fn send(&mut self, from: usize, line: String) {
        let Some(to) = self.receiver(from, &line) else { return self.refused.push(line) };
        self.messages += 1;
        self.stats.sent(to.is_none());
        match to {
            None => {
                self.stats.received(true);
                self.replies.push(line);
            }
            Some(to) => {
                self.count_kinds(&line);
                let at = self.now + self.draw_latency();
                self.queue.push(at, Due::Line { from, to, line });
            }
        }
    }

    fn count_kinds(&mut self, line: &str) {
        let (Some(counts), Some(bytes)) = (&mut self.kinds, message::carried(line)) else { return };
        let Ok(described) = wire::describe(&bytes) else { return };
        let kinds: BTreeSet<&str> = described.kinds().map(wire::Kind::name).collect();
        for kind in kinds {
            *counts.entry(kind).or_default() += 1;
        }
        *counts.entry("bytes").or_default() += bytes.len() as u64;
    }

    /// The receiver of a line: a node, or `Some(None)` for a client. `None` if Maelstrom would refuse the line.
    fn receiver(&self, from: usize, line: &str) -> Option<Option<usize>> {
        let ends: Ends<'_> = serde_json::from_str(line).ok()?;
        if line.contains('\n') || number(ends.src, 'n')? != from {
            return None;
        }
        match number(ends.dest, 'n') {
            Some(node) if node < self.stations.len() => Some(Some(node)),
            Some(_) => None,
            None => number(ends.dest, 'c').filter(|client| *client < self.stations.len()).map(|_| None),
        }
    }

    fn draw_latency(&mut self) -> Duration {
        match self.latency_dist {
            LatencyDist::Constant => self.latency,
            LatencyDist::Uniform => {
                let twice =
                    u64::try_from(self.latency.as_nanos() * 2).expect("a latency of less than a century");
                Duration::from_nanos(self.latencies.between(0, twice))
            }
        }
    }
}

/// The number in a name such as `n7`.
fn number(name: &str, prefix: char) -> Option<usize> {
    name.strip_prefix(prefix)?.parse().ok()
}
