//! PLACEHOLDER of this branch, replaced when the demo is merged.

use std::process::ExitCode;

/// What `attach-gateway demo` is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Play the main job and print each step
    #[arg(long)]
    tour: bool,
}

/// Runs the demo.
pub async fn run(_: Args) -> ExitCode {
    crate::cli::fail("the demo is not part of this build")
}
