//! Durations as text, as scenarios and plans write them: `"1.5s"`, `"200ms"`, `"2m"`, `"1h"`.

use core::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

const UNITS: [(&str, u64); 6] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads a duration: a decimal number and one of the units `ns us ms s m h`. `None` if the text is not one.
#[must_use]
pub fn parse(text: &str) -> Option<Duration> {
    let split = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(split);
    let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let (whole, fraction) = number.trim().split_once('.').unwrap_or((number.trim(), ""));
    let mut nanos = whole.parse::<u64>().ok()?.checked_mul(*scale)?;
    let mut place = *scale;
    for digit in fraction.chars() {
        place /= 10;
        nanos = nanos.checked_add(u64::from(digit.to_digit(10)?) * place)?;
    }
    Some(Duration::from_nanos(nanos))
}

/// Writes a duration as a whole number of the largest unit up to seconds that allows it.
#[must_use]
pub fn print(duration: Duration) -> String {
    let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let fits = |(_, scale): &&(&str, u64)| nanos >= *scale && nanos.is_multiple_of(*scale);
    let (name, scale) = UNITS[..4].iter().rev().find(fits).unwrap_or(&("s", 1_000_000_000));
    format!("{}{name}", nanos / scale)
}

pub(crate) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&print(*duration))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = || {
        D::Error::custom(format!("`{text}` is not a duration; write a number and one of ns, us, ms, s, m, h"))
    };
    parse(&text).ok_or_else(wrong)
}

/// Serializes a duration that may be missing.
pub(crate) mod option {
    use core::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    struct Span(#[serde(with = "crate::base::span")] Duration);

    #[expect(clippy::ref_option, reason = "the shape that serde asks for")]
    pub(crate) fn serialize<S: Serializer>(
        span: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        span.map(Span).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<Span>::deserialize(deserializer)?.map(|Span(span)| span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_duration_parses_to_itself() {
        for (text, nanos) in
            [("1.5s", 1_500_000_000), ("200ms", 200_000_000), ("2m", 120_000_000_000), ("0s", 0)]
        {
            assert_eq!(parse(text), Some(Duration::from_nanos(nanos)), "{text}");
        }
        for text in ["", "5", "s", "1.5x", "-1s", "1..2s"] {
            assert_eq!(parse(text), None, "{text}");
        }
        for text in ["1500ms", "3s", "120s", "0s", "7ns"] {
            assert_eq!(parse(text).map(print).as_deref(), Some(text));
        }
    }
}
