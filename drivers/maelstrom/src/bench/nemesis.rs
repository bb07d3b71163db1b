//! Cuts of the network with the shapes of Jepsen's partition nemesis. A cut says which nodes drop whose messages.

use bruit_sim::Random;

/// A cut: for each receiver and each sender, true if the sender's messages are dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grudges(Vec<Vec<bool>>);

/// The shape of a cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Isolates one node.
    One,
    /// Separates less than a third of the nodes from the rest.
    MinorityThird,
    /// Separates the smaller half from the rest.
    Majority,
    /// Lets each node hear a majority, a different one for each.
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

    /// Draws a cut of this shape among `count` nodes.
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
    /// No cut: every node hears every node.
    pub(super) fn none(count: usize) -> Self {
        Self(vec![vec![false; count]; count])
    }

    /// True if `to` drops the messages of `from`.
    pub(super) fn drops(&self, from: usize, to: usize) -> bool {
        self.0[to][from]
    }

    /// Separates the first `size` of `nodes` from the rest.
    fn split(nodes: &[usize], size: usize) -> Self {
        let mut grudges = Self::none(nodes.len());
        for (place, node) in nodes.iter().enumerate() {
            for (other_place, other) in nodes.iter().enumerate() {
                grudges.0[*node][*other] = (place < size) != (other_place < size);
            }
        }
        grudges
    }

    /// Arranges the nodes in a ring in which each hears the majority around it.
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

    /// Adds links between the nodes with the fewest links until each hears a majority.
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
            let other =
                other.expect("a node that hears less than a majority does not hear at least one node");
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

    /// The number of nodes that each node hears, itself included, in ascending order.
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
    fn every_node_hears_itself() {
        for seed in 0..20 {
            let mut random = Random::new(seed, 0, 0);
            let count = 1 + random.position(12);
            let grudges = Target::draw(&mut random).cut(count, &mut random);
            assert!((0..count).all(|node| !grudges.drops(node, node)));
        }
    }
}
