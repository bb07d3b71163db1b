//! The README shows code that is compiled and run.

use std::path::Path;

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the repository");
    std::fs::read_to_string(root.join(path)).expect("it is in the repository")
}

#[track_caller]
fn check(path: &str, begins: &str) {
    let code = read(path);
    let code = &code[code.find(begins).expect("the shown part begins so")..];
    assert!(read("README.md").contains(code), "README.md shows other code than {path}");
}

#[test]
fn the_loop_of_the_readme_is_the_example() {
    check("core/examples/bare_loop.rs", "use std");
}

#[test]
fn the_application_of_the_readme_is_the_test() {
    check("tests/it/own_app.rs", "use core");
}

#[test]
fn the_hash_ring_of_the_readme_is_the_test_and_the_example() {
    for path in ["tests/it/hash_ring.rs", "drivers/udp/examples/hash_ring.rs"] {
        check(path, "/// The member that owns a key");
    }
}
