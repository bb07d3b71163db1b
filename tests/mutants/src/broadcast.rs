//! One bug for each invariant of the broadcast.

use super::{By, Mutant};

const DELIVER: &str = "core/src/broadcast/deliver.rs";
const MARKS: &str = "core/src/broadcast/marks.rs";

pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "numbers-go-on-in-a-new-epoch",
        checks: &["CB1"],
        patches: &[(
            "core/src/broadcast.rs",
            "        self.epoch = epoch;\n        self.seq = 0;\n",
            "        self.epoch = epoch;\n",
        )],
        by: By::Sweep,
    },
    Mutant {
        name: "a-repeated-message-is-news",
        checks: &["CB2"],
        patches: &[
            (
                "core/src/broadcast/seen.rs",
                "let Ok(place) = self.find(seq) else { return false };",
                "let Ok(place) = self.find(seq) else { return true };",
            ),
            (
                DELIVER,
                "if self.is_current(id.origin, id.epoch, id.seq, cx) || self.has(id) {\n            return Taken::Known;",
                "if self.is_current(id.origin, id.epoch, id.seq, cx) {\n            return Taken::Known;",
            ),
        ],
        by: By::Sweep,
    },
    Mutant {
        name: "lost-without-a-word",
        checks: &["CB3", "CB4"],
        patches: &[(
            DELIVER,
            "cx.out.notify(Notice::Lost { origin, epoch, first, last });",
            "let _ = (first, last, epoch);",
        )],
        by: By::Sweep,
    },
    Mutant {
        name: "marks-are-never-compared",
        checks: &["CB4", "CM7"],
        patches: &[(
            MARKS,
            "if self.exchange.is_due(root, ours, spread, cx) && members.receiver(from.id).is_some() {",
            "if self.exchange.is_due(root, ours, spread, cx) && members.receiver(from.id).is_none() {",
        )],
        by: By::Sweep,
    },
    Mutant {
        name: "a-request-waits-for-minutes",
        checks: &["CB4", "CB6", "CB10"],
        patches: &[(
            "core/src/broadcast/request.rs",
            "            gap.due = cx.now + cx.config.broadcast.request_timeout;",
            "            gap.due = cx.now + cx.config.broadcast.request_timeout * 1_000;",
        )],
        by: By::Sweep,
    },
    Mutant {
        name: "a-cache-without-end",
        checks: &["CB7"],
        patches: &[(
            "core/src/broadcast/cache.rs",
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
            "core/src/broadcast/request.rs",
            "|gap| gap.is_refused(needed) && now.since(gap.since) >= after",
            "|gap| gap.is_refused(needed) && now.since(gap.since) >= after * 10_000",
        )],
        by: By::Sweep,
    },
];
