//! `attach-gateway`: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    attach_gateway::cli::main()
}
