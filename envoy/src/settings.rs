//! What the gateway is told: environment variables and the YAML file that `ATTACH_CONFIG`
//! names. Everything is checked before anything starts, and every fault is reported at once.

mod entry;
mod fault;
mod file;
mod issuers;
mod login;
mod names;
mod read;
mod rules;
mod sources;
#[cfg(test)]
mod tests;
mod values;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use attach_filter::config::{Issuer, Mode, Rule, Secret};

use crate::bootstrap;

pub use fault::{Fault, Faults};
pub use login::{LoginSettings, login, login_from_environment};
pub(crate) use names::{help, is_of_our_families};
use read::{Home, read};
use sources::Sources;

/// A server that Envoy reaches: an engine, an issuer, a mirror-service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// https.
    pub tls: bool,
    /// Name or address.
    pub host: url::Host,
    /// Port, the scheme's own if none was given.
    pub port: u16,
    /// What to call it by: host, and port if it is not the scheme's own.
    pub authority: String,
    /// Path in front of every path, without a trailing slash; may be empty.
    pub base_path: String,
}

/// One issuer and how to reach it.
#[derive(Clone, Debug)]
pub struct IssuerSettings {
    /// What the filter is told.
    pub config: Issuer,
    /// Its address; none if it has a shared secret instead of keys.
    pub reach: Option<Upstream>,
    /// The CA to trust for it, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The setting it comes from, for messages.
    pub key: String,
}

/// The engine behind the gateway.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// `ENGINE_URL`.
    pub upstream: Upstream,
    /// `ENGINE_API_KEY`.
    pub api_key: Option<Secret>,
    /// `ENGINE_MODEL`.
    pub model: Option<String>,
    /// `ENGINE_CA_FILE`: the CA to trust for it, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// `ATTACH_ENGINE_TIMEOUT`: its longest silence.
    pub timeout: Duration,
}

/// `MEM_BACKEND`: where the mirror-service that we start keeps memory.
#[derive(Clone, Debug)]
pub enum Memory {
    /// Nowhere: no mirror-service, nothing is captured.
    None,
    /// SQLite in the data directory.
    Embedded,
    /// A Weaviate server.
    Weaviate {
        /// `WEAVIATE_URL`.
        url: Upstream,
        /// `WEAVIATE_API_KEY`.
        api_key: Option<Secret>,
    },
}

/// A mirror-service that somebody else runs.
#[derive(Clone, Debug)]
pub struct ExternalMirror {
    /// `MIRROR_URL`.
    pub upstream: Upstream,
    /// `MIRROR_CA_FILE`: the CA to trust for it, instead of the system's.
    pub ca_file: Option<PathBuf>,
}

/// How the session id is keyed.
#[derive(Clone, Debug)]
pub enum SessionSetting {
    /// By a secret: the one given, else one generated once and kept in the data directory.
    Secret(Option<Secret>),
    /// The plain SHA-256 formula.
    Sha256,
}

/// Certificate and key of the public listener.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// `ATTACH_TLS_CERT`.
    pub certificate: PathBuf,
    /// `ATTACH_TLS_KEY`.
    pub key: PathBuf,
}

/// All settings, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Issuers, that of the environment first.
    pub issuers: Vec<IssuerSettings>,
    /// `OIDC_CLIENT_ID`.
    pub client_id: String,
    /// The engine.
    pub engine: EngineSettings,
    /// `MEM_BACKEND`.
    pub memory: Memory,
    /// `MIRROR_URL`; wins over `memory`.
    pub external_mirror: Option<ExternalMirror>,
    /// Settings that only the mirror-service reads, as they were given.
    pub mirror_options: Vec<(&'static str, String)>,
    /// `MIRROR_TOKEN`.
    pub mirror_token: Option<Secret>,
    /// `ATTACH_LISTEN`; port 0 asks for a free one.
    pub listen: SocketAddr,
    /// TLS of the public listener.
    pub tls: Option<TlsFiles>,
    /// `ATTACH_PUBLIC_URL`, if it is set; see [`Settings::public_url`].
    pub given_public_url: Option<String>,
    /// `ATTACH_METRICS_LISTEN`; port 0 asks for a free one.
    pub metrics_listen: SocketAddr,
    /// `ATTACH_MODE`.
    pub mode: Mode,
    /// Exceptions by path and method.
    pub rules: Vec<Rule>,
    /// `ATTACH_SESSION` and `ATTACH_SESSION_SECRET`.
    pub session: SessionSetting,
    /// `ATTACH_DATA_DIR`, absolute.
    pub data_dir: PathBuf,
    /// `ATTACH_CONCURRENCY`: Envoy workers.
    pub concurrency: u32,
    /// `ATTACH_CORS_ORIGINS`.
    pub cors_origins: Vec<String>,
    /// `ATTACH_MAX_REWRITE_BODY`, bytes.
    pub max_rewrite_body: usize,
    /// `ATTACH_ENVOY`.
    pub envoy: Option<PathBuf>,
    /// The system's CA certificates, if they were found.
    pub system_roots: Option<PathBuf>,
}

