//! Fault plans that are drawn from seeds, run with every check. A failure prints its seed; `bruit-sim replay SEED` shows the
//! run.

use bruit_sim::faults::trial::{self, Verdict};
use bruit_sim::faults::{Kind, Plan};

/// The seeds that run on every change. The command `bruit-sim sweep` runs others.
const SEEDS: core::ops::Range<u64> = 0..150;

/// Seeds that failed once with the present way of drawing plans, and the reason of each. When plans are drawn in another way,
/// earlier failures are kept as scenarios.
const FAILED: [(u64, &str); 2] = [
    (206, "a random choice may miss the one member that could answer, so healing takes turns"),
    (3_889, "the member that is not contacted missed the others for that reason"),
];

#[test]
fn seeds_that_failed_once() {
    for (seed, reason) in FAILED {
        let verdict = trial::run(&Plan::draw(seed), Vec::new()).verdict;
        assert!(!matches!(verdict, Verdict::Violated(_)), "seed {seed} ({reason}): {verdict:?}");
    }
}

#[test]
fn plans_drawn_from_seeds() {
    let (mut failures, mut idle, mut kinds) = (Vec::new(), Vec::new(), std::collections::BTreeSet::new());
    for seed in SEEDS {
        let plan = Plan::draw(seed);
        match trial::run(&plan, Vec::new()).verdict {
            Verdict::Passed => kinds.extend(plan.kinds),
            Verdict::Inconclusive(of) => {
                kinds.extend(plan.kinds.iter().copied().filter(|kind| !of.contains(kind)));
                idle.push(seed);
            }
            Verdict::Violated(violation) => failures.push(format!("seed {seed}: {violation}")),
        }
    }
    assert!(failures.is_empty(), "{} of {} seeds fail:\n{}", failures.len(), SEEDS.end, failures.join("\n"));
    let missing: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| !kinds.contains(kind)).collect();
    assert!(missing.is_empty(), "kinds of fault without any effect: {missing:?}");
    assert!(idle.len() < 3, "runs in which a kind of fault had no effect: {idle:?}");
}
