//! What a check is: it sees all that happens, and may say no.

use core::error::Error;
use core::fmt;

use bruit_core::Time;

use crate::cluster::{Cluster, Index};
use crate::happening::Happening;
use crate::process::Process;

/// An invariant, with what it must remember. It sees every happening in order; it must not spend the size of
/// the cluster on each of them.
pub trait Check<P: Process> {
    /// The name that failures carry, such as `CM3`.
    fn id(&self) -> &'static str;

    /// One happening; `cluster` is the state right after it.
    ///
    /// # Errors
    /// The invariant does not hold.
    fn observe(&mut self, at: Time, happening: &Happening<'_>, cluster: &Cluster<P>)
    -> Result<(), Violation>;

    /// The run has ended.
    ///
    /// # Errors
    /// Something that should have happened by now has not.
    fn conclude(&mut self, at: Time, cluster: &Cluster<P>) -> Result<(), Violation> {
        let _ = (at, cluster);
        Ok(())
    }
}

/// An invariant that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The id of the check.
    pub check: &'static str,
    /// When, in true time.
    pub at: Time,
    /// At which process, where it is one's.
    pub node: Option<Index>,
    /// One sentence for people.
    pub text: String,
}

impl Violation {
    /// A violation that concerns the whole cluster.
    #[must_use]
    pub fn new(check: &'static str, at: Time, text: impl Into<String>) -> Self {
        Self { check, at, node: None, text: text.into() }
    }

    /// The same, at one process.
    #[must_use]
    pub fn at_node(self, node: Index) -> Self {
        Self { node: Some(node), ..self }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.check, self.at)?;
        if let Some(node) = self.node {
            write!(f, ", {node}")?;
        }
        write!(f, ": {}", self.text)
    }
}

impl Error for Violation {}
