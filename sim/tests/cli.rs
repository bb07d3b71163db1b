//! The command `bruit-sim`: its exit codes, and that its output depends on the seed alone.

use std::process::{Command, Output};

fn bruit_sim(arguments: &[&str]) -> Output {
    let command = Command::new(env!("CARGO_BIN_EXE_bruit-sim")).args(arguments).output();
    command.expect("the binary runs")
}

#[track_caller]
fn refuses(arguments: &[&str], part: &str) {
    let output = bruit_sim(arguments);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains(part), "{text}");
}

#[test]
fn a_usage_error_names_the_mistake() {
    refuses(&["fly"], "unrecognized subcommand");
    refuses(&["sweep", "--seeds", "5..5"], "not a range of seeds");
    refuses(&["run", "nowhere.toml"], "nowhere.toml");
    refuses(&["run", "tour", "--nodes", "0"], "`nodes` is 0");
    refuses(&["run", "--nodes", "5"], "SCENARIO");
    refuses(&["sweep", "--plans", "deep"], "there are basic and wide");
    refuses(&["bench", "--nodes", "0"], "0 is not in 1..");
    refuses(&["replay"], "SEED");
    refuses(&["replay", "--from", "nowhere.json"], "nowhere.json");
}

#[test]
fn help_is_not_an_error() {
    let output = bruit_sim(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("Exit codes"));
}

#[test]
fn the_tour_is_the_same_each_time_and_fits_a_terminal() {
    let (one, two) = (bruit_sim(&["--seed", "5"]), bruit_sim(&["--seed", "5"]));
    assert_eq!(one.stdout, two.stdout);
    let text = String::from_utf8(one.stdout).expect("it is text");
    let story = text.lines().filter(|line| !line.contains("VIOLATION"));
    let wide: Vec<&str> = story.filter(|line| line.chars().count() > 100).collect();
    assert!(wide.is_empty(), "{wide:?}");
}

#[test]
fn a_sweep_prints_the_same_on_any_number_of_threads() {
    let sweep = |jobs| bruit_sim(&["sweep", "--seeds", "0..30", "-j", jobs]);
    let (one, three) = (sweep("1"), sweep("3"));
    assert_eq!(String::from_utf8_lossy(&one.stdout), String::from_utf8_lossy(&three.stdout));
    assert_eq!(one.status.code(), three.status.code());
}

#[test]
fn a_replay_gives_the_same_trace() {
    let output = bruit_sim(&["replay", "5"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("run again: the same trace"), "{text}");
    assert_ne!(output.status.code(), Some(4));
}

#[test]
fn a_printed_plan_is_run_as_its_seed_is() {
    let printed = bruit_sim(&["replay", "11", "--plan"]);
    let file = std::env::temp_dir().join(format!("bruit-sim-plan-{}.json", std::process::id()));
    std::fs::write(&file, &printed.stdout).expect("the file is written");
    let path = file.to_str().expect("a path of the test's own");
    let (drawn, read) = (bruit_sim(&["replay", "11"]), bruit_sim(&["replay", "--from", path]));
    assert_eq!(String::from_utf8_lossy(&drawn.stdout), String::from_utf8_lossy(&read.stdout));
    assert_eq!(drawn.status.code(), read.status.code());
    let text = String::from_utf8(printed.stdout).expect("it is text");
    let mut plan: serde_json::Value = serde_json::from_str(&text).expect("a plan");
    plan["stay_down"] = "n999".into();
    std::fs::write(&file, plan.to_string()).expect("the file is written");
    refuses(&["replay", "--from", path], "`stay_down` is n999, and must be n1 to n");
    std::fs::remove_file(&file).expect("it was there");
}

#[test]
fn a_sweep_ends_with_its_coverage_and_may_have_no_limit_of_failures() {
    let output = bruit_sim(&["sweep", "--seeds", "0..6", "--failures", "0"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("6 seeds, "), "{text}");
    for part in
        ["kind of fault", "snapshots", "operation", "remove-peer", "membership.tombstones_max", "effect"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let output = bruit_sim(&["sweep", "--seeds", "0..2", "--plans", "basic", "--json"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let parsed = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let rows = parsed.filter_map(|line| line["coverage"].as_array().map(Vec::len)).next_back();
    assert!(rows.is_some_and(|rows| rows > 100), "{text}");
}

#[test]
fn json_is_one_object_a_line() {
    let output = bruit_sim(&["run", "one-way", "--json"]);
    let text = String::from_utf8(output.stdout).expect("it is text");
    let objects = text.lines().map(serde_json::from_str::<serde_json::Value>);
    let objects: Vec<_> = objects.map(|object| object.expect("each line is an object")).collect();
    assert!(objects.last().is_some_and(|last| last["summary"]["hash"].is_string()));
}

#[test]
fn a_paper_prints_a_table_or_numbers_and_draws_its_figure() {
    let figure = std::env::temp_dir().join(format!("bruit-sim-{}.svg", std::process::id()));
    let path = figure.to_str().expect("a path of the test's own");
    let small = ["paper", "bimodal", "--members", "8", "--broadcasts", "16", "--svg", path];
    let table = bruit_sim(&small);
    assert!(String::from_utf8_lossy(&table.stdout).contains("3 rounds alone"));
    let svg = std::fs::read_to_string(&figure).expect("the figure was written");
    std::fs::remove_file(&figure).expect("it was there");
    assert!(svg.contains("recurrence"));
    let output = bruit_sim(&["paper", "bimodal", "--members", "8", "--broadcasts", "16", "--json"]);
    let numbers: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one object");
    assert_eq!(numbers["rows"].as_array().map(Vec::len), Some(3));
    refuses(&["paper", "rapid", "--json"], "no numbers");
    refuses(&["paper", "broadcast", "--svg", "nowhere.svg"], "no figure");
    refuses(&["paper", "nothing"], "there are lifeguard");
}
