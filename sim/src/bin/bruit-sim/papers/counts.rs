//! Counts of whole numbers, and two tests whether they fit given probabilities.
//!
//! Each test has one false alarm in a thousand. The first is χ² over all bins, where neighbours are pooled until five counts
//! are expected. The second compares each probability with the interval of Clopper and Pearson (Biometrika 26, 1934) at one
//! thousandth divided by the number of bins, and so also judges bins in which almost nothing is expected.

/// The number of times that each number from 0 on was observed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    counts: Vec<u64>,
}

/// The result of the two tests.
#[derive(Clone, Debug)]
pub(super) struct Fit {
    pub(super) chi_square: f64,
    /// One of a thousand samples that fit has a χ² above this.
    pub(super) limit: f64,
    pub(super) degrees: usize,
    /// The bins whose probability lies outside their interval.
    pub(super) outside: Vec<usize>,
}

impl Fit {
    pub(super) fn holds(&self) -> bool {
        self.chi_square <= self.limit && self.outside.is_empty()
    }
}

/// The probability of a false alarm of each test.
const ALARM: f64 = 1e-3;
/// The normal quantile for that probability.
const QUANTILE: f64 = 3.090_232;
/// The least expected count of a pooled bin.
const EXPECTED_MIN: f64 = 5.0;

impl Counts {
    pub(super) fn new(bins: usize) -> Self {
        Self { counts: vec![0; bins] }
    }

    pub(super) fn add(&mut self, value: usize) {
        self.counts[value] += 1;
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(sum, count)| *sum += count);
    }

    pub(super) fn counts(&self) -> &[u64] {
        &self.counts
    }

    pub(super) fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The total count of the bins for which `of` is true.
    pub(super) fn mass(&self, of: impl Fn(usize) -> bool) -> u64 {
        self.counts.iter().enumerate().filter(|(bin, _)| of(*bin)).map(|(_, count)| count).sum()
    }

    /// The interval of Clopper and Pearson of each bin.
    pub(super) fn bands(&self) -> Vec<(f64, f64)> {
        let alarm = ALARM / self.counts.len() as f64;
        self.counts.iter().map(|count| clopper_pearson(*count, self.total(), alarm)).collect()
    }

    /// Tests whether the counts fit these probabilities.
    pub(super) fn compare(&self, probabilities: &[f64]) -> Fit {
        let total = self.total();
        let alarm = ALARM / self.counts.len() as f64;
        let fits = |(count, probability): (&u64, &f64)| {
            let (below, above) = tails(total, *probability, *count);
            below >= alarm / 2.0 && above >= alarm / 2.0
        };
        let pairs = || self.counts.iter().zip(probabilities);
        let outside = pairs().enumerate().filter(|(_, pair)| !fits(*pair)).map(|(bin, _)| bin).collect();
        let groups = self.pooled(probabilities);
        let chi_square =
            groups.iter().map(|(seen, expected)| (seen - expected) * (seen - expected) / expected).sum();
        let degrees = groups.len().saturating_sub(1);
        Fit { chi_square, limit: chi_square_limit(degrees), degrees, outside }
    }

    /// The observed and the expected counts, with neighbours pooled until enough is expected.
    fn pooled(&self, probabilities: &[f64]) -> Vec<(f64, f64)> {
        let total = self.total() as f64;
        let mut groups: Vec<(f64, f64)> = Vec::new();
        let mut open = (0.0, 0.0);
        for (count, probability) in self.counts.iter().zip(probabilities).rev() {
            open = (open.0 + *count as f64, open.1 + probability * total);
            if open.1 >= EXPECTED_MIN {
                groups.push(core::mem::take(&mut open));
            }
        }
        match groups.last_mut() {
            Some(last) => *last = (last.0 + open.0, last.1 + open.1),
            None => groups.push((open.0, open.1.max(f64::MIN_POSITIVE))),
        }
        groups
    }
}

/// The value that χ² exceeds once in a thousand samples (approximation of Wilson and Hilferty). With 0 degrees of freedom
/// there is no limit.
fn chi_square_limit(degrees: usize) -> f64 {
    if degrees == 0 {
        return f64::MAX;
    }
    let degrees = degrees as f64;
    let part = 2.0 / (9.0 * degrees);
    let root = 1.0 - part + QUANTILE * part.sqrt();
    degrees * root * root * root
}

