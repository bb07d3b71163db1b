//! Loss by content: a test takes messages of its choice out of the datagrams.

use core::fmt;
use std::sync::Arc;

use bruit_core::wire::{self, Message};

use crate::cluster::Index;

/// Decides about each message of each datagram of a node whether it stays in. It may count, but must not depend on
/// anything but what it is shown.
#[derive(Clone)]
pub struct Filter(Arc<dyn Fn(&Passing<'_>) -> bool + Send + Sync>);

/// A message on its way.
#[derive(Clone, Copy, Debug)]
pub struct Passing<'a> {
    /// Who sends it.
    pub from: Index,
    /// Whom it is for; nobody behind the address is known, and of a group no member is named.
    pub to: Option<Index>,
    /// The message.
    pub message: Message<'a>,
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Filter")
    }
}

impl Filter {
    /// Keeps the messages of which `keeps` says so.
    pub fn new(keeps: impl Fn(&Passing<'_>) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(keeps))
    }

    /// Loses every message of these kinds.
    #[must_use]
    pub fn without(kinds: &[wire::Kind]) -> Self {
        let kinds = kinds.to_vec();
        Self::new(move |passing| !kinds.contains(&passing.message.kind()))
    }

    /// What is left of a datagram; `None` if nothing is. What is not readable stays as it is.
    pub(crate) fn apply(&self, from: Index, to: Option<Index>, bytes: &[u8]) -> Option<Vec<u8>> {
        let Ok(described) = wire::describe(bytes) else { return Some(bytes.to_vec()) };
        let Ok(datagram) = wire::open(bytes, described.header.cluster) else { return Some(bytes.to_vec()) };
        let (mut kept, mut left, mut taken) = (Vec::new(), 0, 0);
        for message in datagram.messages.map_while(Result::ok) {
            if self.0(&Passing { from, to, message }) {
                message.encode(&mut kept);
                left += 1;
            } else {
                taken += 1;
            }
        }
        match (left, taken) {
            (_, 0) => Some(bytes.to_vec()),
            (0, _) => None,
            _ => Some(wire::compose(&described.header, &kept)),
        }
    }
}
