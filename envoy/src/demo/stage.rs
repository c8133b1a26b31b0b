//! Everything that a demo runs, started in order and stopped in the opposite one.

use std::ffi::OsString;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};

use super::engine::{self, Engine, MODEL};
use super::guide::{About, callable};
use super::issuer::{self, Issuer};
use super::plan::Plan;
use super::probe::{Dialect, Found, probe};
use super::scratch::Scratch;
use crate::envoy_binary::{self, FindOptions};
use crate::settings::{self, Settings};
use crate::supervise::{Gateway, Options};

/// Longest wait for an engine that is there by default, and for one that was asked for.
const GLANCE: Duration = Duration::from_millis(300);
const LOOK: Duration = Duration::from_secs(3);
/// Longest wait until the gateway has its keys and sees its engine and memory.
const READY: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
pub(super) enum StageError {
    /// The settings that the user keeps are at fault.
    #[error("{0}")]
    Settings(#[from] settings::Faults),
    #[error("{name} is {addr}, which is taken. Free it, or set {name} to another address")]
    Taken { name: &'static str, addr: SocketAddr },
    #[error(transparent)]
    Issuer(#[from] issuer::StartError),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Http(String),
    #[error("{0}")]
    Envoy(#[from] envoy_binary::FindError),
    #[error("the gateway did not start: {0}")]
    Gateway(String),
    #[error("the gateway does not get ready: {0}")]
    NotReady(String),
}

/// A demo that runs. The order of the members is the order in which they are dropped.
pub(super) struct Stage {
    gateway: Gateway,
    engine: Option<Engine>,
    pub(super) issuer: Issuer,
    pub(super) about: About,
    _scratch: Scratch,
}

impl Stage {
    /// Starts everything. `say` takes a line about each thing that takes time.
    pub(super) async fn set(
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        client: &Client,
        say: &impl Fn(&str),
    ) -> Result<Self, StageError> {
        let mut plan = Plan::new(environment, is_taken);
        plan.notes.iter().for_each(|note| say(note));
        let scratch = Scratch::make()?;
        let issuer = Issuer::start(issuer::Config::default()).await?;
        plan.set("OIDC_ISSUER", issuer.url());
        plan.set("OIDC_AUD", "attach");
        plan.set("ATTACH_DATA_DIR", scratch.path());
        let settings = settings::load(plan.vars())?;
        let (engine, found) = choose_engine(&mut plan, &settings, say).await?;
        let settings = settings::load(plan.vars())?;
        check_listeners(&settings)?;
        let envoy = FindOptions::from_environment(settings.envoy.clone());
        let envoy = envoy_binary::find(&envoy).await?;
        let launcher = std::env::current_exe()?;
        let mut about = About {
            gateway: String::new(),
            metrics: String::new(),
            envoy: envoy.version.to_string(),
            engine: address(&settings),
            built_in: engine.is_some(),
            dialect: found.dialect,
            model: settings.engine.model.clone(),
            issuer: issuer.url().to_owned(),
            data_dir: scratch.path().to_owned(),
            program: callable(&launcher, std::env::var_os("PATH").as_deref()),
        };
        say(&format!("starting Envoy {} and the mirror-service", about.envoy));
        let options = Options { envoy, launcher, quiet: true };
        let gateway = Gateway::start(settings, options).await;
        let gateway = gateway.map_err(|e| StageError::Gateway(e.to_string()))?;
        about.gateway = gateway.url();
        about.metrics = format!("http://{}/metrics", gateway.metrics());
        ready(client, &about.gateway).await?;
        Ok(Self { gateway, engine, issuer, about, _scratch: scratch })
    }

    /// Stops everything; what was captured is on the disk before the disk is cleared.
    pub(super) async fn strike(self) {
        self.gateway.stop().await;
        if let Some(engine) = self.engine {
            engine.stop().await;
        }
        self.issuer.stop().await;
    }
}

/// The engine of the settings if it answers, else the built-in one, which then is set.
async fn choose_engine(
    plan: &mut Plan,
    settings: &Settings,
    say: &impl Fn(&str),
) -> Result<(Option<Engine>, Found), StageError> {
    let chosen = plan.get("ENGINE_URL").is_some();
    let url = address(settings);
    let ca_file = settings.engine.ca_file.as_deref();
    let patience = if chosen { LOOK } else { GLANCE };
    let client = crate::http::client(ca_file, patience);
    let client = client.map_err(|e| StageError::Http(e.to_string()))?;
    let key = settings.engine.api_key.as_ref().map(|key| key.0.as_str());
    match probe(&client, &url, key).await {
        Some(found) if chosen || found.model.is_some() => {
            say(&format!("using the engine at {url}"));
            if let (None, Some(model)) = (plan.get("ENGINE_MODEL"), &found.model) {
                plan.set("ENGINE_MODEL", model);
            }
            return Ok((None, found));
        }
        Some(_) => say(&format!("the engine at {url} has no model yet: using the built-in one")),
        None if chosen => {
            say(&format!("ENGINE_URL does not answer ({url}): using the built-in engine"))
        }
        None => {}
    }
    let engine = Engine::start(engine::Config::default()).await?;
    for name in ["ENGINE_API_KEY", "ENGINE_API_KEY_FILE", "ENGINE_CA_FILE"] {
        plan.unset(name);
    }
    plan.set("ENGINE_URL", engine.url());
    plan.set("ENGINE_MODEL", MODEL);
    let found = Found { dialect: Dialect::Ollama, model: Some(MODEL.to_owned()) };
    Ok((Some(engine), found))
}

fn address(settings: &Settings) -> String {
    let upstream = &settings.engine.upstream;
    let scheme = if upstream.tls { "https" } else { "http" };
    format!("{scheme}://{}{}", upstream.authority, upstream.base_path)
}

/// Addresses that the user chose must be free; the defaults were looked at before.
fn check_listeners(settings: &Settings) -> Result<(), StageError> {
    let listeners =
        [("ATTACH_LISTEN", settings.listen), ("ATTACH_METRICS_LISTEN", settings.metrics_listen)];
    match listeners.into_iter().find(|(_, addr)| addr.port() != 0 && is_taken(*addr)) {
        Some((name, addr)) => Err(StageError::Taken { name, addr }),
        None => Ok(()),
    }
}

/// Whether somebody listens there. Envoy itself would not notice: it shares ports.
fn is_taken(addr: SocketAddr) -> bool {
    TcpListener::bind(addr).is_err_and(|e| e.kind() == io::ErrorKind::AddrInUse)
}

async fn ready(client: &Client, gateway: &str) -> Result<(), StageError> {
    let started = Instant::now();
    loop {
        let answer = client.get(format!("{gateway}/readyz")).send().await;
        let saw = match answer {
            Ok(answer) if answer.status() == StatusCode::OK => return Ok(()),
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(error) => error.to_string(),
        };
        if started.elapsed() > READY {
            return Err(StageError::NotReady(saw));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_taken_address_is_noticed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        assert!(is_taken(addr));
        drop(listener);
        assert!(!is_taken(addr));
    }
}
