//! The running member's answers to requests over the local socket.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bruit_udp::Bruit;
use bruit_udp::core::{Broadcast, Command, MemberState, Node, NodeId};

use crate::control::Caller;
use crate::failure::in_full;
use crate::hub::Hub;
use crate::label::node_label;
use crate::messages::levels;
use crate::protocol::{MemberView, NumberView, PeerView, Reply, Request, Response, StatsView, WhyView};

/// Answers requests about one member.
#[derive(Debug)]
pub(crate) struct Answerer {
    pub(crate) bruit: Bruit,
    /// The seeds that were given, for `peers list`.
    pub(crate) given: Mutex<Vec<String>>,
    pub(crate) hub: Arc<Hub>,
    /// Locked while a caller changes the tags.
    pub(crate) changing_tags: Mutex<()>,
}

impl Answerer {
    /// Returns the last response to a request. Responses before it are sent to the caller here.
    pub(crate) fn answer(&self, request: Request, caller: &Caller<'_>) -> Response {
        match self.reply(request, caller) {
            Ok(reply) => Response::Ok(reply),
            Err(reason) => Response::Refused(reason),
        }
    }

    fn reply(&self, request: Request, caller: &Caller<'_>) -> Result<Reply, String> {
        let bruit = &self.bruit;
        match request {
            Request::Members {} => Ok(Reply::Members(self.members())),
            Request::Join { seeds } => {
                bruit.join(&seeds).map_err(|error| in_full(&error))?;
                self.note(seeds);
                Ok(Reply::Done {})
            }
            Request::PeersAdd { addr } => {
                self.command(Command::AddPeer(addr))?;
                self.note(vec![addr.to_string()]);
                Ok(Reply::Done {})
            }
            Request::ForceLeave { member } => self.command(Command::RemovePeer(self.find(&member)?)),
            Request::PeersList {} => Ok(Reply::Peers(self.peers())),
            Request::Ping { member, addr } => self.ping(&member, addr),
            Request::Stats {} => Ok(Reply::Stats(self.stats())),
            Request::Leave { within_ms } => {
                let alone = bruit.live_members().len() <= 1;
                let left = bruit.leave(Duration::from_millis(within_ms));
                left.map(|acknowledged| Reply::Left { acknowledged, alone })
                    .map_err(|error| error.to_string())
            }
            Request::Why { member } => self.why(&member),
            Request::Broadcast { topic, payload, report_ms } => {
                let payload = payload.to_vec().ok_or("the payload is not hexadecimal")?;
                let report = report_ms.map(Duration::from_millis);
                self.broadcast(Broadcast { report, ..Broadcast::new(topic, payload) }, caller)
            }
            Request::Listen { topic } => self.listen(topic, caller),
            Request::Messages { topic, max } => Ok(Reply::Messages(self.messages(topic.as_deref(), max))),
            Request::Tags { member } => self.tags(member.as_deref()),
            Request::ChangeTags { set, unset } => self.change_tags(set, &unset),
            Request::Pending {} => Ok(Reply::Pending(bruit.read(levels))),
        }
    }

    fn command(&self, command: Command) -> Result<Reply, String> {
        self.bruit.command(command).map(|_| Reply::Done {}).map_err(|rejected| rejected.to_string())
    }

    /// Remembers seeds for `peers list`.
    pub(crate) fn note(&self, seeds: Vec<String>) {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        for seed in seeds {
            if !given.contains(&seed) {
                given.push(seed);
            }
        }
    }

    /// The name of a member; empty if the member is unknown.
    pub(crate) fn name_of(&self, id: NodeId) -> String {
        self.bruit.read(|node| node.member(id).map(|member| member.name.into_owned())).unwrap_or_default()
    }

    fn members(&self) -> Vec<MemberView> {
        let now = self.bruit.clock().now();
        let view =
            |node: &Node| node.members().map(|member| MemberView::seen_by(node, &member, now)).collect();
        let mut members: Vec<MemberView> = self.bruit.read(view);
        members.sort_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
        members
    }

    fn tags(&self, member: Option<&str>) -> Result<Reply, String> {
        let id = member.map_or_else(|| Ok(self.bruit.id()), |member| self.find(member))?;
        let member = self.bruit.member(id).ok_or_else(|| format!("{id} is not a known member"))?;
        Ok(Reply::Tags(member.tags.to_map()))
    }

