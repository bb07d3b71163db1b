//! Breaks the core on purpose, once for each check, to show that the check notices. See README.md.

mod broadcast;
mod identity;
mod units;
mod workshop;

use std::env;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use workshop::Workshop;

/// A bug: replacements of texts that each occur once in their file.
struct Mutant {
    name: &'static str,
    /// The mutant is caught if any of these checks notices it.
    checks: &'static [&'static str],
    patches: &'static [(&'static str, &'static str, &'static str)],
    by: By,
}

enum By {
    /// A seed of the sweep, or its rate over all seeds.
    Sweep,
    /// A test of `tests/it`.
    Scenario(&'static str),
    /// A unit test of the core.
    Unit(&'static str),
}

const RULES: &str = "core/src/membership/rules.rs";
const IDENTITY: &str = "core/src/membership/identity.rs";
const VERDICT: &str = "core/src/membership/verdict.rs";
const OWN: &str = "core/src/membership/own.rs";
const TABLE: &str = "core/src/membership/table.rs";
const SUSPICION: &str = "core/src/membership/suspicion.rs";
const JOIN: &str = "core/src/membership/join.rs";
const HEAL: &str = "core/src/membership/heal.rs";
const LEAVE: &str = "core/src/membership/leave.rs";

const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "no-verdict",
        checks: &["CM1", "CM6", "CM7"],
        patches: &[(
            SUSPICION,
            "            self.declare_down(id, cx);",
            "            self.deadlines.arm(Timer::Suspicion(id), cx.now + Duration::from_secs(100_000), cx.now);",
        )],
        by: By::Sweep,
    },
    Mutant {
        name: "hearsay-at-its-word",
        checks: &["CM2"],
        patches: &[(RULES, "held_is_live && witness == Witness::Nothing", "held_is_live && false")],
        by: By::Sweep,
    },
    Mutant {
        name: "down-members-return-at-the-same-incarnation",
        checks: &["CM3", "CM11"],
        patches: &[(
            RULES,
            "MemberState::Alive if heard.incarnation > held.incarnation =>",
            "MemberState::Alive if heard.incarnation > held.incarnation || heard.incarnation == held.incarnation && !held_is_live =>",
        )],
        by: By::Sweep,
    },
    Mutant {
        name: "a-bump-for-every-old-accusation",
        checks: &["CM4"],
        patches: &[(
            IDENTITY,
            "} else if !accuses || heard < self.incarnation {",
            "} else if !accuses && heard > self.incarnation {",
        )],
        by: By::Sweep,
    },
    Mutant {
        name: "the-last-record-wins",
        checks: &["CM5"],
        patches: &[(RULES, "(version(heard), heard) > (version(held), held)", "heard != held")],
        by: By::Sweep,
    },
    Mutant {
        name: "no-refutation",
        checks: &["CM2", "CM6"],
        patches: &[(
            OWN,
            "self.health.worsen(1, cx.config);\n                self.refute(cx);",
            "self.health.worsen(1, cx.config);",
        )],
        by: By::Sweep,
    },
    Mutant {
        name: "no-healing",
        checks: &["CM7", "CM10"],
        patches: &[
            (
                HEAL,
                "if let Some((id, addr)) = self.table.choose_down(turn)",
                "if let Some((id, addr)) = self.table.choose_down(turn).filter(|_| false)",
            ),
            (
                HEAL,
                "if let Some(contact) = silent.get(turn % silent.len().max(1))",
                "if let Some(contact) = silent.get(turn % silent.len().max(1)).filter(|_| false)",
            ),
        ],
        by: By::Sweep,
    },
    Mutant {
        name: "a-leaver-says-that-it-is-down",
        checks: &["CM8"],
        patches: &[
            (
                LEAVE,
                "state: MemberState::Left, removed: false, age: 0, author: id };",
                "state: MemberState::Down, removed: false, age: 0, author: id };",
            ),
            (LEAVE, "        self.updates.push(self.own.id, Update::Verdict);\n", ""),
        ],
        by: By::Scenario("membership::five_nodes_start_and_stop"),
    },
    Mutant {
        name: "news-of-oneself-is-news-of-anybody",
        checks: &["CM8"],
        patches: &[(
            VERDICT,
            "        if id == self.own.id {\n            if removed",
            "        if id == self.own.id && state == MemberState::Left {\n            if removed",
        )],
        by: By::Unit(
            "membership::rule_tests::a_verdict_about_oneself_is_news_of_the_own_id_and_no_entry_of_the_table",
        ),
    },
    Mutant {
        name: "gossip-without-limit",
        checks: &["CM9"],
        patches: &[(
            "core/src/membership/updates.rs",
            "Fate::Packed if transmissions + 1 < limit",
            "Fate::Packed if transmissions + 1 < 8 * limit",
        )],
        by: By::Sweep,
    },
    Mutant {
        name: "datagrams-above-the-mtu",
        checks: &["CM9"],
        patches: &[(
            "core/src/link/writer.rs",
            "let end = start + usize::from(mtu) -",
            "let end = start + 2 * usize::from(mtu) -",
        )],
        by: By::Scenario("cluster::one_thousand_nodes_join_through_one_seed_within_10_s"),
    },
    Mutant {
        name: "any-cluster-will-do",
        checks: &["CM10"],
        patches: &[
            (
                "core/src/wire/envelope.rs",
                "if cluster.is_some_and(|cluster| header.cluster != cluster) {",
                "if cluster == Some(1) {",
            ),
            (JOIN, "if join.cluster != cx.config.cluster {", "if join.cluster.is_empty() {"),
        ],
        by: By::Scenario("membership::two_clusters_with_each_others_addresses_stay_two"),
    },
    Mutant {
        name: "a-cleared-suspect-is-new",
        checks: &["CM11"],
        patches: &[(
            RULES,
            "MemberState::Alive if before == MemberState::Suspect => &[MemberChange::Refuted],",
            "MemberState::Alive if before == MemberState::Suspect => &[MemberChange::Up],",
        )],
        by: By::Sweep,
    },
    Mutant {
        name: "a-suspicion-lasts-no-time",
        checks: &["CM2", "CM6", "CM12"],
        patches: &[(
            SUSPICION,
            "            return self.started + self.min;",
            "            return self.started;",
        )],
        by: By::Unit("membership::suspicion_tests::a_member_that_all_suspect_still_has_the_time_to_refute"),
    },
    Mutant {
        name: "no-twin-yields",
        checks: &["CM7", "CM13"],
        patches: &[(
            IDENTITY,
            "return Reaction::Stop { rival: rank.boot };",
            "return asked.map_or(Reaction::Nothing, |doubt| Reaction::Jump(doubt.heard));",
        )],
        by: By::Sweep,
    },
    Mutant {
        name: "a-twin-stops-without-a-word",
        checks: &["CM13", "CM14"],
        patches: &[(
            OWN,
            "                cx.out.notify(Notice::IdentityConflict { other: rival, stopped: true });\n",
            "",
        )],
        by: By::Sweep,
    },
    Mutant {
        name: "a-dead-life-is-taken-for-a-twin",
        checks: &["CM14"],
        patches: &[(
            IDENTITY,
            "        self.suspect(boot, incarnation, route, now);\n",
            "        if self.rank.boot > 0 {\n            return Reaction::Stop { rival: boot };\n        }\n        self.suspect(boot, incarnation, route, now);\n",
        )],
        by: By::Sweep,
    },
    Mutant {
        name: "a-restarted-member-stays-below-its-former-life",
        checks: &["A1"],
        patches: &[(
            OWN,
            "            Reaction::Jump(heard) => self.jump(heard, cx),",
            "            Reaction::Jump(_) => {}",
        )],
        by: By::Unit("membership::name_tests::who_hears_news_above_its_incarnation_moves_above_it"),
    },
    Mutant {
        name: "healing-is-ten-times-as-rare",
        checks: &["CM7", "CM10"],
        patches: &[(
            HEAL,
            "let interval = cx.config.membership.heal_interval;",
            "let interval = cx.config.membership.heal_interval * 10;",
        )],
        by: By::Sweep,
    },
    Mutant {
        name: "entries-are-not-counted",
        checks: &["CS10"],
        patches: &[(
            "core/src/membership/table.rs",
            "        self.terminal += usize::from(!state.is_live());\n",
            "",
        )],
        by: By::Sweep,
    },
];

