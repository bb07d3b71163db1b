//! The item that a broadcast is: flags, topic, payload. An item is kept, relayed and served as the bytes received, with
//! whatever a newer version has put behind the known fields (rule G5).

use alloc::vec::Vec;

use super::codec::{Put, Reader};
use super::error::DecodeError;
use super::sizes::CONTENT_BYTES_MIN;
use crate::limits::TOPIC_BYTES_MAX;

/// The flag of an [`Item`]: its origin wants receipts.
pub(crate) const REPORT: u8 = 1;

/// The content of a broadcast, checked when it was read and kept as its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    bytes: &'a [u8],
    topic: &'a str,
    payload: &'a [u8],
}

impl<'a> Item<'a> {
    /// Checks an item.
    ///
    /// # Errors
    /// The bytes end too early, or the topic is too long or no UTF-8.
    pub fn read(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        reader.u8()?;
        let len = usize::from(reader.u8()?);
        if len > TOPIC_BYTES_MAX {
            return Err(DecodeError::Invalid("topic"));
        }
        let topic = core::str::from_utf8(reader.bytes(len)?).map_err(|_| DecodeError::Invalid("topic"))?;
        let len = usize::try_from(reader.u32()?).map_err(|_| DecodeError::Truncated)?;
        let payload = reader.bytes(len)?;
        Ok(Self { bytes, topic, payload })
    }

    /// Whether the origin wants receipts.
    #[must_use]
    pub fn wants_receipt(self) -> bool {
        self.bytes.first().is_some_and(|flags| flags & REPORT != 0)
    }

    /// The topic.
    #[must_use]
    pub const fn topic(self) -> &'a str {
        self.topic
    }

    /// The payload.
    #[must_use]
    pub const fn payload(self) -> &'a [u8] {
        self.payload
    }

    /// The whole item, with what newer versions have added.
    #[must_use]
    pub const fn bytes(self) -> &'a [u8] {
        self.bytes
    }
}

/// Encodes an item. The caller has checked the lengths of topic and payload.
pub(crate) fn encode_item(flags: u8, topic: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(CONTENT_BYTES_MIN + topic.len() + payload.len());
    bytes.put_u8(flags);
    bytes.put_u8(u8::try_from(topic.len()).expect("a topic is short"));
    bytes.put(topic.as_bytes());
    bytes.put_u32(u32::try_from(payload.len()).expect("a payload is bounded"));
    bytes.put(payload);
    bytes
}
