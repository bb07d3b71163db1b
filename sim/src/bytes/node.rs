//! One node that receives any datagrams.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use bruit_core::wire::{self, Header, Message, Swim, cluster_tag};
use bruit_core::{
    Action, Admission, Boot, Broadcast, Command, Config, Event, Incarnation, Node, NodeId, Outbox, Time,
    virtual_addr,
};

use super::choices::Choices;
use crate::process::NO_DISTANCE;

const CLUSTER: &str = "fuzz";
const PEERS: u64 = 6;
/// The limit of the member table of the fuzzed node, small enough to be reached.
const MEMBERS_MAX: u32 = 16;

/// The body of the fuzz target `node`. One node receives arbitrary datagrams, most of them in valid envelopes so that its
/// handlers are reached, and also commands and ticks. After each event its invariants hold, its datagrams fit the mtu, and
/// its table is bounded, with the settings of bruit and with those of memberlist. After a tick the next one lies in the future.
///
/// # Panics
/// One of these promises is broken.
pub fn node(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let preset = if choices.byte() & 1 == 0 { Config::lan } else { Config::memberlist_lan };
    let mut config = preset(CLUSTER);
    config.membership.members_max = MEMBERS_MAX;
    config.membership.tombstones_max = MEMBERS_MAX;
    let boot = Boot::new(NodeId(1), "one", virtual_addr(1), 5, NO_DISTANCE);
    let mut fuzzed = Fuzzed {
        node: Node::new(boot, config, Time::ZERO).expect("the configuration is valid"),
        out: Outbox::new(),
        now: Time::ZERO,
        cookies: Vec::new(),
    };
    fuzzed.give(Event::Command(Command::Join { seeds: vec![virtual_addr(2)] }));
    while !choices.is_empty() {
        fuzzed.step(&mut choices);
    }
}

struct Fuzzed {
    node: Node,
    out: Outbox,
    now: Time,
    /// The cookies that the node has sent, so that joins can succeed.
    cookies: Vec<u64>,
}

impl Fuzzed {
    fn step(&mut self, choices: &mut Choices<'_>) {
        self.now = self.now + choices.step();
        match choices.byte() % 8 {
            0 => {
                let bytes = choices.bytes(1_500).to_vec();
                self.give(Event::Datagram { from: peer(choices), bytes: &bytes });
            }
            1..=4 => {
                let header = header(choices, &self.node);
                let messages = self.messages(choices);
                let bytes = wire::compose(&header, &messages);
                self.give(Event::Datagram { from: peer(choices), bytes: &bytes });
            }
            5 | 6 => self.tick(),
            _ => {
                let command = command(choices);
                self.give(Event::Command(command));
            }
        }
    }

    /// Messages with valid tags and lengths, and chosen bodies.
    fn messages(&self, choices: &mut Choices<'_>) -> Vec<u8> {
        const TAGS: [u8; 17] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 32, 33, 34, 35, 48, 99];
        let mut messages = Vec::new();
        for _ in 0..=choices.byte() % 3 {
            let tag = match choices.byte() {
                gossip @ 244.. => 64 + (gossip - 244),
                other => TAGS[usize::from(other) % TAGS.len()],
            };
            let mut body = choices.bytes(400).to_vec();
            if let (9, Some(cookie), Some(start)) = (tag, self.cookies.last(), body.first_chunk_mut::<8>()) {
                *start = cookie.to_le_bytes();
            }
            messages.push(tag);
            messages.extend(u16::try_from(body.len()).expect("at most 400").to_le_bytes());
            messages.extend(body);
        }
        messages
    }

    fn tick(&mut self) {
        self.give(Event::Tick);
        let wake = self.node.next_wake();
        assert!(
            wake.is_none_or(|wake| wake > self.now),
            "after a tick at {} the next is due at {wake:?}",
            self.now
        );
    }

    fn give(&mut self, event: Event<'_>) {
        let is_command = matches!(event, Event::Command(_));
        self.out.clear();
        self.node.handle_into(event, self.now, &mut self.out);
        let mtu = usize::from(self.node.config().mtu);
        let mut answers = 0;
        for action in self.out.iter() {
            match action {
                Action::Send { bytes, .. } => {
                    assert!(bytes.len() <= mtu, "a datagram of {} bytes, with an mtu of {mtu}", bytes.len());
                    assert!(wire::describe(&bytes).is_ok(), "a node sends readable datagrams");
                    self.cookies.extend(cookie(&bytes));
                }
                Action::Answer(_) => answers += 1,
                Action::Notify(_) | Action::Store { .. } | Action::Reseed | Action::WakeAt(_) => {}
            }
        }
        assert_eq!(answers, usize::from(is_command), "a command is answered by exactly one answer");
        self.node.check();
        let (members, most) = (self.node.members().count(), 2 * MEMBERS_MAX as usize + 1);
        assert!(members <= most, "{members} members, and at most {most} are kept");
    }
}

/// The cookie in a datagram with a join echo.
fn cookie(bytes: &[u8]) -> Option<u64> {
    let datagram = wire::open(bytes, cluster_tag(CLUSTER)).ok()?;
    datagram.messages.map_while(Result::ok).find_map(|message| {
        if let Message::Swim(Swim::JoinEcho(echo)) = message { Some(echo.cookie) } else { None }
    })
}

fn peer(choices: &mut Choices<'_>) -> SocketAddr {
    virtual_addr(u64::from(choices.byte()) % PEERS + 1)
}

fn id(choices: &mut Choices<'_>) -> NodeId {
    match u64::from(choices.byte()) {
        255 => NodeId(choices.word()),
        small => NodeId(small % PEERS + 1),
    }
}

fn header(choices: &mut Choices<'_>, node: &Node) -> Header {
    let incarnation =
        Incarnation { epoch: u64::from(choices.byte() % 8), counter: u32::from(choices.byte() % 4) };
    let receiver = if choices.byte() < 240 { node.id() } else { id(choices) };
    Header {
        cluster: cluster_tag(CLUSTER),
        sender: NodeId(id(choices).0.max(1)),
        incarnation,
        boot: u64::from(choices.byte() % 4),
        receiver,
        sequence: u64::from(choices.byte()),
    }
}

/// Up to three tags, which may be too long or have no key.
fn tags(choices: &mut Choices<'_>) -> BTreeMap<String, String> {
    let text = |choices: &mut Choices<'_>| String::from_utf8_lossy(choices.bytes(100)).into_owned();
    (0..choices.byte() % 4).map(|_| (text(choices), text(choices))).collect()
}

fn command(choices: &mut Choices<'_>) -> Command {
    let kind = choices.byte();
    if kind >= 240 {
        return Command::Broadcast(Broadcast::new("", choices.bytes(2_000)));
    }
    match kind % 9 {
        0 => Command::Join { seeds: (0..choices.byte() % 70).map(|i| virtual_addr(u64::from(i))).collect() },
        1 => Command::Leave { within: Duration::from_millis(u64::from(choices.byte()) * 50) },
        2 if kind >= 128 => Command::SetTags(tags(choices)),
        2 => Command::SetMeta(choices.bytes(600).to_vec()),
        3 => Command::SetAddr(peer(choices)),
        4 => Command::Ping { id: id(choices), addr: peer(choices) },
        5 => Command::AddPeer(peer(choices)),
        6 => Command::SetPeers((0..choices.byte() % 70).map(|i| virtual_addr(u64::from(i))).collect()),
        7 => Command::RemovePeer(id(choices)),
        _ => {
            let admission = if choices.byte() < 128 { Admission::Accept } else { Admission::Veto };
            Command::Admit { id: id(choices), admission }
        }
    }
}
