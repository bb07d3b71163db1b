//! A copy of the workspace, in which one mutant after the other is built and run.

use std::collections::BTreeMap;
use std::ops::Range;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;
use std::{env, fs, thread};

use super::{By, Mutant};

/// The seeds of a sweep.
const SEEDS: Range<u64> = 0..200;

/// A mutant is swept over so many seeds at a time, until one of them notices it.
const SLICE: usize = 20;

/// A build, a test or a slice of the sweep that takes longer than this is stopped, because the mutant hangs.
const LIMIT: Duration = Duration::from_secs(900);

/// Stands for the seed of a failure that only the sweep as a whole shows.
const RATE: u64 = u64::MAX;

/// The first check that failed for each seed that failed.
type Failures = BTreeMap<u64, String>;

/// The check that notices a mutant, and the seed or the test with which it does.
pub(super) type Catch = Option<(String, String)>;

pub(super) struct Workshop {
    source: PathBuf,
    copy: PathBuf,
    /// The build results. Those of the last mutant stay, so that the next build is short.
    target: PathBuf,
    /// How many jobs cargo and the sweep run at a time.
    jobs: String,
    /// The failures of the core without a mutant, by the first and last of the seeds that were needed so far.
    healthy: BTreeMap<(u64, u64), Failures>,
}

