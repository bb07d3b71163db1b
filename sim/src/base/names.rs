//! The numbers of processes, and how scenarios and plans write them: `"n5"` for one process, `"n1..n16, n20"` for a
//! group, where both ends of a range belong to it.

use core::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The number of a process in a run, from 0 in the order in which processes were spawned. A process keeps its number
/// when it restarts. An index is printed as the `NodeId` that the process has by default: index 0 is `n1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Index(pub u32);

impl Index {
    /// The index as a position in a slice.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0 as usize
    }

    /// The index of the process at this position of a slice.
    ///
    /// # Panics
    /// The position is 2³² or more.
    #[must_use]
    pub fn new(position: usize) -> Self {
        Self(u32::try_from(position).expect("fewer than 2^32 processes"))
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", u64::from(self.0) + 1)
    }
}

/// Reads the name of one process, such as `n5`.
fn parse(text: &str) -> Option<Index> {
    let number: u32 = text.trim().strip_prefix('n')?.parse().ok()?;
    number.checked_sub(1).map(Index)
}

/// The highest number that a group may name, so that a typing error cannot fill the memory.
const GROUP_MAX: u32 = 1 << 20;

/// Reads a group such as `n1..n16, n20`. An empty text is an empty group; `None` if the text is not a group.
fn parse_group(text: &str) -> Option<Vec<Index>> {
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

/// Writes a group, consecutive numbers as a range.
pub(crate) fn print_group(group: &[Index]) -> String {
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
            .ok_or_else(|| D::Error::custom(format!("`{text}` is not a process; write `n1`, `n2` and so on")))
    }
}

fn group_of<E: Error>(text: &str) -> Result<Vec<Index>, E> {
    let limit = format!(
        "`{text}` is not a group; write processes and ranges such as `n1..n16, n20`, up to n{GROUP_MAX}"
    );
    parse_group(text).ok_or_else(|| E::custom(limit))
}

/// Serializes a group as one text.
pub(crate) mod group {
    use super::{Deserialize, Deserializer, Index, Serializer, group_of, print_group};

    pub(crate) fn serialize<S: Serializer>(group: &[Index], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&print_group(group))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Index>, D::Error> {
        group_of(&String::deserialize(deserializer)?)
    }
}

/// Serializes several groups as a list of texts.
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
    fn a_printed_group_parses_to_itself() {
        for text in ["n1", "n1..n3", "n1..n3, n7", ""] {
            assert_eq!(parse_group(text).map(|group| print_group(&group)).as_deref(), Some(text));
        }
        for text in ["n0", "x", "n1..", "n1..n99999999", "1"] {
            assert_eq!(parse_group(text), None, "{text}");
        }
        assert_eq!(parse_group("n3..n1"), Some(Vec::new()));
    }
}
