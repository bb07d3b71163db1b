//! Filters: a test removes messages of its choice from the datagrams.

use core::fmt;
use std::sync::Arc;

use bruit_core::wire::{self, Message};

use crate::base::Index;

/// Decides for each message in the datagrams of nodes whether it stays. The decision may depend on nothing but the messages
/// that the filter is shown.
#[derive(Clone)]
pub struct Filter(Arc<dyn Fn(&Passing<'_>) -> bool + Send + Sync>);

/// A message that a filter decides on.
#[derive(Clone, Copy, Debug)]
pub struct Passing<'a> {
    /// The sender.
    pub from: Index,
    /// The receiver; `None` if no process has the address, or if it is that of a group.
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
    /// A filter that keeps the messages for which `keeps` returns true.
    pub fn new(keeps: impl Fn(&Passing<'_>) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(keeps))
    }

    /// A filter that removes every message of these kinds.
    #[must_use]
    pub fn without(kinds: &[wire::Kind]) -> Self {
        let kinds = kinds.to_vec();
        Self::new(move |passing| !kinds.contains(&passing.message.kind()))
    }

    /// The datagram without the removed messages; `None` if no message is left. A datagram that cannot be decoded is
    /// returned as it is.
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
