//! The maps of the repository are true: every file, item and test that a document names exists.
//!
//! Paths are checked in README.md, CONTRIBUTING.md, core/RULES.md and the module headers of the core that list their files;
//! in RULES.md also each `(ident)` behind a path and each test.

use std::fs;
use std::path::{Path, PathBuf};

const FOLDERS: [&str; 6] = [".ci", "core", "drivers", "fuzz", "sim", "tests"];

#[test]
fn every_path_and_name_in_the_maps_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the repository");
    let (mut files, mut wrong) = (Vec::new(), Vec::new());
    FOLDERS.iter().for_each(|folder| collect(&root.join(folder), &mut files));
    let sources: String = files.iter().map(|file| read(file)).collect();
    for document in ["README.md", "CONTRIBUTING.md", "core/RULES.md"] {
        // The pieces between backticks are the odd ones; the one before says if a name stands behind a path.
        let (text, mut line, mut file, mut inside) = (read(&root.join(document)), 1, None, false);
        for (i, piece) in text.split('`').enumerate() {
            let mut missing = |what: &str| wrong.push(format!("{document}:{line}: there is no {what}"));
            if i % 2 == 0 {
                inside = if inside { !piece.contains(')') } else { piece.trim() == "(" };
                line += piece.matches('\n').count();
            } else if is_path(piece) {
                for path in expand(piece) {
                    let found = ["", "core", "core/src"].map(|folder| root.join(folder).join(&path));
                    file = found.into_iter().find(|file| file.exists());
                    if file.is_none() {
                        missing(&path);
                    }
                }
            } else if document == "core/RULES.md" && is_ident(piece.rsplit("::").next().unwrap_or(piece)) {
                let name = piece.rsplit("::").next().unwrap_or(piece);
                // No other name has so many words.
                if piece.matches('_').count() >= 3 && !sources.contains(&format!("fn {piece}(")) {
                    missing(&format!("test {piece}"));
                }
                if !inside {
                    file = None;
                }
                let source = file.as_deref().filter(|file| file.is_file());
                if let Some(source) = source.filter(|source| !defines(&read(source), name)) {
                    missing(&format!("{piece} in {}", source.display()));
                }
            }
        }
    }
    for file in files.iter().filter(|file| file.starts_with(root.join("core/src"))) {
        let text = read(file);
        let header: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("//!")).collect();
        let header = header.join(" ");
        let Some((_, list)) = header.split_once("Files: ") else { continue };
        for name in list.split('`').skip(1).step_by(2).filter(|name| is_ident(name)) {
            let (below, shown) = (file.with_extension("").join(format!("{name}.rs")), file.display());
            if name.starts_with(char::is_lowercase) && !below.exists() {
                wrong.push(format!("{shown}: its header lists {name}, which is no file"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of the names in the maps are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository").flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// A file of source or prose, or something in a folder of the repository.
fn is_path(text: &str) -> bool {
    let named = [".rs", ".md", ".toml"].iter().any(|end| text.ends_with(end) && text.len() > end.len());
    let folder = text.split_once('/').is_some_and(|(first, _)| FOLDERS.contains(&first));
    (named || folder) && text.chars().all(|c| c.is_alphanumeric() || "/_-.{},".contains(c))
}

/// `a/{b,c}.rs` is two paths.
fn expand(path: &str) -> Vec<String> {
    let parts = path.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)));
    let Some((before, (names, after))) = parts else { return vec![path.into()] };
    names.split(',').map(|name| format!("{before}{name}{after}")).collect()
}

fn is_ident(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// Whether a source defines an item, a field or a variant of this name.
fn defines(source: &str, name: &str) -> bool {
    source.lines().any(|line| {
        let mut words =
            line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
        let marks = ["pub", "crate", "super", "in", "const", "fn", "struct", "enum", "trait", "type", "mod"];
        words.find(|word| !marks.contains(word)) == Some(name)
    })
}
