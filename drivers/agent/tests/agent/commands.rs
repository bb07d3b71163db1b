//! Membership through the real binary: killed, asked to leave, and started again; and what each command answers.

use std::process::Stdio;

use serde_json::Value;

use crate::support::{Agent, Lines, bruit};

#[test]
fn a_killed_member_is_down_a_leaving_one_left_and_a_restarted_one_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let a = Agent::start(dir.path(), "a", &[]);
    let mut b = Agent::start(dir.path(), "b", &[&a.addr]);
    let mut c = Agent::start(dir.path(), "c", &[&a.addr]);
    a.wait_member("up", "b");
    a.wait_member("up", "c");
    b.wait_member("up", "c");

    c.signal("KILL");
    assert_eq!(c.end(), None);
    a.wait_member("down", "c");
    b.wait_member("down", "c");
    let why = a.ask_ok(&["why", "c"]);
    assert!(why.contains("declared down"), "{why}");

    let back = Agent::start(dir.path(), "c", &[&b.addr]);
    assert!(back.epoch > c.epoch);
    let up = a.wait_member("up", "c");
    let incarnation = up["member"]["incarnation"].as_str().expect("a text");
    assert!(incarnation.starts_with(&format!("{}.", back.epoch)), "{incarnation} of {}", back.epoch);
    b.wait_member("up", "c");

    b.signal("INT");
    assert_eq!(b.end(), Some(0));
    b.wait("departed", |line| line["event"] == "departed" && line["acknowledged"] == true);
    a.wait_member("left", "b");
    back.wait_member("left", "b");
    assert!(!b.control.exists());
}

