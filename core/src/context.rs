//! What every handler is given beside its own state.

use crate::config::Config;
use crate::outbox::Outbox;
use crate::stats::Stats;
use crate::time::Time;

/// The surroundings of one call.
#[derive(Debug)]
pub(crate) struct Ctx<'a> {
    /// Read once a call (rule E4).
    pub(crate) now: Time,
    pub(crate) config: &'a Config,
    pub(crate) out: &'a mut Outbox,
    pub(crate) stats: &'a mut Stats,
}
