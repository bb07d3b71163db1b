//! Taking the own id, and the questions between processes that use it (rules A2a, A2b and A2c).
//!
//! [`waiting`](super::waiting) and [`identity`](super::identity) decide; this file sends what they ask for, and does what
//! follows.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::identity::{Answer, NAME_ASK, Route, Signed, Step};
use super::rules::Visibility;
use super::sender::answer_room;
use super::table::Entry;
use super::waiting::{Next, Place, Waiting};
use super::{Membership, Source, Timer};
use crate::action::Notice;
use crate::boot::Phase;
use crate::command::Answer as Answered;
use crate::context::{Ctx, Signal};
use crate::error::{Misbehavior, Rejected};
use crate::id::{Incarnation, MemberState, NodeId, Rank};
use crate::limits::{NAME_RELAYS_MAX, RIVALS_TOLD_MAX};
use crate::reconcile::Partner;
use crate::rng::{Rng, Stream};
use crate::time::Time;
use crate::wire::{
    Accused, Ask, Claim, Datagram, Header, Holder, Message, NameState, Record, Standing, Swim,
};

/// The incarnation in the header of a process that waits for its id: it publishes none.
pub(super) const NO_INCARNATION: Incarnation = Incarnation { epoch: 0, counter: 0 };

/// The epochs from here on are refused while a process waits for its id, unless its own clock makes them credible (rule A3).
const WAITING_EPOCH_END: u64 = 1 << 62;

/// The time within which the application is told of at most [`RIVALS_TOLD_MAX`] other processes with the own id.
const RIVAL_PAUSE: Duration = Duration::from_secs(60);

/// The seniority in the question of a process that has not taken its id yet.
const NOT_TAKEN: u64 = u64::MAX;

/// The questions of other members that this node has passed on; the oldest is the first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct NameRelays {
    open: VecDeque<NameRelay>,
    /// Until this time no question is passed on: it may have waited with this node.
    void_until: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct NameRelay {
    id: NodeId,
    nonce: u64,
    asker: SocketAddr,
    until: Time,
}

/// What a node needs to go on after it has found a copy of itself, once its driver has given it a new seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Redraw {
    pub(super) heard: Incarnation,
    pub(super) below: Option<Rank>,
    pub(super) route: Route,
    /// The time at which the driver was asked.
    pub(super) since: Time,
    /// The time allowed for the leave that the application has asked for meanwhile.
    pub(super) leave: Option<Duration>,
}

/// The boots of other processes with the own id that the application need not be told of: it was told already, or they are
/// former ones of this process.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Rivals {
    known: VecDeque<(u64, Time)>,
}

impl Rivals {
    /// Notes a boot, in place of the oldest if there are too many. Returns false if it is known, or if all that are known
    /// are younger than a minute: so many processes of one id are invented.
    fn note(&mut self, boot: u64, now: Time) -> bool {
        if self.known.iter().any(|(known, _)| *known == boot) {
            return false;
        }
        if self.known.len() == RIVALS_TOLD_MAX {
            if self.known.front().is_some_and(|(_, at)| now.since(*at) < RIVAL_PAUSE) {
                return false;
            }
            self.known.pop_front();
        }
        self.known.push_back((boot, now));
        true
    }
}

impl Redraw {
    pub(super) const fn new(heard: Incarnation, now: Time) -> Self {
        Self { heard, below: None, route: Route { addr: None, via: None }, since: now, leave: None }
    }
}

impl NameRelays {
    /// Notes that this node is called late, so that whatever it reads now may be old (rule B7). Its asker repeats a question
    /// that is still open.
    pub(super) fn void(&mut self, now: Time) {
        self.void_until = now + NAME_ASK;
    }

    /// Whether a question that comes now may have waited with this node for longer than it is open.
    fn may_be_old(&self, now: Time) -> bool {
        now < self.void_until
    }

    /// Notes a question. Returns false if too many are open.
    fn open(&mut self, relay: NameRelay, now: Time) -> bool {
        self.open.retain(|open| open.until > now);
        if self.open.len() == NAME_RELAYS_MAX {
            return false;
        }
        self.open.push_back(relay);
        true
    }

    /// The address of the asker of this question.
    fn asker(&self, id: NodeId, nonce: u64, now: Time) -> Option<SocketAddr> {
        let is_it = |open: &&NameRelay| open.id == id && open.nonce == nonce && open.until > now;
        self.open.iter().find(is_it).map(|open| open.asker)
    }
}

