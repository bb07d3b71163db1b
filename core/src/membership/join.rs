//! Joining through seeds (rules A6, B10, B13).
//!
//! ```text
//! joiner                              member
//!   │ Join { cookie: 0, record }        │
//!   │ ────────────────────────────────► │   nothing is kept: the cookie is a keyed hash
//!   │     JoinEcho { cookie, seen }     │   sent to the address that the record claims
//!   │ ◄──────────────────────────────── │
//!   │ Join { cookie, record }           │
//!   │ ────────────────────────────────► │   announced to the group
//!   │     JoinAnswer, recent records    │
//!   │ ◄──────────────────────────────── │
//!   │ reconciliation brings the rest    │
//! ```

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::hash::Hasher;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher24;

use super::sender::{Challenge, accusation_to};
use super::table::Entry;
use super::{Membership, Reply, Source, Timer};
use crate::action::Notice;
use crate::boot::Phase;
use crate::context::Ctx;
use crate::error::{Field, Rejected};
use crate::id::NodeId;
use crate::limits::{RECENT_JOINERS_MAX, SEEDS_MAX};
use crate::time::{Time, nanos};
use crate::wire::{
    Alive, Datagram, Header, Join, JoinAnswer, JoinEcho, Message, NameState, Put as _, Record, Standing, Swim,
};

/// A cookie is valid in the time window in which it was made and in the next one.
const COOKIE_WINDOW: Duration = Duration::from_secs(30);

/// The application is told for the first time after this time that an address has not answered, and then after the double of
/// the last time, up to the greatest.
const SILENCE_TOLD_MIN: Duration = Duration::from_secs(5);
const SILENCE_TOLD_MAX: Duration = Duration::from_secs(600);
/// The least number of Joins that an address must have left unanswered before the application is told.
const TRIES_MIN: u32 = 3;

/// The addresses to join through, and the members that have joined through this one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Contacts {
    /// The addresses that the application has given. They are never removed.
    seeds: Vec<Contact>,
    /// The addresses that an external source has given. They are replaced when it gives others.
    peers: Vec<Contact>,
    /// The most recent joiners; the latest is the last.
    joiners: VecDeque<NodeId>,
    /// The key of the cookies.
    secret: u64,
    /// Whether this node has been in contact with a member since it started.
    pub(super) joined: bool,
    /// The time at which this node has taken its id.
    pub(super) since: Time,
    /// The time from which on the application is told of silent addresses, and the time after which it is told again.
    tell_at: Time,
    tell_again: Duration,
}

/// An address to send a Join to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Contact {
    pub(super) addr: SocketAddr,
    /// The member that has last answered from the address.
    pub(super) member: NodeId,
    /// The last cookie from the address, or 0. While it is valid, a Join that is repeated after a lost answer needs no
    /// new cookie.
    pub(super) cookie: u64,
    /// Whether a Join was sent there since the last echo from there.
    asked: bool,
    /// Whether a Join with a cookie was sent there since the last answer from there.
    echoed: bool,
    /// The number of Joins that were sent there since the last answer from there.
    tries: u32,
    /// Whether a member of another cluster has answered from there.
    foreign: bool,
}

impl Contact {
    const fn new(addr: SocketAddr) -> Self {
        let (asked, echoed, foreign) = (false, false, false);
        Self { addr, member: NodeId::NOBODY, cookie: 0, asked, echoed, tries: 0, foreign }
    }
}

impl Contacts {
    pub(super) const fn new(secret: u64) -> Self {
        Self {
            seeds: Vec::new(),
            peers: Vec::new(),
            joiners: VecDeque::new(),
            secret,
            joined: false,
            since: Time::ZERO,
            tell_at: Time::ZERO,
            tell_again: SILENCE_TOLD_MIN,
        }
    }

    /// Begins a join: nobody has answered yet.
    pub(super) fn begin(&mut self, now: Time) {
        self.joined = false;
        self.tell_at = now + SILENCE_TOLD_MIN;
        self.tell_again = SILENCE_TOLD_MIN;
        self.seeds.iter_mut().chain(&mut self.peers).for_each(|contact| {
            (contact.tries, contact.foreign) = (0, false);
        });
    }

