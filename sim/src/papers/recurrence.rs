//! How many members a broadcast reaches, exactly: the analysis of pbcast (Birman et al., TOCS 17(2), 1999, §5) as a
//! Markov chain on (members that have it, digests that they have yet to send).
//!
//! The model. `members` processes, of which each fails with probability `failure`, independently and at the moment of
//! the submission: it then takes part in nothing, though the others do not know. A failed origin has still sent its
//! first phase. That phase reaches each other process with probability 1 − `loss`, independently. Then everybody that
//! has the message sends `rounds` digests, each to one other member that it draws uniformly, and each lost with
//! probability `loss`. A member that a digest has told of the message gets it: it asks until it is served.
//!
//! Nothing in this depends on when a digest is sent, only on how many are: the final number is the same if they are
//! sent one at a time, whoever's turn it is. One that arrives at `i` of `c` members that can have it brings a new one
//! with probability (c − i) / (n − 1) · (1 − loss); each new one adds `rounds` digests; when none is left it is over.
//! All terms are positive, so even 1e−30 is right to about twelve digits.

/// The numbers of the model.
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
    /// The probability that so many members have it in the end, failed ones never.
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

    /// Adds what becomes of a message that `have` of the members can gossip that can have it.
    fn gossip(&self, have: usize, can: usize, weight: f64, sum: &mut [f64]) {
        if weight == 0.0 {
            return;
        }
        // After so many digests, the probability that so many have it; an entry ends where all theirs are sent.
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
    use crate::random::Random;

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
        // Three: the origin's digest, then that of the one who got it, which may go back to the origin.
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
    fn it_does_not_matter_in_which_order_digests_are_sent() {
        // The same model played out round by round, everybody's digests together, ten thousand times.
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
