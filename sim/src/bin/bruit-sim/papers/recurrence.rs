//! The exact distribution of the number of members that a broadcast reaches: the analysis of pbcast (Birman et al., TOCS
//! 17(2), 1999, §5) as a Markov chain on (members that have the message, digests that they have yet to send).
//!
//! In the model there are `members` processes. Each fails with probability `failure`, independently and at the time of the
//! submission; a failed process does nothing any more, and the others do not know. A failed origin has still sent its first
//! phase. That phase reaches each other process with probability 1 − `loss`, independently. Then each process that has the
//! message sends `rounds` digests, each to one other process that it draws uniformly, and each is lost with probability
//! `loss`. A process that gets such a digest gets the message, because it asks until it is served.
//!
//! The result depends on the number of digests and not on their times, so they can be taken one at a time in any order. If
//! `i` of the `c` working processes have the message, a digest reaches a new one with probability (c − i) / (n − 1) · (1 −
//! loss), and each new one adds `rounds` digests. The chain ends when no digest is left. All terms are positive, so even
//! probabilities of 1e−30 are right to about twelve digits.

/// The parameters of the model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Model {
    pub(super) members: usize,
    pub(super) loss: f64,
    pub(super) failure: f64,
    /// Whether there is a first phase.
    pub(super) multicast: bool,
    pub(super) rounds: usize,
}

impl Model {
    /// The probability of each number of members that have the message in the end. Failed members never have it.
    pub(super) fn distribution(&self) -> Vec<f64> {
        let others = self.members - 1;
        let mut sum = vec![0.0; self.members + 1];
        for (failed, of_failed) in binomial(others, self.failure).into_iter().enumerate() {
            let correct = others - failed;
            let reached = if self.multicast { 1.0 - self.loss } else { 0.0 };
            for (first, of_first) in binomial(correct, reached).into_iter().enumerate() {
                let weight = of_failed * of_first;
                self.gossip(first + 1, correct + 1, weight * (1.0 - self.failure), &mut sum);
                self.gossip(first, correct, weight * self.failure, &mut sum);
            }
        }
        sum
    }

    /// Adds the distribution that results if `have` of the `can` working members have the message.
    fn gossip(&self, have: usize, can: usize, weight: f64, sum: &mut [f64]) {
        if weight == 0.0 {
            return;
        }
        // For each number of members, the probability that so many have the message after `sent` digests.
        let mut at = vec![0.0; can + 1];
        at[have] = weight;
        for sent in 0..=self.rounds * can {
            for i in (0..=can).rev() {
                let probability = at[i];
                if probability == 0.0 {
                    continue;
                }
                at[i] = 0.0;
                if sent == self.rounds * i {
                    sum[i] += probability;
                    continue;
                }
                let new = (can - i) as f64 / (self.members - 1) as f64 * (1.0 - self.loss);
                if i < can {
                    at[i + 1] += probability * new;
                }
                at[i] += probability * (1.0 - new);
            }
        }
    }
}

/// The probabilities of 0 to `trials` successes.
fn binomial(trials: usize, probability: f64) -> Vec<f64> {
    let mut all = vec![1.0];
    for _ in 0..trials {
        let mut next = vec![0.0; all.len() + 1];
        for (successes, weight) in all.iter().enumerate() {
            next[successes] += weight * (1.0 - probability);
            next[successes + 1] += weight * probability;
        }
        all = next;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use bruit_sim::Random;

    const PAPER: Model = Model { members: 50, loss: 0.05, failure: 0.001, multicast: true, rounds: 10 };

    #[test]
    fn probabilities_add_up_and_the_simplest_cases_are_as_by_hand() {
        for multicast in [false, true] {
            let sum: f64 = Model { multicast, ..PAPER }.distribution().iter().sum();
            assert!((sum - 1.0).abs() < 1e-12, "{sum}");
        }
        // Two members, one digest: it arrives or not.
        let two = Model { members: 2, loss: 0.25, failure: 0.0, multicast: false, rounds: 1 };
        assert_eq!(two.distribution(), [0.0, 0.25, 0.75]);
        // Three members: the digest of the origin, then that of the member that got it, which may go back to the origin.
        let three = Model { members: 3, ..two }.distribution();
        assert!((three[3] - 0.75 * 0.75 / 2.0).abs() < 1e-12);
    }

    #[test]
    fn the_middle_is_empty() {
        for multicast in [false, true] {
            let middle: f64 = Model { multicast, ..PAPER }.distribution()[6..45].iter().sum();
            assert!(middle < 1e-9, "{middle}");
        }
    }

    #[test]
    fn the_order_of_digests_does_not_matter() {
        // The model is simulated round by round, with the digests of all members in one round, ten thousand times.
        let model = Model { members: 20, loss: 0.1, failure: 0.0, multicast: false, rounds: 2 };
        let mut random = Random::new(3, 0x5243, 0);
        let mut counts = super::super::counts::Counts::new(21);
        for _ in 0..10_000 {
            let mut left = [0; 20];
            left[0] = 3;
            while left.iter().any(|left| *left > 1) {
                let senders: Vec<usize> = (0..20).filter(|member| left[*member] > 1).collect();
                for sender in senders {
                    left[sender] -= 1;
                    let target = (sender + 1 + random.position(19)) % 20;
                    if left[target] == 0 && !random.chance(100_000) {
                        left[target] = 3;
                    }
                }
            }
            counts.add(left.iter().filter(|left| **left > 0).count());
        }
        let fit = counts.compare(&model.distribution());
        assert!(fit.holds(), "{fit:?}");
    }
}
