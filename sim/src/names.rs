//! Processes by name in scenarios and plans: `"n5"`, and groups of them as `"n1..n16, n20"`, ends included.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::cluster::Index;

/// Reads `n5`.
#[must_use]
pub fn parse(text: &str) -> Option<Index> {
    let number: u32 = text.trim().strip_prefix('n')?.parse().ok()?;
    number.checked_sub(1).map(Index)
}

/// The most processes that a group may name, so that a typing error cannot fill the memory.
pub const GROUP_MAX: u32 = 1 << 20;

/// Reads `n1..n16, n20`; nothing for an empty text.
#[must_use]
pub fn parse_group(text: &str) -> Option<Vec<Index>> {
    let mut group = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once("..").unwrap_or((part, part));
        let (first, last) = (parse(first)?, parse(last)?);
        if last.0 >= GROUP_MAX {
            return None;
        }
        group.extend((first.0..=last.0).map(Index));
    }
    Some(group)
}

/// Writes a group with its runs as ranges.
#[must_use]
pub fn print_group(group: &[Index]) -> String {
    let mut parts = Vec::new();
    let mut rest = group;
    while let [first, ..] = rest {
        let run = (first.0..).zip(rest).take_while(|(number, index)| *number == index.0).count();
        let last = rest[run - 1];
        parts.push(if run > 1 { format!("{first}..{last}") } else { first.to_string() });
        rest = &rest[run..];
    }
    parts.join(", ")
}

impl Serialize for Index {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Index {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text)
            .ok_or_else(|| D::Error::custom(format!("`{text}` is no process: `n1`, `n2` and so on are")))
    }
}

fn group_of<E: Error>(text: &str) -> Result<Vec<Index>, E> {
    let limit =
        format!("`{text}` is no group: processes and ranges such as `n1..n16, n20` are, up to n{GROUP_MAX}");
    parse_group(text).ok_or_else(|| E::custom(limit))
}

/// One group as one text.
pub(crate) mod group {
    use super::{Deserialize, Deserializer, Index, Serializer, group_of, print_group};

    pub(crate) fn serialize<S: Serializer>(group: &[Index], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&print_group(group))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Index>, D::Error> {
        group_of(&String::deserialize(deserializer)?)
    }
}

/// Groups as a list of texts.
pub(crate) mod groups {
    use super::{Deserialize, Deserializer, Index, Serializer, group_of, print_group};

    pub(crate) fn serialize<S: Serializer>(groups: &[Vec<Index>], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(groups.iter().map(|group| print_group(group)))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Vec<Index>>, D::Error> {
        Vec::<String>::deserialize(deserializer)?.iter().map(|text| group_of(text)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_read_as_written() {
        for text in ["n1", "n1..n3", "n1..n3, n7", ""] {
            assert_eq!(parse_group(text).map(|group| print_group(&group)).as_deref(), Some(text));
        }
        for text in ["n0", "x", "n1..", "n1..n99999999", "1"] {
            assert_eq!(parse_group(text), None, "{text}");
        }
        assert_eq!(parse_group("n3..n1"), Some(Vec::new()));
    }
}