    /// The notices of the addresses through which no join succeeds, if the application is to be told of them now.
    fn failures(&mut self, own: SocketAddr, now: Time) -> Vec<Notice<'static>> {
        if now < self.tell_at {
            return Vec::new();
        }
        let failure = |contact: Contact| match contact {
            Contact { addr, foreign: true, .. } => Some(Notice::SeedOfOtherCluster { addr }),
            Contact { addr, tries: tries @ TRIES_MIN.., .. } => Some(Notice::SeedSilent { addr, tries }),
            _ => None,
        };
        let failures: Vec<_> = self.others(own).filter_map(failure).collect();
        if !failures.is_empty() {
            self.tell_again = (self.tell_again * 2).min(SILENCE_TOLD_MAX);
            self.tell_at = now + self.tell_again;
        }
        failures
    }

    /// Adds the addresses to the seeds; `what` names them in the error.
    ///
    /// # Errors
    /// There are too many addresses, or no datagram can be sent to one of them. Nothing is changed then.
    pub(super) fn add_seeds(&mut self, addrs: &[SocketAddr], what: Field) -> Result<(), Rejected> {
        let seeds = merged(&self.seeds, addrs);
        bound(seeds.len() + self.peers.len(), what)?;
        addrs.iter().try_for_each(|addr| must_be_reachable(*addr))?;
        self.seeds = seeds;
        Ok(())
    }

    /// Replaces the addresses from the external source, and returns those that are new.
    ///
    /// # Errors
    /// There are too many addresses, or no datagram can be sent to one of them. Nothing is changed then.
    pub(super) fn set_peers(&mut self, addrs: &[SocketAddr]) -> Result<Vec<SocketAddr>, Rejected> {
        addrs.iter().try_for_each(|addr| must_be_reachable(*addr))?;
        let peers = merged(&[], addrs);
        bound(self.seeds.len() + peers.len(), Field::Peers)?;
        let old = core::mem::replace(&mut self.peers, peers);
        let known = |contact: &&Contact| old.iter().any(|old| old.addr == contact.addr);
        Ok(self.peers.iter().filter(|peer| !known(peer)).map(|peer| peer.addr).collect())
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Contact> {
        self.seeds.iter().chain(&self.peers).copied()
    }

    /// The addresses to contact: all but `own`.
    pub(super) fn others(&self, own: SocketAddr) -> impl Iterator<Item = Contact> {
        self.all().filter(move |contact| contact.addr != own)
    }

    /// Whether there is no address but `own` to contact.
    pub(super) fn only(&self, own: SocketAddr) -> bool {
        self.others(own).next().is_none()
    }

    pub(super) fn has(&self, addr: SocketAddr) -> bool {
        self.all().any(|contact| contact.addr == addr)
    }

    /// Whether a Join was sent to this address since the last echo from there, which this call takes.
    fn take_asked(&mut self, addr: SocketAddr) -> bool {
        let asked = self.all().any(|contact| contact.addr == addr && contact.asked);
        self.update(addr, |contact| contact.asked = false);
        asked
    }

    /// Whether a Join with a cookie was sent to this address since the last answer from there, which this call takes.
    fn take_echoed(&mut self, addr: SocketAddr) -> bool {
        let echoed = self.all().any(|contact| contact.addr == addr && contact.echoed);
        self.update(addr, |contact| contact.echoed = false);
        echoed
    }

    /// Whether this cookie has come from this address before.
    fn has_cookie(&self, addr: SocketAddr, cookie: u64) -> bool {
        self.all().any(|contact| (contact.addr, contact.cookie) == (addr, cookie))
    }

    fn update(&mut self, addr: SocketAddr, change: impl Fn(&mut Contact)) {
        let contacts = self.seeds.iter_mut().chain(&mut self.peers);
        contacts.filter(|contact| contact.addr == addr).for_each(change);
    }

    /// Notes a new member that has joined through this one, in place of the oldest if there are too many.
    fn add_joiner(&mut self, id: NodeId) {
        self.joiners.retain(|other| *other != id);
        if self.joiners.len() == RECENT_JOINERS_MAX {
            self.joiners.pop_front();
        }
        self.joiners.push_back(id);
    }

    /// The number that a joiner must repeat from the address `to`: a keyed hash of the joiner, the address and the window,
    /// so that nothing is kept for an unknown sender (rule B10).
    fn cookie(&self, to: SocketAddr, record: Record<'_>, window: u64) -> u64 {
        let mut bytes = Vec::with_capacity(48);
        bytes.put_addr(to);
        bytes.put_id(record.id());
        bytes.put_u64(record.boot());
        bytes.put_u64(window);
        let mut hasher = SipHasher24::new_with_keys(self.secret, !self.secret);
        hasher.write(&bytes);
        hasher.finish().max(1)
    }
}

