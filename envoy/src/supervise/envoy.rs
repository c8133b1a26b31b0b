//! One Envoy: its bootstrap, its start, its admin interface.

use std::ffi::OsString;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::{sleep, timeout};

use super::child::Program;
use super::keeper::{Backoff, Keeper};
use super::{Options, StartError};
use crate::admin::Admin;
use crate::bootstrap::{self, Placement};
use crate::data_dir::DataDir;
use crate::settings::Settings;

/// Loading the filter takes a second on a small machine; this is for a busy one.
const START_PATIENCE: Duration = Duration::from_secs(60);

const BACKOFF: Backoff = Backoff::Growing(Duration::from_millis(100), Duration::from_secs(10));

/// An Envoy that listens.
#[derive(Debug)]
pub(super) struct Running {
    pub keeper: Keeper,
    pub admin: Admin,
}

/// An Envoy that accepted its bootstrap and is not started yet.
pub(super) struct Prepared {
    program: Program,
    admin: Admin,
}

/// Writes the bootstrap and lets Envoy check it.
pub(super) async fn prepare(
    settings: &Settings,
    placement: &Placement,
    data: &DataDir,
    generation: u32,
    options: &Options,
) -> Result<Prepared, StartError> {
    let text = format!("{:#}\n", bootstrap::render(settings, placement));
    let file = data.replace(&format!("envoy-{generation}.json"), text.as_bytes())?;
    validate(&options.envoy.path, &file).await?;
    let mut args: Vec<OsString> = vec!["--config-path".into(), file.into()];
    args.extend(["--concurrency".to_owned(), settings.concurrency.to_string()].map(OsString::from));
    // Hot restart shares memory by a number that two gateways could both choose; a new Envoy
    // takes over by SO_REUSEPORT instead.
    args.push("--disable-hot-restart".into());
    args.extend(
        ["--log-level", "warning", "--file-flush-interval-msec", "200"].map(OsString::from),
    );
    let program = Program {
        launcher: options.launcher.clone(),
        program: options.envoy.path.clone(),
        args,
        environment: Vec::new(),
        log: options.quiet.then(|| data.path().join("envoy.log")),
        stale: Some(placement.admin_socket.clone()),
    };
    Ok(Prepared { program, admin: Admin::new(&placement.admin_socket)? })
}

impl Prepared {
    /// Starts it and waits until it listens.
    pub(super) async fn start(self) -> Result<Running, StartError> {
        let keeper = Keeper::start("Envoy", self.program, BACKOFF).map_err(StartError::Child)?;
        let running = Running { keeper, admin: self.admin };
        let outcome = tokio::select! {
            waited = timeout(START_PATIENCE, until_listening(&running.admin)) => {
                waited.map_err(|_| StartError::Slow { name: "Envoy", patience: START_PATIENCE })
            }
            status = running.keeper.ended() => Err(StartError::ended("Envoy", status)),
        };
        match outcome {
            Ok(()) => Ok(running),
            Err(error) => {
                running.keeper.kill().await;
                Err(error)
            }
        }
    }
}

async fn until_listening(admin: &Admin) {
    const STARTED: &str = "listener_manager.workers_started";
    loop {
        let started = admin.stats(&format!("^{STARTED}$")).await;
        if started.is_ok_and(|stats| stats.get(STARTED) > 0) {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// `envoy --mode validate`: reads everything, loads the filter and starts nothing. Returns
/// what Envoy remarked.
///
/// # Errors
/// What Envoy said.
pub(crate) async fn validate(envoy: &Path, bootstrap: &Path) -> Result<String, StartError> {
    let mut command = Command::new(envoy);
    command.args(["--mode", "validate", "--disable-hot-restart", "--log-level", "warning"]);
    command.arg("--config-path").arg(bootstrap).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(START_PATIENCE, command.output()).await;
    let output = output.map_err(|_| StartError::Slow {
        name: "envoy --mode validate",
        patience: START_PATIENCE,
    })?;
    let output = output.map_err(StartError::Child)?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    if text.contains("envoy.wasm.runtime.v8") && text.contains("compiled without support") {
        return Err(StartError::NoV8(envoy.to_path_buf()));
    }
    Err(StartError::Rejected { how: output.status, output: last_lines(&text) })
}

/// Envoy ends with the reason; the lines before it explain it.
fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let skipped = lines.len().saturating_sub(6);
    lines.into_iter().skip(skipped).map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

impl StartError {
    pub(super) fn ended(name: &'static str, status: Option<ExitStatus>) -> Self {
        let how = status.map_or_else(|| "no exit status".to_owned(), |status| status.to_string());
        Self::Ended { name, how }
    }
}
