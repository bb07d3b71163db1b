//! Runs: ranges of ids of broadcasts. Ids travel as (origin, epoch, first, last), because a node mostly names consecutive
//! broadcasts of one origin.

use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::codec::{Put, Reader};
use super::error::DecodeError;
use crate::id::{MessageId, NodeId};

/// Consecutive broadcasts of one origin and epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Run {
    /// The member that has sent the broadcasts.
    pub origin: NodeId,
    /// The epoch in which the origin has sent them.
    pub epoch: u64,
    /// The number of the first broadcast, at least 1.
    pub first: u64,
    /// The number of the last broadcast, not below `first`.
    pub last: u64,
}

impl Run {
    /// The run of a single broadcast.
    #[must_use]
    pub const fn one(id: MessageId) -> Self {
        Self { origin: id.origin, epoch: id.epoch, first: id.seq, last: id.seq }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let run =
            Self { origin: reader.id()?, epoch: reader.u64()?, first: reader.u64()?, last: reader.u64()? };
        let whole = run.first >= 1 && run.first <= run.last && run.last < SEQ_END;
        if whole { Ok(run) } else { Err(DecodeError::Invalid("run")) }
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.origin, self.epoch, self.first)?;
        if self.last > self.first { write!(f, "-{}", self.last) } else { Ok(()) }
    }
}

/// Numbers of broadcasts lie below this one.
pub(super) const SEQ_END: u64 = 1 << 63;

/// A list of runs, checked when it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Runs<'a> {
    pub(super) bytes: &'a [u8],
}

impl<'a> Runs<'a> {
    /// The runs that [`put_run`] has written to `bytes`.
    pub(crate) const fn of(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The runs, in the order in which they were written.
    pub fn iter(self) -> impl Iterator<Item = Run> + 'a {
        let mut reader = Reader::new(self.bytes);
        core::iter::from_fn(move || Run::read(&mut reader).ok())
    }

    pub(super) fn read(mut reader: Reader<'a>) -> Result<Self, DecodeError> {
        let mut check = reader;
        while check.remaining() > 0 {
            Run::read(&mut check)?;
        }
        Ok(Self { bytes: reader.rest() })
    }

    /// Prints `name` and the runs.
    pub(super) fn print(self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name)?;
        self.iter().try_for_each(|run| write!(f, " {run}"))
    }
}

/// Appends one run.
pub(crate) fn put_run(out: &mut Vec<u8>, run: Run) {
    out.put_id(run.origin);
    out.put_u64(run.epoch);
    out.put_u64(run.first);
    out.put_u64(run.last);
}

pub(super) fn read_message_id(reader: &mut Reader<'_>) -> Result<MessageId, DecodeError> {
    let id = MessageId { origin: reader.id()?, epoch: reader.u64()?, seq: reader.u64()? };
    check_seq(id.seq)?;
    Ok(id)
}

pub(super) const fn check_seq(seq: u64) -> Result<(), DecodeError> {
    if seq == 0 || seq >= SEQ_END { Err(DecodeError::Invalid("message id")) } else { Ok(()) }
}

pub(super) fn put_message_id(out: &mut Vec<u8>, id: MessageId) {
    out.put_id(id.origin);
    out.put_u64(id.epoch);
    out.put_u64(id.seq);
}