impl Membership {
    /// Starts to wait for the id. Without an address to ask, the id is taken at once.
    pub(super) fn start_waiting(&mut self, cx: &mut Ctx<'_>) {
        self.phase = Phase::Waiting;
        self.contacts.begin(cx.now);
        cx.link.set_incarnation(NO_INCARNATION);
        self.waiting = Some(Waiting::new(cx.now));
        self.go_on_waiting(None, cx);
    }

    /// Takes the next steps of a process that waits. `seen` is the address at which a member has just seen it.
    pub(super) fn go_on_waiting(&mut self, seen: Option<SocketAddr>, cx: &mut Ctx<'_>) {
        loop {
            let nonce = self.draw(cx.now);
            let (own, boot) = ([self.own.addr, seen.unwrap_or(self.own.addr)], self.own.boot());
            let contacts: Vec<SocketAddr> =
                self.contacts.others(self.own.addr).map(|contact| contact.addr).collect();
            let Some(waiting) = &mut self.waiting else { return };
            let place = Place { own: &own, contacts: &contacts, boot, settings: &cx.config.membership };
            match waiting.step(place, cx.now, nonce) {
                Next::Sleep(until) => return self.deadlines.arm(Timer::Name, until, cx.now),
                Next::Poll => self.ask_contacts(cx),
                Next::Ask { to, nonce } => self.send_ask(to, self.own.id, nonce, cx),
                Next::TellHeld(Holder { addr, boot, incarnation, .. }) => {
                    cx.out.notify(Notice::NameHeld { addr, boot, incarnation });
                }
                Next::Take => return self.take_name(cx),
                Next::GiveUp(Holder { addr, boot, incarnation, .. }) => {
                    self.waiting = None;
                    cx.out.notify(Notice::NameTaken { addr, boot, incarnation });
                    return self.stop(Phase::Ended, cx);
                }
            }
        }
    }

    /// Asks every address that was given what is held of the own id: a Join without a cookie adds nothing to a table.
    fn ask_contacts(&mut self, cx: &mut Ctx<'_>) {
        let contacts: Vec<_> = self.contacts.others(self.own.addr).collect();
        contacts.iter().for_each(|contact| self.send_join(contact.addr, 0, cx));
    }

    /// Takes the id: from here on this node publishes its record.
    fn take_name(&mut self, cx: &mut Ctx<'_>) {
        let Some(waiting) = self.waiting.take() else { return };
        let (rejoins, number, random) = (self.has_published, self.draw(cx.now), self.draw(cx.now));
        let epoch = self.own.incarnation().epoch;
        if rejoins {
            self.own.identity.advance();
        }
        let above = waiting.heard().filter(|heard| *heard >= self.own.incarnation());
        if above.is_some_and(|heard| !self.own.identity.jump(heard, random)) {
            return self.stop(Phase::Ended, cx);
        }
        let held_by = waiting.holder().map_or(0, |holder| holder.boot);
        if held_by != 0 {
            // Questions of the process that had the id may still arrive.
            self.rivals.note(held_by, cx.now);
        }
        if rejoins && ![0, self.own.boot()].contains(&held_by) {
            self.own.identity.renew(number);
            cx.link.set_boot(number);
        }
        if !rejoins || self.own.boot() == number {
            self.own.identity.take(waiting.seniority());
        }
        self.phase = Phase::Running;
        self.contacts.since = cx.now;
        self.has_published = true;
        self.table.set_visibility(self.own.id, Visibility::Hidden);
        self.hold_own_record(cx);
        self.announce_self(cx);
        self.store_epoch(cx);
        if self.own.incarnation().epoch != epoch {
            cx.signals.push(Signal::NewEpoch(self.own.incarnation().epoch));
        }
        if rejoins || self.own.incarnation().epoch != epoch {
            cx.out.notify(Notice::Reincarnated { incarnation: self.own.incarnation() });
        }
        self.run(rejoins, cx);
        self.go_on_asking(cx);
    }