fn main() -> ExitCode {
    let mut asked: Vec<String> = env::args().skip(1).collect();
    let only_check = asked.iter().any(|word| word == "--check");
    asked.retain(|word| word != "--check");
    let jobs = match asked.iter().position(|word| word == "-j") {
        Some(at) => asked.drain(at..asked.len().min(at + 2)).nth(1).unwrap_or_else(|| "1".to_owned()),
        None => "2".to_owned(),
    };
    let all = MUTANTS.iter().chain(broadcast::MUTANTS).chain(identity::MUTANTS).chain(units::MUTANTS);
    let chosen: Vec<&Mutant> =
        all.filter(|mutant| asked.is_empty() || asked.iter().any(|name| name == mutant.name)).collect();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if only_check { check(&source, &chosen) } else { run(&source, &chosen, jobs) }
}

/// Runs mutants, and prints what catches each.
fn run(source: &Path, chosen: &[&Mutant], jobs: String) -> ExitCode {
    let start = Instant::now();
    let mut workshop = Workshop::new(source, jobs);
    if chosen.iter().any(|mutant| matches!(mutant.by, By::Sweep)) {
        eprintln!("the core without a mutant, for comparison");
        if let Err(error) = workshop.build_healthy() {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    }
    println!("{:<52} {:<12} {:<8} {:>6}  seed or test", "mutant", "expected", "caught", "time");
    let (mut survivors, mut stale) = (0, 0);
    for (number, mutant) in (1..).zip(chosen) {
        let started = Instant::now();
        eprintln!("{number} of {}, after {} s: {}", chosen.len(), start.elapsed().as_secs(), mutant.name);
        let (caught, place) = match workshop.run(mutant) {
            Ok(Some(catch)) => catch,
            Ok(None) => {
                survivors += 1;
                ("NO".to_owned(), String::new())
            }
            Err(error) => {
                stale += 1;
                ("STALE".to_owned(), error)
            }
        };
        let (expected, seconds) = (mutant.checks.join(" "), started.elapsed().as_secs());
        println!("{:<52} {expected:<12} {caught:<8} {seconds:>4} s  {place}", mutant.name);
    }
    println!("{} mutants, {survivors} not caught, {stale} stale", chosen.len());
    ExitCode::from(if stale > 0 { 2 } else { u8::from(survivors > 0) })
}

/// Says which mutants do not fit the sources any more.
fn check(source: &Path, chosen: &[&Mutant]) -> ExitCode {
    let mut stale = 0;
    for mutant in chosen {
        if let Err(error) = workshop::patched(source, mutant) {
            stale += 1;
            println!("{:<52} STALE {error}", mutant.name);
        }
    }
    println!("{} mutants, {stale} stale", chosen.len());
    ExitCode::from(if stale > 0 { 2 } else { 0 })
}
