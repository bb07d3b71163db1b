//! The tags of a member: a small map of texts, such as `role=db`, that every member sees in [`Member::tags`](crate::Member).
//!
//! Tags stand in the member's record as they stand here, sorted by key, so that equal tags are equal bytes. They are for people
//! and for choosing members; bytes that only the application understands belong into the metadata.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::limits::{TAG_BYTES_MAX, TAGS_BYTES_MAX};

/// The tags of a member, sorted by key. Each counts the bytes of its key and its value, and 2 more; they count at most
/// `limits::TAGS_BYTES_MAX` (192) together.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tags<'a> {
    /// For each tag the length of the key, the key, the length of the value and the value.
    bytes: Cow<'a, [u8]>,
}

/// Why texts cannot be tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TagError {
    /// The key is empty or contains `=`, or the key or the value is longer than [`TAG_BYTES_MAX`].
    Invalid {
        /// The key.
        key: String,
    },
    /// The tags count more than [`TAGS_BYTES_MAX`].
    TooLong {
        /// What they count.
        len: usize,
    },
}

impl<'a> Tags<'a> {
    /// The value of the tag with this key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|(other, _)| *other == key).map(|(_, value)| value)
    }

    /// The tags as key and value, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        pairs(&self.bytes).flatten()
    }

    /// Whether there is no tag.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// These tags as a map, to change them and to set them again.
    #[must_use]
    pub fn to_map(&self) -> BTreeMap<String, String> {
        self.iter().map(|(key, value)| (key.into(), value.into())).collect()
    }

    /// These tags with their bytes copied, so that they borrow nothing.
    #[must_use]
    pub fn into_owned(self) -> Tags<'static> {
        Tags { bytes: Cow::Owned(self.bytes.into_owned()) }
    }

    /// Tags from bytes that [`are_tags`] has accepted before.
    pub(crate) const fn trusted(bytes: &'a [u8]) -> Self {
        Self { bytes: Cow::Borrowed(bytes) }
    }
}

/// The bytes of these tags as they stand in a record.
///
/// # Errors
/// A tag cannot be written, or the tags are too long.
pub(crate) fn encode(tags: &BTreeMap<String, String>) -> Result<Vec<u8>, TagError> {
    let mut bytes = Vec::new();
    for (key, value) in tags {
        let fits = |text: &String| text.len() <= TAG_BYTES_MAX;
        if key.is_empty() || key.contains('=') || !fits(key) || !fits(value) {
            return Err(TagError::Invalid { key: key.clone() });
        }
        for text in [key, value] {
            bytes.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    if bytes.len() > TAGS_BYTES_MAX { Err(TagError::TooLong { len: bytes.len() }) } else { Ok(bytes) }
}

/// Whether a member can have encoded its tags as these bytes: keys are not empty and rise, and all is text.
pub(crate) fn are_tags(bytes: &[u8]) -> bool {
    let mut last = "";
    bytes.len() <= TAGS_BYTES_MAX
        && pairs(bytes).all(|pair| {
            pair.is_some_and(|(key, _)| {
                let rises = key > last && !key.contains('=');
                last = key;
                rises
            })
        })
}

/// The tags in these bytes; the last item is `None` if the bytes are not tags.
fn pairs(mut bytes: &[u8]) -> impl Iterator<Item = Option<(&str, &str)>> {
    core::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let pair = text(&mut bytes).and_then(|key| Some((key, text(&mut bytes)?)));
        if pair.is_none() {
            bytes = &[];
        }
        Some(pair)
    })
}

/// Takes a length and a text from the front of `bytes`.
fn text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    let (len, rest) = bytes.split_first()?;
    let (text, rest) = rest.split_at_checked(usize::from(*len))?;
    *bytes = rest;
    core::str::from_utf8(text).ok()
}

/// Writes the tags as `key=value`, with a comma between two.
impl fmt::Display for Tags<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (key, value)) in self.iter().enumerate() {
            write!(f, "{}{key}={value}", if place > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Tags<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Tags serialise as a map of texts.
impl Serialize for Tags<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.iter().count()))?;
        for (key, value) in self.iter() {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;

    use super::*;

    fn map(tags: &[(&str, &str)]) -> BTreeMap<String, String> {
        tags.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    #[test]
    fn tags_are_read_as_they_were_set() {
        let set = map(&[("role", "db"), ("dc", ""), ("größe", "µ=1,2")]);
        let bytes = encode(&set).expect("short texts");
        assert!(are_tags(&bytes));
        let tags = Tags::trusted(&bytes);
        assert_eq!(tags.to_map(), set);
        assert_eq!((tags.get("role"), tags.get("dc"), tags.get("ro")), (Some("db"), Some(""), None));
        assert_eq!(format!("{tags}"), "dc=,größe=µ=1,2,role=db");
        assert_eq!(tags.clone().into_owned(), tags);
        assert!(Tags::default().is_empty() && !tags.is_empty());
    }

    #[test]
    fn texts_that_cannot_be_tags_are_refused() {
        let long = "x".repeat(TAG_BYTES_MAX + 1);
        for (key, value) in [("", "x"), ("a=b", "x"), (&long, "x"), ("x", &long)] {
            assert_eq!(encode(&map(&[(key, value)])), Err(TagError::Invalid { key: key.into() }));
        }
        let most = "x".repeat(TAGS_BYTES_MAX - 3);
        assert!(encode(&map(&[("a", &most)])).is_ok_and(|bytes| are_tags(&bytes)));
        let len = TAGS_BYTES_MAX + 1;
        assert_eq!(encode(&map(&[("ab", &most)])), Err(TagError::TooLong { len }));
    }

    #[test]
    fn bytes_that_no_member_encodes_are_no_tags() {
        assert!(are_tags(b"") && are_tags(b"\x01a\x00\x01b\x01x"));
        let wrong: [&[u8]; 7] = [
            b"\x01b\x00\x01a\x00",
            b"\x01a\x00\x01a\x00",
            b"\x00\x01x",
            b"\x01a",
            b"\x01a\x02x",
            b"\x01=\x00",
            b"\x01\xff\x00",
        ];
        for bytes in wrong {
            assert!(!are_tags(bytes), "{bytes:?}");
        }
        assert!(!are_tags(&[1, b'a', 191].iter().copied().chain([b'x'; 191]).collect::<Vec<_>>()));
    }
}
