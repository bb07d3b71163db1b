//! Durations on the command line and in the settings file.

use std::time::Duration;

/// Reads a duration: a whole number and a unit, which is ns, us, ms, s, m, h or d.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, u64); 7] = [
        ("ns", 1),
        ("us", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
        ("d", 86_400_000_000_000),
    ];
    let wrong = || {
        format!("{text:?} is not a duration: give a whole number and ns, us, ms, s, m, h or d, such as 500ms")
    };
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(digits);
    let (_, nanos) = UNITS.iter().find(|(name, _)| *name == unit.trim()).ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number
        .checked_mul(*nanos)
        .map(Duration::from_nanos)
        .ok_or_else(|| format!("{text:?} is longer than 584 years"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert!(
            duration("").is_err()
                && duration("5").is_err()
                && duration("s").is_err()
                && duration("-1s").is_err()
        );
        assert!(duration("99999999999d").is_err());
    }
}
