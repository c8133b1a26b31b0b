//! `attach-gateway`: see the library.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    attach_gateway::cli::main().await
}
