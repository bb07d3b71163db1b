//! A member of a group of three that receives any messages for broadcasts, from the other two and from unknown senders.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use bruit_core::limits::{GAPS_MAX, QUEUE_MAX, REASSEMBLIES_MAX};
use bruit_core::wire::{self, Header, cluster_tag};
use bruit_core::{
    Action, Boot, Broadcast, BroadcastConfig, Command, Config, Event, MessageId, Node, NodeId, Notice,
    Outbox, Slot, Time,
    broadcast::{FirstPhase, History, Order, PersistSeen},
    virtual_addr,
};

use super::choices::Choices;

const CLUSTER: &str = "fuzz";
/// The size of the group, the fuzzed member included.
const MEMBERS: u64 = 3;

/// The body of the fuzz target `broadcast`. A node that knows two other members receives well-formed and malformed messages
/// for broadcasts from them, from unknown senders, and from addresses that are not those of the members. It also
/// broadcasts, ticks, and is told that writes are durable. After each event its own invariants and limits hold; no message
/// is delivered twice or after it was reported as lost; and an address that is not a member's gets no more bytes than it
/// sent.
///
/// # Panics
/// One of these promises is broken.
pub fn broadcast(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let config = Config { broadcast: settings(&mut choices), ..Config::lan(CLUSTER) };
    let mut fuzzed = Fuzzed::acquainted(&config);
    while !choices.is_empty() {
        fuzzed.step(&mut choices);
    }
}

fn settings(choices: &mut Choices<'_>) -> BroadcastConfig {
    let (kind, knobs) = (choices.byte(), choices.byte());
    let bit = |bit: u8| knobs >> bit & 1 == 1;
    let mut settings = match kind % 4 {
        0 => BroadcastConfig::tree(),
        1 => BroadcastConfig::bimodal(),
        2 => BroadcastConfig::push_ack(),
        _ => BroadcastConfig::pull(),
    };
    if let (FirstPhase::Multicast { group }, true) = (&mut settings.first, bit(0)) {
        *group = Some(SocketAddr::from(([239, 7, 5, 69], 7_569)));
    }
    settings.order = if bit(1) { Order::Origin } else { Order::Arrival };
    settings.history = if bit(2) { History::None } else { History::Cached };
    settings.persist_seen = match (bit(3), bit(4)) {
        (false, _) => PersistSeen::Never,
        (true, false) => PersistSeen::BeforeDelivery,
        (true, true) => PersistSeen::Every(Duration::from_millis(500)),
    };
    settings.keep_rounds = bit(5).then_some(5);
    settings.prefer_zone = bit(6);
    settings.cache_bytes_max = 256 << 10;
    settings.pending_bytes_max = 64 << 10;
    settings.lost_after = Duration::from_secs(5);
    settings
}

struct Fuzzed {
    node: Node,
    /// The headers of the other members when they joined.
    others: Vec<Header>,
    began: Began,
    out: Outbox,
    now: Time,
    delivered: BTreeSet<MessageId>,
    lost: Vec<(NodeId, u64, u64, u64)>,
    /// The numbers of the writes that are not confirmed yet.
    writes: Vec<u64>,
}

