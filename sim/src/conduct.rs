//! The simulator's checks on itself and on the wire: conservation, causality, silence of the crashed, and the
//! codec. They are cheap, and belong into every run.

mod causality;
mod codec;
mod conservation;

pub use causality::{Causality, Silence};
pub use codec::Codec;
pub use conservation::Conservation;

use crate::check::Check;
use crate::process::Process;

/// All of them.
#[must_use]
pub fn all<P: Process>() -> Vec<Box<dyn Check<P>>> {
    vec![
        Box::new(Conservation),
        Box::new(Causality::default()),
        Box::new(Silence),
        Box::new(Codec::default()),
    ]
}
