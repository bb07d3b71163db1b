//! `paper`: the experiments of papers, repeated.

use std::io::Write;

use super::{Exit, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Which paper.
    name: String,
}

pub(super) fn run(arguments: &Arguments, _: &mut impl Write) -> Result<Exit, Failure> {
    Err(Failure::Usage(format!("`{}` is no paper that is built in", arguments.name)))
}