impl Fuzzed {
    /// Lets three nodes join each other. Of two of them only the headers are kept.
    fn acquainted(config: &Config) -> Self {
        let node = |id: u64| {
            let boot =
                Boot::new(NodeId(id), format!("n{id}"), virtual_addr(id), 5, [id.to_le_bytes()[0]; 32]);
            Node::new(boot, config.clone(), Time::ZERO).expect("the configuration is valid")
        };
        let mut nodes: Vec<Node> = (1..=MEMBERS).map(node).collect();
        let mut now = Time::ZERO;
        let mut datagrams = Vec::new();
        let give = |node: &mut Node, event: Event<'_>, now: Time, datagrams: &mut Vec<_>| {
            for action in node.handle(event, now) {
                if let Action::Send { to, bytes } = action {
                    datagrams.push((node.addr(), to, bytes.into_owned()));
                }
            }
        };
        for node in &mut nodes {
            let seeds = vec![virtual_addr(1)];
            give(node, Event::Command(Command::Join { seeds }), now, &mut datagrams);
        }
        while nodes.iter().any(|node| node.member_count() < nodes.len()) {
            now = now + Duration::from_millis(1);
            for (from, to, bytes) in core::mem::take(&mut datagrams) {
                if let Some(node) = nodes.iter_mut().find(|node| node.addr() == to) {
                    give(node, Event::Datagram { from, bytes: &bytes }, now, &mut datagrams);
                }
            }
            for node in nodes.iter_mut().filter(|node| node.next_wake().is_some_and(|wake| wake <= now)) {
                give(node, Event::Tick, now, &mut datagrams);
            }
            assert!(now < Time::from_secs(60), "three nodes join each other if nothing is lost");
        }
        let began = Began(nodes.iter().map(|node| (node.id(), node.incarnation().epoch)).collect());
        let others = nodes[1..].iter().map(|node| header(node.id(), node)).collect();
        let node = nodes.swap_remove(0);
        let (delivered, lost, writes) = (BTreeSet::new(), Vec::new(), Vec::new());
        Self { node, others, began, out: Outbox::new(), now, delivered, lost, writes }
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.byte() % 16 {
            0 => {
                let bytes = choices.bytes(1_500).to_vec();
                self.give(Event::Datagram { from: virtual_addr(9), bytes: &bytes });
            }
            1..=7 => self.receive(choices, Sender::Member),
            8 => self.receive(choices, Sender::WrongAddress),
            9 => self.receive(choices, Sender::Unknown),
            10 | 11 => {
                self.now = self.now + choices.step();
                self.tick();
            }
            12 => self.tick(),
            13 => {
                if let Some(serial) = self.writes.pop() {
                    self.give(Event::Stored { slot: Slot::SeenSet, serial });
                }
            }
            _ => self.submit(choices),
        }
    }

    fn submit(&mut self, choices: &mut Choices<'_>) {
        let len = usize::from(choices.byte()) * 280;
        let mut broadcast = Broadcast::new(if choices.byte() < 200 { "" } else { "news" }, vec![7; len]);
        if choices.byte() >= 128 {
            broadcast = broadcast.report(Duration::from_secs(3));
        }
        self.give(Event::Command(Command::Broadcast(broadcast)));
    }

    /// Gives the node a datagram with up to four messages for broadcasts.
    fn receive(&mut self, choices: &mut Choices<'_>, sender: Sender) {
        let mut head = self.others[choices.position(self.others.len())];
        head.sequence = u64::from(choices.byte());
        let from = match sender {
            Sender::Member => virtual_addr(head.sender.0),
            Sender::WrongAddress => virtual_addr(8),
            Sender::Unknown => {
                head.sender = NodeId(7);
                virtual_addr(7)
            }
        };
        let mut body = Vec::new();
        for _ in 0..=choices.byte() % 4 {
            self.began.put_message(choices, &mut body);
        }
        let bytes = wire::compose(&head, &body);
        let back = self.give(Event::Datagram { from, bytes: &bytes });
        let drawn: usize = back.iter().filter(|(to, _)| *to == from).map(|(_, len)| len).sum();
        let trusted = matches!(sender, Sender::Member);
        assert!(
            trusted || drawn <= bytes.len(),
            "{drawn} bytes go to {from}, which has sent {}",
            bytes.len()
        );
    }

    fn tick(&mut self) {
        self.give(Event::Tick);
        let wake = self.node.next_wake();
        assert!(
            wake.is_none_or(|wake| wake > self.now),
            "after a tick at {} the next is at {wake:?}",
            self.now
        );
    }

    /// Gives the node an event and checks everything. Returns the addresses and lengths of the datagrams that it sends.
    fn give(&mut self, event: Event<'_>) -> Vec<(SocketAddr, usize)> {
        self.out.clear();
        self.node.handle_into(event, self.now, &mut self.out);
        let out = core::mem::take(&mut self.out);
        let mut sent = Vec::new();
        for action in out.iter() {
            match action {
                Action::Send { to, bytes } => {
                    assert!(bytes.len() <= usize::from(self.node.config().mtu), "a datagram fits the mtu");
                    assert!(wire::describe(&bytes).is_ok(), "a node sends readable datagrams");
                    sent.push((to, bytes.len()));
                }
                Action::Store { slot: Slot::SeenSet, serial, .. } => self.writes.push(serial),
                Action::Notify(notice) => self.check_notice(&notice),
                Action::Store { .. } | Action::Answer(_) | Action::Reseed | Action::WakeAt(_) => {}
            }
        }
        self.out = out;
        self.node.check();
        self.check_limits();
        sent
    }

    fn check_notice(&mut self, notice: &Notice<'_>) {
        if let Notice::Delivered { id, .. } = notice {
            assert!(self.delivered.insert(*id), "{id} is delivered twice");
            let was_lost = self.lost.iter().any(|(origin, epoch, first, last)| {
                (*origin, *epoch) == (id.origin, id.epoch) && (*first..=*last).contains(&id.seq)
            });
            assert!(!was_lost, "{id} is delivered after it was lost");
        }
        if let Notice::Lost { origin, epoch, first, last } = notice {
            let id = |seq| MessageId { origin: *origin, epoch: *epoch, seq };
            let delivered = self.delivered.range(id(*first)..=id(*last)).next();
            assert!(delivered.is_none(), "{delivered:?} is lost after it was delivered");
            self.lost.push((*origin, *epoch, *first, *last));
        }
    }

    fn check_limits(&self) {
        let (usage, pending, settings) =
            (self.node.usage(), self.node.pending(), &self.node.config().broadcast);
        assert!(usage.cached_bytes <= settings.cache_bytes_max as usize, "{usage:?}");
        assert!(pending.bytes <= settings.pending_bytes_max as usize, "{pending:?}");
        assert!(usage.reassemblies <= REASSEMBLIES_MAX && usage.queued <= QUEUE_MAX, "{usage:?}");
        // Each member may have two open epochs; other origins have none.
        assert!(usage.gaps <= GAPS_MAX * 2 * usize::try_from(MEMBERS).expect("three"), "{usage:?}");
    }
}

