//! Coming together: joining through seeds, healing after a cut, and leaving (rules B8, B10, B12, B13).
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
use core::net::SocketAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher24;

use super::table::Entry;
use super::{Membership, Source, Timer};
use crate::action::{MemberState, Notice};
use crate::boot::Phase;
use crate::command::Answer;
use crate::context::{Ctx, Signal};
use crate::error::Rejected;
use crate::id::NodeId;
use crate::limits::RECENT_JOINERS_MAX;
use crate::time::Time;
use crate::wire::{Alive, Join, JoinAnswer, JoinEcho, Ping, Put as _, Record, Verdict};

/// A cookie is good in the window it was made in and the next one.
const COOKIE_WINDOW: Duration = Duration::from_secs(30);

/// Addresses to contact, and whom we let in lately.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Contacts {
    /// Given by the application: for ever.
    pub(super) seeds: Vec<Contact>,
    /// Given by an external source: until it says otherwise.
    pub(super) peers: Vec<Contact>,
    /// The most recent joiners, the latest last.
    joiners: VecDeque<NodeId>,
    secret: u64,
    /// Counts healings, from a random start: all Down members and silent seeds get their turn.
    turn: usize,
    goodbye: Option<Goodbye>,
}

/// An address to send Join to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Contact {
    pub(super) addr: SocketAddr,
    /// Who answered there last.
    member: NodeId,
    /// The number it told us to say, or 0: while it is good, a lost answer costs no further round trip.
    cookie: u64,
}

impl Contact {
    pub(super) const fn new(addr: SocketAddr) -> Self {
        Self { addr, member: NodeId::NOBODY, cookie: 0 }
    }
}

/// A leave under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Goodbye {
    seq: u32,
    acked: Vec<NodeId>,
    needed: usize,
}

impl Contacts {
    pub(super) fn new(secret: u64, turn: usize) -> Self {
        let (seeds, peers, joiners) = (Vec::new(), Vec::new(), VecDeque::new());
        Self { seeds, peers, joiners, secret, turn, goodbye: None }
    }

    fn all(&self) -> impl Iterator<Item = Contact> {
        self.seeds.iter().chain(&self.peers).copied()
    }

    /// Whether nobody but `own` is to be contacted.
    pub(super) fn only(&self, own: SocketAddr) -> bool {
        self.all().all(|contact| contact.addr == own)
    }

    fn has(&self, addr: SocketAddr) -> bool {
        self.all().any(|contact| contact.addr == addr)
    }

    fn update(&mut self, addr: SocketAddr, change: impl Fn(&mut Contact)) {
        let contacts = self.seeds.iter_mut().chain(&mut self.peers);
        contacts.filter(|contact| contact.addr == addr).for_each(change);
    }

    /// The number that a joiner must say from `to`: a keyed hash of who, where and when, so that nothing need be
    /// kept for a stranger (rule B10).
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

fn window(now: Time) -> u64 {
    now.as_nanos() / crate::time::nanos(COOKIE_WINDOW)
}

impl Membership {
    /// Contacts every seed until the first has answered; from then on healing does.
    pub(super) fn contact_seeds(&mut self, cx: &mut Ctx<'_>) {
        if self.joined {
            return;
        }
        let others: Vec<Contact> =
            self.contacts.all().filter(|contact| contact.addr != self.me.addr).collect();
        for contact in &others {
            self.send_join(contact.addr, contact.cookie, cx);
        }
        if !others.is_empty() {
            self.deadlines.arm(Timer::Join, cx.now + cx.config.membership.join_interval, cx.now);
        }
    }

    pub(super) fn send_join(&self, to: SocketAddr, cookie: u64, cx: &mut Ctx<'_>) {
        let record = self.me.record();
        let cluster = &cx.config.cluster;
        let mut letter = cx.letter(to, NodeId::NOBODY);
        let fits = letter.push(&Join { cookie, cluster, record: Record::trusted(&record) }.into());
        debug_assert!(fits, "the longest join fits the least mtu");
        letter.send_alone();
    }

