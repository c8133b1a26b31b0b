//! The command line, for `attach-mirror` and for `attach-gateway mirror`.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::serve::{self, Error};
use crate::settings::{Settings, VARIABLES};

/// Bad usage or configuration.
const MISUSE: u8 = 2;

/// Arguments of the mirror-service: none. Its settings are in the environment, as those of the
/// gateway.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {}

/// The part of the help text that names the settings.
#[must_use]
pub fn environment() -> String {
    let mut text = String::from("Settings (environment variables):\n");
    for (name, meaning) in VARIABLES {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {name:<22} {meaning}");
    }
    text.push_str(
        "  RUST_LOG               what is logged to stderr; default info\n\n\
         MIRROR_TOKEN and WEAVIATE_API_KEY may be given as files: MIRROR_TOKEN_FILE, \
         WEAVIATE_API_KEY_FILE.\n\
         Exit status: 0 stopped, 2 bad usage or settings, 1 anything else.",
    );
    text
}

/// Runs the mirror-service with the settings of the environment until SIGTERM or SIGINT.
#[must_use]
pub fn main(_args: Args) -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // A second initialisation fails: then the caller's logging is in place.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .try_init();
    let settings = match Settings::from_vars(|name| std::env::var(name).ok()) {
        Ok(settings) => settings,
        Err(faults) => {
            for fault in faults {
                tracing::error!("{fault}");
            }
            return ExitCode::from(MISUSE);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot start");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(until_signal(settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            if error.is_misuse() { ExitCode::from(MISUSE) } else { ExitCode::FAILURE }
        }
    }
}

async fn until_signal(settings: Settings) -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
    let shutdown = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    serve::run(settings, shutdown).await
}