impl Workshop {
    pub(super) fn new(source: &Path, jobs: String) -> Self {
        let copy = env::temp_dir().join("bruit-mutants");
        for part in ["core", "sim", "tests"] {
            let _ = fs::remove_dir_all(copy.join(part));
            copy_tree(&source.join(part), &copy.join(part));
        }
        let manifest = fs::read_to_string(source.join("Cargo.toml")).expect("the workspace has a manifest");
        let members = manifest.lines().find(|line| line.starts_with("members =")).expect("it has members");
        let manifest = manifest.replace(members, r#"members = ["core", "sim", "tests"]"#);
        fs::write(copy.join("Cargo.toml"), manifest).expect("the workshop can be written");
        fs::copy(source.join("Cargo.lock"), copy.join("Cargo.lock")).expect("there is a lock file");
        let target = copy.join("target");
        Self { source: source.to_owned(), copy, target, jobs, healthy: BTreeMap::new() }
    }

    /// Builds the simulator without a mutant and keeps it, for comparison.
    pub(super) fn build_healthy(&self) -> Result<(), String> {
        self.build_simulator()?;
        fs::copy(self.simulator(), self.healthy_simulator()).map_err(|error| error.to_string())?;
        Ok(())
    }

    /// Looks for a check that notices this mutant.
    pub(super) fn run(&mut self, mutant: &Mutant) -> Result<Catch, String> {
        for (file, text) in patched(&self.source, mutant)? {
            fs::write(self.copy.join(file), text).map_err(|error| format!("{file}: {error}"))?;
        }
        let catch = match mutant.by {
            By::Sweep => self.sweep_in_slices(mutant),
            By::Scenario(name) => self.test(&["-p", "bruit-tests", "--test", "it"], name),
            By::Unit(name) => self.test(&["--profile", "quick", "-p", "bruit-core", "--lib"], name),
        };
        // Only these files have changed, so that the next build has little to do.
        for (file, ..) in mutant.patches {
            let back = fs::copy(self.source.join(file), self.copy.join(file));
            back.map_err(|error| format!("{file}: {error}"))?;
        }
        catch
    }

    fn sweep_in_slices(&mut self, mutant: &Mutant) -> Result<Catch, String> {
        self.build_simulator()?;
        for first in SEEDS.step_by(SLICE) {
            let seeds = first..SEEDS.end.min(first + SLICE as u64);
            let mut failures = self.sweep(&self.simulator(), &seeds)?;
            // So few seeds show no rate.
            failures.retain(|seed, check| *seed != RATE && is_expected(check, mutant));
            if failures.is_empty() {
                continue;
            }
            let healthy = self.healthy(&seeds)?;
            if let Some((seed, check)) = failures.iter().find(|(seed, _)| !healthy.contains_key(seed)) {
                return Ok(Some((check.clone(), seed.to_string())));
            }
        }
        if mutant.checks.contains(&"CM7") { self.sweep_as_a_whole(mutant) } else { Ok(None) }
    }

    /// Looks at the rate of CM7 alone, because no seed fails.
    fn sweep_as_a_whole(&mut self, mutant: &Mutant) -> Result<Catch, String> {
        let failures = self.sweep(&self.simulator(), &SEEDS)?;
        let Some(check) = failures.get(&RATE).filter(|check| is_expected(check, mutant)) else {
            return Ok(None);
        };
        let is_new = !self.healthy(&SEEDS)?.contains_key(&RATE);
        Ok(is_new.then(|| (check.clone(), "all seeds together".to_owned())))
    }

    /// The failures of the core without a mutant. They are looked for only where the mutant fails.
    fn healthy(&mut self, seeds: &Range<u64>) -> Result<&Failures, String> {
        let key = (seeds.start, seeds.end);
        if !self.healthy.contains_key(&key) {
            let failures = self.sweep(&self.healthy_simulator(), seeds)?;
            self.healthy.insert(key, failures);
        }
        Ok(&self.healthy[&key])
    }

    fn sweep(&self, simulator: &Path, seeds: &Range<u64>) -> Result<Failures, String> {
        let seeds = format!("{}..{}", seeds.start, seeds.end);
        let fixed = ["sweep", "--plans", "basic", "--failures", "0", "-j", &self.jobs, "--seeds", &seeds];
        let (_, text) = output(Command::new(simulator).args(fixed).current_dir(&self.copy))?;
        Ok(text.lines().filter_map(failure).collect())
    }

    /// Runs one test. A test that fails catches the mutant.
    fn test(&self, place: &[&str], name: &str) -> Result<Catch, String> {
        let test = [&["test", "-q"], place].concat();
        self.build(&[&test[..], &["--no-run"]].concat())?;
        let (passes, text) = self.cargo(&[&test[..], &["--", "--exact", name]].concat())?;
        if passes && !text.contains("1 passed") {
            return Err("there is no such test".to_owned());
        }
        Ok((!passes).then(|| ("yes".to_owned(), name.to_owned())))
    }

    fn build_simulator(&self) -> Result<(), String> {
        self.build(&["build", "-q", "-p", "bruit-sim"])
    }

    fn build(&self, arguments: &[&str]) -> Result<(), String> {
        let (built, text) = self.cargo(arguments)?;
        let error = text.lines().find(|line| line.starts_with("error")).unwrap_or("");
        if built { Ok(()) } else { Err(format!("it does not build: {error}")) }
    }

    fn cargo(&self, arguments: &[&str]) -> Result<(bool, String), String> {
        let mut cargo = Command::new("cargo");
        cargo.args(arguments).current_dir(&self.copy);
        cargo.env("CARGO_TARGET_DIR", &self.target).env("CARGO_BUILD_JOBS", &self.jobs);
        output(cargo.env("CARGO_INCREMENTAL", "1"))
    }

    fn simulator(&self) -> PathBuf {
        self.target.join("debug/bruit-sim")
    }

    fn healthy_simulator(&self) -> PathBuf {
        self.copy.join("healthy-sim")
    }
}

fn is_expected(check: &str, mutant: &Mutant) -> bool {
    // An assertion of the core counts as a check.
    check == "panic" || mutant.checks.contains(&check)
}

/// Reads a line of the sweep that tells of a failure.
fn failure(line: &str) -> Option<(u64, String)> {
    // A rate of the whole sweep has no seed.
    if line.starts_with("CM7: ") {
        return Some((RATE, "CM7".to_owned()));
    }
    let (seed, rest) = line.strip_prefix("seed ")?.split_once(": ")?;
    Some((seed.parse().ok()?, rest.split_whitespace().next()?.to_owned()))
}

/// The files of a mutant with its bug.
pub(super) fn patched(sources: &Path, mutant: &Mutant) -> Result<BTreeMap<&'static str, String>, String> {
    let mut files = BTreeMap::new();
    for (file, from, to) in mutant.patches {
        let text = match files.remove(file) {
            Some(text) => text,
            None => fs::read_to_string(sources.join(file)).map_err(|error| format!("{file}: {error}"))?,
        };
        let times = text.matches(from).count();
        if times != 1 {
            return Err(format!("the text to replace occurs {times} times in {file}"));
        }
        files.insert(*file, text.replace(from, to));
    }
    Ok(files)
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

/// Runs a command, and stops it with all that it has started if it takes too long.
fn output(command: &mut Command) -> Result<(bool, String), String> {
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let child = command.spawn().map_err(|error| error.to_string())?;
    let group = child.id();
    let (done, ended) = mpsc::channel::<()>();
    let watch = thread::spawn(move || {
        let hangs = ended.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout);
        if hangs {
            let _ = Command::new("kill").args(["-KILL", "--", &format!("-{group}")]).status();
        }
        hangs
    });
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    drop(done);
    if watch.join().expect("the watch does not panic") {
        return Err(format!("it has not ended after {} s", LIMIT.as_secs()));
    }
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    Ok((output.status.success(), text.into_owned()))
}
