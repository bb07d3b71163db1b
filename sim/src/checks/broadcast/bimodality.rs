//! CB5: almost all or almost none. How large a share of the members each of many broadcasts reached, as a histogram,
//! beside what a prediction says (Birman et al., TOCS 17(2), 1999).

/// Broadcasts by the number of members that they reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    members: usize,
    reached: Vec<u64>,
}

/// Confidence of every interval here: 4 σ, as in the tests of the network.
const SIGMAS: f64 = 4.0;

impl Histogram {
    /// No broadcast yet, in a group of so many.
    #[must_use]
    pub fn new(members: usize) -> Self {
        Self { members, reached: vec![0; members + 1] }
    }

    /// One broadcast that reached so many members, its origin included; never more than there are.
    pub fn add(&mut self, reached: usize) {
        self.reached[reached.min(self.members)] += 1;
    }

    /// How many broadcasts there were.
    #[must_use]
    pub fn broadcasts(&self) -> u64 {
        self.reached.iter().sum()
    }

    /// How many reached exactly so many members.
    #[must_use]
    pub fn reached(&self, members: usize) -> u64 {
        self.reached.get(members).copied().unwrap_or(0)
    }

    /// How many reached neither at most `low` nor at least `high` percent of the members.
    #[must_use]
    pub fn between(&self, low: usize, high: usize) -> u64 {
        let inside =
            |reached: usize| reached * 100 > low * self.members && reached * 100 < high * self.members;
        self.reached.iter().enumerate().filter(|(reached, _)| inside(*reached)).map(|(_, count)| count).sum()
    }

    /// The greatest share of broadcasts between 10 and 90 percent that this sample does not rule out: the upper end
    /// of Wilson's interval. Never zero, however few there were.
    #[must_use]
    pub fn middle_at_most(&self) -> f64 {
        interval(self.between(10, 90), self.broadcasts()).1
    }

    /// Where the counts contradict the predicted shares (of each number of members reached, from none to all): the
    /// first number whose share lies outside Wilson's interval of its count. Numbers that are predicted and were seen
    /// less than five times each say nothing by themselves and are left out.
    #[must_use]
    pub fn contradicts(&self, predicted: &[f64]) -> Option<usize> {
        let broadcasts = self.broadcasts();
        (0..=self.members).find(|reached| {
            let (share, count) = (predicted.get(*reached).copied().unwrap_or(0.0), self.reached(*reached));
            let (low, high) = interval(count, broadcasts);
            (share * broadcasts as f64 >= 5.0 || count >= 5) && !(low..=high).contains(&share)
        })
    }
}

/// Wilson's score interval for a share of which `count` of `of` were seen.
fn interval(count: u64, of: u64) -> (f64, f64) {
    if of == 0 {
        return (0.0, 1.0);
    }
    let (n, share) = (of as f64, count as f64 / of as f64);
    let square = SIGMAS * SIGMAS;
    let middle = share + square / (2.0 * n);
    let margin = SIGMAS * (share * (1.0 - share) / n + square / (4.0 * n * n)).sqrt();
    let scale = 1.0 + square / n;
    (((middle - margin) / scale).max(0.0), ((middle + margin) / scale).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// `ppm` of the broadcasts reach anybody with the same chance, the others nearly all or nearly nobody.
    fn drawn(ppm: u32) -> Histogram {
        let (mut histogram, mut random) = (Histogram::new(50), Random::new(1, 100, 0));
        for _ in 0..10_000 {
            let reached = match random.chance(ppm) {
                true => random.position(51),
                false if random.chance(100_000) => 1 + random.position(3),
                false => 50 - random.position(3),
            };
            histogram.add(reached);
        }
        histogram
    }

    #[test]
    fn two_modes_have_nothing_between_them() {
        let bimodal = drawn(0);
        assert_eq!((bimodal.broadcasts(), bimodal.between(10, 90)), (10_000, 0));
        assert!((0.0001..0.003).contains(&bimodal.middle_at_most()), "{}", bimodal.middle_at_most());
    }

    #[test]
    fn what_lies_between_is_seen() {
        let spoilt = drawn(20_000);
        assert!(spoilt.between(10, 90) > 100);
        assert!(spoilt.middle_at_most() > 0.01);
    }

    #[test]
    fn a_prediction_is_contradicted_where_it_is_wrong() {
        let (mut random, mut histogram) = (Random::new(2, 100, 0), Histogram::new(4));
        (0..20_000).for_each(|_| histogram.add(if random.chance(250_000) { 1 } else { 4 }));
        assert_eq!(histogram.contradicts(&[0.0, 0.25, 0.0, 0.0, 0.75]), None);
        assert_eq!(histogram.contradicts(&[0.0, 0.20, 0.0, 0.0, 0.80]), Some(1));
        assert_eq!(histogram.contradicts(&[0.0, 0.25, 0.05, 0.0, 0.70]), Some(2));
    }

    #[test]
    fn a_small_sample_proves_little() {
        assert_eq!(Histogram::new(10).middle_at_most(), 1.0);
        let mut few = Histogram::new(10);
        (0..10).for_each(|_| few.add(10));
        assert!(few.middle_at_most() > 0.5);
    }
}
