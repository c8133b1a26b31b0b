//! The program `attach-mirror`.

use std::process::ExitCode;

use clap::Parser as _;

/// Receives exchanges from the gateway, redacts them, remembers them and answers queries.
#[derive(Debug, clap::Parser)]
#[command(version, after_help = attach_mirror::cli::environment())]
struct Program {
    #[command(flatten)]
    args: attach_mirror::cli::Args,
}

fn main() -> ExitCode {
    attach_mirror::cli::main(Program::parse().args)
}
