//! Breaks the core on purpose, once for each check, to show that the check notices. See README.md.

mod broadcast;
mod identity;
mod units;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

const SEEDS: &str = "0..200";

/// A bug: replacements of texts that each occur once in their file.
struct Mutant {
    name: &'static str,
    /// The mutant is caught if any of these checks notices it.
    checks: &'static [&'static str],
    patches: &'static [(&'static str, &'static str, &'static str)],
    by: By,
}

enum By {
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
            "self.health.worsen(1, cx.config);\n                self.bump_incarnation(cx);",
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
            (LEAVE, "        self.updates.push(self.own.id);\n", ""),
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
        by: By::Sweep,
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
                "if header.cluster != cluster {",
                "if header.cluster != cluster && cluster == 1 {",
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
        by: By::Sweep,
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
        checks: &["CM4", "CM7"],
        patches: &[(
            OWN,
            "            Reaction::Jump(heard) => self.jump(heard, cx),",
            "            Reaction::Jump(_) => {}",
        )],
        by: By::Sweep,
    },
    Mutant {
        name: "healing-is-ten-times-as-rare",
        checks: &["CM7"],
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
            "        self.terminal += usize::from(!rules::is_live(state));\n",
            "",
        )],
        by: By::Sweep,
    },
];

fn main() -> ExitCode {
    let mut asked: Vec<String> = env::args().skip(1).collect();
    let only_check = asked.first().is_some_and(|word| word == "--check");
    asked.retain(|word| word != "--check");
    let all = MUTANTS.iter().chain(broadcast::MUTANTS).chain(identity::MUTANTS).chain(units::MUTANTS);
    let chosen: Vec<&Mutant> =
        all.filter(|mutant| asked.is_empty() || asked.iter().any(|name| name == mutant.name)).collect();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if only_check {
        return check(&source, &chosen);
    }
    let workshop = env::temp_dir().join("bruit-mutants");
    let mut healthy = BTreeMap::new();
    if chosen.iter().any(|mutant| matches!(mutant.by, By::Sweep)) {
        eprintln!("the core without mutants, for comparison");
        copy(&source, &workshop);
        healthy = match sweep(&workshop) {
            Ok(failures) => failures,
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::from(2);
            }
        };
    }
    println!("{:<40} {:<12} {:<8} seed or scenario", "mutant", "expected", "caught");
    let (mut survivors, mut stale) = (0, 0);
    for mutant in chosen {
        eprintln!("{}", mutant.name);
        copy(&source, &workshop);
        let outcome =
            mutate(&workshop, mutant).and_then(|()| match mutant.by {
                By::Sweep => sweep(&workshop).map(|failures| new_failure(&failures, &healthy, mutant)),
                By::Scenario(name) => test(&workshop, "bruit-tests", name)
                    .map(|fails| fails.then(|| ("yes".into(), name.into()))),
                By::Unit(name) => test(&workshop, "bruit-core", name)
                    .map(|fails| fails.then(|| ("yes".into(), name.into()))),
            });
        let expected = mutant.checks.join(" ");
        match outcome {
            Ok(Some((check, place))) => println!("{:<40} {expected:<12} {check:<8} {place}", mutant.name),
            Ok(None) => {
                survivors += 1;
                println!("{:<40} {expected:<12} {:<8}", mutant.name, "NO");
            }
            Err(error) => {
                stale += 1;
                println!("{:<40} {expected:<12} {:<8} {error}", mutant.name, "STALE");
            }
        }
    }
    if stale > 0 { ExitCode::from(2) } else { ExitCode::from(u8::from(survivors > 0)) }
}

/// Says which mutants do not fit the sources any more.
fn check(source: &Path, chosen: &[&Mutant]) -> ExitCode {
    let mut stale = 0;
    for mutant in chosen {
        if let Err(error) = patched(source, mutant) {
            stale += 1;
            println!("{:<40} STALE {error}", mutant.name);
        }
    }
    println!("{} mutants, {stale} stale", chosen.len());
    ExitCode::from(if stale > 0 { 2 } else { 0 })
}

