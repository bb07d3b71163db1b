//! Cuts: who cannot reach whom, and since when.
//!
//! A cut concerns ordered pairs. It may flap, by its own clock, and it may be gray: only some datagrams are
//! lost, or all are late. What is in flight when it is made obeys the [`InFlight`] rule; whatever is sent
//! while it stands is lost at once.

use core::fmt;
use core::time::Duration;

use bruit_core::Time;
use serde::{Deserialize, Serialize};

use super::Arrival;
use crate::cluster::Index;
use crate::random::Random;

/// Names a cut, for healing it. Counts up from 1 in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CutId(pub u32);

impl fmt::Display for CutId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cut #{}", self.0)
    }
}

/// The shape of a cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Cut {
    /// Into groups that do not hear each other. Those in no group form one more.
    Split {
        /// The groups.
        #[serde(with = "crate::names::groups")]
        groups: Vec<Vec<Index>>,
    },
    /// These are cut off from all others, and from each other.
    Isolate {
        /// Which.
        #[serde(with = "crate::names::group")]
        nodes: Vec<Index>,
    },
    /// What some send does not reach others; the way back is open.
    OneWay {
        /// The senders.
        #[serde(with = "crate::names::group")]
        from: Vec<Index>,
        /// The receivers.
        #[serde(with = "crate::names::group")]
        to: Vec<Index>,
    },
    /// Two do not hear each other.
    Pair {
        /// The one.
        a: Index,
        /// The other.
        b: Index,
    },
    /// Two groups do not hear each other, and all others hear both.
    Bridge {
        /// The one.
        #[serde(with = "crate::names::group")]
        left: Vec<Index>,
        /// The other.
        #[serde(with = "crate::names::group")]
        right: Vec<Index>,
    },
    /// A zone is cut off from all others.
    Zone {
        /// Which.
        zone: String,
    },
    /// Nothing that these send arrives.
    Egress {
        /// Which.
        #[serde(with = "crate::names::group")]
        nodes: Vec<Index>,
    },
    /// Nothing arrives at these.
    Ingress {
        /// Which.
        #[serde(with = "crate::names::group")]
        nodes: Vec<Index>,
    },
}

/// What happens to datagrams that are in flight when a cut is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InFlight {
    /// They are lost.
    #[default]
    Drop,
    /// They wait at the cut and arrive when it heals.
    Hold,
    /// They arrive as if nothing were.
    Deliver,
}

/// A cut that comes and goes: down at first, then up, and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flap {
    /// How long it stands each time.
    #[serde(with = "crate::span")]
    pub down: Duration,
    /// How long it is open in between.
    #[serde(with = "crate::span")]
    pub up: Duration,
}

/// A cut that only harms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gray {
    /// How many of a million are lost.
    pub loss_ppm: u32,
    /// How much later the others arrive.
    #[serde(with = "crate::span")]
    pub delay: Duration,
}

/// The answer of all cuts to one datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    Blocked,
    Open { extra_delay: u64 },
}

#[derive(Clone, Debug)]
enum Shape {
    /// Blocked where the groups differ; zero is the group of those unnamed, `ALONE` differs from itself.
    Groups(Vec<u32>),
    /// Blocked from a member of the first set to a member of the second.
    Directed { from: Vec<bool>, to: Vec<bool>, both: bool },
}

const ALONE: u32 = u32::MAX;

#[derive(Clone, Debug)]
struct Standing {
    id: CutId,
    shape: Shape,
    since: Time,
    in_flight: InFlight,
    flap: Option<Flap>,
    gray: Option<Gray>,
}

/// All cuts.
#[derive(Clone, Debug, Default)]
pub(super) struct Cuts {
    standing: Vec<Standing>,
    /// Datagrams touched, by cut id less one.
    hits: Vec<u64>,
}

fn set(nodes: &[Index], len: usize) -> Vec<bool> {
    let mut set = vec![false; len];
    for node in nodes {
        if let Some(entry) = set.get_mut(node.get()) {
            *entry = true;
        }
    }
    set
}

fn is_in(set: &[bool], node: Index) -> bool {
    set.get(node.get()).copied().unwrap_or(false)
}