    /// Somebody wants in. Without the right cookie it gets one, at the address that its record claims, and
    /// nothing is kept.
    pub(super) fn on_join(&mut self, source: &Source, join: &Join<'_>, cx: &mut Ctx<'_>) {
        if self.phase != Phase::Running {
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
        let claimed = join.record.addr();
        let to = if claimed.ip().is_unspecified() || claimed.port() == 0 { source.from } else { claimed };
        let now = window(cx.now);
        let good = [now, now.wrapping_sub(1)].map(|window| self.contacts.cookie(to, join.record, window));
        if claimed != to || !good.contains(&join.cookie) {
            let mut letter = cx.letter(to, source.sender);
            letter.push(&JoinEcho { cookie: good[0], seen: source.from }.into());
            return letter.send_alone();
        }
        let held = self.table.get(source.sender).map(Entry::incarnation);
        let source = Source { from: to, delta: false, ..*source };
        let mut reply = super::Reply::default();
        self.on_record(join.record, &source, &mut reply, cx);
        let Some(entry) = self.table.get(source.sender) else { return };
        let current = |record: Record<'_>| {
            record.boot() == join.record.boot() && record.incarnation() >= join.record.incarnation()
        };
        if entry.is_live() && entry.record().is_some_and(current) {
            self.let_in(&source, held.is_none(), cx);
        } else {
            self.turn_away(&source, cx);
        }
    }

    fn let_in(&mut self, source: &Source, new: bool, cx: &mut Ctx<'_>) {
        self.answer_join(source, cx);
        if new {
            self.contacts.joiners.retain(|id| *id != source.sender);
            if self.contacts.joiners.len() == RECENT_JOINERS_MAX {
                self.contacts.joiners.pop_front();
            }
            self.contacts.joiners.push_back(source.sender);
        }
        self.first_contact(source.sender, cx);
    }

    /// The joiner is known under a higher incarnation, or as gone: it has to go above that first (rule A4).
    fn turn_away(&self, source: &Source, cx: &mut Ctx<'_>) {
        let Some(entry) = self.table.get(source.sender) else { return };
        let (incarnation, state, removed) = (entry.incarnation(), entry.state(), entry.flags.removed);
        let boot = entry.boot().unwrap_or(0);
        let accused = crate::wire::Accused { incarnation, state, removed, boot };
        let mut letter = cx.letter(source.from, source.sender);
        letter.push(&accused.into());
        letter.send_alone();
    }

    /// The answer, the own record, and those of the most recent joiners that fit.
    fn answer_join(&self, source: &Source, cx: &mut Ctx<'_>) {
        let answer = JoinAnswer { seen: source.from, shared: self.me.shared(), members: self.group() };
        let mut letter = cx.letter(source.from, source.sender);
        letter.push(&answer.into());
        let recent = self.contacts.joiners.iter().rev().copied().filter(|id| *id != source.sender);
        for id in core::iter::once(self.me.id).chain(recent) {
            if let Some(record) = self.table.get(id).filter(|entry| entry.is_live()).and_then(Entry::record) {
                letter.push(&Alive(record).into());
            }
        }
        letter.send_alone();
    }

    /// Says the number back, from the address it came to; without an own address takes the one that was seen
    /// (rule A6).
    pub(super) fn on_join_echo(&mut self, from: SocketAddr, cookie: u64, seen: SocketAddr, cx: &mut Ctx<'_>) {
        if self.phase != Phase::Running || !self.contacts.has(from) {
            cx.stats.ignored_stranger += 1;
            return;
        }
        if self.me.addr.ip().is_unspecified() && !seen.ip().is_unspecified() && seen.port() != 0 {
            self.me.addr = seen;
            self.speak_up(cx);
            cx.out.notify(Notice::AddressLearnt { addr: seen });
        }
        self.contacts.update(from, |contact| contact.cookie = cookie);
        self.send_join(from, cookie, cx);
    }

    pub(super) fn on_join_answer(&mut self, source: &Source, answer: &JoinAnswer, cx: &mut Ctx<'_>) {
        if !self.contacts.has(source.from) {
            cx.stats.ignored_stranger += 1;
            return;
        }
        self.contacts.update(source.from, |contact| contact.member = source.sender);
        self.first_contact(source.sender, cx);
        if answer.members > 1 || self.group() > 2 {
            self.compare_with(source.sender, source.from, cx);
        }
    }

    pub(super) fn first_contact(&mut self, via: NodeId, cx: &mut Ctx<'_>) {
        if !self.joined {
            self.joined = true;
            self.deadlines.cancel(Timer::Join);
            cx.out.notify(Notice::Joined { via });
        }
    }

