//! Cuts of the network, as Jepsen's partition nemesis makes them: which node refuses whose messages.

use bruit_sim::Random;

/// Who hears whom not: for each receiver, for each sender, whether its messages are dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grudges(Vec<Vec<bool>>);

/// The shape of a cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// One node alone.
    One,
    /// Less than a third on one side.
    MinorityThird,
    /// The smaller half on one side.
    Majority,
    /// Each node hears a majority, and no two hear the same one.
    MajoritiesRing,
}

impl Target {
    const ALL: [Self; 4] = [Self::One, Self::MinorityThird, Self::Majority, Self::MajoritiesRing];

    pub(super) fn draw(random: &mut Random) -> Self {
        Self::ALL[random.position(Self::ALL.len())]
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::MinorityThird => "minority-third",
            Self::Majority => "majority",
            Self::MajoritiesRing => "majorities-ring",
        }
    }

    /// A cut of this shape among `count` nodes.
    pub(super) fn cut(self, count: usize, random: &mut Random) -> Grudges {
        let mut nodes: Vec<usize> = (0..count).collect();
        random.shuffle(&mut nodes);
        match self {
            Self::One => Grudges::split(&nodes, 1),
            Self::MinorityThird => Grudges::split(&nodes, count.saturating_sub(1) / 3),
            Self::Majority => Grudges::split(&nodes, count / 2),
            Self::MajoritiesRing if count <= 5 => Grudges::ring(&nodes),
            Self::MajoritiesRing => Grudges::majorities(count, random),
        }
    }
}

impl Grudges {
    /// Everybody hears everybody.
    pub(super) fn none(count: usize) -> Self {
        Self(vec![vec![false; count]; count])
    }

    /// Whether `to` drops what `from` sends.
    pub(super) fn drops(&self, from: usize, to: usize) -> bool {
        self.0[to][from]
    }

    /// The first `size` of `nodes` on one side, the rest on the other.
    fn split(nodes: &[usize], size: usize) -> Self {
        let mut grudges = Self::none(nodes.len());
        for (place, node) in nodes.iter().enumerate() {
            for (other_place, other) in nodes.iter().enumerate() {
                grudges.0[*node][*other] = (place < size) != (other_place < size);
            }
        }
        grudges
    }

    /// The nodes in a ring; each hears the majority around it.
    fn ring(nodes: &[usize]) -> Self {
        let (count, majority) = (nodes.len(), nodes.len() / 2 + 1);
        let mut grudges = Self(vec![vec![true; count]; count]);
        for start in 0..count {
            let heard = |place: usize| nodes[(start + place) % count];
            for place in 0..majority {
                grudges.0[heard(majority / 2)][heard(place)] = false;
            }
        }
        grudges
    }

    /// Links are added between those that have fewest, until each hears a majority.
    fn majorities(count: usize, random: &mut Random) -> Self {
        let majority = count / 2 + 1;
        let mut grudges = Self(vec![vec![true; count]; count]);
        let mut degrees = vec![1; count];
        for node in 0..count {
            grudges.0[node][node] = false;
        }
        loop {
            let mut order: Vec<usize> = (0..count).collect();
            random.shuffle(&mut order);
            order.sort_by_key(|node| degrees[*node]);
            let Some(&node) = order.first().filter(|node| degrees[**node] < majority) else { return grudges };
            let other = order.into_iter().find(|other| grudges.0[node][*other]);
            let other = other.expect("who hears less than a majority does not hear somebody");
            for (from, to) in [(node, other), (other, node)] {
                grudges.0[to][from] = false;
                degrees[to] += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many each node hears, itself included.
    fn heard(grudges: &Grudges) -> Vec<usize> {
        let mut heard: Vec<_> =
            grudges.0.iter().map(|row| row.iter().filter(|drops| !**drops).count()).collect();
        heard.sort_unstable();
        heard
    }

    #[test]
    fn cuts_have_their_shapes() {
        let mut random = Random::new(1, 0, 0);
        let mut of = |target: Target, count| heard(&target.cut(count, &mut random));
        assert_eq!(of(Target::One, 5), [1, 4, 4, 4, 4]);
        assert_eq!(of(Target::Majority, 5), [2, 2, 3, 3, 3]);
        assert_eq!(of(Target::MinorityThird, 25)[..9], [8, 8, 8, 8, 8, 8, 8, 8, 17]);
        assert_eq!(of(Target::MajoritiesRing, 5), [3; 5]);
        let ring = of(Target::MajoritiesRing, 25);
        assert!(ring.iter().all(|heard| (13..=14).contains(heard)), "{ring:?}");
        assert_eq!(of(Target::MajoritiesRing, 1), [1]);
    }

    #[test]
    fn everybody_hears_itself() {
        for seed in 0..20 {
            let mut random = Random::new(seed, 0, 0);
            let count = 1 + random.position(12);
            let grudges = Target::draw(&mut random).cut(count, &mut random);
            assert!((0..count).all(|node| !grudges.drops(node, node)));
        }
    }
}
