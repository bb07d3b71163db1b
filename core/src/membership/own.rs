//! This node's own record and incarnation, which no other node may change (rules A1–A3, A6, B12).

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::identity::{Identity, Reaction, Signed};
use super::name::Redraw;
use super::rules::{self, Claim, Visibility};
use super::table::Entry;
use super::updates::Update;
use super::{Membership, Reply, Source};
use crate::action::{MemberChange, Notice};
use crate::boot::{Boot, Phase};
use crate::config::Config;
use crate::context::{Ctx, Signal};
use crate::error::Misbehavior;
use crate::id::{Incarnation, NodeId, hash64};
use crate::id::{MemberState, Slot};
use crate::tags;
use crate::time::Time;
use crate::wire::{Accused, Record, RecordFields, Standing};

/// The content of the own record, and the identity of this process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Own {
    pub(super) id: NodeId,
    pub(super) identity: Identity,
    pub(super) addr: SocketAddr,
    pub(super) meta: Vec<u8>,
    /// The tags, as they stand in the record.
    pub(super) tags: Vec<u8>,
    name: String,
    zone: String,
    shared: u64,
    protocol: (u8, u8),
    epoch_serial: u64,
}

impl Own {
    pub(super) fn new(boot: Boot, epoch: u64, number: u64, config: &Config) -> Self {
        Self {
            id: boot.id,
            identity: Identity::new(epoch, number),
            addr: boot.addr,
            meta: boot.meta,
            tags: tags::encode(&boot.tags).expect("the boot was validated"),
            name: boot.name,
            zone: boot.zone,
            shared: config.shared_digest(),
            protocol: config.membership.protocol,
            epoch_serial: 0,
        }
    }

    pub(super) const fn incarnation(&self) -> Incarnation {
        self.identity.incarnation()
    }

    pub(super) const fn boot(&self) -> u64 {
        self.identity.rank().boot
    }

    pub(super) const fn shared(&self) -> u64 {
        self.shared
    }

    /// The bytes of the own record.
    pub(super) fn record(&self) -> Vec<u8> {
        let fields = RecordFields {
            id: self.id,
            incarnation: self.incarnation().published(),
            rank: self.identity.rank(),
            shared: self.shared,
            roster: 0,
            priority: 0,
            protocol: self.protocol,
            eligible: true,
            addr: self.addr,
            name: &self.name,
            zone: &self.zone,
            meta: &self.meta,
            tags: &self.tags,
        };
        fields.encode()
    }
}

impl Membership {
    /// Handles the state in which the sender holds this node (rule A4). If the sender is wrong, the answer contains the
    /// own record, as far as rule F6 allows it.
    pub(super) fn on_accused(
        &mut self,
        source: &Source,
        accused: &Accused,
        reply: &mut Reply,
        cx: &mut Ctx<'_>,
    ) {
        let Accused { incarnation, state, removed, boot } = *accused;
        if !self.is_credible_of_own(incarnation) {
            return cx.stats.count_misbehavior(Misbehavior::Incarnation);
        }
        let before = self.own.incarnation();
        if removed && incarnation == before && [0, self.own.boot()].contains(&boot) {
            return self.on_removed(cx);
        }
        if boot == 0 {
            self.on_unsigned(Claim::new(incarnation, state), cx);
        } else {
            let route = self.route(source, None);
            self.on_signed(Signed { boot, incarnation, rank: None, state, differs: false, route }, cx);
        }
        let believed = matches!(source.standing, Standing::Member | Standing::Validated);
        let now = self.own.incarnation();
        if now > before || (believed && incarnation < before) {
            let same = incarnation.published() == now.published();
            reply.own = Some(if same { Update::Verdict } else { Update::Record });
        }
    }

    /// Whether this node can be at this incarnation (rule A3).
    pub(super) fn is_credible_of_own(&self, incarnation: Incarnation) -> bool {
        incarnation.is_sane()
            && self.own.identity.is_credible(incarnation.epoch, self.own.incarnation().epoch)
    }

    /// Handles news of this node that names no process.
    pub(super) fn on_unsigned(&mut self, heard: Claim, cx: &mut Ctx<'_>) {
        let accuses = heard.state != MemberState::Alive;
        let met = self.contacts.joined;
        let reaction = self.own.identity.on_unsigned(heard.incarnation, accuses, met, cx.now);
        self.react(reaction, cx);
        self.go_on_asking(cx);
    }

    /// Handles news of this node that names its process.
    pub(super) fn on_signed(&mut self, news: Signed, cx: &mut Ctx<'_>) {
        if self.phase == Phase::Running {
            let mut reaction = self.own.identity.on_signed(news, self.own.addr, cx.now);
            // Before it has met a member, this process has published nothing that could fail. It is a former one that is
            // accused, even if its place in the table has the record of this one.
            if reaction == Reaction::Refute && !self.contacts.joined {
                reaction = Reaction::Jump(news.incarnation);
            }
            self.react(reaction, cx);
            self.go_on_asking(cx);
        }
    }

    /// Does what follows from news of the own id. A leaving node does nothing: by refuting it would undo its own leave
    /// (rule B12).
    pub(super) fn react(&mut self, reaction: Reaction, cx: &mut Ctx<'_>) {
        if self.phase != Phase::Running {
            return;
        }
        match reaction {
            Reaction::Nothing => {}
            Reaction::Refute => {
                cx.stats.refutations += 1;
                self.health.worsen(1, cx.config);
                self.refute(cx);
            }
            Reaction::Jump(heard) => self.jump(heard, cx),
            Reaction::Outrank { rival, above } => {
                self.tell_rival(rival, cx);
                if let Some(heard) = above {
                    self.jump(heard, cx);
                }
            }
            Reaction::Redraw { heard, below, route } => {
                self.ask_for_seed(Redraw { below, route, ..Redraw::new(heard, cx.now) }, cx);
            }
            Reaction::Stop { rival } => {
                cx.out.notify(Notice::IdentityConflict { other: rival, stopped: true });
                self.stop(Phase::Ended, cx);
            }
        }
    }

