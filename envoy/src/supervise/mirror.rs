//! The mirror-service that the launcher runs.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use attach_filter::config::Secret;
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

use super::child::Program;
use super::keeper::{Backoff, Keeper};
use super::{Options, StartError};
use crate::data_dir::DataDir;
use crate::settings::{Memory, Settings};

/// Opening a store that was killed takes a while; nothing else does.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// Records wait in Envoy's memory meanwhile, so it never grows.
const BACKOFF: Backoff = Backoff::Constant(Duration::from_millis(300));

/// How the settings have it run; none if it is not ours to run.
pub(super) fn program(settings: &Settings, data: &DataDir, options: &Options) -> Option<Program> {
    settings.runs_mirror().then(|| Program {
        launcher: options.launcher.clone(),
        program: options.launcher.clone(),
        args: vec!["mirror".into()],
        environment: environment(settings, data),
        log: options.quiet.then(|| data.path().join("mirror.log")),
        stale: None,
    })
}

fn environment(settings: &Settings, data: &DataDir) -> Vec<(&'static str, OsString)> {
    let mut listen = OsString::from("unix:");
    listen.push(data.mirror_socket());
    let mut variables: Vec<(&'static str, OsString)> =
        vec![("ATTACH_DATA_DIR", data.path().into()), ("MIRROR_LISTEN", listen)];
    if let Some(Secret(token)) = &settings.mirror_token {
        variables.push(("MIRROR_TOKEN", token.into()));
    }
    match &settings.memory {
        Memory::None => variables.push(("MEM_BACKEND", "none".into())),
        Memory::Embedded => variables.push(("MEM_BACKEND", "embedded".into())),
        Memory::Weaviate { url, api_key } => {
            variables.push(("MEM_BACKEND", "weaviate".into()));
            variables.push(("WEAVIATE_URL", url.url().into()));
            if let Some(Secret(key)) = api_key {
                variables.push(("WEAVIATE_API_KEY", key.into()));
            }
        }
    }
    variables.extend(settings.mirror_options.iter().map(|(name, text)| (*name, text.into())));
    variables
}

/// Starts it and waits until it accepts connections.
pub(super) async fn start(program: Program, socket: &Path) -> Result<Keeper, StartError> {
    const NAME: &str = "the mirror-service";
    let keeper = Keeper::start(NAME, program, BACKOFF).map_err(StartError::Child)?;
    let outcome = tokio::select! {
        waited = timeout(START_PATIENCE, until_connected(socket)) => {
            waited.map_err(|_| StartError::Slow { name: NAME, patience: START_PATIENCE })
        }
        status = keeper.ended() => Err(StartError::ended(NAME, status)),
    };
    match outcome {
        Ok(()) => Ok(keeper),
        Err(error) => {
            keeper.kill().await;
            Err(error)
        }
    }
}

async fn until_connected(socket: &Path) {
    while UnixStream::connect(socket).await.is_err() {
        sleep(Duration::from_millis(20)).await;
    }
}
