//! One run: Maelstrom's clients and its nemesis act in turn on the clock of the world.

use std::time::Duration;

use bruit_core::Time;
use bruit_sim::Random;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::history::{Add, History, Moment, Read};
use super::nemesis::{Grudges, Target};
use super::options::{Nemesis, Options, Workload};
use super::report::{Cut, Report};
use super::topology;
use super::world::{Purpose, World, random};

/// The time between the last healing and the final reads.
const RECOVERY: Duration = Duration::from_secs(10);

/// A request of a client.
#[derive(Clone, Copy, Debug)]
enum Call {
    Broadcast(u64),
    Read { is_final: bool },
    Echo(u64),
    Generate,
}

/// The parts of an answer that a client reads.
#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(borrow)]
    body: Body<'a>,
}

#[derive(Deserialize)]
struct Body<'a> {
    r#type: String,
    in_reply_to: Option<u64>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    echo: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

struct Run<'a> {
    options: &'a Options,
    world: World,
    history: History,
    clients: Random,
    nemesis: Random,
    next_element: u64,
    msg_id: u64,
    cuts: Vec<Cut>,
}

/// Runs the test in virtual time.
///
/// # Errors
/// An override names an unknown setting, or has a wrong value.
///
/// # Panics
/// A node breaks its contract, which is a bug in this library: it wants two ticks at one time, or the core does not
/// answer a command.
pub fn run(options: &Options) -> Result<Report, String> {
    let mut run = Run {
        options,
        world: World::new(options)?,
        history: History::default(),
        clients: random(options.seed, Purpose::Clients, 0),
        nemesis: random(options.seed, Purpose::Nemesis, 0),
        next_element: 0,
        msg_id: 0,
        cuts: Vec::new(),
    };
    run.set_up();
    run.run_clients();
    run.wind_up();
    let Run { world, history, cuts, .. } = run;
    Ok(Report::new(options, &history, &world, cuts))
}