impl Shape {
    fn new(cut: &Cut, zone: &[Index], len: usize) -> Self {
        let everybody = || vec![true; len];
        match cut {
            Cut::Split { groups } => Self::groups(groups, len),
            Cut::Isolate { nodes } => {
                let mut group_of = vec![0; len];
                nodes.iter().filter(|node| node.get() < len).for_each(|node| group_of[node.get()] = ALONE);
                Self::Groups(group_of)
            }
            Cut::OneWay { from, to } => {
                Self::Directed { from: set(from, len), to: set(to, len), both: false }
            }
            Cut::Pair { a, b } => Self::Directed { from: set(&[*a], len), to: set(&[*b], len), both: true },
            Cut::Bridge { left, right } => {
                Self::Directed { from: set(left, len), to: set(right, len), both: true }
            }
            Cut::Zone { .. } => Self::groups(&[zone.to_vec()], len),
            Cut::Egress { nodes } => Self::Directed { from: set(nodes, len), to: everybody(), both: false },
            Cut::Ingress { nodes } => Self::Directed { from: everybody(), to: set(nodes, len), both: false },
        }
    }

    fn groups(groups: &[Vec<Index>], len: usize) -> Self {
        let mut group_of = vec![0; len];
        for (number, group) in (1..).zip(groups) {
            group.iter().filter(|node| node.get() < len).for_each(|node| group_of[node.get()] = number);
        }
        Self::Groups(group_of)
    }

    fn concerns(&self, from: Index, to: Index) -> bool {
        match self {
            Self::Groups(group_of) => {
                let group = |node: Index| group_of.get(node.get()).copied().unwrap_or(0);
                group(from) != group(to) || (group(from) == ALONE && from != to)
            }
            Self::Directed { from: senders, to: receivers, both } => {
                let blocked = is_in(senders, from) && is_in(receivers, to);
                blocked || (*both && is_in(senders, to) && is_in(receivers, from))
            }
        }
    }
}

impl Standing {
    /// Whether it stands at this moment, and since when.
    fn stands(&self, now: Time) -> Option<Time> {
        let Some(flap) = self.flap else { return Some(self.since) };
        let period = (flap.down + flap.up).as_nanos().max(1);
        let into = now.since(self.since).as_nanos() % period;
        let began = now - Duration::from_nanos(u64::try_from(into).expect("less than the time so far"));
        (into < flap.down.as_nanos()).then_some(began)
    }

    fn blocks(&self, now: Time, from: Index, to: Index) -> bool {
        self.stands(now).is_some() && self.shape.concerns(from, to)
    }
}

impl Cuts {
    pub(super) const fn any(&self) -> bool {
        !self.standing.is_empty()
    }

    pub(super) fn make(
        &mut self,
        now: Time,
        cut: &Cut,
        zone: &[Index],
        len: usize,
        in_flight: InFlight,
    ) -> CutId {
        self.hits.push(0);
        let id = CutId(u32::try_from(self.hits.len()).expect("fewer than 2^32 cuts"));
        let shape = Shape::new(cut, zone, len);
        self.standing.push(Standing { id, shape, since: now, in_flight, flap: None, gray: None });
        id
    }

    pub(super) fn flap(&mut self, id: CutId, flap: Flap) {
        if let Some(cut) = self.standing.iter_mut().find(|cut| cut.id == id) {
            cut.flap = Some(flap);
        }
    }

    pub(super) fn gray(&mut self, id: CutId, gray: Gray) {
        if let Some(cut) = self.standing.iter_mut().find(|cut| cut.id == id) {
            cut.gray = Some(gray);
        }
    }

    pub(super) fn heal(&mut self, id: CutId) -> bool {
        let before = self.standing.len();
        self.standing.retain(|cut| cut.id != id);
        self.standing.len() < before
    }

    pub(super) fn ids(&self) -> Vec<CutId> {
        self.standing.iter().map(|cut| cut.id).collect()
    }

    pub(super) fn hits(&self) -> impl Iterator<Item = (CutId, u64)> {
        (1..).zip(&self.hits).map(|(number, hits)| (CutId(number), *hits))
    }

