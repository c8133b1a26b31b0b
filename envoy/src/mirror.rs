//! `attach-gateway mirror`: the mirror-service, so that one file is enough.

use std::process::ExitCode;

/// Runs the mirror-service.
pub async fn run() -> ExitCode {
    // PLACEHOLDER of this branch, replaced when the mirror-service is merged.
    crate::cli::fail("the mirror-service is not part of this build")
}
