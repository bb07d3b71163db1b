//! Cuts: sets of links that block datagrams.
//!
//! A cut affects ordered pairs of processes. It may flap, that is come and go by a timetable of its own, and it may be gray:
//! then it loses only some datagrams and delays the others. Datagrams that are in flight when a cut is made follow its
//! [`InFlight`] setting; datagrams that are sent while it stands are dropped at once.

use core::fmt;
use core::time::Duration;

use bruit_core::Time;
use serde::{Deserialize, Serialize};

use super::Arrival;
use crate::base::names::print_group;
use crate::base::{Index, Random};

/// The number of a cut in its run, counted from 1. It is used to heal the cut.
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
    /// Divides the processes into groups that cannot reach each other. Processes in no group form one more group.
    Split {
        /// The groups.
        #[serde(with = "crate::base::names::groups")]
        groups: Vec<Vec<Index>>,
    },
    /// Cuts some processes off from all others and from each other.
    Isolate {
        /// The processes to isolate.
        #[serde(with = "crate::base::names::group")]
        nodes: Vec<Index>,
    },
    /// Blocks datagrams from some processes to others; the opposite direction stays open.
    OneWay {
        /// The senders.
        #[serde(with = "crate::base::names::group")]
        from: Vec<Index>,
        /// The receivers.
        #[serde(with = "crate::base::names::group")]
        to: Vec<Index>,
    },
    /// Blocks datagrams between two processes, in both directions.
    Pair {
        /// The first process.
        a: Index,
        /// The second process.
        b: Index,
    },
    /// Blocks datagrams between two groups. All other processes can reach both groups.
    Bridge {
        /// The first group.
        #[serde(with = "crate::base::names::group")]
        left: Vec<Index>,
        /// The second group.
        #[serde(with = "crate::base::names::group")]
        right: Vec<Index>,
    },
    /// Cuts a zone off from all others.
    Zone {
        /// The name of the zone.
        zone: String,
    },
    /// Blocks all datagrams from some processes.
    Egress {
        /// The senders.
        #[serde(with = "crate::base::names::group")]
        nodes: Vec<Index>,
    },
    /// Blocks all datagrams to some processes.
    Ingress {
        /// The receivers.
        #[serde(with = "crate::base::names::group")]
        nodes: Vec<Index>,
    },
}

impl Cut {
    /// The processes that the cut names.
    #[must_use]
    pub fn subjects(&self) -> Vec<Index> {
        match self {
            Self::Split { groups } => groups.concat(),
            Self::Isolate { nodes } | Self::Egress { nodes } | Self::Ingress { nodes } => nodes.clone(),
            Self::OneWay { from: left, to: right } | Self::Bridge { left, right } => {
                [left.as_slice(), right].concat()
            }
            Self::Pair { a, b } => vec![*a, *b],
            Self::Zone { .. } => Vec::new(),
        }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Split { groups } => {
                let groups: Vec<String> = groups.iter().map(|group| print_group(group)).collect();
                write!(f, "{} | the others", groups.join(" | "))
            }
            Self::Isolate { nodes } => write!(f, "{} each alone", print_group(nodes)),
            Self::OneWay { from, to } => write!(f, "{} unheard by {}", print_group(from), print_group(to)),
            Self::Pair { a, b } => write!(f, "{a} and {b}"),
            Self::Bridge { left, right } => write!(f, "{} and {}", print_group(left), print_group(right)),
            Self::Zone { zone } => write!(f, "zone {zone}"),
            Self::Egress { nodes } => write!(f, "{} unheard", print_group(nodes)),
            Self::Ingress { nodes } => write!(f, "{} deaf", print_group(nodes)),
        }
    }
}

/// The treatment of datagrams that are in flight when a cut is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InFlight {
    /// The datagrams are dropped.
    #[default]
    Drop,
    /// The datagrams wait at the cut and arrive when it is healed.
    Hold,
    /// The datagrams arrive as if there were no cut.
    Deliver,
}

