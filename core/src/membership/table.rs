//! The member table: content and verdict of everyone known, oneself included (rules B2–B5).
//!
//! A slab of small entries; beside it a hash index for look-ups, the ids in order for reading, a shuffled order
//! for probing, the fingerprint tree, and the times at which terminal entries fade. All of them change here and
//! nowhere else, and [`Table::check`] says what holds between them.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::action::MemberState;
use crate::collections::Lookup;
use crate::id::{Incarnation, NodeId, hash64};
use crate::reconcile::Tree;
use crate::rng::Rng;
use crate::time::Time;
use crate::wire::Record;

/// What is known of a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) id: NodeId,
    /// The record as received. Empty for a guard: a verdict about somebody whose record never came, or has been
    /// given up because the entry has faded.
    content: Box<[u8]>,
    epoch: u64,
    counter: u32,
    state: MemberState,
    pub(super) flags: Flags,
    /// When it was last heard, while alive or suspected. Of a terminal entry the moment of the verdict, which
    /// may lie before the origin of time: its age is a wrapping difference (rule B3).
    stamp: u64,
}

/// Booleans of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Flags {
    /// Of a Left: an operator's word.
    pub(super) removed: bool,
    /// The application has vetoed it, or has not answered yet.
    pub(super) hidden: bool,
    /// The application has let it in.
    pub(super) admitted: bool,
    /// The application has been told of it.
    pub(super) announced: bool,
    /// Past half its life: not hashed, not offered, not shown (rule B3).
    pub(super) faded: bool,
    /// It speaks no protocol version of ours: held and relayed, not probed and not judged (rule B5).
    pub(super) foreign: bool,
    /// It stands in the probe order.
    ordered: bool,
}

impl Entry {
    pub(super) const fn incarnation(&self) -> Incarnation {
        Incarnation { epoch: self.epoch, counter: self.counter }
    }

    pub(super) const fn state(&self) -> MemberState {
        self.state
    }

