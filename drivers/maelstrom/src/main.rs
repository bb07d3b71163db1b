//! The command `bruit-maelstrom`: a node for Maelstrom on stdin and stdout, and the bench.
#![forbid(unsafe_code)]
#![expect(clippy::std_instead_of_core, reason = "a program is built on std, and one spelling reads better")]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