/// Copies the sources. Earlier build results stay, so that the next build is short.
fn copy(source: &Path, workshop: &Path) {
    for part in ["core", "sim", "tests"] {
        let _ = fs::remove_dir_all(workshop.join(part));
        copy_tree(&source.join(part), &workshop.join(part));
    }
    let manifest = fs::read_to_string(source.join("Cargo.toml")).expect("the workspace has a manifest");
    let members = manifest.lines().find(|line| line.starts_with("members =")).expect("it has members");
    let manifest = manifest.replace(members, r#"members = ["core", "sim", "tests"]"#);
    fs::write(workshop.join("Cargo.toml"), manifest).expect("the workshop can be written");
    fs::copy(source.join("Cargo.lock"), workshop.join("Cargo.lock")).expect("there is a lock file");
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the workshop can be written");
    for entry in fs::read_dir(from).expect("the sources can be read") {
        let path: PathBuf = entry.expect("an entry").path();
        let name = path.file_name().expect("an entry has a name");
        if name == "target" || name == "mutants" || name == "peers" {
            continue;
        }
        if path.is_dir() {
            copy_tree(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).expect("the workshop can be written");
        }
    }
}

fn mutate(workshop: &Path, mutant: &Mutant) -> Result<(), String> {
    for (path, text) in patched(workshop, mutant)? {
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// The files of a mutant with its bug.
fn patched(sources: &Path, mutant: &Mutant) -> Result<BTreeMap<PathBuf, String>, String> {
    let mut files = BTreeMap::new();
    for (file, from, to) in mutant.patches {
        let path = sources.join(file);
        let text = match files.remove(&path) {
            Some(text) => text,
            None => fs::read_to_string(&path).map_err(|error| format!("{file}: {error}"))?,
        };
        let times = text.matches(from).count();
        if times != 1 {
            return Err(format!("the text to replace occurs {times} times in {file}"));
        }
        files.insert(path, text.replace(from, to));
    }
    Ok(files)
}

fn cargo(workshop: &Path, arguments: &[&str]) -> Result<(bool, String), String> {
    let output = Command::new("cargo")
        .args(arguments)
        .current_dir(workshop)
        .env("CARGO_TARGET_DIR", workshop.join("target"))
        .output()
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    Ok((output.status.success(), text.into_owned()))
}

/// Stands for the seed of a failure that only the whole sweep shows.
const RATE: u64 = u64::MAX;

/// Runs the sweep. Returns the first check that failed for each seed that failed.
fn sweep(workshop: &Path) -> Result<BTreeMap<u64, String>, String> {
    let (built, text) = cargo(workshop, &["build", "-q", "-p", "bruit-sim"])?;
    if !built {
        return Err(format!("it does not build: {}", text.lines().next().unwrap_or("")));
    }
    let sweep = "run -q -p bruit-sim -- sweep --plans basic --failures 0 -j 2 --seeds";
    let sweep: Vec<&str> = sweep.split(' ').chain([SEEDS]).collect();
    let (_, text) = cargo(workshop, &sweep)?;
    let failure = |line: &str| {
        // A rate of the whole sweep has no seed.
        if let Some((check, _)) = line.split_once(": ").filter(|(check, _)| *check == "CM7") {
            return Some((RATE, check.to_owned()));
        }
        let (seed, rest) = line.strip_prefix("seed ")?.split_once(": ")?;
        Some((seed.parse().ok()?, rest.split_whitespace().next()?.to_owned()))
    };
    // CS10 reports the assertions of `Node::check` itself.
    if text.contains("panicked at") && !text.contains("CS10 at") {
        // An assertion of the core counts as a check.
        return Ok(BTreeMap::from([(0, "panic".to_owned())]));
    }
    Ok(text.lines().filter_map(failure).collect())
}

fn new_failure(
    failures: &BTreeMap<u64, String>,
    healthy: &BTreeMap<u64, String>,
    mutant: &Mutant,
) -> Option<(String, String)> {
    let new = failures.iter().filter(|(seed, _)| !healthy.contains_key(seed));
    let expected = |check: &String| mutant.checks.contains(&check.as_str()) || check == "panic";
    let place = |seed: u64| if seed == RATE { "all seeds together".to_owned() } else { seed.to_string() };
    new.filter(|(_, check)| expected(check)).map(|(seed, check)| (check.clone(), place(*seed))).next()
}

/// Runs one test of a package. Returns whether it fails.
fn test(workshop: &Path, package: &str, name: &str) -> Result<bool, String> {
    let (built, text) = cargo(workshop, &["test", "-q", "-p", package, "--no-run"])?;
    if !built {
        return Err(format!("it does not build: {}", text.lines().next().unwrap_or("")));
    }
    let (passes, text) = cargo(workshop, &["test", "-q", "-p", package, "--", "--exact", name])?;
    if passes && !text.contains("1 passed") {
        return Err("there is no such test".to_owned());
    }
    Ok(!passes)
}
