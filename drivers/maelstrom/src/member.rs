//! A node after `init`: the core, and the translation between its actions and Maelstrom's lines.

use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

use bruit_core::limits::{NAME_BYTES_MAX, SEEDS_MAX};
use bruit_core::{
    Action, Answer, Boot, Broadcast, Command, ConfigError, Event, Node, NodeId, Notice, Outbox, Rejected,
    Time,
};

use crate::directory::{self, Directory};
use crate::message::{self, Code, Refusal};
use crate::output::Output;
use crate::settings::Settings;

/// The most acknowledged values that wait until the core takes them. Beyond it a broadcast is refused.
const WAITING_MAX: usize = 65_536;
/// The most bytes of acknowledged values that wait. Beyond it a broadcast is refused.
const WAITING_BYTES_MAX: usize = 16 << 20;

/// The longest time that values wait until every node is known. A value that is sent sooner does not reach the unknown
/// nodes, which have to ask for it later.
const GATHERING_MAX: Duration = Duration::from_secs(2);

/// The topic of every broadcast value.
const TOPIC: &str = "value";

/// Values in order, as the inside of a JSON array.
#[derive(Clone, Debug, Default)]
struct Values(String);

impl Values {
    fn push(&mut self, value: &str) {
        if !self.0.is_empty() {
            self.0.push(',');
        }
        self.0.push_str(value);
    }
}

/// The state of getting to know the other nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gathering {
    /// The node has not joined yet.
    NotStarted,
    /// Values wait until every node is known, or until this time.
    Until(Time),
    /// Every node was known once, or the time is over.
    Done,
}

/// A node that `init` has named.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    name: String,
    directory: Directory,
    node: Node,
    actions: Outbox,
    gathering: Gathering,
    /// The values that the core has delivered here, in the order of delivery.
    delivered: Values,
    /// The values that were acknowledged but not taken by the core yet. Reads show them.
    waiting: VecDeque<String>,
    waiting_bytes: usize,
    ids: u64,
}