/// P(X ≤ x) and P(X ≥ x) of a binomial variable. Terms are summed relative to the mode and outwards from it, so that no
/// relevant term underflows.
fn tails(trials: u64, probability: f64, x: u64) -> (f64, f64) {
    if probability <= 0.0 {
        return (1.0, if x == 0 { 1.0 } else { 0.0 });
    }
    if probability >= 1.0 {
        return (if x == trials { 1.0 } else { 0.0 }, 1.0);
    }
    let odds = probability / (1.0 - probability);
    let mode = mode(trials, probability);
    let (mut below, mut above, mut total) = (0.0, 0.0, 0.0);
    let mut count = |k: u64, weight: f64| {
        total += weight;
        below += if k <= x { weight } else { 0.0 };
        above += if k >= x { weight } else { 0.0 };
    };
    const NEGLIGIBLE: f64 = 1e-25;
    let (mut k, mut weight) = (mode, 1.0);
    while weight > NEGLIGIBLE {
        count(k, weight);
        if k == trials {
            break;
        }
        weight *= (trials - k) as f64 / (k + 1) as f64 * odds;
        k += 1;
    }
    (k, weight) = (mode, 1.0);
    while k > 0 {
        weight *= k as f64 / (trials - k + 1) as f64 / odds;
        k -= 1;
        if weight <= NEGLIGIBLE {
            break;
        }
        count(k, weight);
    }
    (below / total, above / total)
}

/// The likeliest number of successes.
#[expect(clippy::cast_possible_truncation, reason = "the whole part is wanted, and it is below 2^53")]
fn mode(trials: u64, probability: f64) -> u64 {
    (((trials + 1) as f64 * probability) as u64).min(trials)
}

/// The probabilities under which `x` of `trials` is not unusual: each tail at least half of `alarm`.
fn clopper_pearson(x: u64, trials: u64, alarm: f64) -> (f64, f64) {
    let bisect = |is_low: &dyn Fn(f64) -> bool| {
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..60 {
            let middle = (low + high) / 2.0;
            if is_low(middle) { low = middle } else { high = middle }
        }
        (low + high) / 2.0
    };
    let low = if x == 0 { 0.0 } else { bisect(&|p| tails(trials, p, x).1 < alarm / 2.0) };
    let high = if x == trials { 1.0 } else { bisect(&|p| tails(trials, p, x).0 >= alarm / 2.0) };
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bruit_sim::Random;

    fn close(left: f64, right: f64) -> bool {
        (left - right).abs() < 1e-4 * right.abs().max(1e-9)
    }

    #[test]
    fn binomial_tails() {
        let (below, above) = tails(10, 0.5, 3);
        assert!(close(below, 176.0 / 1024.0) && close(above, 968.0 / 1024.0));
        assert!(tails(100_000, 0.9, 80_000).0 < 1e-20, "far out in the tail");
        assert_eq!(tails(5, 0.0, 0), (1.0, 1.0));
    }

    #[test]
    fn intervals_of_clopper_and_pearson() {
        // The rule of three, and a textbook value: 4 of 20 at 95 %.
        let (low, high) = clopper_pearson(0, 1_000, 0.05);
        assert!(low == 0.0 && (high - 0.003_682).abs() < 1e-5, "{high}");
        let (low, high) = clopper_pearson(4, 20, 0.05);
        assert!((low - 0.057_33).abs() < 1e-4 && (high - 0.436_6).abs() < 1e-4, "{low} {high}");
    }

    #[test]
    fn a_sample_fits_its_own_probabilities_and_no_others() {
        let probabilities = [0.001, 0.004, 0.095, 0.4, 0.5];
        let mut random = Random::new(1, 0x4849, 0);
        let mut counts = Counts::new(5);
        for _ in 0..20_000 {
            let draw = random.below(1_000);
            counts.add([1, 5, 100, 500].iter().filter(|limit| draw >= **limit).count());
        }
        assert!(counts.compare(&probabilities).holds());
        assert!(!counts.compare(&[0.001, 0.004, 0.105, 0.4, 0.49]).holds(), "χ²");
        let rare = counts.compare(&[1e-9, 0.005 - 1e-9, 0.095, 0.4, 0.5]);
        assert_eq!(rare.outside, [0], "a bin where nothing is expected");
        assert_eq!(counts.mass(|bin| bin < 2) + counts.mass(|bin| bin >= 2), 20_000);
    }
}
