//! What `attach-gateway run` does: a gateway until a signal ends it.

use std::io::Write as _;
use std::path::PathBuf;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Gateway, Options, StartError};
use crate::envoy_binary::EnvoyBinary;
use crate::settings::{self, Settings};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Every request was finished.
    Drained,
    /// A second signal cut what was running.
    Forced,
}

/// Runs until SIGTERM or SIGINT, then drains; a second one ends at once. SIGHUP reads the
/// settings again.
///
/// # Errors
/// It did not start.
pub async fn run(
    settings: Settings,
    envoy: EnvoyBinary,
    launcher: PathBuf,
) -> Result<End, StartError> {
    let mut end = Signals::install().map_err(StartError::Child)?;
    let mut reload = signal(SignalKind::hangup()).map_err(StartError::Child)?;
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    let options = Options { envoy, launcher, quiet: false };
    let started = tokio::select! {
        started = Gateway::start(settings, options.clone()) => started?,
        // Nothing was accepted yet, so there is nothing to finish.
        () = end.next() => return Ok(End::Drained),
    };
    let mut gateway = started;
    say_ready(&gateway, &options);
    loop {
        tokio::select! {
            () = end.next() => break,
            _ = reload.recv() => take_over(&mut gateway).await,
        }
    }
    tracing::info!(
        "draining: running requests finish, new ones are refused; once more ends at once"
    );
    tokio::select! {
        () = gateway.stop() => Ok(End::Drained),
        () = end.next() => Ok(End::Forced),
    }
}

/// The one line that scripts and people wait for.
fn say_ready(gateway: &Gateway, options: &Options) {
    let settings = gateway.settings();
    let _ = writeln!(
        std::io::stderr(),
        "attach-gateway: ready on {} (engine {}, metrics http://{}/metrics, Envoy {})",
        gateway.url(),
        settings.engine.upstream.url(),
        gateway.metrics(),
        options.envoy.version,
    );
}

async fn take_over(gateway: &mut Gateway) {
    let settings = match settings::from_environment() {
        Ok(settings) => settings,
        Err(faults) => {
            for fault in faults.0 {
                tracing::error!("{fault}");
            }
            tracing::error!("the settings are unusable, the gateway goes on with the old ones");
            return;
        }
    };
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    match gateway.reload(settings).await {
        Ok(()) => tracing::info!("the new settings are in force"),
        Err(error) => tracing::error!("{error}; the gateway goes on with the old settings"),
    }
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn install() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