/// An address to fetch keys from: https, or http on this machine.
///
/// # Errors
/// What is wrong with it.
pub fn parse_trusted_url(text: &str) -> Result<Upstream, String> {
    values::trusted_url(text)
}

/// Reads the settings of this process.
///
/// # Errors
/// Every fault there is.
pub fn from_environment() -> Result<Settings, Faults> {
    load(std::env::vars_os())
}

/// Reads exactly these variables, nothing of the process environment; of two equal names the
/// later wins.
///
/// # Errors
/// Every fault there is.
pub fn from_pairs<K: AsRef<str>, V: AsRef<str>>(pairs: &[(K, V)]) -> Result<Settings, Faults> {
    load(pairs.iter().map(|(name, value)| (name.as_ref().into(), value.as_ref().into())))
}

/// Reads the settings from an environment and the files that it names.
///
/// # Errors
/// Every fault there is.
pub fn load(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Settings, Faults> {
    let environment: Vec<_> = environment.into_iter().collect();
    let home = Home::of(&environment);
    let mut sources = Sources::read(environment);
    let settings = read(&mut sources, &home);
    if sources.faults.0.is_empty() {
        ask_the_filter(&settings, &mut sources.faults);
    }
    if sources.faults.0.is_empty() { Ok(settings) } else { Err(sources.faults) }
}

/// What it refuses at start would otherwise end Envoy with a message about JSON.
fn ask_the_filter(settings: &Settings, faults: &mut Faults) {
    let mut seen = Vec::new();
    for fault in bootstrap::filter::faults(settings) {
        // The first fault of a key says what to mend; others follow from it.
        if seen.contains(&fault.path) {
            continue;
        }
        seen.push(fault.path.clone());
        let of_issuer = settings.issuers.iter().enumerate().find_map(|(index, issuer)| {
            let rest = fault.path.strip_prefix(&format!("issuers[{index}]"))?;
            Some((issuer.key.clone(), rest.trim_start_matches('.')))
        });
        match of_issuer {
            Some((key, part)) => faults.add(key, format!("{part} {}", fault.message)),
            None => faults.add(fault.path, fault.message),
        }
    }
}

impl Settings {
    /// What clients call us: the setting, else made from the listener.
    #[must_use]
    pub fn public_url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        self.given_public_url.clone().unwrap_or_else(|| format!("{scheme}://{}", self.listen))
    }

    /// Origins that keys are fetched from, each with the CA to trust instead of the system's.
    #[must_use]
    pub fn key_servers(&self) -> Vec<(Upstream, Option<PathBuf>)> {
        issuers::key_servers(&self.issuers)
    }

    /// Does anything receive captured exchanges?
    #[must_use]
    pub fn mirrors(&self) -> bool {
        self.external_mirror.is_some() || self.runs_mirror()
    }

    /// Is the mirror-service ours to run?
    #[must_use]
    pub fn runs_mirror(&self) -> bool {
        self.external_mirror.is_none() && !matches!(self.memory, Memory::None)
    }

    /// What is allowed but weaker than the defaults; said at every start.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let mut weaker = |mode: Mode, place: &str| {
            match mode {
            Mode::Require => {}
            Mode::Trusted => warnings.push(format!("{place}: tokens are NOT checked and X-Attach-* of the caller are believed; only a gateway before this one may be able to connect")),
            Mode::Passthrough => warnings.push(format!("{place}: tokens are NOT checked, everybody who can connect may use the engine")),
        }
        };
        weaker(self.mode, "ATTACH_MODE");
        for (index, rule) in self.rules.iter().enumerate() {
            weaker(rule.mode.unwrap_or_default(), &format!("rules[{index}] ({})", rule.path));
        }
        for issuer in self.issuers.iter().filter(|issuer| issuer.config.scopes.is_empty()) {
            warnings.push(format!("{}: no scope is asked for, every token of this issuer and audience may use the engine", issuer.key));
        }
        if matches!(self.session, SessionSetting::Sha256) {
            warnings.push(
                "ATTACH_SESSION=sha256: session ids can be guessed from a user's id and User-Agent"
                    .to_owned(),
            );
        }
        if self.external_mirror.is_some() && self.mirror_token.is_none() {
            warnings.push("MIRROR_URL is set without MIRROR_TOKEN: whoever reaches that mirror-service can write and read memory".to_owned());
        }
        if self
            .external_mirror
            .as_ref()
            .is_some_and(|mirror| !mirror.upstream.tls && !mirror.upstream.is_loopback())
        {
            warnings
                .push("MIRROR_URL is plain http: captured exchanges travel unprotected".to_owned());
        }
        warnings
    }
}