    /// Moves above an epoch of the own id that an earlier process has used for its data (rule A1).
    pub(crate) fn leave_epoch(&mut self, epoch: u64, cx: &mut Ctx<'_>) {
        if self.is_running() && epoch >= self.own.incarnation().epoch {
            self.jump(Incarnation::first(epoch), cx);
        }
    }

    /// Moves to an epoch above `heard` and publishes the own record.
    pub(super) fn jump(&mut self, heard: Incarnation, cx: &mut Ctx<'_>) {
        let random = self.draw(cx.now);
        if self.own.identity.jump(heard, random) {
            self.enter_epoch(cx);
            self.install_own_record(cx);
        }
    }

    /// Draws a random number that differs from what a copy of this process draws at another time or address.
    pub(super) fn draw(&mut self, now: Time) -> u64 {
        let mut bytes = [0; 34];
        bytes[..8].copy_from_slice(&self.rng.next_u64().to_le_bytes());
        bytes[8..16].copy_from_slice(&now.as_nanos().to_le_bytes());
        bytes[16..18].copy_from_slice(&self.own.addr.port().to_le_bytes());
        match self.own.addr.ip() {
            IpAddr::V4(ip) => bytes[18..22].copy_from_slice(&ip.octets()),
            IpAddr::V6(ip) => bytes[18..].copy_from_slice(&ip.octets()),
        }
        hash64(&bytes)
    }

    /// Says that this node lives at a higher incarnation. Its record stays as it is (rule B2), unless too many refutations were
    /// counted.
    fn refute(&mut self, cx: &mut Ctx<'_>) {
        let (before, now) = (self.own.incarnation(), self.own.incarnation().refuted());
        if now.published() != before.published() {
            return self.bump_incarnation(cx);
        }
        self.own.identity.refute();
        cx.link.set_incarnation(now);
        self.table.set_verdict(self.own.id, Claim::new(now, MemberState::Alive), cx.now.as_nanos());
        self.enqueue_update(self.own.id, Update::Verdict, cx);
        cx.out.notify(Notice::Reincarnated { incarnation: now });
    }

    /// Publishes the changed own record, at the next incarnation.
    pub(super) fn bump_incarnation(&mut self, cx: &mut Ctx<'_>) {
        let epoch = self.own.incarnation().epoch;
        self.own.identity.advance();
        if self.own.incarnation().epoch != epoch {
            self.enter_epoch(cx);
        }
        self.install_own_record(cx);
    }

    /// Puts the own record into the table and the own incarnation into every datagram, and spreads the record.
    fn install_own_record(&mut self, cx: &mut Ctx<'_>) {
        let id = self.own.id;
        self.hold_own_record(cx);
        self.enqueue_update(id, Update::Record, cx);
        cx.out.notify(Notice::Reincarnated { incarnation: self.own.incarnation() });
    }

    /// Puts the own record into the table, and the own incarnation into every datagram. The application is told if others
    /// see this node differently from now on.
    pub(super) fn hold_own_record(&mut self, cx: &mut Ctx<'_>) {
        let (id, incarnation, record) = (self.own.id, self.own.incarnation(), self.own.record());
        cx.link.set_incarnation(incarnation);
        self.table.set_verdict(id, Claim::new(incarnation, MemberState::Alive), cx.now.as_nanos());
        let held = self.table.get(id).and_then(Entry::record);
        let change = held.and_then(|held| rules::content_change(held, Record::trusted(&record)));
        self.table.set_content(id, &record, false);
        change.into_iter().for_each(|change| self.notify(id, change, cx));
    }

    /// Reports this node to its own application, now that it has its id.
    pub(super) fn announce_self(&mut self, cx: &mut Ctx<'_>) {
        self.table.set_visibility(self.own.id, Visibility::Announced);
        self.notify(self.own.id, MemberChange::Up, cx);
    }

    /// Holds this node as Left from now on, and reports it to its own application.
    pub(super) fn hold_self_left(&mut self, cx: &mut Ctx<'_>) {
        let left = Claim::new(self.own.incarnation(), MemberState::Left);
        self.table.set_verdict(self.own.id, left, cx.now.as_nanos());
        self.notify(self.own.id, MemberChange::Left, cx);
    }

    pub(super) fn enter_epoch(&mut self, cx: &mut Ctx<'_>) {
        self.store_epoch(cx);
        cx.signals.push(Signal::NewEpoch(self.own.incarnation().epoch));
    }

    /// Asks the driver to store the epoch, so that the next boot begins above it (rule A1).
    pub(super) fn store_epoch(&mut self, cx: &mut Ctx<'_>) {
        self.own.epoch_serial += 1;
        cx.out.store(Slot::Epoch, self.own.epoch_serial, &self.own.incarnation().epoch.to_le_bytes());
    }

    /// Stops, because an operator has removed this node (rule A7).
    pub(super) fn on_removed(&mut self, cx: &mut Ctx<'_>) {
        if self.phase == Phase::Running {
            self.hold_self_left(cx);
            cx.out.notify(Notice::Removed);
            self.stop(Phase::Ended, cx);
        }
    }
}
