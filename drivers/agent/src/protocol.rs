//! The protocol of the local socket: each request and each response is one line of JSON. A few requests have several
//! responses. Ids and incarnations are texts, because many JSON readers round large numbers.

use std::collections::BTreeMap;
use std::time::Duration;

use bruit_udp::core::{Member, MemberState, Node, NodeId, Obituary, Time};
use serde::{Deserialize, Serialize};

use crate::label::{harmless, label, node_label};
use crate::messages::{Bytes, LevelView, LostView, MessageView};

/// A request to the agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    Members {},
    Join {
        seeds: Vec<String>,
    },
    PeersAdd {
        addr: std::net::SocketAddr,
    },
    ForceLeave {
        member: String,
    },
    PeersList {},
    Ping {
        member: String,
        addr: Option<std::net::SocketAddr>,
    },
    Stats {},
    Leave {
        within_ms: u64,
    },
    Why {
        member: String,
    },
    /// Answered by `Sent`. With `report_ms`, `Majority` may follow, and `All` or `TimedOut` is the last.
    Broadcast {
        topic: String,
        payload: Bytes,
        report_ms: Option<u64>,
    },
    /// Answered by `Listening`, then by every `Delivered`, `Lost` and `Missed`; `Ended` is the last.
    Listen {
        topic: Option<String>,
    },
    Messages {
        topic: Option<String>,
        max: usize,
    },
    Pending {},
    /// The tags of a member, or of this one.
    Tags {
        member: Option<String>,
    },
    /// Sets these own tags, removes those with these keys, and keeps all others.
    ChangeTags {
        set: BTreeMap<String, String>,
        unset: Vec<String>,
    },
}

/// A response of the agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Response {
    Ok(Reply),
    Refused(String),
}

/// The content of a response to a request that was not refused.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    Done {},
    Members(Vec<MemberView>),
    Peers(Vec<PeerView>),
    Pong { member: String, addr: std::net::SocketAddr, round_trip_us: u64 },
    Stats(StatsView),
    Left { acknowledged: bool, alone: bool },
    Why(WhyView),
    Sent { id: String },
    Majority { id: String },
    All { id: String, without: Vec<String> },
    TimedOut { id: String, missing: Vec<String> },
    Listening {},
    Delivered(MessageView),
    Lost(LostView),
    Missed { notices: u64 },
    Ended {},
    Messages(Vec<MessageView>),
    Pending(Vec<LevelView>),
    Tags(BTreeMap<String, String>),
}

/// A member, for display.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MemberView {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) state: String,
    pub(crate) addr: std::net::SocketAddr,
    pub(crate) zone: String,
    pub(crate) incarnation: String,
    pub(crate) meta: String,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) boot: String,
    /// True for the agent's own member.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) oneself: bool,
    /// Milliseconds since its latest datagram; none if there was no datagram.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) heard_ms_ago: Option<u64>,
    /// Milliseconds since it failed or left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) gone_ms_ago: Option<u64>,
}

impl MemberView {
    pub(crate) fn of(member: &Member<'_>) -> Self {
        Self {
            id: member.id.to_string(),
            name: member.name.clone().into_owned(),
            state: state_name(member.state).to_owned(),
            addr: member.addr,
            zone: member.zone.clone().into_owned(),
            incarnation: member.incarnation.to_string(),
            meta: printable(&member.meta),
            tags: member.tags.to_map(),
            boot: format!("{:016x}", member.boot),
            oneself: false,
            heard_ms_ago: None,
            gone_ms_ago: None,
        }
    }

    pub(crate) fn seen_by(node: &Node, member: &Member<'_>, now: Time) -> Self {
        let oneself = member.id == node.id();
        let heard = node.last_heard(member.id).filter(|_| !oneself);
        Self {
            oneself,
            heard_ms_ago: heard.map(|at| millis(now.since(at))),
            gone_ms_ago: node.gone_for(member.id).map(millis),
            ..Self::of(member)
        }
    }

    pub(crate) fn label(&self) -> String {
        label(&self.name, &self.id)
    }
}

/// A peer and its source: given on the command line, or the peers file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PeerView {
    pub(crate) peer: String,
    pub(crate) from: String,
    pub(crate) addrs: Vec<std::net::SocketAddr>,
}

/// All counters and gauges of an agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StatsView {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) cluster: String,
    /// Numbers that only rise.
    pub(crate) counters: Vec<NumberView>,
    /// Numbers that rise and fall.
    pub(crate) gauges: Vec<NumberView>,
}

/// One number with its meaning.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NumberView {
    pub(crate) name: String,
    pub(crate) value: u64,
    pub(crate) help: String,
}

impl NumberView {
    pub(crate) fn new(name: &str, value: u64, help: &str) -> Self {
        Self { name: name.to_owned(), value, help: help.to_owned() }
    }
}

/// The reason why this node holds a member Down.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WhyView {
    pub(crate) member: String,
    pub(crate) incarnation: String,
    pub(crate) declared_by: String,
    pub(crate) declared_ms_ago: u64,
    pub(crate) suspected_ms_ago: Option<u64>,
    pub(crate) suspected_by: Vec<String>,
    pub(crate) heard_ms_ago: Option<u64>,
    /// The time until the member is shown as up again, if it is alive and on probation.
    pub(crate) probation_ms: Option<u64>,
}

impl WhyView {
    pub(crate) fn of(node: &Node, id: NodeId, obituary: &Obituary, now: Time) -> Self {
        let ago = |at: Time| millis(now.since(at));
        Self {
            member: node_label(node, id),
            incarnation: obituary.incarnation.to_string(),
            declared_by: node_label(node, obituary.author),
            declared_ms_ago: ago(obituary.declared),
            suspected_ms_ago: obituary.suspected.map(ago),
            suspected_by: obituary.suspected_by.iter().map(|id| node_label(node, *id)).collect(),
            heard_ms_ago: obituary.last_heard.map(ago),
            probation_ms: node.probation(id).map(|until| millis(until.since(now))),
        }
    }
}

pub(crate) const fn state_name(state: MemberState) -> &'static str {
    match state {
        MemberState::Alive => "alive",
        MemberState::Suspect => "suspect",
        MemberState::Down => "down",
        MemberState::Left => "left",
    }
}

/// Metadata as text if it is printable text, else in hexadecimal.
pub(crate) fn printable(meta: &[u8]) -> String {
    match str::from_utf8(meta) {
        Ok(text) if harmless(text) == text => text.to_owned(),
        _ => meta.iter().fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}")),
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