    /// Changes some of the own tags. Callers do it one after the other, so that none undoes what another one sets.
    fn change_tags(&self, set: BTreeMap<String, String>, unset: &[String]) -> Result<Reply, String> {
        let _turn = self.changing_tags.lock().unwrap_or_else(PoisonError::into_inner);
        let me = self.bruit.me().ok_or("this member has not started yet")?;
        let mut tags = me.tags.to_map();
        if let Some(key) = unset.iter().find(|key| !tags.contains_key(*key)) {
            return Err(format!("this member has no tag {key:?}"));
        }
        tags.retain(|key, _| !unset.contains(key));
        tags.extend(set);
        self.bruit.set_tags(tags).map(|()| Reply::Done {}).map_err(|rejected| rejected.to_string())
    }

    /// The seeds that were given, then the names and the peers file with the addresses found.
    fn peers(&self) -> Vec<PeerView> {
        let sources = self.bruit.sources();
        let given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        let seeds =
            given.iter().filter(|seed| sources.iter().all(|source| source.text != **seed)).map(|seed| {
                let addrs = seed.parse().into_iter().collect();
                PeerView { peer: seed.clone(), from: "given".to_owned(), addrs }
            });
        let sourced = sources.iter().map(|source| {
            let from = if given.contains(&source.text) { "given" } else { "peers file" };
            PeerView { peer: source.text.clone(), from: from.to_owned(), addrs: source.addrs.clone() }
        });
        seeds.chain(sourced).collect()
    }

    /// Finds a member by its name, or takes any id such as `n42` or `42`.
    fn find(&self, text: &str) -> Result<NodeId, String> {
        let named = self.bruit.read(|node| node.member_by_name(text).map(|member| member.id));
        let number = || text.strip_prefix('n').unwrap_or(text).parse().ok().map(NodeId);
        named
            .or_else(number)
            .ok_or_else(|| format!("{text:?} is neither the name of a member nor an id such as n42"))
    }

    fn ping(&self, member: &str, addr: Option<std::net::SocketAddr>) -> Result<Reply, String> {
        let id = self.find(member)?;
        let known = || self.bruit.read(|node| node.member(id).map(|member| member.addr));
        let addr =
            addr.or_else(known).ok_or_else(|| format!("{id} is not a known member; give its address"))?;
        match self.bruit.ping(id, addr).map_err(|rejected| rejected.to_string())? {
            Some(round_trip) => {
                let round_trip_us = u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX);
                Ok(Reply::Pong { member: self.bruit.read(|node| node_label(node, id)), addr, round_trip_us })
            }
            None => Err(format!("{id} at {addr} did not answer 3 pings")),
        }
    }

    fn stats(&self) -> StatsView {
        let driver = self.bruit.driver_stats();
        self.bruit.read(|node| {
            let number = |(name, value, help): (&str, u64, &str)| NumberView::new(name, value, help);
            StatsView {
                name: node.member(node.id()).map(|me| me.name.into_owned()).unwrap_or_default(),
                id: node.id().to_string(),
                cluster: node.config().cluster.clone(),
                counters: node.stats().iter().chain(driver.iter()).map(number).collect(),
                gauges: gauges(node),
            }
        })
    }

    fn why(&self, member: &str) -> Result<Reply, String> {
        let id = self.find(member)?;
        let now = self.bruit.clock().now();
        self.bruit.read(|node| match node.why_down(id) {
            Some(obituary) => Ok(Reply::Why(WhyView::of(node, id, obituary, now))),
            None => Err(format!("{} is not held Down here, or that was too long ago", node_label(node, id))),
        })
    }
}

fn gauges(node: &Node) -> Vec<NumberView> {
    let count = |state| node.members().filter(|member| member.state == state).count() as u64;
    let mut gauges = vec![
        NumberView::new(
            "members_alive",
            count(MemberState::Alive),
            "Members in state alive, this one included.",
        ),
        NumberView::new("members_suspect", count(MemberState::Suspect), "Members in state suspect."),
        NumberView::new("members_down", count(MemberState::Down), "Members in state down."),
        NumberView::new("members_left", count(MemberState::Left), "Members in state left."),
        NumberView::new(
            "health",
            node.health().into(),
            "Health multiplier (Lifeguard): 1 while this node is healthy.",
        ),
        NumberView::new(
            "joined",
            node.is_joined().into(),
            "1 once another member has been in contact, else 0.",
        ),
        NumberView::new("epoch", node.incarnation().epoch, "The epoch of this boot."),
    ];
    gauges.extend(levels(node).iter().map(|level| NumberView::new(&level.name, level.value, &level.help)));
    gauges
}