/// The contacts `old`, followed by a contact for each new address.
fn merged(old: &[Contact], new: &[SocketAddr]) -> Vec<Contact> {
    let mut all = old.to_vec();
    for addr in new {
        if !all.iter().any(|contact| contact.addr == *addr) {
            all.push(Contact::new(*addr));
        }
    }
    all
}

const fn bound(len: usize, what: Field) -> Result<(), Rejected> {
    if len > SEEDS_MAX { Err(Rejected::TooMany { what, len, max: SEEDS_MAX }) } else { Ok(()) }
}

/// Whether a datagram can be sent to this address, and reaches one process.
const fn is_reachable(addr: SocketAddr) -> bool {
    let is_group = match addr.ip() {
        IpAddr::V4(ip) => ip.is_multicast() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_multicast(),
    };
    !addr.ip().is_unspecified() && !is_group && addr.port() != 0
}

/// Refuses an address that no datagram can be sent to. A group of hosts may be asked to join through it.
pub(super) const fn must_be_reachable(addr: SocketAddr) -> Result<(), Rejected> {
    if !addr.ip().is_unspecified() && addr.port() != 0 { Ok(()) } else { Err(Rejected::Unreachable(addr)) }
}

fn window(now: Time) -> u64 {
    now.as_nanos() / nanos(COOKIE_WINDOW)
}

impl Membership {
    /// Sends a Join to every seed until the first has answered. From then on healing contacts them.
    pub(super) fn contact_seeds(&mut self, cx: &mut Ctx<'_>) {
        if self.contacts.joined {
            return;
        }
        let failures = self.contacts.failures(self.own.addr, cx.now);
        failures.into_iter().for_each(|failure| cx.out.notify(failure));
        let contacts: Vec<_> = self.contacts.others(self.own.addr).collect();
        contacts.iter().for_each(|contact| self.send_join(contact.addr, contact.cookie, cx));
        if !self.contacts.only(self.own.addr) {
            self.deadlines.arm(Timer::Join, cx.now + cx.config.membership.join_interval, cx.now);
        }
    }

    /// Sends a Join to each of the addresses, which were given just now, and goes on until a member has answered.
    pub(super) fn contact_new(&mut self, addrs: &[SocketAddr], cx: &mut Ctx<'_>) {
        let own = self.own.addr;
        if self.phase == Phase::Waiting {
            return addrs.iter().for_each(|addr| self.send_join(*addr, 0, cx));
        }
        addrs.iter().filter(|addr| **addr != own).for_each(|addr| self.send_join(*addr, 0, cx));
        if !self.contacts.joined && self.deadlines.at(Timer::Join).is_none() {
            self.deadlines.arm(Timer::Join, cx.now + cx.config.membership.join_interval, cx.now);
        }
    }

    /// Sends a Join with the own record to an address, whose echo is then used.
    pub(super) fn send_join(&mut self, to: SocketAddr, cookie: u64, cx: &mut Ctx<'_>) {
        self.contacts.update(to, |contact| {
            contact.asked = true;
            contact.tries = contact.tries.saturating_add(1);
        });
        self.write_join(to, cookie, cx);
    }

    fn write_join(&mut self, to: SocketAddr, cookie: u64, cx: &mut Ctx<'_>) {
        self.contacts.update(to, |contact| contact.echoed |= cookie != 0);
        let record = self.own.record();
        let cluster = &cx.config.cluster;
        let mut datagram = cx.datagram(to, NodeId::NOBODY);
        let fits = datagram.push(&Join { cookie, cluster, record: Record::trusted(&record) }.into());
        debug_assert!(fits, "the longest join fits the least mtu");
        datagram.send_alone();
    }

