//! Broadcasts through the real binary: three agents, and what their commands print.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::process::{Child, Output, Stdio};

use serde_json::{Value, json};

use crate::support::{Agent, Lines, bruit, signal, three};

/// A running `bruit listen` of an agent.
struct Listener {
    child: Child,
    lines: Lines,
}

impl Listener {
    fn start(agent: &Agent, words: &[&str]) -> Self {
        let mut command = bruit();
        command.args(["listen", "--json"]).args(words).arg("--control").arg(&agent.control);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let lines = Lines::of(&mut child);
        lines.wait("listening", |line| line.get("listening").is_some());
        Self { child, lines }
    }

    #[track_caller]
    fn delivered(&self) -> Value {
        self.lines.wait("a delivery", |line| line.get("delivered").is_some())["delivered"].clone()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ask_with_input(agent: &Agent, words: &[&str], input: &[u8]) -> Output {
    let mut command = bruit();
    command.args(words).arg("--control").arg(&agent.control);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("piped");
    // A payload that is too long is not read to its end, so the write may fail.
    let _ = stdin.write_all(input);
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

#[track_caller]
fn refused(output: &Output, code: i32, part: &str) {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(text.contains(part), "{text}");
}

#[test]
fn a_broadcast_is_delivered_to_every_listener_of_its_topic() {
    let dir = tempfile::tempdir().expect("a directory");
    let [a, b, c] = three(dir.path(), &[], "");
    let (all, news) = (Listener::start(&b, &[]), Listener::start(&c, &["--topic", "news"]));
    let sent = a.ask_ok(&["broadcast", "--topic", "weather", "rain\nlater"]);
    let id = sent.trim_end().strip_prefix("sent       ").expect("it is named").to_owned();
    let heard = all.delivered();
    assert_eq!((heard["id"].as_str(), heard["name"].as_str()), (Some(id.as_str()), Some("a")));
    assert_eq!((&heard["topic"], &heard["payload"]["text"]), (&"weather".into(), &"rain\nlater".into()));

    let bytes = ask_with_input(&a, &["broadcast", "--topic", "news", "-"], b"\xff\x00\n");
    assert_eq!(bytes.status.code(), Some(0));
    assert_eq!(all.delivered()["payload"]["hex"], "ff000a");
    assert_eq!(news.delivered()["payload"]["hex"], "ff000a", "it does not get the other topic");
    a.wait("its own", |line| line["event"] == "delivered" && line["message"]["topic"] == "news");

    let table = c.ask_ok(&["messages"]);
    assert!(
        table.starts_with("FROM") && table.contains("rain\\nlater") && table.contains("\\xff"),
        "{table}"
    );
    let json =
        |words: &[&str]| serde_json::from_str::<Value>(&c.ask_ok(words)).expect("JSON")["messages"].clone();
    let messages = json(&["messages", "--json"]);
    assert_eq!((&messages[0]["topic"], &messages[1]["topic"]), (&"news".into(), &"weather".into()));
    assert_eq!(json(&["messages", "--json", "-n", "1"]).as_array().map(Vec::len), Some(1));
    assert_eq!(json(&["messages", "--json", "--topic", "weather"])[0]["id"], id);
    assert_eq!(json(&["messages", "--json", "--topic", "none"]).as_array().map(Vec::len), Some(0));
}

#[test]
fn a_listener_ends_by_ctrl_c_or_with_its_agent() {
    let dir = tempfile::tempdir().expect("a directory");
    let a = Agent::start(dir.path(), "a", &[]);
    let mut listener = Listener::start(&a, &[]);
    signal(&listener.child, "INT");
    assert_eq!(listener.child.wait().expect("it ends").code(), Some(0));
    let mut listener = Listener::start(&a, &[]);
    a.ask_ok(&["leave"]);
    assert_eq!(listener.child.wait().expect("it ends").code(), Some(2));
}

#[test]
fn a_paused_listener_is_told_how_much_it_missed_and_delays_nobody() {
    // Twice what the queue of a reader holds (16 MiB), since the signal takes a moment to stop the listener.
    const SENT: u64 = 512;
    let dir = tempfile::tempdir().expect("a directory");
    let a = Agent::start(dir.path(), "a", &[]);
    let listener = Listener::start(&a, &[]);
    signal(&listener.child, "STOP");
    let mut stream = UnixStream::connect(&a.control).expect("it listens");
    let mut answers = BufReader::new(stream.try_clone().expect("cloned")).lines();
    for _ in 0..SENT {
        let request = json!({ "do": "broadcast", "topic": "", "payload": { "text": "x".repeat(65_536) } });
        writeln!(stream, "{request}").expect("asked");
        let answer = answers.next().expect("an answer").expect("a line");
        assert!(answer.contains("sent"), "{answer}");
    }
    a.ask_ok(&["broadcast", "the last"]);
    signal(&listener.child, "CONT");
    let (mut delivered, mut missed) = (0, 0);
    loop {
        let line = listener.lines.wait("a line", |_| true);
        missed += line["missed"]["notices"].as_u64().unwrap_or_default();
        delivered += u64::from(line.get("delivered").is_some());
        if line["delivered"]["payload"]["text"] == "the last" {
            break;
        }
    }
    assert!(missed > 0, "{delivered} delivered");
    assert_eq!(missed + delivered, SENT + 1);
}

#[test]
fn a_report_names_who_has_the_broadcast_and_sets_the_exit_code() {
    let dir = tempfile::tempdir().expect("a directory");
    let [a, _b, mut c] = three(dir.path(), &[], "");
    let text = a.ask_ok(&["broadcast", "--report", "30s", "hello"]);
    let words: Vec<_> = text.lines().map(|line| line.split_whitespace().next().unwrap_or_default()).collect();
    assert_eq!(words, ["sent", "majority", "all"], "{text}");
    let json = a.ask_ok(&["broadcast", "--report", "30s", "--json", "hello"]);
    let last: Value = serde_json::from_str(json.lines().last().expect("a line")).expect("JSON");
    assert_eq!(last["all"]["without"].as_array().map(Vec::len), Some(0), "{json}");

    c.signal("STOP");
    let late = a.ask(&["broadcast", "--report", "100ms", "hello"]);
    let text = String::from_utf8_lossy(&late.stdout).into_owned();
    assert!(text.contains("timed-out") && text.contains("not acknowledged by: c"), "{text}");
    refused(&late, 1, "in time");
    c.signal("KILL");
    c.end();
}

#[test]
fn a_broadcast_that_cannot_be_sent_is_refused_with_a_reason() {
    let dir = tempfile::tempdir().expect("a directory");
    let alone = Agent::start(dir.path(), "alone", &["127.0.0.1:9"]);
    refused(&alone.ask(&["broadcast", "hello"]), 1, "no member has been contacted yet");

    let a = Agent::start(dir.path(), "a", &[]);
    refused(&a.ask(&["broadcast", "--topic", "bruit.x", "hello"]), 1, "reserved");
    refused(&a.ask(&["broadcast", "--topic", &"t".repeat(65), "hello"]), 1, "at most 64");
    refused(&ask_with_input(&a, &["broadcast", "-"], &[1; 65_537]), 1, "at most 65536");
    refused(&ask_with_input(&a, &["broadcast", "-"], &[1; 1 << 20]), 1, "no settings allow");
    assert_eq!(ask_with_input(&a, &["broadcast", "-"], &[1; 65_536]).status.code(), Some(0));
    refused(&a.ask(&["broadcast"]), 3, "TEXT");
    refused(&a.ask(&["broadcast", "--report", "soon", "hello"]), 3, "soon");
}

#[test]
fn a_flood_is_refused_as_busy_and_the_levels_are_shown() {
    let dir = tempfile::tempdir().expect("a directory");
    let settings = "[broadcast]\nrate_bytes_max = 65536\npending_bytes_max = 65536\n";
    let [a, _b, _c] = three(dir.path(), &[], settings);
    let mut busy = None;
    for _ in 0..20 {
        let output = ask_with_input(&a, &["broadcast", "-"], &[b'x'; 60_000]);
        if output.status.code() != Some(0) {
            busy = Some(output);
            break;
        }
    }
    refused(&busy.expect("it is told"), 1, "try again later");
    let pending = a.ask_ok(&["pending"]);
    assert!(pending.contains("pending_bytes") && pending.contains("65536"), "{pending}");
    let json: Value = serde_json::from_str(&a.ask_ok(&["pending", "--json"])).expect("JSON");
    let level = |name: &str| {
        let levels = json["pending"].as_array().expect("a list");
        levels.iter().find(|level| level["name"] == name).cloned().unwrap_or_default()
    };
    assert!(level("broadcasts_cached")["value"].as_u64() > Some(0), "{json}");
    let prometheus = a.ask_ok(&["stats", "--format", "prometheus"]);
    let counter = "bruit_broadcasts_submitted_total{cluster=\"test\",node=\"a\"} ";
    assert!(
        prometheus.contains(counter) && prometheus.contains("# TYPE bruit_broadcasts_cached_bytes gauge")
    );
    assert!(a.ask_ok(&["stats"]).contains("broadcasts_delivered"));
}

#[test]
fn settings_of_the_broadcast_are_checked_together() {
    let agent = |settings: &str, extra: &[&str]| {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("config.toml");
        std::fs::write(&file, settings).expect("written");
        let mut command = bruit();
        command.args(["agent", "--cluster", "test", "--bind", "127.0.0.1:0", "--config"]).arg(&file);
        command.arg("--control").arg(dir.path().join("socket")).args(extra).output().expect("it runs")
    };
    refused(&agent("[broadcast]\npersist_seen = 'before-delivery'", &[]), 3, "--state");
    let first = "[broadcast]\nfirst = { multicast = { group = '239.1.2.3:7000' } }";
    refused(&agent(first, &["--multicast", "239.1.2.4:7000"]), 3, "239.1.2.3:7000");
    refused(&agent("", &["--interface", "127.0.0.1"]), 3, "needs a multicast group");
    refused(&agent("", &["--multicast", "10.0.0.1:7000"]), 1, "10.0.0.1:7000");
    refused(&agent("", &["--multicast", "239.1.2.3:7000", "--interface", "lo"]), 3, "lo");
}

#[test]
fn a_group_carries_a_broadcast() {
    let ip = Ipv4Addr::new(239, 255, 66, 118);
    let socket = UdpSocket::bind("0.0.0.0:0").expect("bound");
    if let Err(error) = socket.join_multicast_v4(&ip, &Ipv4Addr::LOCALHOST) {
        return eprintln!("skipped: this machine refuses the group: {error}");
    }
    let group = SocketAddr::from((ip, socket.local_addr().expect("it has one").port())).to_string();
    drop(socket);
    let dir = tempfile::tempdir().expect("a directory");
    let extra = ["--multicast", &group, "--interface", "127.0.0.1", "--trace", "publish"];
    let [a, b, c] = three(dir.path(), &extra, "[broadcast]\npreset = 'bimodal'\n");
    a.ask_ok(&["broadcast", "hello"]);
    for node in [&b, &c] {
        node.wait("it", |line| line["event"] == "delivered" && line["message"]["payload"]["text"] == "hello");
    }
    let to_group = format!("-> {group} ");
    a.wait("the datagram to the group", |line| {
        line["event"] == "trace" && line["text"].as_str().is_some_and(|text| text.contains(&to_group))
    });
}