impl Run<'_> {
    /// Sends `init` and `topology` to every node.
    fn set_up(&mut self) {
        let count = self.options.node_count;
        let names: Vec<String> = (0..count).map(|node| format!("\"n{node}\"")).collect();
        let names = names.join(",");
        for node in 0..count {
            let body = format!(r#""type":"init","node_id":"n{node}","node_ids":[{names}]"#);
            self.rpc(node, &body, "init_ok");
        }
        if self.options.workload == Workload::Broadcast {
            let row = |node| {
                let neighbours = topology::neighbours(self.options.topology, node, count);
                let neighbours: Vec<String> = neighbours.iter().map(|node| format!("\"n{node}\"")).collect();
                format!("\"n{node}\":[{}]", neighbours.join(","))
            };
            let rows: Vec<String> = (0..count).map(row).collect();
            let body = format!(r#""type":"topology","topology":{{{}}}"#, rows.join(","));
            for node in 0..count {
                self.rpc(node, &body, "topology_ok");
            }
        }
    }

    /// Lets the clients and the nemesis act until the time limit.
    fn run_clients(&mut self) {
        let end = Time::ZERO + self.options.time_limit;
        let mut client_at = self.world.now() + self.client_pause();
        let mut nemesis_at = match self.options.nemesis {
            Some(Nemesis::Partition) => self.world.now() + self.nemesis_pause(),
            None => Time::MAX,
        };
        loop {
            let next = client_at.min(nemesis_at);
            if next >= end {
                return self.world.run_until(end);
            }
            self.world.run_until(next);
            if next == nemesis_at {
                self.flip();
                nemesis_at = nemesis_at + self.nemesis_pause();
            } else {
                self.operate();
                client_at = client_at + self.client_pause();
            }
        }
    }

    /// Heals the network, waits, and reads at every node if the workload has reads.
    fn wind_up(&mut self) {
        self.heal();
        if self.options.workload == Workload::Broadcast {
            self.world.run_until(self.world.now() + RECOVERY);
            for node in 0..self.options.node_count {
                self.call(node, Call::Read { is_final: true });
            }
        }
    }

    /// Draws the pause before the next operation, uniform up to twice the mean, as Jepsen does.
    fn client_pause(&mut self) -> Duration {
        let mean = 1_000_000_000 / u64::from(self.options.rate);
        Duration::from_nanos(self.clients.below(2 * mean))
    }

    fn nemesis_pause(&mut self) -> Duration {
        let mean = u64::try_from(self.options.nemesis_interval.as_nanos()).unwrap_or(u64::MAX / 2);
        Duration::from_nanos(self.nemesis.below(mean.saturating_mul(2)))
    }

    /// Heals the network if it is cut, and else cuts it.
    fn flip(&mut self) {
        if self.cuts.last().is_some_and(|cut| cut.healed.is_none()) {
            return self.heal();
        }
        let target = Target::draw(&mut self.nemesis);
        self.world.cut(target.cut(self.options.node_count, &mut self.nemesis));
        self.cuts.push(Cut { target: target.name(), made: self.world.now(), healed: None });
    }

    fn heal(&mut self) {
        self.world.cut(Grudges::none(self.options.node_count));
        if let Some(cut) = self.cuts.last_mut() {
            cut.healed.get_or_insert(self.world.now());
        }
    }

    /// Starts an operation of a random client. Every client is free, because a node answers at once or never.
    fn operate(&mut self) {
        let client = self.clients.position(self.options.node_count);
        let call = match self.options.workload {
            Workload::Broadcast if self.clients.below(2) == 0 => {
                self.next_element += 1;
                Call::Broadcast(self.next_element - 1)
            }
            Workload::Broadcast => Call::Read { is_final: false },
            Workload::Echo => Call::Echo(self.clients.below(128)),
            Workload::UniqueIds => Call::Generate,
        };
        self.call(client, call);
    }

    fn call(&mut self, node: usize, call: Call) {
        let invoked = self.history.moment(self.world.now());
        self.history.invoked += 1;
        let (body, expected) = match call {
            Call::Broadcast(element) => {
                self.history.adds.push(Add { element, invoked, ok: None });
                (format!(r#""type":"broadcast","message":{element}"#), "broadcast_ok")
            }
            Call::Read { .. } => (r#""type":"read""#.to_owned(), "read_ok"),
            Call::Echo(number) => (format!(r#""type":"echo","echo":"Please echo {number}""#), "echo_ok"),
            Call::Generate => (r#""type":"generate""#.to_owned(), "generate_ok"),
        };
        if let Some(line) = self.rpc(node, &body, expected) {
            let ok = self.history.moment(self.world.now());
            self.history.ok += 1;
            self.on_ok(node, call, invoked, ok, &line);
        }
    }

    fn on_ok(&mut self, node: usize, call: Call, invoked: Moment, ok: Moment, line: &str) {
        let reply: Reply<'_> = serde_json::from_str(line).expect("it was read before");
        let text = |raw: Option<&RawValue>| raw.map_or("", RawValue::get).to_owned();
        match call {
            Call::Broadcast(_) => {
                self.history.adds.last_mut().expect("it was just invoked").ok = Some(ok);
            }
            Call::Read { is_final } => {
                let read = Read::new(node, invoked, ok, is_final, &text(reply.body.messages));
                self.history.reads.push(read);
            }
            Call::Echo(number) => {
                if text(reply.body.echo) != format!("\"Please echo {number}\"") {
                    self.history.wrong_echoes.push(line.to_owned());
                }
            }
            Call::Generate => self.history.ids.push(text(reply.body.id)),
        }
    }

    /// Sends a request and returns its answer if it has the expected type. Any other result is noted as an error.
    fn rpc(&mut self, node: usize, body: &str, expected: &str) -> Option<String> {
        self.msg_id += 1;
        let body = format!(r#"{{{body},"msg_id":{}}}"#, self.msg_id);
        let lines = self.world.request(node, node, &body);
        let is_answer = |line: &&String| {
            serde_json::from_str::<Reply<'_>>(line).is_ok_and(|reply| {
                reply.body.in_reply_to == Some(self.msg_id) && reply.body.r#type == expected
            })
        };
        if let ([_], Some(line)) = (lines.as_slice(), lines.iter().find(is_answer)) {
            return Some(line.clone());
        }
        self.history.errors.push(format!("n{node} was asked {body:.80} and answered {lines:?}"));
        None
    }
}
