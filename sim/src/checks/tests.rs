//! Tests of the table of checks: each has a bad history, and `CHECKS.md` lists each.

use std::fs;
use std::path::{Path, PathBuf};

use super::TABLE;
use crate::faults::trial::Verdict;
use crate::scenario::{self, Scenario};

/// The sources below `sim/src/checks` and `sim/src/kernel`, each with its text.
fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.join("checks"), root.join("kernel")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the sources can be read") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name != "tests.rs" || folder.ends_with("kernel")) {
                found.push((path.clone(), fs::read_to_string(&path).expect("it is text")));
            }
        }
    }
    found
}

/// Whether a source contains a test with `_is_found` or `_are_found` in its name, and names the check in its tests.
fn has_bad_history(source: &str, id: &str) -> bool {
    let tests = source.find("#[cfg(test)]\nmod tests").map_or(source, |start| &source[start..]);
    let found = tests.contains("_is_found") || tests.contains("_are_found");
    found && tests.contains(&format!("\"{id}\""))
}

#[test]
fn each_check_has_a_bad_history() {
    let sources = sources();
    let with_history = |id: &str| sources.iter().any(|(_, source)| has_bad_history(source, id));
    let ids = TABLE.iter().map(|(id, ..)| *id).chain(["CS6"]);
    let missing: Vec<&str> = ids.filter(|id| !with_history(id)).collect();
    assert!(missing.is_empty(), "no test feeds these checks a bad history: {missing:?}");
}

#[test]
fn each_check_is_described() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("CHECKS.md");
    let page = fs::read_to_string(page).expect("the list of checks can be read");
    let missing: Vec<&str> =
        TABLE.iter().map(|(id, ..)| *id).filter(|id| !page.contains(&format!("\n| {id} | `"))).collect();
    assert!(missing.is_empty(), "not in CHECKS.md: {missing:?}");
}

/// Runs a scenario that is given as text, and returns how much the check with this id has judged.
fn judged(scenario: &str, id: &str) -> u64 {
    let scenario = Scenario::parse(scenario).expect("it is a scenario");
    let outcome = scenario::run(&scenario, 1, Vec::new());
    assert_eq!(outcome.verdict, Verdict::Passed);
    outcome.judged.iter().find(|(of, _)| *of == id).map_or(0, |(_, count)| *count)
}

#[test]
fn a_leave_is_judged_once_the_bound_has_passed() {
    let leave = r#"
        name = "leave"
        about = "One of four leaves."
        nodes = 4
        for = "300s"
        [[step]]
        at = "20s"
        op = "leave"
        node = "n3"
        within = "5s"
    "#;
    assert_eq!(judged(leave, "CM8"), 3, "each of the others is asked whether it shows the leaver");
}

#[test]
fn a_crash_is_judged_at_every_other_member() {
    let crash = r#"
        name = "crash"
        about = "One of four crashes."
        nodes = 4
        for = "300s"
        [[step]]
        at = "20s"
        op = "crash"
        node = "n3"
    "#;
    assert_eq!(judged(crash, "CM1"), 3);
}
