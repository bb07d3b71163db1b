//! Checks: they observe everything that happens and may object.

use core::error::Error;
use core::fmt;

use bruit_core::Time;

use super::happening::Happening;
use crate::base::Index;

/// An invariant, with the state that it needs.
///
/// `View` is what the check may look at beside the happenings. A check that a [`Sim`](crate::Sim) runs looks at its
/// [`Cluster`](crate::Cluster), and so at every process of an application; the checks of this crate look at a
/// `Scene`, the truth about a run.
///
/// A check sees every happening, in order. The time that it spends on one must not grow with the cluster.
pub trait Check<View: ?Sized> {
    /// Observes one happening; `view` shows the state right after it.
    ///
    /// # Errors
    /// The invariant does not hold.
    fn observe(&mut self, happening: &Happening<'_>, view: &View) -> Result<(), Violation> {
        let _ = (happening, view);
        Ok(())
    }

    /// Looks at the end of the run.
    ///
    /// # Errors
    /// The run ended before something that the check requires has happened.
    fn conclude(&mut self, view: &View) -> Result<(), Violation> {
        let _ = view;
        Ok(())
    }
}

impl<View: ?Sized, C: Check<View> + ?Sized> Check<View> for Box<C> {
    fn observe(&mut self, happening: &Happening<'_>, view: &View) -> Result<(), Violation> {
        (**self).observe(happening, view)
    }

    fn conclude(&mut self, view: &View) -> Result<(), Violation> {
        (**self).conclude(view)
    }
}

/// The report of an invariant that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The id of the check, such as `CM3`.
    pub check: &'static str,
    /// The true time of the violation.
    pub at: Time,
    /// The process that the violation concerns; `None` if it concerns the whole cluster.
    pub node: Option<Index>,
    /// The reason, in one sentence.
    pub text: String,
}

impl Violation {
    /// A violation that concerns the whole cluster.
    #[must_use]
    pub fn new(check: &'static str, at: Time, text: impl Into<String>) -> Self {
        Self { check, at, node: None, text: text.into() }
    }

    /// Names the process that the violation concerns.
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
