//! The checks of the simulator itself: CS2, CS3, CS5, CS8 and CS10.

mod bookkeeping;
mod causality;
mod codec;
mod conservation;
mod silence;

pub(super) use bookkeeping::Bookkeeping;
pub(super) use causality::Causality;
pub(super) use codec::Codec;
pub(super) use conservation::Conservation;
pub(super) use silence::Silence;
