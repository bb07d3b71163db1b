//! Parsing and writing of the lines of Maelstrom's protocol. Values stay JSON text, so that a client's value comes back
//! exactly as it was sent, with every digit of a number and every key in its order.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// The error codes of Maelstrom that this node uses. All are definite: the requested operation was not done and will not
/// be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    NotSupported = 10,
    TemporarilyUnavailable = 11,
    MalformedRequest = 12,
}

/// The reason why a request is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) text: String,
}

impl Refusal {
    pub(crate) fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    pub(crate) fn malformed(text: impl Into<String>) -> Self {
        Self::new(Code::MalformedRequest, text)
    }
}

/// The fields of a JSON object, each as JSON text. If a field is repeated, its last value counts.
type Fields<'a> = BTreeMap<String, &'a RawValue>;

/// A received message: its sender, its receiver and the fields of its body.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    /// The sender's name.
    pub(crate) src: String,
    /// The receiver's name, if the line gave one.
    pub(crate) dest: Option<String>,
    /// The fields of the body; `None` if `body` is not an object.
    body: Option<Fields<'a>>,
}

impl<'a> Message<'a> {
    /// Parses a line. It fails if there is no sender who could be answered.
    pub(crate) fn parse(line: &'a [u8]) -> Result<Self, String> {
        let fields: Fields<'a> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        let name = |key| fields.get(key).and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
        let src = name("src").ok_or("no src")?;
        let body = fields.get("body").and_then(|raw| serde_json::from_str(raw.get()).ok());
        Ok(Self { src, dest: name("dest"), body })
    }

    /// The JSON text of a field of the body.
    pub(crate) fn raw(&self, key: &str) -> Option<&'a str> {
        self.body.as_ref()?.get(key).map(|raw| raw.get())
    }

    /// A field of the body, if it exists and has this type.
    pub(crate) fn field<T: serde::Deserialize<'a>>(&self, key: &str) -> Option<T> {
        serde_json::from_str(self.raw(key)?).ok()
    }

    /// True if the message is a reply. A reply is never answered, or two nodes could answer each other forever.
    pub(crate) fn is_reply(&self, kind: Option<&str>) -> bool {
        self.raw("in_reply_to").is_some_and(|text| text != "null") || kind == Some("error")
    }

    /// The id of the message, which its answer repeats in `in_reply_to`.
    pub(crate) fn msg_id(&self) -> Option<&'a str> {
        self.raw("msg_id").filter(|text| *text != "null")
    }
}

/// Writes the beginning of a line, up to the type of its body. The names may contain any characters.
fn open(src: &str, dest: &str, kind: &str, room: usize) -> String {
    let mut line = String::with_capacity(64 + src.len() + dest.len() + kind.len() + room);
    for (key, value) in [("{\"src\":", src), (",\"dest\":", dest), (",\"body\":{\"type\":", kind)] {
        line.push_str(key);
        line.push_str(&quote(value));
    }
    line
}

/// Writes a line whose body has these further fields, whose values are JSON text.
pub(crate) fn line(src: &str, dest: &str, kind: &str, fields: &[(&str, &str)]) -> String {
    let room = fields.iter().map(|(key, value)| key.len() + value.len() + 4).sum();
    let mut line = open(src, dest, kind, room);
    for (key, value) in fields {
        line.push_str(",\"");
        line.push_str(key);
        line.push_str("\":");
        line.push_str(value);
    }
    line.push_str("}}");
    line
}

/// The type of the messages that carry a datagram.
pub(crate) const DATAGRAM: &str = "bruit";

/// Writes a line that carries a datagram to another node. The presets of this crate keep it below 2 kB; with the greatest
/// mtu it would have 88 kB.
pub(crate) fn datagram(src: &str, dest: &str, bytes: &[u8]) -> String {
    let mut line = open(src, dest, DATAGRAM, bytes.len() * 4 / 3 + 16);
    line.push_str(",\"data\":\"");
    crate::base64::encode(bytes, &mut line);
    line.push_str("\"}}");
    line
}

/// The datagram that a line carries, if it carries one.
pub(crate) fn carried(line: &str) -> Option<Vec<u8>> {
    let message = Message::parse(line.as_bytes()).ok()?;
    decode(&message.field::<String>("data")?)
}

/// Decodes the field `data` of a line that carries a datagram.
pub(crate) fn decode(data: &str) -> Option<Vec<u8>> {
    crate::base64::decode(data)
}

/// Writes a text as a JSON string.
pub(crate) fn quote(text: &str) -> String {
    serde_json::to_string(text).expect("a string is always JSON")
}

/// Returns `bytes` as text if they are one JSON value without a line break.
pub(crate) fn as_value(bytes: &[u8]) -> Option<&str> {
    let text = serde_json::from_slice::<&RawValue>(bytes).ok()?.get();
    (!text.contains('\n')).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_parsed_and_written() {
        let text = br#" {"id":7,"dest":"n\u0031","src":"c1","body":{"msg_id":3,"type":"echo","echo":{"b":1.50,"a":[ ]}}} "#;
        let message = Message::parse(text).expect("a message");
        assert_eq!((message.src.as_str(), message.dest.as_deref()), ("c1", Some("n1")));
        assert_eq!(message.msg_id(), Some("3"));
        assert_eq!(message.raw("echo"), Some(r#"{"b":1.50,"a":[ ]}"#));
        let fields = [("in_reply_to", "3"), ("echo", "null")];
        assert_eq!(
            line("n1", "c\"1", "echo_ok", &fields),
            r#"{"src":"n1","dest":"c\"1","body":{"type":"echo_ok","in_reply_to":3,"echo":null}}"#
        );
    }

    #[test]
    fn a_line_without_a_sender_is_an_error() {
        for text in ["", "x", "[]", "3", "{}", r#"{"src":1,"body":{}}"#, r#"{"src":"c1"} {}"#, "\u{7f}"] {
            assert!(Message::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Message::parse(b"{\"src\":\"\xff\"}").is_err());
    }

    #[test]
    fn a_body_may_be_missing_or_of_another_type() {
        for text in [r#"{"src":"c1"}"#, r#"{"src":"c1","body":[1]}"#, r#"{"src":"c1","body":null}"#] {
            let message = Message::parse(text.as_bytes()).expect("a sender");
            assert_eq!(message.raw("type"), None, "{text}");
        }
    }

    #[test]
    fn a_datagram_becomes_a_line() {
        let text = datagram("n1", "n2", b"foo");
        assert_eq!(text, r#"{"src":"n1","dest":"n2","body":{"type":"bruit","data":"Zm9v"}}"#);
    }

    #[test]
    fn only_one_json_value_on_one_line_is_a_value() {
        assert_eq!(as_value(b" [1, 2] "), Some("[1, 2]"));
        for bytes in [b"".as_slice(), b"1 2", b"[1,\n2]", b"\xff", b"x"] {
            assert_eq!(as_value(bytes), None);
        }
    }
}
