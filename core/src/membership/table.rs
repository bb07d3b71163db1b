//! The member table: the record and the state of every known member, this node included (rules B2–B5).
//!
//! The table is a slab of small entries. Beside the slab stand a hash index for look-ups, the ids in order for reading, a
//! shuffled order for probing, the fingerprint tree, counters, and the times at which tombstones expire. All of them change
//! in this file and nowhere else, and [`Table::check`] says what holds between them.
//!
//! An entry is a *member* once it has been live here, also after it has gone. A tombstone of an id that was never live
//! here is a *guard*. The two have limits of their own (rule B11).

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::rules::{Claim, Visibility};
use crate::collections::Lookup;
use crate::id::{Incarnation, MemberState, NodeId, hash64};
use crate::reconcile::Tree;
use crate::rng::Rng;
use crate::time::Time;
use crate::wire::Record;

#[cfg(test)]
mod tests;

/// One known member. While it is Down or Left the entry is a tombstone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) id: NodeId,
    /// The bytes of the member's record as they were received; empty if the record never came, or was given up.
    content: Box<[u8]>,
    epoch: u64,
    /// The boot of the process whose header has shown this incarnation; 0 if only others have told of it.
    heard_boot: u64,
    /// The boot of another process that has published a record with the number of the held one; 0 if there was none.
    other_boot: u64,
    counter: u32,
    state: MemberState,
    pub(super) flags: Flags,
    /// The time at which a live member was last heard. For a tombstone it is the time of the verdict, which may lie before
    /// the origin of time: the age of a tombstone is a wrapping difference (rule B3).
    stamp: u64,
    /// The time at which the entry reaches its next stage, if it has one.
    expiry: Option<Expiry>,
}

/// The time at which a tombstone, or an entry of a foreign member, may reach its next stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Expiry {
    at: Time,
    /// Whether the entry is listed in `Table::spare`, and there as Down.
    spare: Option<bool>,
}

/// The part of an entry that its state does not say. These combinations are legal, and [`Table::check`] holds them:
///
/// | | Alive, Suspect | Down | Left |
/// |---|---|---|---|
/// | `ordered` | unless `foreign`, or the entry of this node | no | no |
/// | `held_back` | no | yes or no | yes or no |
/// | `known` | yes | yes or no | yes or no |
/// | `removed` | no | no | yes or no |
/// | `foreign` | yes or no | yes or no | yes or no |
/// | `visibility` | any | not `Probation`, and not `Announced` if `held_back` | as for Down |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Flags {
    /// The member stands in the probe order.
    ordered: bool,
    /// The member has been live here, so its verdict is not given up before it is held back (rule B11).
    known: bool,
    /// The tombstone is older than half of `forget_after`: it is neither hashed nor spread nor shown, and is used only
    /// to answer an Alive that it overrides (rule B3).
    pub(super) held_back: bool,
    /// An operator has removed the member (rule A7).
    pub(super) removed: bool,
    /// The member uses no protocol version of this node: its record is held and relayed, but this node neither probes
    /// nor judges it, nor shows it (rule B5).
    pub(super) foreign: bool,
    pub(super) visibility: Visibility,
}

impl Entry {
    pub(super) const fn incarnation(&self) -> Incarnation {
        Incarnation { epoch: self.epoch, counter: self.counter }
    }

    pub(super) const fn state(&self) -> MemberState {
        self.state
    }

    pub(super) const fn claim(&self) -> Claim {
        Claim::new(self.incarnation(), self.state)
    }

