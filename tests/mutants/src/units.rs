//! Bugs that a unit test of the core, or a test of `tests/it`, notices and the sweep need not.

use super::{By, Mutant};

pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "a-long-part-is-handed-over-unasked",
        checks: &["B9"],
        patches: &[(
            "core/src/reconcile/tree.rs",
            "steps.push(if *theirs == 0 {",
            "steps.push(if *theirs == 0 || count > LIST_MAX {",
        )],
        by: By::Unit("reconcile::tests::any_two_tables_end_equal_after_one_exchange_whichever_node_starts"),
    },
    Mutant {
        name: "fingerprints-use-up-the-credit",
        checks: &["B9"],
        patches: &[(
            "core/src/reconcile/exchange.rs",
            "used + bytes <= FINGERPRINT_BYTES * usize::from(depth) && self.spend(bytes)",
            "used + bytes <= CREDIT_MAX && depth > 0 && self.spend(bytes)",
        )],
        by: By::Unit("reconcile::tests::tables_end_equal_however_much_of_them_differs"),
    },
    Mutant {
        name: "an-equal-root-ends-the-differences-of-others",
        checks: &["B9"],
        patches: &[(
            "core/src/reconcile/sync.rs",
            "            self.differing.remove(&sender);\n",
            "            self.differing.clear();\n            let _ = sender;\n",
        )],
        by: By::Unit("reconcile::tests::one_that_differs_is_noticed_among_many_that_agree"),
    },
];