#[derive(Clone, Copy)]
enum Sender {
    Member,
    /// The datagram carries a member's id and comes from an address that is not that member's.
    WrongAddress,
    Unknown,
}

fn header(receiver: NodeId, node: &Node) -> Header {
    Header {
        cluster: cluster_tag(CLUSTER),
        sender: receiver,
        incarnation: node.incarnation(),
        boot: node.boot(),
        receiver: NodeId(1),
        sequence: 0,
    }
}

/// Chooses a number: mostly one up to `most`, sometimes any.
fn number(choices: &mut Choices<'_>, most: u64) -> u64 {
    match choices.byte() {
        255 => choices.word(),
        small => u64::from(small) % (most + 1),
    }
}

/// The epochs in which the members began.
struct Began(BTreeMap<NodeId, u64>);

impl Began {
    /// Writes an origin and an epoch, and then `numbers` numbers: one for a message, two for the ends of a range.
    fn put_id(&self, choices: &mut Choices<'_>, numbers: usize, body: &mut Vec<u8>) {
        let origin = number(choices, MEMBERS + 1);
        // Up to three epochs before that of the origin, and two after it.
        let began = self.0.get(&NodeId(origin)).copied().unwrap_or(5);
        let epoch = number(choices, 5).wrapping_add(began - 3);
        let first = number(choices, 40);
        for word in [origin, epoch, first] {
            body.extend(word.to_le_bytes());
        }
        if numbers > 1 {
            body.extend(first.wrapping_add(number(choices, 20)).to_le_bytes());
        }
    }

    fn put_runs(&self, choices: &mut Choices<'_>, body: &mut Vec<u8>) {
        (0..=choices.byte() % 3).for_each(|_| self.put_id(choices, 2, body));
    }

    /// Writes a message of any kind, which is mostly well formed.
    fn put_message(&self, choices: &mut Choices<'_>, messages: &mut Vec<u8>) {
        let tag = 64 + choices.byte() % 12;
        let mut body = Vec::new();
        match tag {
            64 => {
                self.put_id(choices, 1, &mut body);
                body.extend([choices.byte(), choices.byte()]);
                let payload = choices.bytes(300);
                body.extend([choices.byte() & 1, 0]);
                body.extend(u32::try_from(payload.len()).expect("short").to_le_bytes());
                body.extend(payload);
            }
            65 => {
                body.extend([choices.byte(), choices.byte()]);
                self.put_id(choices, 1, &mut body);
                let (index, count) = (choices.byte() % 4, 1 + choices.byte() % 4);
                body.extend([index, count]);
                let last = index + 1 == count;
                body.extend(vec![
                    choices.byte();
                    if last { 100 } else { bruit_core::limits::FRAGMENT_BYTES }
                ]);
            }
            67 => {
                body.extend(u32::from(choices.byte() % 4).to_le_bytes());
                body.push(choices.byte());
                self.put_runs(choices, &mut body);
            }
            68 => {
                self.put_id(choices, 1, &mut body);
                body.extend(choices.word().to_le_bytes());
                body.extend(choices.word().to_le_bytes());
            }
            69 => {
                body.push(choices.byte());
                body.extend(u32::from(choices.byte() % 4).to_le_bytes());
                body.extend(0_u64.to_le_bytes());
                body.extend(u64::MAX.to_le_bytes());
                for _ in 0..choices.byte() % 3 {
                    self.put_id(choices, 2, &mut body);
                    body.push(0);
                }
            }
            72 => {}
            75 => self.put_id(choices, 2, &mut body),
            _ => self.put_runs(choices, &mut body),
        }
        // Sometimes the body is cut short, or extended.
        match choices.byte() {
            254 => body.truncate(body.len() / 2),
            255 => body.extend(choices.bytes(40)),
            _ => {}
        }
        messages.push(tag);
        messages.extend(u16::try_from(body.len()).expect("short").to_le_bytes());
        messages.extend(body);
    }
}
