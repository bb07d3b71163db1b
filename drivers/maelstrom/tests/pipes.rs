//! Runs the program as several processes over real pipes, in real time. The test carries their lines, as Maelstrom does.
#![expect(clippy::std_instead_of_core, reason = "a test is built on std, and one spelling reads better")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The longest wait. It is far more than needed, because the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// The processes n0, n1 and so on, and the lines that they write.
struct Cluster {
    nodes: Vec<(Child, Option<ChildStdin>)>,
    said: Receiver<Value>,
    msg_id: u64,
}

impl Cluster {
    fn start(count: usize, preset: &str) -> Self {
        let (sender, said) = mpsc::channel();
        let nodes = (0..count).map(|_| spawn(preset, sender.clone())).collect();
        let mut cluster = Self { nodes, said, msg_id: 0 };
        let names: Vec<String> = (0..count).map(|node| format!("n{node}")).collect();
        for (node, name) in names.iter().enumerate() {
            let answer = cluster.ask(node, json!({"type": "init", "node_id": name, "node_ids": names}));
            assert_eq!(answer["type"], "init_ok");
        }
        cluster
    }

    fn write(&mut self, node: usize, line: &str) {
        let (_, stdin) = &mut self.nodes[node];
        let stdin = stdin.as_mut().expect("its stdin is open");
        writeln!(stdin, "{line}").expect("it reads");
    }

    /// Sends a request, and carries lines between the nodes until the answer comes.
    fn ask(&mut self, node: usize, mut body: Value) -> Value {
        self.msg_id += 1;
        body["msg_id"] = json!(self.msg_id);
        let request = json!({"id": self.msg_id, "src": "c1", "dest": format!("n{node}"), "body": body});
        self.write(node, &request.to_string());
        let until = Instant::now() + PATIENCE;
        loop {
            let message = self.said.recv_timeout(until - Instant::now()).expect("an answer");
            if let Some(body) = self.carry(&message) {
                assert_eq!(body["in_reply_to"], json!(self.msg_id), "{message}");
                return body;
            }
        }
    }

    /// Carries a line to its node, or returns its body if it is for the client.
    fn carry(&mut self, message: &Value) -> Option<Value> {
        let dest = message["dest"].as_str().expect("a name");
        if dest == "c1" {
            return Some(message["body"].clone());
        }
        let node = dest.strip_prefix('n').and_then(|number| number.parse().ok()).expect("a node");
        self.write(node, &message.to_string());
        None
    }

    /// Closes stdin of all processes, and returns how they ended.
    fn end(mut self) -> Vec<ExitStatus> {
        self.nodes.iter_mut().for_each(|(_, stdin)| drop(stdin.take()));
        self.nodes.iter_mut().map(|(child, _)| child.wait().expect("it ends")).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for (child, _) in &mut self.nodes {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn spawn(preset: &str, said: Sender<Value>) -> (Child, Option<ChildStdin>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_bruit-maelstrom"))
        .args(["--preset", preset])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let stdout = child.stdout.take().expect("it is piped");
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines() {
            let line = line.expect("it writes UTF-8");
            assert!(line.len() < 1 << 16, "a line of {} bytes", line.len());
            let message = serde_json::from_str(&line).expect("it writes JSON lines");
            if said.send(message).is_err() {
                return;
            }
        }
    });
    let stdin = child.stdin.take();
    (child, stdin)
}

#[test]
fn three_processes_share_their_values_and_end_with_their_input() {
    let mut cluster = Cluster::start(3, "latency");
    for node in 0..3 {
        let answer = cluster.ask(node, json!({"type": "topology", "topology": {}}));
        assert_eq!(answer["type"], "topology_ok");
    }
    let values = [json!(1), json!({"two": [2.5]}), json!("three")];
    for (node, value) in values.iter().enumerate() {
        let answer = cluster.ask(node, json!({"type": "broadcast", "message": value}));
        assert_eq!(answer["type"], "broadcast_ok");
    }
    let until = Instant::now() + PATIENCE;
    for node in 0..3 {
        loop {
            let answer = cluster.ask(node, json!({"type": "read"}));
            let read = answer["messages"].as_array().expect("a list").clone();
            assert!(read.iter().all(|value| values.contains(value)), "{answer}");
            if read.len() == 3 {
                break;
            }
            assert!(Instant::now() < until, "n{node} has only {answer}");
            thread::sleep(Duration::from_millis(20));
        }
    }
    assert!(cluster.end().iter().all(ExitStatus::success));
}

#[test]
fn garbage_between_requests_does_no_harm() {
    let mut cluster = Cluster::start(1, "bandwidth");
    for line in ["", "x", "{}", "[[[[", r#"{"src":"c1"}"#] {
        if line.contains("src") {
            cluster.msg_id += 1;
        }
        cluster.write(0, line);
    }
    let answer = cluster.said.recv_timeout(PATIENCE).expect("an answer");
    assert_eq!(answer["body"]["code"], 12, "{answer}");
    let answer = cluster.ask(0, json!({"type": "echo", "echo": {"nested": [null, 1e9]}}));
    assert_eq!(answer["echo"], json!({"nested": [null, 1e9]}));
    let ids: Vec<Value> = (0..2).map(|_| cluster.ask(0, json!({"type": "generate"}))["id"].take()).collect();
    assert_ne!(ids[0], ids[1]);
    assert!(cluster.end().iter().all(ExitStatus::success));
}

#[test]
fn a_wrong_option_is_a_usage_error() {
    let status = Command::new(env!("CARGO_BIN_EXE_bruit-maelstrom"))
        .args(["bench", "--node-count", "0"])
        .stderr(Stdio::null())
        .status()
        .expect("it starts");
    assert_eq!(status.code(), Some(3));
}
