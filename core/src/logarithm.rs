//! Logarithms in thousandths, computed with integers. Lifeguard's timeouts and SWIM's retransmissions grow with the
//! logarithm of the group, and floats, which may differ between machines, must not decide anything.

/// log₂ of `value` in thousandths, rounded down; 0 for 0.
#[expect(clippy::cast_possible_truncation, reason = "at most 32 000")]
pub(crate) const fn log2_milli(value: u32) -> u32 {
    (log2_micro(value) / 1_000) as u32
}

/// log₁₀ of `value` in thousandths, rounded to the nearest; 0 for 0.
#[expect(clippy::cast_possible_truncation, reason = "at most 9 633")]
pub(crate) const fn log10_milli(value: u32) -> u32 {
    ((log2_micro(value) * LOG10_OF_2_MICRO + 500_000_000) / 1_000_000_000) as u32
}

const LOG10_OF_2_MICRO: u64 = 301_030;

/// log₂ of `value` in millionths, rounded down; 0 for 0.
const fn log2_micro(value: u32) -> u64 {
    if value < 2 {
        return 0;
    }
    let whole = value.ilog2();
    // The mantissa in 1 ≤ m < 2 as a fixed-point number with 31 bits behind the point; squaring it yields one
    // binary digit of the logarithm after the other.
    let mut mantissa = (value as u64) << (31 - whole);
    let (mut digits, mut i) = (0_u64, 0);
    while i < 30 {
        mantissa = (mantissa * mantissa) >> 31;
        digits <<= 1;
        if mantissa >= 1 << 32 {
            mantissa >>= 1;
            digits |= 1;
        }
        i += 1;
    }
    whole as u64 * 1_000_000 + ((digits * 1_000_000) >> 30)
}

/// ⌈log₁₀ of `value`⌉; 0 for 0.
pub(crate) const fn log10_ceil(value: u32) -> u32 {
    let mut power = 1_u64;
    let mut digits = 0;
    while power < value as u64 {
        power *= 10;
        digits += 1;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_floating_point_within_a_thousandth() {
        for value in (2..5_000_u32).chain([10_000, 100_000, 1 << 20, u32::MAX]) {
            let close = |ours: u32, exact: f64| (f64::from(ours) / 1_000.0 - exact).abs() <= 0.001_1;
            assert!(close(log2_milli(value), f64::from(value).log2()), "log2({value})");
            assert!(close(log10_milli(value), f64::from(value).log10()), "log10({value})");
        }
        assert_eq!([10, 100, 1_000, 10_000].map(log10_milli), [1_000, 2_000, 3_000, 4_000]);
    }

    #[test]
    fn ceilings_are_exact() {
        assert_eq!([0, 1, 2, 10, 11, 100, 101, 1_001].map(log10_ceil), [0, 0, 1, 1, 2, 2, 3, 4]);
    }
}
