//! Broadcasts, lost broadcasts and the levels of the broadcast's queues, for display.

use std::fmt::Write;

use bruit_udp::core::{MessageId, Node, NodeId, limits};
use serde::{Deserialize, Serialize};

use crate::label::{harmless, label};

/// The most characters of a payload in a line for people.
const SHOWN_MAX: usize = 100;

/// Bytes in JSON: as text if they are UTF-8, else in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bytes {
    Text(String),
    Hex(String),
}

impl Bytes {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        match str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Hex(hex(bytes)),
        }
    }

    /// Returns the bytes; `None` if the hexadecimal form is wrong.
    pub(crate) fn to_vec(&self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.clone().into_bytes()),
            Self::Hex(hex) => {
                let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
                let digit =
                    |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                let byte = |[high, low]: &[u8; 2]| Some(digit(*high)? << 4 | digit(*low)?);
                if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
            }
        }
    }

    /// The bytes for a line of text. Characters that would control a terminal are escaped.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Text(text) => shown(text.as_bytes()),
            Self::Hex(_) => self.to_vec().map(|bytes| shown(&bytes)).unwrap_or_default(),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("printing into a string cannot fail");
        text
    })
}

fn shown(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(&harmless(chunk.valid()));
        for byte in chunk.invalid() {
            write!(text, "\\x{byte:02x}").expect("printing into a string cannot fail");
        }
    }
    text
}

/// The bytes for a line of text, cut if they are long.
pub(crate) fn shortened(payload: &Bytes) -> String {
    let shown = payload.shown();
    match shown.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{} …", &shown[..end]),
        None => shown,
    }
}

/// A broadcast, for display.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MessageView {
    pub(crate) id: String,
    /// The member that sent it.
    pub(crate) origin: String,
    pub(crate) name: String,
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
    pub(crate) bytes: usize,
}

impl MessageView {
    pub(crate) fn of(id: MessageId, name: String, topic: &str, payload: &[u8]) -> Self {
        Self {
            id: id.to_string(),
            origin: id.origin.to_string(),
            name,
            topic: topic.to_owned(),
            payload: Bytes::of(payload),
            bytes: payload.len(),
        }
    }

    /// A line with the sender, the topic and the given text of the payload.
    pub(crate) fn line(&self, payload: &str) -> String {
        let topic = if self.topic.is_empty() { "-".to_owned() } else { shown(self.topic.as_bytes()) };
        format!("{}  {topic}  {payload}", label(&self.name, &self.origin))
    }
}

/// A range of lost broadcasts, for display.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LostView {
    pub(crate) origin: String,
    pub(crate) name: String,
    pub(crate) epoch: String,
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl LostView {
    pub(crate) fn of(origin: NodeId, name: String, epoch: u64, first: u64, last: u64) -> Self {
        Self { origin: origin.to_string(), name, epoch: epoch.to_string(), first, last }
    }

    /// A line for people.
    pub(crate) fn line(&self) -> String {
        let Self { origin, name, epoch, first, last } = self;
        let which =
            if first == last { format!("number {first}") } else { format!("numbers {first} to {last}") };
        format!("{which} of {}, epoch {epoch}: no member within reach has them", label(name, origin))
    }
}

/// A number that has a limit, for display.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LevelView {
    pub(crate) name: String,
    pub(crate) value: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max: Option<u64>,
    pub(crate) help: String,
}

/// The present sizes of the broadcast's queues and caches.
pub(crate) fn levels(node: &Node) -> Vec<LevelView> {
    let (pending, usage, settings) = (node.pending(), node.usage(), &node.config().broadcast);
    let level = |name: &str, value: usize, max: Option<u64>, help: &str| LevelView {
        name: format!("broadcasts_{name}"),
        value: value as u64,
        max,
        help: help.to_owned(),
    };
    let bytes = |max: u32| Some(u64::from(max));
    vec![
        level("pending", pending.messages, None, "Own broadcasts that wait to be sent."),
        level(
            "pending_bytes",
            pending.bytes,
            bytes(settings.pending_bytes_max),
            "Bytes of the own broadcasts that wait to be sent.",
        ),
        level("queued", usage.queued, Some(limits::QUEUE_MAX as u64), "Transmissions that wait to be sent."),
        level("cached", usage.cached, None, "Broadcasts kept to serve requests."),
        level(
            "cached_bytes",
            usage.cached_bytes,
            bytes(settings.cache_bytes_max),
            "Bytes of the broadcasts kept to serve requests.",
        ),
        level("held_back", usage.held_back, None, "Broadcasts held for an earlier one or for the disk."),
        level("missing", usage.gaps, None, "Ranges of missing broadcasts."),
        level("wanted", usage.wanted, None, "Missing broadcasts that were announced or asked for."),
        level(
            "reassembling",
            usage.reassemblies,
            Some(limits::REASSEMBLIES_MAX as u64),
            "Long broadcasts that have arrived in part.",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_whatever_they_are() {
        for bytes in [&b"hello"[..], b"", b"\xff\x00\x7f", "gr\u{fc}n\n".as_bytes()] {
            assert_eq!(Bytes::of(bytes).to_vec().as_deref(), Some(bytes));
        }
        assert_eq!(Bytes::of(b"\xff\x00"), Bytes::Hex("ff00".to_owned()));
        assert_eq!(Bytes::Hex("f".to_owned()).to_vec(), None);
        assert_eq!(Bytes::Hex("+f".to_owned()).to_vec(), None);
        assert_eq!(Bytes::Hex("zz".to_owned()).to_vec(), None);
    }

    #[test]
    fn no_payload_controls_a_terminal() {
        assert_eq!(Bytes::of(b"a\nb\x1b[2J").shown(), "a\\nb\\u{1b}[2J");
        assert_eq!(Bytes::of(b"a\xffb").shown(), "a\\xffb");
        assert_eq!(Bytes::of("gr\u{fc}n".as_bytes()).shown(), "gr\u{fc}n");
        let long = shortened(&Bytes::of(&[b'x'; 200]));
        assert_eq!(long.chars().count(), SHOWN_MAX + 2);
    }
}
