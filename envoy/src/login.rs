//! PLACEHOLDER of this branch, replaced when signing in is merged.

use std::process::ExitCode;

/// What `attach-gateway login` is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Keep the refresh token
    #[arg(long)]
    remember: bool,
}

/// Signs in.
pub async fn run(_: Args) -> ExitCode {
    crate::cli::fail("signing in is not part of this build")
}
