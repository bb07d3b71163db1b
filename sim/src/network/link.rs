//! The settings of a link, and the profile that the network computes from them.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::MILLION;

/// The settings of a link: what happens to datagrams from one process to another. Probabilities are in parts per million.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Link {
    /// The delay of datagrams.
    pub delay: Delay,
    /// The greatest fixed part of the delay. Each ordered pair of processes draws its own once, between zero and this.
    #[serde(with = "crate::base::span")]
    pub pair_offset: Duration,
    /// The loss of datagrams.
    pub loss: Loss,
    /// The share of datagrams that arrive twice.
    pub duplicate_ppm: u32,
    /// The datagrams that are held back.
    pub reorder: Reorder,
    /// The share of datagrams that are damaged: a bit is flipped, the end is missing, bytes are added, or the datagram goes
    /// to another process.
    pub corrupt_ppm: u32,
    /// The greatest length of a datagram in bytes; longer ones are lost. 65 507 by default, the most that UDP over IPv4
    /// carries.
    pub mtu: u32,
    /// Whether datagrams arrive in the order in which they were sent.
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
    /// A link with this delay, and no loss or other faults.
    #[must_use]
    pub fn with_delay(delay: Delay) -> Self {
        Self { delay, ..Self::default() }
    }

    /// Sets independent loss.
    #[must_use]
    pub fn with_loss(self, ppm: u32) -> Self {
        Self { loss: Loss::Independent { ppm }, ..self }
    }
}

/// The delay of the datagrams of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Delay {
    /// Every datagram takes this time.
    Constant(#[serde(with = "crate::base::span")] Duration),
    /// The delay is evenly distributed between two bounds.
    Uniform {
        /// The lower bound.
        #[serde(with = "crate::base::span")]
        min: Duration,
        /// The upper bound.
        #[serde(with = "crate::base::span")]
        max: Duration,
    },
    /// The delay is a constant plus an exponentially distributed time, which is cut off at 44 times its mean.
    Exponential {
        /// The constant.
        #[serde(with = "crate::base::span")]
        floor: Duration,
        /// The mean of the exponentially distributed time.
        #[serde(with = "crate::base::span")]
        mean: Duration,
    },
}

impl Default for Delay {
    /// The delay is evenly distributed from 1 to 10 ms.
    fn default() -> Self {
        Self::Uniform { min: Duration::from_millis(1), max: Duration::from_millis(10) }
    }
}

/// The loss of datagrams on a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Loss {
    /// No datagram is lost.
    #[default]
    None,
    /// Each datagram is lost independently of the others.
    Independent {
        /// The share of datagrams that are lost, in parts per million.
        ppm: u32,
    },
    /// Datagrams are lost in bursts: the Gilbert–Elliott model with one step for each datagram, in which the bad state
    /// loses everything. Each link has its own state.
    Bursts {
        /// The share of datagrams that are lost in the long run, in parts per million; below a million.
        ppm: u32,
        /// The mean length of a burst in datagrams; at least 1.
        mean_burst: u32,
    },
}

/// The datagrams that a link holds back, so that others overtake them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reorder {
    /// The share of datagrams that are held back, in parts per million.
    pub ppm: u32,
    /// The time by which they are held back.
    #[serde(with = "crate::base::span")]
    pub by: Duration,
}

/// The settings of a link in the form that is quick to apply: times in nanoseconds, and probabilities as thresholds of a
/// 64-bit draw.
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

/// The probabilities that a burst begins or ends before a datagram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Burst {
    pub(super) begin: Threshold,
    pub(super) end: Threshold,
}

/// A probability as a threshold: a 64-bit draw below it is a hit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Threshold(u128);

impl Threshold {
    /// The probability `part / whole`, at most one.
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
    /// A burst ends with probability r = 1/B and begins with probability p = r·π/(1−π), where B is the mean length and π the
    /// share of datagrams that are lost.
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
    /// The share of datagrams that are lost in the long run, in parts per million.
    #[must_use]
    pub const fn ppm(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Independent { ppm } | Self::Bursts { ppm, .. } => ppm,
        }
    }
}
