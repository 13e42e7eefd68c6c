//! The command line. All of it is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    infra_examples::cli::main()
}
