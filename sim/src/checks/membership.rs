//! The checks of membership: CM1 to CM14.

mod accuracy;
mod agreement;
mod budget;
mod completeness;
mod farewell;
mod incarnations;
mod joining;
mod lattice;
mod order;
mod refutation;
mod resurrection;
mod stability;
mod stopping;
mod twins;

pub(super) use accuracy::Accuracy;
pub(super) use agreement::Agreement;
pub(super) use budget::Budget;
pub(super) use completeness::Completeness;
pub(super) use farewell::Farewell;
pub(super) use incarnations::Incarnations;
pub(super) use joining::Joining;
pub(super) use lattice::Lattice;
pub(super) use order::Order;
pub(super) use refutation::Refutation;
pub(super) use resurrection::NoResurrection;
pub(super) use stability::Stability;
pub(super) use stopping::Stopping;
pub(super) use twins::Twins;
