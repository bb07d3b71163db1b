//! The code that the README shows is compiled.

use std::path::Path;

#[test]
fn the_loop_of_the_readme_is_the_example() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the repository");
    let read = |path: &str| std::fs::read_to_string(root.join(path)).expect("it is in the repository");
    let example = read("core/examples/bare_loop.rs");
    let code = example.find("use std").expect("it uses something");
    assert!(read("README.md").contains(&example[code..]), "README.md shows another loop than the example");
}