impl Member {
    pub(crate) fn new(
        settings: &Settings,
        name: String,
        nodes: &[String],
        now: Time,
    ) -> Result<Self, ConfigError> {
        let (id, addr) = (NodeId::from_name(&name), directory::address(&name));
        // The name in the member record is for people only; a name that is too long for it is left out.
        let shown = if name.len() > NAME_BYTES_MAX { String::new() } else { name.clone() };
        let boot = Boot::new(id, shown, addr, settings.epoch, settings.seed);
        Ok(Self {
            directory: Directory::new(&name, nodes),
            node: Node::new(boot, settings.config.clone(), now)?,
            name,
            actions: Outbox::new(),
            gathering: Gathering::NotStarted,
            delivered: Values::default(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            ids: 0,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) const fn node(&self) -> &Node {
        &self.node
    }

    pub(crate) fn is_node(&self, name: &str) -> bool {
        self.directory.has(name)
    }

    /// Joins the other nodes, once. It is called at the first message after `init`, because Maelstrom starts its nodes
    /// one by one, and one of its versions ignores a node for the rest of the test if that node has sent to another one
    /// too early.
    pub(crate) fn start(&mut self, now: Time, out: &mut Output) {
        if self.gathering == Gathering::NotStarted {
            self.gathering = Gathering::Until(now + GATHERING_MAX);
            let mut seeds = self.directory.seeds();
            seeds.truncate(SEEDS_MAX);
            self.step(Event::Command(Command::Join { seeds }), now, out);
        }
    }

    /// Takes a datagram that another node sent in a line.
    pub(crate) fn on_datagram(&mut self, src: &str, data: &str, now: Time, out: &mut Output) {
        let Some(bytes) = message::decode(data) else {
            return out.log.push(format!("{src} sent data that is not base64"));
        };
        self.step(Event::Datagram { from: directory::address(src), bytes: &bytes }, now, out);
    }

    pub(crate) fn on_tick(&mut self, now: Time, out: &mut Output) {
        self.step(Event::Tick, now, out);
    }

    /// Takes a value for all nodes. Reads show it from now on, and it is sent as soon as the core takes it.
    pub(crate) fn broadcast(&mut self, value: &str, now: Time, out: &mut Output) -> Result<(), Refusal> {
        let limit = self.node.config().broadcast.payload_bytes_max as usize;
        if value.len() > limit {
            let text = format!("the message has {} bytes, but at most {limit} can be sent", value.len());
            return Err(Refusal::malformed(text));
        }
        if self.has_gathered(now) && self.waiting.is_empty() {
            match self.submit(value, now, out) {
                Ok(()) => return Ok(()),
                Err(Rejected::NotJoined | Rejected::Busy { .. }) => {}
                Err(other) => return Err(Refusal::new(Code::TemporarilyUnavailable, other.to_string())),
            }
        }
        if self.waiting.len() >= WAITING_MAX || self.waiting_bytes + value.len() > WAITING_BYTES_MAX {
            let text = format!("{} messages already wait to be sent; try again later", self.waiting.len());
            return Err(Refusal::new(Code::TemporarilyUnavailable, text));
        }
        self.waiting_bytes += value.len();
        self.waiting.push_back(value.to_owned());
        Ok(())
    }

    fn submit(&mut self, value: &str, now: Time, out: &mut Output) -> Result<(), Rejected> {
        let command = Command::Broadcast(Broadcast::new(TOPIC, value));
        let answer = self.step(Event::Command(command), now, out);
        answer.expect("a command is answered in the call that takes it").map(|_| ())
    }

    /// Gives the core as many of the waiting values as it takes.
    pub(crate) fn submit_waiting(&mut self, now: Time, out: &mut Output) {
        if !self.has_gathered(now) {
            return;
        }
        while let Some(value) = self.waiting.pop_front() {
            if self.submit(&value, now, out).is_err() {
                return self.waiting.push_front(value);
            }
            self.waiting_bytes -= value.len();
        }
    }

    fn has_gathered(&mut self, now: Time) -> bool {
        if let Gathering::Until(end) = self.gathering
            && (now >= end || self.node.member_count() >= self.directory.len())
        {
            self.gathering = Gathering::Done;
        }
        self.gathering == Gathering::Done
    }

    /// The time at which a tick is due.
    pub(crate) fn next_wake(&self) -> Option<Time> {
        let gathered = match self.gathering {
            Gathering::Until(end) if !self.waiting.is_empty() => Some(end),
            Gathering::Until(_) | Gathering::NotStarted | Gathering::Done => None,
        };
        self.node.next_wake().into_iter().chain(gathered).min()
    }

    /// The values known here as a JSON array: the delivered ones in the order of delivery, then the waiting ones.
    pub(crate) fn values(&self) -> String {
        let mut values = Values(String::with_capacity(self.delivered.0.len() + self.waiting_bytes + 2));
        values.0.push_str(&self.delivered.0);
        for value in &self.waiting {
            values.push(value);
        }
        format!("[{}]", values.0)
    }

    /// A unique id: the node's name, the random number of its boot, and a counter.
    pub(crate) fn unique_id(&mut self) -> String {
        self.ids += 1;
        format!("{}-{:x}-{}", self.name, self.node.boot(), self.ids)
    }

    fn step(&mut self, event: Event<'_>, now: Time, out: &mut Output) -> Option<Result<Answer, Rejected>> {
        let mut actions = mem::take(&mut self.actions);
        self.node.handle_into(event, now, &mut actions);
        let mut answered = None;
        for action in actions.iter() {
            match action {
                Action::Send { to, bytes } => match self.directory.name(to) {
                    Some(dest) => out.lines.push(message::datagram(&self.name, dest, &bytes)),
                    // Maelstrom treats a message to an unknown name as a fault of the node.
                    None => out.log.push(format!("no node has the address {to}; the datagram is dropped")),
                },
                Action::Answer(answer) => answered = Some(answer),
                Action::Notify(notice) => self.on_notice(&notice, out),
                // Maelstrom runs no copies of a node.
                Action::Reseed => out.log.push("a copy of this node runs; it stops sending".to_owned()),
                Action::Store { .. } | Action::WakeAt(_) => {}
            }
        }
        actions.clear();
        self.actions = actions;
        answered
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "all other notices are only logged")]
    fn on_notice(&mut self, notice: &Notice<'_>, out: &mut Output) {
        match notice {
            Notice::Delivered { id, topic, payload, .. } => match message::as_value(payload) {
                Some(value) if topic == TOPIC => self.delivered.push(value),
                _ => out.log.push(format!("{id} is not a value: {} bytes of topic {topic:?}", payload.len())),
            },
            Notice::Member { change, member } => {
                out.log.push(format!("member {}: {change:?} at {}", member.name, member.incarnation));
            }
            other => out.log.push(format!("{other:?}")),
        }
    }
}
