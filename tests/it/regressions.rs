//! Replays the inputs of the fuzz targets that failed once, and their corpora, with the stable compiler.

use std::fs;
use std::path::{Path, PathBuf};

use bruit_sim::bytes;

/// The files of one target in `fuzz/corpus` or `fuzz/regressions`, sorted. There may be none.
fn inputs(kind: &str, target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz").join(kind).join(target);
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("it is readable").path()).collect();
    files.sort();
    files
}

fn replay(target: &str, body: fn(&[u8])) {
    let corpus = inputs("corpus", target);
    assert!(corpus.len() >= 5, "{target} has a corpus");
    for file in corpus.into_iter().chain(inputs("regressions", target)) {
        // Printed if the test fails.
        println!("{}", file.display());
        body(&fs::read(&file).expect("it is readable"));
    }
}

#[test]
fn fuzz_inputs_of_the_wire() {
    replay("wire", bytes::wire);
}

#[test]
fn fuzz_inputs_of_a_node() {
    replay("node", bytes::node);
}

#[test]
fn fuzz_inputs_of_a_cluster() {
    replay("cluster", bytes::cluster);
}

#[test]
fn fuzz_inputs_of_broadcasts() {
    replay("broadcast", bytes::broadcast);
}

/// The names of the entries of a folder of `fuzz`, without endings, sorted.
fn names(folder: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz").join(folder);
    let entries =
        fs::read_dir(folder).expect("it is readable").map(|entry| entry.expect("it is readable").path());
    let stems = entries.map(|path| path.file_stem().expect("it has a name").to_string_lossy().into_owned());
    let mut names: Vec<String> = stems.collect();
    names.sort();
    names
}

#[test]
fn the_inputs_of_every_target_are_replayed() {
    assert_eq!(names("fuzz_targets"), ["broadcast", "cluster", "node", "wire"], "each has a test above");
    assert_eq!(names("corpus"), names("fuzz_targets"), "a corpus of no target would not be replayed");
    let known = |name: &String| name == "README" || names("fuzz_targets").contains(name);
    assert!(names("regressions").iter().all(known), "each is of a target: {:?}", names("regressions"));
}
