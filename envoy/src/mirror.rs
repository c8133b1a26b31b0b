//! `attach-gateway mirror`: the mirror-service, so that one file is enough.

use std::process::ExitCode;

/// What `attach-gateway mirror` is told.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the mirror-service.
#[must_use]
pub fn main(_: Args) -> ExitCode {
    // PLACEHOLDER of this branch: becomes `pub use attach_mirror::cli::{Args, main}`.
    crate::cli::fail("the mirror-service is not part of this build")
}