    /// Contacts one Down member, and one seed that is no live member's address, for ever (rule B8).
    pub(super) fn heal(&mut self, cx: &mut Ctx<'_>) {
        self.arm_heal(cx);
        self.contacts.turn = self.contacts.turn.wrapping_add(1);
        let turn = self.contacts.turn;
        if let Some((id, addr)) = self.table.choose_down(turn) {
            self.contact_down(id, addr, cx);
        }
        let silent: Vec<Contact> = self.contacts.all().filter(|contact| !self.is_answered(contact)).collect();
        if let Some(contact) = silent.get(turn % silent.len().max(1)) {
            self.send_join(contact.addr, contact.cookie, cx);
        }
    }

    /// Tells a Down member so, and who we are: it may have forgotten us, or never known.
    fn contact_down(&mut self, id: NodeId, addr: SocketAddr, cx: &mut Ctx<'_>) {
        let record = self.me.record();
        let ping = Ping { seq: self.prober.next_seq(), roots: self.roots(cx) }.into();
        let own = Alive(Record::trusted(&record)).into();
        match self.verdict_of(id, cx.now) {
            Some(verdict) => self.send(addr, id, &[own, verdict.into(), ping], cx),
            None => self.send(addr, id, &[own, ping], cx),
        }
    }

    /// Whether the address is ours, or that of a live member that has answered there.
    fn is_answered(&self, contact: &Contact) -> bool {
        let member = self.table.get(contact.member).filter(|entry| entry.is_live());
        contact.addr == self.me.addr || member.and_then(Entry::addr) == Some(contact.addr)
    }

    /// The next healing, within a tenth of the interval around it, so that a group does not heal in step.
    pub(super) fn arm_heal(&mut self, cx: &Ctx<'_>) {
        let interval = cx.config.membership.heal_interval;
        let jitter = self.rng.jitter(interval / 5);
        self.deadlines.arm(Timer::Heal, cx.now + interval * 9 / 10 + jitter, cx.now);
    }

    pub(crate) fn leave(&mut self, within: Duration, cx: &mut Ctx<'_>) -> Result<Answer, Rejected> {
        self.must_run()?;
        self.phase = Phase::Leaving;
        self.table.set_verdict(self.me.id, self.me.incarnation(), MemberState::Left, cx.now.as_nanos());
        self.deadlines.clear();
        self.sync.stop();
        cx.signals.push(Signal::Stopped);
        let needed = self.table.probed().min(cx.config.membership.leave_acks.into());
        let seq = self.prober.next_seq();
        self.contacts.goodbye = Some(Goodbye { seq, acked: Vec::new(), needed });
        self.updates.push(self.me.id);
        self.say_goodbye(cx);
        if needed == 0 || within.is_zero() {
            self.depart(needed == 0, cx);
        } else {
            self.deadlines.arm(Timer::Departure, cx.now + within, cx.now);
        }
        Ok(Answer::Done)
    }

    /// Tells random members that we go, until enough have acknowledged it.
    pub(super) fn say_goodbye(&mut self, cx: &mut Ctx<'_>) {
        let Some(Goodbye { seq, needed, .. }) = self.contacts.goodbye.clone() else { return };
        let (id, incarnation) = (self.me.id, self.me.incarnation());
        let verdict =
            Verdict { id, incarnation, state: MemberState::Left, removed: false, age: 0, author: id };
        let mut chosen = core::mem::take(&mut self.chosen);
        chosen.clear();
        self.table.choose(needed, id, &mut self.rng, &mut chosen);
        for helper in &chosen {
            if let Some(to) = self.table.get(*helper).and_then(Entry::addr) {
                let ping = Ping { seq, roots: self.roots(cx) }.into();
                self.send(to, *helper, &[verdict.into(), ping], cx);
            }
        }
        self.chosen = chosen;
        self.deadlines.arm(Timer::Leave, cx.now + cx.config.membership.gossip_interval, cx.now);
    }

    pub(super) fn answer_goodbye(&mut self, author: NodeId, seq: u32, cx: &mut Ctx<'_>) {
        let Some(goodbye) = self.contacts.goodbye.as_mut().filter(|goodbye| goodbye.seq == seq) else {
            return;
        };
        if !goodbye.acked.contains(&author) {
            goodbye.acked.push(author);
        }
        if goodbye.acked.len() >= goodbye.needed {
            self.depart(true, cx);
        }
    }

    pub(super) fn depart(&mut self, acknowledged: bool, cx: &mut Ctx<'_>) {
        self.contacts.goodbye = None;
        self.stop(Phase::Left, cx);
        cx.out.notify(Notice::Departed { acknowledged });
    }
}