    /// The member's record; `None` if it was never received, or if the tombstone is held back.
    pub(super) fn record(&self) -> Option<Record<'_>> {
        if self.flags.held_back { None } else { self.content() }
    }

    /// The record, or the part of it that a tombstone keeps for its address.
    fn content(&self) -> Option<Record<'_>> {
        if self.content.is_empty() { None } else { Some(Record::trusted(&self.content)) }
    }

    /// The random number of the process that published the record.
    pub(super) fn boot(&self) -> Option<u64> {
        self.content().map(Record::boot)
    }

    /// The boot of the process that was at the incarnation of this entry, if its record or its header has shown that; else 0.
    pub(super) fn process(&self) -> u64 {
        let record = self.record().filter(|record| record.incarnation() >= self.incarnation().published());
        if self.heard_boot == 0 { record.map_or(0, Record::boot) } else { self.heard_boot }
    }

    /// The process that the process `boot` must be told of: another one that was at this incarnation, if there was one.
    pub(super) fn process_beside(&self, boot: u64) -> u64 {
        let process = self.process();
        if process == boot && self.other_boot != 0 { self.other_boot } else { process }
    }

    /// Whether the process `boot` is the only one that is known to have been at this incarnation.
    pub(super) fn is_alone(&self, boot: u64) -> bool {
        self.boot() == Some(boot) && self.other_boot == 0
    }

    pub(super) fn addr(&self) -> Option<SocketAddr> {
        self.content().map(Record::addr)
    }

    /// Whether the member is Alive or Suspect.
    pub(super) const fn is_live(&self) -> bool {
        self.state.is_live()
    }

    /// Whether the entry is a tombstone of an id that was never live here.
    pub(super) const fn is_guard(&self) -> bool {
        !self.is_live() && !self.flags.known
    }

    /// Whether the member is Down and its address is known.
    fn is_down(&self) -> bool {
        self.state == MemberState::Down && !self.content.is_empty()
    }

    /// Whether the local view shows the member. One that the application has admitted while it was gone is shown when it
    /// returns.
    pub(super) fn is_shown(&self) -> bool {
        let is_told = self.is_live() || self.flags.visibility != Visibility::Admitted;
        self.is_visible() && self.record().is_some() && is_told
    }

    /// Whether the application may see the member's data.
    pub(super) const fn is_visible(&self) -> bool {
        !matches!(self.flags.visibility, Visibility::Hidden) && !self.flags.foreign
    }

    /// Whether the local view shows the member as alive or suspected.
    fn is_counted(&self) -> bool {
        self.shown_state().is_live() && self.is_shown()
    }

    /// The state in which the local view shows the member.
    pub(super) const fn shown_state(&self) -> MemberState {
        if self.is_on_probation() { MemberState::Down } else { self.state }
    }

    /// Whether the member is alive again and still shown as Down.
    pub(super) const fn is_on_probation(&self) -> bool {
        matches!(self.flags.visibility, Visibility::Probation)
    }

    /// Whether the record is missing, older than the incarnation at which the member is known, or of another process than
    /// the one that has shown that incarnation (rule B2).
    pub(super) fn lacks_content(&self) -> bool {
        self.record().is_none_or(|record| {
            record.incarnation() < self.incarnation().published()
                || self.heard_boot != 0 && self.heard_boot != record.boot()
        })
    }

    /// The time at which a live member was last heard.
    pub(super) const fn last_heard(&self) -> Time {
        Time::from_nanos(self.stamp)
    }

    /// The age of a tombstone's verdict, in nanoseconds.
    pub(super) const fn age(&self, now: Time) -> u64 {
        now.as_nanos().wrapping_sub(self.stamp)
    }

    /// The leaf in the fingerprint tree: the record, and the verdict of a tombstone that is still spread (rule B4).
    fn fingerprint(&self) -> Option<u64> {
        if self.flags.held_back {
            return None;
        }
        let content = hash64(&self.content);
        if self.is_live() {
            return Some(content);
        }
        let mut verdict = [0; 29];
        verdict[..8].copy_from_slice(&self.id.0.to_le_bytes());
        verdict[8..16].copy_from_slice(&content.to_le_bytes());
        verdict[16..24].copy_from_slice(&self.epoch.to_le_bytes());
        verdict[24..28].copy_from_slice(&self.counter.to_le_bytes());
        verdict[28] = u8::from(self.state == MemberState::Left) | u8::from(self.flags.removed) << 1;
        Some(hash64(&verdict))
    }
}

/// All known members.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Table {
    /// The id of this node.
    own: NodeId,
    slab: Vec<Option<Entry>>,
    vacant: Vec<u32>,
    index: Lookup<NodeId, u32>,
    by_id: Vec<u32>,
    /// The order in which the members are probed.
    order: Vec<u32>,
    cursor: usize,
    tree: Tree,
    /// The number of tombstones.
    terminal: usize,
    /// The number of tombstones of ids that were never live here.
    guards: usize,
    /// The number of members that the local view shows as alive or suspected.
    shown: usize,
    /// The times at which tombstones, and entries of foreign members, may reach their next stage; one for each entry at
    /// most.
    expiries: BTreeSet<(Time, NodeId)>,
    /// The members whose tombstones are held back, in the order in which they are forgotten if room is needed: Left ones
    /// before Down ones, and of those the one that expires first.
    spare: BTreeSet<(bool, Time, NodeId)>,
    /// The Down members whose address is known.
    down: BTreeSet<NodeId>,
}

