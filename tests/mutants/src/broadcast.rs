//! One bug for each invariant of the broadcast.

use super::{By, Mutant};

const DELIVERY: &str = "core/src/broadcast/delivery.rs";
const LOG: &str = "core/src/broadcast/log.rs";
const REQUEST: &str = "core/src/broadcast/repair/request.rs";

pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "numbers-go-on-in-a-new-epoch",
        checks: &["CB1"],
        patches: &[(
            LOG,
            "        self.epoch = epoch;\n        self.seq = 0;\n",
            "        self.epoch = epoch;\n",
        )],
        by: By::Unit("membership::name_tests::the_broadcasts_of_a_new_epoch_are_numbered_from_1"),
    },
    Mutant {
        name: "an-epoch-at-the-end-of-its-range-is-opened",
        checks: &["CB4"],
        patches: &[(LOG, "epoch >= Incarnation::EPOCH_END || matches!", "matches!")],
        by: By::Unit("broadcast::log::tests::an_epoch_at_the_end_of_its_range_is_never_opened"),
    },
    Mutant {
        name: "hops-are-not-counted",
        checks: &["CB1"],
        patches: &[(
            "core/src/broadcast/spread/queue.rs",
            "let hops = cached.hops.saturating_add(1);",
            "let hops = cached.hops;",
        )],
        by: By::Sweep,
    },
    Mutant {
        name: "a-repeated-message-is-news",
        checks: &["CB2"],
        patches: &[
            (
                "core/src/broadcast/log/seen.rs",
                "let Ok(place) = self.find(seq) else { return false };",
                "let Ok(place) = self.find(seq) else { return true };",
            ),
            (
                LOG,
                "        self.is_current(id.origin, id.epoch, id.seq) || self.has(id)\n",
                "        self.is_current(id.origin, id.epoch, id.seq)\n",
            ),
        ],
        by: By::Sweep,
    },
    Mutant {
        name: "lost-without-a-word",
        checks: &["CB3", "CB4"],
        patches: &[(
            DELIVERY,
            "cx.out.notify(Notice::Lost { origin, epoch, first, last });",
            "let _ = (first, last, epoch);",
        )],
        by: By::Sweep,
    },
    Mutant {
        name: "marks-are-never-compared",
        checks: &["CB4", "CM7"],
        patches: &[(
            "core/src/broadcast/repair/marks.rs",
            "let partner = || peers.receiver(from.id).map(|_| from);",
            "let partner = || None;",
        )],
        by: By::Sweep,
    },
    Mutant {
        name: "a-request-waits-for-minutes",
        checks: &["CB4", "CB6", "CB10"],
        patches: &[(
            REQUEST,
            "        gap.due = tools.cx.now + timeout;",
            "        gap.due = tools.cx.now + timeout * 1_000;",
        )],
        by: By::Sweep,
    },
    Mutant {
        name: "a-cache-without-end",
        checks: &["CB7"],
        patches: &[(
            "core/src/broadcast/log/cache.rs",
            "while self.bytes > limit {",
            "while self.bytes > limit * 4 {",
        )],
        by: By::Scenario(
            "broadcast::losses::a_cache_smaller_than_what_is_in_flight_loses_the_oldest_and_says_so",
        ),
    },
    Mutant {
        name: "nothing-is-ever-given-up",
        checks: &["CB10"],
        patches: &[(
            REQUEST,
            "gap.is_refused(needed) && tools.cx.now.since(gap.since) >= after",
            "gap.is_refused(needed) && tools.cx.now.since(gap.since) >= after * 10_000",
        )],
        by: By::Sweep,
    },
];