    /// Handles a datagram under the own id, and every datagram while this node waits for its id. Only the messages about the
    /// id itself, and the answers of the addresses that were asked, are used.
    pub(crate) fn on_name_datagram(
        &mut self,
        datagram: &Datagram<'_>,
        from: SocketAddr,
        len: usize,
        cx: &mut Ctx<'_>,
    ) {
        let header = &datagram.header;
        let source = Source {
            from,
            sender: header.sender,
            standing: Standing::Stale,
            delta: false,
            answers_join: false,
        };
        let is_own = header.sender == self.own.id;
        if is_own && !self.on_own_id(header, cx) {
            return;
        }
        let runs = is_own && header.incarnation != NO_INCARNATION;
        for (place, message) in datagram.messages.enumerate() {
            let alone = message.as_ref().is_ok_and(|message| message.kind().stands_alone());
            if alone && place > 0 {
                cx.stats.dropped_invalid += 1;
                continue;
            }
            match message {
                Ok(Message::Swim(Swim::Join(_))) if runs => self.answer_own_id(header, from, len, cx),
                Ok(Message::Swim(Swim::Join(join))) => self.on_join(&source, &join, cx),
                Ok(Message::Swim(Swim::JoinEcho(echo))) => self.on_join_echo(&source, echo, cx),
                Ok(Message::Swim(Swim::Ask(ask))) => self.on_ask(header.sender, from, ask, cx),
                Ok(Message::Swim(Swim::Claim(claim))) => self.on_claim(header.sender, from, claim, cx),
                Ok(_) => {}
                Err(error) => cx.stats.count_undecodable(error),
            }
            if alone || !self.is_listening() {
                return;
            }
        }
        if runs {
            self.answer_own_id(header, from, len, cx);
        }
    }

    /// Handles the header of a datagram under the own id: this process, a copy or a twin has sent it. Returns whether the
    /// messages of the datagram may be used. The source of the datagram can be forged, so it is no address to ask (rule F6).
    fn on_own_id(&mut self, header: &Header, cx: &mut Ctx<'_>) -> bool {
        let Header { boot, incarnation, .. } = *header;
        if boot == self.own.boot() && incarnation <= self.own.incarnation() {
            cx.stats.dropped_own += 1;
        } else if self.phase == Phase::Running && incarnation != NO_INCARNATION {
            if self.is_credible_of_own(incarnation) {
                let route = Route::default();
                let news = Signed {
                    boot,
                    incarnation,
                    rank: None,
                    state: MemberState::Alive,
                    differs: false,
                    route,
                };
                self.on_signed(news, cx);
            } else {
                cx.stats.count_misbehavior(Misbehavior::Incarnation);
            }
        }
        self.is_listening()
    }

    /// Where another process of the own id may be asked, of which `source` has told: nowhere, if the source can be forged (rule
    /// F6). A random member is asked then.
    pub(super) fn route(&self, source: &Source, addr: Option<SocketAddr>) -> Route {
        if source.standing == Standing::Validated || self.contacts.has(source.from) {
            Route { addr, via: Some(source.partner()) }
        } else {
            Route::default()
        }
    }

    /// Answers another process of the own id, which may know no other member, with a datagram that is not longer than its
    /// own: asks it whether it runs if this node is in doubt, or else tells it of the higher incarnation (rules A2b and A4).
    fn answer_own_id(&mut self, header: &Header, from: SocketAddr, len: usize, cx: &mut Ctx<'_>) {
        let Header { boot, incarnation, .. } = *header;
        let (id, own, boot_here) = (self.own.id, self.own.incarnation(), self.own.boot());
        if self.phase != Phase::Running || boot == boot_here {
            return;
        }
        let answer = match self.own.identity.question() {
            Some(nonce) => Message::from(self.question(nonce)),
            None if incarnation < own && self.may_accuse(id, cx) => {
                let state = MemberState::Alive;
                Accused { incarnation: own, state, removed: false, boot: boot_here }.into()
            }
            None => return,
        };
        let mut datagram = cx.datagram(from, id);
        datagram.limit(answer_room(len));
        if datagram.push(&answer) {
            datagram.send_alone();
        }
    }

    /// What this node holds of an id that somebody wants to take.
    pub(super) fn name_state(&self, id: NodeId, cx: &Ctx<'_>) -> NameState {
        // One that has just taken its id, and has not met the others yet, knows nothing.
        let meets_nobody = !self.contacts.joined && !self.contacts.only(self.own.addr);
        let is_new = cx.now < self.contacts.since + cx.config.membership.join_wait;
        if self.phase == Phase::Waiting || (meets_nobody && is_new) {
            return NameState::NotJoined;
        }
        let Some(entry) = self.table.get(id) else { return NameState::Unknown };
        let rank = entry.record().map(Record::rank);
        NameState::Held(Holder {
            state: entry.state(),
            incarnation: entry.incarnation(),
            boot: rank.map_or(0, |rank| rank.boot),
            seniority: rank.map_or(u64::MAX, |rank| rank.seniority),
            addr: entry.addr().unwrap_or(Holder::NOWHERE),
        })
    }

