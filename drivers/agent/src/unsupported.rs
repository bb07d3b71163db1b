//! Replaces the agent and its client on systems without Unix sockets, where only `estimate` and `replay` work.

pub(crate) mod agent {
    use std::path::PathBuf;

    pub(crate) fn run(_: &crate::cli::AgentArgs, _: Option<PathBuf>, _: bool) -> Result<(), crate::Failure> {
        Err(crate::Failure::Usage("the agent needs Unix sockets, which this system does not have".to_owned()))
    }
}

pub(crate) mod client {
    use std::path::PathBuf;

    pub(crate) fn run(_: &crate::cli::Ask, _: Option<PathBuf>, _: bool) -> Result<(), crate::Failure> {
        Err(crate::Failure::NoAgent(
            "the agent needs Unix sockets, which this system does not have".to_owned(),
        ))
    }
}