    /// Takes a Join. A joiner without the right cookie is sent one, at the address that its record claims, and nothing is
    /// kept of it (rule B10).
    pub(super) fn on_join(&mut self, source: &Source, join: &Join<'_>, cx: &mut Ctx<'_>) {
        if !matches!(self.phase, Phase::Waiting | Phase::Running) {
            cx.stats.dropped_stopped += 1;
            return;
        }
        if join.cluster != cx.config.cluster {
            cx.stats.dropped_other_cluster += 1;
            return;
        }
        if join.record.id() != source.sender {
            cx.stats.dropped_invalid += 1;
            return;
        }
        let challenge = self.challenge(join.record, source.from, cx);
        let earlier = self.contacts.cookie(challenge.to, join.record, window(cx.now).wrapping_sub(1));
        let is_echo = [challenge.cookie, earlier].contains(&join.cookie);
        let admits = self.phase == Phase::Running && source.sender != self.own.id;
        if !admits || join.record.addr() != challenge.to || !is_echo {
            return self.send_challenge(source, challenge, None, cx);
        }
        let was_known = self.table.get(source.sender).is_some();
        let standing = Standing::Validated;
        let source = Source { from: challenge.to, delta: false, standing, ..*source };
        let mut reply = Reply::default();
        self.on_record(join.record, &source, &mut reply, cx);
        let Some(entry) = self.table.get(source.sender) else { return };
        let current = |record: Record<'_>| {
            record.boot() == join.record.boot() && record.incarnation() >= join.record.incarnation()
        };
        if entry.is_live() && entry.record().is_some_and(current) {
            self.answer_join(&source, cx);
            self.learn_address_from(source.from, cx);
            if !was_known {
                self.contacts.add_joiner(source.sender);
            }
            self.first_contact(source.sender, cx);
        } else {
            self.turn_away(&source, join.record.boot(), cx);
        }
    }

    /// The number that the subject of this record must send back from the address in it. If no datagram can be sent there,
    /// the number goes to the source, which then learns its address (rule A6).
    pub(super) fn challenge(&self, record: Record<'_>, from: SocketAddr, cx: &Ctx<'_>) -> Challenge {
        let claimed = record.addr();
        let to = if is_reachable(claimed) { claimed } else { from };
        Challenge { to, cookie: self.contacts.cookie(to, record, window(cx.now)) }
    }

    /// Sends a JoinEcho of at most `limit` bytes of messages; nothing is kept of its receiver.
    pub(super) fn send_challenge(
        &self,
        source: &Source,
        challenge: Challenge,
        limit: Option<usize>,
        cx: &mut Ctx<'_>,
    ) {
        let Challenge { to, cookie } = challenge;
        let name = self.name_state(source.sender, cx);
        let mut datagram = cx.datagram(to, source.sender);
        datagram.limit(limit.unwrap_or(usize::MAX));
        if datagram.push(&JoinEcho { cookie, seen: source.from, name }.into()) {
            datagram.send_alone();
        }
    }

    /// Asks a joiner for the own address, if this node has none (rule A6): its seeds may be dead.
    fn learn_address_from(&mut self, joiner: SocketAddr, cx: &mut Ctx<'_>) {
        if self.own.addr.ip().is_unspecified() && self.contacts.add_seeds(&[joiner], Field::Seeds).is_ok() {
            self.send_join(joiner, 0, cx);
        }
    }

    /// Tells a joiner that this node holds it at a higher incarnation, or as Down or Left. The joiner must move above
    /// that before it can join (rule A4).
    fn turn_away(&self, source: &Source, boot: u64, cx: &mut Ctx<'_>) {
        let Some(entry) = self.table.get(source.sender) else { return };
        let mut datagram = cx.datagram(source.from, source.sender);
        datagram.push(&accusation_to(boot, entry).into());
        datagram.send_alone();
    }

    /// Sends the answer to a Join: with it go the own record, and those of the most recent joiners that fit.
    fn answer_join(&self, source: &Source, cx: &mut Ctx<'_>) {
        let answer = JoinAnswer { seen: source.from, shared: self.own.shared(), members: self.group_size() };
        let mut datagram = cx.datagram(source.from, source.sender);
        datagram.push(&answer.into());
        let recent = self.contacts.joiners.iter().rev().copied().filter(|id| *id != source.sender);
        for id in core::iter::once(self.own.id).chain(recent) {
            if let Some(record) = self.table.get(id).filter(|entry| entry.is_live()).and_then(Entry::record) {
                datagram.push(&Alive(record).into());
            }
        }
        datagram.send_alone();
    }

    /// Handles a JoinEcho: sends the cookie back in a second Join, once this node has its id. A cookie that has come before
    /// is not answered: it goes out with the next Join, and an answer to each echo could go on without end. Of the echoes
    /// from one address only one is used for each Join that was sent there of the own accord, so that forged echoes do not
    /// make this node flood it (rule F6). A node without an address takes the one that the echo reports (rule A6).
    ///
    /// The echo of a member answers the record with which this node has introduced itself. It is used once in a probe
    /// interval for each member.
    pub(super) fn on_join_echo(&mut self, source: &Source, echo: JoinEcho, cx: &mut Ctx<'_>) {
        let (JoinEcho { cookie, seen, name }, from) = (echo, source.from);
        let (runs, waits) = (self.phase == Phase::Running, self.phase == Phase::Waiting);
        let is_news = waits || runs && !self.contacts.has_cookie(from, cookie);
        let was_asked = is_news && self.contacts.take_asked(from);
        if was_asked {
            self.contacts.update(from, |contact| (contact.tries, contact.foreign) = (0, false));
        }
        let is_used = was_asked || runs && self.is_introduced_to(source, cx);
        if !is_used {
            cx.stats.ignored_unknown_sender += 1;
            return;
        }
        if self.own.addr.ip().is_unspecified() && is_reachable(seen) {
            self.own.addr = seen;
            self.publish_change(cx);
            cx.out.notify(Notice::AddressLearnt { addr: seen });
        }
        self.contacts.update(from, |contact| contact.cookie = cookie);
        if self.phase == Phase::Waiting {
            return self.on_name_state(from, seen, name, cx);
        }
        if seen != self.own.addr {
            self.ask_self(cx);
        }
        self.write_join(from, cookie, cx);
    }

    /// Whether the sender may be sent a Join because it has been sent the own record: it is at the address that this node
    /// holds for it, and has had none in this probe interval.
    fn is_introduced_to(&mut self, source: &Source, cx: &Ctx<'_>) -> bool {
        let held = self.table.get(source.sender).and_then(Entry::addr);
        held == Some(source.from)
            && self.introductions.take(source.sender, cx.config.membership.probe_interval, cx.now)
    }

    /// Handles the answer to a Join, and fetches from its sender the records that the answer leaves out.
    pub(super) fn on_join_answer(&mut self, source: &mut Source, answer: &JoinAnswer, cx: &mut Ctx<'_>) {
        if !self.contacts.take_echoed(source.from) {
            cx.stats.ignored_unknown_sender += 1;
            return;
        }
        source.answers_join = true;
        self.contacts.update(source.from, |contact| contact.member = source.sender);
        self.first_contact(source.sender, cx);
        if answer.members > 1 || self.group_size() > 2 {
            self.compare_with(source.sender, source.from, cx);
        }
    }

    /// Takes a datagram of another cluster. A Join is answered by an echo without a cookie, which is not longer than the Join, so
    /// that its sender learns of the mistake. The application is told once of such an answer from an address that was asked.
    pub(crate) fn on_other_cluster(
        &mut self,
        mut datagram: Datagram<'_>,
        from: SocketAddr,
        cx: &mut Ctx<'_>,
    ) {
        let Header { sender, receiver, .. } = datagram.header;
        if matches!(datagram.messages.next(), Some(Ok(Message::Swim(Swim::Join(_))))) {
            let mut answer = cx.datagram(from, sender);
            answer.push(&JoinEcho { cookie: 0, seen: from, name: NameState::Unknown }.into());
            answer.send_alone();
        } else if receiver == self.own.id && !self.contacts.joined && self.contacts.take_asked(from) {
            let was_known = self.contacts.all().any(|contact| contact.addr == from && contact.foreign);
            self.contacts.update(from, |contact| (contact.tries, contact.foreign) = (0, true));
            if !was_known {
                cx.out.notify(Notice::SeedOfOtherCluster { addr: from });
            }
        }
    }

    /// Notes that this node is in contact with the member `via`. With the first contact since the start, this node has
    /// joined.
    pub(super) fn first_contact(&mut self, via: NodeId, cx: &mut Ctx<'_>) {
        if !self.contacts.joined {
            self.contacts.joined = true;
            self.deadlines.cancel(Timer::Join);
            cx.out.notify(Notice::Joined { via });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_latest_joiners_are_kept() {
        let mut contacts = Contacts::new(1);
        (0..100).for_each(|id| contacts.add_joiner(NodeId(id)));
        (90..95).for_each(|id| contacts.add_joiner(NodeId(id)));
        let kept: Vec<u64> = contacts.joiners.iter().map(|id| id.0).collect();
        assert_eq!(kept, [84, 85, 86, 87, 88, 89, 95, 96, 97, 98, 99, 90, 91, 92, 93, 94]);
    }
}
