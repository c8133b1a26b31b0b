//! What the gateway is told: environment variables and the YAML file that `ATTACH_CONFIG`
//! names. Everything is checked before anything starts, and every fault is reported at once.

mod entry;
mod fault;
mod file;
mod issuers;
mod login;
mod names;
mod rules;
mod sources;
#[cfg(test)]
mod tests;
mod values;

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use attach_filter::config::{Issuer, Mode, Rule, Secret};

pub use fault::{Fault, Faults};
pub use login::{LoginSettings, login, login_from_environment};
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
pub fn load(environment: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Settings, Faults> {
    let environment: Vec<_> = environment.into_iter().collect();
    let home = Home::of(&environment);
    let mut sources = Sources::read(environment);
    let settings = read(&mut sources, &home);
    if sources.faults.0.is_empty() { Ok(settings) } else { Err(sources.faults) }
}

/// What depends on the machine and not on our settings.
#[derive(Debug)]
struct Home {
    state: Option<PathBuf>,
    system_roots: Option<PathBuf>,
}

impl Home {
    fn of(environment: &[(OsString, OsString)]) -> Self {
        let variable = |name: &str| {
            let found = environment.iter().find(|(variable, _)| variable == name);
            found.map(|(_, value)| PathBuf::from(value)).filter(|path| path.is_absolute())
        };
        // XDG Base Directory Specification: relative paths in these variables are ignored.
        let state = variable("XDG_STATE_HOME").or_else(|| Some(variable("HOME")?.join(".local/state")));
        // Debian and Alpine, Fedora, SUSE, Alpine and macOS, newer Fedora.
        let usual = [
            "/etc/ssl/certs/ca-certificates.crt",
            "/etc/pki/tls/certs/ca-bundle.crt",
            "/etc/ssl/ca-bundle.pem",
            "/etc/ssl/cert.pem",
            "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
        ];
        let system_roots = variable("SSL_CERT_FILE").into_iter().chain(usual.map(PathBuf::from)).find(|path| path.is_file());
        Self { state: state.map(|state| state.join("attach-gateway")), system_roots }
    }
}

/// Reads on after a fault, so that all are found; what a fault leaves behind is never used.
fn read(sources: &mut Sources, home: &Home) -> Settings {
    let mode = sources.value_or("ATTACH_MODE", Mode::Require, values::mode);
    let rules = rules::read(sources);
    let signed_in = mode == Mode::Require || rules.iter().any(|rule| rule.mode == Some(Mode::Require));
    let issuers = issuers::read(sources, signed_in);
    let (memory, external_mirror) = mirror(sources);
    let settings = Settings {
        issuers,
        client_id: sources.text("OIDC_CLIENT_ID").unwrap_or("attach-cli").to_owned(),
        engine: engine(sources),
        memory,
        external_mirror,
        mirror_token: sources.secret("MIRROR_TOKEN"),
        listen: sources.value_or("ATTACH_LISTEN", SocketAddr::from(([127, 0, 0, 1], 8080)), values::socket),
        tls: tls(sources),
        given_public_url: sources.value("ATTACH_PUBLIC_URL", values::public_url),
        metrics_listen: sources.value_or("ATTACH_METRICS_LISTEN", SocketAddr::from(([127, 0, 0, 1], 9464)), values::socket),
        mode,
        rules,
        session: session(sources),
        data_dir: data_dir(sources, home).unwrap_or_default(),
        concurrency: sources.value_or("ATTACH_CONCURRENCY", cores(), values::concurrency),
        cors_origins: sources.value_or("ATTACH_CORS_ORIGINS", Vec::new(), |text| values::list_of(text, values::cors_origin)),
        max_rewrite_body: sources.value_or("ATTACH_MAX_REWRITE_BODY", 1 << 20, values::bytes),
        envoy: sources.text("ATTACH_ENVOY").map(PathBuf::from),
        system_roots: home.system_roots.clone(),
    };
    check_together(&settings, sources);
    settings
}

fn engine(sources: &mut Sources) -> EngineSettings {
    // Where Ollama listens.
    let default = Upstream {
        tls: false,
        host: url::Host::Ipv4(Ipv4Addr::LOCALHOST),
        port: 11434,
        authority: "127.0.0.1:11434".to_owned(),
        base_path: String::new(),
    };
    EngineSettings {
        upstream: sources.value_or("ENGINE_URL", default, values::upstream),
        api_key: sources.value("ENGINE_API_KEY", header_text).map(Secret),
        model: sources.text("ENGINE_MODEL").map(str::to_owned),
        ca_file: sources.readable("ENGINE_CA_FILE"),
        timeout: sources.value_or("ATTACH_ENGINE_TIMEOUT", Duration::from_secs(300), values::duration),
    }
}

fn mirror(sources: &mut Sources) -> (Memory, Option<ExternalMirror>) {
    let ca_file = sources.readable("MIRROR_CA_FILE");
    let external = sources.value("MIRROR_URL", values::upstream).map(|upstream| ExternalMirror { upstream, ca_file });
    // Only its form is checked here; the value travels as it is.
    let _ = sources.value("MIRROR_TOKEN", header_text);
    let backend = sources.text("MEM_BACKEND").unwrap_or("embedded").to_owned();
    let url = sources.value("WEAVIATE_URL", values::upstream);
    let memory = match backend.as_str() {
        "none" => Memory::None,
        "embedded" => Memory::Embedded,
        "weaviate" => match url {
            Some(url) => Memory::Weaviate { url, api_key: sources.secret("WEAVIATE_API_KEY") },
            None => {
                if sources.text("WEAVIATE_URL").is_none() {
                    sources.faults.add("WEAVIATE_URL", "is not set; MEM_BACKEND=weaviate needs it, like http://127.0.0.1:8081");
                }
                Memory::None
            }
        },
        other => {
            sources.faults.add("MEM_BACKEND", format!("`{other}` is no store; none, embedded or weaviate"));
            Memory::None
        }
    };
    (memory, external)
}

/// A key that travels in a header: what a header cannot carry would break every request.
fn header_text(text: &str) -> Result<String, String> {
    if text.bytes().all(|byte| (0x21..=0x7e).contains(&byte)) {
        Ok(text.to_owned())
    } else {
        Err("holds white space or bytes that a header cannot carry".into())
    }
}

fn session(sources: &mut Sources) -> SessionSetting {
    let secret = sources.value("ATTACH_SESSION_SECRET", |text| values::key_material(text).map(|()| Secret(text.to_owned())));
    match sources.text("ATTACH_SESSION") {
        None | Some("hmac") => SessionSetting::Secret(secret),
        Some("sha256") => SessionSetting::Sha256,
        Some(other) => {
            let text = format!("`{other}` is no session formula; hmac (the default) or sha256");
            sources.faults.add("ATTACH_SESSION", text);
            SessionSetting::Secret(secret)
        }
    }
}

fn tls(sources: &mut Sources) -> Option<TlsFiles> {
    let given = |name| sources.text(name).is_some();
    for (set, other) in [("ATTACH_TLS_CERT", "ATTACH_TLS_KEY"), ("ATTACH_TLS_KEY", "ATTACH_TLS_CERT")] {
        if given(set) && !given(other) {
            sources.faults.add(other, format!("is not set, but {set} is; TLS needs both"));
            return None;
        }
    }
    let certificate = sources.readable("ATTACH_TLS_CERT");
    let key = sources.readable("ATTACH_TLS_KEY");
    Some(TlsFiles { certificate: certificate?, key: key? })
}

fn data_dir(sources: &mut Sources, home: &Home) -> Option<PathBuf> {
    let given = sources.value("ATTACH_DATA_DIR", |text| {
        std::path::absolute(text).map_err(|error| format!("`{text}` is no path: {error}"))
    });
    let found = given.or_else(|| home.state.clone());
    if found.is_none() {
        sources.faults.add("ATTACH_DATA_DIR", "is not set, and there is no HOME to take the default from; set it");
    }
    found
}

/// Faults that only two settings together make.
fn check_together(settings: &Settings, sources: &mut Sources) {
    let (listen, metrics) = (settings.listen, settings.metrics_listen);
    if listen == metrics && listen.port() != 0 {
        sources.faults.add("ATTACH_METRICS_LISTEN", format!("{metrics} is ATTACH_LISTEN too; give it another port"));
    }
    if settings.system_roots.is_some() {
        return;
    }
    let trusts = issuers::key_servers(&settings.issuers).into_iter().map(|(server, ca)| (server, ca, "OIDC_CA_FILE"));
    let engine = (settings.engine.upstream.clone(), settings.engine.ca_file.clone(), "ENGINE_CA_FILE");
    let mirror = settings.external_mirror.clone().map(|mirror| (mirror.upstream, mirror.ca_file, "MIRROR_CA_FILE"));
    for (server, ca, name) in trusts.chain([engine]).chain(mirror) {
        if server.tls && ca.is_none() {
            let text = format!("is not set, and this machine has no CA certificates to check {} with; install ca-certificates or set it", server.origin());
            sources.faults.add(name, text);
        }
    }
}

fn cores() -> u32 {
    std::thread::available_parallelism().ok().and_then(|cores| u32::try_from(cores.get()).ok()).unwrap_or(1)
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
        let mut weaker = |mode: Mode, place: &str| match mode {
            Mode::Require => {}
            Mode::Trusted => warnings.push(format!("{place}: tokens are NOT checked and X-Attach-* of the caller are believed; only a gateway before this one may be able to connect")),
            Mode::Passthrough => warnings.push(format!("{place}: tokens are NOT checked, everybody who can connect may use the engine")),
        };
        weaker(self.mode, "ATTACH_MODE");
        for (index, rule) in self.rules.iter().enumerate() {
            weaker(rule.mode.unwrap_or_default(), &format!("rules[{index}] ({})", rule.path));
        }
        for issuer in self.issuers.iter().filter(|issuer| issuer.config.scopes.is_empty()) {
            warnings.push(format!("{}: no scope is asked for, every token of this issuer and audience may use the engine", issuer.key));
        }
        if matches!(self.session, SessionSetting::Sha256) {
            warnings.push("ATTACH_SESSION=sha256: session ids can be guessed from a user's id and User-Agent".to_owned());
        }
        if self.external_mirror.is_some() && self.mirror_token.is_none() {
            warnings.push("MIRROR_URL is set without MIRROR_TOKEN: whoever reaches that mirror-service can write and read memory".to_owned());
        }
        if self.external_mirror.as_ref().is_some_and(|mirror| !mirror.upstream.tls && !mirror.upstream.is_loopback()) {
            warnings.push("MIRROR_URL is plain http: captured exchanges travel unprotected".to_owned());
        }
        warnings
    }
}
