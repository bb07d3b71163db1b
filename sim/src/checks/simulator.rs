//! The checks of the simulator itself: CS2, CS3, CS5 and CS8.

mod causality;
mod codec;
mod conservation;

pub(super) use causality::{Causality, Silence};
pub(super) use codec::Codec;
pub(super) use conservation::Conservation;
