//! Fault plans that are drawn from seeds, run with every check. A failure prints its seed; `bruit-sim replay SEED --plans basic`
//! shows the run.

use bruit_sim::faults::trial::{self, Verdict};
use bruit_sim::faults::{Kind, Plan, Plans};

/// The seeds whose basic plans run on every change. The command `bruit-sim sweep` runs wide plans and other seeds.
const SEEDS: core::ops::Range<u64> = 0..150;

/// Seeds whose basic plans failed once, and the reason of each. Basic plans never change. A failure of a wide plan is kept as
/// the plan itself, in `tests/it/plans`, because wide plans change when a kind of fault is added.
const FAILED: [(u64, &str); 4] = [
    (206, "a random choice may miss the one member that could answer, so healing takes turns"),
    (
        1_287_458_441,
        "the record of a process replaced that of its former one, which was then accused under its name",
    ),
    (3_889, "the member that is not contacted missed the others for that reason"),
    (
        3_325_505_343,
        "the accusation of a former process named this one, which refuted it in the former epoch",
    ),
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
    let missing: Vec<Kind> = Kind::BASIC.into_iter().filter(|kind| !kinds.contains(kind)).collect();
    assert!(missing.is_empty(), "kinds of fault without any effect: {missing:?}");
    assert!(idle.len() < 3, "runs in which a kind of fault had no effect: {idle:?}");
}

/// Wide plans of these seeds together have every kind of fault, and each kind has an effect. (Their checks are judged by the
/// command `bruit-sim sweep`.)
#[test]
fn every_kind_of_fault_of_wide_plans_has_an_effect() {
    let mut missing: std::collections::BTreeSet<Kind> = Kind::all().collect();
    for seed in 0..200 {
        let plan = Plans::Wide.draw(seed);
        if !plan.kinds.iter().any(|kind| missing.contains(kind)) {
            continue;
        }
        let outcome = trial::run(&plan, Vec::new());
        let idle = plan.idle_kinds(&outcome.applied);
        plan.kinds.iter().filter(|kind| !idle.contains(kind)).for_each(|kind| {
            missing.remove(kind);
        });
        if missing.is_empty() {
            return;
        }
    }
    panic!("kinds of fault without any effect: {missing:?}");
}

/// Plans that failed once, as `bruit-sim replay SEED --plan` prints them. The name of a file says what the plan found.
#[test]
fn plans_that_failed_once() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/it/plans");
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .expect("the directory is part of the repository")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    for path in files {
        let text = std::fs::read_to_string(&path).expect("a readable file");
        let plan: Plan = serde_json::from_str(&text).expect("a plan");
        assert_eq!(plan.validate(), Ok(()), "{}", path.display());
        let verdict = trial::run(&plan, Vec::new()).verdict;
        assert!(!matches!(verdict, Verdict::Violated(_)), "{}: {verdict:?}", path.display());
    }
}
