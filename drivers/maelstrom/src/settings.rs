//! The settings of a node that its environment gives.

use bruit_core::Config;

/// The settings of a node that `init` does not contain.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The core's settings. All nodes of a cluster share them.
    pub config: Config,
    /// The epoch of this start: see [`Boot::epoch`](bruit_core::Boot).
    pub epoch: u64,
    /// Random bytes that are never used twice: see [`Boot::seed`](bruit_core::Boot).
    pub seed: [u8; 32],
}
