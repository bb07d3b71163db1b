//! The settings of a link, and the same ready for use.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::random::MILLION;

/// What happens to datagrams from one process to another. Probabilities are in parts per million.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Link {
    /// How long a datagram takes.
    pub delay: Delay,
    /// A fixed part of the delay for each ordered pair, drawn once in zero to this.
    #[serde(with = "crate::span")]
    pub pair_offset: Duration,
    /// How datagrams are lost.
    pub loss: Loss,
    /// How many arrive twice.
    pub duplicate_ppm: u32,
    /// How many are held back on purpose.
    pub reorder: Reorder,
    /// How many are damaged: bits flipped, cut short, extended, or given to somebody else.
    pub corrupt_ppm: u32,
    /// Longer datagrams are lost; bytes. 65 507 by default, the most that UDP over IPv4 carries.
    pub mtu: u32,
    /// Datagrams of the link arrive in the order they were sent.
    pub fifo: bool,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            delay: Delay::default(),
            pair_offset: Duration::ZERO,
            loss: Loss::None,
            duplicate_ppm: 0,
            reorder: Reorder::default(),
            corrupt_ppm: 0,
            mtu: 65_507,
            fifo: false,
        }
    }
}

impl Link {
    /// A link with this delay and nothing else.
    #[must_use]
    pub fn with_delay(delay: Delay) -> Self {
        Self { delay, ..Self::default() }
    }

    /// The same with independent loss.
    #[must_use]
    pub fn with_loss(self, ppm: u32) -> Self {
        Self { loss: Loss::Independent { ppm }, ..self }
    }
}

/// How long datagrams take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Delay {
    /// Always the same.
    Constant(#[serde(with = "crate::span")] Duration),
    /// Any between the two, bounds included.
    Uniform {
        /// The least.
        #[serde(with = "crate::span")]
        min: Duration,
        /// The greatest.
        #[serde(with = "crate::span")]
        max: Duration,
    },
    /// A least delay and an exponential tail, cut off at 44 times its mean.
    Exponential {
        /// The least.
        #[serde(with = "crate::span")]
        floor: Duration,
        /// The mean of what is added.
        #[serde(with = "crate::span")]
        mean: Duration,
    },
}

impl Default for Delay {
    /// 1 to 10 ms.
    fn default() -> Self {
        Self::Uniform { min: Duration::from_millis(1), max: Duration::from_millis(10) }
    }
}

/// How datagrams are lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Loss {
    /// Not at all.
    #[default]
    None,
    /// Each by itself.
    Independent {
        /// How many of a million.
        ppm: u32,
    },
    /// In bursts (Gilbert–Elliott by packet, everything lost in the bad state), separately on each link.
    Bursts {
        /// How many of a million in the long run; below a million.
        ppm: u32,
        /// Mean length of a burst in datagrams, at least 1.
        mean_burst: u32,
    },
}

/// Datagrams held back on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reorder {
    /// How many of a million.
    pub ppm: u32,
    /// By how much.
    #[serde(with = "crate::span")]
    pub by: Duration,
}

/// A link ready for use: nanoseconds, and probabilities as thresholds of a 64-bit draw.
#[derive(Clone, Copy, Debug)]
pub(super) struct Profile {
    pub(super) delay_min: u64,
    pub(super) delay_spread: u64,
    pub(super) delay_mean: u64,
    pub(super) pair_offset: u64,
    pub(super) loss: Threshold,
    pub(super) burst: Option<Burst>,
    pub(super) duplicate_ppm: u32,
    pub(super) reorder_ppm: u32,
    pub(super) reorder_by: u64,
    pub(super) corrupt_ppm: u32,
    pub(super) mtu: usize,
    pub(super) fifo: bool,
}

/// The chances of a burst to begin and to end before a datagram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Burst {
    pub(super) begin: Threshold,
    pub(super) end: Threshold,
}

/// A probability: true where a 64-bit draw is below it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Threshold(u128);

impl Threshold {
    /// `part / whole`, at most one.
    pub(super) fn ratio(part: u128, whole: u128) -> Self {
        Self(((part << 64) / whole.max(1)).min(1 << 64))
    }

    pub(super) fn hits(self, draw: u64) -> bool {
        u128::from(draw) < self.0
    }
}

impl Profile {
    pub(super) fn new(link: &Link) -> Self {
        let (delay_min, delay_spread, delay_mean) = match link.delay {
            Delay::Constant(delay) => (nanos(delay), 0, 0),
            Delay::Uniform { min, max } => (nanos(min), nanos(max.saturating_sub(min)), 0),
            Delay::Exponential { floor, mean } => (nanos(floor), 0, nanos(mean)),
        };
        let (loss, burst) = match link.loss {
            Loss::None => (0, None),
            Loss::Independent { ppm } => (ppm, None),
            Loss::Bursts { ppm, mean_burst } => (ppm, Some(Burst::new(ppm, mean_burst))),
        };
        Self {
            delay_min,
            delay_spread,
            delay_mean,
            pair_offset: nanos(link.pair_offset),
            loss: Threshold::ratio(loss.into(), MILLION.into()),
            burst,
            duplicate_ppm: link.duplicate_ppm,
            reorder_ppm: link.reorder.ppm,
            reorder_by: nanos(link.reorder.by),
            corrupt_ppm: link.corrupt_ppm,
            mtu: link.mtu as usize,
            fifo: link.fifo,
        }
    }

    pub(super) const fn loses(&self) -> bool {
        self.loss.0 > 0
    }
}

impl Burst {
    /// A burst ends with r = 1/B and begins with p = r·π/(1−π), so that π of the datagrams are lost.
    fn new(ppm: u32, mean_burst: u32) -> Self {
        let length = u128::from(mean_burst.max(1));
        let good = MILLION.saturating_sub(ppm).max(1);
        Self {
            begin: Threshold::ratio(ppm.into(), u128::from(good) * length),
            end: Threshold::ratio(1, length),
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Loss {
    /// How many of a million datagrams are lost in the long run.
    #[must_use]
    pub const fn ppm(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Independent { ppm } | Self::Bursts { ppm, .. } => ppm,
        }
    }
}