#[test]
fn every_command_answers() {
    let dir = tempfile::tempdir().expect("a directory");
    let a = Agent::start(dir.path(), "a", &[]);
    let mut b = Agent::start(dir.path(), "b", &[]);
    assert_eq!(a.ask_ok(&["join", &b.addr]), "");
    a.wait_member("up", "b");
    let members = a.ask_ok(&["members"]);
    assert!(members.starts_with("NAME  STATE  ADDRESS") && members.contains("this agent"), "{members}");
    assert!(members.lines().all(|line| line.chars().count() <= 60), "{members}");
    assert!(a.ask_ok(&["members", "--long"]).contains("INCARNATION"));
    let json: Value = serde_json::from_str(&a.ask_ok(&["members", "--json"])).expect("JSON");
    assert_eq!(json["members"].as_array().map(Vec::len), Some(2));
    assert!(a.ask_ok(&["ping", "b"]).contains("answered after"));
    assert_eq!(a.ask_ok(&["peers", "add", &b.addr]), "");
    assert!(a.ask_ok(&["peers", "list"]).contains(&b.addr));
    assert!(a.ask_ok(&["stats"]).contains("datagrams_sent"));
    assert!(
        a.ask_ok(&["stats", "--format", "prometheus"])
            .contains("bruit_members_alive{cluster=\"test\",node=\"a\"} 2")
    );
    let json: Value = serde_json::from_str(&a.ask_ok(&["stats", "--format", "json"])).expect("JSON");
    assert_eq!(json["stats"]["name"], "a");

    let refused = a.ask(&["ping", "nobody"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("nobody"));
    assert_eq!(a.ask(&["why", "b"]).status.code(), Some(1));
    assert_eq!(a.ask(&["join", "nonsense"]).status.code(), Some(1));

    assert_eq!(b.ask_ok(&["leave"]), "left; the others have acknowledged it\n");
    assert_eq!(b.end(), Some(0));
    a.wait_member("left", "b");
    assert_eq!(b.ask(&["members"]).status.code(), Some(2));
    let members = a.ask_ok(&["members", "--status", "left"]);
    assert!(members.contains("left 0.") && !members.contains("never"), "{members}");
}

#[test]
fn members_are_sorted_by_name_and_chosen_by_state_zone_and_tag() {
    let dir = tempfile::tempdir().expect("a directory");
    let a =
        Agent::start_with(dir.path(), "a", &[], &["--tag", "role=db", "--tag", "dc=eu", "--zone", "r1"], "");
    let c = Agent::start_with(dir.path(), "c", &[&a.addr], &["--tag", "role=web", "--zone", "r2"], "");
    let b = Agent::start_with(dir.path(), "b", &[&a.addr], &["--zone", "r1"], "");
    for (agent, other) in [(&a, "c"), (&a, "b"), (&b, "c")] {
        agent.wait_member("up", other);
    }
    let names = |words: &[&str]| -> Vec<String> {
        let json: Value = serde_json::from_str(&b.ask_ok(&[words, &["--json"]].concat())).expect("JSON");
        let members = json["members"].as_array().expect("members");
        members.iter().map(|member| member["name"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(names(&["members"]), ["a", "b", "c"]);
    assert_eq!(names(&["members", "--zone", "r1"]), ["a", "b"]);
    assert_eq!(names(&["members", "--tag", "role"]), ["a", "c"]);
    assert_eq!(names(&["members", "--tag", "role=db", "--tag", "dc"]), ["a"]);
    assert_eq!(names(&["members", "--status", "down,suspect"]), [""; 0]);
    assert_eq!(names(&["members", "--status", "alive", "--zone", "r2"]), ["c"]);

    assert_eq!(c.ask_ok(&["tags", "set", "role=db", "v=1=2"]), "");
    let updated = b.wait("new tags", |line| line["event"] == "updated" && line["member"]["name"] == "c");
    assert_eq!(updated["member"]["tags"], serde_json::json!({ "role": "db", "v": "1=2" }));
    c.wait_member("updated", "c");
    assert_eq!(b.ask_ok(&["tags", "list", "c"]), "role=db\nv=1=2\n");
    assert_eq!(c.ask_ok(&["tags", "unset", "role"]), "");
    assert_eq!(c.ask_ok(&["tags"]), "v=1=2\n");
    assert_eq!(c.ask(&["tags", "unset", "role"]).status.code(), Some(1));
    assert_eq!(c.ask(&["tags", "set", "role"]).status.code(), Some(3));
    let refused = c.ask(&["tags", "set", &format!("k={}", "x".repeat(190))]);
    assert_eq!(refused.status.code(), Some(1));
    let reason = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(reason.contains("tags: 199 bytes, but at most 192 fit"), "{reason}");
    assert!(a.ask_ok(&["members"]).contains("dc=eu,role=db"));
}

#[test]
fn a_join_that_fails_says_why_and_a_leave_of_one_alone_does_not_speak_of_others() {
    let dir = tempfile::tempdir().expect("a directory");
    let a = Agent::start(dir.path(), "a", &[]);
    // Nobody answers at this address as long as the socket is kept.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
    let silent_addr = silent.local_addr().expect("an address").to_string();
    let other = ["--cluster", "other"];
    let mut b = Agent::start_with(dir.path(), "b", &[&a.addr, &silent_addr], &other, "");
    b.wait("another cluster", |line| line["event"] == "no-member" && line["addr"] == a.addr.as_str());
    let told = b.wait("silence", |line| line["event"] == "no-answer");
    assert_eq!(told["addr"], silent_addr.as_str());
    assert!(told["tries"].as_u64().is_some_and(|tries| tries > 3), "{told}");
    b.signal("HUP");
    assert_eq!(b.end(), Some(0));
    b.wait("departed", |line| line["event"] == "departed" && line["alone"] == true);
}

#[test]
fn a_lost_terminal_is_a_leave() {
    let dir = tempfile::tempdir().expect("a directory");
    let a = Agent::start(dir.path(), "a", &[]);
    let mut b = Agent::start(dir.path(), "b", &[&a.addr]);
    a.wait_member("up", "b");
    b.signal("HUP");
    assert_eq!(b.end(), Some(0));
    a.wait_member("left", "b");
}

#[test]
fn lines_for_people_name_the_agent_and_the_time_and_no_name_forges_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let evil = "e\u{1b}[31mvil\nup two";
    let a = Agent::start(dir.path(), "a", &[]);
    let mut b = bruit();
    b.args(["agent", "--cluster", "test", "--preset", "local", "--bind", "127.0.0.1:0", "--name", evil]);
    b.args(["--join", &a.addr, "--control"]).arg(dir.path().join("b.sock"));
    let mut child = b.stdout(Stdio::piped()).spawn().expect("it starts");
    a.wait_member("up", evil);
    let escaped = "e\\u{1b}[31mvil\\nup two";
    assert!(a.ask_ok(&["members"]).contains(escaped));
    crate::support::signal(&child, "INT");
    let mut printed = String::new();
    let mut out = child.stdout.take().expect("piped");
    std::io::Read::read_to_string(&mut out, &mut printed).expect("text");
    child.wait().expect("it ends");
    assert!(printed.lines().count() > 3, "{printed}");
    for line in printed.lines() {
        let (time, rest) = line.split_once(' ').expect("a time");
        assert!(time.len() == 13 && time.ends_with('Z') && time.as_bytes()[2] == b':', "{line}");
        assert!(rest.starts_with(escaped), "{line}");
    }
}

#[test]
fn a_removed_member_prints_it_and_ends() {
    let dir = tempfile::tempdir().expect("a directory");
    let a = Agent::start(dir.path(), "a", &[]);
    let mut b = Agent::start(dir.path(), "b", &[&a.addr]);
    a.wait_member("up", "b");
    let refused = a.ask(&["force-leave", "b"]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("add --yes"));
    a.ask_ok(&["force-leave", "b", "--yes"]);
    b.wait("removed", |line| line["event"] == "removed");
    assert_eq!(b.end(), Some(1));
}

#[test]
fn a_failed_start_names_the_reason_and_has_an_exit_code() {
    let dir = tempfile::tempdir().expect("a directory");
    let a = Agent::start(dir.path(), "a", &[]);
    let agent =
        |extra: &[&str]| bruit().args(["agent", "--cluster", "test"]).args(extra).output().expect("it runs");
    let socket = dir.path().join("other.sock").display().to_string();

    let in_use = agent(&["--bind", &a.addr, "--control", &socket]);
    assert_eq!(in_use.status.code(), Some(1));
    let text = String::from_utf8_lossy(&in_use.stderr).into_owned();
    assert!(text.contains(&a.addr) && text.contains("in use"), "{text}");

    let live = agent(&["--bind", "127.0.0.1:0", "--control", &a.control.display().to_string()]);
    assert_eq!(live.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&live.stderr).contains("listens at"));

    let wrong_config = dir.path().join("wrong.toml");
    std::fs::write(&wrong_config, "mtu = 9").expect("written");
    let wrong = agent(&[
        "--bind",
        "127.0.0.1:0",
        "--control",
        &socket,
        "--config",
        &wrong_config.display().to_string(),
    ]);
    assert_eq!(wrong.status.code(), Some(3));
    let text = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(text.contains("mtu is 9") && text.contains("1200"), "{text}");

    for words in [
        &["agent", "--trace", "pong"][..],
        &["nonsense"],
        &["agent", "--bind", "127.0.0.1:0"],
        &["leave", "--within", "5"],
    ] {
        assert_eq!(bruit().args(words).output().expect("it runs").status.code(), Some(3), "{words:?}");
    }
    assert_eq!(bruit().arg("--help").output().expect("it runs").status.code(), Some(0));
    let alone = bruit().args(["members", "--control", &socket]).output().expect("it runs");
    assert_eq!(alone.status.code(), Some(2));
}

#[test]
fn a_stale_socket_is_replaced_and_only_the_owner_may_open_it() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a directory");
    let mut a = Agent::start(dir.path(), "a", &[]);
    let mode = std::fs::metadata(&a.control).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    a.signal("KILL");
    a.end();
    assert!(a.control.exists(), "left behind");
    let again = Agent::start(dir.path(), "a", &[]);
    assert!(again.epoch > a.epoch);
    again.ask_ok(&["members"]);
}

#[test]
fn estimates_and_replays_need_no_agent() {
    let output = bruit().args(["estimate", "--nodes", "128", "--json"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(0));
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(json["known_by_all_ms"].as_u64().is_some_and(|ms| ms > 0), "{json}");

    let dir = tempfile::tempdir().expect("a directory");
    let journal = dir.path().join("journal");
    let a = Agent::start(dir.path(), "a", &[]);
    let mut command = bruit();
    command.args([
        "agent",
        "--cluster",
        "test",
        "--preset",
        "local",
        "--bind",
        "127.0.0.1:0",
        "--json",
        "--name",
        "b",
    ]);
    command
        .args(["--join", &a.addr, "--journal"])
        .arg(&journal)
        .arg("--control")
        .arg(dir.path().join("b.sock"));
    let mut child = command.args(["--trace", "ping,join"]).stdout(Stdio::piped()).spawn().expect("it starts");
    let lines = Lines::of(&mut child);
    let b = Agent { child, lines, addr: String::new(), epoch: 0, control: dir.path().join("b.sock") };
    b.wait("a traced ping", |line| {
        line["event"] == "trace" && line["text"].as_str().is_some_and(|text| text.contains("ping"))
    });
    b.ask_ok(&["leave"]);
    let output = bruit().arg("replay").arg(&journal).arg("--events").output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text} {}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("replayed with equal actions") && text.contains("Leave"), "{text}");
}