    /// Takes what a member holds of the own id.
    pub(super) fn on_name_state(
        &mut self,
        from: SocketAddr,
        seen: SocketAddr,
        name: NameState,
        cx: &mut Ctx<'_>,
    ) {
        let is_credible = match name {
            NameState::Held(Holder { incarnation, .. }) => {
                incarnation.is_sane()
                    && (incarnation.epoch < WAITING_EPOCH_END
                        || self.own.identity.is_credible(incarnation.epoch, 0))
            }
            NameState::NotJoined | NameState::Unknown => true,
        };
        if !is_credible {
            return cx.stats.count_misbehavior(Misbehavior::Incarnation);
        }
        if let Some(waiting) = &mut self.waiting {
            waiting.on_answer(from, name, cx.now);
            self.go_on_waiting(Some(seen), cx);
        }
    }

    fn question(&self, nonce: u64) -> Ask {
        let mut rank = self.own.identity.rank();
        if self.phase == Phase::Waiting {
            rank.seniority = NOT_TAKEN;
        }
        Ask { id: self.own.id, nonce, rank }
    }

    fn send_ask(&self, to: SocketAddr, receiver: NodeId, nonce: u64, cx: &mut Ctx<'_>) {
        let ask = self.question(nonce);
        let mut datagram = cx.datagram(to, receiver);
        datagram.push(&ask.into());
        datagram.send_alone();
    }

    /// Answers a question for the own id, or passes on the question of another member.
    pub(super) fn on_ask(&mut self, sender: NodeId, from: SocketAddr, ask: Ask, cx: &mut Ctx<'_>) {
        let Ask { id, nonce, .. } = ask;
        if self.phase != Phase::Running {
            return;
        }
        if id != self.own.id {
            return self.relay_ask(sender, from, ask, cx);
        }
        match self.own.identity.on_ask(nonce, cx.now) {
            Answer::Own(reaction) => {
                self.react(reaction, cx);
                self.go_on_asking(cx);
            }
            Answer::Claim => {
                if ask.rank.boot != self.own.boot() && ask.rank.seniority != NOT_TAKEN {
                    self.tell_rival(ask.rank.boot, cx);
                }
                let claim = Claim { id, nonce, rank: self.own.identity.rank() };
                let mut datagram = cx.datagram(from, sender);
                datagram.push(&claim.into());
                datagram.send_alone();
            }
        }
    }

    /// Tells the application once of each other process that runs under the own id.
    pub(super) fn tell_rival(&mut self, boot: u64, cx: &mut Ctx<'_>) {
        if self.rivals.note(boot, cx.now) {
            cx.out.notify(Notice::IdentityConflict { other: boot, stopped: false });
        }
    }

    /// Passes a member's question for its own id on to the address that this node holds for the id, unless another process
    /// may have the id since: then nobody is known to be there. A question that may be old is not passed on: its asker may
    /// have ended, and the process that has the id now would take it for another one that runs.
    fn relay_ask(&mut self, sender: NodeId, from: SocketAddr, ask: Ask, cx: &mut Ctx<'_>) {
        if self.name_relays.may_be_old(cx.now) {
            return;
        }
        let held = self.table.get(sender).filter(|entry| ask.id == sender && !entry.lacks_content());
        let Some(to) = held.and_then(Entry::addr) else { return };
        let relay = NameRelay { id: sender, nonce: ask.nonce, asker: from, until: cx.now + NAME_ASK };
        if !self.name_relays.open(relay, cx.now) {
            cx.stats.ignored_relays_full += 1;
            return;
        }
        let mut datagram = cx.datagram(to, sender);
        datagram.push(&ask.into());
        datagram.send_alone();
    }

    /// Takes the answer to a question of this node, or passes it on to the member that asked.
    pub(super) fn on_claim(&mut self, sender: NodeId, from: SocketAddr, claim: Claim, cx: &mut Ctx<'_>) {
        let Claim { id, nonce, rank } = claim;
        if id != self.own.id {
            let asker = self.name_relays.asker(id, nonce, cx.now).filter(|_| id == sender);
            let Some(to) = asker else { return };
            let mut datagram = cx.datagram(to, id);
            datagram.push(&claim.into());
            return datagram.send_alone();
        }
        if let Some(waiting) = &mut self.waiting {
            waiting.on_claim(nonce);
            return self.go_on_waiting(None, cx);
        }
        self.on_own_claim(nonce, rank, (sender == id).then_some(from), cx);
    }

    fn on_own_claim(&mut self, nonce: u64, rank: Rank, addr: Option<SocketAddr>, cx: &mut Ctx<'_>) {
        if self.phase == Phase::Running {
            let route = Route { addr, via: None };
            let reaction = self.own.identity.on_claim(nonce, rank, route, self.own.addr, cx.now);
            self.react(reaction, cx);
            self.go_on_asking(cx);
        }
    }