    /// Every cut in the way counts a hit, so that one behind another is not taken for idle.
    pub(super) fn judge(&mut self, now: Time, from: Index, to: Index, random: &mut Random) -> Passage {
        let (mut blocked, mut extra_delay) = (false, 0);
        for cut in &self.standing {
            if !cut.blocks(now, from, to) {
                continue;
            }
            self.hits[cut.id.0 as usize - 1] += 1;
            match cut.gray {
                None => blocked = true,
                Some(gray) if random.chance(gray.loss_ppm) => blocked = true,
                Some(gray) => extra_delay += u64::try_from(gray.delay.as_nanos()).unwrap_or(u64::MAX),
            }
        }
        if blocked { Passage::Blocked } else { Passage::Open { extra_delay } }
    }

    pub(super) fn arrival(&mut self, now: Time, sent: Time, from: Index, to: Index) -> Arrival {
        for cut in &self.standing {
            let made_on_the_way = cut.gray.is_none() && cut.stands(now).is_some_and(|since| sent <= since);
            if !made_on_the_way || !cut.shape.concerns(from, to) {
                continue;
            }
            let hits = &mut self.hits[cut.id.0 as usize - 1];
            match cut.in_flight {
                InFlight::Deliver => {}
                InFlight::Drop => {
                    *hits += 1;
                    return Arrival::Lost;
                }
                InFlight::Hold => {
                    *hits += 1;
                    return Arrival::Held(cut.id);
                }
            }
        }
        Arrival::Passes
    }

    /// Whether no cut concerns the two, whether it is gray, open for the moment, or neither.
    pub(super) fn untouched(&self, from: Index, to: Index) -> bool {
        !self.standing.iter().any(|cut| cut.shape.concerns(from, to))
    }

    pub(super) fn connected(&self, now: Time, from: Index, to: Index) -> bool {
        !self.standing.iter().any(|cut| cut.gray.is_none() && cut.blocks(now, from, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(numbers: &[u32]) -> Vec<Index> {
        numbers.iter().copied().map(Index).collect()
    }

    /// Which of the ordered pairs of four nodes a cut blocks.
    fn blocked(cut: &Cut) -> String {
        let mut cuts = Cuts::default();
        cuts.make(Time::ZERO, cut, &nodes(&[3]), 4, InFlight::Drop);
        let pairs = (0..4).flat_map(|a| (0..4).map(move |b| (a, b)));
        let blocked = pairs.filter(|&(a, b)| !cuts.connected(Time::ZERO, Index(a), Index(b)));
        blocked.map(|(a, b)| format!("{a}{b}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn shapes() {
        let split = Cut::Split { groups: vec![nodes(&[0, 1])] };
        assert_eq!(blocked(&split), "02 03 12 13 20 21 30 31");
        assert_eq!(blocked(&Cut::Isolate { nodes: nodes(&[0, 1]) }), "01 02 03 10 12 13 20 21 30 31");
        assert_eq!(blocked(&Cut::OneWay { from: nodes(&[0]), to: nodes(&[1, 2]) }), "01 02");
        assert_eq!(blocked(&Cut::Pair { a: Index(0), b: Index(3) }), "03 30");
        assert_eq!(blocked(&Cut::Bridge { left: nodes(&[0]), right: nodes(&[2, 3]) }), "02 03 20 30");
        assert_eq!(blocked(&Cut::Zone { zone: "z".into() }), "03 13 23 30 31 32");
        assert_eq!(blocked(&Cut::Egress { nodes: nodes(&[2]) }), "20 21 22 23");
        assert_eq!(blocked(&Cut::Ingress { nodes: nodes(&[2]) }), "02 12 22 32");
    }

    #[test]
    fn a_flapping_cut_keeps_its_own_time() {
        let mut cuts = Cuts::default();
        let id =
            cuts.make(Time::from_secs(10), &Cut::Pair { a: Index(0), b: Index(1) }, &[], 2, InFlight::Drop);
        cuts.flap(id, Flap { down: Duration::from_secs(2), up: Duration::from_secs(3) });
        let open: Vec<bool> =
            (10..20).map(|at| cuts.connected(Time::from_secs(at), Index(0), Index(1))).collect();
        assert_eq!(open, [false, false, true, true, true, false, false, true, true, true]);
    }
}