impl Table {
    /// The empty table of the node `own`; `key` is the secret key of the index.
    pub(super) fn new(own: NodeId, key: u64) -> Self {
        Self {
            own,
            slab: Vec::new(),
            vacant: Vec::new(),
            index: Lookup::new(key),
            by_id: Vec::new(),
            order: Vec::new(),
            cursor: 0,
            tree: Tree::new(),
            terminal: 0,
            guards: 0,
            shown: 0,
            expiries: BTreeSet::new(),
            spare: BTreeSet::new(),
            down: BTreeSet::new(),
        }
    }

    pub(super) fn get(&self, id: NodeId) -> Option<&Entry> {
        let slot = *self.index.get(&id)?;
        Some(self.at(slot))
    }

    fn at(&self, slot: u32) -> &Entry {
        self.slab[slot as usize].as_ref().expect(INDEXED)
    }

    /// Changes an entry, and updates the counters.
    fn edit<T>(&mut self, id: NodeId, change: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let slot = *self.index.get(&id)?;
        let entry = self.slab[slot as usize].as_mut().expect(INDEXED);
        let (was_live, was_guard, was_counted) = (entry.is_live(), entry.is_guard(), entry.is_counted());
        let was_down = entry.is_down();
        let result = change(entry);
        entry.flags.known |= entry.is_live();
        self.terminal = self.terminal + usize::from(was_live) - usize::from(entry.is_live());
        self.guards = self.guards + usize::from(entry.is_guard()) - usize::from(was_guard);
        self.shown = self.shown + usize::from(entry.is_counted()) - usize::from(was_counted);
        if was_down != entry.is_down() {
            if was_down {
                self.down.remove(&id)
            } else {
                self.down.insert(id)
            };
        }
        Some(result)
    }

