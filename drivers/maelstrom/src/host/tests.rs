//! Tests of the protocol, line by line.

use super::*;
use crate::preset::Preset;

fn host() -> Host {
    Host::new(Settings { config: Preset::Latency.config(), epoch: 1, seed: [7; 32] })
        .expect("a preset is valid")
}

/// A host whose clock stands still, with its latest output.
struct Harness {
    host: Host,
    now: Time,
}

impl Harness {
    fn new() -> Self {
        Self { host: host(), now: Time::ZERO }
    }

    /// A host after `init` among these nodes; the first of them is the host itself.
    fn among(nodes: &[&str]) -> Self {
        let mut one = Self::new();
        let nodes: Vec<String> = nodes.iter().map(|name| message::quote(name)).collect();
        let init =
            format!(r#""type":"init","msg_id":1,"node_id":{},"node_ids":[{}]"#, nodes[0], nodes.join(","));
        let said = one.asks(&init);
        assert!(said[0].contains(r#""type":"init_ok","in_reply_to":1"#), "{said:?}");
        one
    }

    fn hears(&mut self, line: impl AsRef<[u8]>) -> Vec<String> {
        let mut out = Output::default();
        self.host.on_line(line.as_ref(), self.now, &mut out);
        out.lines
    }

    /// The lines that answer a request with these fields in its body.
    fn asks(&mut self, fields: &str) -> Vec<String> {
        self.hears(format!(r#"{{"src":"c1","dest":"n0","body":{{{fields}}}}}"#))
    }

    /// The body of the only answer.
    #[track_caller]
    fn answer(&mut self, fields: &str) -> String {
        let said = self.asks(fields);
        let [line] = said.as_slice() else { panic!("{fields}: {said:?}") };
        let body =
            line.strip_prefix(r#"{"src":"n0","dest":"c1","body":"#).and_then(|rest| rest.strip_suffix('}'));
        body.unwrap_or_else(|| panic!("{line}")).to_owned()
    }
}

#[test]
fn every_workload_is_served() {
    let mut one = Harness::among(&["n0"]);
    assert_eq!(
        one.answer(r#""type":"echo","msg_id":2,"echo":{"a":[1,null]}"#),
        r#"{"type":"echo_ok","in_reply_to":2,"echo":{"a":[1,null]}}"#
    );
    assert_eq!(
        one.answer(r#""type":"topology","msg_id":3,"topology":{"n0":[]}"#),
        r#"{"type":"topology_ok","in_reply_to":3}"#
    );
    let ids = [4, 5].map(|id| one.answer(&format!(r#""type":"generate","msg_id":{id}"#)));
    assert!(ids[0].starts_with(r#"{"type":"generate_ok","in_reply_to":4,"id":"n0-"#), "{ids:?}");
    assert_ne!(ids[0][40..], ids[1][40..]);
}

#[test]
fn a_value_is_read_as_it_was_sent() {
    let mut one = Harness::among(&["n0"]);
    let values = [
        "1000",
        "0.10",
        "12345678901234567890123",
        r#"{"b":1,"a":[]}"#,
        "null",
        r#""\n\u00e9""#,
        "-0",
        "[ 1 ]",
    ];
    for (id, value) in values.iter().enumerate() {
        assert_eq!(
            one.answer(&format!(r#""message":{value},"type":"broadcast","msg_id":{id}"#)),
            format!(r#"{{"type":"broadcast_ok","in_reply_to":{id}}}"#)
        );
    }
    assert_eq!(
        one.answer(r#""type":"read","msg_id":9"#),
        format!(r#"{{"type":"read_ok","in_reply_to":9,"messages":[{}]}}"#, values.join(","))
    );
}

#[test]
fn an_empty_node_reads_an_empty_list() {
    let mut one = Harness::among(&["n0"]);
    assert_eq!(
        one.answer(r#""type":"read","msg_id":0"#),
        r#"{"type":"read_ok","in_reply_to":0,"messages":[]}"#
    );
}

#[test]
fn a_value_is_acknowledged_and_read_before_the_node_has_joined() {
    let mut one = Harness::among(&["n0", "n1"]);
    let said = one.asks(r#""type":"broadcast","msg_id":2,"message":7"#);
    assert!(said.last().is_some_and(|line| line.contains("broadcast_ok")), "{said:?}");
    assert_eq!(said.len(), 2, "the answer, and a join");
    assert!(said[0].starts_with(r#"{"src":"n0","dest":"n1","body":{"type":"bruit","data":""#), "{said:?}");
    assert!(one.answer(r#""type":"read","msg_id":3"#).ends_with(r#""messages":[7]}"#));
}

#[test]
fn no_node_is_contacted_before_the_first_message_after_init() {
    let mut one = Harness::new();
    let said = one.asks(r#""type":"init","msg_id":1,"node_id":"n0","node_ids":["n0","n1","n2"]"#);
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(one.host.next_wake(), None);
    let said = one.asks(r#""type":"topology","msg_id":2,"topology":{}"#);
    assert_eq!(said.iter().filter(|line| line.contains(r#""type":"bruit""#)).count(), 1, "{said:?}");
}

#[test]
fn errors_have_maelstroms_codes() {
    let mut one = Harness::among(&["n0"]);
    let mut check = |fields: &str, code: u16, id: &str| {
        let body = one.answer(fields);
        let expected = format!(r#"{{"type":"error"{id},"code":{code},"text":"#);
        assert!(body.starts_with(&expected), "{fields}: {body}");
    };
    check(r#""type":"cas","msg_id":2"#, 10, r#","in_reply_to":2"#);
    check(r#""type":"cas\"","msg_id":2"#, 10, r#","in_reply_to":2"#);
    check(r#""msg_id":3"#, 12, r#","in_reply_to":3"#);
    check(r#""type":4,"msg_id":3"#, 12, r#","in_reply_to":3"#);
    check(r#""type":"broadcast","msg_id":5"#, 12, r#","in_reply_to":5"#);
    check(r#""type":"echo","msg_id":5"#, 12, r#","in_reply_to":5"#);
    check(r#""type":"init","msg_id":5,"node_id":"n1","node_ids":[]"#, 12, r#","in_reply_to":5"#);
    check(r#""type":"init","msg_id":5,"node_id":7"#, 12, r#","in_reply_to":5"#);
    check("", 12, "");
    check(r#""type":"cas","msg_id":null,"in_reply_to":null"#, 10, "");
    let long = format!(r#""type":"broadcast","msg_id":6,"message":"{}""#, "x".repeat(70_000));
    check(&long, 12, r#","in_reply_to":6"#);
}

#[test]
fn init_comes_first_and_may_be_repeated() {
    let mut one = Harness::new();
    assert!(one.answer(r#""type":"read","msg_id":1"#).contains(r#""code":11"#));
    let mut one = Harness::among(&["n0"]);
    let again = one.answer(r#""type":"init","msg_id":8,"node_id":"n0","node_ids":["n0"]"#);
    assert_eq!(again, r#"{"type":"init_ok","in_reply_to":8}"#);
}

#[test]
fn an_id_beside_the_body_is_ignored() {
    let mut one = Harness::among(&["n0"]);
    let said = one.hears(r#"{"id":44,"src":"c1","dest":"n0","body":{"type":"echo","echo":1,"msg_id":2}}"#);
    assert_eq!(said, [r#"{"src":"n0","dest":"c1","body":{"type":"echo_ok","in_reply_to":2,"echo":1}}"#]);
}

#[test]
fn garbage_is_logged_and_never_answered() {
    let deep = "[".repeat(100_000);
    let cut = r#"{"src":"c1","dest":"n0","body":{"type":"read""#;
    let lines =
        ["", "  ", "x", "null", "[]", "\"\"", "{}", "{\"body\":{}}", cut, deep.as_str(), "\u{0}", "\r"];
    for mut one in [Harness::new(), Harness::among(&["n0", "n1"])] {
        for line in lines {
            assert_eq!(one.hears(line), [""; 0], "{line:.40}");
        }
        assert_eq!(one.hears([0xff, 0xfe, b'{']), [""; 0]);
        let nested =
            format!(r#"{{"src":"c1","dest":"n0","body":{{"type":"echo","msg_id":1,"echo":{deep}}}}}"#);
        assert_eq!(one.hears(nested), [""; 0]);
    }
}

#[test]
fn replies_and_peers_are_never_answered() {
    let mut one = Harness::among(&["n0", "n1"]);
    one.asks(r#""type":"topology","msg_id":1,"topology":{}"#);
    assert_eq!(one.asks(r#""type":"read","in_reply_to":1"#), [""; 0]);
    assert_eq!(one.asks(r#""type":"error","code":10,"text":"""#), [""; 0]);
    for body in [
        r#""type":"bruit""#,
        r#""type":"bruit","data":7"#,
        r#""type":"bruit","data":"*""#,
        r#""type":"bruit","data":"Zm9v""#,
        r#""type":"cas","msg_id":3"#,
    ] {
        let line = format!(r#"{{"src":"n1","dest":"n0","body":{{{body}}}}}"#);
        assert_eq!(one.hears(line), [""; 0], "{body}");
    }
}

#[test]
fn two_nodes_meet_through_their_lines_and_share_a_value() {
    let names = ["n0", "n1"];
    let mut nodes = [Harness::among(&["n0", "n1"]), Harness::among(&["n1", "n0"])];
    let mut lines = nodes[1].asks(r#""type":"broadcast","msg_id":2,"message":[true]"#);
    for round in 1..40 {
        let now = Time::from_millis(100 * round);
        for line in std::mem::take(&mut lines) {
            let to = names.iter().position(|name| line.contains(&format!(r#""dest":"{name}""#)));
            if let Some(to) = to {
                lines.extend(nodes[to].hears(line));
            }
        }
        for one in &mut nodes {
            one.now = now;
            let mut out = Output::default();
            one.host.on_tick(now, &mut out);
            lines.extend(out.lines);
        }
    }
    for mut one in nodes {
        assert_eq!(one.host.node().map(Node::member_count), Some(2));
        let read = one.asks(r#""type":"read","msg_id":9"#).concat();
        assert!(read.ends_with(r#""messages":[[true]]}}"#), "{read}");
    }
}

#[test]
fn damaged_lines_do_no_harm() {
    let mut random = bruit_sim::Random::new(1, 0, 0);
    let mut one = Harness::among(&["n0", "n1", "n2"]);
    let mut corpus = one.asks(r#""type":"topology","msg_id":2,"topology":{"n0":["n1"]}"#);
    let node = &corpus[0].replace("\"n0\"", "\"nx\"").replace("\"n1\"", "\"n0\"").replace("\"nx\"", "\"n1\"");
    corpus.push(node.clone());
    for fields in [
        r#""type":"broadcast","msg_id":3,"message":{"a":["\u00e9",1e5]}"#,
        r#""type":"init","msg_id":4,"node_id":"n0","node_ids":["n0","n1"]"#,
        r#""type":"echo","msg_id":5,"echo":"x""#,
    ] {
        corpus.push(format!(r#"{{"id":1,"src":"c1","dest":"n0","body":{{{fields}}}}}"#));
    }
    for _ in 0..20_000 {
        let mut line = corpus[random.position(corpus.len())].clone().into_bytes();
        for _ in 0..=random.below(3) {
            let (place, other) = (random.position(line.len()), random.position(line.len()));
            match random.below(4) {
                0 => line[place] = random.next_u64().to_le_bytes()[0],
                1 => line.swap(place, other),
                2 => line.truncate(place.max(1)),
                _ => line.insert(place, br#"{}[]",:\1"#[random.position(9)]),
            }
        }
        for said in one.hears(&line) {
            let said: serde_json::Value = serde_json::from_str(&said).expect("what comes out is JSON");
            assert_eq!(said["src"], "n0");
        }
    }
    assert!(one.answer(r#""type":"read","msg_id":9"#).starts_with(r#"{"type":"read_ok""#));
}