/// The timetable of a cut that comes and goes: it blocks at first, then it is open, and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flap {
    /// How long the cut blocks each time.
    #[serde(with = "crate::base::span")]
    pub down: Duration,
    /// How long the cut is open in between.
    #[serde(with = "crate::base::span")]
    pub up: Duration,
}

/// The harm of a gray cut, which does not block everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gray {
    /// The share of datagrams that are lost, in parts per million.
    pub loss_ppm: u32,
    /// The time by which the other datagrams are delayed.
    #[serde(with = "crate::base::span")]
    pub delay: Duration,
}

/// The verdict of all cuts on one datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    Blocked,
    Open { extra_delay: u64 },
}

#[derive(Clone, Debug)]
enum Shape {
    /// Blocks where the groups of sender and receiver differ. Group 0 holds the processes that the cut does not name;
    /// group `ALONE` also blocks between its own members.
    Groups(Vec<u32>),
    /// Blocks from a process in the first set to one in the second; with `both` in the opposite direction as well.
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

/// All cuts that stand.
#[derive(Clone, Debug, Default)]
pub(super) struct Cuts {
    standing: Vec<Standing>,
    /// The number of datagrams that each cut of the run has affected, by its number less one.
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
        let all = || vec![true; len];
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
            Cut::Egress { nodes } => Self::Directed { from: set(nodes, len), to: all(), both: false },
            Cut::Ingress { nodes } => Self::Directed { from: all(), to: set(nodes, len), both: false },
        }
    }

    fn groups(groups: &[Vec<Index>], len: usize) -> Self {
        let mut group_of = vec![0; len];
        for (number, group) in (1..).zip(groups) {
            group.iter().filter(|node| node.get() < len).for_each(|node| group_of[node.get()] = number);
        }
        Self::Groups(group_of)
    }

    fn affects(&self, from: Index, to: Index) -> bool {
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
    /// The time since which the cut blocks; `None` if a flapping cut is open now.
    fn stands(&self, now: Time) -> Option<Time> {
        let Some(flap) = self.flap else { return Some(self.since) };
        let period = (flap.down + flap.up).as_nanos().max(1);
        let into = now.since(self.since).as_nanos() % period;
        let began = now - Duration::from_nanos(u64::try_from(into).expect("less than the time so far"));
        (into < flap.down.as_nanos()).then_some(began)
    }

    fn blocks(&self, now: Time, from: Index, to: Index) -> bool {
        self.stands(now).is_some() && self.shape.affects(from, to)
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

    /// Gives a verdict on a datagram. Every cut that affects it counts a hit, so that two cuts on one link both count as
    /// having had an effect.
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
            if !made_on_the_way || !cut.shape.affects(from, to) {
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

    /// Whether no cut affects this pair, not even a gray one or a flapping one that is open at the moment.
    pub(super) fn untouched(&self, from: Index, to: Index) -> bool {
        !self.standing.iter().any(|cut| cut.shape.affects(from, to))
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

    /// The ordered pairs of four processes that a cut blocks.
    fn blocked(cut: &Cut) -> String {
        let mut cuts = Cuts::default();
        cuts.make(Time::ZERO, cut, &nodes(&[3]), 4, InFlight::Drop);
        let pairs = (0..4).flat_map(|a| (0..4).map(move |b| (a, b)));
        let blocked = pairs.filter(|&(a, b)| !cuts.connected(Time::ZERO, Index(a), Index(b)));
        blocked.map(|(a, b)| format!("{a}{b}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_shape_blocks_its_pairs() {
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
    fn a_flapping_cut_follows_its_timetable() {
        let mut cuts = Cuts::default();
        let id =
            cuts.make(Time::from_secs(10), &Cut::Pair { a: Index(0), b: Index(1) }, &[], 2, InFlight::Drop);
        cuts.flap(id, Flap { down: Duration::from_secs(2), up: Duration::from_secs(3) });
        let open: Vec<bool> =
            (10..20).map(|at| cuts.connected(Time::from_secs(at), Index(0), Index(1))).collect();
        assert_eq!(open, [false, false, true, true, true, false, false, true, true, true]);
    }
}