    /// All entries, by id.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.by_id.iter().map(|slot| self.at(*slot))
    }

    pub(super) const fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The number of members that are alive or suspected, this node included while it runs.
    pub(super) fn live(&self) -> usize {
        self.by_id.len() - self.terminal
    }

    /// The number of members that the local view shows as alive or suspected, this node included while it runs.
    pub(super) const fn shown(&self) -> usize {
        self.shown
    }

    /// The number of entries that are live or have been live, this node included.
    pub(super) fn members(&self) -> usize {
        self.by_id.len() - self.guards
    }

    /// The number of tombstones of ids that were never live here.
    pub(super) const fn guards(&self) -> usize {
        self.guards
    }

    /// The number of members that can be probed: alive or suspected others within the protocol range.
    pub(super) fn probed(&self) -> usize {
        self.order.len()
    }

    /// Adds an entry without a record. The caller has made sure that the id is new.
    pub(super) fn insert(&mut self, id: NodeId, claim: Claim, stamp: u64) {
        let Claim { incarnation: Incarnation { epoch, counter }, state } = claim;
        let flags = Flags { known: state.is_live(), ..Flags::default() };
        let entry = Entry {
            id,
            content: Box::default(),
            epoch,
            heard_boot: 0,
            other_boot: 0,
            counter,
            state,
            flags,
            stamp,
            expiry: None,
        };
        grow(&mut self.slab);
        grow(&mut self.by_id);
        grow(&mut self.order);
        let slot = match self.vacant.pop() {
            Some(slot) => {
                self.slab[slot as usize] = Some(entry);
                slot
            }
            None => {
                self.slab.push(Some(entry));
                u32::try_from(self.slab.len() - 1).expect("members_max and tombstones_max are below 2²¹")
            }
        };
        let before = self.index.insert(id, slot);
        assert!(before.is_none(), "an id is added once");
        let place = self.by_id.partition_point(|other| self.at(*other).id < id);
        self.by_id.insert(place, slot);
        self.terminal += usize::from(!state.is_live());
        self.guards += usize::from(!state.is_live());
        self.hash(id);
    }

    /// Replaces the record, and notes whether the member uses a protocol version of this node.
    pub(super) fn set_content(&mut self, id: NodeId, bytes: &[u8], foreign: bool) {
        let regrouped = self.edit(id, |entry| {
            let replaced = entry.content().map(|held| (held.incarnation(), held.boot()));
            if let Some((incarnation, boot)) = replaced {
                let record = Record::trusted(bytes);
                if incarnation == record.incarnation() && boot != record.boot() {
                    entry.other_boot = boot;
                }
            }
            if entry.content.len() == bytes.len() {
                entry.content.copy_from_slice(bytes);
            } else {
                entry.content = bytes.into();
            }
            core::mem::replace(&mut entry.flags.foreign, foreign) != foreign
        });
        self.hash(id);
        if regrouped == Some(true) {
            self.regroup(id);
        }
    }

    /// Replaces the state and the incarnation, and all that depends on them.
    pub(super) fn set_verdict(&mut self, id: NodeId, claim: Claim, stamp: u64) {
        let stays_live = self.edit(id, |entry| {
            let was_live = entry.is_live();
            // A removal is part of one verdict and does not carry over to the next. The next one is young and is spread.
            if entry.claim() != claim {
                entry.flags.removed = false;
                // The rest of a record that a held-back tombstone has kept serves for its address only.
                if core::mem::take(&mut entry.flags.held_back) {
                    entry.content = Box::default();
                }
            }
            if entry.incarnation() != claim.incarnation {
                entry.heard_boot = 0;
            }
            if entry.incarnation().published() != claim.incarnation.published() {
                entry.other_boot = 0;
            }
            Incarnation { epoch: entry.epoch, counter: entry.counter } = claim.incarnation;
            entry.state = claim.state;
            entry.stamp = stamp;
            was_live && entry.is_live()
        });
        // A live member does not expire, unless nobody of this protocol range judges it.
        match self.get(id).and_then(|entry| Some((entry.is_live() && !entry.flags.foreign, entry.expiry?.at)))
        {
            Some((true, _)) => self.clear_expiry(id),
            Some((false, at)) => self.expire_at(id, at),
            None => {}
        }
        // The leaf of a live member is its record alone, so the tree need not change.
        if stays_live == Some(false) {
            self.hash(id);
            self.regroup(id);
        }
    }

    /// Notes the process whose header has shown the incarnation of the entry.
    pub(super) fn set_heard_boot(&mut self, id: NodeId, boot: u64) {
        self.edit(id, |entry| entry.heard_boot = boot);
    }

    /// Marks a Left as an operator's removal.
    pub(super) fn set_removed(&mut self, id: NodeId) {
        self.edit(id, |entry| entry.flags.removed = true);
        self.hash(id);
    }

    pub(super) fn set_visibility(&mut self, id: NodeId, visibility: Visibility) {
        self.edit(id, |entry| entry.flags.visibility = visibility);
    }

    /// Stops sharing a tombstone. Its record is dropped, except for the address of a Down member, which healing needs
    /// (rules B3 and B11).
    pub(super) fn hold_back(&mut self, id: NodeId) {
        self.edit(id, |entry| {
            let bare = entry.content().filter(|_| entry.state == MemberState::Down).map(Record::bare);
            entry.content = bare.map(Into::into).unwrap_or_default();
            entry.flags.held_back = true;
            if entry.flags.visibility == Visibility::Announced {
                entry.flags.visibility = Visibility::Admitted;
            }
        });
        self.hash(id);
    }

    /// Notes that a live member was heard. Returns `None` if the member is not live, and otherwise the address in its
    /// record, if the record is known.
    pub(super) fn heard(&mut self, id: NodeId, now: Time) -> Option<Option<SocketAddr>> {
        let slot = *self.index.get(&id)?;
        let entry = self.slab[slot as usize].as_mut().filter(|entry| entry.is_live())?;
        entry.stamp = now.as_nanos();
        Some(entry.addr())
    }

    /// Removes an entry.
    pub(super) fn remove(&mut self, id: NodeId) {
        self.clear_expiry(id);
        let Some(slot) = self.index.remove(&id) else { return };
        self.leave_order(slot);
        let entry = self.slab[slot as usize].take().expect(INDEXED);
        self.vacant.push(slot);
        self.by_id.retain(|other| *other != slot);
        self.tree.set(id, None);
        self.terminal -= usize::from(!entry.is_live());
        self.guards -= usize::from(entry.is_guard());
        self.shown -= usize::from(entry.is_counted());
        self.down.remove(&id);
    }

    /// Updates the fingerprint of an entry in the tree.
    fn hash(&mut self, id: NodeId) {
        if let Some(fingerprint) = self.get(id).map(Entry::fingerprint) {
            self.tree.set(id, fingerprint);
        }
    }

    /// Removes a member from the probe order if it must no longer be probed.
    fn regroup(&mut self, id: NodeId) {
        let Some(slot) = self.index.get(&id).copied() else { return };
        let entry = self.at(slot);
        if !entry.is_live() || entry.flags.foreign {
            self.leave_order(slot);
        }
    }

    fn leave_order(&mut self, slot: u32) {
        let Some(entry) = self.slab[slot as usize].as_mut() else { return };
        if !core::mem::take(&mut entry.flags.ordered) {
            return;
        }
        if let Some(place) = self.order.iter().position(|other| *other == slot) {
            self.order.remove(place);
            self.cursor -= usize::from(place < self.cursor);
        }
    }

    /// Gives a member that is to be probed a random place in the order (SWIM §4.3).
    pub(super) fn enter_order(&mut self, id: NodeId, rng: &mut Rng) {
        let Some(slot) = self.index.get(&id).copied() else { return };
        let Some(entry) = self.slab[slot as usize].as_mut() else { return };
        if id == self.own || !entry.is_live() || entry.flags.foreign || entry.flags.ordered {
            return;
        }
        entry.flags.ordered = true;
        let place = rng.below(self.order.len() + 1);
        self.order.insert(place, slot);
        self.cursor += usize::from(place < self.cursor);
    }

    /// The next member to probe: round-robin, shuffled anew each time around, so that two probes of one member
    /// are at most 2n − 1 periods apart (SWIM §4.3).
    pub(super) fn next_probed(&mut self, rng: &mut Rng) -> Option<NodeId> {
        if self.cursor >= self.order.len() {
            rng.shuffle(&mut self.order);
            self.cursor = 0;
        }
        let slot = *self.order.get(self.cursor)?;
        self.cursor += 1;
        Some(self.at(slot).id)
    }

    /// The next member in the order of ids that can be probed, after this node and round to it again.
    pub(super) fn next_on_ring(&self) -> Option<NodeId> {
        let place = self.by_id.partition_point(|slot| self.at(*slot).id <= self.own);
        let (before, after) = self.by_id.split_at(place);
        let mut entries = after.iter().chain(before).map(|slot| self.at(*slot));
        entries.find(|entry| entry.flags.ordered).map(|entry| entry.id)
    }

    /// Appends to `chosen` up to `count` distinct members that can be probed, none of them `except`.
    pub(super) fn choose(&self, count: usize, except: NodeId, rng: &mut Rng, chosen: &mut Vec<NodeId>) {
        self.choose_where(count, rng, chosen, |entry| entry.id != except);
    }

    /// Appends to `chosen` up to `count` distinct members that can be probed and for which `welcome` is true.
    pub(super) fn choose_where(
        &self,
        count: usize,
        rng: &mut Rng,
        chosen: &mut Vec<NodeId>,
        welcome: impl Fn(&Entry) -> bool,
    ) {
        let start = chosen.len();
        // With few members a draw often repeats. With this number of tries a member is left out less than once in a
        // thousand.
        for _ in 0..count * 8 + 8 {
            if chosen.len() - start == count || self.order.is_empty() {
                return;
            }
            let entry = self.at(self.order[rng.below(self.order.len())]);
            if welcome(entry) && !chosen[start..].contains(&entry.id) {
                chosen.push(entry.id);
            }
        }
    }

    /// The Down member whose turn it is, among those whose address is known, and this address. The members take turns in
    /// the order of their ids.
    pub(super) fn choose_down(&self, turn: usize) -> Option<(NodeId, SocketAddr)> {
        let id = self.down.iter().nth(turn % self.down.len().max(1))?;
        Some((*id, self.get(*id)?.addr()?))
    }

    /// Makes [`Table::pop_expiry`] return the entry at the time `at`, and not at the time that was set before.
    pub(super) fn expire_at(&mut self, id: NodeId, at: Time) {
        self.clear_expiry(id);
        let expiry = self.edit(id, |entry| {
            let is_spare = entry.flags.held_back && entry.flags.known;
            let expiry = Expiry { at, spare: is_spare.then_some(entry.state == MemberState::Down) };
            *entry.expiry.insert(expiry)
        });
        let Some(Expiry { at, spare }) = expiry else { return };
        self.expiries.insert((at, id));
        if let Some(is_down) = spare {
            self.spare.insert((is_down, at, id));
        }
    }

    fn clear_expiry(&mut self, id: NodeId) {
        let expiry = self.edit(id, |entry| entry.expiry.take()).flatten();
        let Some(Expiry { at, spare }) = expiry else { return };
        self.expiries.remove(&(at, id));
        if let Some(is_down) = spare {
            self.spare.remove(&(is_down, at, id));
        }
    }

    pub(super) fn next_expiry(&self) -> Option<Time> {
        self.expiries.first().map(|(at, _)| *at)
    }

    /// Removes and returns an entry whose expiry has come.
    pub(super) fn pop_expiry(&mut self, now: Time) -> Option<NodeId> {
        let (at, id) = self.expiries.first().copied()?;
        if at > now {
            return None;
        }
        self.clear_expiry(id);
        Some(id)
    }

    /// The member to forget if room is needed for a new one: only one whose tombstone is held back (rule B11).
    pub(super) fn first_to_spare(&self) -> Option<NodeId> {
        self.spare.first().map(|(_, _, id)| *id)
    }

    /// Checks the invariants between the parts of the table.
    pub(super) fn check(&self) {
        assert_eq!(self.by_id.len(), self.index.len(), "every entry is indexed");
        assert!(self.by_id.is_sorted_by_key(|slot| self.at(*slot).id), "the ids are in order");
        let terminal = self.iter().filter(|entry| !entry.is_live()).count();
        assert_eq!(terminal, self.terminal, "tombstones are counted");
        let guards = self.iter().filter(|entry| entry.is_guard()).count();
        assert_eq!(guards, self.guards, "guards are counted");
        let dated = |entry: &&Entry| {
            entry.expiry.is_some_and(|expiry| self.expiries.contains(&(expiry.at, entry.id)))
        };
        assert_eq!(self.iter().filter(dated).count(), self.expiries.len(), "an entry expires once");
        let is_spare = |entry: &&Entry| entry.expiry.is_some_and(|expiry| expiry.spare.is_some());
        let spare: Vec<&Entry> = self.iter().filter(is_spare).collect();
        assert_eq!(spare.len(), self.spare.len(), "what may be given up early is listed once");
        assert!(
            spare.iter().all(|entry| entry.flags.held_back),
            "only what is held back may be given up early"
        );
        assert!(
            self.iter().filter(|entry| entry.is_down()).map(|entry| &entry.id).eq(&self.down),
            "the Down members are listed"
        );
        let shown = self.iter().filter(|entry| entry.is_counted()).count();
        assert_eq!(shown, self.shown, "the members of the local view are counted");
        let ordered = self.iter().filter(|entry| entry.flags.ordered).count();
        assert_eq!(ordered, self.order.len(), "the probe order holds nobody else");
        assert!(self.cursor <= self.order.len(), "the cursor is within the order");
        let mut hashed = 0;
        for entry in self.iter() {
            let (id, state, flags) = (entry.id, entry.state, entry.flags);
            assert_eq!(self.tree.get(id), entry.fingerprint(), "the tree has the leaf of {id}");
            hashed += usize::from(!flags.held_back);
            let older = entry.record().is_none_or(|record| record.incarnation() <= entry.incarnation());
            assert!(older, "no record of {id} is newer than its verdict");
            let probed = entry.is_live() && !flags.foreign && id != self.own;
            assert_eq!(flags.ordered, probed, "{id} is in the probe order if it is to be probed");
            assert!(!flags.held_back || !entry.is_live(), "{id} is a tombstone if it is held back");
            assert!(flags.known || !entry.is_live(), "{id} is known if it is live");
            assert!(!flags.removed || state == MemberState::Left, "{id} has left if it was removed");
            let announced = flags.visibility == Visibility::Announced;
            assert!(!flags.held_back || !announced, "{id} is announced anew if it is held back");
            assert!(!entry.is_on_probation() || entry.is_live(), "{id} is live if it is on probation");
        }
        assert_eq!(hashed, self.tree.len(), "the tree holds nobody else");
    }
}

/// Makes room for one more element by a quarter rather than by doubling: tables are large, and a large table grows
/// slowly.
fn grow<T>(vec: &mut Vec<T>) {
    if vec.len() == vec.capacity() {
        vec.reserve_exact(vec.len() / 4 + 16);
    }
}

const INDEXED: &str = "a slot that is listed holds an entry";
