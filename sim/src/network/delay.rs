//! The delay of a datagram. Exponential delays are drawn with an integer table of the logarithm, so that they are the same
//! on machines whose `ln` differs.

use super::link::Profile;
use crate::base::{Index, Purpose, Random, mix, scale};

pub(super) fn draw(profile: &Profile, random: &mut Random) -> u64 {
    let mut delay = profile.delay_min;
    if profile.delay_spread > 0 {
        delay += random.below(profile.delay_spread.saturating_add(1));
    }
    if profile.delay_mean > 0 {
        delay += exponential(random.next_u64(), profile.delay_mean);
    }
    delay
}

/// The fixed part of the delay of an ordered pair, in `0..=most`.
pub(super) fn pair_offset(seed: u64, most: u64, from: Index, to: Index) -> u64 {
    let pair = u64::from(from.0) << 32 | u64::from(to.0);
    scale(mix(mix(seed, Purpose::Offset as u64), pair), most.saturating_add(1))
}

const STEPS: usize = 256;
/// 2³² · ln 2.
const LN_2: u64 = 2_977_044_472;
/// 2³² · −ln(x) at x = 1/2 + i/512.
const TABLE: [u64; STEPS + 1] = table();

/// 2³² · −ln(x) for x = 1/2 + step/512, by repeated squaring: each squaring yields one bit of log₂(2x).
const fn minus_ln(step: usize) -> u64 {
    if step == STEPS {
        return 0;
    }
    let mut x = ((STEPS + step) as u64) << 22;
    let mut log2 = 0_u64;
    let mut bit = 1_u64 << 31;
    while bit > 0 {
        x = (x * x) >> 30;
        if x >= 1 << 31 {
            log2 |= bit;
            x >>= 1;
        }
        bit >>= 1;
    }
    let missing = (1_u64 << 32) - log2;
    fixed(missing, LN_2)
}

/// `a · b / 2³²`, for results of 64 bits.
#[expect(clippy::cast_possible_truncation, reason = "the result fits for every caller")]
const fn fixed(a: u64, b: u64) -> u64 {
    ((a as u128 * b as u128) >> 32) as u64
}

const fn table() -> [u64; STEPS + 1] {
    let mut table = [0; STEPS + 1];
    let mut step = 0;
    while step <= STEPS {
        table[step] = minus_ln(step);
        step += 1;
    }
    table
}

/// `mean · −ln(u)`, u the draw as a number in (0, 1].
fn exponential(draw: u64, mean: u64) -> u64 {
    let halvings = draw.leading_zeros().min(63);
    let mantissa = draw << halvings;
    let position = (mantissa << 1) >> 1;
    let step = usize::try_from((position >> 55) & 0xff).expect("eight bits");
    let part = (position >> 23) & 0xffff_ffff;
    let (high, low) = (TABLE[step], TABLE[step + 1]);
    let within = high - fixed(high - low, part);
    let minus_ln = u64::from(halvings) * LN_2 + within;
    fixed(minus_ln, mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_matches_the_logarithm() {
        for (step, &value) in TABLE.iter().enumerate() {
            let exact = -(0.5 + step as f64 / 512.0).ln() * 4_294_967_296.0;
            assert!((value as f64 - exact).abs() < 16.0, "step {step}: {value} for {exact}");
        }
    }

    #[test]
    fn exponential_draws_have_the_right_mean_and_quantiles() {
        let (mut random, mean, n) = (Random::new(3, 100, 0), 1_000_000_u64, 200_000_u32);
        let draws: Vec<u64> = (0..n).map(|_| exponential(random.next_u64(), mean)).collect();
        let average = draws.iter().sum::<u64>() as f64 / f64::from(n);
        let sigma = mean as f64 / f64::from(n).sqrt();
        assert!((average - mean as f64).abs() < 4.0 * sigma, "mean {average}");
        for (quantile, factor) in [0.5, 0.9, 0.99].map(|q: f64| (q, -(1.0 - q).ln())) {
            let below = draws.iter().filter(|&&draw| (draw as f64) < mean as f64 * factor).count() as f64;
            let expected = f64::from(n) * quantile;
            let sigma = (expected * (1.0 - quantile)).sqrt();
            assert!((below - expected).abs() < 4.0 * sigma, "quantile {quantile}: {below} of {expected}");
        }
    }
}