    pub(super) fn record(&self) -> Option<Record<'_>> {
        if self.content.is_empty() || self.flags.faded { None } else { Some(Record::trusted(&self.content)) }
    }

    /// The process that its record stems from.
    pub(super) fn boot(&self) -> Option<u64> {
        if self.content.is_empty() { None } else { Some(Record::trusted(&self.content).boot()) }
    }

    pub(super) fn addr(&self) -> Option<SocketAddr> {
        if self.content.is_empty() { None } else { Some(Record::trusted(&self.content).addr()) }
    }

    pub(super) fn is_live(&self) -> bool {
        matches!(self.state, MemberState::Alive | MemberState::Suspect)
    }

    /// Whether the local view shows it.
    pub(super) fn is_shown(&self) -> bool {
        self.is_visible() && self.record().is_some()
    }

    /// Whether the application may see the member's data.
    pub(super) const fn is_visible(&self) -> bool {
        !self.flags.hidden && !self.flags.foreign
    }

    /// Whether its content is older than what is known of its incarnation (rule B2).
    pub(super) fn lacks_content(&self) -> bool {
        self.record().is_none_or(|record| record.incarnation() < self.incarnation())
    }

    pub(super) const fn last_heard(&self) -> Time {
        Time::from_nanos(self.stamp)
    }

    /// How long ago the verdict of a terminal entry was passed, in nanoseconds.
    pub(super) const fn age(&self, now: Time) -> u64 {
        now.as_nanos().wrapping_sub(self.stamp)
    }

    /// The leaf in the fingerprint tree (rule B4): content, and the verdict if it is a young terminal one.
    fn fingerprint(&self) -> Option<u64> {
        if self.flags.faded {
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

/// Everyone known.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Table {
    me: NodeId,
    slab: Vec<Option<Entry>>,
    vacant: Vec<u32>,
    index: Lookup<NodeId, u32>,
    by_id: Vec<u32>,
    order: Vec<u32>,
    cursor: usize,
    tree: Tree,
    terminal: usize,
    fades: BTreeSet<(Time, NodeId)>,
}

impl Table {
    pub(super) fn new(me: NodeId, key: u64) -> Self {
        Self {
            me,
            slab: Vec::new(),
            vacant: Vec::new(),
            index: Lookup::new(key),
            by_id: Vec::new(),
            order: Vec::new(),
            cursor: 0,
            tree: Tree::new(),
            terminal: 0,
            fades: BTreeSet::new(),
        }
    }

    pub(super) fn get(&self, id: NodeId) -> Option<&Entry> {
        let slot = *self.index.get(&id)?;
        Some(self.at(slot))
    }

    fn at(&self, slot: u32) -> &Entry {
        self.slab[slot as usize].as_ref().expect(INDEXED)
    }

    fn get_mut(&mut self, id: NodeId) -> Option<&mut Entry> {
        let slot = *self.index.get(&id)?;
        self.slab[slot as usize].as_mut()
    }

    /// Everyone, by id.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.by_id.iter().map(|slot| self.at(*slot))
    }

    pub(super) const fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Alive and suspected, oneself included while one runs.
    pub(super) fn live(&self) -> usize {
        self.by_id.len() - self.terminal
    }

    /// Down and Left.
    pub(super) const fn terminal(&self) -> usize {
        self.terminal
    }

    /// Members that can be probed: alive or suspected others within the protocol range.
    pub(super) fn probed(&self) -> usize {
        self.order.len()
    }

    /// Adds somebody. The caller has made sure that the id is new.
    pub(super) fn insert(&mut self, id: NodeId, incarnation: Incarnation, state: MemberState, now: Time) {
        let Incarnation { epoch, counter } = incarnation;
        let (content, flags, stamp) = (Box::default(), Flags::default(), now.as_nanos());
        let entry = Entry { id, content, epoch, counter, state, flags, stamp };
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
        self.terminal += usize::from(!matches!(state, MemberState::Alive | MemberState::Suspect));
        self.hash(id);
    }

    /// Replaces the content, and with it whether the member speaks a protocol version of ours.
    pub(super) fn set_content(&mut self, id: NodeId, bytes: &[u8], foreign: bool) {
        let Some(entry) = self.get_mut(id) else { return };
        if entry.content.len() == bytes.len() {
            entry.content.copy_from_slice(bytes);
        } else {
            entry.content = bytes.into();
        }
        let regrouped = entry.flags.foreign != foreign;
        entry.flags.foreign = foreign;
        self.hash(id);
        if regrouped {
            self.regroup(id);
        }
    }

    /// Replaces the verdict; what hangs on the state follows.
    pub(super) fn set_verdict(
        &mut self,
        id: NodeId,
        incarnation: Incarnation,
        state: MemberState,
        stamp: u64,
    ) {
        let Some(entry) = self.get_mut(id) else { return };
        let was_live = entry.is_live();
        Incarnation { epoch: entry.epoch, counter: entry.counter } = incarnation;
        entry.state = state;
        entry.stamp = stamp;
        let is_live = entry.is_live();
        // The leaf of a live member holds its content alone.
        if was_live && is_live {
            return;
        }
        if is_live {
            entry.flags.removed = false;
            // What is left of a faded entry's content is good for an address and nothing else.
            if core::mem::take(&mut entry.flags.faded) {
                entry.content = Box::default();
            }
        }
        self.terminal = self.terminal + usize::from(was_live) - usize::from(is_live);
        self.hash(id);
        self.regroup(id);
    }

    /// Marks a Left as an operator's word.
    pub(super) fn set_removed(&mut self, id: NodeId) {
        if let Some(entry) = self.get_mut(id) {
            entry.flags.removed = true;
        }
        self.hash(id);
    }

    /// Hides a member from the application, or shows it, and then for good.
    pub(super) fn set_hidden(&mut self, id: NodeId, hidden: bool) {
        if let Some(entry) = self.get_mut(id) {
            entry.flags.hidden = hidden;
            entry.flags.admitted |= !hidden;
        }
    }

    /// Notes whether the application knows of a member.
    pub(super) fn set_announced(&mut self, id: NodeId, announced: bool) {
        if let Some(entry) = self.get_mut(id) {
            entry.flags.announced = announced;
        }
    }

    /// Lets a terminal entry fade: of its content only the address of a Down member stays, for healing
    /// (rules B3 and B11).
    pub(super) fn fade(&mut self, id: NodeId) {
        if let Some(entry) = self.get_mut(id) {
            entry.flags.faded = true;
            entry.flags.announced = false;
            let down = entry.state == MemberState::Down && !entry.content.is_empty();
            entry.content = if down { Record::trusted(&entry.content).bare().into() } else { Box::default() };
        }
        self.hash(id);
    }

    /// Notes that a live member was heard, and returns its address, if its record says one. Nothing for others.
    pub(super) fn heard(&mut self, id: NodeId, now: Time) -> Option<Option<SocketAddr>> {
        let entry = self.get_mut(id).filter(|entry| entry.is_live())?;
        entry.stamp = now.as_nanos();
        Some(entry.addr())
    }

    /// Forgets somebody.
    pub(super) fn remove(&mut self, id: NodeId) {
        let Some(slot) = self.index.remove(&id) else { return };
        self.leave_order(slot);
        let entry = self.slab[slot as usize].take().expect(INDEXED);
        self.vacant.push(slot);
        self.by_id.retain(|other| *other != slot);
        self.tree.set(id, None);
        self.terminal -= usize::from(!entry.is_live());
    }

    /// Brings the tree in line with an entry.
    fn hash(&mut self, id: NodeId) {
        if let Some(fingerprint) = self.get(id).map(Entry::fingerprint) {
            self.tree.set(id, fingerprint);
        }
    }

    /// Takes a member out of the probe order if it is not to be probed any more.
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
        if id == self.me || !entry.is_live() || entry.flags.foreign || entry.flags.ordered {
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

    /// Up to `count` distinct members out of those that can be probed, none of them `except`, appended to
    /// `chosen`.
    pub(super) fn choose(&self, count: usize, except: NodeId, rng: &mut Rng, chosen: &mut Vec<NodeId>) {
        self.choose_where(count, rng, chosen, |entry| entry.id != except);
    }

    /// The same, out of those that are `welcome`.
    pub(super) fn choose_where(
        &self,
        count: usize,
        rng: &mut Rng,
        chosen: &mut Vec<NodeId>,
        welcome: impl Fn(&Entry) -> bool,
    ) {
        let start = chosen.len();
        // With few members a draw often repeats; so many tries leave one out less than once in a thousand.
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

    /// The Down member whose turn it is, of those whose address is known. Every terminal entry waits to fade, so
    /// the cost is their number.
    pub(super) fn choose_down(&self, turn: usize) -> Option<(NodeId, SocketAddr)> {
        let entries = || self.fades.iter().filter_map(|(_, id)| self.get(*id));
        let down = || entries().filter(|entry| entry.state == MemberState::Down && !entry.content.is_empty());
        let entry = down().nth(turn % down().count().max(1))?;
        Some((entry.id, entry.addr()?))
    }

    /// Calls attention to a terminal entry at `at`: [`Table::pop_fade`] will name it.
    pub(super) fn fade_at(&mut self, id: NodeId, at: Time) {
        self.fades.insert((at, id));
    }

    pub(super) fn next_fade(&self) -> Option<Time> {
        self.fades.first().map(|(at, _)| *at)
    }

    pub(super) fn pop_fade(&mut self, now: Time) -> Option<NodeId> {
        let (at, id) = *self.fades.first()?;
        if at > now {
            return None;
        }
        self.fades.pop_first();
        Some(id)
    }

    /// The terminal entry to give up first: a Left rather than a Down, the oldest of them (rule B11).
    pub(super) fn oldest_terminal(&self, now: Time) -> Option<NodeId> {
        let terminal = self.iter().filter(|entry| !entry.is_live() && entry.id != self.me);
        terminal.max_by_key(|entry| (entry.state, entry.age(now))).map(|entry| entry.id)
    }

    /// What must hold between the parts.
    pub(super) fn check(&self) {
        assert_eq!(self.by_id.len(), self.index.len(), "everyone is indexed");
        assert!(self.by_id.is_sorted_by_key(|slot| self.at(*slot).id), "the ids are in order");
        let terminal = self.iter().filter(|entry| !entry.is_live()).count();
        assert_eq!(terminal, self.terminal, "terminal entries are counted");
        let probed = |e: &&Entry| e.is_live() && !e.flags.foreign && e.id != self.me;
        assert_eq!(self.iter().filter(probed).count(), self.order.len(), "all live others are probed");
        assert!(self.iter().all(|e| e.flags.ordered == probed(&e)), "nobody else is");
        assert!(self.cursor <= self.order.len(), "the cursor is within the order");
        for entry in self.iter() {
            assert_eq!(self.tree.get(entry.id), entry.fingerprint(), "the tree has the leaf of {}", entry.id);
            let older = entry.record().is_none_or(|record| record.incarnation() <= entry.incarnation());
            assert!(older, "no content of {} is newer than its verdict", entry.id);
            assert!(!entry.is_live() || !entry.flags.faded, "only the dead fade");
        }
        let hashed = self.iter().filter(|entry| !entry.flags.faded).count();
        assert_eq!(hashed, self.tree.len(), "nobody else is in the tree");
    }
}

/// Makes room for one more by a quarter rather than by doubling: tables are large, and grow slowly once they are.
fn grow<T>(vec: &mut Vec<T>) {
    if vec.len() == vec.capacity() {
        vec.reserve_exact(vec.len() / 4 + 16);
    }
}

const INDEXED: &str = "a slot that is listed holds an entry";