    /// Takes the next steps of a process that is in doubt whether another one runs under its id.
    pub(super) fn go_on_asking(&mut self, cx: &mut Ctx<'_>) {
        while self.phase == Phase::Running && self.redraw.is_none() {
            let nonce = self.draw(cx.now);
            match self.own.identity.step(cx.now, nonce) {
                Step::Sleep(until) => return self.deadlines.arm(Timer::Name, until, cx.now),
                Step::Done => return self.deadlines.cancel(Timer::Name),
                Step::Jump(heard) => self.jump(heard, cx),
                Step::Ask { nonce, route: Route { addr, via } } => {
                    if let Some(to) = addr {
                        self.send_ask(to, self.own.id, nonce, cx);
                    }
                    let via = via.or_else(|| if addr.is_none() { self.any_member() } else { None });
                    if let Some(via) = via {
                        self.send_ask(via.addr, via.id, nonce, cx);
                    }
                }
            }
        }
    }

    /// Asks whether this process is where the others reach its id (rule A2c): through a random member, which passes the
    /// question on to the address that it holds.
    pub(super) fn ask_self(&mut self, cx: &mut Ctx<'_>) {
        if self.phase != Phase::Running || self.awaits_seed() || self.own.addr.ip().is_unspecified() {
            return;
        }
        let Some(via) = self.any_member() else { return };
        let nonce = self.draw(cx.now);
        if let Some(nonce) = self.own.identity.ask_self(cx.now, nonce) {
            self.send_ask(via.addr, via.id, nonce, cx);
        }
    }

    /// A random other member.
    fn any_member(&mut self) -> Option<Partner> {
        let chosen = self.choose(1, self.own.id);
        let any = chosen.first().and_then(|id| Some(Partner { id: *id, addr: self.table.get(*id)?.addr()? }));
        self.chosen = chosen;
        any
    }

    /// Handles the deadline of a question.
    pub(super) fn on_name_due(&mut self, cx: &mut Ctx<'_>) {
        match self.phase {
            Phase::Waiting => self.go_on_waiting(None, cx),
            Phase::Idle | Phase::Running | Phase::Leaving | Phase::Left | Phase::Ended => {
                self.go_on_asking(cx)
            }
        }
    }

    /// Asks the driver for a new seed, because a copy of this process runs. Until it comes, nothing is sent: whatever this
    /// process drew, its copy could draw as well.
    pub(super) fn ask_for_seed(&mut self, redraw: Redraw, cx: &mut Ctx<'_>) {
        if self.redraw.is_none() {
            self.redraw = Some(redraw);
            cx.out.ask_for_seed();
        }
    }

    /// Whether this node sends nothing before its driver gives it a new seed.
    pub(crate) const fn awaits_seed(&self) -> bool {
        self.redraw.is_some()
    }

    /// Keeps a leave until the new seed is there: without it the leave would reach nobody.
    pub(crate) fn leave_later(&mut self, within: Duration) -> Result<Answered, Rejected> {
        let Some(redraw) = self.redraw.as_mut().filter(|redraw| redraw.leave.is_none()) else {
            return Err(Rejected::Leaving);
        };
        redraw.leave = Some(within);
        Ok(Answered::Done)
    }

    /// Goes on with new random numbers, under a new boot number (rule A2c). Returns the time allowed for a leave that has
    /// waited for it.
    pub(crate) fn on_seed(&mut self, seed: [u8; 32], cx: &mut Ctx<'_>) -> Option<Duration> {
        let number = Rng::new(seed, Stream::Boot).next_u64();
        self.rng = Rng::new(seed, Stream::Membership);
        let heard = self.own.incarnation();
        let redraw = self.redraw.take().unwrap_or_else(|| Redraw::new(heard, cx.now));
        if let Some(late) = self.health.on_late(cx.now.since(redraw.since), cx.config) {
            self.postpone_verdicts(late, cx);
        }
        cx.link.set_boot(number);
        // Questions under the former number may still come back.
        self.rivals.note(self.own.boot(), cx.now);
        if !self.has_published {
            self.own.identity.renew(number);
            return redraw.leave;
        }
        self.own.identity.redraw(number, redraw.below, redraw.route, cx.now);
        if self.phase == Phase::Running {
            self.jump(redraw.heard, cx);
            self.go_on_asking(cx);
        }
        redraw.leave
    }
}
