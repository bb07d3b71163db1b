//! Starts agents and reads the lines that they print.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

const SOON: Duration = Duration::from_secs(30);

pub(crate) fn bruit() -> Command {
    Command::new(env!("CARGO_BIN_EXE_bruit"))
}

/// The lines of JSON that a process prints.
pub(crate) struct Lines(Receiver<Value>);

impl Lines {
    pub(crate) fn of(child: &mut Child) -> Self {
        let (sender, receiver) = channel();
        let out = BufReader::new(child.stdout.take().expect("piped"));
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
                if sender.send(value).is_err() {
                    return;
                }
            }
        });
        Self(receiver)
    }

    #[track_caller]
    pub(crate) fn wait(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            let left = SOON.checked_sub(started.elapsed()).unwrap_or_default();
            let line = self.0.recv_timeout(left).unwrap_or_else(|error| panic!("{what}: {error}"));
            if wanted(&line) {
                return line;
            }
        }
    }
}

/// A running agent and the lines that it prints.
pub(crate) struct Agent {
    pub(crate) child: Child,
    pub(crate) lines: Lines,
    pub(crate) addr: String,
    pub(crate) epoch: u64,
    pub(crate) control: PathBuf,
}

impl Agent {
    pub(crate) fn start(dir: &Path, name: &str, join: &[&str]) -> Self {
        Self::start_with(dir, name, join, &[], "")
    }

    /// Starts an agent with more arguments and more settings.
    pub(crate) fn start_with(dir: &Path, name: &str, join: &[&str], extra: &[&str], settings: &str) -> Self {
        let control = dir.join(format!("{name}.sock"));
        let mut command = bruit();
        command.args(["agent", "--preset", "local", "--bind", "127.0.0.1:0", "--json"]);
        if !extra.contains(&"--cluster") {
            command.args(["--cluster", "test"]);
        }
        command.args(["--name", name, "--config"]).arg(config(dir, settings));
        command.arg("--control").arg(&control).arg("--state").arg(dir.join(name)).args(extra);
        command.args(join.iter().flat_map(|seed| ["--join", seed]));
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let lines = Lines::of(&mut child);
        let mut agent = Self { child, lines, addr: String::new(), epoch: 0, control };
        let first = agent.wait("listening", |line| line["event"] == "listening");
        agent.addr = first["addr"].as_str().expect("an address").to_owned();
        agent.epoch = first["epoch"].as_str().and_then(|text| text.parse().ok()).expect("an epoch");
        agent
    }

    #[track_caller]
    pub(crate) fn wait(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.lines.wait(what, wanted)
    }

    #[track_caller]
    pub(crate) fn wait_member(&self, event: &str, name: &str) -> Value {
        let wanted = |line: &Value| line["event"] == event && line["member"]["name"] == name;
        self.wait(&format!("{event} {name}"), wanted)
    }

    pub(crate) fn ask(&self, words: &[&str]) -> Output {
        bruit().args(words).arg("--control").arg(&self.control).output().expect("it runs")
    }

    #[track_caller]
    pub(crate) fn ask_ok(&self, words: &[&str]) -> String {
        let output = self.ask(words);
        assert_eq!(output.status.code(), Some(0), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    pub(crate) fn end(&mut self) -> Option<i32> {
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-s", name, &pid]).status().expect("kill runs");
    assert!(sent.success());
}

/// Writes a settings file with short intervals, so that the tests are quick.
fn config(dir: &Path, settings: &str) -> PathBuf {
    let path = dir.join("config.toml");
    let text = format!("[membership]\nprobe_interval = '200ms'\nprobe_timeout = '80ms'\n{settings}");
    std::fs::write(&path, text).expect("written");
    path
}

/// Starts three agents and waits until they know each other.
#[track_caller]
pub(crate) fn three(dir: &Path, extra: &[&str], settings: &str) -> [Agent; 3] {
    let a = Agent::start_with(dir, "a", &[], extra, settings);
    let [b, c] = ["b", "c"].map(|name| Agent::start_with(dir, name, &[&a.addr], extra, settings));
    for (one, other) in [(&a, "b"), (&a, "c"), (&b, "c"), (&c, "b")] {
        one.wait_member("up", other);
    }
    [a, b, c]
}
